//! The files that commits vouch for, each under a name: the output, what is learned of pages.
//! Here they are opened, cut back to what was committed, appended to and synced.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use crate::unnamed::MAKE_ROOM;
use crawl_ckpt::durable::{Append, Disk, RealDisk, Tail, parent};
use crawl_ckpt::job::{Job, OUTPUT, OutputPlace};
use crawl_ckpt::tool::{Exit, Failure};

/// Where output records are to go.
#[derive(Debug)]
pub enum OutputTo {
    /// A file.
    File(PathBuf),
    /// An open stream.
    Stream(OwnedFd),
    /// Nowhere.
    Nowhere,
}

impl OutputTo {
    /// Where the output of a job that begins will be; a file that is there already is nobody's to
    /// write into.
    ///
    /// # Errors
    /// [`Exit::Usage`] for such a file.
    pub fn place(&self, data_dir: &Path) -> Result<Option<OutputPlace>, Failure> {
        match self {
            OutputTo::File(path) if path.symlink_metadata().is_ok() => Err(taken(path)),
            OutputTo::File(path) => Ok(Some(OutputPlace::file(path, data_dir))),
            OutputTo::Stream(_) => Ok(Some(OutputPlace::stream())),
            OutputTo::Nowhere => Ok(None),
        }
    }
}

/// The files, for who writes them.
#[derive(Debug, Default)]
pub struct Outputs {
    named: Vec<(&'static str, Target)>,
}

#[derive(Debug)]
enum Target {
    /// A file that is cut back to its committed length after a crash.
    File(Append),
    /// A stream, which cannot be cut back.
    Stream(File),
}

impl Outputs {
    /// The output of a crawl that begins.
    ///
    /// # Errors
    /// Errors of the disk; a file that is there already.
    pub fn begin(disk: &dyn Disk, to: OutputTo) -> Result<Outputs, Failure> {
        let target = match to {
            OutputTo::File(path) => Some(Target::File(create(disk, &path)?)),
            OutputTo::Stream(fd) => Some(Target::Stream(fd.into())),
            OutputTo::Nowhere => None,
        };
        Ok(Outputs {
            named: target.map(|target| (OUTPUT, target)).into_iter().collect(),
        })
    }

    /// The output of a resumed job: the one that it began with, cut back to what was committed.
    ///
    /// # Errors
    /// [`Exit::Usage`] when another one is wanted; those of the disk.
    pub fn resume(
        job: &Job,
        wanted: OutputTo,
        data_dir: &Path,
        committed: u64,
    ) -> Result<Outputs, Failure> {
        let began = job.manifest().output.as_ref();
        let path = began.map(|place| place.resolve(data_dir));
        let target = match (path, wanted) {
            (None, OutputTo::Nowhere) => return Ok(Outputs::default()),
            (None, _) => return Err(other("to nowhere")),
            (Some(None), OutputTo::Stream(fd)) => Target::Stream(fd.into()),
            (Some(None), _) => return Err(other("to a stream")),
            (Some(Some(path)), OutputTo::Stream(_)) => return Err(other(path.display())),
            (Some(Some(path)), OutputTo::File(wanted)) if !is_same(&path, &wanted) => {
                return Err(other(path.display()));
            }
            (Some(Some(path)), _) => Target::File(cut_back(&path, committed)?),
        };
        Ok(Outputs {
            named: vec![(OUTPUT, target)],
        })
    }

    /// A part of the output of a crawl that many write, cut back to what was committed.
    ///
    /// # Errors
    /// [`Exit::Damaged`] when it is shorter than that; those of the disk.
    pub fn part(path: &Path, committed: u64) -> Result<Outputs, Failure> {
        let file = Target::File(cut_back(path, committed)?);
        Ok(Outputs {
            named: vec![(OUTPUT, file)],
        })
    }

    /// Has commits vouch for one more file, under this name.
    pub fn add(&mut self, name: &'static str, file: Append) {
        self.named.push((name, Target::File(file)));
    }

    /// Where the files end now.
    pub fn ends(&self) -> Ends {
        let ends = self.named.iter().map(|(name, target)| {
            let (len, tail) = match target {
                Target::File(file) => (file.len(), file.tail().clone()),
                Target::Stream(_) => (0, Tail::default()),
            };
            let waiting = Vec::new();
            (*name, OutputEnd { len, tail, waiting })
        });
        Ends {
            named: ends.collect(),
        }
    }

    /// Appends to each file what is on its way there. All of it is durable when this returns.
    ///
    /// # Errors
    /// [`Exit::Damaged`] when somebody else changed a file; those of the disk.
    pub fn append(&mut self, pieces: &[(&'static str, Vec<u8>)]) -> Result<(), Failure> {
        for (name, target) in &mut self.named {
            let piece = pieces.iter().find(|(of, _)| of == name);
            let bytes = piece.map_or(&[][..], |(_, bytes)| bytes);
            match target {
                Target::File(file) => append(name, file, bytes)?,
                Target::Stream(stream) => {
                    stream.write_all(bytes).map_err(|e| match e.kind() {
                        ErrorKind::BrokenPipe => Failure::pipe_closed(),
                        _ => cannot_write(format_args!("the {name}"), &e),
                    })?;
                }
            }
        }
        Ok(())
    }
}

/// Where the files will end, and what is on its way there: for who fills them.
#[derive(Debug)]
pub struct Ends {
    named: BTreeMap<&'static str, OutputEnd>,
}

#[derive(Debug)]
struct OutputEnd {
    /// The file's length with all that was taken.
    len: u64,
    tail: Tail,
    /// What is to be taken.
    waiting: Vec<u8>,
}

impl Ends {
    /// What waits to be appended to a file; `None` when there is no such file.
    pub fn waiting(&mut self, name: &str) -> Option<&mut Vec<u8>> {
        self.named.get_mut(name).map(|end| &mut end.waiting)
    }

    /// How many bytes wait.
    pub fn waiting_bytes(&self) -> usize {
        self.named.values().map(|end| end.waiting.len()).sum()
    }

    /// Takes what waits, for [`Outputs::append`]; the files are so much longer from now on.
    pub fn take(&mut self) -> Vec<(&'static str, Vec<u8>)> {
        let take = |(name, end): (&&'static str, &mut OutputEnd)| {
            let bytes = std::mem::take(&mut end.waiting);
            end.len += bytes.len() as u64;
            end.tail.push(&bytes);
            (*name, bytes)
        };
        self.named.iter_mut().map(take).collect()
    }

    /// The lengths that the next commit vouches for.
    pub fn files(&self) -> BTreeMap<String, u64> {
        self.each(|end| end.len)
    }

    /// By what the next commit knows the last bytes of each file again.
    pub fn tails(&self) -> BTreeMap<String, String> {
        self.each(|end| end.tail.sum())
    }

    fn each<T>(&self, of: impl Fn(&OutputEnd) -> T) -> BTreeMap<String, T> {
        let named = self.named.iter();
        named
            .map(|(name, end)| ((*name).to_owned(), of(end)))
            .collect()
    }
}

const PUT_BACK: &str = "put the file back and give the same command again, or begin anew (--fresh)";

/// Looks whether a file is still as it was left.
///
/// # Errors
/// [`Exit::Damaged`] when somebody else changed it; those of the disk.
pub(super) fn look_at(name: &str, file: &mut Append) -> Result<(), Failure> {
    file.check().map_err(|e| {
        let exit = match e.kind() {
            ErrorKind::InvalidData => Exit::Damaged,
            _ => Exit::Failed,
        };
        let path = file.path().display();
        Failure::with(exit, format_args!("{name} {path}: {e}")).hint(PUT_BACK)
    })
}

fn append(name: &str, file: &mut Append, bytes: &[u8]) -> Result<(), Failure> {
    look_at(name, file)?;
    if bytes.is_empty() {
        return Ok(());
    }
    file.append(bytes)
        .and_then(|()| file.sync())
        .map_err(|e| cannot_write(file.path().display(), &e))
}

/// The failure of a write, with what mends it.
pub(super) fn cannot_write(what: impl Display, error: &io::Error) -> Failure {
    Failure::new(format_args!("cannot write {what}: {error}")).hint(MAKE_ROOM)
}

fn other(began: impl Display) -> Failure {
    let message = format!("the crawl began with the output {began}");
    Failure::with(Exit::Usage, message).hint("leave out the output option to go on with it")
}

fn is_same(a: &Path, b: &Path) -> bool {
    let full = |path: &Path| {
        let canonical = path.canonicalize();
        canonical.or_else(|_| std::path::absolute(path)).ok()
    };
    full(a) == full(b)
}

/// Opens a file that was [checked](crawl_ckpt::job::check_output), and cuts it back.
fn cut_back(path: &Path, committed: u64) -> Result<Append, Failure> {
    let fail = |e: io::Error| {
        let exit = match e.kind() {
            ErrorKind::NotFound | ErrorKind::UnexpectedEof => Exit::Damaged,
            _ => Exit::Failed,
        };
        Failure::with(exit, format_args!("output {}: {e}", path.display()))
    };
    if committed == 0 && !path.exists() {
        return create(&RealDisk, path);
    }
    let mut file = Append::open(&RealDisk, path).map_err(fail)?;
    file.cut_to(committed).map_err(fail)?;
    Ok(file)
}

/// Creates the output file; one that is there already is nobody's to write into.
fn create(disk: &dyn Disk, path: &Path) -> Result<Append, Failure> {
    let folder = parent(path);
    disk.create_dir_all(folder)
        .map_err(|e| Failure::new(format_args!("cannot create {}: {e}", folder.display())))?;
    Append::create(disk, path).map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => taken(path),
        _ => Failure::new(format_args!("cannot create {}: {e}", path.display())),
    })
}

fn taken(path: &Path) -> Failure {
    let message = format!("output {}: the file exists already", path.display());
    Failure::with(Exit::Usage, message).hint("name another file, or move this one away")
}
