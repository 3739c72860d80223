//! The run: from stdin to stdout until the input ends, a signal comes, or nobody reads.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use crawl_ckpt::human::count;
use crawl_ckpt::lines::{Line, Lines, TOO_LONG, Unmarked};
use crawl_ckpt::record::ErrorKind;
use crawl_ckpt::tool::{Exit, Failure, need_stdin, need_stdout, say};
use rustix::event::{PollFd, PollFlags};

use crate::TOOL;
use crate::descriptors;
use crate::event::{Event, Events};
use crate::fetch::Fetcher;
use crate::http::cookies::Cookies;
use crate::http::warc::Archive;
use crate::job::{Job, invalid};
use crate::output::Output;
use crate::parse::{ParseOptions, Parsers, Sink};
use crate::pool::Pool;

/// So many requests are handed to the workers at once.
const JOBS_AT_ONCE: usize = 256;

/// Everything that the command line says.
pub struct Options {
    pub fetcher: Fetcher,
    /// The cookies that it keeps up to date.
    pub cookies: Arc<Cookies>,
    /// Where pages are kept.
    pub archive: Option<Arc<Archive>>,
    /// The user's parser.
    pub parse: Option<ParseOptions>,
    /// Requests at once.
    pub concurrency: usize,
    /// Requests at once to one host.
    pub per_host: usize,
    /// Least time between the starts of two requests to one host.
    pub delay: Duration,
    /// Say nothing but errors.
    pub quiet: bool,
    /// Say at the end what became of all requests.
    pub verbose: bool,
}

/// Fetches what comes on stdin until it ends, a signal comes, or nobody reads.
///
/// # Errors
/// When stdin or stdout fail.
pub fn run(options: Options) -> Result<Exit, Failure> {
    need_stdin()?;
    need_stdout()?;
    descriptors::raise();
    crate::memory::keep_little();
    let (events, happened) = Events::new();
    watch_signals(&events).map_err(Failure::new)?;
    let input = own(rustix::stdio::stdin())?;
    let output = own(rustix::stdio::stdout())?;
    watch_reader(&output, &events).map_err(Failure::new)?;
    let output = Arc::new(Output::new(Patient(output)));
    let parsers = options
        .parse
        .map(|parse| {
            let output = Arc::clone(&output);
            let sink: Sink = Arc::new(move |line: &[u8]| output.parsing().put(line));
            Parsers::start(parse, sink, events.clone()).map(Arc::new)
        })
        .transpose()
        .map_err(|e| Failure::new(format_args!("cannot get ready for the parser: {e}")))?;
    let fetcher = Fetcher {
        parsers: parsers.clone(),
        ..options.fetcher
    };
    let renderer = fetcher.rendering.as_ref();
    let renderer = renderer.map(|rendering| Arc::clone(&rendering.renderer));
    let pool = Pool::new(
        fetcher,
        output,
        events.clone(),
        options.concurrency,
        options.per_host,
        options.delay,
    );
    let (reader, beginner) = (Arc::clone(&pool), parsers.clone());
    let reading = thread::Builder::new().name("read".into());
    let reading = reading.spawn(move || {
        if let Err(error) = read(input, &reader, beginner.as_deref()) {
            events.tell(Event::InputFailed(error));
        }
        reader.close();
    });
    let late = Arc::clone(&pool);
    let writing = thread::Builder::new().name("write".into());
    let writing = writing.spawn(move || late.output().write_late());
    for thread in [reading, writing] {
        thread.map_err(|e| Failure::new(format_args!("cannot start a thread: {e}")))?;
    }
    // What still runs when this returns ends with the process.
    let ended = watch(happened, &pool, options.quiet, options.verbose);
    if let Some(parsers) = parsers {
        parsers.end();
    }
    if let Some(renderer) = renderer {
        renderer.end();
    }
    let closed = options.archive.map_or(Ok(()), |archive| archive.close());
    let saved = options.cookies.save().map_err(Failure::new);
    let ended = ended?;
    saved.and(closed).and(Ok(ended))
}

/// Follows what happens to the end, and says what that means.
fn watch<W: Write + Send + 'static>(
    happened: Receiver<Event>,
    pool: &Pool<W>,
    quiet: bool,
    verbose: bool,
) -> Result<Exit, Failure> {
    let mut paused = None;
    let mut is_told = quiet;
    let mut failed = None;
    for event in happened {
        match event {
            Event::Drained => break,
            Event::ReaderGone => return Err(Failure::pipe_closed()),
            Event::OutputBroken => {
                let error = pool.output().take_error();
                let error = error.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
                return Err(Failure::from_stdout(error));
            }
            Event::InputFailed(error) => {
                failed = Some(Failure::new(format_args!("cannot read stdin: {error}")));
                pool.stop();
            }
            Event::NoWorker(error) => {
                return Err(Failure::new(format_args!("cannot start a thread: {error}")));
            }
            Event::Short(what) if !is_told => {
                is_told = true;
                say(
                    TOOL,
                    format_args!("{what}: requests wait until there is room, fewer at once"),
                );
            }
            Event::Short(_) => {}
            // What is kept still gets its results.
            Event::ArchiveBroken(why) => {
                failed.get_or_insert_with(|| Failure::new(why));
                pool.stop();
            }
            Event::ParserBroken(why) => {
                pool.output().flush();
                return Err(Failure::with(Exit::Usage, why));
            }
            Event::Signal(signal) if paused.is_some() => return Ok(Exit::from_signal(signal)),
            Event::Signal(signal) => {
                paused = Some(Exit::from_signal(signal));
                pool.stop();
            }
        }
    }
    let tally = pool.tally();
    if verbose {
        say(TOOL, &tally);
    }
    match (failed, paused, tally.errors(ErrorKind::Invalid)) {
        (Some(failure), ..) => Err(failure),
        (None, Some(exit), _) => Ok(exit),
        (None, None, 0) => Ok(Exit::Complete),
        (None, None, 1) => Err(Failure::new("1 line was no request")),
        (None, None, n) => Err(Failure::new(format_args!(
            "{} lines were no requests",
            count(n)
        ))),
    }
}

/// Reads requests until stdin ends or no more are wanted.
fn read<W: Write + Send + 'static>(
    input: impl Read,
    pool: &Arc<Pool<W>>,
    parsers: Option<&Parsers>,
) -> io::Result<()> {
    let (mut lines, mut input) = (Lines::default(), Unmarked::new(input));
    let mut jobs = Vec::new();
    let mut number = 0;
    loop {
        number += 1;
        match lines.read_line(&mut input)? {
            None => {
                pool.add(&mut jobs);
                return Ok(());
            }
            // A list ends with a blank line now and then, which asks for nothing.
            Some(Line::Whole(line)) if line.trim_ascii().is_empty() => {}
            Some(Line::Whole(line)) => match Job::new(line, number) {
                Ok(mut job) => {
                    if let (Some(parsers), Some(state)) = (parsers, job.state.take()) {
                        parsers.begin_with(&state);
                    }
                    jobs.push(job);
                }
                Err(result) => pool.add_invalid(&result),
            },
            Some(Line::TooLong(begin)) => {
                pool.add_invalid(&invalid(begin, number, None, TOO_LONG));
            }
        }
        if (jobs.len() >= JOBS_AT_ONCE || !lines.has_next()) && !pool.add(&mut jobs) {
            return Ok(());
        }
    }
}

fn watch_signals(events: &Events) -> io::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new(crate::signals::handled())?;
    let events = events.clone();
    let watch = move || {
        for signal in signals.forever() {
            events.tell(Event::Signal(signal));
        }
    };
    thread::Builder::new().name("signals".into()).spawn(watch)?;
    Ok(())
}

/// Notices that stdout has no reader any more even while nothing is written.
fn watch_reader(output: &File, events: &Events) -> io::Result<()> {
    let output = output.try_clone()?;
    let events = events.clone();
    let watch = move || loop {
        let mut fds = [PollFd::new(&output, PollFlags::empty())];
        match rustix::event::poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(_) if fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) => {
                events.tell(Event::ReaderGone);
                return;
            }
            _ => return,
        }
    };
    thread::Builder::new().name("watch".into()).spawn(watch)?;
    Ok(())
}

/// A descriptor of our own for a standard stream, which threads can hold.
fn own(stream: impl AsFd) -> Result<File, Failure> {
    let fd: io::Result<OwnedFd> = stream.as_fd().try_clone_to_owned();
    let fd = fd.map_err(|e| Failure::new(format_args!("cannot use a standard stream: {e}")))?;
    Ok(File::from(fd))
}

/// Writes to a descriptor that may have been made non-blocking by another process.
struct Patient(File);

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    let mut fds = [PollFd::new(&self.0, PollFlags::OUT)];
                    rustix::event::poll(&mut fds, None)?;
                }
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Says on stderr that connections are not secure.
pub fn warn_insecure() {
    say(
        TOOL,
        "WARNING: --insecure: certificates are not checked; anyone on the way can read and change everything",
    );
}
