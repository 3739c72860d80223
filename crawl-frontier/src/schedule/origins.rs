//! The origins of hosts, one behind the other: an allocation each would cost as much as all else that is
//! known of a host.

/// A chunk has so many bytes; more when one origin has.
const CHUNK: usize = 4 << 20;
/// Origins begin at multiples of this, so that 32 bits tell 16 GiB apart.
const UNIT: usize = 4;
const UNITS: usize = CHUNK / UNIT;
/// What an origin begins with takes one byte.
const SCHEMES: [&str; 3] = ["https://", "http://", ""];
/// A longer rest has its length in four more bytes.
const LONG: u8 = u8::MAX;

/// Texts that stay.
#[derive(Debug, Default)]
pub struct Origins {
    chunks: Vec<Vec<u8>>,
}

impl Origins {
    /// Keeps an origin. Gives its place.
    ///
    /// # Panics
    /// Beyond 16 GiB of origins: what else there is of so many hosts takes ten times as much.
    pub fn push(&mut self, origin: &str) -> u32 {
        let begins = |scheme: &&str| origin.starts_with(scheme);
        let scheme = SCHEMES.iter().position(begins).unwrap_or_default();
        let rest = &origin.as_bytes()[SCHEMES[scheme].len()..];
        let len = rest.len() + 6;
        let last = self.chunks.last();
        if last.is_none_or(|last| last.len() + len + UNIT > CHUNK) {
            // The first one grows: most crawls know a few hosts. The others are never moved.
            let room = if last.is_none() { 0 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(room));
        }
        let number = self.chunks.len() - 1;
        let chunk = &mut self.chunks[number];
        let place = number * UNITS + chunk.len() / UNIT;
        chunk.push(scheme as u8);
        match u8::try_from(rest.len()) {
            Ok(len) if len != LONG => chunk.push(len),
            _ => {
                chunk.push(LONG);
                chunk.extend_from_slice(&(rest.len() as u32).to_le_bytes());
            }
        }
        chunk.extend_from_slice(rest);
        chunk.resize(chunk.len().next_multiple_of(UNIT), 0);
        let place = u32::try_from(place);
        assert!(place.is_ok(), "more than 16 GiB of origins");
        place.unwrap_or_default()
    }

    /// The origin at a place.
    pub fn get(&self, place: u32) -> String {
        let (scheme, rest) = self.parts(place);
        [scheme, rest].concat()
    }

    /// The same as two texts that follow each other: what it begins with, and the rest.
    pub fn parts(&self, place: u32) -> (&'static str, &str) {
        let (number, at) = (place as usize / UNITS, place as usize % UNITS * UNIT);
        let kept = &self.chunks[number][at..];
        let (len, rest) = match (kept[1], kept[2..].split_first_chunk()) {
            (LONG, Some((len, rest))) => (u32::from_le_bytes(*len) as usize, rest),
            (len, _) => (len.into(), &kept[2..]),
        };
        // It was text when it came.
        let rest = std::str::from_utf8(&rest[..len]).unwrap_or_default();
        (SCHEMES[usize::from(kept[0])], rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_origin_is_found_at_its_place() {
        let mut origins = Origins::default();
        let of = |n: usize| match n % 5 {
            0 => format!("http://a{n}.example:8{n}"),
            1 => format!("https://{}.example", "x".repeat(n % 600)),
            2 => "y".repeat(n % 300),
            3 if n % 2003 == 3 => format!("https://{}", "z".repeat(CHUNK + n)),
            _ => format!("https://h{n}.example"),
        };
        let places: Vec<u32> = (0..30_000).map(|n| origins.push(&of(n))).collect();
        for (n, place) in places.into_iter().enumerate() {
            assert_eq!(origins.get(place), of(n));
        }
        assert!(origins.chunks.len() > 3);
    }
}
