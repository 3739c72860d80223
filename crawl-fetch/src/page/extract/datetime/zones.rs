//! Zones by their names. Where a name stands for several, the one that most pages mean.

use jiff::tz::Offset;

/// Names in small letters, and minutes east of UTC; in the order of the names.
const ZONES: [(&str, i32); 111] = [
    ("acdt", 630),
    ("acst", 570),
    ("adt", -180),
    ("aedt", 660),
    ("aest", 600),
    ("aft", 270),
    ("akdt", -480),
    ("akst", -540),
    ("almt", 360),
    ("amt", 240),
    ("art", -180),
    ("ast", -240),
    ("awst", 480),
    ("azt", 240),
    ("bdt", 360),
    ("bnt", 480),
    ("bot", -240),
    ("brst", -120),
    ("brt", -180),
    ("bst", 60),
    ("btt", 360),
    ("cat", 120),
    ("cdt", -300),
    ("cedt", 120),
    ("cest", 120),
    ("cet", 60),
    ("chst", 600),
    ("clst", -180),
    ("clt", -240),
    ("cot", -300),
    ("cst", -360),
    ("cvt", -60),
    ("cxt", 420),
    ("eat", 180),
    ("ect", -300),
    ("edt", -240),
    ("eedt", 180),
    ("eest", 180),
    ("eet", 120),
    ("egst", 0),
    ("egt", -60),
    ("est", -300),
    ("et", -300),
    ("fet", 180),
    ("fjst", 780),
    ("fjt", 720),
    ("fkt", -240),
    ("galt", -360),
    ("get", 240),
    ("gft", -180),
    ("gmt", 0),
    ("gst", 240),
    ("gyt", -240),
    ("hadt", -540),
    ("hast", -600),
    ("hdt", -540),
    ("hkt", 480),
    ("hst", -600),
    ("ict", 420),
    ("idt", 180),
    ("irkt", 480),
    ("irst", 210),
    ("ist", 330),
    ("jst", 540),
    ("kgt", 360),
    ("krat", 420),
    ("kst", 540),
    ("mdt", -360),
    ("mest", 120),
    ("mesz", 120),
    ("met", 60),
    ("mez", 60),
    ("mmt", 390),
    ("msd", 240),
    ("msk", 180),
    ("mst", -420),
    ("mut", 240),
    ("mvt", 300),
    ("myt", 480),
    ("ndt", -150),
    ("npt", 345),
    ("nst", -210),
    ("nzdt", 780),
    ("nzst", 720),
    ("omst", 360),
    ("pdt", -420),
    ("pet", -300),
    ("pht", 480),
    ("pkt", 300),
    ("pst", -480),
    ("pt", -480),
    ("sast", 120),
    ("sgt", 480),
    ("sst", -660),
    ("tjt", 300),
    ("tmt", 300),
    ("trt", 180),
    ("ut", 0),
    ("utc", 0),
    ("uyt", -180),
    ("uzt", 300),
    ("vet", -240),
    ("vlat", 600),
    ("wast", 120),
    ("wat", 60),
    ("west", 60),
    ("wet", 0),
    ("wib", 420),
    ("wit", 540),
    ("wita", 480),
    ("z", 0),
];

/// The zone of this name.
pub fn by_name(name: &str) -> Option<Offset> {
    let place = ZONES.binary_search_by_key(&name, |(known, _)| known).ok()?;
    Offset::from_seconds(ZONES[place].1 * 60).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found() {
        for (name, minutes) in ZONES {
            assert_eq!(
                by_name(name).map(Offset::seconds),
                Some(minutes * 60),
                "{name}"
            );
        }
        assert_eq!(by_name("xyz"), None);
    }
}
