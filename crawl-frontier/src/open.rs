//! Opening a crawl: a new job, one that goes on, or none at all.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use crawl_ckpt::control::{Begin, Started};
use crawl_ckpt::delta::{self, LEARNED};
use crawl_ckpt::durable::{Disk, RealDisk, remove_if_there};
use crawl_ckpt::job::{self, Job, JobPlace, OUTPUT, OutputPlace, spool_beside};
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::plan::{Plan, Scope};
use crawl_ckpt::tool::{Exit, Failure};

use crate::again;
use crate::crawl::Crawl;
use crate::schedule::Schedule;
use crate::scope::is_private_authority;
use crate::store::known::Delta;
use crate::store::restore::{Restored, restore};
use crate::store::seen::SeenRoom;
use crate::store::warc::place::{refuse_foreign, refuse_taken};
use crate::store::warc::{Warc, WarcPlace};
use crate::store::{
    Embedded, HeldJob, Log, OutputTo, Outputs, Ticket, new_manifest, random_key, retry,
};

/// Where a crawl keeps its state and its records.
#[derive(Debug)]
pub struct Places {
    /// The job; `None` for a test crawl.
    pub job: Option<JobPlace>,
    /// A lock that was handed over.
    pub lock: Option<OwnedFd>,
    /// What a relative output path is relative to.
    pub data_dir: PathBuf,
    /// Where output records go.
    pub output: OutputTo,
    /// Where the WARC files of a crawl go that keeps the pages themselves.
    pub warc: Option<PathBuf>,
    /// About how much memory a crawl may take.
    pub memory_bytes: u64,
}

/// A crawl that is ready to go on.
#[derive(Debug)]
pub struct Opened<W = Crawl<Embedded>> {
    /// The crawl.
    pub crawl: W,
    /// What to tell.
    pub started: Started,
    /// What people should read.
    pub notes: Vec<String>,
}

/// Opens the crawl.
///
/// # Errors
/// A job that another run holds (75), that is damaged (65), or that belongs to another
/// plan (2); those of the disk.
pub fn open(places: Places, begin: &Begin, now_ms: u64) -> Result<Opened, Failure> {
    match &places.job {
        Some(place) => open_job(&place.clone(), places, begin, now_ms),
        None => open_test(places, begin, now_ms),
    }
}

fn open_test(places: Places, begin: &Begin, now_ms: u64) -> Result<Opened, Failure> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let warc = warc_dir(&begin.plan, places.warc)?;
    let warc = warc.map(|dir| (spool_beside(&dir), dir));
    let (outputs, warc) = begin_outputs(&*disk, places.output, warc)?;
    let warc = warc.map(|place| Warc::begin(&disk, place, &begin.plan));
    let store = Embedded::new(Log::in_memory(outputs, warc.transpose()?)?);
    start(begin, random_key()?, store, now_ms)
}

/// A new crawl over an empty store.
fn start(begin: &Begin, key: [u8; 16], store: Embedded, now_ms: u64) -> Result<Opened, Failure> {
    let mut crawl = Crawl::new(begin.plan.clone(), key, store)?;
    crawl.take_secrets(begin);
    crawl.take_cookies(begin, now_ms);
    crawl.take_hosts(begin);
    crawl.start()?;
    let started = Started::default();
    Ok(Opened {
        crawl,
        started,
        notes: Vec::new(),
    })
}

fn open_job(
    place: &JobPlace,
    places: Places,
    begin: &Begin,
    now_ms: u64,
) -> Result<Opened, Failure> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let lock = match places.lock {
        Some(fd) => JobLock::inherit(place, fd)?,
        None => JobLock::acquire(place)?,
    };
    let mut job = Job::open(disk.clone(), place)?;
    // What crawl-run was throwing away is nobody's to go on with.
    if let Some(job) = job.take_if(|job| job.manifest().clearing.is_some()) {
        job.finish_clearing(&lock, &places.data_dir)?;
    }
    // A kill leaves it empty.
    if let (Some(job), Some(source)) = (&mut job, &begin.retry_failed)
        && job.last_commit()?.is_none()
    {
        again::fill(job, &lock, source, &places.data_dir, now_ms)?;
    }
    match job {
        Some(job) => {
            let outputs = (places.output, places.warc.as_deref());
            let resuming = Resuming {
                outputs,
                data_dir: &places.data_dir,
                memory_bytes: places.memory_bytes,
            };
            resume(job, lock, resuming, begin, now_ms)
        }
        None => {
            let warc = warc_dir(&begin.plan, places.warc)?;
            let delta = Delta::open(place, &begin.plan)?;
            let mut manifest = new_manifest()?;
            manifest.output = places.output.place(&places.data_dir)?;
            if let Some(dir) = &warc {
                manifest.keep_warc(OutputPlace::file(dir, &places.data_dir));
            }
            manifest.proxy_type = begin.plan.proxy_type.clone();
            manifest.plan = Some(begin.plan.clone());
            if let Some(source) = &begin.retry_failed {
                manifest.retries = Some(OutputPlace::file(source, &places.data_dir));
                let mut job = Job::create(disk.clone(), place, &lock, manifest)?;
                if let Err(failure) = again::fill(&mut job, &lock, source, &places.data_dir, now_ms)
                {
                    let output = job.manifest().output.as_ref();
                    if let Some(path) = output.and_then(|output| output.resolve(&places.data_dir)) {
                        // Half a copy, which the failure above is about.
                        let _ = remove_if_there(&*disk, &path);
                    }
                    job.remove(&lock)?;
                    return Err(failure);
                }
                let resuming = Resuming {
                    outputs: (places.output, None),
                    data_dir: &places.data_dir,
                    memory_bytes: places.memory_bytes,
                };
                return resume(job, lock, resuming, begin, now_ms);
            }
            let key = manifest.key;
            let mut job = Job::create(disk.clone(), place, &lock, manifest)?;
            // The job names its output before that is there: a kill in between leaves no file
            // that belongs to nobody.
            let warc = warc.map(|dir| (place.spool_dir(), dir));
            let (outputs, warc) = match begin_outputs(&*disk, places.output, warc) {
                Ok(made) => made,
                Err(failure) => {
                    job.remove(&lock)?;
                    return Err(failure);
                }
            };
            let end = job.replay(None, |_| Ok(()))?.mark;
            let writer = job.writer(&lock, &end)?;
            let learned = delta.as_ref().map(|delta| delta.begin(&job, &lock));
            let warc = warc.map(|place| Warc::begin(&disk, place, &begin.plan));
            let reader = job.reader()?;
            let log = Log::on_disk(
                writer,
                reader,
                outputs,
                learned.transpose()?,
                warc.transpose()?,
            )?;
            let room = SeenRoom::within(places.memory_bytes, &mut job)?;
            let held = HeldJob::new(job, lock, None, places.memory_bytes);
            let store = Embedded::empty(room, log, Some(held), delta);
            start(begin, key, store, now_ms)
        }
    }
}

/// What a crawl that goes on has of this run.
struct Resuming<'a> {
    /// The output, and the directory of WARC files.
    outputs: (OutputTo, Option<&'a Path>),
    data_dir: &'a Path,
    memory_bytes: u64,
}

/// Makes what a crawl writes into, with the spool and the directory of its WARC files: all of it or none.
fn begin_outputs(
    disk: &dyn Disk,
    output: OutputTo,
    warc: Option<(PathBuf, PathBuf)>,
) -> Result<(Outputs, Option<WarcPlace>), Failure> {
    let warc = warc.map(|(spool, dir)| WarcPlace::begin(disk, dir, spool));
    let warc = warc.transpose()?;
    let outputs = Outputs::begin(disk, output).inspect_err(|_| {
        if let Some(warc) = &warc {
            // Nothing is in it. That it stays is told when it is in the way.
            let _ = disk.remove_dir(&warc.dir);
        }
    });
    Ok((outputs?, warc))
}

fn resume(
    mut job: Job,
    lock: JobLock,
    resuming: Resuming<'_>,
    begin: &Begin,
    now_ms: u64,
) -> Result<Opened, Failure> {
    let Resuming {
        outputs: (output, warc_dir),
        data_dir,
        memory_bytes,
    } = resuming;
    let mut notes = Vec::new();
    refuse_foreign_output(&job, &output, data_dir)?;
    refuse_foreign(&job, warc_dir, data_dir)?;
    let plan = plan_of_resume(&job, begin, &mut notes)?;
    let room = SeenRoom::within(memory_bytes, &mut job)?;
    let window = plan.pace.per_host;
    // Where a settled journal has its requests takes half as long to find out as an image to read.
    let (restored, reader) = thread::scope(|scope| {
        let opening = scope.spawn(|| job.reader());
        let restored = restore(&job, window, now_ms, begin.retry_blocked, room);
        (restored, opening.join())
    });
    let mut restored = restored?;
    let reader = reader.map_err(|_| Failure::new("the thread that opens journals is gone"))??;
    let kept_plan = plan.clone();
    let stays = stays_on_hosts(&plan);
    let plan = Plan {
        allow_private: plan.allow_private || stays && has_private(restored.schedule()),
        ..plan
    };
    check_output(&job, &restored, data_dir)?;
    job.check_warc(&restored.commit(), data_dir)?;
    let learned_bytes = restored.committed(LEARNED);
    if let Some(bytes) = learned_bytes {
        delta::check(&job, bytes)?;
    }
    let counts = restored.started.counts;
    if job.manifest().output.is_none() && counts.done + counts.failed == 0 {
        // Filled by `add`, so the first records are this run's.
        let place = output.place(data_dir)?;
        let warc_dir = warc_dir.filter(|_| plan.warc.is_some() && job.manifest().warc.is_none());
        job.update(&lock, |manifest| {
            manifest.output = place;
            if let Some(dir) = warc_dir {
                manifest.keep_warc(OutputPlace::file(dir, data_dir));
            }
        })?;
    }
    let mut writer = job.writer(&lock, &restored.end)?;
    retry::reopen(&job, &mut restored, &mut writer, data_dir, now_ms)?;
    let committed = restored.committed(OUTPUT).unwrap_or(0);
    let outputs = Outputs::resume(&job, output, data_dir, committed)?;
    let warc = WarcPlace::resume(&job, &restored.commit(), data_dir)?;
    job.update(&lock, |manifest| {
        manifest.proxy_type.clone_from(&kept_plan.proxy_type);
        manifest.plan = Some(kept_plan);
    })?;
    let delta = Delta::resume(&job, &lock, &plan, learned_bytes, &mut notes)?;
    let (delta, learned) = delta.unzip();
    notes.append(&mut restored.notes);
    let mut started = restored.started.clone();
    let warc = warc.map(|place| Warc::begin(job.disk(), place, &plan));
    let log = Log::on_disk(writer, reader, outputs, learned, warc.transpose()?)?;
    let key = job.manifest().key;
    let held = HeldJob::new(job, lock, restored.image.as_ref(), memory_bytes);
    let (store, remembered) = restored.into_store(log, Some(held), delta);
    let mut crawl = Crawl::new(plan, key, store)?;
    started.cookies_expired = crawl.restore(remembered, now_ms);
    if stays {
        // Which hosts those are is seen anew each time: `add` may bring more.
        crawl.stay_on_hosts();
    }
    crawl.take_secrets(begin);
    crawl.take_cookies(begin, now_ms);
    crawl.take_hosts(begin);
    crawl.start()?;
    Ok(Opened {
        crawl,
        started,
        notes,
    })
}

/// The plan to go on with: the new one, unless it is another crawl's. Whether it is incremental, and
/// whether it keeps the pages themselves, stays as it began: half a crawl is nothing to compare with,
/// and half an archive none.
fn plan_of_resume(job: &Job, begin: &Begin, notes: &mut Vec<String>) -> Result<Plan, Failure> {
    let Some(old) = &job.manifest().plan else {
        return Ok(begin.plan.clone());
    };
    let is_bare = begin.plan.start_urls.is_empty();
    if is_bare && !begin.adopt_plan {
        return Ok(old.clone());
    }
    if old.identity() != begin.plan.identity() && !begin.adopt_plan {
        let dir = job.place().dir.display();
        return Err(Failure::with(
            Exit::Usage,
            format_args!("{dir}: the job is of other start URLs or another scope"),
        )
        .hint("leave out --start to go on as it began, or name another --job"));
    }
    let delta = old.delta;
    match (delta, begin.plan.delta) {
        (true, false) => notes.push("the crawl began with --delta, and goes on so".into()),
        (false, true) => notes.push("the crawl began without --delta, and goes on so".into()),
        _ => {}
    }
    let mut warc = begin.plan.warc.clone();
    match (&old.warc, &warc) {
        (Some(began), None) => {
            notes.push("the crawl began with --warc, and goes on so".into());
            warc = Some(began.clone());
        }
        (None, Some(_)) => {
            notes.push("the crawl began without --warc, and goes on so".into());
            warc = None;
        }
        _ => {}
    }
    Ok(Plan {
        delta,
        warc,
        ..begin.plan.clone()
    })
}

/// Where the WARC files of a crawl that begins will be, if it keeps any.
fn warc_dir(plan: &Plan, dir: Option<PathBuf>) -> Result<Option<PathBuf>, Failure> {
    match (&plan.warc, dir) {
        (None, _) => Ok(None),
        (Some(_), None) => Err(Failure::with(
            Exit::Usage,
            "nothing says where the WARC files are to go",
        )),
        (Some(_), Some(dir)) => {
            refuse_taken(&dir)?;
            Ok(Some(dir))
        }
    }
}

/// True of a crawl without start URLs and scope: it stays on the hosts that it has requests for.
pub fn stays_on_hosts(plan: &Plan) -> bool {
    plan.start_urls.is_empty() && plan.scope == Scope::default()
}

/// True when a crawl has requests for a private host.
fn has_private(schedule: &Schedule<Ticket>) -> bool {
    schedule.authorities().any(is_private_authority)
}

/// A job that came from elsewhere may name any file as its output: outside of the data directory that
/// counts only when the user names it too.
fn refuse_foreign_output(job: &Job, output: &OutputTo, data_dir: &Path) -> Result<(), Failure> {
    let began = job.manifest().output.as_ref();
    let file = began.and_then(|began| began.resolve(data_dir));
    match (began, file, output) {
        (Some(began), Some(file), OutputTo::Nowhere) if !began.is_within(data_dir, data_dir) => {
            let (file, dir) = (file.display(), data_dir.display());
            let message = format!("the output {file} is outside of the data directory {dir}");
            Err(Failure::with(Exit::Usage, message)
                .hint("name it with --output to go on with it, or name --data-dir"))
        }
        _ => Ok(()),
    }
}

/// An output that is not what was committed is damage; that is told before anything is changed.
fn check_output(job: &Job, restored: &Restored, data_dir: &Path) -> Result<(), Failure> {
    let began = job.manifest().output.as_ref();
    let Some(path) = began.and_then(|output| output.resolve(data_dir)) else {
        return Ok(());
    };
    // A killed run may have left the file that is to take its place beside it.
    let path = retry::left_beside(restored, &path)?.unwrap_or(path);
    job::check_output(&path, &restored.commit())
}
