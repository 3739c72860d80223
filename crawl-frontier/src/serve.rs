//! The loop: requests out, results in, until nothing is pending.
//!
//! One thread decides; others read results, write requests, commit, and listen
//! to crawl-run or to signals. The deciding thread never blocks on the request
//! pipe, so a fetcher that waits for its results to be read is always served.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crawl_ckpt::control::{Begin, EndReason, News, Order, Progress};
use crawl_ckpt::record::MAX_LINE_BYTES;
use crawl_ckpt::tool::{Exit, Failure, say};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::crawl::{Done, Step};
use crate::open::{Opened, Places, open};

const TOOL: &str = "crawl-frontier";
/// crawl-run is told the figures so often.
const NEWS_MS: u64 = 250;
/// Results are read in pieces of this size.
const READ_BYTES: usize = 256 << 10;
/// So many pieces wait to be looked at; the fetcher then waits in turn.
const EVENTS: usize = 16;

/// Who started the frontier.
#[derive(Debug)]
pub enum Conductor {
    /// crawl-run, which says what to do over a socket and passes signals on.
    Socket(UnixStream),
    /// A person or a script: signals come here.
    Nobody {
        /// What to crawl.
        begin: Box<Begin>,
        /// Say nothing but errors.
        quiet: bool,
    },
}

/// What the deciding thread hears.
enum Event {
    /// Whole lines.
    Results(Vec<u8>),
    /// The results ended; with an error when they ended badly.
    ResultsEnd(Option<String>),
    Order(Order),
    ConductorGone,
    Signal(i32),
}

/// Wall-clock milliseconds that never go back.
#[derive(Debug, Clone, Copy)]
struct Clock {
    start: Instant,
    start_ms: u64,
}

impl Clock {
    fn new() -> Clock {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Clock {
            start: Instant::now(),
            start_ms: since.as_millis() as u64,
        }
    }

    fn now_ms(&self) -> u64 {
        self.start_ms + self.start.elapsed().as_millis() as u64
    }
}

/// Why a run is to end, and how long it waits for what is under way.
#[derive(Debug, Clone, Copy)]
struct Stop {
    exit: Exit,
    reason: Reason,
    until_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Paused,
    Limit,
}

/// Serves a crawl until it is over, or until it is told to stop.
///
/// # Errors
/// What [`open`] says; a failed write; a fetcher that is gone with requests in flight.
pub fn serve(
    places: Places,
    conductor: Conductor,
    results: impl Read + Send + 'static,
    requests: File,
) -> Result<Exit, Failure> {
    let clock = Clock::new();
    let (events, inbox) = sync_channel(EVENTS);
    let (begin, mut news) = meet(conductor, &events)?;
    let test = places.job.is_none();
    let opened = open(places, &begin, clock.now_ms())?;
    news.tell(&News::Started(opened.started.clone()));
    for note in &opened.notes {
        news.warn(note.clone());
    }
    spawn("results", {
        let events = events;
        move || read_results(results, &events)
    })?;
    let (lines, outbox) = channel();
    spawn("requests", move || write_requests(requests, &outbox))?;
    Server {
        opened,
        begin,
        news,
        clock,
        inbox,
        lines: Some(lines),
        stop: None,
        fetcher_gone: false,
        test,
    }
    .run()
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let thread = thread::Builder::new().name(name.into()).spawn(work);
    thread
        .map(drop)
        .map_err(|e| Failure::new(format_args!("cannot start a thread: {e}")))
}

/// Learns what to crawl, and arranges for signals or orders to be heard.
fn meet(conductor: Conductor, events: &SyncSender<Event>) -> Result<(Begin, Newspaper), Failure> {
    match conductor {
        Conductor::Nobody { begin, quiet } => {
            let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
                .map_err(|e| Failure::new(format_args!("cannot listen for signals: {e}")))?;
            let events = events.clone();
            spawn("signals", move || {
                for signal in signals.forever() {
                    if events.send(Event::Signal(signal)).is_err() {
                        return;
                    }
                }
            })?;
            Ok((
                *begin,
                Newspaper {
                    socket: None,
                    quiet,
                    last_ms: 0,
                },
            ))
        }
        Conductor::Socket(socket) => {
            let fail = |e| Failure::new(format_args!("control socket: {e}"));
            let mut orders = BufReader::new(socket.try_clone().map_err(fail)?);
            let mut line = String::new();
            orders.read_line(&mut line).map_err(fail)?;
            let begin = match serde_json::from_str(&line) {
                Ok(Order::Begin(begin)) => *begin,
                Ok(_) => {
                    return Err(Failure::new(
                        "control socket: the first order must be begin",
                    ));
                }
                Err(e) => return Err(Failure::new(format_args!("control socket: {e}"))),
            };
            let events = events.clone();
            spawn("orders", move || read_orders(orders, &events))?;
            Ok((
                begin,
                Newspaper {
                    socket: Some(socket),
                    quiet: false,
                    last_ms: 0,
                },
            ))
        }
    }
}

fn read_orders(orders: impl BufRead, events: &SyncSender<Event>) {
    for line in orders.lines() {
        let order = line.ok().and_then(|line| serde_json::from_str(&line).ok());
        let Some(order) = order else { break };
        if events.send(Event::Order(order)).is_err() {
            return;
        }
    }
    // Nobody listens any more only when the crawl is over.
    let _ = events.send(Event::ConductorGone);
}

/// Reads results in pieces of whole lines.
fn read_results(mut results: impl Read, events: &SyncSender<Event>) {
    let mut buffer = Vec::new();
    let why = loop {
        let kept = buffer.len();
        if kept > MAX_LINE_BYTES {
            break Some("a result line is too long".to_owned());
        }
        buffer.resize(kept + READ_BYTES, 0);
        let got = match results.read(&mut buffer[kept..]) {
            Ok(0) => break None,
            Ok(got) => got,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => 0,
            Err(e) => break Some(e.to_string()),
        };
        buffer.truncate(kept + got);
        let Some(end) = buffer[kept..].iter().rposition(|&c| c == b'\n') else {
            continue;
        };
        let rest = buffer.split_off(kept + end + 1);
        if events
            .send(Event::Results(std::mem::replace(&mut buffer, rest)))
            .is_err()
        {
            return;
        }
    };
    // What is left is a line that the fetcher did not end: its request goes out again.
    let _ = events.send(Event::ResultsEnd(why));
}

/// Writes requests. A fetcher that is gone is noticed by the end of its results.
fn write_requests(mut requests: File, lines: &Receiver<Vec<u8>>) {
    for lines in lines {
        if requests.write_all(&lines).is_err() {
            return;
        }
    }
}

/// What crawl-run is told.
#[derive(Debug)]
struct Newspaper {
    socket: Option<UnixStream>,
    quiet: bool,
    last_ms: u64,
}

impl Newspaper {
    fn tell(&mut self, news: &News) {
        if let Some(socket) = &mut self.socket
            && let Ok(mut line) = serde_json::to_vec(news)
        {
            line.push(b'\n');
            // That crawl-run is gone is noticed by the end of its orders.
            let _ = socket.write_all(&line);
        }
    }

    fn warn(&mut self, message: String) {
        match self.socket {
            Some(_) => self.tell(&News::Warning(message)),
            None if self.quiet => {}
            None => say(TOOL, message),
        }
    }
}

struct Server {
    opened: Opened,
    begin: Begin,
    news: Newspaper,
    clock: Clock,
    inbox: Receiver<Event>,
    /// Closed at the end, which ends the fetcher.
    lines: Option<Sender<Vec<u8>>>,
    stop: Option<Stop>,
    /// The results ended: what is in flight will not be answered.
    fetcher_gone: bool,
    test: bool,
}

/// How a run is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Crawl(Done),
    Stopped(Exit, Reason),
    FetcherGone,
}

impl Server {
    fn run(mut self) -> Result<Exit, Failure> {
        self.opened.crawl.limit_records(self.begin.max_records);
        let deadline_ms = self
            .begin
            .max_time_ms
            .map(|most| self.clock.now_ms() + most);
        let end = loop {
            let now_ms = self.clock.now_ms();
            if deadline_ms.is_some_and(|deadline_ms| now_ms >= deadline_ms) && self.stop.is_none() {
                self.stop(Exit::Stopped, Reason::Limit, self.begin.grace_ms);
            }
            let mut wake_ms = deadline_ms.filter(|_| self.stop.is_none());
            match self.send_requests(now_ms)? {
                Step::Done(done) => break End::Crawl(done),
                Step::Wait { until_ms } => wake_ms = earliest(wake_ms, until_ms),
                Step::Sent => {}
            }
            if let Some(stop) = self.stop {
                if self.opened.crawl.under_way() == 0 || now_ms >= stop.until_ms {
                    break End::Stopped(stop.exit, stop.reason);
                }
                wake_ms = earliest(wake_ms, Some(stop.until_ms));
            }
            if self.fetcher_gone {
                break match self.stop {
                    Some(stop) => End::Stopped(stop.exit, stop.reason),
                    None => End::FetcherGone,
                };
            }
            let Opened { crawl, .. } = &mut self.opened;
            crawl.commit_if_due(now_ms)?;
            wake_ms = earliest(wake_ms, crawl.log.next_due_ms());
            self.publish(now_ms);
            if self.news.socket.is_some() {
                wake_ms = earliest(wake_ms, Some(now_ms + NEWS_MS));
            }
            self.listen(now_ms, wake_ms);
        };
        self.end(end)
    }

    /// Writes as many requests as can go now.
    fn send_requests(&mut self, now_ms: u64) -> Result<Step, Failure> {
        if self.stop.is_some() {
            return Ok(Step::Wait { until_ms: None });
        }
        let mut lines = Vec::new();
        let step = loop {
            match self.opened.crawl.next_request(now_ms, &mut lines)? {
                Step::Sent => {}
                step => break step,
            }
        };
        if !lines.is_empty()
            && let Some(requests) = &self.lines
        {
            // The thread ends early only when the fetcher is gone; the end of its results tells.
            let _ = requests.send(lines);
        }
        Ok(step)
    }

    /// Waits for something to happen, and takes in all that did.
    fn listen(&mut self, now_ms: u64, wake_ms: Option<u64>) {
        let wait = wake_ms.map_or(Duration::from_secs(3600), |wake_ms| {
            Duration::from_millis(wake_ms.saturating_sub(now_ms))
        });
        // The sender of results never hangs up without a last word.
        let mut next = self.inbox.recv_timeout(wait).ok();
        let mut taken = 0;
        while let Some(event) = next {
            self.take(event);
            taken += 1;
            // No more than the inbox holds, so that requests go out between.
            next = if taken < EVENTS {
                self.inbox.try_recv().ok()
            } else {
                None
            };
        }
    }

    fn take(&mut self, event: Event) {
        let now_ms = self.clock.now_ms();
        match event {
            Event::Results(lines) => {
                for line in lines.split(|&c| c == b'\n').filter(|line| !line.is_empty()) {
                    if let Err(why) = self.opened.crawl.answer(line, now_ms) {
                        self.news.warn(format!("a result line is left out: {why}"));
                    }
                }
            }
            Event::ResultsEnd(why) => {
                if let Some(why) = why {
                    self.news.warn(format!("the results ended badly: {why}"));
                }
                self.fetcher_gone = true;
            }
            Event::Order(Order::Pause { grace_ms }) => {
                self.stop(Exit::Interrupted, Reason::Paused, grace_ms);
            }
            Event::Order(Order::Begin(_)) => self.news.warn("a second begin is ignored".into()),
            Event::ConductorGone => self.stop(Exit::Failed, Reason::Paused, 0),
            Event::Signal(signal) => {
                let again = self.stop.is_some_and(|stop| stop.reason == Reason::Paused);
                let grace_ms = if again { 0 } else { self.begin.grace_ms };
                self.stop(Exit::from_signal(signal), Reason::Paused, grace_ms);
                let under_way = self.opened.crawl.under_way();
                self.news
                    .warn(format!("pausing: {under_way} requests are under way"));
            }
        }
    }

    fn stop(&mut self, exit: Exit, reason: Reason, grace_ms: u64) {
        let until_ms = self.clock.now_ms() + grace_ms;
        let stop = Stop {
            exit,
            reason,
            until_ms,
        };
        let before = self.stop.get_or_insert(stop);
        before.until_ms = before.until_ms.min(until_ms);
    }

    fn publish(&mut self, now_ms: u64) {
        if self.news.socket.is_some() && now_ms >= self.news.last_ms + NEWS_MS {
            self.news.last_ms = now_ms;
            let progress = Box::new(self.opened.crawl.progress());
            self.news.tell(&News::Progress(progress));
        }
    }

    /// Commits everything, seals the job, and says how it ended.
    fn end(mut self, end: End) -> Result<Exit, Failure> {
        self.lines = None;
        let now_ms = self.clock.now_ms();
        self.opened.crawl.release_held(now_ms);
        let mark = self.opened.crawl.commit_now(now_ms)?;
        let progress = self.opened.crawl.progress();
        let Opened { crawl, job, .. } = &mut self.opened;
        if let (Some(job), Some(mark)) = (job, &mark) {
            job.close(mark, || crawl.view(now_ms), &mut |note| {
                self.news.warn(note);
            })?;
        }
        if !progress.counts.balances() {
            let counts = progress.counts;
            return Err(Failure::new(format_args!(
                "the figures do not balance: {counts:?}"
            )));
        }
        let (reason, result) = self.judge(end, &progress);
        self.news.tell(&News::Ended {
            reason,
            progress: Box::new(progress),
        });
        result
    }

    fn judge(&self, end: End, progress: &Progress) -> (EndReason, Result<Exit, Failure>) {
        let in_flight = progress.counts.in_flight;
        match end {
            End::Crawl(Done::Complete) => (EndReason::Complete, Ok(Exit::Complete)),
            End::Crawl(Done::Parked) => (EndReason::Parked, Ok(Exit::Decide)),
            End::Crawl(Done::Limit) => {
                let exit = if self.test {
                    Exit::Complete
                } else {
                    Exit::Stopped
                };
                (EndReason::Limit, Ok(exit))
            }
            End::Stopped(exit, Reason::Limit) => (EndReason::Limit, Ok(exit)),
            End::Stopped(exit, Reason::Paused) => (EndReason::Paused, Ok(exit)),
            End::Crawl(Done::NetworkGone) => (
                EndReason::NetworkGone,
                Err(Failure::new("the network is gone: nobody answers any more")),
            ),
            End::Crawl(Done::NoAnswer) => (
                EndReason::NoAnswer,
                Err(Failure::new("no start URL ever answered")),
            ),
            End::FetcherGone => (
                EndReason::FetcherGone,
                Err(Failure::new(format_args!(
                    "the results ended while {in_flight} requests were in flight"
                ))),
            ),
        }
    }
}

fn earliest(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.into_iter().chain(b).min()
}
