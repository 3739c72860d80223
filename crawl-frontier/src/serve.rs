//! The loop: requests out, results in, until nothing is pending.

use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crawl_ckpt::control::{Begin, EndReason, News, Order, Progress, Slow};
use crawl_ckpt::human::{counted, span};
use crawl_ckpt::job::JobPlace;
use crawl_ckpt::tool::{Exit, Failure, say};

use crate::clock::Clock;
use crate::crawl::{Done, FetcherSilence, Step, Trouble};
use crate::flaws::Flaws;
#[cfg(feature = "redis")]
use crate::fleet;
use crate::open::{Opened, Places, open};
use crate::pipes::{Message, Pipes};
use crate::served::Served;
use crate::store::{OutputTo, Watch};
use crate::unnamed::MAKE_ROOM;

const TOOL: &str = "crawl-frontier";
/// A wait that ends so much later than it was to end was no wait.
const STOPPED_MS: u64 = 2000;
/// crawl-run is told the figures so often.
const NEWS_MS: u64 = 250;
/// crawl-run knows how the fetcher ended within this time after its results did.
const LAST_WORD_MS: u64 = 2000;

/// With so many URLs seen at most a frontier stays for another crawl: after a larger one the memory that
/// it took goes with it, and a start is nothing beside it.
const FEW_URLS: u64 = 1000;

/// Who started the frontier.
#[derive(Debug)]
pub enum Conductor {
    /// crawl-run, which says what to do over a socket and passes signals on.
    Socket {
        /// That socket.
        socket: UnixStream,
        /// The frontier waits for another crawl when this one is complete.
        stays: bool,
    },
    /// A person or a script: signals come here.
    Nobody {
        /// What to crawl.
        begin: Box<Begin>,
        /// Say nothing but errors.
        quiet: bool,
    },
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
    mut places: Places,
    conductor: Conductor,
    results: File,
    requests: File,
) -> Result<Exit, Failure> {
    let mut pipes = Pipes::new(results, requests);
    let may_stay = matches!(&conductor, Conductor::Socket { stays: true, .. });
    let memory_bytes = places.memory_bytes;
    let (mut begin, quiet) = meet(conductor, &mut pipes)?;
    loop {
        let over = crawl(places, begin, &mut pipes, quiet)?;
        let stays = may_stay && over.is_small_and_complete() && pipes.are_idle();
        pipes.tell(&News::Ended {
            reason: over.reason,
            progress: over.progress,
            stays,
        });
        if !stays {
            return over.result;
        }
        let Some((next, lock)) = pipes.next_crawl() else {
            return Ok(Exit::Complete);
        };
        places = Places {
            job: Some(JobPlace::at(&next.job)),
            lock: Some(lock),
            data_dir: next.data_dir,
            output: OutputTo::File(next.output),
            warc: None,
            memory_bytes,
        };
        begin = begun(pipes.first_order())?;
    }
}

/// What became of a crawl, when all that it held is let go.
struct Over {
    reason: EndReason,
    progress: Box<Progress>,
    result: Result<Exit, Failure>,
}

impl Over {
    fn is_small_and_complete(&self) -> bool {
        self.reason == EndReason::Complete && self.progress.counts.seen <= FEW_URLS
    }
}

/// Serves one crawl.
fn crawl(places: Places, begin: Begin, pipes: &mut Pipes, quiet: bool) -> Result<Over, Failure> {
    let clock = Clock::new();
    #[cfg(feature = "redis")]
    if let Some(shared) = begin.shared.clone() {
        let joining = fleet::Joining::start(places, begin, shared)?;
        let (mut opened, begin, words) = match wait_to_join(&joining, pipes)? {
            Entrance::Opened(opened, begin, words) => (*opened, *begin, words),
            Entrance::ToldToEnd(exit) => {
                return Ok(Over {
                    reason: EndReason::Paused,
                    progress: Box::default(),
                    result: Ok(exit),
                });
            }
        };
        if let Some(bell) = opened.crawl.bell() {
            pipes.hear_bell(bell);
        }
        let watched = pipes.conductor().and_then(|conductor| match conductor {
            Some(conductor) => fleet::end_when_alone(conductor),
            None => Ok(()),
        });
        watched.map_err(|e| Failure::new(format_args!("cannot watch crawl-run: {e}")))?;
        let mut server = Server::new(opened, begin, pipes, (clock, quiet, false));
        words.into_iter().for_each(|word| server.heed(word));
        return server.begin();
    }
    #[cfg(not(feature = "redis"))]
    if begin.shared.is_some() {
        let message = "cannot use --store: this crawl-frontier was built without it";
        return Err(Failure::with(Exit::Usage, message));
    }
    let test = places.job.is_none();
    let opened = open(places, &begin, clock.now_ms());
    let over =
        opened.and_then(|opened| Server::new(opened, begin, pipes, (clock, quiet, test)).begin());
    over.map_err(|failure| match failure.hint.as_deref() {
        Some(MAKE_ROOM) if test => {
            failure.hint("make room, then give the same command again: a test crawl begins anew")
        }
        _ => failure,
    })
}

/// What came of joining a crawl.
#[cfg(feature = "redis")]
enum Entrance {
    /// It is joined; and what else was said meanwhile.
    Opened(Box<Opened<fleet::Fleet>>, Box<Begin>, Vec<Message>),
    ToldToEnd(Exit),
}

/// Waits until a crawl is joined. A store that does not answer keeps nobody from ending.
#[cfg(feature = "redis")]
fn wait_to_join(joining: &fleet::Joining, pipes: &mut Pipes) -> Result<Entrance, Failure> {
    let cannot = |e: io::Error| Failure::new(format_args!("cannot wait for the store: {e}"));
    pipes.hear_bell(joining.bell().map_err(cannot)?);
    let mut others = Vec::new();
    loop {
        if let Some((opened, begin)) = joining.joined() {
            return Ok(Entrance::Opened(Box::new(opened?), Box::new(begin), others));
        }
        for word in pipes.wait(None).map_err(cannot)? {
            match word {
                Message::Order(Order::Pause { .. }) => {
                    return Ok(Entrance::ToldToEnd(Exit::Interrupted));
                }
                Message::Signal(signal) => {
                    return Ok(Entrance::ToldToEnd(Exit::from_signal(signal)));
                }
                Message::ConductorGone => return Ok(Entrance::ToldToEnd(Exit::Failed)),
                other @ Message::Order(_) => others.push(other),
            }
        }
    }
}

/// Learns what to crawl, and arranges for signals or orders to be heard.
fn meet(conductor: Conductor, pipes: &mut Pipes) -> Result<(Begin, bool), Failure> {
    match conductor {
        Conductor::Nobody { begin, quiet } => {
            pipes
                .hear_signals()
                .map_err(|e| Failure::new(format_args!("cannot listen for signals: {e}")))?;
            Ok((*begin, quiet))
        }
        Conductor::Socket { socket, .. } => Ok((begun(pipes.meet(socket))?, false)),
    }
}

/// The order that a crawl begins with.
fn begun(first: io::Result<Order>) -> Result<Begin, Failure> {
    match first {
        Ok(Order::Begin(begin)) => Ok(*begin),
        Ok(_) => Err(Failure::new(
            "control socket: the first order must be begin",
        )),
        Err(e) => Err(Failure::new(format_args!("control socket: {e}"))),
    }
}

struct Server<'a, W> {
    opened: Opened<W>,
    begin: Begin,
    pipes: &'a mut Pipes,
    clock: Clock,
    quiet: bool,
    /// When crawl-run was last told the figures.
    told_ms: u64,
    /// What it was told last of why little is under way.
    told_slow: Option<Slow>,
    stop: Option<Stop>,
    is_in_a_hurry: bool,
    test: bool,
    /// People were told that the network is gone.
    told_gone: bool,
    /// How the fetcher ended, once crawl-run has said so.
    fetcher_code: Option<Option<i32>>,
    flaws: Flaws,
    /// Why nothing useful came, at the end.
    why_empty: Option<String>,
    /// How many requests the fetcher died of once too often.
    set_aside: u64,
}

/// How a run is over.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    Crawl(Done),
    Stopped(Exit, Reason),
    FetcherGone,
    FetcherSilent(FetcherSilence),
}

impl<'a, W: Served> Server<'a, W> {
    fn new(
        opened: Opened<W>,
        begin: Begin,
        pipes: &'a mut Pipes,
        (clock, quiet, test): (Clock, bool, bool),
    ) -> Server<'a, W> {
        Server {
            opened,
            begin,
            pipes,
            clock,
            quiet,
            told_ms: 0,
            told_slow: None,
            stop: None,
            is_in_a_hurry: false,
            test,
            told_gone: false,
            fetcher_code: None,
            flaws: Flaws::default(),
            why_empty: None,
            set_aside: 0,
        }
    }

    fn begin(mut self) -> Result<Over, Failure> {
        self.tell(&News::Started(self.opened.started.clone()));
        if let Some(promise) = self.opened.started.promise.take()
            && !self.pipes.has_conductor()
            && !self.quiet
        {
            say(TOOL, promise);
        }
        for note in std::mem::take(&mut self.opened.notes) {
            self.warn(note);
        }
        self.run()
    }

    fn run(mut self) -> Result<Over, Failure> {
        self.opened.crawl.set_up(&self.begin, self.test);
        let deadline_ms = self
            .begin
            .max_time_ms
            .map(|most| self.clock.now_ms() + most);
        let end = loop {
            let now_ms = self.clock.now_ms();
            if deadline_ms.is_some_and(|deadline_ms| now_ms >= deadline_ms) && self.stop.is_none() {
                self.stop(Exit::Stopped, Reason::Limit, self.begin.grace_ms);
            }
            if self.stop.is_none()
                && !self.pipes.heard
                && let Some(silence) = self.opened.crawl.hear_silence(now_ms)?
            {
                break End::FetcherSilent(silence);
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
            if self.pipes.ended.is_some() {
                break match self.stop {
                    Some(stop) => End::Stopped(stop.exit, stop.reason),
                    None => End::FetcherGone,
                };
            }
            self.tell_of_outage();
            let crawl = &mut self.opened.crawl;
            crawl.commit_if_due(now_ms)?;
            wake_ms = earliest(wake_ms, crawl.next_commit_ms());
            wake_ms = earliest(
                wake_ms,
                crawl.silence_due_ms().filter(|_| self.stop.is_none()),
            );
            if self.pipes.has_conductor() {
                self.publish(now_ms);
                wake_ms = earliest(wake_ms, Some(now_ms + NEWS_MS));
            }
            self.listen(now_ms, wake_ms)?;
        };
        self.end(end)
    }

    /// Says once that the network is gone, and once that it is back.
    fn tell_of_outage(&mut self) {
        let gone = self.opened.crawl.network_is_gone();
        if gone == self.told_gone {
            return;
        }
        self.told_gone = gone;
        let patience = Duration::from_secs(self.opened.crawl.patience_s());
        self.warn(if gone {
            format!(
                "no request gets an answer any more: all stays pending, trying again for {} \
                 (--outage)",
                span(patience)
            )
        } else {
            "answers come again".to_owned()
        });
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
        self.pipes.send(&lines);
        Ok(step)
    }

    /// Waits for something to happen, and takes in all that did.
    fn listen(&mut self, now_ms: u64, wake_ms: Option<u64>) -> Result<(), Failure> {
        let wait = wake_ms.map(|wake_ms| Duration::from_millis(wake_ms.saturating_sub(now_ms)));
        let words = self.pipes.wait(wait);
        let words =
            words.map_err(|e| Failure::new(format_args!("cannot wait for results: {e}")))?;
        let late_ms = self
            .clock
            .now_ms()
            .saturating_sub(wake_ms.unwrap_or(now_ms));
        let now_ms = self.clock.now_ms();
        // All of the crawl was stopped (Ctrl+Z): that is no silence of the fetcher.
        if late_ms >= STOPPED_MS && wake_ms.is_some() {
            self.opened.crawl.slept(late_ms);
        }
        let mut bad = Vec::new();
        while let Some(line) = self.pipes.next_result() {
            match self.opened.crawl.answer(line, now_ms) {
                Ok(()) => {}
                Err(Trouble::Line(why)) => bad.push(why),
                Err(Trouble::Crawl(failure)) => return Err(failure),
            }
        }
        for line in self.opened.crawl.take_left_out() {
            self.tell(&News::Detail(line));
        }
        for trial in self.opened.crawl.take_trials() {
            self.tell(&News::Url(Box::new(trial)));
        }
        for note in self.opened.crawl.take_notes() {
            self.warn(note);
        }
        for why in bad {
            if let Some(message) = self.flaws.tell(&why) {
                self.warn(message);
            }
        }
        if let Some(Err(error)) = &self.pipes.ended {
            let message = format!("the results ended badly: {error}");
            self.warn(message);
        }
        for word in words {
            self.heed(word);
        }
        Ok(())
    }

    fn heed(&mut self, word: Message) {
        match word {
            Message::Order(Order::Pause { grace_ms }) => {
                self.pause(Exit::Interrupted, grace_ms);
            }
            Message::Order(Order::Begin(_) | Order::Next(_)) => {
                self.warn("another crawl is ignored while this one goes on".into());
            }
            Message::Order(Order::FetcherEnded { code }) => self.fetcher_code = Some(code),
            Message::ConductorGone => self.stop(Exit::Failed, Reason::Paused, 0),
            Message::Signal(signal) => {
                let again = self.stop.is_some_and(|stop| stop.reason == Reason::Paused);
                let grace_ms = if again { 0 } else { self.begin.grace_ms };
                self.pause(Exit::from_signal(signal), grace_ms);
                let under_way = self.opened.crawl.under_way();
                self.warn(format!("pausing: {under_way} requests are under way"));
            }
        }
    }

    fn tell(&mut self, news: &News) {
        self.pipes.tell(news);
    }

    fn warn(&mut self, message: String) {
        warn(self.pipes, self.quiet, message);
    }

    /// Told twice, it ends as soon as it can.
    fn pause(&mut self, exit: Exit, grace_ms: u64) {
        self.is_in_a_hurry |= self.stop.is_some_and(|stop| stop.reason == Reason::Paused);
        self.stop(exit, Reason::Paused, grace_ms);
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
        if now_ms >= self.told_ms + NEWS_MS {
            self.told_ms = now_ms;
            let progress = Box::new(self.opened.crawl.progress());
            self.tell(&News::Progress(progress));
            let slow = self.opened.crawl.slowed_by(now_ms);
            if slow != self.told_slow {
                self.tell(&News::Slow(slow.clone()));
                self.told_slow = slow;
            }
        }
    }

    /// Commits everything, seals the job, and says how it ended.
    fn end(mut self, end: End) -> Result<Over, Failure> {
        let now_ms = self.clock.now_ms();
        if let Some(stop) = self.stop.filter(|_| matches!(end, End::Stopped(..))) {
            let most = Duration::from_millis(stop.until_ms.saturating_sub(now_ms));
            self.opened.crawl.is_to_end_within(most);
        }
        self.why_empty = self.opened.crawl.nothing_useful();
        if end == End::FetcherGone && self.has_died()? {
            self.set_aside = self.opened.crawl.fetcher_died()?;
        }
        self.opened.crawl.release_held(now_ms);
        self.opened.crawl.commit_now(now_ms)?;
        let progress = self.opened.crawl.progress();
        if end == End::Crawl(Done::Complete)
            && let Some(whole) = self.opened.crawl.whole()
        {
            self.tell(&News::Whole(Box::new(whole)));
        }
        // A complete job is removed by crawl-run.
        let is_over = end == End::Crawl(Done::Complete) && self.pipes.has_conductor();
        let mut watching = Watching {
            pipes: &mut *self.pipes,
            quiet: self.quiet,
            is_in_a_hurry: self.is_in_a_hurry || is_over,
            is_over,
        };
        self.opened.crawl.close(now_ms, &mut watching)?;
        let notes = self.opened.crawl.take_notes();
        for note in notes.into_iter().chain(self.flaws.sum()) {
            self.warn(note);
        }
        if !progress.counts.balances() {
            let counts = progress.counts;
            return Err(Failure::new(format_args!(
                "the figures do not balance: {counts:?}"
            )));
        }
        if end == End::Crawl(Done::Complete) {
            self.opened.crawl.make_known()?;
        }
        let cookies = self.opened.crawl.changed_cookies(&self.begin, now_ms);
        if let Some(cookies) = cookies.filter(|cookies| !cookies.is_empty()) {
            self.tell(&News::Cookies(cookies));
        }
        let hosts = self.opened.crawl.learned_hosts(now_ms);
        if !hosts.is_empty() && !self.test {
            self.tell(&News::Hosts(hosts));
        }
        let (reason, result) = self.judge(end, &progress);
        Ok(Over {
            reason,
            progress: Box::new(progress),
            result,
        })
    }

    /// Whether the fetcher died, perhaps of a request. One that says that it cannot work, as without
    /// the user's parser, ends with [`Exit::Usage`].
    fn has_died(&mut self) -> Result<bool, Failure> {
        let until_ms = self.clock.now_ms() + LAST_WORD_MS;
        while self.fetcher_code.is_none() && self.pipes.has_conductor() {
            let now_ms = self.clock.now_ms();
            if now_ms >= until_ms {
                break;
            }
            self.listen(now_ms, Some(until_ms))?;
        }
        Ok(self.fetcher_code != Some(Some(Exit::Usage as i32)))
    }

    fn nothing_useful(&self) -> (EndReason, Result<Exit, Failure>) {
        let why = self.why_empty.as_deref().unwrap_or_default();
        let failure = Failure::new(format_args!("nothing useful: {why}"));
        let failure = if self.pipes.has_conductor() {
            failure
        } else {
            failure.hint("the same command asks again; --accept-empty takes that for the result")
        };
        (EndReason::NothingUseful, Err(failure))
    }

    fn judge(&self, end: End, progress: &Progress) -> (EndReason, Result<Exit, Failure>) {
        let in_flight = progress.counts.in_flight;
        match end {
            End::Crawl(Done::Complete) => (EndReason::Complete, Ok(Exit::Complete)),
            End::Crawl(Done::Parked) => (EndReason::Parked, Ok(Exit::Decide)),
            End::Crawl(Done::NothingUseful) => self.nothing_useful(),
            End::Crawl(Done::Limit) => {
                let exit = if self.test {
                    Exit::Complete
                } else {
                    Exit::Stopped
                };
                let reason = if self.opened.crawl.is_costly() {
                    EndReason::Cost
                } else {
                    EndReason::Limit
                };
                (reason, Ok(exit))
            }
            End::Crawl(Done::Paused) => (EndReason::FleetPaused, Ok(Exit::Stopped)),
            End::Stopped(exit, Reason::Limit) => (EndReason::Limit, Ok(exit)),
            End::Stopped(exit, Reason::Paused) => (EndReason::Paused, Ok(exit)),
            End::Crawl(Done::NetworkGone) => (
                EndReason::NetworkGone,
                Err(Failure::new(format_args!(
                    "the network is gone, and the wait for it is over: {}",
                    self.opened.crawl.last_unanswered()
                ))),
            ),
            End::Crawl(Done::NoAnswer) => (
                EndReason::NoAnswer,
                Err(Failure::new(format_args!(
                    "no start URL ever answered: {}",
                    self.opened.crawl.last_unanswered()
                ))),
            ),
            End::FetcherSilent(silence) => (
                EndReason::FetcherSilent,
                Err(Failure::new(format_args!(
                    "the fetcher says nothing of {} for {}",
                    counted(silence.requests, "request"),
                    span(Duration::from_millis(silence.since_ms)),
                ))),
            ),
            End::FetcherGone => (
                match self.set_aside {
                    0 => EndReason::FetcherGone,
                    _ => EndReason::SetAside,
                },
                Err(Failure::new(format_args!(
                    "the results ended with {} in flight",
                    counted(in_flight, "request")
                ))),
            ),
        }
    }
}

/// Tells people, by crawl-run where it listens.
fn warn(pipes: &mut Pipes, quiet: bool, message: String) {
    if pipes.has_conductor() {
        pipes.tell(&News::Warning(message));
    } else if !quiet {
        say(TOOL, message);
    }
}

/// The server while its job is closed: whatever it is told now means that it is to end.
struct Watching<'a> {
    pipes: &'a mut Pipes,
    quiet: bool,
    is_in_a_hurry: bool,
    is_over: bool,
}

impl Watch for Watching<'_> {
    fn tell(&mut self, note: String) {
        warn(self.pipes, self.quiet, note);
    }

    fn tell_of_tidying(&mut self) {
        let told = "the checkpoint is made ready for a quick start (a signal ends that at once)";
        if self.pipes.has_conductor() {
            self.pipes.tell(&News::Detail(told.into()));
        } else if !self.quiet {
            say(TOOL, told);
        }
    }

    fn is_last(&self) -> bool {
        self.is_over
    }

    fn is_in_a_hurry(&mut self) -> bool {
        self.is_in_a_hurry |= self.pipes.hears_more();
        self.is_in_a_hurry
    }
}

fn earliest(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.into_iter().chain(b).min()
}
