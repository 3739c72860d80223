//! What is served: one crawl, or the partitions of one that many machines share.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crawl_ckpt::control::{Begin, KnownHost, Parked, Progress, Slow, Trial};
use crawl_ckpt::tool::Failure;

use crate::crawl::{Crawl, FetcherSilence, Step, Trouble};
use crate::store::{Embedded, Watch};

/// A crawl as the loop around it sees it. What [`Crawl`] has under the same name is said there.
#[allow(missing_docs)]
pub trait Served {
    /// Takes what a run may and wants; `is_test`: nothing outlives it.
    fn set_up(&mut self, begin: &Begin, is_test: bool);

    /// Rings when something is to be looked at.
    fn bell(&mut self) -> Option<UnixStream> {
        None
    }

    fn next_request(&mut self, now_ms: u64, out: &mut Vec<u8>) -> Result<Step, Failure>;
    fn answer(&mut self, line: &[u8], now_ms: u64) -> Result<(), Trouble>;
    fn under_way(&self) -> usize;
    fn progress(&self) -> Progress;

    /// All parked hosts, by origin; [`Served::progress`] names some of them.
    fn parked(&self) -> BTreeMap<String, Parked>;
    fn slowed_by(&self, now_ms: u64) -> Option<Slow>;
    fn commit_if_due(&mut self, now_ms: u64) -> Result<(), Failure>;
    fn commit_now(&mut self, now_ms: u64) -> Result<(), Failure>;
    fn next_commit_ms(&self) -> Option<u64>;
    fn hear_silence(&mut self, now_ms: u64) -> Result<Option<FetcherSilence>, Failure>;
    fn silence_due_ms(&self) -> Option<u64>;
    fn slept(&mut self, for_ms: u64);
    fn network_is_gone(&self) -> bool;
    fn patience_s(&self) -> u64;
    fn last_unanswered(&self) -> String;
    fn take_left_out(&mut self) -> Vec<String>;
    fn take_trials(&mut self) -> Vec<Trial>;
    fn take_notes(&mut self) -> Vec<String>;
    fn nothing_useful(&self) -> Option<String>;

    /// True when the cap on costs ends this run.
    fn is_costly(&self) -> bool {
        false
    }

    /// The figures of all workers together, when a crawl that they share is complete.
    fn whole(&mut self) -> Option<Progress> {
        None
    }

    /// The run was told to end: who waits for others to commit waits no longer than this.
    fn is_to_end_within(&mut self, _most: Duration) {}

    fn fetcher_died(&mut self) -> Result<u64, Failure>;
    fn release_held(&mut self, now_ms: u64);
    fn changed_cookies(&self, begin: &Begin, now_ms: u64) -> Option<BTreeMap<String, String>>;
    fn learned_hosts(&self, now_ms: u64) -> BTreeMap<String, KnownHost>;
    fn close(&mut self, now_ms: u64, watch: &mut dyn Watch) -> Result<(), Failure>;
    fn make_known(&mut self) -> Result<(), Failure>;
}

impl Served for Crawl<Embedded> {
    fn set_up(&mut self, begin: &Begin, is_test: bool) {
        self.limit_records(begin.max_records);
        self.limit_costs(begin.prices.clone(), begin.max_cost);
        if is_test {
            self.run_once();
        }
        if begin.accept_empty {
            self.accept_empty();
        }
        if begin.tell_of_urls {
            self.tell_of_urls();
        }
        if begin.careful {
            self.be_careful();
        }
        self.expect_answers(begin.answer_within_ms);
    }

    fn next_request(&mut self, now_ms: u64, out: &mut Vec<u8>) -> Result<Step, Failure> {
        Crawl::next_request(self, now_ms, out)
    }

    fn answer(&mut self, line: &[u8], now_ms: u64) -> Result<(), Trouble> {
        Crawl::answer(self, line, now_ms)
    }

    fn under_way(&self) -> usize {
        Crawl::under_way(self)
    }

    fn progress(&self) -> Progress {
        Crawl::progress(self)
    }

    fn parked(&self) -> BTreeMap<String, Parked> {
        Crawl::parked(self).collect()
    }

    fn slowed_by(&self, now_ms: u64) -> Option<Slow> {
        Crawl::slowed_by(self, now_ms)
    }

    fn commit_if_due(&mut self, now_ms: u64) -> Result<(), Failure> {
        Crawl::commit_if_due(self, now_ms)
    }

    fn commit_now(&mut self, now_ms: u64) -> Result<(), Failure> {
        Crawl::commit_now(self, now_ms)
    }

    fn next_commit_ms(&self) -> Option<u64> {
        Crawl::next_commit_ms(self)
    }

    fn hear_silence(&mut self, now_ms: u64) -> Result<Option<FetcherSilence>, Failure> {
        Crawl::hear_silence(self, now_ms)
    }

    fn silence_due_ms(&self) -> Option<u64> {
        Crawl::silence_due_ms(self)
    }

    fn slept(&mut self, for_ms: u64) {
        Crawl::slept(self, for_ms);
    }

    fn network_is_gone(&self) -> bool {
        Crawl::network_is_gone(self)
    }

    fn patience_s(&self) -> u64 {
        Crawl::patience_s(self)
    }

    fn last_unanswered(&self) -> String {
        Crawl::last_unanswered(self).to_owned()
    }

    fn take_left_out(&mut self) -> Vec<String> {
        Crawl::take_left_out(self)
    }

    fn take_trials(&mut self) -> Vec<Trial> {
        Crawl::take_trials(self)
    }

    fn take_notes(&mut self) -> Vec<String> {
        Crawl::take_notes(self)
    }

    fn nothing_useful(&self) -> Option<String> {
        Crawl::nothing_useful(self)
    }

    fn is_costly(&self) -> bool {
        Crawl::is_costly(self)
    }

    fn fetcher_died(&mut self) -> Result<u64, Failure> {
        Crawl::fetcher_died(self)
    }

    fn release_held(&mut self, now_ms: u64) {
        Crawl::release_held(self, now_ms);
    }

    fn changed_cookies(&self, begin: &Begin, now_ms: u64) -> Option<BTreeMap<String, String>> {
        Crawl::changed_cookies(self, begin, now_ms)
    }

    fn learned_hosts(&self, now_ms: u64) -> BTreeMap<String, KnownHost> {
        Crawl::learned_hosts(self, now_ms)
    }

    fn close(&mut self, now_ms: u64, watch: &mut dyn Watch) -> Result<(), Failure> {
        Crawl::close(self, now_ms, watch)
    }

    fn make_known(&mut self) -> Result<(), Failure> {
        Crawl::make_known(self)
    }
}
