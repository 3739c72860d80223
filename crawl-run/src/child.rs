//! A program that runs, and who hears of it.

use std::io;
use std::os::unix::net::UnixStream;
use std::process::ExitStatus;

use crate::hearing::{Ear, Hearing};
use crate::spawn::{Program, Started};

/// A running program.
#[derive(Debug)]
pub struct Child {
    started: Started,
    hearing: Hearing,
}

impl Child {
    /// Starts it.
    ///
    /// # Errors
    /// The system's reason; it does not run then.
    pub fn start(program: Program<'_>, ear: Ear) -> io::Result<Child> {
        let mut started = program.start()?;
        let hearing = Hearing::begin(&mut started, ear).inspect_err(|_| {
            started.kill();
            // It was killed, so this is soon.
            let _ = started.wait();
        })?;
        Ok(Child { started, hearing })
    }

    /// Listens to its news too.
    ///
    /// # Errors
    /// There are no more threads.
    pub fn hear_news(&self, socket: UnixStream) -> io::Result<()> {
        self.hearing.hear_news(socket)
    }

    /// True while it was not heard that it ended.
    pub fn goes_on(&self) -> bool {
        self.hearing.goes_on()
    }

    /// Another one hears of it from now on. False when it has ended by now.
    pub fn pass_to(&self, ear: Ear) -> bool {
        self.hearing.pass_to(ear)
    }

    /// Nobody hears of it any more.
    pub fn cease(&self) {
        self.hearing.cease();
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
impl Drop for Child {
    fn drop(&mut self) {
        self.cease();
        self.kill();
        // It was killed or has ended, so this is soon.
        let _ = self.wait();
    }
}
