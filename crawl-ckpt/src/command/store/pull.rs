//! `crawl-ckpt --store URL pull`: partitions as job directories.

use std::path::Path;
use std::sync::Arc;

use super::StoreRoom;
use super::part::moved;
use crate::command::TOOL;
use crate::durable::{Disk, RealDisk, parent};
use crate::fleet::{CrawlName, Depot, JournalHead, SharedJob};
use crate::human::{bytes, count, counted};
use crate::job::{self, Job, JobCopy, JobPlace, Manifest, Needed};
use crate::journal::Mark;
use crate::lock::JobLock;
use crate::tool::{Exit, Failure};

pub fn run(
    room: &mut StoreRoom<'_>,
    name: &str,
    parts: &[u32],
    dir: &Path,
) -> Result<Exit, Failure> {
    let (name, job) = room.find(name)?;
    if let Some(part) = parts.iter().find(|part| **part >= job.parts) {
        let message = format!("there is no partition {part}: {name} has {}", job.parts);
        return Err(Failure::with(Exit::Usage, message));
    }
    let (mut pulled, mut size) = (0, 0);
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let commits = room.depot.last_commits()?;
    for ((part, glance), commit) in (0..).zip(room.depot.glance()?).zip(commits) {
        // What is not understood is looked at, too.
        let is_used =
            commit.is_some_and(|commit| commit.map_or(true, |c| c.progress.counts.seen > 0));
        // Those that no URL came to are only pulled when they are asked for.
        if parts.contains(&part) || (parts.is_empty() && is_used) {
            let place = dir.join(format!("part-{part:03}"));
            size += pull(room, &name, &job, (part, &glance.head), &disk, &place)?;
            room.context.tell(format_args!("{}", place.display()));
            pulled += 1;
        }
    }
    room.context.say(format_args!(
        "{name}: {}, {}, below {}",
        counted(pulled, "partition"),
        bytes(size),
        dir.display()
    ));
    Ok(Exit::Complete)
}

/// Makes the job directory of a partition; gives its size.
fn pull(
    room: &mut StoreRoom<'_>,
    name: &CrawlName,
    shared: &SharedJob,
    (part, head): (u32, &JournalHead),
    disk: &Arc<dyn Disk>,
    dir: &Path,
) -> Result<u64, Failure> {
    let place = JobPlace::at(dir);
    disk.create_dir_all(parent(dir))
        .map_err(|e| Failure::new(format_args!("cannot create {}: {e}", dir.display())))?;
    let lock = JobLock::acquire(&place)?;
    let tool = format!("{TOOL} {}", env!("CARGO_PKG_VERSION"));
    let manifest = Manifest::new(&tool)
        .map_err(|e| Failure::new(format_args!("cannot make a manifest: {e}")))?;
    let manifest = Manifest {
        key: shared.key,
        plan: Some(shared.plan.clone()),
        ..manifest
    };
    let damaged = |why: String| {
        let message = format!("{name}: partition {part:03} is damaged: {why}");
        let kept = format!("what is sound of it is in {}", dir.display());
        Failure::with(Exit::Damaged, message).hint(kept)
    };
    let mut head = head.clone();
    let (mut job, end) = loop {
        let (job, copied) = copy(room, (part, &head), &manifest, disk, &place, &lock)?;
        match copied {
            Ok(end) => break (job, end),
            Err(why) => head = moved(room, part, &head)?.ok_or_else(|| damaged(why))?,
        }
        // It was rewritten meanwhile.
        job::remove(&**disk, &place, &lock)?;
    };
    job.seal(&lock, &end)?;
    Ok(job.journal_bytes())
}

/// A job directory of what a partition is; where its journal ends, or what is wrong with it.
fn copy(
    room: &mut StoreRoom<'_>,
    (part, head): (u32, &JournalHead),
    manifest: &Manifest,
    disk: &Arc<dyn Disk>,
    place: &JobPlace,
    lock: &JobLock,
) -> Result<(Job, Result<Mark, String>), Failure> {
    let mut job = Job::create(disk.clone(), place, lock, manifest.clone())?;
    let mut copy = JobCopy::begin(&mut job, lock, head)?;
    let end = loop {
        let (batches, of_base, next) = match copy.needs() {
            Needed::Base(base, from) => {
                (room.depot.read_base(part, base, from)?, "its base: ", from)
            }
            Needed::Log(from) => (room.depot.read(part, from)?, "", from),
            Needed::Nothing => {
                let other = || "its last batch is not the one that was committed".to_owned();
                break copy.finish().map(|journal| journal.end()).ok_or_else(other);
            }
        };
        if batches.is_empty() {
            break Err(format!("{of_base}batch {} is missing", count(next)));
        }
        let mut taken = batches.iter().map(|batch| copy.take(batch));
        if let Some(Err(error)) = taken.find(Result::is_err) {
            break Err(error.to_string());
        }
    };
    Ok((job, end))
}
