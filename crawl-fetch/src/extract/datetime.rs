//! Dates and times as pages write them, made ISO 8601.

use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::{rfc2822, strtime};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Span, Timestamp, ToSpan};

/// A language whose names of months are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language(usize);

/// Codes, and the beginnings of the names of the months, accents left out.
const LANGUAGES: [(&str, [&str; 12]); 8] = [
    (
        "en",
        [
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    ),
    (
        "de",
        [
            "jan", "feb", "mar", "apr", "mai", "jun", "jul", "aug", "sep", "okt", "nov", "dez",
        ],
    ),
    (
        "fr",
        [
            "janv", "fev", "mars", "avr", "mai", "juin", "juil", "aou", "sep", "oct", "nov", "dec",
        ],
    ),
    (
        "es",
        [
            "ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic",
        ],
    ),
    (
        "it",
        [
            "gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic",
        ],
    ),
    (
        "pt",
        [
            "jan", "fev", "mar", "abr", "mai", "jun", "jul", "ago", "set", "out", "nov", "dez",
        ],
    ),
    (
        "nl",
        [
            "jan", "feb", "maart", "apr", "mei", "jun", "jul", "aug", "sep", "okt", "nov", "dec",
        ],
    ),
    (
        "sv",
        [
            "jan", "feb", "mars", "apr", "maj", "jun", "jul", "aug", "sep", "okt", "nov", "dec",
        ],
    ),
];

/// A longer text is no date.
const MAX_BYTES: usize = 100;

impl Language {
    /// By its code: `de`, `de-AT`.
    pub fn by_code(code: &str) -> Option<Language> {
        let code = code.split(['-', '_']).next()?.to_ascii_lowercase();
        let place = LANGUAGES.iter().position(|(known, _)| *known == code)?;
        Some(Language(place))
    }

    fn month(self, word: &str) -> Option<i8> {
        let months = &LANGUAGES[self.0].1;
        let place = months.iter().position(|begin| word.starts_with(begin))?;
        i8::try_from(place + 1).ok()
    }
}

/// A moment, with its distance from UTC where the page says it.
struct Moment {
    time: DateTime,
    offset: Option<Offset>,
}

impl Moment {
    /// `2026-01-31T00:00:00`, and `+01:00` behind it where that is known.
    fn iso(&self) -> String {
        let time = &self.time;
        let text = match time.subsec_nanosecond() {
            0 => format!("{time:.0}"),
            _ => format!("{time:.6}"),
        };
        match self.offset {
            None => text,
            Some(offset) => {
                let seconds = offset.seconds();
                let sign = if seconds < 0 { '-' } else { '+' };
                let minutes = seconds.abs() / 60;
                format!("{text}{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }
}

/// Whether a format makes sense.
///
/// # Errors
/// Says why not.
pub fn check_format(format: &str) -> Result<(), String> {
    let now = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    strtime::format(format, &now)
        .map(drop)
        .map_err(|e| e.to_string())
}

/// Reads a text by `strptime`'s rules.
pub fn by_format(text: &str, format: &str) -> Option<String> {
    let parts = strtime::parse(format, text).ok()?;
    let date = parts.to_date().ok()?;
    let time = parts.to_time().unwrap_or(Time::midnight());
    let moment = Moment {
        time: date.to_datetime(time),
        offset: parts.offset(),
    };
    Some(moment.iso())
}

/// Reads a text in one of many forms. A date of numbers alone has its month first, unless that
/// makes no sense; `now` is what "2 weeks ago" counts from.
pub fn parse(text: &str, languages: &[Language], now: Timestamp) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_BYTES {
        return None;
    }
    let moment = standard(text)
        .or_else(|| relative(text, now))
        .or_else(|| written(text, languages));
    moment.map(|moment| moment.iso())
}

/// ISO 8601 and RFC 2822.
fn standard(text: &str) -> Option<Moment> {
    if let Ok(parts) = strtime::BrokenDownTime::parse("%Y-%m-%dT%H:%M:%S%.f%:z", text) {
        let offset = parts.offset();
        let time = parts.to_datetime().ok()?;
        return Some(Moment { time, offset });
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(utc(timestamp));
    }
    // "2026-01-31 10:00", "2026-01-31T10:00"
    if let Ok(time) = text.parse::<DateTime>() {
        return Some(Moment { time, offset: None });
    }
    let zoned = rfc2822::DateTimeParser::new().parse_zoned(text).ok()?;
    Some(Moment {
        time: zoned.datetime(),
        offset: Some(zoned.offset()),
    })
}

fn utc(timestamp: Timestamp) -> Moment {
    Moment {
        time: Offset::UTC.to_datetime(timestamp),
        offset: Some(Offset::UTC),
    }
}

/// "yesterday", "2 weeks ago", "an hour ago".
fn relative(text: &str, now: Timestamp) -> Option<Moment> {
    let text = text.to_lowercase();
    let now = Offset::UTC.to_datetime(now);
    let day = |days: i64| {
        let date = now.date().checked_sub(days.days()).ok()?;
        let time = date.to_datetime(Time::midnight());
        Some(Moment { time, offset: None })
    };
    match &*text {
        "now" | "just now" => {
            return Some(Moment {
                time: now,
                offset: None,
            });
        }
        "today" => return day(0),
        "yesterday" => return day(1),
        _ => {}
    }
    let mut words = text.strip_suffix(" ago")?.split_whitespace();
    let number = match words.next()? {
        "a" | "an" | "one" => 1,
        word => word.parse::<u32>().ok()?,
    };
    let unit = words.next().filter(|_| words.clone().next().is_none())?;
    let number = i64::from(number);
    let time = match unit.trim_end_matches('s') {
        "second" | "sec" => now.checked_sub(SignedDuration::from_secs(number)),
        "minute" | "min" => now.checked_sub(SignedDuration::from_secs(number * 60)),
        "hour" | "hr" | "h" => now.checked_sub(SignedDuration::from_secs(number * 3600)),
        "day" => now.checked_sub(Span::new().try_days(number).ok()?),
        "week" => now.checked_sub(Span::new().try_weeks(number).ok()?),
        "month" => now.checked_sub(Span::new().try_months(number).ok()?),
        "year" => now.checked_sub(Span::new().try_years(number).ok()?),
        _ => return None,
    };
    Some(Moment {
        time: time.ok()?,
        offset: None,
    })
}

/// "February 24, 2024", "15. März 2024, 10:30 Uhr", "24/02/2024".
fn written(text: &str, languages: &[Language]) -> Option<Moment> {
    let text = plain(text);
    let (text, time) = without_time(&text);
    let all: Vec<Language> = (0..LANGUAGES.len()).map(Language).collect();
    let languages = if languages.is_empty() {
        &all
    } else {
        languages
    };
    let mut numbers: Vec<&str> = Vec::new();
    let mut month = None;
    for word in text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
    {
        let digits = word.trim_end_matches(char::is_alphabetic);
        let suffix = &word[digits.len()..];
        let ordinal = matches!(suffix, "" | "st" | "nd" | "rd" | "th" | "er" | "e");
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) && ordinal {
            numbers.push(digits);
        } else if let Some(found) = languages.iter().find_map(|one| one.month(word)) {
            if month.replace(found).is_some_and(|before| before != found) {
                return None;
            }
        } else if !is_filler(word) {
            return None;
        }
    }
    let date = match (month, &numbers[..]) {
        (Some(month), [one, other]) => {
            let (day, year) = if one.len() == 4 {
                (other, one)
            } else {
                (one, other)
            };
            date(year, month, day)
        }
        (Some(month), [year]) if year.len() == 4 => date(year, month, "1"),
        (None, [year, month, day]) if year.len() == 4 => date(year, month.parse().ok()?, day),
        (None, [first, second, year]) => {
            let (first_number, second_number) = (first.parse().ok()?, second.parse().ok()?);
            let dotted = text.contains(&format!("{first}.{second}"));
            let month_first = date(year, first_number, second).filter(|_| !dotted);
            month_first.or_else(|| date(year, second_number, first))
        }
        _ => None,
    }?;
    let time = date.to_datetime(time.unwrap_or(Time::midnight()));
    Some(Moment { time, offset: None })
}

fn date(year: &str, month: i8, day: &str) -> Option<Date> {
    let year: i16 = match (year.len(), year.parse().ok()?) {
        (4, year) => year,
        (2, year @ 0..=68) => 2000 + year,
        (2, year) => 1900 + year,
        _ => return None,
    };
    Date::new(year, month, day.parse().ok()?).ok()
}

/// Small letters without accents.
fn plain(text: &str) -> String {
    let letter = |c: char| match c {
        'á' | 'à' | 'â' | 'ä' | 'ã' => 'a',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'í' | 'î' | 'ï' => 'i',
        'ó' | 'ô' | 'ö' | 'õ' => 'o',
        'ú' | 'û' | 'ü' => 'u',
        'ç' => 'c',
        other => other,
    };
    text.to_lowercase().chars().map(letter).collect()
}

/// Words that stand beside a date and say nothing of it.
fn is_filler(word: &str) -> bool {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let day = |begin: &&str| word.starts_with(*begin) && (word.ends_with("day") || word.len() <= 5);
    matches!(
        word,
        "of" | "at" | "on" | "the" | "de" | "del" | "um" | "uhr" | "le" | "a" | "den"
    ) || DAYS.iter().any(day)
}

/// Takes a time such as `10:30`, `10:30:15` or `3:05 pm` out of a text.
fn without_time(text: &str) -> (String, Option<Time>) {
    let Some(colon) = text.find(':') else {
        return (text.to_owned(), None);
    };
    let digit = |c: char| c.is_ascii_digit();
    let start = text[..colon].trim_end_matches(digit).len();
    let rest = &text[colon..];
    let end = colon
        + rest
            .find(|c: char| c != ':' && !digit(c))
            .unwrap_or(rest.len());
    let mut parts = text[start..end].split(':').map(str::parse::<i8>);
    let mut next = || parts.next().transpose().ok();
    let (Some(Some(hour)), Some(Some(minute)), Some(second)) = (next(), next(), next()) else {
        return (text.to_owned(), None);
    };
    let behind = text[end..].trim_start();
    let (hour, behind) = if let Some(rest) = behind.strip_prefix("pm") {
        (if hour < 12 { hour + 12 } else { hour }, rest)
    } else if let Some(rest) = behind.strip_prefix("am") {
        (hour % 12, rest)
    } else {
        (hour, behind)
    };
    let time = Time::new(hour, minute, second.unwrap_or(0), 0).ok();
    (format!("{} {behind}", &text[..start]), time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<String> {
        let now: Timestamp = "2026-11-22T12:30:00Z".parse().unwrap();
        parse(text, &[], now)
    }

    #[test]
    fn dates_are_read_as_pages_write_them() {
        for (text, want) in [
            ("2024-02-24", "2024-02-24T00:00:00"),
            ("2024-02-24 10:05", "2024-02-24T10:05:00"),
            ("2024-02-24T10:05:06", "2024-02-24T10:05:06"),
            ("2024-02-24T10:05:06Z", "2024-02-24T10:05:06+00:00"),
            (
                "2024-02-24T10:05:06.5+01:00",
                "2024-02-24T10:05:06.500000+01:00",
            ),
            (
                "Sat, 24 Feb 2024 10:05:06 -0500",
                "2024-02-24T10:05:06-05:00",
            ),
            ("February 24, 2024", "2024-02-24T00:00:00"),
            ("24th of Feb 2024 at 3:05 PM", "2024-02-24T15:05:00"),
            ("Saturday, February 24, 2024", "2024-02-24T00:00:00"),
            ("15. März 2024, 10:30 Uhr", "2024-03-15T10:30:00"),
            ("1er août 2024", "2024-08-01T00:00:00"),
            ("15 de marzo de 2024", "2024-03-15T00:00:00"),
            ("24/02/2024", "2024-02-24T00:00:00"),
            ("01/02/2024", "2024-01-02T00:00:00"),
            ("01.02.2024", "2024-02-01T00:00:00"),
            ("March 2024", "2024-03-01T00:00:00"),
            ("yesterday", "2026-11-21T00:00:00"),
            ("2 weeks ago", "2026-11-08T12:30:00"),
            ("an hour ago", "2026-11-22T11:30:00"),
        ] {
            assert_eq!(at(text).as_deref(), Some(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "soon",
            "42",
            "2024-13-45",
            "Chapter 3 of 2024 pages",
            "99999999999 years ago",
            "1:2:3:4",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn a_format_decides_alone() {
        assert_eq!(
            by_format("24.02.2024", "%d.%m.%Y").as_deref(),
            Some("2024-02-24T00:00:00")
        );
        assert_eq!(by_format("2024-02-24", "%d.%m.%Y"), None);
        let with_zone = by_format("2024-02-24 10:05 +0200", "%Y-%m-%d %H:%M %z");
        assert_eq!(with_zone.as_deref(), Some("2024-02-24T10:05:00+02:00"));
        assert!(check_format("%d.%m.%Y").is_ok());
        assert!(check_format("%d %").is_err());
    }
}
