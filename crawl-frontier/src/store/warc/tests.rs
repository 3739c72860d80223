//! A crawl that keeps pages on a simulated disk, stopped and broken at every operation: what is found
//! then is each exchange of the last commit once, whole, where the record says, and not a byte more.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use crawl_ckpt::capture::SpoolPlace;
use crawl_ckpt::control::Progress;
use crawl_ckpt::durable::Append;
use crawl_ckpt::durable::sim::{Fault, SimDisk, Unsynced};
use crawl_ckpt::job::{Job, JobPlace, OUTPUT, OutputPlace};
use crawl_ckpt::journal::{Commit, Stored};
use crawl_ckpt::lock::JobLock;

use super::*;
use crate::store::{Log, OutputTo, Outputs, new_manifest};

/// What every exchange of the tests begins with: no *warcinfo* record has it.
const MARK: &[u8] = b"EXCHANGE";

/// A file holds about three exchanges of 60 to 300 bytes.
const MAX_SIZE: u64 = 900;

/// Where the crawl lies. The lock is a real file; all else is on the simulated disk.
struct Ground {
    place: JobPlace,
    lock: JobLock,
    output: PathBuf,
    dir: tempfile::TempDir,
}

/// How many exchanges there were at each commit that was attempted, from the first.
#[derive(Debug, Clone, Default)]
struct Model {
    attempted: Vec<usize>,
    /// So many commits were acknowledged.
    acknowledged: usize,
}

/// A crawl that runs.
struct Life {
    disk: Arc<dyn Disk>,
    ground: Arc<Ground>,
    model: Arc<Mutex<Model>>,
    log: Log,
    /// Exchanges so far.
    kept: usize,
    spool: (u64, u64),
}

impl Ground {
    fn new() -> Arc<Ground> {
        let dir = tempfile::tempdir().unwrap();
        let place = JobPlace::at(&dir.path().join("p/s/checkpoint"));
        Arc::new(Ground {
            lock: JobLock::acquire(&place).unwrap(),
            output: dir.path().join("p/s/crawls/out.jsonl"),
            place,
            dir,
        })
    }

    fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    fn warc_dir(&self) -> PathBuf {
        crawl_ckpt::job::warc_dir(&self.output)
    }
}

fn exchange(number: usize) -> Vec<u8> {
    // One is larger than a file may be.
    let size = if number == 7 {
        2000
    } else {
        60 + number * 97 % 240
    };
    let mut bytes = format!("EXCHANGE{number:06}:{size:06}:").into_bytes();
    bytes.resize(size, b'.');
    bytes
}

fn plan() -> plan::Plan {
    plan::Plan {
        warc: Some(plan::Warc {
            max_size: MAX_SIZE,
            ..plan::Warc::default()
        }),
        ..plan::Plan::default()
    }
}

impl Life {
    fn begin(
        disk: &SimDisk,
        ground: &Arc<Ground>,
        model: &Arc<Mutex<Model>>,
    ) -> Result<Life, Failure> {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let mut manifest = new_manifest()?;
        manifest.output = Some(OutputPlace::file(&ground.output, ground.data_dir()));
        manifest.keep_warc(OutputPlace::file(&ground.warc_dir(), ground.data_dir()));
        let mut job = Job::create(disk.clone(), &ground.place, &ground.lock, manifest)?;
        let outputs = Outputs::begin(&*disk, OutputTo::File(ground.output.clone()))?;
        let place = WarcPlace::begin(&*disk, ground.warc_dir(), ground.place.spool_dir())?;
        let end = job.replay(None, |_| Ok(()))?.mark;
        let writer = job.writer(&ground.lock, &end)?;
        let warc = Warc::begin(&disk, place, &plan())?;
        Ok(Life {
            log: Log::on_disk(writer, job.reader()?, outputs, None, Some(warc))?,
            disk,
            ground: Arc::clone(ground),
            model: Arc::clone(model),
            kept: 0,
            spool: (0, 0),
        })
    }

    /// Goes on as [`crate::open`] does.
    fn resume(
        disk: &SimDisk,
        ground: &Arc<Ground>,
        model: &Arc<Mutex<Model>>,
    ) -> Result<Option<Life>, Failure> {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let Some(mut job) = Job::open(disk.clone(), &ground.place)? else {
            return Ok(None);
        };
        let replayed = job.replay(None, |_| Ok(()))?;
        let commit = replayed.commit.unwrap_or_default();
        job.check_warc(&commit, ground.data_dir())?;
        let writer = job.writer(&ground.lock, &replayed.mark)?;
        let committed = commit.files.get(OUTPUT).copied().unwrap_or(0);
        let mut outputs = Outputs::default();
        let output = if disk.exists(&ground.output).unwrap() {
            Append::open(&*disk, &ground.output)
        } else {
            disk.create_dir_all(ground.output.parent().unwrap())
                .unwrap();
            Append::create(&*disk, &ground.output)
        };
        let mut output = output.map_err(Failure::new)?;
        output.cut_to(committed).map_err(Failure::new)?;
        outputs.add(OUTPUT, output);
        let place = WarcPlace::resume(&job, &commit, ground.data_dir())?;
        let warc = place.map(|place| Warc::begin(&disk, place, &plan()));
        let number = commit.at_ms as usize;
        // What was attempted in vain is attempted anew.
        model.lock().unwrap().attempted.truncate(number);
        let kept = kept_at(&model.lock().unwrap(), number);
        Ok(Some(Life {
            log: Log::on_disk(writer, job.reader()?, outputs, None, warc.transpose()?)?,
            disk,
            ground: Arc::clone(ground),
            model: Arc::clone(model),
            kept,
            spool: (0, 0),
        }))
    }

    /// Leaves an exchange in the spool, as the fetcher does.
    fn spool(&mut self) -> Result<SpoolPlace<'static>, Failure> {
        let bytes = exchange(self.kept);
        let name = format!("7-{}", self.spool.0);
        let path = self.ground.place.spool_dir().join(&name);
        let file = match self.spool.1 {
            0 => self.disk.create(&path),
            _ => self.disk.open(&path),
        };
        let written = file.and_then(|file| file.write_at(&bytes, self.spool.1));
        written.map_err(Failure::new)?;
        let place = SpoolPlace {
            file: name.into(),
            offset: self.spool.1,
            length: bytes.len() as u64,
        };
        self.kept += 1;
        self.spool.1 += place.length;
        if self.spool.1 > 1000 {
            self.spool = (self.spool.0 + 1, 0);
        }
        Ok(place)
    }

    /// One commit, of so many exchanges; every third of them has no record, and some tell of another one.
    fn commit(&mut self, exchanges: usize) -> Result<(), Failure> {
        for _ in 0..exchanges {
            let number = self.kept;
            let own = self.spool()?;
            let mut told = Spooled {
                file: own.file,
                offset: own.offset,
                length: own.length,
                response_length: own.length - 1,
                others: Vec::new(),
            };
            if number % 5 == 1 {
                told.others.push(self.spool()?);
            }
            let kept = self
                .log
                .warc()
                .unwrap()
                .keep(&told, 1_000_000 + number as u64);
            let kept = kept.map_err(Failure::new)?;
            if !number.is_multiple_of(3) {
                let url = format!("http://a/{number}");
                let stored = Stored {
                    url: &url,
                    ..Stored::default()
                };
                let ticket = self.log.request(&stored);
                let record = serde_json::to_string(&(number, &kept)).unwrap();
                self.log.finish(ticket.id(), false, Some(&record));
            }
        }
        let number = {
            let mut model = self.model.lock().unwrap();
            model.attempted.push(self.kept);
            model.attempted.len()
        };
        self.log.commit_now(number as u64, Progress::default())?;
        self.model.lock().unwrap().acknowledged = number;
        Ok(())
    }

    fn live(&mut self) -> Result<(), Failure> {
        for exchanges in [1, 0, 2, 6, 1, 9, 1] {
            self.commit(exchanges)?;
        }
        self.log.finish_warc()
    }
}

fn kept_at(model: &Model, commit: usize) -> usize {
    commit
        .checked_sub(1)
        .map_or(0, |index| model.attempted[index])
}

/// Looks at a disk after a stop, makes it whole, and looks whether it is.
fn judge(disk: &SimDisk, ground: &Arc<Ground>, model: &Model) {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let Some(job) = Job::open(shared, &ground.place).unwrap() else {
        assert_eq!(model.acknowledged, 0);
        return;
    };
    let commit = job.replay(None, |_| Ok(())).unwrap().commit;
    let commit = commit.unwrap_or_default();
    let number = commit.at_ms as usize;
    assert!(number >= model.acknowledged, "{number} {model:?}");
    if let Err(failure) = job.check_warc(&commit, ground.data_dir()) {
        panic!("{failure:?} {commit:?}");
    }
    let serial = job.settle_warc(&commit, ground.data_dir()).unwrap();
    is_whole(disk, ground, &commit, kept_at(model, number));
    // Done again it changes nothing.
    let before = disk.operations();
    assert_eq!(job.settle_warc(&commit, ground.data_dir()).unwrap(), serial);
    assert!(
        disk.operations() <= before + 1,
        "only the sync of the directory"
    );
    assert_eq!(
        job.check_warc(&commit, ground.data_dir())
            .map_err(|f| f.message),
        Ok(())
    );
}

/// The files hold each of the first exchanges once, and nothing else; the records say where.
fn is_whole(disk: &SimDisk, ground: &Ground, commit: &Commit, kept: usize) {
    let dir = ground.warc_dir();
    let names = disk.list(&dir).unwrap_or_default();
    let mut found: BTreeMap<usize, (String, u64)> = BTreeMap::new();
    let mut serials = Vec::new();
    for name in names {
        let name = name.into_string().unwrap();
        let (parsed, is_open) = FileName::parse(&name).unwrap();
        assert!(!is_open, "{name}");
        serials.push(parsed.serial());
        let bytes = disk.read(&dir.join(&name)).unwrap();
        assert_eq!(bytes[..2], [0x1f, 0x8b], "{name}");
        let mut at = bytes.windows(MARK.len()).position(|bytes| bytes == MARK);
        while let Some(start) = at.filter(|at| *at < bytes.len()) {
            let number: usize = std::str::from_utf8(&bytes[start + 8..start + 14])
                .unwrap()
                .parse()
                .unwrap();
            let want = exchange(number);
            assert_eq!(bytes[start..start + want.len()], want, "{name} at {start}");
            let before = found.insert(number, (format!("out-warc/{name}"), start as u64));
            assert_eq!(before, None, "exchange {number} is there twice");
            at = Some(start + want.len());
        }
    }
    let count = serials.len();
    serials.sort_unstable();
    serials.dedup();
    assert_eq!(serials.len(), count, "each file has a number of its own");
    assert!(
        found.keys().copied().eq(0..kept),
        "{:?}, not {kept}",
        found.keys()
    );
    let output = disk.read(&ground.output).unwrap_or_default();
    let committed = commit.files.get(OUTPUT).copied().unwrap_or(0);
    let text = std::str::from_utf8(&output[..committed as usize]).unwrap();
    let mut records = 0;
    for line in text.lines() {
        let (number, kept): (usize, Archived<'_>) = serde_json::from_str(line).unwrap();
        let lies_at = (kept.file.to_string(), kept.offset);
        assert_eq!(found.get(&number), Some(&lies_at));
        assert_eq!(kept.length, exchange(number).len() as u64 - 1);
        records += 1;
    }
    // Behind those that tell of another one stands that one.
    let has_record = |n: &usize| !n.is_multiple_of(3) && n % 5 != 2;
    assert_eq!(records, (0..kept).filter(has_record).count());
}

const UNSYNCED: [Unsynced; 5] = [
    Unsynced::Lost,
    Unsynced::Kept,
    Unsynced::Diced(1),
    Unsynced::Diced(2),
    Unsynced::Diced(3),
];

/// What a kill leaves here, and what a power cut may.
fn stops(disk: &SimDisk) -> impl Iterator<Item = SimDisk> {
    let cuts = UNSYNCED.into_iter().map(|unsynced| {
        let cut = disk.snapshot();
        cut.power_cut(unsynced);
        cut
    });
    let killed = disk.snapshot();
    std::iter::once(killed).chain(cuts)
}

#[test]
fn a_stop_at_every_operation_of_commit_and_rollover_leaves_each_exchange_once() {
    let (ground, model) = (Ground::new(), Arc::new(Mutex::new(Model::default())));
    let disk = SimDisk::new();
    let (watched, seen) = (Arc::clone(&ground), Arc::clone(&model));
    disk.watch(move |disk| {
        for stopped in stops(disk) {
            judge(&stopped, &watched, &seen.lock().unwrap());
        }
    });
    let mut life = Life::begin(&disk, &ground, &model).unwrap();
    life.live().unwrap();
    drop(life);
    let names = disk.list(&ground.warc_dir()).unwrap();
    assert!(names.len() >= 5, "{names:?}");
    assert!(disk.operations() > 100);
    assert!(!disk.exists(&ground.place.spool_dir()).unwrap());
    judge(&disk.snapshot(), &ground, &model.lock().unwrap());
}

#[test]
fn whatever_fails_the_next_run_goes_on_and_loses_nothing() {
    for (first, fault) in [(1, Fault::Full), (2, Fault::Broken), (3, Fault::Stopped)] {
        // All of them would take a minute.
        for operation in (first..).step_by(3) {
            let (ground, model) = (Ground::new(), Arc::new(Mutex::new(Model::default())));
            let disk = SimDisk::new();
            disk.fail(operation, fault);
            let lived = Life::begin(&disk, &ground, &model).and_then(|mut life| life.live());
            if lived.is_ok() {
                assert!(operation > 100);
                break;
            }
            disk.revive();
            for stopped in stops(&disk).take(2) {
                let so_far = model.lock().unwrap().clone();
                let model = Arc::new(Mutex::new(so_far));
                judge(&stopped.snapshot(), &ground, &model.lock().unwrap());
                let Some(mut life) = Life::resume(&stopped, &ground, &model).unwrap() else {
                    continue;
                };
                for exchanges in [2, 5] {
                    life.commit(exchanges).unwrap();
                }
                life.log.finish_warc().unwrap();
                drop(life);
                judge(&stopped, &ground, &model.lock().unwrap());
            }
        }
    }
}

#[test]
fn settling_that_is_stopped_is_finished_by_the_next_run() {
    let (ground, model) = (Ground::new(), Arc::new(Mutex::new(Model::default())));
    let disk = SimDisk::new();
    let mut life = Life::begin(&disk, &ground, &model).unwrap();
    for exchanges in [1, 5, 2] {
        life.commit(exchanges).unwrap();
    }
    // Three files more that no commit names, and the last that one does is longer.
    disk.fail(disk.operations() + 40, Fault::Stopped);
    let _ = life.commit(12);
    drop(life);
    disk.revive();
    let mut stopped_at = 0;
    for operation in 1.. {
        let stopped = disk.snapshot();
        stopped.fail(operation, Fault::Stopped);
        let shared: Arc<dyn Disk> = Arc::new(stopped.clone());
        let job = Job::open(shared, &ground.place).unwrap().unwrap();
        let commit = job.replay(None, |_| Ok(())).unwrap().commit.unwrap();
        if job.settle_warc(&commit, ground.data_dir()).is_ok() {
            break;
        }
        stopped.revive();
        for stopped in stops(&stopped) {
            judge(&stopped, &ground, &model.lock().unwrap());
        }
        stopped_at = operation;
    }
    assert!(stopped_at >= 4, "{stopped_at}");
}
