//! What workers tell: what became of a request, and what ends the run.

use std::sync::mpsc::{Receiver, Sender, channel};

use crawl_ckpt::record::ErrorKind;

/// What became of a request line.
#[derive(Debug, Clone, Copy)]
pub struct Fetched {
    /// The result is on its way; without this the output is broken.
    pub written: bool,
    /// The status of the answer.
    pub status: Option<u16>,
    /// The kind of error in the result.
    pub error: Option<ErrorKind>,
}

/// How a request line went.
#[derive(Debug)]
pub enum Outcome {
    /// It has its result.
    Fetched(Fetched),
    /// It goes again: this machine had not enough of something, and of what.
    Short(String),
}

/// What the main thread is told.
#[derive(Debug)]
pub enum Event {
    /// Every request that was taken on has its result.
    Drained,
    /// Stdin failed.
    InputFailed(std::io::Error),
    /// Not a single worker could be started.
    NoWorker(std::io::Error),
    /// Requests wait, for want of what this says.
    Short(String),
    /// Stdout cannot be written any more.
    OutputBroken,
    /// Nothing can be kept any more, and why.
    ArchiveBroken(String),
    /// The reader of stdout went away.
    ReaderGone,
    /// The user's parser does not work, and why.
    ParserBroken(String),
    /// A signal came.
    Signal(i32),
}

/// The main thread's ear.
#[derive(Debug, Clone)]
pub struct Events(Sender<Event>);

impl Events {
    /// One, and where the main thread hears.
    pub fn new() -> (Events, Receiver<Event>) {
        let (sender, happened) = channel();
        (Events(sender), happened)
    }

    /// Tells the main thread.
    pub fn tell(&self, event: Event) {
        // Nobody listens any more when the process is about to end anyway.
        let _ = self.0.send(event);
    }
}
