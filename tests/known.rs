//! What is known of pages, from crawl to crawl on a simulated disk that is stopped and
//! broken at every operation: in the end it is what a plain model says, and never was
//! anything between the model of one crawl and that of the next.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crawl_ckpt::delta::{self, Known, LEARNED, Page, ScopeHash};
use crawl_ckpt::durable::Disk;
use crawl_ckpt::durable::sim::{Fault, SimDisk, Unsynced};
use crawl_ckpt::job::{Job, JobPlace, Manifest};
use crawl_ckpt::journal::{Batch, Commit};
use crawl_ckpt::lock::JobLock;

type Error = Box<dyn std::error::Error + Send + Sync>;

const SCOPE: ScopeHash = [3; 16];
const PAGES: u64 = 60;
const CRAWLS: u64 = 5;
/// A crawl has so many commits; with the last it is complete.
const COMMITS: u64 = 3;

/// By number of the page: the crawl that learned it, and how many did not come by since.
type Model = BTreeMap<u64, (u64, u64)>;

/// What a crawl makes of a page in one of its commits.
fn learns(crawl: u64, commit: u64, page: u64) -> Option<bool> {
    let dice = (page * 31 + crawl * 17) % 7;
    let is_its_turn = page % COMMITS + 1 == commit;
    match dice {
        // Changed, or new.
        0 | 1 if is_its_turn => Some(true),
        2..=5 if is_its_turn => Some(false),
        _ => None,
    }
}

/// What is known after so many crawls.
fn model(crawls: u64) -> Model {
    let mut model = Model::new();
    for crawl in 1..=crawls {
        for page in 0..PAGES {
            let learned = (1..=COMMITS).find_map(|commit| learns(crawl, commit, page));
            match (learned, model.get_mut(&page)) {
                (Some(true), _) => drop(model.insert(page, (crawl, 0))),
                (Some(false), Some(known)) => known.1 = 0,
                (None, Some(known)) => known.1 += 1,
                (_, None) => {}
            }
        }
    }
    model
}

/// Where it lies. The lock is a real file; all else is on the simulated disk.
struct Ground {
    place: JobPlace,
    lock: JobLock,
    _dir: tempfile::TempDir,
}

impl Ground {
    fn new() -> Ground {
        let dir = tempfile::tempdir().unwrap();
        let place = JobPlace::at(&dir.path().join("checkpoint"));
        let lock = JobLock::acquire(&place).unwrap();
        let _dir = dir;
        Ground { place, lock, _dir }
    }

    fn known(&self, disk: &SimDisk) -> Result<Model, Error> {
        let mut model = Model::new();
        if let Some(known) = Known::open(disk, &self.place, SCOPE)? {
            known.tell(|page| {
                let number = u128::from_be_bytes(page.fingerprint) as u64;
                let crawl = page.digest.map_or(0, |digest| digest[0].into());
                model.insert(number, (crawl, page.missed.into()));
                Ok(())
            })?;
        }
        Ok(model)
    }

    /// One crawl as the tools do it: begun, or gone on with, and ended.
    fn crawl(&self, disk: &SimDisk, crawl: u64) -> Result<(), Error> {
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let mut job = match Job::open(shared.clone(), &self.place)? {
            Some(job) => job,
            None => Job::create(shared, &self.place, &self.lock, Manifest::new("test")?)?,
        };
        let last = job.last_commit()?.unwrap_or_default();
        if last.at_ms < COMMITS || !delta::is_absorbed(&job)? {
            self.go_on(&mut job, disk, crawl, last)?;
        }
        // As crawl-run before it removes a job that it finds complete.
        assert!(delta::is_absorbed(&job)?);
        Ok(job.remove(&self.lock)?)
    }

    fn go_on(&self, job: &mut Job, disk: &SimDisk, crawl: u64, last: Commit) -> Result<(), Error> {
        let end = job.replay(None, |_| Ok(()))?.mark;
        let mut writer = job.writer(&self.lock, &end)?;
        let known = Known::open(disk, &self.place, SCOPE)?;
        let (mut file, mut learning) = match last.files.get(LEARNED) {
            Some(&bytes) => delta::resume(job, &self.lock, bytes, SCOPE)?,
            None => delta::begin(job, &self.lock, known.as_ref(), SCOPE)?,
        };
        for commit in last.at_ms + 1..=COMMITS {
            for page in 0..PAGES {
                let fingerprint = u128::from(page).to_be_bytes();
                match learns(crawl, commit, page) {
                    Some(true) => learning.page(&Page {
                        fingerprint,
                        status: 200,
                        digest: Some([crawl as u8; 32]),
                        ..Page::default()
                    }),
                    Some(false) => learning.same(&fingerprint),
                    None => {}
                }
            }
            file.append(&learning.take())?;
            file.sync()?;
            let mut batch = Batch::new(&writer.end());
            batch.set("commit", &[commit as u8]);
            let files = [(LEARNED.to_owned(), learning.end())].into();
            let at_ms = commit;
            writer.append(&batch.close(&Commit {
                at_ms,
                files,
                ..Commit::default()
            }))?;
        }
        job.seal(&self.lock, &writer.end())?;
        Ok(delta::absorb(job, &self.lock, learning.end(), SCOPE)?)
    }

    /// After a stop in the midst of a crawl: what is known is what was known before it or
    /// after it, and the same command again makes it the latter, durably.
    fn recover(&self, disk: &SimDisk, crawl: u64) -> Result<(), Error> {
        self.is_allowed(disk, crawl)?;
        let is_there = Job::open(Arc::new(disk.clone()), &self.place)?.is_some();
        // Without a job the crawl has not begun, or is over.
        if is_there || self.known(disk)? != model(crawl) {
            self.crawl(disk, crawl)?;
        }
        disk.power_cut(Unsynced::Lost);
        if self.known(disk)? == model(crawl) {
            Ok(())
        } else {
            Err("what was known is lost".into())
        }
    }

    fn is_allowed(&self, disk: &SimDisk, crawl: u64) -> Result<(), Error> {
        let known = self.known(disk)?;
        if known == model(crawl - 1) || known == model(crawl) {
            Ok(())
        } else {
            Err(format!("known is {known:?} in crawl {crawl}").into())
        }
    }
}

const STOPS: [Option<Unsynced>; 5] = [
    None,
    Some(Unsynced::Lost),
    Some(Unsynced::Kept),
    Some(Unsynced::Diced(1)),
    Some(Unsynced::Diced(2)),
];

fn stop(disk: &SimDisk, how: Option<Unsynced>, number: u64) {
    match how {
        None => disk.revive(),
        Some(Unsynced::Diced(seed)) => disk.power_cut(Unsynced::Diced(seed + 10 * number)),
        Some(unsynced) => disk.power_cut(unsynced),
    }
}

#[test]
fn the_model_has_every_kind_of_page() {
    let model = model(CRAWLS);
    let any = |kind: fn(&(u64, u64)) -> bool| assert!(model.values().any(kind), "{model:?}");
    any(|&(crawl, _)| crawl == CRAWLS);
    any(|&(crawl, missed)| crawl < CRAWLS - 1 && missed == 0);
    any(|&(_, missed)| missed > 0);
}

#[test]
fn what_is_known_is_that_of_a_whole_crawl_whenever_everything_stops() {
    let ground = Arc::new(Ground::new());
    let disk = SimDisk::new();
    let tried = Arc::new(Mutex::new(0));
    for crawl in 1..=CRAWLS {
        let (ground, tried) = (ground.clone(), tried.clone());
        let mut number = 1000 * crawl;
        let (watching, counter) = (ground.clone(), tried.clone());
        disk.watch(move |disk| {
            number += 1;
            for how in STOPS {
                let disk = disk.snapshot();
                stop(&disk, how, number);
                if number.is_multiple_of(5) {
                    stop_the_recovery(&disk, &watching, crawl, number, &counter);
                }
                let result = watching.recover(&disk, crawl);
                result.unwrap_or_else(|e| panic!("{how:?} at {number}: {e}"));
                *counter.lock().unwrap() += 1;
            }
        });
        ground.crawl(&disk, crawl).unwrap();
        disk.watch(|_| {});
        assert_eq!(ground.known(&disk).unwrap(), model(crawl));
    }
    let tried = *tried.lock().unwrap();
    eprintln!("{tried} stops, all recovered");
    assert!(tried > 1000);
}

/// Stops a recovery at each of its operations: the second one must succeed.
fn stop_the_recovery(
    disk: &SimDisk,
    ground: &Arc<Ground>,
    crawl: u64,
    moment: u64,
    tried: &Arc<Mutex<u64>>,
) {
    let disk = disk.snapshot();
    let (watching, counter) = (ground.clone(), tried.clone());
    let mut number = moment * 1000;
    disk.watch(move |disk| {
        number += 1;
        for how in [Unsynced::Lost, Unsynced::Diced(1)] {
            let disk = disk.snapshot();
            stop(&disk, Some(how), number);
            let result = watching.recover(&disk, crawl);
            result.unwrap_or_else(|e| panic!("{how:?} at {number}, in a recovery: {e}"));
            *counter.lock().unwrap() += 1;
        }
    });
    // Up to its own end only: that the power is cut then is no part of it.
    if Job::open(Arc::new(disk.clone()), &ground.place)
        .unwrap()
        .is_some()
    {
        ground.crawl(&disk, crawl).unwrap();
    }
}

#[test]
fn a_disk_that_fails_at_any_operation_loses_nothing_that_was_known() {
    let ground = Ground::new();
    let mut tried = 0;
    for fault in [Fault::Full, Fault::Broken, Fault::Interrupted] {
        for operation in 1.. {
            let disk = SimDisk::new();
            ground.crawl(&disk, 1).unwrap();
            disk.fail(disk.operations() + operation, fault);
            let failed = ground.crawl(&disk, 2).is_err();
            for how in STOPS {
                let disk = disk.snapshot();
                stop(&disk, how, operation);
                let result = ground.recover(&disk, 2);
                result.unwrap_or_else(|e| panic!("{fault:?} at {operation}, {how:?}: {e}"));
                tried += 1;
            }
            if !failed && operation > 80 {
                break;
            }
        }
    }
    eprintln!("{tried} stops after a fault, all recovered");
}
