//! What the end of a run means: the exit code, and whether the checkpoint goes.
//!
//! Only one ending is "complete": a frontier that says so, exits 0, and whose figures
//! add up. Everything else keeps the checkpoint.

use std::os::unix::process::ExitStatusExt;

use crawl_ckpt::control::{EndReason, Progress};
use crawl_ckpt::tool::Exit;

use crate::conduct::{Ending, LastWords, status_words};

/// What the kernel says nothing of when it kills.
const SCARCE: &str =
    "the kernel does so when there is no memory left (--memory SIZE has it remember less at once)";

/// What a run was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The whole crawl, checkpoint on.
    Production,
    /// So many records and no checkpoint.
    Test {
        /// `--limit`.
        limit: u64,
    },
}

/// What the end of a run means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is pending; or a test crawl has its records.
    Complete,
    /// Paused by a signal.
    Paused(i32),
    /// Stopped at `--max-time`, `--max-pages` or `--max-cost`.
    Stopped,
    /// Somebody paused the crawl for all workers.
    FleetPaused {
        /// The command that ends that pause.
        resume: String,
    },
    /// Hosts wait for a human's decision.
    Parked,
    /// Ended without success.
    Failed {
        /// The exit code.
        exit: Exit,
        /// What happened, for people; empty when the reader of stdout went away.
        why: String,
        /// What mends it, when that is more than the same command again.
        hint: Option<String>,
    },
}

impl Outcome {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Outcome::Complete => Exit::Complete,
            Outcome::Paused(signal) => Exit::from_signal(*signal),
            Outcome::Stopped | Outcome::FleetPaused { .. } => Exit::Stopped,
            Outcome::Parked => Exit::Decide,
            Outcome::Failed { exit, .. } => *exit,
        }
    }
}

/// Judges an ending.
pub fn judge(ending: &Ending, purpose: Purpose) -> Outcome {
    let failed = |exit, why: String| Outcome::Failed {
        exit,
        why,
        hint: None,
    };
    let frontier = ending.frontier;
    // What the frontier itself says of its end is the best that there is.
    let as_told = |exit| {
        let LastWords { message, hint } = &ending.last_words;
        let mut how = format!("crawl-frontier {}", status_words(frontier));
        // So ends whom the kernel takes the most memory from.
        let is_killed = message.is_none() && frontier.signal() == Some(9);
        if is_killed {
            how = format!("{how}; {SCARCE}");
        }
        Outcome::Failed {
            exit,
            why: message.clone().unwrap_or(how),
            hint: hint.clone(),
        }
    };
    // Killed by us after the second signal, or left by its fetcher in the middle of a
    // pause: what was committed is as good as at any other pause.
    let left = matches!(
        ending.reason,
        Some(EndReason::FetcherGone | EndReason::SetAside | EndReason::FetcherSilent)
    );
    if let Some(signal) = ending.signal
        && (left || (ending.killed && frontier.code().is_none()))
    {
        return Outcome::Paused(signal);
    }
    if ending.killed && frontier.code().is_none() {
        return Outcome::Stopped;
    }
    let Some(exit) = frontier.code().and_then(Exit::from_code) else {
        return as_told(Exit::Failed);
    };
    match (exit, &ending.reason) {
        (Exit::Complete, Some(EndReason::Complete)) => match flaw(&ending.progress) {
            None => Outcome::Complete,
            Some(flaw) => failed(
                Exit::Failed,
                format!("crawl-frontier says complete, but {flaw}"),
            ),
        },
        // Without a job the frontier calls its limit a success itself.
        (Exit::Stopped, Some(EndReason::Cost)) => Outcome::Stopped,
        (Exit::Stopped | Exit::Complete, Some(EndReason::Limit)) => match purpose {
            Purpose::Test { limit } if ending.records_run >= limit => Outcome::Complete,
            _ => Outcome::Stopped,
        },
        (Exit::Stopped, Some(EndReason::FleetPaused)) => Outcome::FleetPaused {
            resume: ending.resume.clone().unwrap_or_default(),
        },
        (Exit::Decide, Some(EndReason::Parked)) => Outcome::Parked,
        (Exit::Interrupted | Exit::Terminated | Exit::Hangup, Some(EndReason::Paused)) => {
            Outcome::Paused(ending.signal.unwrap_or(exit as i32 - 128))
        }
        (Exit::PipeClosed, _) => failed(exit, String::new()),
        (Exit::Damaged | Exit::Held, _) => as_told(exit),
        // It does not begin what was asked for, or a crawl that is paused.
        (Exit::Usage | Exit::Stopped, None) => as_told(exit),
        (Exit::Failed, Some(EndReason::FetcherGone | EndReason::SetAside)) => {
            let how = status_words(ending.fetch);
            failed(
                Exit::Failed,
                format!("the crawl cannot go on: crawl-fetch {how}"),
            )
        }
        _ => as_told(Exit::Failed),
    }
}

/// Why figures that are said to be those of a complete crawl are not.
pub fn flaw(progress: &Progress) -> Option<String> {
    let counts = &progress.counts;
    let left = counts.unfinished();
    let finished = counts.done + counts.failed;
    let unchanged = progress.delta.map_or(0, |delta| delta.unchanged);
    if left > 0 {
        Some(format!("{left} URLs are left"))
    } else if !counts.balances() {
        Some(format!(
            "of {} URLs taken on {finished} are finished",
            counts.seen
        ))
    } else if progress.records + unchanged + progress.withdrawn != finished {
        Some(format!(
            "{} records stand for {finished} finished URLs",
            progress.records
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crawl_ckpt::control::{Counts, Delta};
    use std::process::ExitStatus;
    use std::time::Duration;

    fn ending(frontier: i32, reason: Option<EndReason>) -> Ending {
        Ending {
            reason,
            progress: Progress {
                counts: Counts {
                    seen: 5,
                    done: 3,
                    failed: 2,
                    ..Counts::default()
                },
                records: 5,
                ..Progress::default()
            },
            frontier: ExitStatus::from_raw(frontier),
            fetch: ExitStatus::from_raw(0),
            signal: None,
            killed: false,
            last_words: LastWords::default(),
            cookies: Default::default(),
            hosts: Default::default(),
            records_run: 5,
            elapsed: Duration::ZERO,
            output: None,
            resume: None,
            shared: None,
            whole: None,
        }
    }

    fn code(code: i32) -> i32 {
        code << 8
    }

    fn exit_of(ending: &Ending) -> Exit {
        judge(ending, Purpose::Production).exit()
    }

    #[test]
    fn complete_needs_the_word_the_code_and_figures_that_add_up() {
        let complete = || ending(code(0), Some(EndReason::Complete));
        assert_eq!(judge(&complete(), Purpose::Production), Outcome::Complete);
        assert_eq!(exit_of(&ending(code(0), None)), Exit::Failed);
        assert_eq!(exit_of(&ending(9, Some(EndReason::Complete))), Exit::Failed);
        assert_eq!(
            exit_of(&ending(code(0), Some(EndReason::Paused))),
            Exit::Failed
        );
        for spoil in [
            (|p| p.counts.pending = 1) as fn(&mut Progress),
            |p| p.counts.parked = 1,
            |p| p.counts.seen = 6,
            |p| p.records = 4,
            |p| p.records = 6,
        ] {
            let mut ending = complete();
            spoil(&mut ending.progress);
            assert_eq!(exit_of(&ending), Exit::Failed, "{:?}", ending.progress);
        }
    }

    #[test]
    fn unchanged_pages_make_no_record() {
        let mut ending = ending(code(0), Some(EndReason::Complete));
        ending.progress.records = 1;
        ending.progress.delta = Some(Delta {
            unchanged: 4,
            ..Delta::default()
        });
        assert_eq!(exit_of(&ending), Exit::Complete);
    }

    #[test]
    fn a_pause_of_all_workers_is_no_limit_of_this_one() {
        let mut ending = ending(code(4), Some(EndReason::FleetPaused));
        ending.resume = Some("crawl-ckpt … resume x".into());
        let outcome = judge(&ending, Purpose::Production);
        assert_eq!(outcome.exit(), Exit::Stopped);
        let resume = "crawl-ckpt … resume x".into();
        assert_eq!(outcome, Outcome::FleetPaused { resume });
    }

    #[test]
    fn a_pause_has_the_number_of_the_signal_that_crawl_run_got() {
        let mut ending = ending(code(130), Some(EndReason::Paused));
        assert_eq!(exit_of(&ending), Exit::Interrupted);
        ending.signal = Some(15);
        assert_eq!(exit_of(&ending), Exit::Terminated);
    }

    #[test]
    fn a_frontier_that_we_killed_is_a_pause_or_a_stop() {
        let mut ending = ending(9, None);
        ending.signal = Some(2);
        assert_eq!(exit_of(&ending), Exit::Failed);
        ending.killed = true;
        assert_eq!(exit_of(&ending), Exit::Interrupted);
        // Without one it was --max-time.
        ending.signal = None;
        assert_eq!(exit_of(&ending), Exit::Stopped);
    }

    #[test]
    fn a_test_crawl_is_over_at_its_limit_but_not_before() {
        let ending = ending(code(4), Some(EndReason::Limit));
        assert_eq!(
            judge(&ending, Purpose::Test { limit: 5 }),
            Outcome::Complete
        );
        assert_eq!(judge(&ending, Purpose::Test { limit: 6 }), Outcome::Stopped);
        assert_eq!(judge(&ending, Purpose::Production), Outcome::Stopped);
    }

    #[test]
    fn a_frontier_that_the_kernel_killed_is_told_of_with_what_helps() {
        let ended = |status| judge(&ending(status, None), Purpose::Production);
        let why = |outcome| match outcome {
            Outcome::Failed { why, .. } => why,
            other => panic!("{other:?}"),
        };
        assert!(why(ended(9)).contains("--memory"));
        assert!(!why(ended(11)).contains("--memory"));
    }
}
