//! Durations and sizes as people write them.

use std::time::Duration;

/// Reads a duration as on the command line: `90s`, `20m`, `8h`, `7d`, `500ms`, several of them in
/// a row (`1h30m`), or a bare number of seconds; fractions are allowed.
///
/// # Errors
/// Says what a duration looks like.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("'{text}' is no duration (such as 500ms, 90s, 20m, 1h30m, 8h, 7d)");
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let (mut sum, mut rest, mut last) = (0.0, text, f64::INFINITY);
    loop {
        let (number, behind) = rest.split_at(rest.find(|c| !is_number(c)).unwrap_or(rest.len()));
        let (unit, behind) = behind.split_at(behind.find(is_number).unwrap_or(behind.len()));
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "" if number.len() == text.len() => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            _ => return Err(bad()),
        };
        let number: f64 = number.parse().map_err(|_| bad())?;
        // `30m1h` and `1h1h` are slips.
        if seconds >= last {
            return Err(bad());
        }
        sum += number * seconds;
        (rest, last) = (behind, seconds);
        if rest.is_empty() {
            return Duration::try_from_secs_f64(sum).map_err(|_| bad());
        }
    }
}

/// Reads a size in bytes as on the command line: `500K`, `32M`, `1G` (powers of 1024), or a
/// bare number.
///
/// # Errors
/// Says what a size looks like.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let (number, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let bytes = number.parse::<usize>().ok();
    let bytes = bytes.and_then(|number| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| format!("'{text}' is no size (such as 500K, 32M or 1G)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        assert_eq!(parse_size("500k"), Ok(500 << 10));
        assert_eq!(parse_size("32M"), Ok(32 << 20));
        assert_eq!(parse_size("3G"), Ok(3 << 30));
        assert_eq!(parse_size("7"), Ok(7));
        for bad in ["", "G", "-1G", "1.5M", "1T", "99999999999999999999G"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_read_as_people_write_them() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("3"), Ok(Duration::from_secs(3)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(
            parse_duration("1d2h3m4.5s"),
            Ok(Duration::from_millis(93_784_500))
        );
        assert_eq!(parse_duration("1s500ms"), Ok(Duration::from_millis(1500)));
        for bad in [
            "",
            "s",
            "1x",
            "-1s",
            "1.2.3s",
            "30m1h",
            "1h1h",
            "1h30",
            "1h 30m",
            "h30m",
            "9e99d",
            "99999999999999999999999d",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
