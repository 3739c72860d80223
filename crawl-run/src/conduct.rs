//! Runs the children to the end of this run: restarts them when the fetcher dies,
//! passes signals on, and tells how it all ended.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use crawl_ckpt::control::{Begin, EndReason, KnownHost, News, Order, Progress};
use crawl_ckpt::human::counted;
use crawl_ckpt::tool::Failure;

use crate::meter::Bounds;
use crate::patience::Patience;
use crate::plan::millis;
use crate::signals;
use crate::stage::{Children, Event, Launch, Role, STREAMS};
use crate::view::View;

/// After the second signal a frontier that does not end is killed: its commits take
/// milliseconds, and a kill loses nothing either. So is one that is to end and waits for somebody
/// to read the records on stdout.
const LAST_COMMIT: Duration = Duration::from_secs(5);

/// A fetcher whose frontier is gone has nobody to give results to and keeps nothing.
const FETCH_ALONE: Duration = Duration::from_secs(5);

/// News that are still in the socket when both children are gone arrive within this.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How often the view is refreshed when nothing happens.
const TICK: Duration = Duration::from_millis(250);

/// How a run ended.
#[derive(Debug)]
pub struct Ending {
    /// What the frontier said, if it came to that.
    pub reason: Option<EndReason>,
    /// The last figures that it gave.
    pub progress: Progress,
    /// How the frontier ended.
    pub frontier: ExitStatus,
    /// How the fetcher ended.
    pub fetch: ExitStatus,
    /// The first signal that crawl-run got.
    pub signal: Option<i32>,
    /// The frontier did not end in time after a signal or `--max-time`, and was killed.
    pub killed: bool,
    /// What the frontier said on stderr at its end.
    pub last_words: LastWords,
    /// What changed of `--cookies FILE`, by jar.
    pub cookies: BTreeMap<String, String>,
    /// What was learned of hosts, by origin.
    pub hosts: BTreeMap<String, KnownHost>,
    /// Records of this run, over all starts of the children.
    pub records_run: u64,
    /// How long the run took.
    pub elapsed: Duration,
    /// Where the records of this worker are when a shared crawl is complete.
    pub output: Option<PathBuf>,
    /// The command that ends a pause of that crawl.
    pub resume: Option<String>,
    /// What that crawl is called.
    pub shared: Option<String>,
    /// The figures of all its workers, when it is complete.
    pub whole: Option<Box<Progress>>,
}

impl Ending {
    /// Counts what a commit vouches for, and no more.
    pub fn take_back_to(&mut self, committed: Progress) {
        let told = self.progress.records;
        if told > 0 {
            self.records_run = (self.records_run + committed.records).saturating_sub(told);
        }
        self.progress = committed;
    }
}

/// The error that the frontier ended with, in the form that all tools give it.
#[derive(Debug, Default)]
pub struct LastWords {
    /// `what happened: why`.
    pub message: Option<String>,
    /// The command that mends it.
    pub hint: Option<String>,
}

impl LastWords {
    /// Keeps a line that is part of such an error; false for any other.
    fn takes(&mut self, line: &str) -> bool {
        let message = line.strip_prefix("crawl-frontier: ");
        let hint = line.strip_prefix("hint: ");
        if let Some(message) = message {
            self.message = Some(message.to_owned());
        } else if let Some(hint) = hint {
            self.hint = Some(hint.to_owned());
        }
        message.or(hint).is_some()
    }
}

/// What runs the children.
#[derive(Debug)]
pub struct Conductor<'a> {
    /// What they are started with.
    pub launch: &'a Launch,
    /// What they are told; limits count the whole run.
    pub begin: Begin,
    /// A job that outlives its processes can go on after a restart.
    pub restarts: bool,
    /// Where events arrive, signals among them.
    pub events: (&'a Sender<Event>, &'a Receiver<Event>),
    /// What is shown.
    pub view: &'a mut View,
}

/// What one start of the children came to.
#[derive(Debug, Default)]
struct Act {
    reason: Option<EndReason>,
    progress: Option<Progress>,
    frontier: Option<ExitStatus>,
    fetch: Option<ExitStatus>,
    /// How many of [`STREAMS`] have ended.
    silent: usize,
    /// Both children wait for another crawl.
    stay: bool,
    killed: bool,
    last_words: LastWords,
    cookies: BTreeMap<String, String>,
    hosts: BTreeMap<String, KnownHost>,
    output: Option<PathBuf>,
    resume: Option<String>,
    shared: Option<String>,
    whole: Option<Box<Progress>>,
}

impl Act {
    fn records(&self) -> u64 {
        self.progress.as_ref().map_or(0, |p| p.records_run)
    }
}

impl Conductor<'_> {
    /// Runs until the frontier ends for a reason that a restart would not mend.
    ///
    /// # Errors
    /// A child cannot be started or waited for.
    pub fn run(&mut self) -> Result<Ending, Failure> {
        let begun = Instant::now();
        let mut patience = Patience::default();
        let mut signals = Vec::new();
        let mut progress = Progress::default();
        let mut records_run = 0;
        let (mut cookies, mut hosts) = (BTreeMap::new(), BTreeMap::new());
        for number in 0.. {
            let begin = self.begin_after(number, begun.elapsed(), records_run);
            let mut act = self.run_children(number, begin, &mut signals)?;
            cookies.append(&mut act.cookies);
            hosts.append(&mut act.hosts);
            let records = act.records();
            if let Some(latest) = act.progress {
                records_run += latest.records_run;
                progress = latest;
            }
            let (Some(frontier), Some(fetch)) = (act.frontier, act.fetch) else {
                return Err(Failure::new("a child ended without a status"));
            };
            let can_go_on = self.restarts && signals.is_empty() && fetch.code() != Some(2);
            let how = match &act.reason {
                Some(EndReason::FetcherGone | EndReason::SetAside) => status_words(fetch),
                _ => "says nothing".to_owned(),
            };
            if can_go_on && patience.goes_on(act.reason.as_ref(), records, Instant::now()) {
                self.view
                    .warn(format_args!("crawl-fetch {how}; starting it again"));
                continue;
            }
            return Ok(Ending {
                reason: act.reason,
                progress,
                frontier,
                fetch,
                signal: signals.first().copied(),
                killed: act.killed,
                last_words: act.last_words,
                cookies,
                hosts,
                records_run,
                elapsed: begun.elapsed(),
                output: act.output,
                resume: act.resume,
                shared: act.shared,
                whole: act.whole,
            });
        }
        Err(Failure::new("too many restarts"))
    }

    /// The first order of a start: what is left of this run's limits, and nothing that
    /// is to happen once only.
    fn begin_after(&self, number: u32, elapsed: Duration, records: u64) -> Begin {
        let mut begin = self.begin.clone();
        begin.max_records = begin.max_records.map(|n| n.saturating_sub(records).max(1));
        begin.max_time_ms = begin
            .max_time_ms
            .map(|n| n.saturating_sub(millis(elapsed)).max(1));
        begin.retry_blocked &= number == 0;
        begin.careful = number > 0;
        begin
    }

    fn run_children(
        &mut self,
        number: u32,
        begin: Begin,
        signals: &mut Vec<i32>,
    ) -> Result<Act, Failure> {
        let grace_ms = begin.grace_ms;
        let grace = Duration::from_millis(grace_ms);
        // Nobody may read what is printed, for ever.
        let most = begin.max_time_ms.filter(|_| self.launch.stream.is_some());
        let most = most.map(|most| Duration::from_millis(most).saturating_add(grace));
        let time = begin.max_time_ms.map(Duration::from_millis);
        self.view.bound(Bounds {
            records: begin.max_records,
            until: time.and_then(|time| Instant::now().checked_add(time)),
        });
        let order = Order::Begin(Box::new(begin));
        let mut children = Children::start(self.launch, order, number, self.events.0)?;
        let mark = children.mark();
        let mut act = Act::default();
        // When to stop waiting for the frontier, the fetcher, the socket.
        let mut frontier_due = most.and_then(due_after);
        let (mut fetch_due, mut silence_due) = (None, None);
        loop {
            let now = Instant::now();
            if passed(frontier_due, now) && act.frontier.is_none() {
                if self.launch.stream.is_some() && !act.killed {
                    self.view
                        .warn("nobody reads the records on stdout: some may be printed again");
                }
                act.killed = true;
                children.kill(Role::Frontier);
            }
            if passed(fetch_due, now) && act.fetch.is_none() {
                children.kill(Role::Fetch);
            }
            if act.frontier.is_some() && act.fetch.is_some() {
                let due = silence_due.get_or_insert(now + LAST_WORDS);
                if act.silent == STREAMS || now >= *due {
                    return Ok(act);
                }
            }
            self.view.tick(now);
            let event = match self.events.1.recv_timeout(TICK) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Failure::new("nothing more can be heard of the children"));
                }
            };
            match event {
                Event::Signal(signal) => {
                    signals.push(signal);
                    match signals.len() {
                        1 => {
                            // Of several crawls all pause, which is said once.
                            if !self.view.is_among() {
                                self.view.say(signals::pausing(signal, grace));
                            }
                            children.order(Order::Pause { grace_ms });
                            if self.launch.stream.is_some() {
                                frontier_due = due_after(grace);
                            }
                        }
                        2 => {
                            children.order(Order::Pause { grace_ms: 0 });
                            frontier_due = due_after(Duration::ZERO);
                        }
                        _ => frontier_due = Some(Instant::now()),
                    }
                }
                Event::News(n, news) if n == mark => {
                    self.hear(news, &mut act);
                    if act.stay
                        && let Some((keeper, _)) = &self.launch.keeper
                    {
                        keeper.put(children);
                        // As of two that ended well.
                        let well = Some(ExitStatus::default());
                        (act.frontier, act.fetch) = (well, well);
                        return Ok(act);
                    }
                    if act.reason == Some(EndReason::FetcherSilent) {
                        fetch_due = Some(Instant::now());
                    }
                }
                Event::Said(Role::Frontier, line) if act.last_words.takes(&line) => {}
                Event::Said(_, line) => self.view.error(line),
                Event::Silence(n) if n == mark => act.silent += 1,
                Event::Ended(n, role) if n == mark => {
                    let status = children.status(role);
                    let status = status
                        .map_err(|e| Failure::new(format_args!("cannot wait for a child: {e}")))?;
                    match role {
                        Role::Frontier => {
                            act.frontier = Some(status);
                            fetch_due.get_or_insert(Instant::now() + FETCH_ALONE);
                        }
                        Role::Fetch => {
                            act.fetch = Some(status);
                            let code = status.code();
                            children.order(Order::FetcherEnded { code });
                        }
                    }
                }
                Event::News(..) | Event::Silence(_) | Event::Ended(..) => {}
            }
        }
    }

    fn hear(&mut self, news: News, act: &mut Act) {
        let now = Instant::now();
        match news {
            News::Started(started) => {
                act.output = started.output;
                act.resume = started.resume;
                act.shared = started.shared;
                if let Some(promise) = started.promise {
                    self.view.say(promise);
                }
                if started.cookies_expired > 0 {
                    let cookies = counted(started.cookies_expired, "cookie");
                    self.view
                        .warn(format_args!("{cookies} expired since the last run"));
                }
                if started.requeued > 0 {
                    let pages = counted(started.requeued, "page");
                    self.view
                        .tell(format_args!("{pages} under way are asked for again"));
                }
            }
            News::Progress(progress) => {
                self.view.update(&progress, now);
                act.progress = Some(*progress);
            }
            News::Warning(text) => self.view.warn(text),
            News::Detail(text) => self.view.tell(text),
            News::Url(trial) => self.view.tell_of(&trial),
            News::Slow(slow) => self.view.slowed_by(slow),
            News::Cookies(cookies) => act.cookies = cookies,
            News::Hosts(hosts) => act.hosts = hosts,
            News::Whole(whole) => act.whole = Some(whole),
            News::Ended {
                reason,
                progress,
                stays,
            } => {
                act.stay = stays;
                act.reason = Some(reason);
                act.progress = Some(*progress);
            }
        }
    }
}

/// When a frontier that is to end so long from now is to have ended; never, when that is too far.
fn due_after(wait: Duration) -> Option<Instant> {
    Instant::now().checked_add(wait.saturating_add(LAST_COMMIT))
}

fn passed(due: Option<Instant>, now: Instant) -> bool {
    due.is_some_and(|due| now >= due)
}

/// How a child ended, after its name.
pub fn status_words(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (_, Some(signal)) => format!("was killed by signal {signal}"),
        _ => "ended".to_owned(),
    }
}
