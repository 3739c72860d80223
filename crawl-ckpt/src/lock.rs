//! The lock that makes a process the one writer of a job.
//!
//! It is an exclusive flock on a file beside the job directory. The file is never
//! deleted: who deletes a lock file while another waits for it lets two in. The
//! words in it are for people; the lock alone decides.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::durable::parent;
use crate::job::place::JobPlace;
use crate::tool::{Exit, Failure};

/// How often an exclusive lock is asked for before its holder is believed: the
/// holder may be about to end, or about to write its name down.
const TRIES: u32 = 6;
const BETWEEN_TRIES: Duration = Duration::from_millis(10);

/// How often a lock is asked for that only looks from outside stand in the way
/// of. Each of them takes a shared lock for microseconds.
const TRIES_AGAINST_LOOKS: u32 = 1000;

/// Proof that this process holds a job. Functions that write take one. It is
/// released when the last descriptor of it is closed, children's included.
#[derive(Debug)]
pub struct JobLock {
    file: File,
    path: PathBuf,
}

/// Who holds a job, as written into the lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// Name of the machine.
    pub host: String,
    /// RFC 3339, UTC.
    pub started: String,
}

/// Why a lock was not got.
#[derive(Debug)]
pub enum LockError {
    /// Another run holds the job.
    Held {
        /// The lock file.
        path: PathBuf,
        /// Who, when that could be read.
        holder: Option<Holder>,
    },
    /// The descriptor that was handed over is not this job's lock file.
    Foreign {
        /// The lock file.
        path: PathBuf,
    },
    /// The lock file cannot be made, read or locked.
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl JobLock {
    /// Takes the lock of a job, or says at once (within 50 ms) who holds it. The folder of
    /// the job is created when it is missing.
    ///
    /// # Errors
    /// Another run holds it, or the file system refuses.
    pub fn acquire(place: &JobPlace) -> Result<JobLock, LockError> {
        let path = &place.lock;
        let io = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(parent(path)).map_err(io)?;
        loop {
            let mut options = OpenOptions::new();
            options
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o644);
            let file = options.open(path).map_err(io)?;
            lock_exclusive(&file, path)?;
            // Somebody may have deleted the file by hand between the open and the lock.
            if is_same_file(&file, path).map_err(io)? {
                let lock = JobLock {
                    file,
                    path: path.clone(),
                };
                lock.sign().map_err(io)?;
                return Ok(lock);
            }
        }
    }

    /// Takes over a lock from the process that started this one and holds it as well.
    ///
    /// # Errors
    /// The descriptor is not that job's lock file, or another run holds it.
    pub fn inherit(place: &JobPlace, fd: OwnedFd) -> Result<JobLock, LockError> {
        let path = place.lock.clone();
        let file = File::from(fd);
        match is_same_file(&file, &path) {
            Ok(true) => {}
            Ok(false) => return Err(LockError::Foreign { path }),
            Err(source) => return Err(LockError::Io { path, source }),
        }
        lock_exclusive(&file, &path)?;
        Ok(JobLock { file, path })
    }

    /// Who holds a job now; `None` when nobody does. Disturbs nobody.
    pub fn probe(place: &JobPlace) -> Option<Holder> {
        let file = File::open(&place.lock).ok()?;
        match fs2::FileExt::try_lock_shared(&file) {
            Err(e) if is_contended(&e) => Some(read_holder(&file).unwrap_or(Holder {
                pid: 0,
                host: String::new(),
                started: String::new(),
            })),
            _ => None,
        }
    }

    /// The descriptor, to hand it over to a child.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// True for the lock of this job.
    pub fn guards(&self, place: &JobPlace) -> bool {
        self.path == place.lock
    }

    fn sign(&self) -> io::Result<()> {
        let holder = Holder {
            pid: std::process::id(),
            host: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            started: jiff::Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string(),
        };
        let mut line = serde_json::to_vec(&holder)?;
        line.push(b'\n');
        self.file.write_all_at(&line, 0)?;
        self.file.set_len(line.len() as u64)
    }
}

fn lock_exclusive(file: &File, path: &Path) -> Result<(), LockError> {
    let io = |source| LockError::Io {
        path: path.into(),
        source,
    };
    let (mut looks, mut refusals) = (0, 0);
    loop {
        match fs2::FileExt::try_lock_exclusive(file) {
            Ok(()) => return Ok(()),
            Err(e) if !is_contended(&e) => return Err(io(e)),
            Err(_) => {}
        }
        // A shared lock can be had beside looks, but not beside a writer.
        if looks < TRIES_AGAINST_LOOKS && fs2::FileExt::try_lock_shared(file).is_ok() {
            fs2::FileExt::unlock(file).map_err(io)?;
            looks += 1;
            continue;
        }
        refusals += 1;
        if refusals == TRIES {
            return Err(LockError::Held {
                path: path.into(),
                holder: read_holder(file),
            });
        }
        sleep(BETWEEN_TRIES);
    }
}

fn is_contended(error: &io::Error) -> bool {
    error.raw_os_error() == fs2::lock_contended_error().raw_os_error()
}

fn is_same_file(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(named) => Ok((ours.dev(), ours.ino()) == (named.dev(), named.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

fn read_holder(file: &File) -> Option<Holder> {
    let mut text = [0; 4096];
    let len = file.read_at(&mut text, 0).ok()?;
    let line = text[..len].split(|b| *b == b'\n').next()?;
    serde_json::from_slice(line).ok()
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "pid {} on {} since {}",
            self.pid, self.host, self.started
        )
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Held {
                holder: Some(holder),
                ..
            } => {
                write!(f, "another run holds this job: {holder}")
            }
            LockError::Held { path, holder: None } => {
                write!(
                    f,
                    "another run holds this job: {} is locked",
                    path.display()
                )
            }
            LockError::Foreign { path } => {
                write!(
                    f,
                    "the lock handed over is not that of this job: {}",
                    path.display()
                )
            }
            LockError::Io { path, source } => write!(f, "cannot lock {}: {source}", path.display()),
        }
    }
}

impl std::error::Error for LockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LockError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Failure {
        let exit = match error {
            LockError::Held { .. } => Exit::Held,
            _ => Exit::Failed,
        };
        Failure::with(exit, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(dir: &Path) -> JobPlace {
        JobPlace::at(&dir.join("checkpoint"))
    }

    #[test]
    fn a_second_run_is_told_who_holds_the_job() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        assert_eq!(JobLock::probe(&place), None);
        let held = JobLock::acquire(&place).unwrap();
        let error = JobLock::acquire(&place).unwrap_err();
        let LockError::Held {
            holder: Some(holder),
            ..
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!(holder.pid, std::process::id());
        assert_eq!(JobLock::probe(&place).as_ref(), Some(holder));
        assert_eq!(Failure::from(error).exit, Exit::Held);
        drop(held);
        assert_eq!(JobLock::probe(&place), None);
        JobLock::acquire(&place).unwrap();
    }

    #[test]
    fn a_lock_handed_over_is_held_until_both_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        let parent = JobLock::acquire(&place).unwrap();
        let child = JobLock::inherit(&place, parent.fd().try_clone_to_owned().unwrap()).unwrap();
        drop(parent);
        assert!(JobLock::acquire(&place).is_err());
        drop(child);
        assert!(JobLock::acquire(&place).is_ok());
    }

    #[test]
    fn a_foreign_descriptor_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        drop(JobLock::acquire(&place).unwrap());
        let other = File::create(dir.path().join("other")).unwrap();
        let error = JobLock::inherit(&place, other.into()).unwrap_err();
        assert!(matches!(error, LockError::Foreign { .. }), "{error}");
    }

    #[test]
    fn a_momentary_look_never_makes_the_job_seem_held() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        drop(JobLock::acquire(&place).unwrap());
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    JobLock::probe(&place);
                }
            });
            for _ in 0..200 {
                let lock = JobLock::acquire(&place);
                if lock.is_err() {
                    stop.store(true, std::sync::atomic::Ordering::Relaxed);
                }
                drop(lock.unwrap());
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}
