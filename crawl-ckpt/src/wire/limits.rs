//! Limits and defaults, each once: the command lines and their help, the reader of spider files and
//! its schema take them from here. Bounds are part of what is allowed.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use crate::tool::{parse_duration, parse_size};

/// What a value may be, and what it is when nobody says.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit<T> {
    /// From the least to the most.
    pub within: RangeInclusive<T>,
    /// Within the bounds.
    pub default: T,
}

const fn limit<T>(within: RangeInclusive<T>, default: T) -> Limit<T> {
    Limit { within, default }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const DAY: Duration = seconds(86_400);

/// 31 years: as good as for ever, and still a time that can be added to a clock.
const AGES: Duration = seconds(1_000_000_000);

/// What is counted in milliseconds and must take some time.
const INSTANT: Duration = Duration::from_millis(1);

/// Requests at once, over all hosts.
pub const CONCURRENCY: Limit<u32> = limit(1..=100_000, 32);

/// Requests at once to one host.
pub const PER_HOST: Limit<u32> = limit(1..=100_000, 8);

/// Least time between the starts of two requests to a host.
pub const DELAY: Limit<Duration> = limit(Duration::ZERO..=DAY, Duration::ZERO);

/// The longest delay of a host that latency and errors make.
pub const MAX_DELAY: Limit<Duration> = limit(Duration::ZERO..=DAY, seconds(60));

/// Requests to a host that are under way on average, when its delay follows its latency.
pub const TARGET_CONCURRENCY: RangeInclusive<f64> = 0.01..=100_000.0;

/// For all of one request, its body included.
pub const TIMEOUT: Limit<Duration> = limit(INSTANT..=DAY, seconds(30));

/// For the name, the connection and the handshakes of a request.
pub const CONNECT_TIMEOUT: Limit<Duration> = limit(INSTANT..=DAY, seconds(10));

/// How long the oldest page of a parser may wait for its answer.
pub const PARSE_TIMEOUT: Limit<Duration> = limit(INSTANT..=DAY, seconds(60));

/// Copies of a parser at once.
pub const PARSE_JOBS: Limit<u32> = limit(1..=256, 1);

/// Pages in a browser at once.
pub const RENDER_TABS: Limit<u32> = limit(1..=64, 4);

/// How long a page may take in a browser.
pub const RENDER_TIMEOUT: Limit<Duration> = limit(INSTANT..=DAY, seconds(15));

/// Bytes of memory for a browser, all its processes together.
pub const RENDER_MEMORY: Limit<usize> = limit(256 << 20..=usize::MAX, 2 << 30);

/// What is waited for in a page in a browser, on its own clock.
pub const RENDER_WAIT: Limit<Duration> = limit(Duration::ZERO..=DAY, seconds(30));

/// Attempts at a request after the first.
pub const RETRIES: Limit<u32> = limit(0..=1000, 2);

/// Redirects in a chain.
pub const REDIRECTS: Limit<u32> = limit(0..=1000, 10);

/// Bytes of a decoded body. In a spider file 0 is the most.
pub const BODY_BYTES: Limit<usize> = limit(0..=1 << 30, 32 << 20);

/// Bytes of memory for pages under way.
pub const BODY_MEMORY: Limit<usize> = limit(0..=usize::MAX, 1 << 30);

/// Bytes of a WARC file, after which another one is begun.
pub const WARC_BYTES: Limit<u64> = limit(1..=1 << 40, 1_000_000_000);

/// Bytes of a URL; longer ones are traps, or no browser would follow them. In a spider file 0 is
/// the most.
pub const URL_BYTES: Limit<u32> = limit(0..=u32::MAX, 2083);

/// Link level; in a spider file 0 is no limit.
pub const DEPTH: Limit<u32> = limit(0..=u32::MAX, 0);

/// What a link's priority falls by for each level.
pub const DEPTH_PRIORITY: Limit<i64> = limit(-1000..=1000, 0);

/// Priority of a rule; beyond this it orders nothing that a person could mean.
pub const PRIORITY: Limit<i64> = limit(-1_000_000..=1_000_000, 0);

/// The status of an answer.
pub const STATUS: RangeInclusive<u16> = 100..=599;

/// Records of a run that a spider file may ask for; 0 is no limit.
pub const RUN_RECORDS: Limit<u32> = limit(0..=u32::MAX, 0);

/// The length of a run that a spider file may ask for; 0 is no limit.
pub const RUN_TIME: Limit<Duration> = limit(Duration::ZERO..=AGES, Duration::ZERO);

/// How long a pause waits for pages under way.
pub const GRACE: Limit<Duration> = limit(Duration::ZERO..=DAY, seconds(10));

/// How long a network that is gone is waited for.
pub const OUTAGE: Limit<Duration> = limit(Duration::ZERO..=AGES, seconds(600));

/// How long a fetcher may say nothing of a request and of its host.
pub const ANSWER_WITHIN: Limit<Duration> = limit(Duration::ZERO..=AGES, seconds(300));

/// More belong into a list, or are found by links.
pub const GENERATED_URLS: usize = 100_000;

/// Crawls of a batch at once.
pub const BATCH_JOBS: Limit<u32> = limit(1..=100_000, 4);

/// How often a crawl of a batch that failed is tried again.
pub const BATCH_RETRIES: Limit<u32> = limit(0..=1000, 2);

/// Partitions of a crawl that many machines share.
pub const PARTITIONS: Limit<u32> = limit(1..=512, 64);

/// Further copies of each commit in a store.
pub const COPIES: RangeInclusive<u32> = 0..=8;

/// Reads whole numbers of a command line.
pub fn count<T>(within: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + PartialOrd + Display + Clone,
{
    move |text| {
        let number = text.parse().ok().filter(|number| within.contains(number));
        number.ok_or_else(|| format!("expected a whole number {}", from_to(&within, T::clone)))
    }
}

/// Reads durations of a command line.
pub fn time(within: RangeInclusive<Duration>) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    move |text| {
        let time = Some(parse_duration(text)?).filter(|time| within.contains(time));
        time.ok_or_else(|| format!("expected a time {}", from_to(&within, |t| spelled_time(*t))))
    }
}

/// Reads sizes of a command line.
pub fn size(within: RangeInclusive<usize>) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| {
        let size = Some(parse_size(text)?).filter(|size| within.contains(size));
        size.ok_or_else(|| format!("expected a size {}", from_to(&within, |s| spelled_size(*s))))
    }
}

/// `from 1 to 9`.
pub(crate) fn from_to<T, D: Display>(
    within: &RangeInclusive<T>,
    spelled: impl Fn(&T) -> D,
) -> String {
    let (least, most) = (spelled(within.start()), spelled(within.end()));
    format!("from {least} to {most}")
}

/// A time as [`parse_duration`] reads it, in its largest whole unit. Help keeps it for the whole run.
pub fn spelled_time(time: Duration) -> &'static str {
    let millis = time.as_millis();
    let units = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
    ];
    let whole = units.iter().find(|(_, unit)| millis.is_multiple_of(*unit));
    let text = match whole {
        _ if time.is_zero() => return "0",
        Some((name, unit)) => format!("{}{name}", millis / unit),
        None => format!("{millis}ms"),
    };
    text.leak()
}

/// A size as [`parse_size`] reads it, in its largest whole unit. Help keeps it for the whole run.
pub fn spelled_size(bytes: usize) -> &'static str {
    let units = [("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)];
    let whole = units
        .iter()
        .find(|(_, unit)| bytes > 0 && bytes.is_multiple_of(*unit));
    let text = match whole {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    };
    text.leak()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spelled_reads_back() {
        for (time, want) in [
            (seconds(0), "0"),
            (Duration::from_millis(1500), "1500ms"),
            (seconds(30), "30s"),
            (seconds(600), "10m"),
            (seconds(3600), "1h"),
            (DAY, "1d"),
        ] {
            assert_eq!(spelled_time(time), want);
            assert_eq!(parse_duration(want), Ok(time));
        }
        for (size, want) in [(0, "0"), (1000, "1000"), (32 << 20, "32M"), (1 << 30, "1G")] {
            assert_eq!(spelled_size(size), want);
            assert_eq!(parse_size(want), Ok(size));
        }
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_and_the_bounds_are_named() {
        let read = count(PARSE_JOBS.within);
        assert_eq!((read("1"), read("256")), (Ok(1), Ok(256)));
        for bad in ["0", "257", "-1", "x", "", "1.5"] {
            assert_eq!(
                read(bad),
                Err("expected a whole number from 1 to 256".into())
            );
        }
        let read = time(TIMEOUT.within);
        assert_eq!((read("1ms"), read("24h")), (Ok(INSTANT), Ok(DAY)));
        for bad in ["0", "25h"] {
            assert_eq!(read(bad), Err("expected a time from 1ms to 1d".into()));
        }
        let read = size(BODY_BYTES.within);
        assert_eq!((read("0"), read("1G")), (Ok(0), Ok(1 << 30)));
        assert_eq!(read("2G"), Err("expected a size from 0 to 1G".into()));
    }
}
