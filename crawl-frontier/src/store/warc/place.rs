//! Where the WARC files of a crawl lie.

use std::path::{Path, PathBuf};

use crawl_ckpt::durable::Disk;
use crawl_ckpt::job::{Job, vouched_warc};
use crawl_ckpt::journal::Commit;
use crawl_ckpt::tool::{Exit, Failure};
use crawl_ckpt::warc::FileName;

/// Where the WARC files of a crawl lie, and what was written before.
#[derive(Debug)]
pub struct WarcPlace {
    /// The directory, which is there.
    pub dir: PathBuf,
    /// Where the fetcher leaves records.
    pub spool_dir: PathBuf,
    /// The number of the first file of this run.
    pub serial: u32,
    /// The last file of the run before, and its committed length.
    pub last: Option<(FileName, u64)>,
}

impl WarcPlace {
    /// The directory of a crawl that begins. Durable when this returns.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn begin(disk: &dyn Disk, dir: PathBuf, spool_dir: PathBuf) -> Result<WarcPlace, Failure> {
        disk.create_dir_all(&dir)
            .map_err(|e| Failure::new(format_args!("cannot create {}: {e}", dir.display())))?;
        Ok(WarcPlace {
            dir,
            spool_dir,
            serial: 1,
            last: None,
        })
    }

    /// The directory of a job that goes on, with whole files in it only; `None` when it keeps none.
    ///
    /// # Errors
    /// Errors of the disk; a file that is shorter than committed.
    pub fn resume(
        job: &Job,
        commit: &Commit,
        data_dir: &Path,
    ) -> Result<Option<WarcPlace>, Failure> {
        let Some(dir) = job.warc_dir(data_dir) else {
            return Ok(None);
        };
        // A run that was killed as it began did not make it yet.
        let mut place = WarcPlace::begin(&**job.disk(), dir, job.place().spool_dir())?;
        place.serial = job.settle_warc(commit, data_dir)?;
        place.last = vouched_warc(commit).filter(|(_, len)| *len > 0);
        Ok(Some(place))
    }
}

/// A directory that is there already is nobody's to write into.
///
/// # Errors
/// [`Exit::Usage`] for one.
pub fn refuse_taken(dir: &Path) -> Result<(), Failure> {
    if dir.symlink_metadata().is_err() {
        return Ok(());
    }
    let message = format!("WARC {}: the directory exists already", dir.display());
    Err(Failure::with(Exit::Usage, message).hint("name another output, or move this one away"))
}

/// A job that came from elsewhere may name any directory: outside of the data directory one counts only
/// when the user names it too.
///
/// # Errors
/// [`Exit::Usage`] for such a directory.
pub fn refuse_foreign(job: &Job, named: Option<&Path>, data_dir: &Path) -> Result<(), Failure> {
    let (Some(place), Some(dir)) = (&job.manifest().warc, job.warc_dir(data_dir)) else {
        return Ok(());
    };
    let is_named = named.is_some_and(|named| named == dir);
    if is_named || place.is_within(data_dir, data_dir) {
        return Ok(());
    }
    let (dir, data_dir) = (dir.display(), data_dir.display());
    let message = format!("the WARC {dir} is outside of the data directory {data_dir}");
    Err(Failure::with(Exit::Usage, message)
        .hint("name it with --warc-dir to go on with it, or name --data-dir"))
}
