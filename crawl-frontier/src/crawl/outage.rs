//! Is the network gone? An error without any answer counts against a URL only
//! when somebody else answers afterwards. Until then it is held here.
//!
//! An answer is one to a page: a server may give its robots.txt for ever while all
//! behind it hangs. A probe therefore asks for a page that was answered before.

use crate::schedule::HostId;

/// So many errors in a row, with no answer between and of a host that did answer before,
/// and only probes are sent …
const SUSPICIOUS: u32 = 10;
/// … and any, for so long.
const SUSPICIOUS_MS: u64 = 60_000;
const FIRST_PROBE_MS: u64 = 1000;
const MAX_PROBE_MS: u64 = 60_000;

/// The state of the network as this run sees it; `H` is what is held.
#[derive(Debug)]
pub struct Outage<H> {
    held: Vec<Held<H>>,
    /// Errors without an answer, since the last answer.
    in_a_row: u32,
    /// When the first of these came.
    since_ms: u64,
    /// One of the hosts that they are of which did answer before.
    suspect: Option<HostId>,
    /// The host that answered last.
    witness: Option<HostId>,
    /// When it did, in this run.
    heard_ms: Option<u64>,
    silent: Option<Silence>,
}

/// What is held of a host.
#[derive(Debug)]
struct Held<H> {
    host: HostId,
    /// The host ever answered. It did not do so since: nothing would be held then.
    heard: bool,
    what: H,
}

#[derive(Debug, Clone, Copy)]
struct Silence {
    /// Whom probes ask.
    whom: HostId,
    since_ms: u64,
    pause_ms: u64,
    next_probe_ms: u64,
    probing: bool,
    /// A probe got no answer, so it is more than a few bad URLs in a row.
    is_proven: bool,
}

/// What to do while nobody answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Go on.
    Proceed,
    /// Send nothing before this time.
    Wait {
        /// Unix time in milliseconds.
        until_ms: u64,
    },
    /// Send one probe to this host, nothing else.
    Probe(HostId),
    /// The wait is over.
    GiveUp,
}

impl<H> Default for Outage<H> {
    fn default() -> Outage<H> {
        Outage {
            held: Vec::new(),
            in_a_row: 0,
            since_ms: 0,
            suspect: None,
            witness: None,
            heard_ms: None,
            silent: None,
        }
    }
}

impl<H> Outage<H> {
    /// How many requests are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// The host that answered last, in an earlier run if not in this one.
    pub fn witness(&self) -> Option<HostId> {
        self.witness
    }

    /// True when no host ever answered.
    pub fn is_unheard(&self) -> bool {
        self.witness.is_none()
    }

    /// The host answered for a page, now or in an earlier run.
    pub fn remember(&mut self, host: HostId) {
        self.witness.get_or_insert(host);
    }

    /// The network was gone until now for certain: what is held says nothing of its URLs.
    pub fn is_proven(&self) -> bool {
        self.silent.is_some_and(|silence| silence.is_proven)
    }

    /// The host, which is remembered, answered for a page: what was held has failed for good.
    pub fn answered(&mut self, host: HostId, now_ms: u64) -> Vec<H> {
        self.hear(host, now_ms);
        let held = std::mem::take(&mut self.held);
        held.into_iter().map(|held| held.what).collect()
    }

    /// The probe was answered. So the host that it asked is there, and the network: what is held
    /// of that host, and of hosts that never answered, has failed for good. Gives the host too.
    pub fn probe_answered(&mut self, now_ms: u64) -> Option<(HostId, Vec<H>)> {
        let whom = self.silent?.whom;
        self.hear(whom, now_ms);
        let held = std::mem::take(&mut self.held).into_iter();
        let (failed, others) = held.partition(|held| held.host == whom || !held.heard);
        self.held = others;
        let failed: Vec<Held<H>> = failed;
        Some((whom, failed.into_iter().map(|held| held.what).collect()))
    }

    /// A host answered of which nothing is known here: what was held has failed for good.
    pub fn answered_elsewhere(&mut self, now_ms: u64) -> Vec<H> {
        self.hear_anybody(now_ms);
        let held = std::mem::take(&mut self.held);
        held.into_iter().map(|held| held.what).collect()
    }

    fn hear(&mut self, host: HostId, now_ms: u64) {
        self.hear_anybody(now_ms);
        self.witness = Some(host);
    }

    fn hear_anybody(&mut self, now_ms: u64) {
        self.heard_ms = Some(now_ms);
        self.in_a_row = 0;
        self.suspect = None;
        self.silent = None;
    }

    /// A request to the host got no answer; `heard` when the host ever gave one.
    pub fn unanswered(&mut self, host: HostId, heard: bool, now_ms: u64) {
        if self.in_a_row == 0 {
            self.since_ms = now_ms;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        if heard {
            self.suspect = Some(host);
        }
        // Of hosts that never answered there may be any number, and that says little.
        let many = self.in_a_row >= SUSPICIOUS && self.suspect.is_some();
        if many || now_ms.saturating_sub(self.since_ms) >= SUSPICIOUS_MS {
            self.fall_silent(self.suspect, now_ms);
        }
    }

    /// A request to the host got no answer however often it was tried; `heard` when the host ever gave one.
    pub fn hold(&mut self, host: HostId, heard: bool, what: H) {
        self.held.push(Held { host, heard, what });
    }

    /// What is held, to be pending again.
    pub fn release(&mut self) -> Vec<(HostId, H)> {
        let held = std::mem::take(&mut self.held).into_iter();
        held.map(|held| (held.host, held.what)).collect()
    }

    /// What is held, if all of it is of hosts that never answered while others of this run did
    /// until a moment ago: there was a network, so it has failed for good.
    pub fn dead(&mut self, now_ms: u64) -> Option<Vec<H>> {
        let is_moment = |heard_ms| now_ms.saturating_sub(heard_ms) < SUSPICIOUS_MS;
        let is_heard = self.held.iter().any(|held| held.heard);
        let is_dead = self.heard_ms.is_some_and(is_moment) && !is_heard;
        if !is_dead {
            return None;
        }
        let held = std::mem::take(&mut self.held).into_iter();
        Some(held.map(|held| held.what).collect())
    }

    /// Nothing can be sent and nothing is under way, and only a probe can tell what became of
    /// what is held here, or of `other`, a host that did answer before.
    pub fn idle(&mut self, other: Option<HostId>, now_ms: u64) {
        let suspect = self.held.iter().find(|held| held.heard);
        self.fall_silent(suspect.map(|held| held.host).or(other), now_ms);
    }

    /// What to do now; `patience_ms` is how long a silence is waited for.
    pub fn advice(&self, now_ms: u64, patience_ms: u64) -> Advice {
        let Some(silence) = self.silent else {
            return Advice::Proceed;
        };
        let end_ms = silence.since_ms.saturating_add(patience_ms);
        if now_ms >= end_ms {
            Advice::GiveUp
        } else if silence.probing || now_ms < silence.next_probe_ms {
            let next = if silence.probing {
                end_ms
            } else {
                silence.next_probe_ms
            };
            Advice::Wait {
                until_ms: next.min(end_ms),
            }
        } else {
            Advice::Probe(silence.whom)
        }
    }

    /// A probe was sent.
    pub fn probe_sent(&mut self) {
        if let Some(silence) = &mut self.silent {
            silence.probing = true;
        }
    }

    /// The probe got no answer.
    pub fn probe_failed(&mut self, now_ms: u64) {
        if let Some(silence) = &mut self.silent {
            silence.probing = false;
            silence.is_proven = true;
            silence.next_probe_ms = now_ms + silence.pause_ms;
            silence.pause_ms = (silence.pause_ms * 2).min(MAX_PROBE_MS);
        }
    }

    /// With nobody who ever answered there is nobody to ask.
    fn fall_silent(&mut self, suspect: Option<HostId>, now_ms: u64) {
        let Some(whom) = suspect.or(self.witness) else {
            return;
        };
        self.silent.get_or_insert(Silence {
            whom,
            since_ms: now_ms,
            pause_ms: FIRST_PROBE_MS,
            next_probe_ms: now_ms,
            probing: false,
            is_proven: false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: HostId = HostId(0);
    const B: HostId = HostId(1);
    const DEAD: HostId = HostId(2);

    /// A and B answered for pages, B last.
    fn after_answers() -> Outage<&'static str> {
        let mut outage = Outage::default();
        for host in [A, B] {
            outage.remember(host);
            assert!(outage.answered(host, 0).is_empty());
        }
        outage
    }

    fn probe(outage: &mut Outage<&'static str>, now_ms: u64) -> HostId {
        let Advice::Probe(whom) = outage.advice(now_ms, 10_000) else {
            panic!("no probe: {outage:?}");
        };
        outage.probe_sent();
        whom
    }

    #[test]
    fn an_answer_from_elsewhere_makes_what_was_held_final() {
        let mut outage = after_answers();
        outage.unanswered(A, true, 5);
        outage.hold(A, true, "u");
        assert_eq!(outage.advice(5, 1000), Advice::Proceed);
        assert_eq!(outage.answered(B, 0), ["u"]);
        assert_eq!(outage.held(), 0);
    }

    #[test]
    fn silence_is_probed_with_growing_pauses_and_then_given_up() {
        let mut outage = after_answers();
        (0..SUSPICIOUS).for_each(|_| outage.unanswered(A, true, 100));
        // The one that fell silent, and not the one that answered last.
        assert_eq!(probe(&mut outage, 100), A);
        assert!(matches!(outage.advice(101, 10_000), Advice::Wait { .. }));
        outage.probe_failed(200);
        assert_eq!(outage.advice(200, 10_000), Advice::Wait { until_ms: 1200 });
        assert_eq!(probe(&mut outage, 1200), A);
        outage.probe_failed(1300);
        assert_eq!(outage.advice(1300, 10_000), Advice::Wait { until_ms: 3300 });
        assert_eq!(outage.advice(10_100, 10_000), Advice::GiveUp);
        outage.answered(A, 0);
        assert_eq!(outage.advice(10_100, 10_000), Advice::Proceed);
    }

    #[test]
    fn a_minute_without_any_answer_is_a_silence_however_few_were_asked() {
        let mut outage = after_answers();
        for now_ms in [0, 30_000, 59_999] {
            outage.unanswered(DEAD, false, now_ms);
            assert_eq!(outage.advice(now_ms, 10_000), Advice::Proceed);
        }
        outage.unanswered(DEAD, false, 60_000);
        assert_eq!(probe(&mut outage, 60_000), B);
    }

    #[test]
    fn a_host_that_never_answered_makes_no_silence_soon() {
        let mut outage = after_answers();
        (0..50 * SUSPICIOUS).for_each(|_| outage.unanswered(DEAD, false, 1));
        assert_eq!(outage.advice(1, 0), Advice::Proceed);
        outage.unanswered(A, true, 2);
        assert_eq!(probe(&mut outage, 2), A);
    }

    #[test]
    fn only_a_probe_that_fails_proves_that_the_network_is_gone() {
        let mut outage = after_answers();
        outage.hold(A, true, "u");
        outage.idle(None, 0);
        assert_eq!(probe(&mut outage, 0), A);
        assert!(!outage.is_proven());
        outage.probe_failed(10);
        assert!(outage.is_proven());
        assert_eq!(outage.release(), [(A, "u")]);
        outage.answered(A, 0);
        assert!(!outage.is_proven());
    }

    #[test]
    fn a_probe_tells_of_the_host_that_it_asks_and_of_those_that_never_answered() {
        let mut outage = after_answers();
        outage.hold(DEAD, false, "dead");
        outage.hold(A, true, "a");
        outage.hold(B, true, "b");
        outage.idle(None, 0);
        assert_eq!(probe(&mut outage, 0), A);
        assert_eq!(outage.probe_answered(0), Some((A, vec!["dead", "a"])));
        outage.idle(None, 1);
        assert_eq!(probe(&mut outage, 1), B);
        outage.probe_failed(2);
        assert_eq!(outage.advice(10_001, 10_000), Advice::GiveUp);
        assert_eq!(outage.held(), 1);
    }

    #[test]
    fn with_only_hosts_left_that_never_answered_anybody_who_did_is_asked() {
        let mut outage = after_answers();
        outage.hold(DEAD, false, "dead");
        outage.idle(None, 0);
        assert_eq!(probe(&mut outage, 0), B);
        assert_eq!(outage.probe_answered(0), Some((B, vec!["dead"])));
        // Some other that waits elsewhere.
        outage.idle(Some(A), 1);
        assert_eq!(probe(&mut outage, 1), A);
    }

    #[test]
    fn while_nobody_ever_answered_there_is_no_one_to_probe() {
        let mut outage = Outage::default();
        (0..50).for_each(|_| outage.unanswered(A, false, 100_000));
        outage.hold(A, false, "u");
        outage.idle(None, 200_000);
        assert!(outage.is_unheard());
        assert_eq!(outage.advice(200_000, 0), Advice::Proceed);
    }

    #[test]
    fn hosts_that_never_answered_are_dead_while_others_answered_a_moment_ago() {
        let held = |host, now_ms| {
            let mut outage = after_answers();
            outage.unanswered(host, host == A, 30_000);
            outage.hold(host, host == A, "u");
            outage.dead(now_ms)
        };
        assert_eq!(held(DEAD, 34_000), Some(vec!["u"]));
        assert_eq!(held(DEAD, 60_000), None, "the network may be gone");
        assert_eq!(held(A, 34_000), None, "it did answer before");
        // What an earlier run heard says nothing of the network now.
        let mut outage = Outage::default();
        outage.remember(A);
        outage.hold(DEAD, false, "u");
        assert_eq!(outage.dead(5), None);
    }
}
