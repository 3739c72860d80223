//! A crawl-fetch process, and who hears of it. In a batch it may outlive the crawl that it was
//! started for, and serve the next: to start one costs as much as a small site.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Mutex;

use crawl_ckpt::mutex::lock;

use crate::hearing::{Ear, Hearing};
use crate::spawn::{Program, Started};

/// Results on their way: a page with its body is longer than the usual 64 KiB.
const RESULTS_BYTES: usize = 256 << 10;

/// How a fetcher is started: one that is started the same way is as good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manner {
    /// The program.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables that it does not see.
    pub hidden: Vec<OsString>,
}

/// The frontier's ends of the pipes to a fetcher.
#[derive(Debug)]
pub struct Ends {
    /// Where results come from.
    pub results: OwnedFd,
    /// Where requests go.
    pub requests: OwnedFd,
}

/// A running fetcher.
#[derive(Debug)]
pub struct Fetcher {
    started: Started,
    manner: Manner,
    /// Held open while it is to be kept: its input does not end with a frontier.
    ends: Option<Ends>,
    hearing: Hearing,
}

/// Where a fetcher waits for the next crawl.
#[derive(Debug, Default)]
pub struct Keeper(Mutex<Option<Fetcher>>);

impl Ends {
    fn copy(&self) -> io::Result<Ends> {
        Ok(Ends {
            results: self.results.as_fd().try_clone_to_owned()?,
            requests: self.requests.as_fd().try_clone_to_owned()?,
        })
    }
}

impl Keeper {
    /// Takes the fetcher, if one waits that was started in this manner and still runs. Gives the
    /// frontier's ends too.
    pub fn take(&self, manner: &Manner, ear: Ear) -> Option<(Fetcher, Ends)> {
        let fetcher = lock(&self.0).take()?;
        let ends = fetcher.ends.as_ref()?.copy().ok()?;
        (fetcher.manner == *manner && fetcher.hearing.pass_to(ear)).then_some((fetcher, ends))
    }

    fn put(&self, fetcher: Fetcher) {
        lock(&self.0).replace(fetcher);
    }
}

impl Fetcher {
    /// Starts one with these further descriptors. When `keeps`, its input goes on until
    /// [`Fetcher::end_input`].
    ///
    /// # Errors
    /// The system's reason.
    pub fn start(
        manner: Manner,
        given: Vec<(i32, OwnedFd)>,
        keeps: bool,
        ear: Ear,
    ) -> io::Result<(Fetcher, Ends)> {
        let (requests_out, requests_in) = io::pipe()?;
        let (results_out, results_in) = io::pipe()?;
        // Where that is refused, a large page only takes more turns.
        let _ = rustix::pipe::fcntl_setpipe_size(&results_in, RESULTS_BYTES);
        let ends = Ends {
            results: results_out.into(),
            requests: requests_in.into(),
        };
        let kept = if keeps { Some(ends.copy()?) } else { None };
        let mut program = Program {
            path: &manner.path,
            args: manner.args.clone(),
            hidden: &manner.hidden,
            given,
        };
        program
            .given
            .extend([(0, requests_out.into()), (1, results_in.into())]);
        let mut started = program.start()?;
        let hearing = Hearing::begin(&mut started, ear)?;
        let fetcher = Fetcher {
            started,
            manner,
            ends: kept,
            hearing,
        };
        Ok((fetcher, ends))
    }

    /// Its input ends with its frontier.
    pub fn end_input(&mut self) {
        self.ends = None;
    }

    /// Leaves it to the keeper, and nobody hears of it any more; gives back one that cannot be kept.
    pub fn keep(self, keeper: &Keeper) -> Option<Fetcher> {
        if self.ends.is_none() || !self.hearing.cease() {
            return Some(self);
        }
        keeper.put(self);
        None
    }

    /// How it ended.
    ///
    /// # Errors
    /// The system cannot tell.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.started.wait()
    }

    /// Kills it, if it still runs.
    pub fn kill(&self) {
        self.started.kill();
    }
}

/// One that is not waited for yet is not needed any more.
impl Drop for Fetcher {
    fn drop(&mut self) {
        self.ends = None;
        self.kill();
        // It was killed or has ended, so this is soon.
        let _ = self.wait();
    }
}
