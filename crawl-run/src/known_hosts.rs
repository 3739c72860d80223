//! `DATA_DIR/PROJECT/.hosts`: which hosts had to be asked through a proxy. It outlives the crawl, and
//! the crawls of the project share it. What it says ends after a week: then the host is asked
//! directly again, and one that still blocks costs a request to learn that.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use crawl_ckpt::control::KnownHost;
use crawl_ckpt::durable::{Disk, RealDisk, replace};
use crawl_ckpt::job::JobPlace;
use crawl_ckpt::lock::{JobLock, LockError};
use serde::{Deserialize, Serialize};

use crate::place::Place;

/// The version that is written, and the newest that is read.
const FORMAT: u32 = 1;

/// What was learned holds so long, in seconds.
const HOLDS_S: u64 = 7 * 24 * 60 * 60;

/// The newest so many are kept.
const MOST: usize = 10_000;

/// Another crawl that ends at the same time has the file for no longer than this.
const WAIT: Duration = Duration::from_secs(5);

const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// The file of a project.
#[derive(Debug)]
pub struct KnownHosts {
    file: PathBuf,
    lock: JobPlace,
}

/// What the file says.
#[derive(Debug, Serialize, Deserialize)]
struct Text {
    format: u32,
    hosts: BTreeMap<String, KnownHost>,
}

impl KnownHosts {
    /// That of a crawl's project.
    pub fn of(place: &Place) -> KnownHosts {
        let file = place.data_dir.join(&place.project).join(".hosts");
        KnownHosts {
            lock: JobPlace::at(&file),
            file,
        }
    }

    /// What holds now, by origin.
    ///
    /// # Errors
    /// In words: the file cannot be read, or was written by a newer version.
    pub fn read(&self) -> Result<BTreeMap<String, KnownHost>, String> {
        let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", self.file.display());
        let text = match RealDisk.read(&self.file) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(e) => return Err(wrong(&e)),
        };
        let text: Text = serde_json::from_slice(&text)
            .map_err(|e| wrong(&format_args!("{e}; removed, it begins anew")))?;
        if text.format > FORMAT {
            return Err(wrong(&format_args!("format {} is newer", text.format)));
        }
        Ok(what_holds(text.hosts, now_s()))
    }

    /// Adds what a crawl learned. Nothing is written when that is nothing.
    ///
    /// # Errors
    /// In words: as [`KnownHosts::read`]; the file cannot be written, or is not free.
    pub fn merge(&self, learned: &BTreeMap<String, KnownHost>) -> Result<(), String> {
        if learned.is_empty() {
            return Ok(());
        }
        let _lock = self.acquire().map_err(|e| e.to_string())?;
        let mut hosts = self.read()?;
        hosts.extend(learned.clone());
        let hosts = newest(what_holds(hosts, now_s()));
        let text = Text {
            format: FORMAT,
            hosts,
        };
        let mut text = serde_json::to_vec(&text).map_err(|e| e.to_string())?;
        text.push(b'\n');
        replace(&RealDisk, &self.file, &text).map_err(|e| format!("{}: {e}", self.file.display()))
    }

    fn acquire(&self) -> Result<JobLock, LockError> {
        let due = Instant::now() + WAIT;
        loop {
            match JobLock::acquire(&self.lock) {
                Err(LockError::Held { .. }) if Instant::now() < due => sleep(BETWEEN_TRIES),
                other => return other,
            }
        }
    }
}

fn now_s() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

fn what_holds(mut hosts: BTreeMap<String, KnownHost>, now_s: u64) -> BTreeMap<String, KnownHost> {
    // A clock that was wrong does not make it hold for ever.
    hosts
        .values_mut()
        .for_each(|host| host.learned_s = host.learned_s.min(now_s));
    hosts.retain(|_, host| now_s - host.learned_s < HOLDS_S);
    hosts
}

fn newest(hosts: BTreeMap<String, KnownHost>) -> BTreeMap<String, KnownHost> {
    if hosts.len() <= MOST {
        return hosts;
    }
    let mut hosts: Vec<_> = hosts.into_iter().collect();
    hosts.sort_by_key(|(_, host)| std::cmp::Reverse(host.learned_s));
    hosts.truncate(MOST);
    hosts.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    fn host(learned_s: u64) -> KnownHost {
        KnownHost {
            proxy: "datacenter".into(),
            why: "status 403".into(),
            learned_s,
            used: None,
        }
    }

    fn hosts(learned: &[(&str, u64)]) -> BTreeMap<String, KnownHost> {
        let hosts = learned.iter();
        hosts
            .map(|(origin, at)| ((*origin).to_owned(), host(*at)))
            .collect()
    }

    #[test]
    fn what_was_learned_holds_for_a_week_also_when_the_clock_was_wrong() {
        let now = 100 * HOLDS_S;
        let found = what_holds(
            hosts(&[
                ("old", now - HOLDS_S),
                ("new", now - HOLDS_S + 1),
                ("later", now + 5),
            ]),
            now,
        );
        assert_eq!(found, hosts(&[("new", now - HOLDS_S + 1), ("later", now)]));
    }

    #[test]
    fn crawls_add_to_what_others_learned_and_the_newest_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("p/.hosts");
        let known = KnownHosts {
            lock: JobPlace::at(&file),
            file,
        };
        assert_eq!(known.read(), Ok(BTreeMap::new()));
        known.merge(&BTreeMap::new()).unwrap();
        assert!(!known.file.exists());
        let now = now_s();
        known
            .merge(&hosts(&[("a", now - 9), ("b", now - 9)]))
            .unwrap();
        known.merge(&hosts(&[("b", now - 1)])).unwrap();
        assert_eq!(known.read(), Ok(hosts(&[("a", now - 9), ("b", now - 1)])));

        let many: BTreeMap<_, _> = (0..MOST).map(|n| (n.to_string(), host(now - 5))).collect();
        known.merge(&many).unwrap();
        let kept = known.read().unwrap();
        assert_eq!(kept.len(), MOST);
        assert!(kept.contains_key("b") && !kept.contains_key("a"));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_told_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(".hosts");
        for text in ["{\"format\":2,\"hosts\":{}}\n", "torn"] {
            fs::write(&file, text).unwrap();
            let known = KnownHosts {
                lock: JobPlace::at(&file),
                file: file.clone(),
            };
            let why = known.read().unwrap_err();
            assert!(why.contains(".hosts: "), "{why}");
            assert!(known.merge(&hosts(&[("a", now_s())])).is_err());
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_file_keeps_nobody_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(".hosts");
        let made = Command::new("mkfifo").arg(&file).status().unwrap();
        assert!(made.success());
        let known = KnownHosts {
            lock: JobPlace::at(&file),
            file,
        };
        assert!(known.read().is_err());
        assert!(known.merge(&hosts(&[("a", now_s())])).is_err());
    }
}
