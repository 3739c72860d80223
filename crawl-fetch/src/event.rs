//! What workers tell: what became of a request, and what ends the run.

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
