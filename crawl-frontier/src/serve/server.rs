//! The loop: requests out, results in, until nothing is pending.

use std::time::Duration;

use crawl_ckpt::control::{Begin, News, Order, Slow};
use crawl_ckpt::human::span;
use crawl_ckpt::tool::{Exit, Failure, say};

use super::{TOOL, warn};
use crate::clock::Clock;
use crate::crawl::{Done, FetcherSilence, Step, Trouble};
use crate::flaws::Flaws;
use crate::open::Opened;
use crate::pipes::{Message, Pipes};
use crate::served::Served;

/// A wait that ends so much later than it was to end was no wait.
const STOPPED_MS: u64 = 2000;

/// crawl-run is told the figures so often.
const NEWS_MS: u64 = 250;

/// Why a run is to end, and how long it waits for what is under way.
#[derive(Debug, Clone, Copy)]
pub struct Stop {
    exit: Exit,
    reason: Reason,
    pub(super) until_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Paused,
    Limit,
}

pub struct Server<'a, W> {
    pub(super) opened: Opened<W>,
    pub(super) begin: Begin,
    pub(super) pipes: &'a mut Pipes,
    pub(super) clock: Clock,
    pub(super) quiet: bool,
    /// When crawl-run was last told the figures.
    told_ms: u64,
    /// What it was told last of why little is under way.
    told_slow: Option<Slow>,
    pub(super) stop: Option<Stop>,
    pub(super) is_in_a_hurry: bool,
    pub(super) test: bool,
    /// People were told that the network is gone.
    told_gone: bool,
    /// How the fetcher ended, once crawl-run has said so.
    pub(super) fetcher_code: Option<Option<i32>>,
    pub(super) flaws: Flaws,
    /// Why nothing useful came, at the end.
    pub(super) why_empty: Option<String>,
    /// How many requests the fetcher died of once too often.
    pub(super) set_aside: u64,
}

/// How a run is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Crawl(Done),
    Stopped(Exit, Reason),
    FetcherGone,
    FetcherSilent(FetcherSilence),
}

impl<'a, W: Served> Server<'a, W> {
    pub fn new(
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

    /// Says how the crawl stands.
    pub fn begin(&mut self) {
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
    }

    /// Goes on until the run is over.
    pub fn run(&mut self) -> Result<End, Failure> {
        self.opened.crawl.set_up(&self.begin, self.test);
        let deadline_ms = self
            .begin
            .max_time_ms
            .map(|most| self.clock.now_ms() + most);
        loop {
            let now_ms = self.clock.now_ms();
            if deadline_ms.is_some_and(|deadline_ms| now_ms >= deadline_ms) && self.stop.is_none() {
                self.stop(Exit::Stopped, Reason::Limit, self.begin.grace_ms);
            }
            if self.stop.is_none()
                && !self.pipes.heard
                && let Some(silence) = self.opened.crawl.hear_silence(now_ms)?
            {
                return Ok(End::FetcherSilent(silence));
            }
            let mut wake_ms = deadline_ms.filter(|_| self.stop.is_none());
            match self.send_requests(now_ms)? {
                Step::Done(done) => return Ok(End::Crawl(done)),
                Step::Wait { until_ms } => wake_ms = earliest(wake_ms, until_ms),
                Step::Sent => {}
            }
            if let Some(stop) = self.stop {
                if self.opened.crawl.under_way() == 0 || now_ms >= stop.until_ms {
                    return Ok(End::Stopped(stop.exit, stop.reason));
                }
                wake_ms = earliest(wake_ms, Some(stop.until_ms));
            }
            if self.pipes.ended.is_some() {
                return Ok(match self.stop {
                    Some(stop) => End::Stopped(stop.exit, stop.reason),
                    None => End::FetcherGone,
                });
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
        }
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
    pub(super) fn listen(&mut self, now_ms: u64, wake_ms: Option<u64>) -> Result<(), Failure> {
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

    pub fn heed(&mut self, word: Message) {
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

    pub(super) fn tell(&mut self, news: &News) {
        self.pipes.tell(news);
    }

    pub(super) fn warn(&mut self, message: String) {
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
}

fn earliest(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.into_iter().chain(b).min()
}
