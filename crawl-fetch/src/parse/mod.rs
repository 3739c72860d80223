//! A parser of the user's own, in any language: pages go to it as result lines
//! with `body`, and come back as result lines with what it made of them.
//!
//! It is a filter like the tools themselves, and it may die, stall or lie. No page
//! is lost then: a page is kept until its line is back, sent again to the next
//! parser, and set aside when it brought two of them down. `copy` decides that;
//! here is what all copies share.

mod child;
mod copy;
mod page;
mod voice;

use std::collections::VecDeque;
use std::io::{self, PipeReader, PipeWriter, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crawl_ckpt::record::{ErrorKind, FetchResult, Kind};
use url::Url;

use crate::event::{Event, Fetched};

use self::copy::Copy;
use self::page::Page;
use self::voice::Voice;

/// The variable that a parser finds the kept state in.
pub const STATE_VARIABLE: &str = "CRAWL_STATE";

/// Largest state, as JSON. Linux takes no variable over 128 KiB.
pub const MAX_STATE_BYTES: usize = 100 << 10;

/// A parser that brings down so many pages in a row, with none answered between
/// them, is broken: it is not the pages.
const BAD_IN_A_ROW: u32 = 10;

/// What is to be started, and how.
#[derive(Debug, Clone)]
pub struct ParseOptions {
    /// The program and its arguments; never empty.
    pub command: Vec<String>,
    /// Where it runs; `None`: where this tool does.
    pub dir: Option<PathBuf>,
    /// How many copies run.
    pub jobs: usize,
    /// The oldest page of a copy may wait so long for its answer.
    pub timeout: Duration,
}

/// Takes whole lines; false when nobody reads them any more.
pub type Sink = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// The copies of a parser, and what waits for them.
pub struct Parsers {
    shared: Arc<Shared>,
    /// A byte goes in for each page that waits; its end tells the copies to end.
    bell: Mutex<Option<PipeWriter>>,
    copies: Mutex<Vec<JoinHandle<()>>>,
    numbers: AtomicU64,
}

/// What all copies share.
struct Shared {
    options: ParseOptions,
    sink: Sink,
    events: Sender<Event>,
    queue: Mutex<VecDeque<Page>>,
    /// Holds a byte for each page in the queue. Never blocks.
    bell: PipeReader,
    /// The newest state that came back.
    state: Mutex<Option<String>>,
    /// Pages set aside since the last answer.
    bad: AtomicU32,
    voice: Voice,
}

impl Parsers {
    /// Gets the copies ready. Each starts its process when there is a page for it.
    ///
    /// # Errors
    /// The system has no more descriptors or threads.
    pub fn start(options: ParseOptions, sink: Sink, events: Sender<Event>) -> io::Result<Parsers> {
        let (reader, writer) = io::pipe()?;
        rustix::io::ioctl_fionbio(&reader, true)?;
        let jobs = options.jobs;
        let shared = Arc::new(Shared {
            options,
            sink,
            events,
            queue: Mutex::default(),
            bell: reader,
            state: Mutex::default(),
            bad: AtomicU32::new(0),
            voice: Voice::default(),
        });
        let copies = (1..=jobs).map(|number| {
            let name = (jobs > 1).then(|| format!("parser {number}"));
            let name = name.unwrap_or_else(|| "the parser".to_owned());
            let copy = Copy::new(name, Arc::clone(&shared));
            let thread = thread::Builder::new().name("parse".into());
            thread.spawn(move || copy.run())
        });
        Ok(Parsers {
            copies: Mutex::new(copies.collect::<io::Result<_>>()?),
            shared,
            bell: Mutex::new(Some(writer)),
            numbers: AtomicU64::new(1),
        })
    }

    /// The state that parsers begin with from now on, until one of them gives a newer.
    pub fn begin_with(&self, state: &str) {
        *lock(&self.shared.state) = Some(state.to_owned());
    }

    /// Makes a result that [`is_parsed`] ready for a parser. `keep_body`: the body
    /// stays in the result. `None` when it does not fit a line.
    pub fn page(&self, result: &mut FetchResult<'_>, url: Url, keep_body: bool) -> Option<Waiting> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (done, answer) = sync_channel(1);
        let page = Page::new(result, url, keep_body, number, done)?;
        Some(Waiting { page, answer })
    }

    /// Has a page parsed and its result put out; returns when that is done.
    pub fn parse(&self, Waiting { page, answer }: Waiting) -> Fetched {
        let status = page.status();
        lock(&self.shared.queue).push_back(page);
        if let Some(bell) = &mut *lock(&self.bell) {
            // Copies that are gone have said why.
            let _ = bell.write_all(b".");
        }
        // No answer comes when all ends: then nobody looks at this.
        answer.recv().unwrap_or(Fetched {
            written: true,
            status,
            error: Some(ErrorKind::Parse),
        })
    }

    /// Ends all copies: their input ends, and who does not end soon after is killed.
    pub fn end(&self) {
        lock(&self.bell).take();
        for copy in lock(&self.copies).drain(..) {
            let _ = copy.join();
        }
        self.shared.voice.end();
    }
}

/// A page on its way to a parser.
pub struct Waiting {
    page: Page,
    answer: Receiver<Fetched>,
}

/// Whether a result goes through the parser: that of a page which came whole, with
/// success, and is no block.
pub fn is_parsed(kind: Kind, result: &FetchResult<'_>) -> bool {
    kind.is_page()
        && result.status.is_some_and(|status| status / 100 == 2)
        && result.error.is_none()
        && result.blocked.is_none()
}

/// What a copy finds in the queue.
enum Taken {
    Page(Box<Page>),
    Nothing,
    Ended,
}

impl Shared {
    /// Takes a page out of the queue, if there is one. Never blocks.
    fn take(&self) -> Taken {
        let mut byte = [0];
        match rustix::io::read(&self.bell, &mut byte) {
            Ok(1) => match lock(&self.queue).pop_front() {
                Some(page) => Taken::Page(Box::new(page)),
                None => Taken::Nothing,
            },
            Ok(_) => Taken::Ended,
            Err(_) => Taken::Nothing,
        }
    }

    /// Puts the result of a page out.
    fn put(&self, page: &Page, line: &[u8], error: Option<ErrorKind>) {
        let written = (self.sink)(line);
        page.done(Fetched {
            written,
            status: page.status(),
            error,
        });
    }

    /// The parser cannot do its work; everything ends.
    fn give_up(&self, why: String) {
        // Nobody listens any more when everything ends already.
        let _ = self.events.send(Event::ParserBroken(why));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
