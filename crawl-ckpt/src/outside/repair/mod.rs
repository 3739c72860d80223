//! Saves what can be proven of a damaged job, into a copy beside it.
//!
//! Every batch counts whose own checksum is right. What was lost between them is
//! made up for by the output, which holds a record of every URL that was finished: a
//! URL with a record is never fetched again, one without is. The damaged job and
//! the output are left as they are.

mod facts;
mod journals;
mod manifest;
mod output;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::delta::LEARNED;
use crate::durable::{Disk, Links, RealDisk, beside, open_file};
use crate::error::StoreError;
use crate::job::{
    Job, JobPlace, Manifest, OUTPUT, OutputPlace, WARC, begins_as_ours, lies_at, remove,
    vouched_warc,
};
use crate::journal::{Batch, Commit, Gap, Reader, Salvaged, Stored};
use crate::lock::JobLock;
use crate::tool::Failure;
use crate::warc::read_records;

use facts::{Facts, generations, lost_end};
pub use manifest::Mended;
use output::Records;

/// A batch of the copy is closed at this size.
const BATCH_BYTES: usize = 4 << 20;

/// What a repair came to.
#[derive(Debug)]
pub struct Repaired {
    /// The copy.
    pub path: PathBuf,
    /// The damaged job.
    pub dir: PathBuf,
    /// What became of the manifest.
    pub manifest: Mended,
    /// Commits that were read.
    pub batches: u64,
    /// Stretches of the journal that are lost.
    pub gaps: Vec<Gap>,
    /// URLs that the copy knows.
    pub seen: u64,
    /// URLs that are still to be fetched.
    pub pending: u64,
    /// Requests that were taken on and are known no more, as far as they can be counted.
    pub lost_requests: u64,
    /// URLs that were finished and whose records are lost: they are fetched again.
    pub lost_records: u64,
    /// Records of URLs that the journal knows no more.
    pub foreign_records: u64,
    /// Journals that were left out, since nothing tells that they count, by their numbers.
    pub left_out: Vec<u64>,
}

/// Makes a copy of a damaged job, `checkpoint.repaired` beside it, of what can be proven. An earlier copy
/// is replaced.
///
/// # Errors
/// Nothing at all can be proven; those of the disk.
pub fn repair(place: &JobPlace, lock: &JobLock, data_dir: &Path) -> Result<Repaired, Failure> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let (manifest, mended) = manifest::mend(&*disk, place)?;
    let (mut facts, salvaged) = Facts::read(&*disk, &place.dir, &manifest)?;
    let commit = salvaged.commit.clone().unwrap_or_default();

    let gaps = with_lost_end(&salvaged, &manifest);
    let (output, records) = Records::find(&manifest, &commit, place, data_dir, !gaps.is_empty())?;
    let mismatches = facts.settle(records.as_ref(), &commit, &manifest);

    let copy_place = JobPlace {
        dir: beside(&place.dir, ".repaired"),
        lock: place.lock.clone(),
    };
    let mut copy = manifest.clone();
    (copy.generation, copy.sealed, copy.output) = (1, None, output);
    copy.before.clear();
    copy.image = false;
    copy.clearing = None;
    let mut last = last_commit(&commit, &facts, records.as_ref());
    prove_warc(&manifest, &mut last, data_dir);
    let proven = Proven {
        manifest: copy,
        facts: &facts,
        readers: readers(&*disk, place, &manifest),
        commit: &last,
    };
    write_copy(disk.clone(), &copy_place, lock, proven)?;
    let counts = |number: &u64| generations(&manifest).any(|counts| counts == *number);
    let mut left_out = match mended {
        Mended::Lost => journals::generations(&*disk, place),
        _ => Vec::new(),
    };
    left_out.retain(|number| !counts(number));
    Ok(Repaired {
        path: copy_place.dir,
        dir: place.dir.clone(),
        manifest: mended,
        batches: salvaged.batches,
        seen: last.progress.counts.seen,
        pending: last.progress.counts.pending,
        lost_requests: taken_on_in(&gaps).saturating_sub(mismatches.foreign_records),
        gaps,
        lost_records: mismatches.lost_records,
        foreign_records: mismatches.foreign_records,
        left_out,
    })
}

/// The output that is to be renamed when a job is thrown away: one that is there and that this or
/// another version may well have written. A manifest is no reason to touch any other file.
///
/// # Errors
/// Trouble of the disk with reading it.
pub fn unfinished_output(
    job: Option<&Job>,
    place: &JobPlace,
    data_dir: &Path,
) -> Result<Option<PathBuf>, StoreError> {
    let output = match job {
        Some(job) => job.manifest().output_file(data_dir),
        None => output_of(place, data_dir),
    };
    match output {
        Some(path) => Ok(begins_as_ours(&path)?.then_some(path)),
        None => Ok(None),
    }
}

/// The output of a job whose manifest is damaged or another version's, as far as that can be told.
fn output_of(place: &JobPlace, data_dir: &Path) -> Option<PathBuf> {
    let told = |output: OutputPlace| output.resolve(data_dir);
    let Ok((manifest, _)) = manifest::mend(&RealDisk, place) else {
        return manifest::output_alone(place).and_then(told);
    };
    if manifest.output.is_some() {
        return manifest.output.and_then(told);
    }
    let (_, salvaged) = Facts::read(&RealDisk, &place.dir, &manifest).ok()?;
    let commit = salvaged.commit?;
    let found = Records::find(&manifest, &commit, place, data_dir, false).ok()?;
    found.0.and_then(told)
}

fn taken_on_in(gaps: &[Gap]) -> u64 {
    gaps.iter().map(|gap| gap.requests).sum()
}

/// The gaps, and what the seal says of the one at the end.
fn with_lost_end(salvaged: &Salvaged, manifest: &Manifest) -> Vec<Gap> {
    let mut gaps = salvaged.gaps.clone();
    let Some(seal) = manifest.sealed.filter(|seal| seal.seq > salvaged.seq) else {
        return gaps;
    };
    let is_behind = |gap: &mut Gap| gap.generation == manifest.generation && gap.at >= salvaged.end;
    let behind = gaps.pop_if(is_behind);
    gaps.push(Gap {
        bytes: behind.map_or(0, |gap| gap.bytes),
        ..lost_end(manifest.generation, salvaged, &seal)
    });
    gaps
}

/// Has the copy vouch for no more of the WARC file that was written last than what is sound in it.
fn prove_warc(manifest: &Manifest, commit: &mut Commit, data_dir: &Path) {
    let dir = manifest.warc.as_ref();
    let dir = dir.and_then(|place| place.resolve(data_dir));
    let (Some(dir), Some((name, len))) = (dir, vouched_warc(commit)) else {
        return;
    };
    let path = lies_at(&RealDisk, &dir, &name);
    let mut sound = 0;
    if let Ok(file) = open_file(&path, false, Links::Refused) {
        // What follows the first record that is not sound is not proven.
        let _ = read_records(file.take(len), |record| {
            sound = record.offset + record.length;
        });
    }
    if sound < len {
        let key = format!("{WARC}{name}");
        commit.tails.remove(&key);
        commit.files.insert(key, sound);
    }
}

/// The commit of the copy: the last figures, with the counts that can be proven.
fn last_commit(commit: &Commit, facts: &Facts, records: Option<&Records>) -> Commit {
    let mut last = commit.clone();
    last.progress.forget_parked();
    last.progress.counts = facts.counts();
    if let Some(records) = records {
        last.progress.records = records.lines;
        last.files.insert(OUTPUT.to_owned(), records.bytes);
    }
    // What was learned of pages stays behind: such a page is a new one, or missed, for the next crawl.
    last.files.remove(LEARNED);
    let finished = last.progress.counts.done + last.progress.counts.failed;
    let unrecorded = finished.saturating_sub(last.progress.records);
    last.progress.withdrawn = last.progress.withdrawn.min(unrecorded);
    if let Some(delta) = &mut last.progress.delta {
        delta.unchanged = unrecorded - last.progress.withdrawn;
    }
    last
}

/// What the copy of a job is made of.
struct Proven<'a> {
    manifest: Manifest,
    facts: &'a Facts,
    /// Of the damaged journals; `None` of one that is not there.
    readers: Vec<Option<Reader>>,
    commit: &'a Commit,
}

fn readers(disk: &dyn Disk, place: &JobPlace, manifest: &Manifest) -> Vec<Option<Reader>> {
    let open = |generation| {
        // Nothing was read of one that cannot be opened.
        Reader::at(disk, &journals::journal(place, generation)).ok()
    };
    generations(manifest).map(open).collect()
}

fn write_copy(
    disk: Arc<dyn Disk>,
    place: &JobPlace,
    lock: &JobLock,
    proven: Proven<'_>,
) -> Result<(), Failure> {
    let Proven {
        manifest,
        facts,
        readers,
        commit,
    } = proven;
    remove(&*disk, place, lock)?;
    let mut job = Job::create(disk, place, lock, manifest)?;
    let start = job.replay(None, |_| Ok(()))?.mark;
    let mut writer = job.writer(lock, &start)?;
    let mut batch = Batch::new(&start);
    let mut close_full = |batch: &mut Batch, least: usize| -> Result<(), StoreError> {
        if batch.bytes() >= least {
            let full = std::mem::replace(batch, Batch::new(&start)).close(commit);
            *batch = Batch::new(&writer.append_unsynced(&full)?);
        }
        Ok(())
    };
    for fingerprint in &facts.seen {
        batch.seen(fingerprint);
        close_full(&mut batch, BATCH_BYTES)?;
    }
    let mut buffer = Vec::new();
    for (old_id, request) in &facts.requests {
        let id = match &request.place {
            facts::KnownFrom::Journal(number, at) => {
                let Some(reader) = &readers[*number] else {
                    continue;
                };
                batch
                    .request(&reader.request_at(*old_id, *at, &mut buffer)?)
                    .0
            }
            facts::KnownFrom::Record { url, depth } => {
                let stored = Stored {
                    url,
                    depth: *depth,
                    ..Stored::default()
                };
                batch.request(&stored).0
            }
        };
        match (request.finished, facts.deferred.get(old_id)) {
            (Some(failed), _) => batch.done(id, failed),
            (None, Some((attempts, due_ms))) => batch.defer(id, *attempts, *due_ms),
            (None, None) => {}
        }
        close_full(&mut batch, BATCH_BYTES)?;
    }
    for (key, value) in &facts.values {
        batch.set(key, value);
        close_full(&mut batch, BATCH_BYTES)?;
    }
    close_full(&mut batch, 0)?;
    writer.sync()?;
    job.seal(lock, &writer.end())?;
    Ok(())
}
