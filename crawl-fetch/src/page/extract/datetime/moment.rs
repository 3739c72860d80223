//! What a text is read as.

use jiff::civil::DateTime;
use jiff::tz::Offset;

/// A moment, with its distance from UTC where the page says it.
pub struct Moment {
    pub time: DateTime,
    /// That distance.
    pub offset: Option<Offset>,
}

impl Moment {
    /// `2026-01-31T00:00:00`, and `+01:00` behind it where that is known.
    pub fn iso(&self) -> String {
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
