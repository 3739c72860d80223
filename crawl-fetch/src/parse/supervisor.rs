//! One copy of the parser: pages in, answers out, and who is to blame when it dies,
//! stalls or lies.
//!
//! Pages are sent ahead, so at its end several may be unanswered. Those are sent to
//! the next process one at a time: the one page that it has when it ends is the one
//! that did it. Twice, and the page is set aside. A process that ended without having
//! read anything is nobody's fault but the parser's own.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crawl_ckpt::address::masked;
use crawl_ckpt::human::{counted, span};
use crawl_ckpt::lines::Line;
use crawl_ckpt::mutex::lock;
use crawl_ckpt::record::ErrorKind;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::page::{PendingPage, Reply};
use super::process::{IN_GOOD_ORDER, Process, Read, shown};
use super::shared::{BAD_IN_A_ROW, MAX_STATE_BYTES, Shared, Taken};

/// So many pages are sent ahead.
const WINDOW: usize = 16;

/// Processes that read nothing in a row: the parser cannot work.
const FALSE_STARTS: u32 = 3;

/// So much of a line that is no answer is shown.
const SHOWN_CHARS: usize = 80;

/// A copy of the parser, over all of its processes.
pub struct Supervisor {
    name: String,
    shared: Arc<Shared>,
    /// Sent and not answered, in that order.
    window: VecDeque<PendingPage>,
    /// Unanswered when a process ended: to be sent again, one at a time.
    again: VecDeque<PendingPage>,
    /// Since when the first page of the window is the first.
    first_since: Instant,
    /// The newest of those that this process answered.
    answered: VecDeque<u64>,
    false_starts: u32,
}

/// Why a process is over.
#[derive(Debug, PartialEq, Eq)]
enum Over {
    /// Everything ends.
    Ended,
    /// It closed its stdout.
    Died,
    /// The first page had no answer in time.
    Stalled,
    /// It said what cannot be.
    Lied(String),
    /// It answered a page again. That is no other page's doing.
    Repeated,
}

impl Supervisor {
    /// No process runs yet.
    pub fn new(name: String, shared: Arc<Shared>) -> Supervisor {
        Supervisor {
            name,
            shared,
            window: VecDeque::new(),
            again: VecDeque::new(),
            first_since: Instant::now(),
            answered: VecDeque::new(),
            false_starts: 0,
        }
    }

    /// Works until everything ends, or the parser turns out not to work at all.
    pub fn run(mut self) {
        while self.await_page() {
            let state = lock(&self.shared.state).clone();
            let started = Process::start(&self.shared.options, state.as_deref());
            let goes_on = match started {
                Ok(mut process) => match self.work(&mut process) {
                    Over::Ended => {
                        process.end();
                        self.relay(&mut process, true);
                        return;
                    }
                    over => self.bury(process, &over),
                },
                Err(error) => self.not_started(&error),
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Waits for a page to start a process for. False at the end of everything.
    fn await_page(&mut self) -> bool {
        while self.window.is_empty() && self.again.is_empty() {
            let mut wakeup = [PollFd::new(&self.shared.wakeup, PollFlags::IN)];
            // However it ends, it is looked again.
            let _ = poll(&mut wakeup, None);
            match self.shared.take() {
                Taken::Page(page) => self.again.push_back(*page),
                Taken::Nothing => {}
                Taken::Ended => return false,
            }
        }
        true
    }

    /// Keeps a process busy until it is over.
    fn work(&mut self, process: &mut Process) -> Over {
        self.answered.clear();
        loop {
            if self.window.is_empty()
                && let Some(page) = self.again.pop_front()
            {
                self.send(page);
            }
            let has_room = self.is_sent() && self.window.len() < WINDOW;
            let alone = self.window.front().is_some_and(|page| page.alone);
            let ready = self.wait(process, has_room && !alone && self.again.is_empty());
            if ready.err {
                process.read_err();
                self.relay(process, false);
            }
            if let Some(over) = ready.out.then(|| self.read(process)).flatten() {
                return over;
            }
            if let Some(page) = self.window.back_mut().filter(|_| ready.input) {
                page.sent += process.write(&page.line[page.sent..]);
            }
            if ready.wakeup {
                match self.shared.take() {
                    Taken::Page(page) => self.again.push_back(*page),
                    Taken::Nothing => {}
                    Taken::Ended => return Over::Ended,
                }
                if has_room
                    && !alone
                    && let Some(page) = self.again.pop_front()
                {
                    self.send(page);
                }
            }
            // Whoever was stopped for a while finds the answers there, and no time left.
            let is_late = self.first_since.elapsed() >= self.shared.options.timeout;
            if is_late && !self.window.is_empty() && !ready.out {
                return Over::Stalled;
            }
        }
    }

    fn send(&mut self, page: PendingPage) {
        if self.window.is_empty() {
            self.first_since = Instant::now();
        }
        self.window.push_back(page);
    }

    /// True when nothing is left to be written.
    fn is_sent(&self) -> bool {
        self.window.back().is_none_or(PendingPage::is_sent)
    }

    fn wait(&self, process: &Process, wants: bool) -> Ready {
        let (stdin, stdout, stderr) = process.pipes();
        let when = |wanted, flags| if wanted { flags } else { PollFlags::empty() };
        let stdin = stdin.filter(|_| !self.is_sent());
        // In the place of one that nothing is awaited of stands one that is there already.
        let mut fds = [
            PollFd::new(stdout, PollFlags::IN),
            PollFd::new(&self.shared.wakeup, when(wants, PollFlags::IN)),
            stdin.map_or(PollFd::new(stdout, PollFlags::empty()), |pipe| {
                PollFd::new(pipe, PollFlags::OUT)
            }),
            stderr.map_or(PollFd::new(stdout, PollFlags::empty()), |pipe| {
                PollFd::new(pipe, PollFlags::IN)
            }),
        ];
        let timeout = (!self.window.is_empty()).then(|| {
            let left = self
                .shared
                .options
                .timeout
                .saturating_sub(self.first_since.elapsed());
            Timespec::try_from(left).ok()
        });
        // An interrupted wait is like one that found nothing.
        let _ = poll(&mut fds, timeout.flatten().as_ref());
        let ready = |at: usize| !fds[at].revents().is_empty();
        Ready {
            out: ready(0),
            wakeup: ready(1),
            input: stdin.is_some() && ready(2),
            err: stderr.is_some() && ready(3),
        }
    }

    /// Reads answers. Says why the process is over, if it is.
    fn read(&mut self, process: &mut Process) -> Option<Over> {
        let read = process.read_out();
        while let Some(line) = process.out.next_line() {
            let taken = match line {
                Line::Whole(line) => self.take(line),
                Line::TooLong(_) => Err(Over::Lied("a line over 64 MiB".into())),
            };
            if let Err(over) = taken {
                return Some(over);
            }
        }
        (read == Read::Ended).then_some(Over::Died)
    }

    /// Takes a line that the parser printed.
    fn take(&mut self, line: &[u8]) -> Result<(), Over> {
        let answer: Reply<'_> = serde_json::from_slice(line).map_err(|error| {
            let text = String::from_utf8_lossy(line);
            let text: String = text.chars().take(SHOWN_CHARS).collect();
            Over::Lied(format!("a line that is no result ({error}): {text}"))
        })?;
        let is_it = |page: &PendingPage| page.number == answer.id && page.is_sent();
        let Some(at) = self.window.iter().position(is_it) else {
            if self.answered.contains(&answer.id) {
                return Err(Over::Repeated);
            }
            let id = answer.id;
            return Err(Over::Lied(format!(
                "a result of no page sent to it (id {id})"
            )));
        };
        if let Some(state) = answer.state.map(|state| state.get()) {
            if state.len() > MAX_STATE_BYTES {
                let bytes = state.len();
                let why = format!("a state of {bytes} bytes, over {MAX_STATE_BYTES}");
                return Err(Over::Lied(why));
            }
            *lock(&self.shared.state) = Some(state.to_owned());
        }
        let Some(page) = self.window.remove(at) else {
            return Ok(());
        };
        if at == 0 {
            self.first_since = Instant::now();
        }
        self.shared.put(&page, &page.answered(&answer), None);
        self.shared.bad.store(0, Ordering::Relaxed);
        self.false_starts = 0;
        self.answered.push_back(page.number);
        if self.answered.len() > WINDOW {
            self.answered.pop_front();
        }
        Ok(())
    }

    /// Passes on what it said on stderr; at its end also what has no newline.
    fn relay(&self, process: &mut Process, at_end: bool) {
        while let Some(Line::Whole(line) | Line::TooLong(line)) = process.err.next_line() {
            self.shared.messages.relay(line);
        }
        let rest = process.err.unfinished();
        if !rest.is_empty() && (at_end || rest.len() >= 64 << 10) {
            self.shared.messages.relay(rest);
            process.err.clear();
        }
    }

    /// Decides on the unanswered pages of a process that is over. False when the parser
    /// does not work at all.
    fn bury(&mut self, mut process: Process, over: &Over) -> bool {
        let how = match over {
            Over::Died | Over::Ended => process.wait_for_end(),
            Over::Stalled => {
                let time = span(self.shared.options.timeout);
                format!("gave no answer for {time}")
            }
            Over::Lied(what) => format!("printed {what}"),
            Over::Repeated => "answered a page twice".to_owned(),
        };
        process.kill();
        self.relay(&mut process, true);
        let count = self.window.len();
        if count == 0 {
            // One that ends in good order between two pages may.
            if how != IN_GOOD_ORDER {
                self.shared
                    .messages
                    .tell(format_args!("{} {how}", self.name));
            }
            return true;
        }
        let sent: usize = self.window.iter().map(|page| page.sent).sum();
        let is_untouched = process.unread() >= sent as u64;
        let is_guilty = !is_untouched
            && match over {
                Over::Stalled => true,
                Over::Repeated => false,
                _ => count == 1,
            };
        if let Some(page) = self.window.front_mut() {
            page.strikes += u32::from(is_guilty);
        }
        for mut page in self.window.drain(..).rev() {
            (page.alone, page.sent) = (true, 0);
            self.again.push_front(page);
        }
        if is_untouched && self.answered.is_empty() {
            return self.begins_badly(&how);
        }
        if let Some(page) = self.again.front().filter(|page| page.strikes >= 2) {
            let goes_on = self.set_aside(page, &how);
            self.again.pop_front();
            return goes_on;
        }
        let pages = counted(count as u64, "page");
        let hint = match over {
            Over::Stalled if self.answered.is_empty() => " (does it flush each line?)",
            _ => "",
        };
        self.shared.messages.tell(format_args!(
            "{} {how}{hint}; it is started again, {pages} sent again",
            self.name
        ));
        true
    }

    fn set_aside(&self, page: &PendingPage, how: &str) -> bool {
        let why = format!("the parser {how}, twice");
        let url = masked(page.url());
        self.shared.messages.tell(format_args!(
            "{} {how} on {url}, twice: the page is set aside",
            self.name
        ));
        self.shared
            .put(page, &page.set_aside(&why), Some(ErrorKind::Parse));
        let bad = self.shared.bad.fetch_add(1, Ordering::Relaxed) + 1;
        if bad >= BAD_IN_A_ROW {
            self.shared.give_up(format!(
                "the parser does not work: {BAD_IN_A_ROW} pages in a row were set aside; the last time it {how}"
            ));
        }
        bad < BAD_IN_A_ROW
    }

    /// A process was over without having read anything.
    fn begins_badly(&mut self, how: &str) -> bool {
        self.false_starts += 1;
        if self.false_starts < FALSE_STARTS {
            sleep(Duration::from_millis(100) * self.false_starts);
            return true;
        }
        let command = shown(&self.shared.options);
        self.shared.give_up(format!(
            "the parser does not work: {command} {how} without having read a page"
        ));
        false
    }

    fn not_started(&mut self, error: &io::Error) -> bool {
        use io::ErrorKind::{OutOfMemory, WouldBlock};
        if matches!(error.kind(), WouldBlock | OutOfMemory) && self.false_starts < FALSE_STARTS {
            self.false_starts += 1;
            sleep(Duration::from_secs(1));
            return true;
        }
        let command = shown(&self.shared.options);
        self.shared
            .give_up(format!("cannot start the parser {command}: {error}"));
        false
    }
}

/// What can be read or written without waiting.
#[derive(Debug, Clone, Copy)]
struct Ready {
    out: bool,
    err: bool,
    wakeup: bool,
    input: bool,
}
