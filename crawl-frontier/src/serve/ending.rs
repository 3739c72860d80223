//! The end of a run: all is committed and the job closed, and what it came to has a reason and an exit code.

use std::time::Duration;

use crawl_ckpt::control::{EndReason, News, Progress};
use crawl_ckpt::human::{counted, span};
use crawl_ckpt::tool::{Exit, Failure, say};

use super::server::{End, Reason, Server};
use super::{Over, TOOL, warn};
use crate::crawl::Done;
use crate::pipes::Pipes;
use crate::served::Served;
use crate::store::Watch;

/// crawl-run knows how the fetcher ended within this time after its results did.
const LAST_WORD_MS: u64 = 2000;

impl<W: Served> Server<'_, W> {
    /// Commits everything, seals the job, and says how it ended.
    pub(super) fn end(mut self, end: End) -> Result<Over, Failure> {
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
        let mut progress = self.opened.crawl.progress();
        progress.parked = self.opened.crawl.parked();
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
