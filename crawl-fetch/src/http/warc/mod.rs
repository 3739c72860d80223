//! Keeps exchanges as WARC records: `--warc` and `--warc-spool`.
//!
//! A record is packed in memory of its own and appended as a whole; a large one goes to the file
//! as it is packed, and the others wait. There are as many places to pack as processors, so a
//! slow disk slows the crawl, and needs no more memory than a fast one.

mod exchange;
mod shelf;

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crawl_ckpt::capture::{Archived, SpoolPlace, Spooled};
use crawl_ckpt::record::FetchResult;
use crawl_ckpt::tool::Failure as ToolFailure;
use crawl_ckpt::warc::{Info, Packer, RecordId};

pub use exchange::{Beside, Exchange};
use shelf::Shelf;

use crate::failure::Failure;
use crate::http::heads;

/// A spool file that has so much is followed by another one.
const SPOOL_BYTES: u64 = 64 << 20;

/// So much of a bundle is packed before it has the file for itself.
const PRESS_BYTES: usize = 256 << 10;

/// Where exchanges are kept. Shared by all workers.
pub struct Archive {
    shelf: Mutex<Shelf>,
    beside: Beside,
    is_spool: bool,
    presses: Vec<Mutex<Press>>,
    /// Whose press is waited for when none is free.
    turn: AtomicUsize,
    is_over: AtomicBool,
    /// Exchanges of no result, which the next one tells of beside its own.
    others: Mutex<Vec<SpoolPlace<'static>>>,
}

/// What one bundle is packed with.
#[derive(Default)]
struct Press {
    packer: Packer,
    packed: Vec<u8>,
}

impl Archive {
    /// A new file, begun with the record that says what it is.
    ///
    /// # Errors
    /// When it cannot be made: it is there already, for one.
    pub fn file(path: &Path, info: &Info<'_>, date: &str, beside: Beside) -> io::Result<Archive> {
        let archive = Archive::new(Shelf::file(path)?, beside, false);
        let (header, block) = info.record(&RecordId::random()?, date);
        let mut press = Press::default();
        let mut bundle = Bundle::new(&archive.shelf, &mut press.packed);
        let length = press.packer.pack(&header, &[&block], &mut bundle)?;
        bundle.finish(length)?;
        Ok(archive)
    }

    /// Files of a directory, for the frontier to take the records from.
    pub fn spool(dir: &Path, beside: Beside) -> Archive {
        Archive::new(Shelf::spool(dir, SPOOL_BYTES), beside, true)
    }

    fn new(shelf: Shelf, beside: Beside, is_spool: bool) -> Archive {
        let places = std::thread::available_parallelism().map_or(1, usize::from);
        Archive {
            shelf: Mutex::new(shelf),
            beside,
            is_spool,
            presses: (0..places).map(|_| Mutex::default()).collect(),
            turn: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            others: Mutex::default(),
        }
    }

    /// Keeps the exchange of this thread, and tells the result where.
    ///
    /// # Errors
    /// When it could not be written: the run is at its end then.
    pub fn keep(
        &self,
        exchange: &Exchange<'_>,
        result: &mut FetchResult<'_>,
    ) -> Result<(), Failure> {
        self.try_keep(exchange, result).map_err(|error| {
            let is_over = lock(&self.shelf).is_over();
            self.is_over.fetch_or(is_over, Ordering::Relaxed);
            Failure::shortage(error)
        })
    }

    fn try_keep(&self, exchange: &Exchange<'_>, result: &mut FetchResult<'_>) -> io::Result<()> {
        let mut press = self.press();
        let Press { packer, packed } = &mut *press;
        let mut bundle = Bundle::new(&self.shelf, packed);
        let written = heads::look(|heads| exchange.write(heads, self.beside, packer, &mut bundle));
        let Some(written) = written.transpose()? else {
            return Ok(());
        };
        let (file, offset) = bundle.finish(written.length)?;
        if self.is_spool {
            result.spool = Some(Spooled {
                file: file.into(),
                offset,
                length: written.length,
                response_length: written.response_length,
                others: places(result),
            });
        } else {
            result.warc = Some(Archived {
                file: file.into(),
                offset,
                length: written.response_length,
            });
        }
        result.capture = written.capture;
        Ok(())
    }

    /// The exchanges of a result that nobody will get.
    pub fn set_aside(&self, result: &mut FetchResult<'_>) {
        lock(&self.others).append(&mut places(result));
    }

    /// Has a result that is put out now tell of the exchanges that were set aside.
    pub fn tell_others(&self, result: &mut FetchResult<'_>) {
        if let Some(spooled) = &mut result.spool {
            spooled
                .others
                .extend(std::mem::take(&mut *lock(&self.others)));
        }
    }

    /// Something to pack with; waits until it is free.
    fn press(&self) -> MutexGuard<'_, Press> {
        let free = self.presses.iter().find_map(|press| press.try_lock().ok());
        free.unwrap_or_else(|| {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            lock(&self.presses[turn % self.presses.len()])
        })
    }

    /// Nothing can be kept any more.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Nothing more is kept; what was is on disk when this returns, as far as it is not for the
    /// frontier.
    ///
    /// # Errors
    /// When the system says that it is not.
    pub fn close(&self) -> Result<(), ToolFailure> {
        lock(&self.shelf).close()
    }
}

/// Where the exchanges lie that a result told of; it tells of none any more.
pub fn places(result: &mut FetchResult<'_>) -> Vec<SpoolPlace<'static>> {
    let Some(spooled) = result.spool.take() else {
        return Vec::new();
    };
    let own = SpoolPlace {
        file: spooled.file,
        offset: spooled.offset,
        length: spooled.length,
    };
    let all = spooled.others.into_iter().chain([own]);
    all.map(|place| SpoolPlace {
        file: place.file.into_owned(),
        ..place
    })
    .collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records that are there together or not at all.
struct Bundle<'a> {
    shelf: &'a Mutex<Shelf>,
    packed: &'a mut Vec<u8>,
    /// Once it is too large to be packed first.
    open: Option<OpenBundle<'a>>,
}

/// A bundle that has the file for itself.
struct OpenBundle<'a> {
    shelf: MutexGuard<'a, Shelf>,
    place: (String, u64),
    written: u64,
    is_whole: bool,
}

impl<'a> Bundle<'a> {
    fn new(shelf: &'a Mutex<Shelf>, packed: &'a mut Vec<u8>) -> Bundle<'a> {
        packed.clear();
        Bundle {
            shelf,
            packed,
            open: None,
        }
    }

    /// Writes what is packed.
    fn spill(&mut self) -> io::Result<&mut OpenBundle<'a>> {
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let mut shelf = lock(self.shelf);
                let place = shelf.begin().map_err(io::Error::other)?;
                OpenBundle {
                    shelf,
                    place,
                    written: 0,
                    is_whole: false,
                }
            }
        };
        let open = self.open.insert(open);
        let written = open.shelf.write(self.packed, open.written);
        written.map_err(io::Error::other)?;
        open.written += self.packed.len() as u64;
        self.packed.clear();
        Ok(open)
    }

    /// Ends it; returns the file and where in it the bundle begins.
    fn finish(mut self, length: u64) -> io::Result<(String, u64)> {
        let open = self.spill()?;
        open.shelf.end(length);
        open.is_whole = true;
        Ok(std::mem::take(&mut open.place))
    }
}

impl Write for Bundle<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.packed.len() + bytes.len() > PRESS_BYTES {
            self.spill()?;
        }
        self.packed.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for OpenBundle<'_> {
    fn drop(&mut self) {
        if !self.is_whole && self.written > 0 {
            self.shelf.take_back();
        }
    }
}
