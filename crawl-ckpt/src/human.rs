//! Numbers, sizes and times as people read them.

use std::time::Duration;

/// `1234567` as `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `count` with its noun: `1 URL`, `2 URLs`.
pub fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// A size in powers of 1024: `812 B`, `1.5 KiB`, `20 MiB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut size = number as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        // 1023.95 would print as 1024.
        if size < 1023.5 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    if size < 9.95 {
        format!("{size:.1} {unit}")
    } else {
        format!("{size:.0} {unit}")
    }
}

/// A time span in its two largest units: `0.4s`, `12s`, `3m 05s`, `2h 07m`, `9d 3h`.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if time < Duration::from_secs(10) => format!("{:.1}s", time.as_secs_f64()),
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {:02}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes:02}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (number, want) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1234567, "1,234,567"),
        ] {
            assert_eq!(count(number), want);
        }
        assert_eq!(counted(1, "URL"), "1 URL");
        assert_eq!(counted(0, "URL"), "0 URLs");
    }

    #[test]
    fn sizes_have_two_or_three_digits() {
        for (number, want) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (20 << 20, "20 MiB"),
            ((1 << 30) - 1, "1.0 GiB"),
            (u64::MAX, "16777216 TiB"),
        ] {
            assert_eq!(bytes(number), want);
        }
    }

    #[test]
    fn spans_have_at_most_two_units() {
        for (seconds, want) in [
            (0.44, "0.4s"),
            (12.0, "12s"),
            (185.0, "3m 05s"),
            (7620.0, "2h 07m"),
            (788_400.0, "9d 3h"),
        ] {
            assert_eq!(span(Duration::from_secs_f64(seconds)), want);
        }
    }
}
