//! The words of languages, from CLDR. `scripts/languages` makes the table.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

/// See `scripts/languages` for its form.
const TABLE: &str = include_str!("languages.txt");

/// What a word may mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// 1 is January.
    Month(i8),
    /// 1 is Monday.
    Weekday(i8),
    /// Before noon.
    Am,
    /// After noon.
    Pm,
    /// An hour by its name.
    Hour(i8),
    /// So many units from now: "yesterday", "last week".
    Named(Unit, i32),
    /// "Last Monday" (1, -1), "next Friday" (5, 1).
    NearWeekday(i8, i8),
    /// This moment.
    Now,
    /// What a number counts.
    Unit(Unit),
    /// What a number counts, with the direction: -1 is back.
    Directed(Unit, i8),
    /// Backwards.
    Ago,
    /// Forwards.
    In,
    /// A number in words.
    Number(i32),
    /// Behind the hours of a time.
    Hours,
    /// Behind the minutes of a time.
    Minutes,
    /// Behind the seconds of a time.
    Seconds,
    /// Says nothing.
    Nothing,
}

/// What spans are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// How a date of numbers alone is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Month, day, year.
    Mdy,
    /// Day, month, year.
    Dmy,
    /// Year, month, day.
    Ymd,
}

/// A language, and the order of its dates in a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language {
    place: usize,
    /// How its dates of numbers are written.
    pub order: Order,
}

/// Each word with what it may mean.
pub type Words = HashMap<&'static str, Vec<Meaning>>;

struct LanguageWords {
    code: &'static str,
    order: Order,
    /// Other orders, and the regions that have them.
    regions: Vec<(Order, &'static str)>,
    lines: &'static str,
    words: OnceLock<Words>,
}

/// In the order in which they are tried.
static ENTRIES: LazyLock<Vec<LanguageWords>> = LazyLock::new(|| {
    let entries = TABLE.trim_start_matches("= ").split("\n= ");
    entries.filter_map(LanguageWords::read).collect()
});

impl LanguageWords {
    fn read(text: &'static str) -> Option<LanguageWords> {
        let (head, lines) = text.split_once('\n')?;
        let mut head = head.split(' ');
        let code = head.next()?;
        let order = Order::by_name(head.next()?)?;
        let regions = head.filter_map(|part| {
            let (order, regions) = part.split_once(':')?;
            Some((Order::by_name(order)?, regions))
        });
        Some(LanguageWords {
            code,
            order,
            regions: regions.collect(),
            lines,
            words: OnceLock::new(),
        })
    }

    fn order_in(&self, region: &str) -> Order {
        let has = |regions: &str| {
            regions
                .split(',')
                .any(|one| one.eq_ignore_ascii_case(region))
        };
        let found = self.regions.iter().find(|(_, regions)| has(regions));
        found.map_or(self.order, |(order, _)| *order)
    }
}

impl Order {
    fn by_name(name: &str) -> Option<Order> {
        match name {
            "mdy" => Some(Order::Mdy),
            "dmy" | "ydm" => Some(Order::Dmy),
            "ymd" => Some(Order::Ymd),
            _ => None,
        }
    }
}

impl Language {
    /// By its code: `de`, `de-AT`, `zh-Hans`.
    pub fn by_code(code: &str) -> Option<Language> {
        let mut parts = code.split(['-', '_']);
        let code = match &*parts.next()?.to_ascii_lowercase() {
            "no" => "nb".to_owned(),
            "iw" => "he".to_owned(),
            "in" => "id".to_owned(),
            "tl" => "fil".to_owned(),
            code => code.to_owned(),
        };
        let place = ENTRIES.iter().position(|entry| entry.code == code)?;
        let entry = &ENTRIES[place];
        let order = parts
            .next_back()
            .map_or(entry.order, |region| entry.order_in(region));
        Some(Language { place, order })
    }

    /// All that are known, those of most pages first.
    pub fn all() -> impl Iterator<Item = Language> {
        let entries = ENTRIES.iter().enumerate();
        entries.map(|(place, entry)| Language {
            place,
            order: entry.order,
        })
    }

    pub fn words(self) -> &'static Words {
        let entry = &ENTRIES[self.place];
        entry.words.get_or_init(|| words(entry.lines))
    }
}

fn words(lines: &'static str) -> Words {
    let mut words = Words::new();
    for (name, list) in lines.lines().filter_map(|line| line.split_once('\t')) {
        let Some(meaning) = meaning(name) else {
            continue;
        };
        for word in list.split('|') {
            let meanings = words.entry(word).or_default();
            if !meanings.contains(&meaning) {
                meanings.push(meaning);
            }
        }
    }
    words
}

fn meaning(name: &str) -> Option<Meaning> {
    let letters = name.trim_end_matches(|c: char| c.is_ascii_digit() || "-<>".contains(c));
    let behind = &name[letters.len()..];
    let number: Option<i32> = behind.parse().ok();
    Some(match (letters, number, behind) {
        ("m", Some(month), _) => Meaning::Month(month.try_into().ok()?),
        ("w", Some(day), _) => Meaning::Weekday(day.try_into().ok()?),
        ("last", Some(day), _) => Meaning::NearWeekday(day.try_into().ok()?, -1),
        ("next", Some(day), _) => Meaning::NearWeekday(day.try_into().ok()?, 1),
        ("n", Some(number), _) => Meaning::Number(number),
        ("am", ..) => Meaning::Am,
        ("pm", ..) => Meaning::Pm,
        ("noon", ..) => Meaning::Hour(12),
        ("midnight", ..) => Meaning::Hour(0),
        ("now", ..) => Meaning::Now,
        ("ago", ..) => Meaning::Ago,
        ("in", ..) => Meaning::In,
        ("hh", ..) => Meaning::Hours,
        ("mm", ..) => Meaning::Minutes,
        ("ss", ..) => Meaning::Seconds,
        ("skip", ..) => Meaning::Nothing,
        (unit, number, behind) => {
            let unit = match unit {
                "s" => Unit::Second,
                "min" => Unit::Minute,
                "h" => Unit::Hour,
                "d" => Unit::Day,
                "wk" => Unit::Week,
                "mon" => Unit::Month,
                "y" => Unit::Year,
                _ => return None,
            };
            match (number, behind) {
                (Some(number), _) => Meaning::Named(unit, number),
                (None, "<") => Meaning::Directed(unit, -1),
                (None, ">") => Meaning::Directed(unit, 1),
                _ => Meaning::Unit(unit),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::plain::plain;
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        assert!(ENTRIES.len() > 200);
        for entry in ENTRIES.iter() {
            for line in entry.lines.lines() {
                let (name, words) = line.split_once('\t').unwrap();
                assert!(meaning(name).is_some(), "{}: {line}", entry.code);
                for word in words.split('|') {
                    assert_eq!(plain(word), word, "{}", entry.code);
                }
            }
        }
    }

    #[test]
    fn a_region_may_have_an_order_of_its_own() {
        let order = |code| Language::by_code(code).map(|language| language.order);
        assert_eq!(order("en"), Some(Order::Mdy));
        assert_eq!(order("en-US"), Some(Order::Mdy));
        assert_eq!(order("en_GB"), Some(Order::Dmy));
        assert_eq!(order("de"), Some(Order::Dmy));
        assert_eq!(order("ja"), Some(Order::Ymd));
        assert_eq!(order("xx"), None);
    }
}
