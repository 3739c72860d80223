//! Reading single requests back.

use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use super::settled::SettledPlaces;
use super::{JournalFile, MAX_BATCH_BYTES, Stored};
use crate::codec::{Bad, Cursor};
use crate::durable::{Disk, DiskFile, read_full};
use crate::error::StoreError;

/// Most requests fit: URL, referer and a little.
const GUESS_BYTES: usize = 512;
const READS_TAKE: Duration = Duration::from_millis(1);

/// Fetches requests back by what they are called and their place in the journals. Cheap to clone, independent of
/// the writer, usable from many threads.
#[derive(Debug, Clone)]
pub struct Reader {
    /// The oldest first; each has what lies before the next one.
    stretches: Arc<RwLock<Vec<Arc<Stretch>>>>,
}

/// What one file has.
#[derive(Debug)]
struct Stretch {
    generation: u64,
    /// The first place that it has.
    from: u64,
    file: Arc<dyn DiskFile>,
    path: Arc<Path>,
    /// Of one that was settled, in which requests are found by their ids.
    settled: Option<SettledPlaces>,
}

impl Reader {
    /// Opens the journals of a job, the oldest first; `settled` of the first says that it is.
    pub(crate) fn open(journals: &[JournalFile<'_>], settled: bool) -> Result<Reader, StoreError> {
        let reader = Reader::of(Vec::new());
        reader.renew(journals, settled)?;
        Ok(reader)
    }

    /// Reads these from now on, all clones as well. Those that are open already stay so.
    pub(crate) fn renew(
        &self,
        journals: &[JournalFile<'_>],
        settled: bool,
    ) -> Result<(), StoreError> {
        let old = self.all().to_vec();
        let mut stretches = Vec::new();
        for (n, journal) in journals.iter().enumerate() {
            let known = old.iter().find(|old| old.generation == journal.generation);
            stretches.push(match known {
                Some(stretch) => stretch.clone(),
                None => Arc::new(Stretch::open(journal, settled && n == 0)?),
            });
        }
        drop(old);
        let replaced = match self.stretches.write() {
            Ok(mut all) => std::mem::replace(&mut *all, stretches),
            Err(poisoned) => std::mem::replace(&mut *poisoned.into_inner(), stretches),
        };
        let stays = |one: &Arc<Stretch>| journals.iter().any(|j| j.generation == one.generation);
        for gone in replaced.into_iter().filter(|one| !stays(one)) {
            // To close a file that was removed takes as long as it is large. Whoever reads from it just now must
            // not be the one who does that.
            while Arc::strong_count(&gone) > 1 {
                std::thread::sleep(READS_TAKE);
            }
        }
        Ok(())
    }

    /// Opens a journal of which nothing is known to be sound.
    pub(crate) fn at(disk: &dyn Disk, path: &Path) -> Result<Reader, StoreError> {
        let file = disk.open_read(path).map_err(StoreError::opening(path))?;
        Ok(Reader::over(file.into(), path))
    }

    pub(super) fn over(file: Arc<dyn DiskFile>, path: &Path) -> Reader {
        Reader::of(vec![Arc::new(Stretch {
            generation: 0,
            from: 0,
            file,
            path: path.into(),
            settled: None,
        })])
    }

    fn of(stretches: Vec<Arc<Stretch>>) -> Reader {
        Reader {
            stretches: Arc::new(RwLock::new(stretches)),
        }
    }

    fn all(&self) -> impl std::ops::Deref<Target = Vec<Arc<Stretch>>> + '_ {
        // Replaced as a whole: a panic elsewhere leaves no half of it.
        self.stretches
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The request of this id at a place, as a replay or a [`Batch`](super::Batch) told both. One read in nearly all
    /// cases; the request's own checksum is checked. The buffer's old content is of no interest.
    ///
    /// # Errors
    /// Errors of the disk; damage when there is no sound request.
    pub fn request_at<'b>(
        &self,
        id: u64,
        at: u64,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Stored<'b>, StoreError> {
        let stretch = {
            let all = self.all();
            let behind = all.partition_point(|stretch| stretch.from <= at);
            all[behind.max(1) - 1].clone()
        };
        let at = match &stretch.settled {
            Some(places) => places.place(id, &*stretch.file, &stretch.path, buffer)?,
            None => at,
        };
        stretch.request_at(at, buffer)
    }
}

impl Stretch {
    fn open(journal: &JournalFile<'_>, is_settled: bool) -> Result<Stretch, StoreError> {
        let opened = journal.open_read()?;
        let settled = match journal.sealed {
            Some(end) if is_settled => Some(SettledPlaces::of(&*opened.file, &journal.path, &end)?),
            _ => None,
        };
        Ok(Stretch {
            generation: journal.generation,
            from: journal.begin.map_or(0, |begin| begin.bytes),
            file: opened.file.into(),
            path: journal.path.as_path().into(),
            settled,
        })
    }

    fn request_at<'b>(&self, at: u64, buffer: &'b mut Vec<u8>) -> Result<Stored<'b>, StoreError> {
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
}
