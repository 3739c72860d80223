//! `crawl-ckpt --store URL pull`: partitions as job directories.

use std::path::Path;
use std::sync::Arc;

use super::StoreRoom;
use crate::command::TOOL;
use crate::durable::{Disk, RealDisk, parent};
use crate::fleet::{CrawlName, Depot, Glance, SharedJob};
use crate::hex;
use crate::human::{bytes, count, counted};
use crate::job::{Job, JobPlace, Manifest};
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
            size += pull(room, &name, &job, (part, &glance), &disk, &place)?;
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
    (part, glance): (u32, &Glance),
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
    let mut job = Job::create(disk.clone(), &place, &lock, manifest)?;
    let start = job.replay(None, |_| Ok(()))?.mark;
    let mut journal = job.writer(&lock, &start)?;
    let seq = glance.view.seq;
    let damaged = |why: String| {
        let message = format!("{name}: partition {part:03} is damaged: {why}");
        let kept = format!("what is sound of it is in {}", dir.display());
        Failure::with(Exit::Damaged, message).hint(kept)
    };
    while journal.end().seq < seq {
        let next = journal.end().seq + 1;
        let batches = room.depot.read(part, next)?;
        if batches.is_empty() {
            return Err(damaged(format!(
                "batch {} of {} is missing",
                count(next),
                count(seq)
            )));
        }
        for batch in batches.iter().take((seq - next + 1) as usize) {
            journal
                .append_bytes(batch)
                .map_err(|error| damaged(error.to_string()))?;
        }
    }
    let end = journal.end();
    if seq > 0 && hex::encode(&end.sum) != glance.sum {
        return Err(damaged(
            "its last batch is not the one that was committed".into(),
        ));
    }
    job.seal(&lock, &end)?;
    Ok(end.bytes)
}
