//! What to do with a checkpoint that is there: go on with it, clear it, remove it since
//! its crawl is complete, or refuse.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crawl_ckpt::control::{Counts, Progress};
use crawl_ckpt::cookies::Cookies;
use crawl_ckpt::delta;
use crawl_ckpt::durable::{Disk, RealDisk};
use crawl_ckpt::human::{count, span};
use crawl_ckpt::job::{self, Job, JobPlace, Manifest, OutputPlace};
use crawl_ckpt::journal::{Commit, Entry};
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::plan::Plan;
use crawl_ckpt::tool::{Exit, Failure};

use crate::acquire::acquire;
use crate::change;
use crate::clear::Clear;
use crate::cli::{CheckpointArgs, OnProxyChange, OnSpiderChange};
use crate::command_line::CommandLine;
use crate::outcome::flaw;
use crate::place::Place;
use crate::view::View;

/// After this time a resume warns that cookies may have expired.
const OLD: Duration = Duration::from_secs(7 * 86_400);

/// What a production run begins with.
#[derive(Debug)]
pub enum Decision {
    /// Nothing is there.
    New,
    /// A checkpoint to be thrown away, then nothing is there.
    Clear(Box<Clear>),
    /// A checkpoint to go on with.
    Resume(Box<Resume>),
    /// The crawl is complete, only its checkpoint was not removed yet.
    Complete(Box<Complete>),
}

/// A crawl that ended with success in an earlier run.
#[derive(Debug)]
pub struct Complete {
    /// What the job is.
    pub manifest: Manifest,
    /// Its last figures.
    pub progress: Progress,
}

/// A checkpoint to go on with.
#[derive(Debug)]
pub struct Resume {
    /// What the job is.
    pub manifest: Manifest,
    /// The figures at its last commit.
    pub counts: Counts,
    /// Time since then; `None` before the first commit.
    pub age: Option<Duration>,
    /// The plan differs from the checkpoint's, and that is meant.
    pub adopt_plan: bool,
    /// What was blocked or failed is to be tried once more.
    pub retry_blocked: bool,
}

impl Resume {
    /// How far the crawl of that name was, and how long ago.
    pub fn line(&self, title: &str) -> String {
        let counts = &self.counts;
        let mut line = format!(
            "resuming {title}: {} done, {} pending{}",
            count(counts.done + counts.failed),
            count(counts.unfinished()),
            counts.parked_of_them()
        );
        if let Some(age) = self.age {
            line.push_str(&format!(", checkpoint {} old", span(age)));
        }
        line
    }
}

/// What a complete crawl changed of this `cookies.txt`, by jar.
///
/// # Errors
/// Those of the disk, and damage.
pub fn changed_cookies(place: &Place, text: &str) -> Result<BTreeMap<String, String>, Failure> {
    let mut cookies = Cookies::default();
    if let Some(job) = Job::open(Arc::new(RealDisk), &place.job)? {
        job.replay(None, |entry| {
            if let Entry::Set { key, value } = entry {
                cookies.restore(key, value);
            }
            Ok(())
        })?;
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_s = since.unwrap_or_default().as_secs();
    cookies.take_file(text, now_s);
    Ok(cookies.changes(text, now_s))
}

/// Looks at the checkpoint and says what the options make of it. Nothing is changed but that
/// what interrupted work left beside it is removed. `chosen` is what `-o` names.
///
/// # Errors
/// [`Exit::Usage`] when the spider changed, [`Exit::Damaged`] when the checkpoint is.
pub fn settle(
    place: &Place,
    lock: &JobLock,
    plan: &Plan,
    args: &CheckpointArgs,
    chosen: Option<&Path>,
    command_line: &CommandLine,
    view: &View,
) -> Result<Decision, Failure> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    if args.fresh || args.reset_deltafetch {
        return throw_away(disk, place, args, chosen, command_line);
    }
    job::clear_leftovers(&*disk, &place.job, lock)?;
    let Some(job) = Job::open(Arc::clone(&disk), &place.job)? else {
        return Ok(Decision::New);
    };
    if job.manifest().clearing.is_some() {
        refuse_unmeant(&job, place, chosen, command_line)?;
        let said = "an earlier run was throwing the checkpoint away: it is gone now";
        let clear = Clear::plan(place, Ok(Some(job)), chosen, said)?;
        return Ok(Decision::Clear(Box::new(clear)));
    }
    if let Some(unfinished) = &job.manifest().unfinished
        && place.is_meant(unfinished, chosen)
    {
        job.finish_publishing(&place.data_dir)?;
    }
    let commit = job.last_commit()?;
    if let Some(commit) = commit
        .as_ref()
        .filter(|commit| is_complete(&job, &commit.progress))
    {
        place.refuse_unmeant_warc(job.manifest(), chosen)?;
        finish_files(&job, commit, &place.data_dir)?;
        return Ok(Decision::Complete(Box::new(Complete {
            manifest: job.manifest().clone(),
            progress: commit.progress.clone(),
        })));
    }
    let retry_blocked = match proxy_change(job.manifest(), plan) {
        None => false,
        Some(change) => {
            view.say(format_args!("proxy type changed: {change}"));
            match args.change.on_proxy_change {
                OnProxyChange::Clear => {
                    refuse_unmeant(&job, place, chosen, command_line)?;
                    let said = "checkpoint cleared: every URL is retried";
                    let clear = Clear::plan(place, Ok(Some(job)), chosen, said)?;
                    return Ok(Decision::Clear(Box::new(clear)));
                }
                OnProxyChange::RetryBlocked if is_streamed_with_failures(&job, commit.as_ref()) => {
                    return Err(cannot_take_back(command_line));
                }
                OnProxyChange::RetryBlocked => true,
                OnProxyChange::Keep => false,
            }
        }
    };
    let old = job.manifest().plan.as_ref();
    let changed = old.map(|old| change::describe(&old.identity(), &plan.identity()));
    if let Some(changed) = changed.filter(|changed| !changed.is_empty()) {
        match args.change.on_spider_change {
            OnSpiderChange::Resume => view.say(format_args!("spider changed: {changed}")),
            OnSpiderChange::Refuse => return Err(refusal(&changed, command_line)),
        }
    }
    let commit = commit.unwrap_or_default();
    let resume = Resume {
        manifest: job.manifest().clone(),
        counts: commit.progress.counts,
        age: age(&commit),
        // Pace and manners may change at any time; what must not was asked about above.
        adopt_plan: old != Some(plan),
        retry_blocked,
    };
    if let Some(age) = resume.age.filter(|age| *age > OLD) {
        view.warn(format_args!(
            "the checkpoint is {} old; cookies may have expired",
            span(age)
        ));
    }
    Ok(Decision::Resume(Box::new(resume)))
}

/// What `--fresh` and `--reset-deltafetch` make of the checkpoint.
fn throw_away(
    disk: Arc<dyn Disk>,
    place: &Place,
    args: &CheckpointArgs,
    chosen: Option<&Path>,
    command_line: &CommandLine,
) -> Result<Decision, Failure> {
    let opened = match Job::open(disk, &place.job) {
        // What cannot be read now is not damaged, and its output would keep its name.
        Err(error) if error.may_pass() => return Err(error.into()),
        opened => opened,
    };
    // Only who throws it away whatever it holds may leave an output behind that is not meant.
    if let Ok(Some(job)) = opened.as_ref().map(Option::as_ref)
        && !args.fresh
    {
        refuse_unmeant(job, place, chosen, command_line)?;
    }
    let clear = Clear::plan(place, opened, chosen, "checkpoint thrown away")?;
    let clear = if args.reset_deltafetch {
        clear.with_delta()
    } else {
        clear
    };
    Ok(Decision::Clear(Box::new(clear)))
}

/// True when records of failed URLs went to a stream, where they cannot be taken back.
fn is_streamed_with_failures(job: &Job, commit: Option<&Commit>) -> bool {
    let output = job.manifest().output.as_ref();
    let failed = commit.map_or(0, |commit| commit.progress.counts.failed);
    failed > 0 && output.is_some_and(|output| output.stream)
}

fn refuse_unmeant(
    job: &Job,
    place: &Place,
    chosen: Option<&Path>,
    command_line: &CommandLine,
) -> Result<(), Failure> {
    if let Some(began) = &job.manifest().output {
        place.refuse_unmeant(began, chosen, command_line)?;
    }
    place.refuse_unmeant_warc(job.manifest(), chosen)
}

fn refusal(changed: &str, command_line: &CommandLine) -> Failure {
    let message = format!("spider changed since the checkpoint: {changed}");
    Failure::with(Exit::Usage, message).hint(format_args!(
        "{}   (goes on with what is pending), or {}   (begins anew)",
        command_line.with("--on-spider-change", "resume"),
        command_line.with_flag("--fresh")
    ))
}

fn cannot_take_back(command_line: &CommandLine) -> Failure {
    let message =
        "what was blocked cannot be retried: its records went to stdout, and cannot be taken back";
    Failure::with(Exit::Usage, message).hint(format_args!(
        "{}   (goes on with what is pending), or {}   (begins anew)",
        command_line.with("--on-proxy-change", "keep"),
        command_line
            .without("--on-proxy-change")
            .with_flag("--fresh")
    ))
}

/// `old -> new`, when the crawl's proxy type is another now. A job that was made by hand
/// has none yet.
fn proxy_change(manifest: &Manifest, plan: &Plan) -> Option<String> {
    let (old, new) = (&manifest.proxy_type, &plan.proxy_type);
    (!old.is_empty() && old != new).then(|| format!("{old} -> {new}"))
}

/// Looks whether the output and the WARC file are what the last commit of a complete crawl vouches for, and
/// gives WARC files that a killed run left open their final names.
fn finish_files(job: &Job, commit: &Commit, data_dir: &Path) -> Result<(), Failure> {
    let resolve = |output: &OutputPlace| output.resolve(data_dir);
    let unfinished = job.manifest().unfinished.as_ref().and_then(resolve);
    let output = job.manifest().output.as_ref().and_then(resolve);
    if let Some(path) = unfinished.filter(|path| path.exists()).or(output) {
        job::check_output(&path, commit)?;
    }
    job.check_warc(commit, data_dir)?;
    job.settle_warc(commit, data_dir)?;
    Ok(())
}

/// Looks once more whether the output of a crawl that is complete is all there, before its
/// checkpoint goes: without one nobody would miss anything.
///
/// # Errors
/// [`Exit::Damaged`] when the output is not what was committed.
pub fn check_complete(place: &Place) -> Result<(), Failure> {
    let Some(job) = Job::open(Arc::new(RealDisk), &place.job)? else {
        return Ok(());
    };
    match job.last_commit()? {
        Some(commit) => finish_files(&job, &commit, &place.data_dir),
        None => Ok(()),
    }
}

/// What the last commit says; `None` when there is none, or it cannot be read, which the next run tells.
pub fn committed(place: &JobPlace) -> Option<Progress> {
    let job = Job::open(Arc::new(RealDisk), place).ok().flatten()?;
    let commit = job.last_commit().ok().flatten()?;
    Some(commit.progress)
}

/// True when only the removal is missing: a run that ended with success was stopped just
/// before it. An incremental crawl whose pages are not known to the next one yet has that left to do.
fn is_complete(job: &Job, progress: &Progress) -> bool {
    let is_done = progress.counts.seen > 0 && flaw(progress).is_none();
    // Whether damage is in the way is for the frontier to tell.
    is_done && (progress.delta.is_none() || delta::is_absorbed(job).unwrap_or(false))
}

/// Removes a checkpoint whose crawl is complete; any other stays.
///
/// # Errors
/// Another run holds it; it cannot be read or removed.
pub fn remove_if_complete(place: &JobPlace, data_dir: &Path) -> Result<(), Failure> {
    let lock = acquire(place)?;
    let Some(job) = Job::open(Arc::new(RealDisk), place)? else {
        // Its removal began, and did not come to its end.
        return Ok(job::clear_leftovers(&RealDisk, place, &lock)?);
    };
    if let Some(commit) = job.last_commit()?
        && is_complete(&job, &commit.progress)
    {
        let warc = job.manifest().warc.as_ref();
        // Elsewhere only a run by name may finish something.
        if warc.is_none_or(|warc| warc.is_within(data_dir, data_dir)) {
            finish_files(&job, &commit, data_dir)?;
            job.remove(&lock)?;
        }
    }
    Ok(())
}

/// Notes in a checkpoint that is kept how it is resumed, for `crawl-ckpt show`. A crawl is as safe
/// without, so a failure is not worth a word. Only while no frontier is writing.
pub fn note_command(place: &JobPlace, lock: &JobLock, command_line: &CommandLine) {
    if let Ok(Some(mut job)) = Job::open(Arc::new(RealDisk), place) {
        let command = command_line.to_string();
        let _ = job.update(lock, |manifest| manifest.command = Some(command));
    }
}

/// Time since a commit; a clock that was set back makes it 0.
fn age(commit: &Commit) -> Option<Duration> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let at = Duration::from_millis(commit.at_ms);
    (commit.at_ms > 0).then(|| now.saturating_sub(at))
}
