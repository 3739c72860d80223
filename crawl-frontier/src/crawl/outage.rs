//! Is the network gone? An error without any answer counts against a URL only
//! when somebody else answers afterwards. Until then it is held here.

/// So many errors in a row, with no answer between, and only probes are sent.
const SUSPICIOUS: u32 = 10;
const FIRST_PROBE_MS: u64 = 1000;
const MAX_PROBE_MS: u64 = 60_000;

/// The state of the network as this run sees it; `H` is what is held.
#[derive(Debug)]
pub struct Outage<H> {
    held: Vec<H>,
    in_a_row: u32,
    /// The origin that answered last, which is what probes ask.
    witness: Option<String>,
    silent: Option<Silence>,
}

#[derive(Debug, Clone, Copy)]
struct Silence {
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
    /// Send one probe to the witness, nothing else.
    Probe,
    /// The wait is over.
    GiveUp,
}

impl<H> Default for Outage<H> {
    fn default() -> Outage<H> {
        Outage {
            held: Vec::new(),
            in_a_row: 0,
            witness: None,
            silent: None,
        }
    }
}

impl<H> Outage<H> {
    /// How many requests are held.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    /// Whom a probe asks; `None` while nobody ever answered.
    pub fn witness(&self) -> Option<&str> {
        self.witness.as_deref()
    }

    /// This origin answered an earlier run, so there was a network once.
    pub fn expect(&mut self, origin: &str) {
        self.witness.get_or_insert_with(|| origin.to_owned());
    }

    /// The network was gone until now for certain: what is held says nothing of its URLs.
    pub fn is_proven(&self) -> bool {
        self.silent.is_some_and(|silence| silence.is_proven)
    }

    /// Somebody answered: what was held has failed for good.
    pub fn answered(&mut self, origin: &str) -> Vec<H> {
        self.in_a_row = 0;
        self.silent = None;
        if self.witness.as_deref() != Some(origin) {
            self.witness = Some(origin.to_owned());
        }
        std::mem::take(&mut self.held)
    }

    /// A request got no answer.
    pub fn unanswered(&mut self, now_ms: u64) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.in_a_row >= SUSPICIOUS && self.witness.is_some() {
            self.fall_silent(now_ms);
        }
    }

    /// A request got no answer however often it was tried.
    pub fn hold(&mut self, held: H) {
        self.held.push(held);
    }

    /// What is held, to be pending again.
    pub fn release(&mut self) -> Vec<H> {
        std::mem::take(&mut self.held)
    }

    /// Nothing can be sent and nothing is under way. With requests held, only a
    /// probe can tell what became of the network.
    pub fn idle(&mut self, now_ms: u64) {
        if !self.held.is_empty() && self.witness.is_some() {
            self.fall_silent(now_ms);
        }
    }

    /// What to do now; `patience_ms` is how long a silence is waited for.
    pub fn advice(&self, now_ms: u64, patience_ms: u64) -> Advice {
        let Some(silence) = self.silent else {
            return Advice::Proceed;
        };
        let end_ms = silence.since_ms + patience_ms;
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
            Advice::Probe
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

    fn fall_silent(&mut self, now_ms: u64) {
        self.silent.get_or_insert(Silence {
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

    #[test]
    fn an_answer_from_elsewhere_makes_what_was_held_final() {
        let mut outage = Outage::default();
        outage.unanswered(5);
        outage.hold("u");
        assert_eq!(outage.advice(5, 1000), Advice::Proceed);
        assert_eq!(outage.answered("http://a"), ["u"]);
        assert_eq!(outage.held(), 0);
    }

    #[test]
    fn silence_is_probed_with_growing_pauses_and_then_given_up() {
        let mut outage = Outage::<()>::default();
        outage.answered("http://a");
        (0..SUSPICIOUS).for_each(|_| outage.unanswered(100));
        assert_eq!(outage.advice(100, 10_000), Advice::Probe);
        outage.probe_sent();
        assert!(matches!(outage.advice(101, 10_000), Advice::Wait { .. }));
        outage.probe_failed(200);
        assert_eq!(outage.advice(200, 10_000), Advice::Wait { until_ms: 1200 });
        assert_eq!(outage.advice(1200, 10_000), Advice::Probe);
        outage.probe_sent();
        outage.probe_failed(1300);
        assert_eq!(outage.advice(1300, 10_000), Advice::Wait { until_ms: 3300 });
        assert_eq!(outage.advice(10_100, 10_000), Advice::GiveUp);
        outage.answered("http://a");
        assert_eq!(outage.advice(10_100, 10_000), Advice::Proceed);
    }

    #[test]
    fn only_a_probe_that_fails_proves_that_the_network_is_gone() {
        let mut outage = Outage::default();
        outage.answered("http://a");
        outage.hold("u");
        outage.idle(0);
        assert_eq!(outage.advice(0, 1000), Advice::Probe);
        outage.probe_sent();
        assert!(!outage.is_proven());
        outage.probe_failed(10);
        assert!(outage.is_proven());
        assert_eq!(outage.release(), ["u"]);
        outage.answered("http://a");
        assert!(!outage.is_proven());
    }

    #[test]
    fn while_nobody_ever_answered_there_is_no_one_to_probe() {
        let mut outage = Outage::default();
        (0..50).for_each(|_| outage.unanswered(1));
        outage.hold("u");
        outage.idle(1);
        assert_eq!(outage.advice(1, 0), Advice::Proceed);
    }
}
