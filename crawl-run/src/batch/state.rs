//! How far a batch is: a file of JSON lines beside its lock, one line for each thing that
//! became of an entry. The last line of an entry counts. A batch is over when a run has
//! told its end, which the last line of the file says: one that is killed after its last
//! entry is not begun anew, but ended by the same command.

use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use crawl_ckpt::durable::{Append, Disk, RealDisk, replace};
use crawl_ckpt::job::{JobPlace, Name};
use crawl_ckpt::lock::{Holder, JobLock};
use crawl_ckpt::mutex::lock;
use crawl_ckpt::tool::Failure;
use serde::{Deserialize, Serialize};

use super::list::Entry;
use super::record::{Record, Stage};
use super::tally::Tally;

/// The version of the file that is written, and the newest that is read.
const FORMAT: u32 = 1;

/// The first line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    format: u32,
    /// For people.
    list: String,
    begun_at: String,
}

/// The last line of a batch that is over.
#[derive(Debug, Serialize, Deserialize)]
struct Over {
    over_at: String,
}

/// What the file says.
#[derive(Debug, Default)]
pub struct Look {
    /// The entries, with the last that became of each.
    pub records: Vec<Record>,
    /// True when a run has told the end of the batch.
    pub is_over: bool,
}

/// Where the state of a list lies: it is named after the list's file, and a hash of its
/// path tells lists of one name apart; of one from stdin it is a hash of what it says.
#[derive(Debug, Clone)]
pub struct StatePlace {
    list: PathBuf,
    file: PathBuf,
    lock: JobPlace,
}

impl StatePlace {
    /// `DATA_DIR/<project>/.batch/`. `text` is that of a list without a file.
    pub fn of(list: &Path, text: Option<&str>, data_dir: &Path, project: &Name) -> StatePlace {
        let list = match text {
            Some(_) => PathBuf::from("stdin"),
            None => list.canonicalize().unwrap_or_else(|_| list.to_owned()),
        };
        let stem = list.file_stem().unwrap_or_default().to_string_lossy();
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let stem: String = stem.chars().take(40).map(plain).collect();
        let told = text.map_or(list.as_os_str().as_encoded_bytes(), str::as_bytes);
        let hash = blake3::hash(told).to_hex();
        let base = data_dir.join(project).join(".batch");
        let base = base.join(format!("{stem}-{}", &hash[..8]));
        StatePlace {
            file: crawl_ckpt::durable::beside(&base, ".jsonl"),
            lock: JobPlace::at(&base),
            list,
        }
    }

    /// Who runs the batch now.
    pub fn holder(&self) -> Option<Holder> {
        JobLock::probe(&self.lock)
    }

    /// What the file says; nothing when there is none.
    ///
    /// # Errors
    /// A file that cannot be read, or is of a newer version.
    pub fn look(&self) -> Result<Look, Failure> {
        let text = match RealDisk.read(&self.file) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Look::default()),
            other => other.map_err(|e| self.failure(&e))?,
        };
        let mut lines = text.split_inclusive(|b| *b == b'\n');
        let head = lines.next().unwrap_or_default();
        let read: Head = serde_json::from_slice(head).map_err(|e| self.failure(&e))?;
        if read.format != FORMAT {
            let why = format!("format {}, this tool knows {FORMAT}", read.format);
            return Err(self.failure(&why));
        }
        let mut look = Look::default();
        let mut index = HashMap::new();
        // The end of the last line may be missing after a crash.
        for line in lines.filter(|line| line.ends_with(b"\n")) {
            let Ok(record) = serde_json::from_slice::<Record>(line) else {
                look.is_over = serde_json::from_slice::<Over>(line).is_ok();
                break;
            };
            let key = (record.project.clone(), record.site.clone());
            match index.get(&key) {
                Some(at) => look.records[*at] = record,
                None => {
                    index.insert(key, look.records.len());
                    look.records.push(record);
                }
            }
        }
        Ok(look)
    }

    fn failure(&self, why: &dyn Display) -> Failure {
        let file = self.file.display();
        Failure::new(format_args!("cannot use the batch state {file}: {why}"))
            .hint("--restart begins the batch anew; the crawls' checkpoints stay")
    }
}

/// The state of a batch that this process runs. Its lock dies with the process.
#[derive(Debug)]
pub struct Store {
    kept: Mutex<Kept>,
    place: StatePlace,
    /// Held for as long as this lives.
    _lock: JobLock,
    /// True when an earlier run began this batch.
    pub resumed: bool,
}

#[derive(Debug)]
struct Kept {
    records: Vec<Record>,
    tally: Tally,
    file: Append,
    /// So much of it is durable.
    synced: u64,
}

impl Store {
    /// Opens the state of the list's batch, or begins a new one: when there is none, when the last
    /// one is over, or when it is to be restarted. `sweep` sees the records that were there, before
    /// any of them is forgotten.
    ///
    /// # Errors
    /// Another run holds the batch; those of the disk.
    pub fn open(
        place: StatePlace,
        entries: &[Entry],
        project: &Name,
        retries: u32,
        restart: bool,
        sweep: impl FnOnce(&[Record]),
    ) -> Result<Store, Failure> {
        let lock = JobLock::acquire(&place.lock)?;
        let before = match place.look() {
            Err(_) if restart => Look::default(),
            other => other?,
        };
        sweep(&before.records);
        let old = &before.records;
        let wanted: Vec<Record> = entries
            .iter()
            .map(|entry| Record {
                site: entry.site.clone(),
                project: entry.project.as_ref().unwrap_or(project).to_string(),
                job: None,
                stage: Stage::Waiting,
                failures: 0,
                records: 0,
                pending: 0,
                spent: 0,
                counted_at: 0,
                why: None,
            })
            .collect();
        let known: HashMap<_, _> = old.iter().map(|r| ((&r.project, &r.site), r)).collect();
        let kept = |record: &Record| known.get(&(&record.project, &record.site)).copied();
        let settled = |record: &Record| kept(record).is_some_and(|r| r.is_settled(retries));
        let is_over = before.is_over && wanted.iter().all(settled);
        let resumed = !restart && !old.is_empty() && !is_over;
        let records: Vec<Record> = if resumed {
            wanted
                .into_iter()
                .map(|record| kept(&record).cloned().unwrap_or(record))
                .collect()
        } else {
            wanted
        };
        let file = place.write(&records).map_err(|e| place.failure(&e))?;
        Ok(Store {
            kept: Mutex::new(Kept {
                tally: Tally::of(&records, retries),
                records,
                synced: file.len(),
                file,
            }),
            place,
            _lock: lock,
            resumed,
        })
    }

    /// A copy of all records, in the order of the list.
    pub fn records(&self) -> Vec<Record> {
        self.kept().records.clone()
    }

    /// What proxies cost an entry in this batch so far.
    pub fn spent(&self, at: usize) -> u64 {
        self.kept().records[at].spent
    }

    /// How many entries ended how.
    pub fn tally(&self) -> Tally {
        self.kept().tally
    }

    /// Changes the record of an entry, and gives it back. Durable when this returns.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn change(&self, at: usize, change: impl FnOnce(&mut Record)) -> Result<Record, Failure> {
        let (record, end) = self.note(at, change)?;
        // Whoever comes to it first syncs what all have written by then.
        let synced = self.kept().sync(end);
        synced.map_err(|e| self.place.failure(&e))?;
        Ok(record)
    }

    /// Notes that an entry has begun, with its job and what that had cost before. A power cut may forget that: its checkpoint
    /// tells the same.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn begin(&self, at: usize, job: PathBuf, cost: u64) -> Result<(), Failure> {
        let begun = self.note(at, |record| {
            record.stage = Stage::Running;
            record.job = Some(job);
            record.counted_at = cost;
        });
        begun.map(drop)
    }

    /// Writes the changed record, if it changed, and tells where the file ends.
    fn note(&self, at: usize, change: impl FnOnce(&mut Record)) -> Result<(Record, u64), Failure> {
        let mut kept = self.kept();
        let mut record = kept.records[at].clone();
        change(&mut record);
        if record != kept.records[at] {
            kept.append(&record).map_err(|e| self.place.failure(&e))?;
            let old = std::mem::replace(&mut kept.records[at], record.clone());
            kept.tally.replace(&old, &record);
        }
        Ok((record, kept.file.len()))
    }

    /// Notes that the batch is over: the same command begins a new one from now on.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn end(&self) -> Result<(), Failure> {
        let over_at = jiff::Timestamp::now().to_string();
        let mut kept = self.kept();
        let written = kept.append(&Over { over_at });
        let end = kept.file.len();
        let synced = written.and_then(|()| kept.sync(end));
        synced.map_err(|e| self.place.failure(&e))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }
}

impl Kept {
    fn append(&mut self, what: &impl Serialize) -> io::Result<()> {
        self.file.append(&line(what)?)
    }

    /// Makes all durable up to there.
    fn sync(&mut self, end: u64) -> io::Result<()> {
        if self.synced < end {
            self.file.sync()?;
            self.synced = self.file.len();
        }
        Ok(())
    }
}

impl StatePlace {
    /// Writes the file anew, which also drops superseded lines.
    fn write(&self, records: &[Record]) -> io::Result<Append> {
        let head = Head {
            format: FORMAT,
            list: self.list.to_string_lossy().into_owned(),
            begun_at: jiff::Timestamp::now().to_string(),
        };
        let mut bytes = line(&head)?;
        for record in records {
            bytes.extend(line(record)?);
        }
        RealDisk.create_dir_all(crawl_ckpt::durable::parent(&self.file))?;
        replace(&RealDisk, &self.file, &bytes)?;
        Append::open_private(&RealDisk, &self.file)
    }
}

fn line(what: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(what)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
pub mod testing {
    //! Records for tests.

    use super::{Record, Stage};

    /// Entries in these stages, each of which failed twice.
    pub fn records(stages: &[Stage]) -> Vec<Record> {
        let record = |stage: &Stage| Record {
            site: "s".into(),
            project: "p".into(),
            job: None,
            stage: *stage,
            failures: 2,
            records: 0,
            pending: 0,
            spent: 0,
            counted_at: 0,
            why: None,
        };
        stages.iter().map(record).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn entries(sites: &[&str]) -> Vec<Entry> {
        let entry = |site: &&str| Entry {
            site: (*site).into(),
            login: None,
            priority: 0,
            project: None,
        };
        sites.iter().map(entry).collect()
    }

    fn open(dir: &Path, sites: &[&str], restart: bool) -> Store {
        let project = Name::parse("p").unwrap();
        let place = StatePlace::of(&dir.join("l.csv"), None, dir, &project);
        Store::open(place, &entries(sites), &project, 1, restart, |_| {}).unwrap()
    }

    fn stages(store: &Store) -> Vec<Stage> {
        store.records().iter().map(|r| r.stage).collect()
    }

    #[test]
    fn a_batch_goes_on_where_it_was_until_nothing_is_left_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), &["a", "b"], false);
        assert!(!store.resumed);
        store.change(0, |r| r.stage = Stage::Done).unwrap();
        store.change(1, |r| r.stage = Stage::Running).unwrap();
        drop(store);
        // An entry that joined the list, and a line that a crash cut short.
        let batch = dir.path().join("p/.batch");
        let file = fs::read_dir(batch).unwrap().map(|e| e.unwrap().path());
        let file = file
            .filter(|p| p.extension().unwrap() == "jsonl")
            .last()
            .unwrap();
        let mut text = fs::read(&file).unwrap();
        text.extend(b"{\"site\":\"b\",\"project\":\"p\",\"stage\":\"do");
        fs::write(&file, text).unwrap();
        let store = open(dir.path(), &["b", "c", "a"], false);
        assert!(store.resumed);
        assert_eq!(
            stages(&store),
            [Stage::Running, Stage::Waiting, Stage::Done]
        );
        store.change(0, |r| r.stage = Stage::Parked).unwrap();
        for failures in [1, 2] {
            let fail = |r: &mut Record| (r.stage, r.failures) = (Stage::Failed, failures);
            store.change(1, fail).unwrap();
        }
        drop(store);
        // Nothing is left to do, but nobody has told the end.
        let store = open(dir.path(), &["b", "c", "a"], false);
        assert!(store.resumed);
        assert_eq!(stages(&store)[1..], [Stage::Failed, Stage::Done]);
        store.end().unwrap();
        drop(store);
        let store = open(dir.path(), &["b", "c", "a"], false);
        assert!(!store.resumed);
        assert_eq!(stages(&store), [Stage::Waiting; 3]);
    }

    #[test]
    fn a_batch_that_runs_is_held_and_a_restart_forgets() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), &["a", "b"], false);
        store.change(0, |r| r.stage = Stage::Done).unwrap();
        let project = Name::parse("p").unwrap();
        let place = StatePlace::of(&dir.path().join("l.csv"), None, dir.path(), &project);
        assert!(place.holder().is_some());
        let second = Store::open(place.clone(), &entries(&["a"]), &project, 1, false, |_| {});
        assert_eq!(second.unwrap_err().exit, crawl_ckpt::tool::Exit::Held);
        assert_eq!(place.look().unwrap().records[0].stage, Stage::Done);
        drop(store);
        assert_eq!(
            stages(&open(dir.path(), &["a", "b"], true)),
            [Stage::Waiting; 2]
        );
    }
}
