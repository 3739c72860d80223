//! The output of a worker: one file of its parts, once the crawl is complete.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crawl_ckpt::durable::{Disk, RealDisk, beside, parent};
use crawl_ckpt::tool::{Exit, Failure};

/// Copies so many bytes of each part into one file, which is there as a whole or not at all, and removes
/// the parts, and their directory when nobody else's are in it.
///
/// # Errors
/// [`Exit::Damaged`] when a part is shorter than that; errors of the disk.
pub fn join(parts: &[(PathBuf, u64)], dir: &Path, joined: &Path) -> Result<(), Failure> {
    let cannot = |path: &Path, e: &io::Error| {
        Failure::new(format_args!("cannot write {}: {e}", path.display()))
    };
    if let Ok(there) = fs::metadata(joined) {
        // A run that was killed made it, or it is of another crawl.
        let bytes: u64 = parts.iter().map(|(_, len)| len).sum();
        if there.len() != bytes {
            let path = joined.display();
            return Err(
                Failure::new(format_args!("output {path}: the file exists already"))
                    .hint("move that one away, and give the same command again"),
            );
        }
    } else {
        let unfinished = beside(joined, ".unfinished");
        RealDisk
            .create_dir_all(parent(joined))
            .map_err(|e| cannot(joined, &e))?;
        let mut file = File::create(&unfinished).map_err(|e| cannot(&unfinished, &e))?;
        for (path, len) in parts.iter().filter(|(_, len)| *len > 0) {
            let part = File::open(path).map_err(|e| damaged(path, &e.to_string()))?;
            let copied = io::copy(&mut part.take(*len), &mut file);
            let copied = copied.map_err(|e| cannot(&unfinished, &e))?;
            if copied != *len {
                return Err(damaged(path, &format!("{copied} of {len} bytes are there")));
            }
        }
        file.flush()
            .and_then(|()| file.sync_all())
            .and_then(|()| RealDisk.rename(&unfinished, joined))
            .and_then(|()| RealDisk.sync_dir(parent(joined)))
            .map_err(|e| cannot(joined, &e))?;
    }
    for (path, _) in parts {
        // What stays is a copy of what the joined file has.
        let _ = fs::remove_file(path);
    }
    // It has other workers' parts in it, on a disk that they share.
    let _ = fs::remove_dir(dir);
    Ok(())
}

fn damaged(path: &Path, why: &str) -> Failure {
    Failure::with(
        Exit::Damaged,
        format_args!("output part {}: {why}", path.display()),
    )
}
