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

/// Reads a duration by which something is thrown away. It has a unit: who writes `7` there thinks of days.
///
/// # Errors
/// Says what a duration looks like.
pub fn parse_age(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(age) if !age.is_zero() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') => {
            Err(format!("'{text}' has no unit (such as {text}d)"))
        }
        age => age,
    }
}

/// Reads a size in bytes as on the command line: `500K`, `32M`, `1G` (powers of 1024, also with `B` or `iB`
/// behind), or a bare number.
///
/// # Errors
/// Says what a size looks like.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let (number, unit) = text.split_at(
        text.find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(text.len()),
    );
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => 64,
    };
    let bytes = number.parse::<usize>().ok();
    let bytes = bytes.and_then(|number| number.checked_mul(1_usize.checked_shl(shift)?));
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
        assert_eq!(parse_size("500KB"), Ok(500 << 10));
        assert_eq!(parse_size("1GiB"), Ok(1 << 30));
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

    #[test]
    fn an_age_has_a_unit() {
        assert_eq!(parse_age("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(parse_age("0"), Ok(Duration::ZERO));
        assert!(parse_age("7").is_err_and(|why| why.contains("7d")));
    }
}
