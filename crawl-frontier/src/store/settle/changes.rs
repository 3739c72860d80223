//! What changed of the values beside the queue, and how many requests of each host became fingerprints: of
//! millions of hosts more than there is room for.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::io;
use std::path::Path;

use crate::keys::HOST;
use crate::store::runs::{Merged, RunRecord, Runs};

/// What an entry of the map takes beside its key and its value, about.
const ENTRY_BYTES: usize = 120;

/// What became of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// So many more requests of a host are fingerprints now.
    Taken(u64),
    /// It has this value.
    Value(Vec<u8>),
    /// It has no value any more.
    Gone,
}

impl Fact {
    /// What a journal says that a key has. Of a host, that it was rewritten with so many requests as fingerprints.
    pub fn of(key: &str, value: &[u8]) -> Fact {
        if key.starts_with(HOST) {
            let taken = std::str::from_utf8(value).ok();
            Fact::Taken(taken.and_then(|taken| taken.parse().ok()).unwrap_or(0))
        } else {
            Fact::Value(value.to_owned())
        }
    }

    /// What comes of it and of what came later.
    pub fn then(self, later: Fact) -> Fact {
        match (self, later) {
            (Fact::Taken(one), Fact::Taken(more)) => Fact::Taken(one + more),
            (_, later) => later,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Fact::Value(value) => value.len(),
            Fact::Taken(_) | Fact::Gone => 0,
        }
    }
}

/// A key and what became of it. Hosts go before all other keys: a replay must know them first.
#[derive(Debug)]
pub struct Change {
    pub key: String,
    pub fact: Fact,
}

impl Change {
    pub fn new(key: &str, fact: Fact) -> Change {
        Change {
            key: key.to_owned(),
            fact,
        }
    }
}

/// Where a key has its place.
pub fn rank(key: &str) -> (bool, &str) {
    (!key.starts_with(HOST), key)
}

impl Ord for Change {
    fn cmp(&self, other: &Change) -> Ordering {
        rank(&self.key).cmp(&rank(&other.key))
    }
}

impl PartialOrd for Change {
    fn partial_cmp(&self, other: &Change) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Change {
    fn eq(&self, other: &Change) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Change {}

impl RunRecord for Change {
    fn write(&self, out: &mut Vec<u8>) {
        let taken;
        let (tag, value) = match &self.fact {
            Fact::Taken(count) => {
                taken = count.to_le_bytes();
                (0, &taken[..])
            }
            Fact::Value(value) => (1, &value[..]),
            Fact::Gone => (2, &[][..]),
        };
        out.push(tag);
        out.extend_from_slice(&(self.key.len() as u64).to_le_bytes());
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
        out.extend_from_slice(self.key.as_bytes());
        out.extend_from_slice(value);
    }

    fn read(bytes: &[u8]) -> Option<(Change, usize)> {
        let (&tag, rest) = bytes.split_first()?;
        let (key_len, rest) = rest.split_first_chunk()?;
        let (value_len, rest) = rest.split_first_chunk()?;
        let [key_len, value_len] =
            [*key_len, *value_len].map(|len| u64::from_le_bytes(len) as usize);
        let value = rest.get(key_len..key_len.checked_add(value_len)?)?;
        let fact = match tag {
            0 => Fact::Taken(u64::from_le_bytes(value.try_into().ok()?)),
            1 => Fact::Value(value.to_owned()),
            _ => Fact::Gone,
        };
        let key = String::from_utf8_lossy(&rest[..key_len]).into_owned();
        Some((Change { key, fact }, 17 + key_len + value_len))
    }
}

/// Changes by key, as they come.
#[derive(Debug)]
pub struct Changes {
    latest: HashMap<String, Fact>,
    bytes: usize,
    room: usize,
    aside: Runs<Change>,
    /// The key of a host, made anew for each.
    host_key: String,
}

impl Changes {
    /// None yet; about so many bytes of them are in memory at once, the others in this directory.
    pub fn new(dir: &Path, room: usize) -> Changes {
        Changes {
            latest: HashMap::new(),
            bytes: 0,
            room,
            aside: Runs::new(dir),
            host_key: String::new(),
        }
    }

    /// One more request of a host is a fingerprint.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn took(&mut self, origin: &str) -> io::Result<()> {
        let mut key = std::mem::take(&mut self.host_key);
        key.clear();
        key.push_str(HOST);
        key.push_str(origin);
        let noted = self.note(&key, Fact::Taken(1));
        self.host_key = key;
        noted
    }

    /// Something became of a key.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn note(&mut self, key: &str, fact: Fact) -> io::Result<()> {
        self.bytes += fact.bytes();
        if let Some(before) = self.latest.get_mut(key) {
            self.bytes -= before.bytes();
            *before = std::mem::replace(before, Fact::Gone).then(fact);
        } else {
            self.bytes += key.len() + ENTRY_BYTES;
            self.latest.insert(key.to_owned(), fact);
        }
        if self.bytes > self.room {
            self.put_aside()?;
        }
        Ok(())
    }

    #[cold]
    fn put_aside(&mut self) -> io::Result<()> {
        let piece = self.take_sorted();
        if !self.aside.put(piece.iter())? {
            // On such a disk it is as if nobody had said how much memory there is.
            self.room = usize::MAX;
            let piece = piece.into_iter();
            self.latest
                .extend(piece.map(|Change { key, fact }| (key, fact)));
            return Ok(());
        }
        self.bytes = 0;
        Ok(())
    }

    fn take_sorted(&mut self) -> Vec<Change> {
        let latest = self.latest.drain();
        let mut piece: Vec<Change> = latest.map(|(key, fact)| Change { key, fact }).collect();
        piece.sort_unstable();
        piece
    }

    /// All of them in order, each key once.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn sorted(mut self) -> io::Result<SortedChanges> {
        let last = self.take_sorted();
        // The map has room for as many.
        self.latest = HashMap::new();
        Ok(SortedChanges {
            merged: self.aside.merged(last)?,
        })
    }
}

/// Changes in order.
#[derive(Debug)]
pub struct SortedChanges {
    merged: Merged<Change>,
}

impl SortedChanges {
    /// The next one that has its place before this key, or any; `None` when there is none.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn next_before(&mut self, key: Option<&str>) -> io::Result<Option<Change>> {
        let is_before = |next: &Change| key.is_none_or(|key| rank(&next.key) < rank(key));
        let Some(mut change) = self.merged.next_if(is_before)? else {
            return Ok(None);
        };
        while let Some(later) = self.merged.next_if(|next| next.key == change.key)? {
            change.fact = change.fact.then(later.fact);
        }
        Ok(Some(change))
    }

    /// What became of this key, when it is the next one.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn next_of(&mut self, key: &str) -> io::Result<Option<Fact>> {
        let is_next = |next: &Change| next.key == key;
        let mut fact = None;
        while let Some(later) = self.merged.next_if(is_next)? {
            fact = Some(match fact {
                None => later.fact,
                Some(fact) => Fact::then(fact, later.fact),
            });
        }
        Ok(fact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_key_what_came_last_is_told_in_order_whatever_the_room() {
        for room in [0, 1_000, 10_000, usize::MAX] {
            let dir = tempfile::tempdir().unwrap();
            let mut changes = Changes::new(dir.path(), room);
            for round in 0..30_u64 {
                for host in 0..20 {
                    if (host + round) % 3 > 0 {
                        changes.took(&format!("http://h{host:02}.example")).unwrap();
                    }
                }
                let key = format!("cookies:{}", round % 7);
                let value = Fact::Value(round.to_string().into_bytes());
                changes.note(&key, value).unwrap();
                changes
                    .note("answered:a", Fact::Value(b"/".to_vec()))
                    .unwrap();
                if round % 5 == 0 {
                    changes.note(&key, Fact::Gone).unwrap();
                }
            }
            let mut sorted = changes.sorted().unwrap();
            for host in 0..20 {
                let Change { key, fact } = sorted.next_before(Some("answered:a")).unwrap().unwrap();
                assert_eq!(key, format!("host:http://h{host:02}.example"), "{room}");
                assert_eq!(fact, Fact::Taken(20), "{room}");
            }
            assert!(sorted.next_before(Some("answered:a")).unwrap().is_none());
            assert_eq!(sorted.next_of("answered:b").unwrap(), None);
            let value = |text: &str| Fact::Value(text.as_bytes().to_vec());
            assert_eq!(sorted.next_of("answered:a").unwrap(), Some(value("/")));
            let mut left = Vec::new();
            while let Some(Change { key, fact }) = sorted.next_before(None).unwrap() {
                left.push((key, fact));
            }
            let expected = [28, 29, 23, 24, 0, 26, 27].map(|round| match round {
                0 => Fact::Gone,
                round => value(&round.to_string()),
            });
            let expected = (0..7).map(|n| format!("cookies:{n}")).zip(expected);
            assert_eq!(left, expected.collect::<Vec<_>>(), "{room}");
        }
    }
}
