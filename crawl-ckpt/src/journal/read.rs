//! Reading single requests back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{JournalFile, MAX_BATCH_BYTES, Stored};
use crate::codec::{Bad, Cursor};
use crate::durable::{Disk, DiskFile, read_full};
use crate::error::StoreError;

/// Most requests fit: URL, referer and a little.
const GUESS_BYTES: usize = 512;

/// Fetches requests back by their place in the journal. Cheap to clone, independent of the
/// writer, usable from many threads.
#[derive(Debug, Clone)]
pub struct Reader {
    file: Arc<dyn DiskFile>,
    path: Arc<Path>,
}

impl Reader {
    /// Opens the journal of a job.
    pub(crate) fn open(journal: &JournalFile<'_>) -> Result<Reader, StoreError> {
        let (file, _) = journal.open_read()?;
        Ok(Reader::over(file.into(), &journal.path))
    }

    /// Opens a journal of which nothing is known to be sound.
    pub(crate) fn at(disk: &dyn Disk, path: &Path) -> Result<Reader, StoreError> {
        let file = disk.open_read(path).map_err(StoreError::opening(path))?;
        Ok(Reader::over(file.into(), path))
    }

    pub(super) fn over(file: Arc<dyn DiskFile>, path: &Path) -> Reader {
        Reader {
            file,
            path: path.into(),
        }
    }

    /// The request at a place in the journal. One read in nearly all cases; the request's own
    /// checksum is checked. The buffer's old content is of no interest.
    ///
    /// # Errors
    /// Errors of the disk; damage when there is no sound request.
    pub fn request_at<'b>(
        &self,
        at: u64,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Stored<'b>, StoreError> {
        let mut want = GUESS_BYTES;
        loop {
            if buffer.len() < want {
                buffer.resize(want, 0);
            }
            let got = read_full(&*self.file, &mut buffer[..want], at)
                .map_err(StoreError::io("read", &self.path))?;
            let why = match Cursor::new(&buffer[..got]).request(true) {
                Ok(_) => break want = got,
                Err(Bad::Short(need)) if got == want => {
                    // A damaged length must not make us ask for memory that no request needs.
                    let len = self
                        .file
                        .len()
                        .map_err(StoreError::io("read", &self.path))?;
                    if need <= MAX_BATCH_BYTES && need as u64 <= len.saturating_sub(at) {
                        want = need + GUESS_BYTES;
                        continue;
                    }
                    "a request is cut short"
                }
                Err(Bad::Short(_)) => "a request is cut short",
                Err(Bad::Wrong(why)) => why,
            };
            return Err(StoreError::damaged(&self.path, at, why));
        }
        // Parsed once more because the borrow of a loop cannot leave it.
        Cursor::new(&buffer[..want])
            .request(false)
            .map_err(|_| StoreError::damaged(&self.path, at, "a request changed"))
    }

    /// Where the journal lies.
    pub fn path(&self) -> PathBuf {
        self.path.to_path_buf()
    }
}
