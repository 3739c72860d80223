//! The lock that makes a process the one writer of a job.
//!
//! It is an exclusive flock on a file beside the job directory. The file is never
//! deleted: who deletes a lock file while another waits for it lets two in. The
//! words in it are for people; the lock alone decides. Since somebody may delete it all the
//! same, whoever writes in a job directory holds a second one, on the directory itself.

mod holder;

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub use holder::Holder;

use super::place::JobPlace;
use crate::durable::{Disk, Links, RealDisk, flock, named, open_dir, open_file, parent, through};
use crate::tool::{Exit, Failure};

/// How often a lock is taken anew because its file was deleted by hand meanwhile.
const TRIES_AGAINST_DELETION: u32 = 100;

/// Proof that this process holds a job. Functions that write take one. It is
/// released when the last descriptor of it is closed, children's included.
#[derive(Debug)]
pub struct JobLock {
    file: File,
    path: PathBuf,
}

/// Why a lock was not got.
#[derive(Debug)]
pub enum LockError {
    /// Another run holds the job.
    Held {
        /// The lock file, or the job directory when that is what is locked.
        path: PathBuf,
        /// Who, when that could be read.
        holder: Option<Holder>,
    },
    /// The descriptor that was handed over is not this job's lock file.
    Foreign {
        /// The lock file.
        path: PathBuf,
    },
    /// Under the lock file's name lies something of somebody else's.
    NotOurs {
        /// The lock file.
        path: PathBuf,
        /// What is wrong with the file.
        why: String,
    },
    /// Where the job directory should be is a link: who follows it would look for the lock elsewhere.
    Link {
        /// The job directory.
        dir: PathBuf,
    },
    /// A folder on the way to it cannot be made.
    Folder {
        /// What is there and takes none.
        path: PathBuf,
        /// Why.
        source: io::Error,
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
    /// Takes the lock of a job, or says at once who holds it. The folder of the job is created when
    /// it is missing; it is durable when this returns.
    ///
    /// # Errors
    /// Another run holds it, or the file system refuses; what lies there is no lock file.
    pub fn acquire(place: &JobPlace) -> Result<JobLock, LockError> {
        let path = &place.lock;
        let io = LockError::io(path);
        if place.dir.is_symlink() {
            let dir = place.dir.clone();
            return Err(LockError::Link { dir });
        }
        let made = RealDisk.create_dir_all(parent(path));
        made.map_err(|e| LockError::folder(parent(path), e))?;
        for _ in 0..TRIES_AGAINST_DELETION {
            let file = open_or_create(path)?;
            lock(&file, path)?;
            // Somebody may have deleted the file by hand between the open and the lock.
            if !is_same_file(&file, path).map_err(&io)? {
                continue;
            }
            // And did so perhaps while a run holds the job, which still has the directory.
            if is_dir_held(&place.dir) {
                return Err(LockError::Held {
                    path: place.dir.clone(),
                    holder: None,
                });
            }
            Holder::this().write(&file).map_err(&io)?;
            return Ok(JobLock {
                file,
                path: path.clone(),
            });
        }
        Err(io(io::Error::other("somebody deletes it all the time")))
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
        lock(&file, &path)?;
        // Whoever took the lock made it so.
        named::note_durable(parent(&path));
        Ok(JobLock { file, path })
    }

    /// Who holds a job now; `None` when nobody does. Disturbs nobody.
    pub fn probe(place: &JobPlace) -> Option<Holder> {
        // What is no lock file holds no job.
        let file = open_file(&place.lock, false, Links::Refused).ok();
        if let Some(file) = file.filter(flock::is_held) {
            return Some(Holder::read(&file).unwrap_or_default());
        }
        is_dir_held(&place.dir).then(Holder::default)
    }

    /// The descriptor, to hand it over to a child.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// True for the lock of this job.
    pub fn guards(&self, place: &JobPlace) -> bool {
        self.path == place.lock
    }
}

fn open_or_create(path: &Path) -> Result<File, LockError> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644);
    let not_ours = |why: String| LockError::NotOurs {
        path: path.into(),
        why,
    };
    let file = through(&mut options, path, Links::Refused).map_err(|e| match e.kind() {
        io::ErrorKind::InvalidData => not_ours(e.to_string()),
        _ => LockError::io(path)(e),
    })?;
    match holder::is_ours(&file) {
        Ok(true) => Ok(file),
        Ok(false) => Err(not_ours("it holds what no lock file does".to_owned())),
        Err(e) => Err(LockError::io(path)(e)),
    }
}

fn lock(file: &File, path: &Path) -> Result<(), LockError> {
    if flock::exclusive(file).map_err(LockError::io(path))? {
        Ok(())
    } else {
        Err(LockError::Held {
            path: path.into(),
            holder: Holder::read(file),
        })
    }
}

/// True when somebody writes in this directory.
fn is_dir_held(dir: &Path) -> bool {
    // A directory that is not there is held by nobody.
    open_dir(dir).is_ok_and(|dir| flock::is_held(&dir))
}

fn is_same_file(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(named) => Ok((ours.dev(), ours.ino()) == (named.dev(), named.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

fn is_forbidden(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}

impl LockError {
    fn io(path: &Path) -> impl Fn(io::Error) -> LockError {
        let path = path.to_owned();
        move |source| LockError::Io {
            path: path.clone(),
            source,
        }
    }

    fn folder(folder: &Path, source: io::Error) -> LockError {
        let there = folder.ancestors().find(|path| path.exists());
        let path = match there {
            Some(path) if !path.as_os_str().is_empty() => path,
            _ => Path::new("."),
        };
        let source = if path.is_dir() {
            source
        } else {
            io::ErrorKind::NotADirectory.into()
        };
        LockError::Folder {
            path: path.to_owned(),
            source,
        }
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
            LockError::NotOurs { path, why } => {
                write!(f, "cannot lock {}: {why}", path.display())
            }
            LockError::Link { dir } => {
                let leads_nowhere = if dir.exists() {
                    ""
                } else {
                    " that leads nowhere"
                };
                write!(
                    f,
                    "{} is a symbolic link{leads_nowhere}, which a job directory must not be",
                    dir.display()
                )
            }
            LockError::Folder { path, source } => {
                write!(f, "cannot create a folder in {}: {source}", path.display())
            }
            LockError::Io { path, source } => write!(f, "cannot lock {}: {source}", path.display()),
        }
    }
}

impl std::error::Error for LockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LockError::Folder { source, .. } | LockError::Io { source, .. } => Some(source),
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
        let failure = Failure::with(exit, &error);
        match &error {
            LockError::Link { dir } => failure.hint(format_args!(
                "remove the link; for another disk, make a link of the folder {}",
                parent(dir).display()
            )),
            LockError::NotOurs { .. } => failure.hint("move it away: a lock file is made there"),
            LockError::Io { source, .. } | LockError::Folder { source, .. }
                if is_forbidden(source) =>
            {
                failure.hint("it must be writable; --data-dir DIR, or --job DIR, is another place")
            }
            _ => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(dir: &Path) -> JobPlace {
        JobPlace::at(&dir.join("checkpoint"))
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told_with_what_stands_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = JobLock::acquire(&place(&file.join("below"))).unwrap_err();
        let told = format!(
            "cannot create a folder in {}: not a directory",
            file.display()
        );
        assert_eq!(error.to_string(), told);
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
