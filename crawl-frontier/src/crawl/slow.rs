//! Why little is under way, for whoever watches.

use crawl_ckpt::control::{Cause, Slow};

use super::Crawl;
use crate::schedule::HostId;
use crate::store::Store;

/// A shorter wait is not worth a word.
const LEAST_MS: u64 = 500;

impl<S: Store> Crawl<S> {
    /// What is waited for, while there is room for much more and nothing may be sent.
    pub fn slowed_by(&self, now_ms: u64) -> Option<Slow> {
        let slow = |cause, host: Option<HostId>, wait_ms| {
            let origin = host.map(|host| self.schedule.origin(host));
            Some(Slow {
                cause,
                origin: origin.unwrap_or_default(),
                wait_ms,
            })
        };
        if self.network_is_gone() {
            return slow(Cause::Network, None, 0);
        }
        let busy = self.flights.len() * 4 >= self.plan.pace.concurrency as usize;
        if busy && !self.flights.is_empty() {
            return None;
        }
        let asked_for = self.errands.waited_for();
        let timer = self.schedule.next_timer();
        let retry = self.schedule.next_deferred();
        let is_first = |due_ms: u64| retry.is_none_or(|(retry_ms, _)| due_ms <= retry_ms);
        match (timer, retry) {
            _ if self.flights.is_empty() && asked_for.is_some() => {
                slow(Cause::Robots, asked_for, 0)
            }
            (Some((due_ms, host)), _) if is_first(due_ms) => {
                let delay_ms = self.schedule.host(host).delay_ms;
                let left_ms = due_ms.saturating_sub(now_ms);
                let asked_to_wait = self.asked_to_wait.get(&host);
                let cause = if asked_to_wait.is_some_and(|until_ms| *until_ms >= due_ms) {
                    Cause::RetryAfter
                } else if left_ms > delay_ms {
                    // The delay was longer when it began.
                    Cause::BackingOff
                } else if delay_ms == self.robots.delay_ms(host) {
                    Cause::CrawlDelay
                } else if delay_ms <= self.plan.pace.delay_ms {
                    Cause::Delay
                } else {
                    Cause::BackingOff
                };
                let wait_ms = delay_ms.max(left_ms);
                (wait_ms >= LEAST_MS).then(|| slow(cause, Some(host), wait_ms))?
            }
            (_, Some((due_ms, host))) => {
                let wait_ms = due_ms.saturating_sub(now_ms);
                (wait_ms >= LEAST_MS).then(|| slow(Cause::Retry, Some(host), wait_ms))?
            }
            (_, None) => slow(Cause::Robots, Some(self.robots.waited_for()?), 0),
        }
    }
}
