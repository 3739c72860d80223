//! Where a spider's crawl lies: its checkpoint, its output, what it remembers between crawls.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crawl_ckpt::job::{JobPlace, Manifest, Name, OutputPlace, data_dir, unfinished, warc_dir};
use crawl_ckpt::tool::{Exit, Failure, need_stdout};
use jiff::civil::Date;
use rustix::fs::{Access, Mode, OFlags};
use rustix::io::Errno;

use crate::cli::PlaceArgs;
use crate::command_line::CommandLine;

/// The directory of one spider in a project.
#[derive(Debug, Clone)]
pub struct Place {
    /// All projects lie in it.
    pub data_dir: PathBuf,
    /// The job directory and its lock.
    pub job: JobPlace,
    /// The project that the spider belongs to.
    pub project: Name,
    /// The spider.
    pub spider: Name,
    /// The spider whose failed URLs are asked for again by this one.
    pub retries: Option<Name>,
}

/// Where the records of a crawl go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file, which crawl-frontier makes.
    File(PathBuf),
}

impl Output {
    /// Standard output, which can be written to.
    ///
    /// # Errors
    /// Standard output cannot be written to.
    pub fn stdout() -> Result<Output, Failure> {
        need_stdout()?;
        Ok(Output::Stdout)
    }
}

impl Place {
    /// The place of a spider, by options and environment. Nothing is created.
    ///
    /// # Errors
    /// [`Exit::Usage`] for a project that is no name.
    pub fn new(args: &PlaceArgs, spider: &Name) -> Result<Place, Failure> {
        let project = match &args.project {
            Some(project) => Name::parse(project).map_err(|e| {
                Failure::with(Exit::Usage, format_args!("cannot use --project: {e}"))
            })?,
            None => Name::parse("default").map_err(Failure::new)?,
        };
        let data_dir = data_dir(args.data_dir.as_deref());
        Ok(Place {
            job: JobPlace::of_spider(&data_dir, &project, spider),
            data_dir,
            project,
            spider: spider.clone(),
            retries: None,
        })
    }

    /// The place of a crawl that asks again for what failed: a checkpoint of its own, beside the
    /// spider's, and outputs among the spider's.
    ///
    /// # Errors
    /// [`Exit::Usage`] when the spider's name is too long for that.
    pub fn for_retry(&self) -> Result<Place, Failure> {
        let spider = Name::parse(&format!("{}.retry", self.spider));
        let spider = spider.map_err(|e| Failure::with(Exit::Usage, e))?;
        Ok(Place {
            job: JobPlace::of_spider(&self.data_dir, &self.project, &spider),
            retries: Some(self.spider.clone()),
            spider,
            ..self.clone()
        })
    }

    /// `project/spider`, as crawl-ckpt takes it.
    pub fn title(&self) -> String {
        format!("{}/{}", self.project, self.spider)
    }

    /// The output of a crawl that begins: `-o`, else the first dated name that is free. The name of
    /// the file that `leaves` will be.
    ///
    /// # Errors
    /// [`Exit::Usage`] for an `-o` file that is there already.
    pub fn new_output(
        &self,
        chosen: Option<&Path>,
        leaves: Option<&Path>,
        today: Date,
    ) -> Result<Output, Failure> {
        let place = |path: &Path| OutputPlace::file(path, &self.data_dir);
        let will_leave = |path| leaves.is_some_and(|leaves| place(leaves) == place(path));
        match chosen {
            Some(path) if path == Path::new("-") => Output::stdout(),
            // The checkpoint, which has to name it, is JSON.
            Some(path) if path.to_str().is_none() => Err(Failure::with(
                Exit::Usage,
                format_args!("cannot write to {}: the name is not UTF-8", path.display()),
            )),
            Some(path) if path.is_dir() => Err(Failure::with(
                Exit::Usage,
                format_args!("cannot write to {}: it is a directory", path.display()),
            )
            .hint("name a file in it")),
            Some(path) if is_there(path)? && !will_leave(path) => Err(Failure::with(
                Exit::Usage,
                format_args!("cannot write to {}: it exists", path.display()),
            )
            .hint(if path.is_file() {
                "choose another -o FILE, or move that one away".to_owned()
            } else {
                // Nothing can be cut back there.
                format!(
                    "a device or a pipe is written with: -o - > {}",
                    path.display()
                )
            })),
            Some(path) => {
                if !is_there(path)? {
                    try_to_make(path)?;
                }
                Ok(Output::File(path.to_owned()))
            }
            None => {
                let path = self.dated_output(today)?;
                try_to_make(&path)?;
                Ok(Output::File(path))
            }
        }
    }

    /// The output that a crawl goes on with: the one that it began.
    ///
    /// # Errors
    /// [`Exit::Usage`] for an `-o` that is another one; `began` is what the checkpoint says.
    pub fn resumed_output(
        &self,
        chosen: Option<&Path>,
        began: &OutputPlace,
    ) -> Result<Output, Failure> {
        let stdout = Path::new("-");
        let same = match chosen {
            Some(path) if began.stream => path == stdout,
            // Records that went to stdout are not to be followed by a file of the rest.
            None => !began.stream,
            Some(path) => path != stdout && OutputPlace::file(path, &self.data_dir) == *began,
        };
        match began.resolve(&self.data_dir) {
            None if same => Output::stdout(),
            Some(file) if same => Ok(Output::File(file)),
            file => {
                let file = file.unwrap_or_else(|| stdout.to_owned());
                Err(Failure::with(
                    Exit::Usage,
                    format_args!(
                        "the crawl being resumed writes to {}, and goes on there",
                        if began.stream {
                            "stdout (-o -)".into()
                        } else {
                            file.display().to_string()
                        }
                    ),
                ))
            }
        }
    }

    /// Refuses to write, rename or cut the output that a checkpoint names, when it is not [meant](Place::is_meant).
    ///
    /// # Errors
    /// [`Exit::Usage`], with the command that names it.
    pub fn refuse_unmeant(
        &self,
        began: &OutputPlace,
        chosen: Option<&Path>,
        command_line: &CommandLine,
    ) -> Result<(), Failure> {
        match began.resolve(&self.data_dir) {
            Some(file) if !self.is_meant(began, chosen) => {
                let file = file.to_string_lossy();
                let dir = self.data_dir.display();
                let message = format!(
                    "the checkpoint's output is {file}, which is outside of the data directory {dir}"
                );
                let named = command_line.with("-o", &file);
                let hint = format!("{named}   (if that file is meant)");
                Err(Failure::with(Exit::Usage, message).hint(hint))
            }
            _ => Ok(()),
        }
    }

    /// True for an output that may be written, renamed or cut: one that lies here, or that the user names.
    /// A checkpoint that came from elsewhere may name any other file.
    pub fn is_meant(&self, began: &OutputPlace, chosen: Option<&Path>) -> bool {
        // A spider's directory may be a link to another disk.
        let dirs = [&self.data_dir, &self.spider_dir()];
        let is_named = |path: &Path| OutputPlace::file(path, &self.data_dir) == *began;
        chosen.is_some_and(is_named) || dirs.iter().any(|dir| began.is_within(dir, &self.data_dir))
    }

    fn spider_dir(&self) -> PathBuf {
        let spider = self.retries.as_ref().unwrap_or(&self.spider);
        self.data_dir.join(&self.project).join(spider)
    }

    /// Where the dated outputs lie.
    pub fn crawls_dir(&self) -> PathBuf {
        self.spider_dir().join("crawls")
    }

    fn dated_output(&self, today: Date) -> Result<PathBuf, Failure> {
        let base = self.crawls_dir().join(format!("crawl_{today}"));
        let name = |n| match n {
            1 => with_suffix(&base, ".jsonl"),
            n => with_suffix(&base, &format!("-{n}.jsonl")),
        };
        if !is_there(&self.crawls_dir())? {
            return Ok(name(1));
        }
        first_free(name, |name| {
            for packed in PACKED {
                if is_there(&with_suffix(name, packed))? {
                    return Ok(true);
                }
            }
            // The WARC files of another crawl, and an output that is to get this name.
            for other in [warc_dir(name), unfinished(name)] {
                if is_there(&other)? {
                    return Ok(true);
                }
            }
            is_there(name)
        })
    }

    /// Where the WARC files of a crawl that begins go: beside its output, whose name they have.
    ///
    /// # Errors
    /// [`Exit::Usage`] for a directory that is there already and is not `leaves`.
    pub fn new_warc(
        &self,
        output: &Output,
        leaves: Option<&Path>,
        today: Date,
    ) -> Result<PathBuf, Failure> {
        let place = |path: &Path| OutputPlace::file(path, &self.data_dir);
        let dir = match output {
            Output::File(file) => warc_dir(file),
            Output::Stdout => warc_dir(&self.dated_output(today)?),
        };
        let will_leave = leaves.is_some_and(|leaves| place(leaves) == place(&dir));
        if is_there(&dir)? && !will_leave {
            let message = format!("cannot write WARC files to {}: it exists", dir.display());
            return Err(Failure::with(Exit::Usage, message)
                .hint("choose another -o FILE, or move that directory away"));
        }
        Ok(dir)
    }

    /// Refuses to write, rename or cut in the WARC directory that a checkpoint names, when it is not
    /// [meant](Place::is_warc_meant).
    ///
    /// # Errors
    /// [`Exit::Usage`].
    pub fn refuse_unmeant_warc(
        &self,
        manifest: &Manifest,
        chosen: Option<&Path>,
    ) -> Result<(), Failure> {
        match manifest.warc_dir(&self.data_dir) {
            Some(dir) if !self.is_warc_meant(manifest, chosen) => {
                let (dir, data_dir) = (dir.display(), self.data_dir.display());
                let message = format!(
                    "the checkpoint's WARC is {dir}, which is outside of the data directory {data_dir}"
                );
                Err(Failure::with(Exit::Usage, message).hint("to begin anew: --fresh"))
            }
            _ => Ok(()),
        }
    }

    /// True for WARC files that may be written, renamed or cut: those beside an output that
    /// [may](Place::is_meant), or that lie here.
    pub fn is_warc_meant(&self, manifest: &Manifest, chosen: Option<&Path>) -> bool {
        let Some(warc) = &manifest.warc else {
            return true;
        };
        let output = manifest.output.as_ref();
        let file = output.and_then(|output| output.resolve(&self.data_dir));
        let beside = file.map(|file| OutputPlace::file(&warc_dir(&file), &self.data_dir));
        let is_beside = beside.as_ref() == Some(warc);
        let output = output.filter(|_| is_beside);
        self.is_meant(warc, None) || output.is_some_and(|output| self.is_meant(output, chosen))
    }
}

/// The name that an unfinished output gets, so that nobody takes it for a whole one.
///
/// # Errors
/// The file system refuses.
pub fn aside_name(output: &Path) -> Result<PathBuf, Failure> {
    let name = |n| match n {
        1 => with_suffix(output, ".partial"),
        n => with_suffix(output, &format!(".partial-{n}")),
    };
    first_free(name, is_there)
}

/// What a finished output's name ends with once somebody compressed it: it is as taken as before.
const PACKED: [&str; 6] = [".gz", ".zst", ".xz", ".bz2", ".lz4", ".lzma"];

/// So many names are tried for one file.
const MOST_NAMES: u32 = 10_000;

/// The first name that nothing has. What cannot be looked at is not free: that is told.
fn first_free(
    name: impl Fn(u32) -> PathBuf,
    is_taken: impl Fn(&Path) -> Result<bool, Failure>,
) -> Result<PathBuf, Failure> {
    for n in 1..=MOST_NAMES {
        if !is_taken(&name(n))? {
            return Ok(name(n));
        }
    }
    Err(Failure::new(format_args!(
        "cannot find a name for a file: all up to {} are taken",
        name(MOST_NAMES).display()
    )))
}

/// True when the name is taken, be it by a link to nowhere.
fn is_there(path: &Path) -> Result<bool, Failure> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Failure::new(format_args!(
            "cannot look at {}: {e}",
            path.display()
        ))),
    }
}

/// Sees whether a file can be made: what cannot is told before a checkpoint is thrown away for it.
/// The trial has no name where the file system can do that, so a run that is killed then leaves no
/// empty output behind. Of a folder that is not there yet only the one above is asked.
fn try_to_make(path: &Path) -> Result<(), Failure> {
    let wrong = |e: io::Error| {
        let path = path.display();
        Failure::new(format_args!("cannot write to {path}: {e}"))
    };
    let above = |path: &Path| crawl_ckpt::durable::parent(path).to_owned();
    let mut folder = above(path);
    if is_there(&folder)? {
        let nameless = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        return match rustix::fs::open(&folder, nameless, Mode::RUSR | Mode::WUSR) {
            Ok(_) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT) => {
                let made = File::options().write(true).create_new(true).open(path);
                made.and_then(|_| fs::remove_file(path)).map_err(wrong)
            }
            Err(e) => Err(wrong(e.into())),
        };
    }
    while !is_there(&folder)? {
        folder = above(&folder);
    }
    rustix::fs::access(&folder, Access::WRITE_OK | Access::EXEC_OK).map_err(|e| wrong(e.into()))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    crawl_ckpt::durable::beside(path, suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Date = Date::constant(2026, 11, 22);

    fn place(dir: &Path) -> Place {
        let args = PlaceArgs {
            project: None,
            data_dir: Some(dir.to_owned()),
        };
        Place::new(&args, &Name::parse("s").unwrap()).unwrap()
    }

    #[test]
    fn a_taken_name_gets_a_number() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        let crawls = dir.path().join("default/s/crawls");
        fs::create_dir_all(&crawls).unwrap();
        for name in ["crawl_2026-11-22.jsonl", "crawl_2026-11-22-2.jsonl"] {
            let path = crawls.join(name);
            assert_eq!(
                place.new_output(None, None, TODAY).unwrap(),
                Output::File(path.clone())
            );
            fs::write(path, "").unwrap();
        }
        fs::write(crawls.join("crawl_2026-11-22-3.jsonl.gz"), "").unwrap();
        let third = crawls.join("crawl_2026-11-22-4.jsonl");
        assert_eq!(
            place.new_output(None, None, TODAY).unwrap(),
            Output::File(third)
        );
    }

    #[test]
    fn an_existing_file_is_refused_unless_it_is_the_resumed_one() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        let file = dir.path().join("out.jsonl");
        fs::write(&file, "").unwrap();
        let refused = place.new_output(Some(&file), None, TODAY).unwrap_err();
        assert_eq!(refused.exit, Exit::Usage);
        let other = dir.path().join("other.jsonl");
        assert!(place.new_output(Some(&file), Some(&other), TODAY).is_err());
        let leaves = dir.path().join("./out.jsonl");
        assert!(place.new_output(Some(&file), Some(&leaves), TODAY).is_ok());

        let began = OutputPlace::file(&file, dir.path());
        for same in [None, Some(&*file), Some(&*dir.path().join("./out.jsonl"))] {
            let output = place.resumed_output(same, &began).unwrap();
            assert_eq!(output, Output::File(file.clone()));
        }
        for other in ["-", "other.jsonl"] {
            assert!(
                place
                    .resumed_output(Some(Path::new(other)), &began)
                    .is_err()
            );
        }
        let stream = OutputPlace::stream();
        let stdout = place.resumed_output(Some(Path::new("-")), &stream);
        assert_eq!(stdout.unwrap(), Output::Stdout);
        assert!(place.resumed_output(None, &stream).is_err());
    }

    #[test]
    fn an_output_that_cannot_be_made_is_told_and_nothing_is_left_of_the_trial() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(dir.path());
        let long = dir.path().join("x".repeat(300));
        let below_a_file = dir.path().join("file/out.jsonl");
        fs::write(dir.path().join("file"), "").unwrap();
        let nowhere = Path::new("/proc/out.jsonl");
        for path in [&*long, &*below_a_file, nowhere] {
            let refused = place.new_output(Some(path), None, TODAY).unwrap_err();
            assert!(refused.message.contains("cannot"), "{}", refused.message);
        }
        for path in ["out.jsonl", "a/b/out.jsonl"] {
            let path = dir.path().join(path);
            place.new_output(Some(&path), None, TODAY).unwrap();
        }
        place.new_output(None, None, TODAY).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_unfinished_output_never_gets_the_name_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("out.jsonl");
        for name in ["out.jsonl.partial", "out.jsonl.partial-2"] {
            assert_eq!(aside_name(&file).unwrap(), dir.path().join(name));
            fs::write(dir.path().join(name), "").unwrap();
        }
    }
}
