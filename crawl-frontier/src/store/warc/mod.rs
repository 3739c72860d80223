//! The WARC files of a crawl. The fetcher leaves finished records in the spool; a result says where.
//! Where they will lie in a WARC file is decided when the result comes, so that its output
//! record can say it; they are copied there by the thread that commits, before the commit that
//! vouches for them.

mod files;
pub mod place;
mod spools;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crawl_ckpt::capture::{Archived, Spooled};
use crawl_ckpt::durable::{Disk, Tail, read_full};
use crawl_ckpt::job::WARC;
use crawl_ckpt::plan;
use crawl_ckpt::tool::{Exit, Failure};
use crawl_ckpt::warc::{FileName, Info, Packer, RecordId};
use jiff::Timestamp;

use self::files::WarcStep;
pub use self::files::{WarcFiles, WarcWork};
pub use self::place::WarcPlace;
use self::spools::{SpoolRange, Spools};

/// What file names begin with when nothing else is said.
const PREFIX: &str = "crawl";
const SOFTWARE: &str = concat!("crawl-frontier/", env!("CARGO_PKG_VERSION"));
/// By so many last bytes a file is known again.
const TAIL_BYTES: u64 = 4 << 10;

/// Where the exchanges of a crawl will lie, for who takes results.
#[derive(Debug)]
pub struct Warc {
    settings: plan::Warc,
    robots: bool,
    user_agent: Option<String>,
    /// The directory's name, which is what records name before the file.
    folder: String,
    spools: Spools,
    packer: Packer,
    /// The number of the next file.
    serial: u32,
    /// The file that the next exchange goes to, and its length with all that was kept; `None`: one
    /// is to be begun.
    open: Option<(FileName, u64)>,
    steps: Vec<WarcStep>,
    /// How many bytes `steps` write.
    waiting: u64,
    end: Option<WarcEnd>,
}

/// What the next commit vouches for.
#[derive(Debug)]
struct WarcEnd {
    name: FileName,
    len: u64,
    tail: Tail,
}

impl Warc {
    /// Begins to keep exchanges, in a file of this run's own. Gives what fills the files, and what
    /// writes them.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn begin(
        disk: &Arc<dyn Disk>,
        place: WarcPlace,
        plan: &plan::Plan,
    ) -> Result<(Warc, WarcFiles), Failure> {
        let folder = place.dir.file_name().unwrap_or_default();
        let folder = folder.to_str().ok_or_else(|| {
            let dir = place.dir.display();
            Failure::with(Exit::Usage, format_args!("{dir}: the name is not UTF-8"))
        })?;
        let end = place
            .last
            .map(|(name, len)| last_end(&**disk, &place.dir, name, len));
        let warc = Warc {
            settings: plan.warc.clone().unwrap_or_default(),
            robots: plan.robots,
            user_agent: plan.user_agent.clone(),
            folder: folder.to_owned(),
            spools: Spools::begin(Arc::clone(disk), place.spool_dir.clone())?,
            packer: Packer::default(),
            serial: place.serial,
            open: None,
            steps: Vec::new(),
            waiting: 0,
            end: end.transpose()?,
        };
        let files = WarcFiles::new(Arc::clone(disk), place.dir, place.spool_dir);
        Ok((warc, files))
    }

    /// Has the next commit keep an exchange, and says where it will lie.
    ///
    /// # Errors
    /// In words, why it cannot be kept: nothing is.
    pub fn keep(&mut self, told: &Spooled<'_>, now_ms: u64) -> Result<Archived<'static>, String> {
        let cannot = |why: String| format!("the WARC records in spool {:?}: {why}", &*told.file);
        let range = self.spools.take(told).map_err(cannot)?;
        let others = told
            .others
            .iter()
            .map(|other| self.spools.take_place(other));
        let others: Vec<SpoolRange> = others.collect::<Result<_, _>>().map_err(cannot)?;
        let put = self.put(range, now_ms).map_err(|e| cannot(e.to_string()))?;
        for other in others {
            self.put(other, now_ms).map_err(|e| cannot(e.to_string()))?;
        }
        let (name, offset) = put;
        Ok(Archived {
            file: format!("{}/{name}", self.folder).into(),
            offset,
            length: told.response_length,
        })
    }

    /// Has the next commit copy an exchange; gives the file and the place that it will have.
    fn put(&mut self, range: SpoolRange, now_ms: u64) -> std::io::Result<(FileName, u64)> {
        let most = self.settings.max_size;
        let (name, at) = match self.open.take() {
            // A file that holds nothing else takes one that is larger.
            Some((name, len)) if len + range.length <= most => (name, len),
            _ => self.begin_file(now_ms)?,
        };
        self.open = Some((name.clone(), at + range.length));
        self.waiting += range.length;
        match self.steps.last_mut() {
            Some(WarcStep::Copy(before))
                if Arc::ptr_eq(&before.file, &range.file)
                    && before.offset + before.length == range.offset =>
            {
                before.length += range.length;
            }
            _ => self.steps.push(WarcStep::Copy(range)),
        }
        Ok((name, at))
    }

    /// An exchange that nobody asked for any more is not kept.
    pub fn pass_over(&mut self, told: &Spooled<'_>) {
        // What cannot be taken takes no room either.
        let _ = self.spools.take(told);
        for other in &told.others {
            let _ = self.spools.take_place(other);
        }
    }

    /// How many bytes wait to be written.
    pub fn waiting_bytes(&self) -> usize {
        usize::try_from(self.waiting).unwrap_or(usize::MAX)
    }

    /// Takes what waits, for [`WarcFiles::write`]; the next commit vouches for it.
    ///
    /// # Errors
    /// The spool cannot be read.
    pub fn take(&mut self) -> Result<WarcWork, Failure> {
        let steps = std::mem::take(&mut self.steps);
        self.waiting = 0;
        let dir = self.spools.dir();
        let cannot_read = |e| Failure::new(format_args!("cannot read {}: {e}", dir.display()));
        let mut behind: u64 = steps.iter().map(WarcStep::bytes).sum();
        for step in &steps {
            behind -= step.bytes();
            match (step, &mut self.end) {
                (WarcStep::Begin(name, info), end) => {
                    let mut tail = Tail::default();
                    tail.push(info);
                    *end = Some(WarcEnd {
                        name: name.clone(),
                        len: info.len() as u64,
                        tail,
                    });
                }
                (WarcStep::Copy(range), Some(end)) => {
                    end.len += range.length;
                    if behind < TAIL_BYTES {
                        end.tail.push(&last_bytes(range).map_err(cannot_read)?);
                    }
                }
                (WarcStep::Copy(_), None) => return Err(Failure::new("no WARC file was begun")),
            }
        }
        Ok(WarcWork {
            steps,
            used_up: self.spools.take_used(),
        })
    }

    /// The length that the next commit vouches for, by name.
    pub fn files(&self) -> BTreeMap<String, u64> {
        let end = self.end.iter();
        end.map(|end| (format!("{WARC}{}", end.name), end.len))
            .collect()
    }

    /// By what it knows the last bytes again.
    pub fn tails(&self) -> BTreeMap<String, String> {
        let end = self.end.iter();
        end.map(|end| (format!("{WARC}{}", end.name), end.tail.sum()))
            .collect()
    }

    /// Begins a file; gives its name and the length of what it begins with.
    fn begin_file(&mut self, now_ms: u64) -> std::io::Result<(FileName, u64)> {
        let prefix = self.settings.prefix.as_deref().unwrap_or(PREFIX);
        let name = FileName::new(prefix, now_ms, self.serial);
        let info = Info {
            file: name.as_str(),
            software: SOFTWARE,
            robots: Some(self.robots),
            user_agent: self.user_agent.as_deref(),
            operator: self.settings.operator.as_deref(),
            is_part_of: Some(self.folder.trim_end_matches("-warc")),
        };
        let ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
        let at = Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX);
        let (header, block) = info.record(&RecordId::random()?, &format!("{at:.3}"));
        let mut bytes = Vec::new();
        self.packer.pack(&header, &[&block], &mut bytes)?;
        let len = bytes.len() as u64;
        self.steps.push(WarcStep::Begin(name.clone(), bytes));
        // A stranger's file may have the last number; the time in a name tells files apart, too.
        self.serial = self.serial.saturating_add(1);
        self.waiting += len;
        Ok((name, len))
    }
}

impl WarcStep {
    fn bytes(&self) -> u64 {
        match self {
            WarcStep::Begin(_, info) => info.len() as u64,
            WarcStep::Copy(range) => range.length,
        }
    }
}

/// The last bytes of a range, as many as a file is known again by.
fn last_bytes(range: &SpoolRange) -> std::io::Result<Vec<u8>> {
    let length = range.length.min(TAIL_BYTES);
    let mut bytes = vec![0; length as usize];
    let from = range.offset + range.length - length;
    if read_full(&*range.file, &mut bytes, from)? == bytes.len() {
        Ok(bytes)
    } else {
        Err(std::io::ErrorKind::UnexpectedEof.into())
    }
}

/// The last file of the run before, which has its final name.
fn last_end(disk: &dyn Disk, dir: &Path, name: FileName, len: u64) -> Result<WarcEnd, Failure> {
    let path = dir.join(name.as_str());
    let tail = disk
        .open_read(&path)
        .and_then(|file| Tail::read(&*file, len));
    let tail =
        tail.map_err(|e| Failure::new(format_args!("cannot read {}: {e}", path.display())))?;
    Ok(WarcEnd { name, len, tail })
}

#[cfg(test)]
mod tests;
