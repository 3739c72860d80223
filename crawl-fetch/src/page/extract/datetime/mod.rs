//! Dates and times as pages write them, made ISO 8601.
//!
//! [`plain`] makes the text comparable, [`language`] has the words, [`token`] cuts the text by
//! those of one language, [`relative`] and [`written`] read what that gives.

mod language;
mod moment;
mod plain;
mod relative;
mod time;
mod token;
mod written;
mod zones;

use jiff::civil::{DateTime, Time};
use jiff::fmt::strtime;
use jiff::fmt::temporal::Pieces;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

pub use language::Language;
use moment::Moment;
use token::Miss;

/// A longer text is no date.
const MAX_BYTES: usize = 100;

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

/// Reads a text in one of many forms. Its words are looked for in `languages`, or in all; so is
/// the order of a date of numbers alone, which is English otherwise. `now` is what "2 weeks ago"
/// counts from, and has the year of a date without one.
pub fn parse(text: &str, languages: &[Language], now: Timestamp) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_BYTES {
        return None;
    }
    let now = Offset::UTC.to_datetime(now);
    let read = |text: &str| {
        standard(text).or_else(|| match languages {
            [] => in_words(text, Language::all(), now),
            some => in_words(text, some.iter().copied(), now),
        })
    };
    let moment = read(text).or_else(|| read(&with_colon(text)?));
    moment.map(|moment| moment.iso())
}

/// "5. mars 2024 kl. 18.11": a time at the end behind a year, as Scandinavians, Finns and many
/// Germans write it, with a colon.
fn with_colon(text: &str) -> Option<String> {
    let (before, unit) = match text.strip_suffix("Uhr") {
        Some(before) => (before.trim_end(), " Uhr"),
        None => (text, ""),
    };
    let (date, time) = before.rsplit_once(char::is_whitespace)?;
    let (hour, minute) = time.split_once('.')?;
    let is_number = |text: &str, most: u8| text.parse::<u8>().is_ok_and(|number| number < most);
    let mut words = date.split(|c: char| !c.is_ascii_digit());
    let is_time = minute.len() == 2 && is_number(hour, 24) && is_number(minute, 60);
    (is_time && words.any(|digits| digits.len() == 4))
        .then(|| format!("{date} {hour}:{minute}{unit}"))
}

/// ISO 8601 and Unix time.
fn standard(text: &str) -> Option<Moment> {
    if let Some(timestamp) = unix(text) {
        return Some(Moment {
            time: Offset::UTC.to_datetime(timestamp),
            offset: Some(Offset::UTC),
        });
    }
    // "2026-01-31 10:00", "2026-01-31T10:00:00+0100"
    let is_dashed = text.as_bytes().get(4) == Some(&b'-');
    let pieces = Pieces::parse(text).ok()?;
    if !is_dashed && pieces.offset().is_none() {
        return None;
    }
    Some(Moment {
        time: pieces.date().to_datetime(pieces.time().unwrap_or_default()),
        offset: pieces.to_numeric_offset(),
    })
}

/// Seconds, or thousandths or millionths of them, by the number of digits.
fn unix(text: &str) -> Option<Timestamp> {
    // Python writes parts of a second behind a point.
    let text = match text.split_once('.') {
        Some((whole, part)) if whole.len() == 10 && part.bytes().all(|b| b.is_ascii_digit()) => {
            whole
        }
        _ => text,
    };
    let number: i64 = if text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().ok()?
    } else {
        return None;
    };
    let time = match text.len() {
        10 => SignedDuration::from_secs(number),
        13 => SignedDuration::from_millis(number),
        16 => SignedDuration::from_micros(number),
        _ => return None,
    };
    Timestamp::from_duration(time).ok()
}

/// The first language that has all words of a text tells what it says.
fn in_words(
    text: &str,
    languages: impl Iterator<Item = Language>,
    now: DateTime,
) -> Option<Moment> {
    let text = plain::plain(without_zone_in_words(text));
    // Some language calls a day so; but "5h" is how old a post is.
    let is_age = matches!(
        text.as_bytes(),
        [b'0'..=b'9', b's' | b'm' | b'h' | b'd' | b'w' | b'y']
    );
    if text.len() < 3 && !is_age {
        return None;
    }
    for language in languages {
        let tokens = match token::tokens(&text, language.words()) {
            Ok(tokens) => tokens,
            Err(Miss::Word) => continue,
            Err(Miss::Time) => return None,
        };
        let read = relative::read(&tokens, now);
        if let Some(moment) = read.or_else(|| written::read(&tokens, language.order, now)) {
            return Some(moment);
        }
    }
    None
}

/// Leaves out the zone's name that JavaScript puts behind its number: "GMT+0100 (Central European
/// Standard Time)".
fn without_zone_in_words(text: &str) -> &str {
    let Some((before, name)) = text
        .strip_suffix(')')
        .and_then(|text| text.rsplit_once('('))
    else {
        return text;
    };
    let digits = before
        .trim_end()
        .rsplit(['+', '-'])
        .next()
        .unwrap_or_default();
    let is_offset = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit());
    if is_offset && !name.contains(|c: char| c.is_ascii_digit()) {
        before
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, languages: &[&str]) -> Option<String> {
        let now: Timestamp = "2026-11-22T12:30:00Z".parse().unwrap();
        let languages: Vec<Language> = languages
            .iter()
            .filter_map(|code| Language::by_code(code))
            .collect();
        parse(text, &languages, now)
    }

    #[track_caller]
    fn check(cases: &[(&str, &str)]) {
        for (text, want) in cases {
            assert_eq!(read(text, &[]).as_deref(), Some(*want), "{text}");
        }
    }

    #[test]
    fn dates_are_read_as_pages_write_them() {
        check(&[
            ("2024-02-24", "2024-02-24T00:00:00"),
            ("2024-02-24 10:05", "2024-02-24T10:05:00"),
            ("2024-02-24T10:05:06", "2024-02-24T10:05:06"),
            ("2024-02-24T10:05:06Z", "2024-02-24T10:05:06+00:00"),
            (
                "2024-02-24T10:05:06.5+01:00",
                "2024-02-24T10:05:06.500000+01:00",
            ),
            ("20240224", "2024-02-24T00:00:00"),
            ("2024-02-24 10.05", "2024-02-24T10:05:00"),
            ("24. februar 2024 kl. 10.05", "2024-02-24T10:05:00"),
            ("24.2.2024 klo 10.05", "2024-02-24T10:05:00"),
            ("24. Februar 2024, 10.05 Uhr", "2024-02-24T10:05:00"),
            ("February 24, 2024", "2024-02-24T00:00:00"),
            ("24th of Feb 2024 at 3:05 PM", "2024-02-24T15:05:00"),
            ("8:25 a.m. Dec. 12, 2014", "2014-12-12T08:25:00"),
            ("March 5, 2024 at noon", "2024-03-05T12:00:00"),
            ("20-Oct-14", "2014-10-20T00:00:00"),
            ("24/02/2024", "2024-02-24T00:00:00"),
            ("01/02/2024", "2024-01-02T00:00:00"),
            ("01.02.2024", "2024-02-01T00:00:00"),
            ("March 2024", "2024-03-01T00:00:00"),
            ("2024-03", "2024-03-01T00:00:00"),
            ("03/2024", "2024-03-01T00:00:00"),
            ("10 December", "2026-12-10T00:00:00"),
            ("Thursday", "2026-11-19T00:00:00"),
        ]);
    }

    #[test]
    fn every_language_has_its_words() {
        check(&[
            ("Di., 15. März 2024, 10:30 Uhr", "2024-03-15T10:30:00"),
            ("mercredi 1er août 2024 à 18h11", "2024-08-01T18:11:00"),
            ("mardi à midi", "2026-11-17T12:00:00"),
            ("mar, 5 de marzo de 2024 a las 18:11", "2024-03-05T18:11:00"),
            ("5 de marzo de 2024 6:11 de la tarde", "2024-03-05T18:11:00"),
            ("5 марта 2024 г. в 18:11", "2024-03-05T18:11:00"),
            ("sobota, 5 października 2024", "2024-10-05T00:00:00"),
            ("2024年3月5日(火) 18時11分", "2024-03-05T18:11:00"),
            ("2024/3/5 下午 06:11", "2024-03-05T18:11:00"),
            ("2024년 3월 5일 오후 6:11", "2024-03-05T18:11:00"),
            ("٥ مارس ٢٠٢٤", "2024-03-05T00:00:00"),
            ("5 Mart 2024 Salı", "2024-03-05T00:00:00"),
            ("dimarts, 5 de març de 2024", "2024-03-05T00:00:00"),
            ("5 d’abril de 2024 a les 18:11", "2024-04-05T18:11:00"),
            ("5 במרץ 2024", "2024-03-05T00:00:00"),
            ("ב-5 במרץ 2024 בשעה 18:11", "2024-03-05T18:11:00"),
            ("5 มีนาคม 2024", "2024-03-05T00:00:00"),
            ("ஞாயி 1 ஜூன் 1998", "1998-06-01T00:00:00"),
        ]);
    }

    #[test]
    fn zones_are_kept_by_number_and_by_name() {
        check(&[
            (
                "Sat, 24 Feb 2024 10:05:06 -0500",
                "2024-02-24T10:05:06-05:00",
            ),
            ("Mon Oct 20 13:08:00 CEST 2014", "2014-10-20T13:08:00+02:00"),
            ("March 5, 2024 6:11 PM EST", "2024-03-05T18:11:00-05:00"),
            ("20 Oct 2014 13:08 UTC+2", "2014-10-20T13:08:00+02:00"),
            (
                "Tue Mar 05 2024 18:11:00 GMT+0100 (Central European Standard Time)",
                "2024-03-05T18:11:00+01:00",
            ),
            ("2024-03-05T18:11:00+0100", "2024-03-05T18:11:00+01:00"),
            ("2024-03-05T18:11-05", "2024-03-05T18:11:00-05:00"),
            ("2024-03-05 18:11+01:00", "2024-03-05T18:11:00+01:00"),
            ("1709658660", "2024-03-05T17:11:00+00:00"),
            ("1709658660.5", "2024-03-05T17:11:00+00:00"),
            ("1709658660123", "2024-03-05T17:11:00.123000+00:00"),
        ]);
    }

    #[test]
    fn what_counts_from_now_is_counted() {
        check(&[
            ("yesterday", "2026-11-21T00:00:00"),
            ("tomorrow", "2026-11-23T00:00:00"),
            ("gestern, 18:11", "2026-11-21T18:11:00"),
            ("2 weeks ago", "2026-11-08T12:30:00"),
            ("an hour ago", "2026-11-22T11:30:00"),
            ("1.5 hours ago", "2026-11-22T11:00:00"),
            ("2 days, 3 hours ago", "2026-11-20T09:30:00"),
            ("3d ago", "2026-11-19T12:30:00"),
            ("last week", "2026-11-15T12:30:00"),
            ("5h", "2026-11-22T07:30:00"),
            ("2d", "2026-11-20T12:30:00"),
            ("last Monday", "2026-11-16T00:00:00"),
            ("last Sunday at 5 pm", "2026-11-15T17:00:00"),
            ("next Sunday", "2026-11-29T00:00:00"),
            ("next Monday", "2026-11-23T00:00:00"),
            ("Samedi dernier à 18h11", "2026-11-21T18:11:00"),
            ("lunes pasado", "2026-11-16T00:00:00"),
            ("in 2 days", "2026-11-24T12:30:00"),
            ("vor 2 Tagen", "2026-11-20T12:30:00"),
            ("il y a 2 heures", "2026-11-22T10:30:00"),
            ("3 дня назад", "2026-11-19T12:30:00"),
            ("3天前", "2026-11-19T12:30:00"),
            ("قبل يومين", "2026-11-20T00:00:00"),
            ("منذ يومين", "2026-11-20T00:00:00"),
            ("منذ ساعتين", "2026-11-22T10:30:00"),
        ]);
    }

    #[test]
    fn numbers_alone_are_ordered_as_the_language_does() {
        for (language, want) in [
            ("en", "2024-01-02"),
            ("en-GB", "2024-02-01"),
            ("fr", "2024-02-01"),
        ] {
            let got = read("01/02/2024", &[language]).unwrap();
            assert!(got.starts_with(want), "{language}: {got}");
        }
        assert_eq!(
            read("24/02/05", &["ja"]).as_deref(),
            Some("2024-02-05T00:00:00")
        );
        assert_eq!(read("15. März 2024", &["fr"]), None);
    }

    #[test]
    fn what_is_no_date_or_two_is_none() {
        for text in [
            "",
            "soon",
            "42",
            "is",
            "2024-13-45",
            "2024-25",
            "1999-2001",
            "2024 03",
            "5k",
            "Chapter 3",
            "Chapter 3 of 2024 pages",
            "99999999999 years ago",
            "1:2:3:4",
            "2024-03-05 25:00",
            "31 April 2024",
            "13/13/2024",
            "over 2 years ago",
            "2001 год",
            "July 13th - July 14th",
            "July 13-14",
            "13/14 July",
            "March 5 – March 7, 2024",
            "du 5 au 7 mars 2024",
            "5 or 6 March 2024",
            "2024-03-05 to 2024-03-07",
            "5 March 2024 10:00-11:00",
            "10:00 - 11:00",
        ] {
            assert_eq!(read(text, &[]), None, "{text}");
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
