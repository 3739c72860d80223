//! When a cookie ends: dates as RFC 6265, 5.1.1 reads them, in any order and with anything
//! between their parts.

use std::borrow::Cow;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::tz::Offset;

/// A cookie that lives longer than HTTP's dates reach lives until then: in the year 9999.
const LATEST_S: i64 = 253_402_000_000;

const MONTHS: [&[u8]; 12] = [
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
];

/// A Set-Cookie header with every `Expires` in the form that all readers take. What is no date
/// is left out, as if it were not there.
pub fn normalized(header: &str) -> Cow<'_, str> {
    let is_expires = |part: &str| {
        let name = part.split('=').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case("expires")
    };
    if !header.split(';').skip(1).any(is_expires) {
        return Cow::Borrowed(header);
    }
    let mut parts = header.split(';');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mended = if is_expires(part) {
            let value = part.split_once('=').map_or("", |(_, value)| value);
            match parse(value).and_then(http_date) {
                Some(date) => format!(" Expires={date}"),
                None => continue,
            }
        } else {
            part.to_owned()
        };
        out.push(';');
        out.push_str(&mended);
    }
    Cow::Owned(out)
}

/// Seconds since 1970 as HTTP writes them.
pub fn http_date(seconds: i64) -> Option<String> {
    let time = Timestamp::from_second(seconds.min(LATEST_S)).ok()?;
    DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&time)
        .ok()
}

/// Seconds since 1970.
fn parse(value: &str) -> Option<i64> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for token in value.as_bytes().split(is_delimiter) {
        if time.is_none()
            && let Some(found) = clock(token)
        {
            time = Some(found);
        } else if day.is_none()
            && let Some(found) = number(token, 1..=2)
        {
            day = Some(found as i8);
        } else if month.is_none()
            && let Some(found) = named_month(token)
        {
            month = Some(found);
        } else if year.is_none()
            && let Some(found) = number(token, 2..=4)
        {
            year = Some(found);
        }
    }
    let year = match year? {
        year @ 70..=99 => 1900 + year,
        year @ 0..=69 => 2000 + year,
        year => year,
    };
    if year < 1601 {
        return None;
    }
    // Not a date when the month does not have this day.
    let date = Date::new(year, month?, day?).ok()?;
    let at = DateTime::from_parts(date, time?);
    let at = Offset::UTC.to_timestamp(at);
    Some(at.map_or(LATEST_S, Timestamp::as_second))
}

fn is_delimiter(byte: &u8) -> bool {
    matches!(byte, 0x09 | 0x20..=0x2f | 0x3b..=0x40 | 0x5b..=0x60 | 0x7b..=0x7e)
}

/// A number of so many digits at the start of a token.
fn number(token: &[u8], digits: std::ops::RangeInclusive<usize>) -> Option<i16> {
    let length = token
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let digits = digits.contains(&length).then_some(&token[..length])?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `hh:mm:ss`, each of one or two digits.
fn clock(token: &[u8]) -> Option<Time> {
    let mut parts = token.splitn(3, |byte| *byte == b':');
    let mut whole = || {
        let part = parts.next()?;
        let all_digits = part.iter().all(u8::is_ascii_digit);
        all_digits.then(|| number(part, 1..=2)).flatten()
    };
    let (hour, minute) = (whole()?, whole()?);
    let second = number(parts.next()?, 1..=2)?;
    // A time that no clock shows is no time, and so the whole is no date.
    let valid = hour < 24 && minute < 60 && second < 60;
    valid.then(|| Time::new(hour as i8, minute as i8, second as i8, 0).ok())?
}

fn named_month(token: &[u8]) -> Option<i8> {
    let start = token.get(..3)?;
    let found = MONTHS
        .iter()
        .position(|name| start.eq_ignore_ascii_case(name))?;
    Some(found as i8 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_in_any_order() {
        for text in [
            "Thu, 05 Mar 2020 03:04:05 GMT",
            "Thursday, 05-Mar-20 03:04:05 GMT",
            "Thu Mar  5 03:04:05 2020",
            "3:4:5 5th march,2020",
            "\"2020-mar-05 03:04:05.9 GMT+0100\"",
        ] {
            assert_eq!(parse(text), Some(1_583_377_445), "{text}");
        }
        for text in [
            "",
            "0",
            "tomorrow",
            "Thu, 30 Feb 2010 03:04:05",
            "05 Mar 2010 24:04:05",
            "05 Mar 2010",
            "05/01/2010 03:04:05",
            "05 Mar 1600 03:04:05",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("1-Jan-69 0:0:0"), Some(3_124_224_000));
        assert_eq!(parse("1-Jan-70 0:0:0"), Some(0));
        assert_eq!(parse("31 Dec 9999 23:59:59"), Some(LATEST_S));
    }

    #[test]
    fn only_the_date_of_a_header_changes() {
        let plain = "a=expires=1; Path=/";
        assert!(matches!(normalized(plain), Cow::Borrowed(same) if same == plain));
        assert_eq!(
            normalized("a=b;expires = 1 jan 1970 0:0:0 ; Path=/"),
            "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/"
        );
        assert_eq!(normalized("a=b; Expires=never; Path=/"), "a=b; Path=/");
        assert_eq!(normalized("a=b; Expires"), "a=b");
    }
}
