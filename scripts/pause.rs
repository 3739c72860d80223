//! A pause of all workers, by `crawl-ckpt pause`, and its end.

use std::time::{Duration, Instant};

use super::say;
use super::support::{Running, Tool};

/// A pause that was confirmed ends them all within this time.
const ENDS: Duration = Duration::from_secs(120);

/// Whether anybody is to work.
pub struct Pause {
    phase: Phase,
    lasts: Duration,
}

enum Phase {
    Off,
    /// It is asked for.
    Begins(Running),
    /// It lasts so long. One that was not confirmed may be in force or not.
    On {
        until: Instant,
        is_sure: bool,
    },
    /// Its end is asked for.
    Ends(Running),
}

impl Pause {
    pub fn new() -> Pause {
        Pause {
            phase: Phase::Off,
            lasts: Duration::ZERO,
        }
    }

    /// Asks for one that lasts so long. `tool`: crawl-ckpt with this command about the crawl.
    pub fn begin(&mut self, lasts: Duration, tool: impl Fn(&str) -> Tool) {
        self.lasts = lasts;
        self.phase = Phase::Begins(tool("pause").start());
    }

    /// Goes on with what was begun. `somebody_works`: a worker has not ended. Tells what is wrong.
    pub fn go_on(
        &mut self,
        somebody_works: bool,
        tool: impl Fn(&str) -> Tool,
    ) -> Result<(), String> {
        let now = Instant::now();
        match std::mem::replace(&mut self.phase, Phase::Off) {
            Phase::Begins(ckpt) if ckpt.status().is_some() => {
                let done = ckpt.wait();
                let is_sure = done.exit() == 0;
                self.phase = Phase::On {
                    until: now + self.lasts,
                    is_sure,
                };
                if !is_sure {
                    say(&format!("the pause is not confirmed: {}", done.words()));
                }
            }
            Phase::On { until, is_sure } if now >= until => {
                // Whoever was started before has to find it by himself.
                if is_sure && somebody_works && now < until + ENDS {
                    self.phase = Phase::On { until, is_sure };
                    return Ok(());
                }
                self.phase = Phase::Ends(tool("resume").start());
                if is_sure && somebody_works {
                    return Err(format!("a worker goes on {ENDS:?} after a pause"));
                }
            }
            Phase::Ends(ckpt) if ckpt.status().is_some() => {
                let done = ckpt.wait();
                if done.exit() != 0 {
                    say(&format!("the resume is not confirmed: {}", done.words()));
                    self.phase = Phase::On {
                        until: now + Duration::from_secs(1),
                        is_sure: false,
                    };
                }
            }
            same => self.phase = same,
        }
        Ok(())
    }

    /// True while one may be in force.
    pub fn is_on(&self) -> bool {
        !matches!(self.phase, Phase::Off)
    }

    /// True once nobody is to be started any more, so that all have ended before its end is asked for.
    pub fn is_over_soon(&self) -> bool {
        matches!(self.phase, Phase::On { until, is_sure: true } if Instant::now() >= until)
    }
}
