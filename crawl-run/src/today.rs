//! The date here, for the names of files.

use std::env;
use std::fs;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The zone of this machine; what its name is does not matter.
const HERE: &str = "/etc/localtime";

/// The date that it is here now.
pub fn today() -> Date {
    Timestamp::now().to_zoned(zone()).date()
}

/// As `TimeZone::system`, which looks through all directories of zones for the name of ours.
fn zone() -> TimeZone {
    if env::var_os("TZ").is_none()
        && let Ok(bytes) = fs::read(HERE)
        && let Ok(zone) = TimeZone::tzif("here", &bytes)
    {
        return zone;
    }
    TimeZone::system()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_zone_that_the_system_names() {
        for second in (0..2_000_000_000).step_by(86_400 * 91) {
            let time = Timestamp::from_second(second).unwrap();
            let system = TimeZone::system();
            assert_eq!(zone().to_offset(time), system.to_offset(time), "{time}");
        }
    }
}
