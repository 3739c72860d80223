//! What all copies of a parser share: what to start, the pages that wait, and where results go.

use std::collections::VecDeque;
use std::io::PipeReader;
use std::path::PathBuf;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crawl_ckpt::mutex::lock;
use crawl_ckpt::record::ErrorKind;

use super::page::PendingPage;
use super::stderr::Messages;
use crate::event::{Event, Events, Fetched};

/// The variable that a parser finds the kept state in.
pub const STATE_VARIABLE: &str = "CRAWL_STATE";

/// Largest state, as JSON. Linux takes no variable over 128 KiB.
pub const MAX_STATE_BYTES: usize = 100 << 10;

/// A parser that brings down so many pages in a row, with none answered between
/// them, is broken: it is not the pages.
pub const BAD_IN_A_ROW: u32 = 10;

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

/// What all copies share.
pub struct Shared {
    /// What is to be started.
    pub options: ParseOptions,
    /// Takes results.
    pub sink: Sink,
    /// Hears that the parser does not work.
    pub events: Events,
    /// Pages that wait for a process.
    pub queue: Mutex<VecDeque<PendingPage>>,
    /// Holds a byte for each page in the queue. Never blocks.
    pub wakeup: PipeReader,
    /// The newest state that came back.
    pub state: Mutex<Option<String>>,
    /// Pages set aside since the last answer.
    pub bad: AtomicU32,
    /// What people are told.
    pub messages: Messages,
}

/// What a copy finds in the queue.
pub enum Taken {
    Page(Box<PendingPage>),
    /// None waits just now.
    Nothing,
    /// Everything ends.
    Ended,
}

impl Shared {
    /// Takes a page out of the queue, if there is one. Never blocks.
    pub fn take(&self) -> Taken {
        let mut byte = [0];
        match rustix::io::read(&self.wakeup, &mut byte) {
            Ok(1) => match lock(&self.queue).pop_front() {
                Some(page) => Taken::Page(Box::new(page)),
                None => Taken::Nothing,
            },
            Ok(_) => Taken::Ended,
            Err(_) => Taken::Nothing,
        }
    }

    /// Puts the result of a page out.
    pub fn put(&self, page: &PendingPage, line: &[u8], error: Option<ErrorKind>) {
        let written = (self.sink)(line);
        page.done(Fetched {
            written,
            status: page.status(),
            error,
        });
    }

    /// The parser cannot do its work; everything ends.
    pub fn give_up(&self, why: String) {
        self.events.tell(Event::ParserBroken(why));
    }
}
