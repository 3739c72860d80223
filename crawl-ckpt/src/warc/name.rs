//! Names of WARC files: `PREFIX-YYYYMMDDhhmmssmmm-SERIAL.warc.gz`, and `.open` behind that for as
//! long as the file is written.

use std::fmt;

use jiff::Timestamp;

const SUFFIX: &str = ".warc.gz";
const OPEN: &str = ".open";
/// Digits of a time down to milliseconds.
const STAMP: usize = 17;

/// True for what file names may begin with: letters, digits, `.`, `_` and `-`, a letter or digit
/// first, at most 100.
pub fn is_prefix(text: &str) -> bool {
    let first = text.bytes().next();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.len() <= 100
        && first.is_some_and(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().all(fits)
}

/// The name of a WARC file, under which it lies once it is whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileName {
    serial: u32,
    name: String,
}

impl FileName {
    /// A name for a file that is begun at this time, in milliseconds since 1970 UTC. Files of one
    /// crawl are numbered through. The prefix [fits](is_prefix).
    pub fn new(prefix: &str, at_ms: u64, serial: u32) -> FileName {
        let ms = i64::try_from(at_ms).unwrap_or(i64::MAX);
        let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
        let stamp = at.strftime("%Y%m%d%H%M%S");
        let ms = at_ms % 1000;
        let name = format!("{prefix}-{stamp}{ms:03}-{serial:05}{SUFFIX}");
        FileName { serial, name }
    }

    /// Reads a name in a directory; the second is true for a file that is still being written. `None`
    /// for any other name.
    pub fn parse(text: &str) -> Option<(FileName, bool)> {
        let (name, is_open) = match text.strip_suffix(OPEN) {
            Some(name) => (name, true),
            None => (text, false),
        };
        let (rest, serial) = name.strip_suffix(SUFFIX)?.rsplit_once('-')?;
        let (prefix, stamp) = rest.rsplit_once('-')?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if stamp.len() != STAMP || !digits(stamp) || serial.len() < 5 || !digits(serial) {
            return None;
        }
        if !is_prefix(prefix) {
            return None;
        }
        let serial = serial.parse().ok()?;
        let name = name.to_owned();
        Some((FileName { serial, name }, is_open))
    }

    /// The name, without `.open`.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The name while it is written.
    pub fn open(&self) -> String {
        format!("{}{OPEN}", self.name)
    }

    /// The number of the file among those of the crawl.
    pub fn serial(&self) -> u32 {
        self.serial
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back_and_no_other_does() {
        let name = FileName::new("shop-1.example", 1_795_694_532_007, 42);
        assert_eq!(
            name.as_str(),
            "shop-1.example-20261126120212007-00042.warc.gz"
        );
        assert_eq!(FileName::parse(name.as_str()), Some((name.clone(), false)));
        assert_eq!(FileName::parse(&name.open()), Some((name.clone(), true)));
        assert_eq!(name.serial(), 42);
        for other in [
            "shop-20261126120212007-00042.warc",
            "shop-2026112612021200-00042.warc.gz",
            "shop-20261126120212007-42.warc.gz",
            "shop-20261126120212007-0004x.warc.gz",
            "../x-20261126120212007-00042.warc.gz",
            "-20261126120212007-00042.warc.gz",
            "shop-20261126120212007-00042.warc.gz.open.open",
            "pages.warc.gz",
        ] {
            assert_eq!(FileName::parse(other), None, "{other}");
        }
    }
}
