//! What the robots.txt of hosts say, as a checkpoint keeps it: of each host a few bytes in memory, and the text, which
//! may be much, on a [shelf](Shelf).

mod shelf;

use std::collections::HashMap;
use std::fmt::Debug;
use std::io;

use crawl_ckpt::robots::Robots;
use crawl_ckpt::tool::Failure;
use serde::{Deserialize, Serialize};

pub use self::shelf::{BookId, Shelf};
use crate::schedule::{HostId, grow_by_quarters};
use crate::unnamed::{AsideRoom, MAKE_ROOM};

/// A longer Crawl-delay is taken for this.
const MAX_DELAY_MS: u16 = 60_000;

/// What a robots.txt says to us; what the checkpoint keeps of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SavedRules {
    /// The rules.
    pub robots: Robots,
    /// When they were fetched.
    pub fetched_ms: u64,
    /// The file was refused, which allows everything as long as the host is asked the same way.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
}

/// The same, with the rules on a shelf.
#[derive(Debug, Clone, Copy)]
pub struct KnownFile {
    /// When it was fetched.
    pub fetched_ms: u64,
    /// The rules.
    pub rules: Option<BookId>,
    /// The sitemaps that it names.
    pub sitemaps: Option<BookId>,
    /// The host's least delay, a minute at most.
    pub delay_ms: u16,
    /// It was refused.
    pub refused: bool,
}

impl KnownFile {
    /// Nothing is forbidden.
    pub fn free(fetched_ms: u64) -> KnownFile {
        KnownFile {
            fetched_ms,
            rules: None,
            sitemaps: None,
            delay_ms: 0,
            refused: false,
        }
    }

    /// Puts the rules on a shelf.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn shelve(saved: SavedRules, shelf: &mut Shelf) -> io::Result<KnownFile> {
        let wish = saved.robots.crawl_delay().unwrap_or_default().as_millis();
        let (common, own) = saved.robots.split();
        Ok(KnownFile {
            fetched_ms: saved.fetched_ms,
            rules: shelf.put(common)?,
            sitemaps: shelf.put(own)?,
            delay_ms: u16::try_from(wish).unwrap_or(u16::MAX).min(MAX_DELAY_MS),
            refused: saved.refused,
        })
    }

    /// What the checkpoint keeps of it.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn text(&self, shelf: &Shelf) -> io::Result<String> {
        let rules = shelf.look(self.rules)?;
        let robots = match self.sitemaps {
            None => (*rules).clone(),
            sitemaps => rules.join(&*shelf.look(sitemaps)?),
        };
        Ok(serde_json::to_string(&SavedRules {
            robots,
            fetched_ms: self.fetched_ms,
            refused: self.refused,
        })?)
    }
}

/// Who has the rules of hosts, for whoever writes them down.
pub trait HostRules: Debug {
    /// What the checkpoint keeps of a host's file; `None` when there is nothing to keep.
    ///
    /// # Errors
    /// Errors of the disk.
    fn saved(&self, host: HostId) -> io::Result<Option<String>>;
}

/// The rules of all hosts, as a journal or an image tells them.
#[derive(Debug, Default)]
pub struct KeptRules {
    shelf: Shelf,
    files: Vec<Option<KnownFile>>,
    /// Of hosts that are not met yet, by the fingerprint of their origin.
    early: HashMap<u128, KnownFile>,
    failure: Option<io::Error>,
    /// Nobody will ask for any.
    are_unwanted: bool,
}

impl KeptRules {
    /// None yet; how much of them may be in memory.
    pub fn within(room: Option<AsideRoom>) -> KeptRules {
        KeptRules {
            shelf: Shelf::within(room),
            ..KeptRules::default()
        }
    }

    /// None, whatever is told.
    pub fn none() -> KeptRules {
        KeptRules {
            are_unwanted: true,
            ..KeptRules::default()
        }
    }

    /// This is kept of a host's file now; nothing, when it cannot be read.
    pub fn keep(&mut self, host: HostId, saved: &[u8]) {
        let known = self.shelve(saved);
        self.put(host, known);
    }

    /// This, or nothing, is kept of the file of the host with this fingerprint, if it was met.
    pub fn tell(&mut self, fingerprint: u128, host: Option<HostId>, saved: Option<&[u8]>) {
        let known = saved.and_then(|saved| self.shelve(saved));
        match (host, known) {
            (Some(host), known) => {
                self.early.remove(&fingerprint);
                self.put(host, known);
            }
            (None, Some(known)) => drop(self.early.insert(fingerprint, known)),
            (None, None) => drop(self.early.remove(&fingerprint)),
        }
    }

    /// All hosts are met that ever will be.
    pub fn all_are_met(&mut self, find: impl Fn(u128) -> Option<HostId>) {
        for (fingerprint, known) in std::mem::take(&mut self.early) {
            if let Some(host) = find(fingerprint) {
                self.put(host, Some(known));
            }
        }
    }

    /// That nothing failed.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn check(&mut self) -> Result<(), Failure> {
        self.failure.take().map_or(Ok(()), |e| Err(failed(e)))
    }

    /// The shelf, and by host what lies on it.
    pub fn into_parts(self) -> (Shelf, Vec<Option<KnownFile>>) {
        (self.shelf, self.files)
    }

    fn put(&mut self, host: HostId, known: Option<KnownFile>) {
        let place = host.0 as usize;
        if self.files.len() <= place {
            if known.is_none() {
                return;
            }
            grow_by_quarters(&mut self.files, place + 1);
            self.files.resize(place + 1, None);
        }
        self.files[place] = known;
    }

    fn shelve(&mut self, saved: &[u8]) -> Option<KnownFile> {
        if self.are_unwanted {
            return None;
        }
        let saved = serde_json::from_slice(saved).ok()?;
        match KnownFile::shelve(saved, &mut self.shelf) {
            Ok(known) => Some(known),
            Err(e) => {
                self.failure.get_or_insert(e);
                None
            }
        }
    }
}

impl HostRules for KeptRules {
    fn saved(&self, host: HostId) -> io::Result<Option<String>> {
        let known = self.files.get(host.0 as usize).copied().flatten();
        known.map(|known| known.text(&self.shelf)).transpose()
    }
}

/// Why rules cannot be had, or kept.
pub fn failed(error: io::Error) -> Failure {
    let message = format_args!("cannot put rules of robots.txt aside: {error}");
    Failure::new(message).hint(MAKE_ROOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(n: u64) -> String {
        let text = format!("User-agent: *\nDisallow: /{n}\nSitemap: http://{n}.example/s\n");
        let robots = Robots::parse(&text, "x");
        let saved = SavedRules {
            robots,
            fetched_ms: n,
            refused: n.is_multiple_of(3),
        };
        serde_json::to_string(&saved).unwrap()
    }

    #[test]
    fn what_is_told_last_of_a_host_is_kept_whenever_it_is_met() {
        let dir = tempfile::tempdir().unwrap();
        let room = AsideRoom {
            dir: dir.path().to_owned(),
            bytes: 2_000,
        };
        let mut kept = KeptRules::within(Some(room));
        let met = |n: u128| (n >= 100).then_some(HostId(n as u32));
        for round in 1..4 {
            for n in 0..200 {
                let text = saved(n as u64 * 7 + round);
                // Those of every fifth are forgotten again.
                let text = (round < 3 || n % 5 > 0).then_some(text.as_bytes());
                kept.tell(n, met(n), text);
            }
        }
        kept.tell(7, None, Some(b"not the rules of anybody"));
        kept.all_are_met(|n| Some(HostId(n as u32)));
        kept.check().unwrap();
        for n in 0..200 {
            let told = kept.saved(HostId(n)).unwrap();
            let expected = (n % 5 > 0 && n != 7).then(|| saved(u64::from(n) * 7 + 3));
            assert_eq!(told, expected, "{n}");
        }
    }

    #[test]
    fn who_asks_for_none_keeps_none() {
        for (mut kept, count) in [(KeptRules::none(), 0), (KeptRules::default(), 2)] {
            kept.keep(HostId(3), saved(1).as_bytes());
            kept.tell(4, None, Some(saved(2).as_bytes()));
            kept.all_are_met(|n| Some(HostId(n as u32)));
            let files = kept.into_parts().1;
            assert_eq!(files.iter().flatten().count(), count);
        }
    }

    #[test]
    fn a_file_takes_little_of_a_host() {
        assert!(size_of::<Option<KnownFile>>() <= 24);
    }
}
