//! Times that count from now: "2 days, 3 hours ago", "yesterday at 5 pm".

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Span, ToSpan};

use super::language::{Meaning, Unit};
use super::moment::Moment;
use super::time::Clock;
use super::token::DateToken;

/// What a text says of a time that counts from now.
#[derive(Default)]
struct Reading {
    spans: Vec<(f64, Unit)>,
    /// 1 is forwards, -1 back.
    direction: Option<i8>,
    day: Option<RelativeDay>,
    is_now: bool,
    clock: Clock,
}

/// A day as it is named from today.
#[derive(Clone, Copy)]
enum RelativeDay {
    /// So many days away.
    Away(i32),
    /// The nearest of a weekday (1 is Monday) in a direction that is not today.
    Weekday(i8, i8),
}

impl RelativeDay {
    fn date(self, today: Date) -> Option<Date> {
        let days = match self {
            RelativeDay::Away(days) => i64::from(days),
            RelativeDay::Weekday(day, direction) => {
                let today = today.weekday().to_monday_one_offset();
                let direction = i64::from(direction);
                let ahead = direction * (i64::from(day) - i64::from(today));
                direction * ((ahead - 1).rem_euclid(7) + 1)
            }
        };
        today.checked_add(days.days()).ok()
    }
}

/// Reads the tokens of a text, all of which must say something of it.
pub fn read(tokens: &[DateToken<'_>], now: DateTime) -> Option<Moment> {
    let mut reading = Reading::default();
    // "yesterday at 18 h", "18時", but "18 h ago".
    let has = |what: fn(&Meaning) -> bool| {
        let mut words = tokens.iter();
        words.any(|token| matches!(token, DateToken::Word(all) if all.iter().any(what)))
    };
    let has_day = has(|meaning| {
        matches!(
            meaning,
            Meaning::Named(Unit::Day, _) | Meaning::NearWeekday(..)
        )
    });
    let has_hours = has(|meaning| *meaning == Meaning::Hours)
        && !has(|meaning| matches!(meaning, Meaning::Ago | Meaning::In));
    let has_day = has_day || has_hours;
    let has_ago = has(|meaning| *meaning == Meaning::Ago);
    let mut at = 0;
    while at < tokens.len() {
        at += reading.take(&tokens[at..], has_day, has_ago)?;
    }
    reading.moment(now)
}

impl Reading {
    /// Takes something off the front; how many tokens that were.
    fn take(&mut self, tokens: &[DateToken<'_>], has_day: bool, has_ago: bool) -> Option<usize> {
        if !has_day && let Some((number, count)) = number(tokens) {
            let Some(DateToken::Word(meanings)) = tokens.get(count) else {
                return None;
            };
            let directed = meanings.iter().find_map(|meaning| match meaning {
                Meaning::Directed(unit, direction) => Some((*unit, *direction)),
                _ => None,
            });
            let unit = meanings.iter().find_map(|meaning| match meaning {
                Meaning::Unit(unit) => Some(*unit),
                _ => None,
            });
            let unit = unit.or(directed.map(|(unit, _)| unit))?;
            self.direction = self.direction.or(directed.map(|(_, direction)| direction));
            self.spans.push((number, unit));
            return Some(count + 1);
        }
        match self.clock.take(tokens).ok()? {
            0 => {}
            count => return Some(count),
        }
        let meanings = match tokens[0] {
            DateToken::Word(meanings) => meanings,
            DateToken::Mark(mark) => return (mark != '-').then_some(1),
            _ => return None,
        };
        let says = |meaning: &&Meaning| **meaning != Meaning::Nothing;
        for meaning in meanings.iter().filter(says) {
            match *meaning {
                Meaning::Named(Unit::Day, days) if self.day.is_none() => {
                    self.day = Some(RelativeDay::Away(days));
                }
                Meaning::NearWeekday(day, direction) if self.day.is_none() => {
                    self.day = Some(RelativeDay::Weekday(day, direction));
                }
                Meaning::Named(unit, number) => {
                    self.spans.push((f64::from(number.abs()), unit));
                    self.direction = Some(if number < 0 { -1 } else { 1 });
                }
                Meaning::Now => self.is_now = true,
                Meaning::Ago => self.direction = Some(-1),
                Meaning::In => self.direction = self.direction.or(Some(1)),
                // "минуту назад"
                Meaning::Unit(unit) if has_ago && self.spans.is_empty() => {
                    self.spans.push((1.0, unit));
                }
                _ => continue,
            }
            return Some(1);
        }
        meanings.contains(&Meaning::Nothing).then_some(1)
    }

    fn moment(self, now: DateTime) -> Option<Moment> {
        let offset = self.clock.offset;
        if let Some(day) = self.day {
            if !self.spans.is_empty() {
                return None;
            }
            let date = day.date(now.date())?;
            let time = date.to_datetime(self.clock.time.unwrap_or(Time::midnight()));
            return Some(Moment { time, offset });
        }
        if self.spans.is_empty() && !self.is_now {
            return None;
        }
        // "2001 год" is a year, and no hours.
        if self.direction.is_none() && self.spans.iter().any(|(number, _)| *number >= 1000.0) {
            return None;
        }
        let sign = f64::from(self.direction.unwrap_or(-1));
        let in_days =
            |(_, unit): &(f64, Unit)| !matches!(unit, Unit::Second | Unit::Minute | Unit::Hour);
        let mut time = match self.clock.time {
            None => now,
            // "2 days ago, 11:00"
            Some(time) if self.spans.iter().all(in_days) => now.date().to_datetime(time),
            Some(_) => return None,
        };
        for (number, unit) in self.spans {
            time = step(time, number * sign, unit)?;
        }
        // "2014年" is no span.
        (time.year() > 1000).then_some(Moment { time, offset })
    }
}

fn step(time: DateTime, number: f64, unit: Unit) -> Option<DateTime> {
    let seconds = match unit {
        Unit::Second => 1.0,
        Unit::Minute => 60.0,
        Unit::Hour => 3600.0,
        Unit::Day => 86_400.0,
        Unit::Week => 604_800.0,
        Unit::Month | Unit::Year => {
            let whole = (number.fract() == 0.0 && number.abs() < 1e5).then_some(number as i64)?;
            let span = match unit {
                Unit::Month => Span::new().try_months(whole),
                _ => Span::new().try_years(whole),
            };
            return time.checked_add(span.ok()?).ok();
        }
    };
    let span = SignedDuration::try_from_secs_f64(number * seconds).ok()?;
    time.checked_add(span).ok()
}

/// `2`, `1.5`, `two`, and how many tokens that is.
fn number(tokens: &[DateToken<'_>]) -> Option<(f64, usize)> {
    if let [DateToken::Number { digits: whole, .. }, rest @ ..] = tokens {
        return match rest {
            [
                DateToken::Mark('.' | ','),
                DateToken::Number { digits: part, .. },
                ..,
            ] if whole.len() < 4 => Some((format!("{whole}.{part}").parse().ok()?, 3)),
            _ => Some((whole.parse().ok()?, 1)),
        };
    }
    let DateToken::Word(meanings) = tokens.first()? else {
        return None;
    };
    let number = meanings.iter().find_map(|meaning| match meaning {
        Meaning::Number(number) => Some(f64::from(*number)),
        _ => None,
    })?;
    // An article that nothing counts says nothing.
    let counts = |meaning: &Meaning| matches!(meaning, Meaning::Unit(_) | Meaning::Directed(..));
    let is_counted = matches!(tokens.get(1), Some(DateToken::Word(all)) if all.iter().any(counts));
    is_counted.then_some((number, 1))
}
