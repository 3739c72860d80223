//! A worker, served as one crawl is.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crawl_ckpt::control::{Begin, KnownHost, Parked, Progress, Slow, Trial};
use crawl_ckpt::fleet::add_progress;
use crawl_ckpt::journal::commit_of;
use crawl_ckpt::tool::Failure;

use super::{AGAIN_MS, Fleet, LANE_BIT, Owned};
use crate::crawl::result::{self, ReadResult};
use crate::crawl::{Done, FetcherSilence, Step, Trouble};
use crate::fleet::round::sum_of;
use crate::fleet::words::Task;
use crate::served::Served;
use crate::store::Watch;

/// Other partitions' answers prove for so long that there is a network.
const MOMENT_MS: u64 = 60_000;

impl Served for Fleet {
    fn set_up(&mut self, begin: &Begin, _is_test: bool) {
        self.most_records = begin.max_records;
    }

    fn bell(&mut self) -> Option<UnixStream> {
        // Without it the crawl only looks less often.
        self.bell.try_clone().ok()
    }

    fn next_request(&mut self, now_ms: u64, out: &mut Vec<u8>) -> Result<Step, Failure> {
        self.tend(now_ms)?;
        if let Some(done) = self.over {
            return Ok(Step::Done(done));
        }
        let under_way = self.under_way() as u64;
        let is_enough = |most| self.records_run() + under_way >= most;
        if self.is_paused || self.most_records.is_some_and(is_enough) {
            return Ok(match under_way {
                0 if self.is_paused => Step::Done(Done::Paused),
                0 => Step::Done(Done::Limit),
                _ => Step::Wait { until_ms: None },
            });
        }
        let mut wake_ms: Option<u64> = None;
        let mut wake = |at_ms: u64| wake_ms = Some(wake_ms.map_or(at_ms, |ms| ms.min(at_ms)));
        let busy: u32 = self.open_parts().map(|open| open.crawl.busy()).sum();
        let (concurrency, heard_ms) = (self.concurrency, self.heard_ms);
        let mut turn = self.in_turn();
        let lone = self.lone_of(&turn, now_ms);
        if let Some(lone) = lone {
            let of_it = self
                .partition(lone)
                .map_or(0, |open| open.crawl.under_way());
            if under_way > of_it as u64 {
                return Ok(Step::Wait { until_ms: None });
            }
            turn.sort_by_key(|part| *part != lone);
        }
        for part in turn {
            let Some(owned) = self.owned.get_mut(&part) else {
                continue;
            };
            let Some(open) = owned.open.as_deref_mut() else {
                continue;
            };
            if heard_ms > open.heard_ms {
                open.heard_ms = heard_ms;
                open.crawl.hear_elsewhere(heard_ms);
            }
            let others = busy - open.crawl.busy();
            let of_others = under_way as usize - open.crawl.under_way();
            open.crawl
                .grant(concurrency.saturating_sub(others), of_others);
            owned.idle = None;
            match open.crawl.next_request(now_ms, out)? {
                Step::Sent => {
                    self.turn = part;
                    return Ok(Step::Sent);
                }
                Step::Wait { until_ms } => {
                    if lone == Some(part) && open.crawl.under_way() > 0 {
                        return Ok(Step::Wait { until_ms });
                    }
                    until_ms.into_iter().for_each(&mut wake);
                }
                // Other hosts of the crawl answer, so these are gone and not the network.
                Step::Done(Done::NoAnswer) if heard_ms + MOMENT_MS > now_ms => {
                    open.crawl.hear_elsewhere(now_ms);
                    wake(now_ms);
                }
                Step::Done(done) => owned.idle = Some(done),
            }
        }
        let gone = self.owned.values().find_map(|owned| match owned.idle {
            Some(done @ (Done::NetworkGone | Done::NoAnswer)) => Some(done),
            _ => None,
        });
        let is_unopened = |owned: &Owned| owned.open.is_none() && owned.is_wanted;
        if self.owned.values().any(is_unopened) {
            wake(now_ms + AGAIN_MS);
        }
        let mut busy = self
            .owned
            .values()
            .filter(|owned| owned.open.is_some() || owned.is_wanted);
        match gone {
            Some(done) if busy.all(|owned| owned.idle.is_some()) => Ok(Step::Done(done)),
            _ => Ok(Step::Wait { until_ms: wake_ms }),
        }
    }

    fn answer(&mut self, line: &[u8], now_ms: u64) -> Result<(), Trouble> {
        let mut read = result::read(line);
        let Some(id) = read.result.id else {
            let ReadResult { flaw, .. } = read;
            return Err(flaw.unwrap_or_else(|| "it has no id".into()).into());
        };
        let lane = id >> LANE_BIT;
        read.result.id = Some(id & ((1 << LANE_BIT) - 1));
        let Some(part) = self.lanes.get(&lane).copied() else {
            return self.bury(lane);
        };
        if read.result.status.is_some() {
            self.heard_ms = now_ms;
        }
        let Some(open) = self.partition(part) else {
            return Err(format!("no request with id {id} is under way").into());
        };
        open.heard_ms = now_ms;
        open.crawl.answer_read(read, now_ms)
    }

    fn under_way(&self) -> usize {
        self.open_parts().map(|open| open.crawl.under_way()).sum()
    }

    fn progress(&self) -> Progress {
        let mut sum = self.gone.clone();
        for open in self.open_parts() {
            add_progress(&mut sum, open.progress());
        }
        sum.fleet = self.all;
        sum
    }

    fn parked(&self) -> BTreeMap<String, Parked> {
        let parked = self.open_parts().map(|open| open.crawl.parked());
        parked.flatten().collect()
    }

    fn slowed_by(&self, now_ms: u64) -> Option<Slow> {
        // When one waits, others may go on.
        let mut slow = self.open_parts().map(|open| open.crawl.slowed_by(now_ms));
        let first = slow.next()??;
        slow.all(|slow| slow.is_some()).then_some(first)
    }

    fn commit_if_due(&mut self, now_ms: u64) -> Result<(), Failure> {
        self.tend(now_ms)?;
        for owned in self.owned.values_mut() {
            let Some(open) = &mut owned.open else {
                continue;
            };
            match open.crawl.commit_if_due(now_ms) {
                Err(failure) if !owned.lease.is_lost() => return Err(failure),
                // Somebody else has it by now, which the next look at it finds.
                Err(_) | Ok(()) => {}
            }
        }
        Ok(())
    }

    fn commit_now(&mut self, now_ms: u64) -> Result<(), Failure> {
        for owned in self.owned.values_mut() {
            let Some(open) = &mut owned.open else {
                continue;
            };
            match open.crawl.commit(now_ms) {
                Err(failure) if !owned.lease.is_lost() => return Err(failure),
                // What this worker did of it since is done again elsewhere.
                Err(_) | Ok(()) => {}
            }
        }
        self.wait_for_last_commits()?;
        // The last figures have what was committed now; older ones do as well.
        if let (Some(all), Ok(shown)) = (&mut self.all, self.workshop.hasty.look()) {
            *all = sum_of(&shown, all.workers);
        }
        Ok(())
    }

    fn next_commit_ms(&self) -> Option<u64> {
        let due = self.open_parts().map(|open| open.crawl.next_commit_ms());
        due.flatten().min()
    }

    fn hear_silence(&mut self, now_ms: u64) -> Result<Option<FetcherSilence>, Failure> {
        let heard_ms = self.heard_ms;
        for open in self.open_parts_mut() {
            if heard_ms > open.heard_ms {
                open.heard_ms = heard_ms;
                open.crawl.hear_elsewhere(heard_ms);
            }
            if let Some(silence) = open.crawl.hear_silence(now_ms)? {
                return Ok(Some(silence));
            }
        }
        Ok(None)
    }

    fn silence_due_ms(&self) -> Option<u64> {
        let due = self.open_parts().map(|open| open.crawl.silence_due_ms());
        due.flatten().min()
    }

    fn slept(&mut self, for_ms: u64) {
        self.open_parts_mut()
            .for_each(|open| open.crawl.slept(for_ms));
    }

    fn network_is_gone(&self) -> bool {
        let mut open = self.open_parts().peekable();
        open.peek().is_some() && open.all(|open| open.crawl.network_is_gone())
    }

    fn patience_s(&self) -> u64 {
        self.workshop.begin.plan.retry.outage_s
    }

    fn last_unanswered(&self) -> String {
        let mut open = self.open_parts().map(|open| open.crawl.last_unanswered());
        open.next().unwrap_or("nothing was asked").to_owned()
    }

    fn take_left_out(&mut self) -> Vec<String> {
        let mut details = std::mem::take(&mut self.details);
        for open in self.open_parts_mut() {
            details.append(&mut open.crawl.take_left_out());
        }
        details
    }

    fn take_trials(&mut self) -> Vec<Trial> {
        let open = self.open_parts_mut();
        open.flat_map(|open| open.crawl.take_trials()).collect()
    }

    fn take_notes(&mut self) -> Vec<String> {
        let mut notes = std::mem::take(&mut self.notes);
        for open in self.open_parts_mut() {
            notes.append(&mut open.crawl.take_notes());
        }
        notes
    }

    fn nothing_useful(&self) -> Option<String> {
        self.open_parts()
            .find_map(|open| open.crawl.nothing_useful())
            .or_else(|| Some("no start URL gave a page".to_owned()))
    }

    /// A store that does not answer now is not waited for: it is a summary only.
    fn whole(&mut self) -> Option<Progress> {
        let engine = &mut self.workshop.engine;
        let shown = engine.look().ok()?;
        let mut whole = Progress::default();
        for (part, shown) in (0..).zip(shown).filter(|(_, shown)| shown.seq > 0) {
            let batches = engine.read(part, shown.seq).ok()?;
            let commit = commit_of(batches.last()?).ok()?;
            add_progress(&mut whole, commit.progress);
        }
        Some(whole)
    }

    fn is_to_end_within(&mut self, most: Duration) {
        self.last_wait = Some(most);
    }

    fn fetcher_died(&mut self) -> Result<u64, Failure> {
        let died = self.open_parts_mut().map(|open| open.crawl.fetcher_died());
        died.sum()
    }

    fn release_held(&mut self, now_ms: u64) {
        self.open_parts_mut()
            .for_each(|open| open.crawl.release_held(now_ms));
    }

    fn changed_cookies(&self, begin: &Begin, now_ms: u64) -> Option<BTreeMap<String, String>> {
        // Each registrable domain is of one partition.
        let changed = |open: &super::Partition| open.crawl.changed_cookies(begin, now_ms);
        let changed: Vec<_> = self.open_parts().filter_map(changed).collect();
        (!changed.is_empty()).then(|| changed.into_iter().flatten().collect())
    }

    fn learned_hosts(&self, now_ms: u64) -> BTreeMap<String, KnownHost> {
        let learned = self
            .open_parts()
            .map(|open| open.crawl.learned_hosts(now_ms));
        learned.flatten().collect()
    }

    fn close(&mut self, _now_ms: u64, _watch: &mut dyn Watch) -> Result<(), Failure> {
        for part in self.owned.keys() {
            self.courier.ask(Task::Release(*part));
        }
        self.courier.leave();
        if self.over == Some(Done::Complete) {
            // Copies of what the store has; of a crawl that goes on they spare the reading.
            let _ = std::fs::remove_dir_all(&self.workshop.dir);
        }
        Ok(())
    }

    fn make_known(&mut self) -> Result<(), Failure> {
        match &self.joined {
            Some(joined) => self.workshop.join_outputs(joined),
            None => Ok(()),
        }
    }
}

impl Fleet {
    /// An answer to a request of a partition that was given back.
    fn bury(&mut self, lane: u64) -> Result<(), Trouble> {
        let Some(left) = self.orphans.get_mut(&lane) else {
            return Err("no such request is under way".to_owned().into());
        };
        *left -= 1;
        if *left == 0 {
            self.orphans.remove(&lane);
        }
        Ok(())
    }
}
