//! A parser of the user's own, in any language: pages go to it as result lines
//! with `body`, and come back as result lines with what it made of them.
//!
//! It is a filter like the tools themselves, and it may die, stall or lie. No page
//! is lost then: a page is kept until its line is back, sent again to the next
//! parser, and set aside when it brought two of them down. [`supervisor`] decides that.

mod page;
mod process;
mod shared;
mod stderr;
mod supervisor;

use std::io::{self, PipeWriter, Write};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crawl_ckpt::mutex::lock;
use crawl_ckpt::record::{ErrorKind, FetchResult, Kind};
use url::Url;

use crate::event::{Events, Fetched};

use self::page::PendingPage;
use self::shared::Shared;
pub use self::shared::{ParseOptions, Sink};
use self::stderr::Messages;
use self::supervisor::Supervisor;

/// The copies of a parser, and what waits for them.
pub struct Parsers {
    shared: Arc<Shared>,
    /// A byte goes in for each page that waits; its end tells the copies to end.
    wakeup: Mutex<Option<PipeWriter>>,
    copies: Mutex<Vec<JoinHandle<()>>>,
    numbers: AtomicU64,
}

impl Parsers {
    /// Gets the copies ready. Each starts its process when there is a page for it.
    ///
    /// # Errors
    /// The system has no more descriptors or threads.
    pub fn start(options: ParseOptions, sink: Sink, events: Events) -> io::Result<Parsers> {
        let (reader, writer) = io::pipe()?;
        rustix::io::ioctl_fionbio(&reader, true)?;
        let jobs = options.jobs;
        let shared = Arc::new(Shared {
            options,
            sink,
            events,
            queue: Mutex::default(),
            wakeup: reader,
            state: Mutex::default(),
            bad: AtomicU32::new(0),
            messages: Messages::default(),
        });
        let copies = (1..=jobs).map(|number| {
            let name = (jobs > 1).then(|| format!("parser {number}"));
            let name = name.unwrap_or_else(|| "the parser".to_owned());
            let copy = Supervisor::new(name, Arc::clone(&shared));
            let thread = thread::Builder::new().name("parse".into());
            thread.spawn(move || copy.run())
        });
        Ok(Parsers {
            copies: Mutex::new(copies.collect::<io::Result<_>>()?),
            shared,
            wakeup: Mutex::new(Some(writer)),
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
        let page = PendingPage::new(result, url, keep_body, number, done)?;
        Some(Waiting { page, answer })
    }

    /// Has a page parsed and its result put out; returns when that is done.
    pub fn parse(&self, Waiting { page, answer }: Waiting) -> Fetched {
        let status = page.status();
        lock(&self.shared.queue).push_back(page);
        if let Some(wakeup) = &mut *lock(&self.wakeup) {
            // Copies that are gone have said why.
            let _ = wakeup.write_all(b".");
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
        lock(&self.wakeup).take();
        for copy in lock(&self.copies).drain(..) {
            let _ = copy.join();
        }
        self.shared.messages.end();
    }
}

/// A page on its way to a parser.
pub struct Waiting {
    page: PendingPage,
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
