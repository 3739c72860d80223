//! Figures as people read them.

use std::fmt::Display;

use jiff::Timestamp;

use crate::human::count;

/// A part of a whole: `97.2 %`, and never 0 or 100 for what is not.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_owned();
    }
    let share = part as f64 * 100.0 / whole as f64;
    match share {
        _ if part == 0 => "0 %".to_owned(),
        _ if part == whole => "100 %".to_owned(),
        ..0.1 => "< 0.1 %".to_owned(),
        99.9.. => "> 99.9 %".to_owned(),
        _ => format!("{share:.1} %"),
    }
}

/// A time to answer.
pub fn time(ms: u64) -> String {
    match ms {
        0 => "< 1 ms".to_owned(),
        1..1000 => format!("{ms} ms"),
        1000..60_000 if ms.is_multiple_of(1000) => format!("{} s", ms / 1000),
        1000..60_000 => format!("{:.1} s", ms as f64 / 1000.0),
        _ => format!("{} min", count(ms / 60_000)),
    }
}

/// A moment, in UTC.
pub fn moment(at_ms: i64, format: &str) -> impl Display {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    at.strftime(format).to_string()
}

/// `1 page`, `2 pages`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// Why a link was not taken on, in place of the word that summaries have for it.
pub fn left_out(reason: &str) -> &str {
    match reason {
        "domain" => "on another host",
        "rule" => "by the rules",
        "extension" => "a file, no page",
        "depth" => "too deep",
        "trap" => "looks like a trap",
        "private" => "a private address",
        "host_pages" => "its host had its share",
        other => other,
    }
}
