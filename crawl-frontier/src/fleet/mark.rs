//! Which crawl the records are of that a worker has written: a store that lost the crawl begins another one of
//! the same name, which would overwrite them.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crawl_ckpt::durable::{Disk, RealDisk, replace};
use crawl_ckpt::tool::{Exit, Failure, quoted};

/// Where a worker notes of which crawl its parts in this directory are.
pub fn path(dir: &Path, worker: &str) -> PathBuf {
    dir.join(format!("{worker}.mark"))
}

/// Notes that the parts of this worker are of this crawl. Durable.
///
/// # Errors
/// [`Exit::Damaged`] when they are of another one, and there are records in them; errors of the disk.
pub fn leave(dir: &Path, worker: &str, name: &str, mark: &str) -> Result<(), Failure> {
    let path = path(dir, worker);
    let cannot = |what: &str, e: &io::Error| {
        Failure::new(format_args!("cannot {what} {}: {e}", path.display()))
    };
    match fs::read_to_string(&path) {
        Ok(known) if known.trim_end() == mark => return Ok(()),
        Ok(_) if has_records(dir, worker).map_err(|e| cannot("read the parts beside", &e))? => {
            return Err(another(dir, name));
        }
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) => return Err(cannot("read", &e)),
    }
    RealDisk
        .create_dir_all(dir)
        .and_then(|()| replace(&RealDisk, &path, format!("{mark}\n").as_bytes()))
        .map_err(|e| cannot("write", &e))
}

fn has_records(dir: &Path, worker: &str) -> io::Result<bool> {
    let end = format!(".{worker}.jsonl");
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(&end) && entry.metadata()?.len() > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

fn another(dir: &Path, name: &str) -> Failure {
    let message = format!(
        "the store has lost {name}, or it was removed there: {} has records of it, which a new crawl of that \
         name would overwrite",
        dir.display()
    );
    let (from, to) = (dir.display().to_string(), format!("{}.lost", dir.display()));
    Failure::with(Exit::Damaged, message).hint(format_args!(
        "mv {} {}   (and then the same command, which begins anew), or --crawl-id ID for a crawl of another name",
        quoted(&from),
        quoted(&to)
    ))
}
