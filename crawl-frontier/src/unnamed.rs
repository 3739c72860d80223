//! Files without a name: gone with the process, so what is in them is never the only copy of anything.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// What helps when there is no room on the disk.
pub const MAKE_ROOM: &str = "make room, then give the same command again: nothing is lost";

/// How much of something may be in memory, and where the rest of it goes.
#[derive(Debug, Clone)]
pub struct AsideRoom {
    /// Where the file is.
    pub dir: PathBuf,
    /// So many bytes are in memory.
    pub bytes: usize,
}

/// A file in this directory; `None` where there are none without a name, or none for who may only read there.
///
/// # Errors
/// Errors of the disk.
pub fn create(dir: &Path) -> io::Result<Option<File>> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => Ok(Some(file.into())),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(None),
        Err(Errno::ACCESS | Errno::ROFS) => Ok(None),
        Err(e) => Err(e.into()),
    }
}
