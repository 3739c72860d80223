//! What is heard of a child: its words on stderr, its news, and its end. Who listens may change.

use std::fmt;
use std::io::{self, PipeReader};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread;

use crawl_ckpt::control::News;
use crawl_ckpt::lines::{Line, Lines};
use crawl_ckpt::mutex::lock;
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::spawn::Started;

/// What is heard.
#[derive(Debug)]
pub enum Told {
    /// A line on stderr.
    Said(String),
    /// A line over the socket.
    News(News),
    /// It will say nothing more on one of them.
    Silent,
    /// It ended and can be waited for without delay.
    Ended,
}

/// Hears it.
pub type Ear = Box<dyn Fn(Told) + Send>;

/// Who hears of a child.
#[derive(Clone)]
pub struct Hearing(Arc<Mutex<Heard>>);

struct Heard {
    ear: Option<Ear>,
    has_ended: bool,
    /// Said while nobody listened.
    unheard: Vec<String>,
}

impl Hearing {
    /// Listens to a child that was just started.
    ///
    /// # Errors
    /// There are no more threads.
    pub fn begin(child: &mut Started, ear: Ear) -> io::Result<Hearing> {
        let hearing = Hearing(Arc::new(Mutex::new(Heard {
            ear: Some(ear),
            has_ended: false,
            unheard: Vec::new(),
        })));
        if let Some(stderr) = child.stderr.take() {
            hearing.clone().relay(stderr)?;
        }
        hearing.clone().report_end(child)?;
        Ok(hearing)
    }

    /// True while it was not heard that it ended.
    pub fn goes_on(&self) -> bool {
        !lock(&self.0).has_ended
    }

    /// Another one hears of it from now on. False when it has ended by now, which nobody hears then.
    pub fn pass_to(&self, ear: Ear) -> bool {
        let mut heard = lock(&self.0);
        if heard.has_ended {
            return false;
        }
        for line in std::mem::take(&mut heard.unheard) {
            ear(Told::Said(line));
        }
        heard.ear = Some(ear);
        true
    }

    /// Nobody hears of it any more.
    pub fn cease(&self) {
        lock(&self.0).ear = None;
    }

    fn tell(&self, told: Told) {
        let mut heard = lock(&self.0);
        heard.has_ended |= matches!(told, Told::Ended);
        match (&heard.ear, told) {
            (Some(ear), told) => ear(told),
            (None, Told::Said(line)) => heard.unheard.push(line),
            (None, _) => {}
        }
    }

    /// Hands on what it says on stderr: a progress line may be drawn there, and a last error is to
    /// be told in crawl-run's own.
    fn relay(self, mut stderr: PipeReader) -> io::Result<()> {
        thread::Builder::new().name("relay".into()).spawn(move || {
            let mut lines = Lines::default();
            while let Ok(Some(line)) = lines.read_line(&mut stderr) {
                let (Line::Whole(line) | Line::TooLong(line)) = line;
                let line = String::from_utf8_lossy(line).into_owned();
                self.tell(Told::Said(line));
            }
            self.tell(Told::Silent);
        })?;
        Ok(())
    }

    /// Listens to its news too.
    ///
    /// # Errors
    /// There are no more threads.
    pub fn hear_news(&self, socket: UnixStream) -> io::Result<()> {
        let hearing = self.clone();
        thread::Builder::new().name("news".into()).spawn(move || {
            // Of a million hosts that wait for a human, news is longer than any record.
            let mut lines = Lines::of_any_length();
            while let Ok(Some(line)) = lines.read_line(&socket) {
                // News that a later frontier may add is none that an exit code depends on.
                if let Line::Whole(line) = line
                    && let Ok(news) = serde_json::from_slice(line)
                {
                    hearing.tell(Told::News(news));
                }
            }
            hearing.tell(Told::Silent);
        })?;
        Ok(())
    }

    /// Says when it has ended, and leaves it to be waited for.
    fn report_end(self, child: &Started) -> io::Result<()> {
        let pid = child.pid();
        let thread = thread::Builder::new().name("waiting".into());
        thread.spawn(move || {
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(pid), look), Err(Errno::INTR)) {}
            self.tell(Told::Ended);
        })?;
        Ok(())
    }
}

impl fmt::Debug for Hearing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hearing").finish_non_exhaustive()
    }
}
