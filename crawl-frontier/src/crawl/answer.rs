//! What an answer means for its URL: finished, tried again, or a hint that
//! nobody answers at all.

use crawl_ckpt::plan;
use crawl_ckpt::record::{ErrorKind, FetchResult, is_failure};

use crate::clock::LONGEST_PAUSE_MS;
use crate::pace::Manner;

/// A longer Retry-After is not waited for.
const MAX_RETRY_AFTER_S: u64 = LONGEST_PAUSE_MS / 1000;
const FIRST_BACKOFF_MS: u64 = 1000;
const MAX_BACKOFF_MS: u64 = 60_000;

/// What becomes of the URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The URL is finished; `failed` says that another try could end otherwise.
    Finished {
        /// No usable response, a block, or a server's failure.
        failed: bool,
    },
    /// The URL is tried again after a while.
    Again {
        /// In milliseconds.
        after_ms: u64,
        /// The server asked for the pause, so that the whole host waits.
        host_waits: bool,
    },
    /// The host did not answer, however often it was asked; final only if another host answers.
    Unanswered,
}

/// Decides on an answer to the `attempt`-th try (from 1).
pub fn fate(result: &FetchResult<'_>, attempt: u32, retry: &plan::Retry, salt: u64) -> Fate {
    let error = result.error.as_ref().map(|error| error.kind);
    let may_pass = match (error, result.status) {
        (Some(kind), _) => {
            kind.is_unanswered() || matches!(kind, ErrorKind::Protocol | ErrorKind::Io)
        }
        (None, Some(status)) => match &retry.codes {
            Some(codes) => codes.contains(&status),
            None => matches!(status, 408 | 429 | 500..=599),
        },
        (None, None) => false,
    };
    let failed = error.is_some() || result.blocked.is_some() || is_failure(result.status);
    if !may_pass {
        return Fate::Finished { failed };
    }
    if attempt <= retry.times {
        return match result.retry_after_s {
            Some(wait_s) if wait_s > MAX_RETRY_AFTER_S => Fate::Finished { failed },
            Some(wait_s) => Fate::Again {
                after_ms: (wait_s * 1000).max(backoff_ms(attempt, salt)),
                host_waits: true,
            },
            None => Fate::Again {
                after_ms: backoff_ms(attempt, salt),
                host_waits: false,
            },
        };
    }
    match error {
        Some(kind) if kind.is_unanswered() => Fate::Unanswered,
        _ => Fate::Finished { failed },
    }
}

/// 1 s, 2 s, 4 s … up to a minute, a quarter more or less, so that requests
/// that failed together do not come back together.
fn backoff_ms(attempt: u32, salt: u64) -> u64 {
    let whole = (FIRST_BACKOFF_MS << (attempt - 1).min(6)).min(MAX_BACKOFF_MS);
    let noise = (salt ^ u64::from(attempt)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    whole * 3 / 4 + whole / 2 * noise / 0xffff
}

/// A delay made half as long to half as long again, by chance, as Scrapy does.
pub fn random_delay_ms(delay_ms: u64, salt: u64) -> u64 {
    let noise = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    delay_ms / 2 + delay_ms.saturating_mul(noise) / 0xffff
}

/// How the answer came, as far as the throttle cares.
pub fn manner(result: &FetchResult<'_>) -> Manner {
    let trouble = match (&result.error, result.status) {
        (Some(error), _) => error.kind.is_unanswered() && error.kind != ErrorKind::Dns,
        (None, status) => matches!(status, Some(429 | 500..=599)),
    };
    if trouble {
        Manner::Trouble
    } else {
        Manner::Clean {
            elapsed_ms: result.elapsed_ms.unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str, attempt: u32) -> Fate {
        fate(
            &serde_json::from_str(line).unwrap(),
            attempt,
            &plan::Retry::default(),
            7,
        )
    }

    #[test]
    fn which_statuses_are_tried_again_can_be_said() {
        let retry = plan::Retry {
            codes: Some(vec![404]),
            ..plan::Retry::default()
        };
        let fate_of = |status: u16| {
            let line = format!("{{\"url\":\"u\",\"status\":{status}}}");
            fate(&serde_json::from_str(&line).unwrap(), 1, &retry, 7)
        };
        assert!(matches!(fate_of(404), Fate::Again { .. }));
        assert_eq!(fate_of(500), Fate::Finished { failed: true });
    }

    #[test]
    fn a_random_delay_is_half_to_half_as_long_again() {
        let delays: Vec<u64> = (0..1000).map(|salt| random_delay_ms(1000, salt)).collect();
        assert!(delays.iter().all(|ms| (500..=1500).contains(ms)));
        let mean = delays.iter().sum::<u64>() / 1000;
        assert!((900..1100).contains(&mean), "{mean}");
        assert!(delays.iter().any(|ms| *ms < 600) && delays.iter().any(|ms| *ms > 1400));
    }

    #[test]
    fn pages_and_missing_pages_are_finished() {
        assert_eq!(
            of(r#"{"url":"u","status":200}"#, 1),
            Fate::Finished { failed: false }
        );
        assert_eq!(
            of(r#"{"url":"u","status":404}"#, 1),
            Fate::Finished { failed: false }
        );
        assert_eq!(
            of(r#"{"url":"u","status":403}"#, 1),
            Fate::Finished { failed: true }
        );
    }

    #[test]
    fn overload_is_tried_again_as_long_as_the_server_asks() {
        let wait = r#"{"url":"u","status":429,"retry_after_s":20}"#;
        assert_eq!(
            of(wait, 1),
            Fate::Again {
                after_ms: 20_000,
                host_waits: true
            }
        );
        assert_eq!(of(wait, 3), Fate::Finished { failed: true });
        let long = r#"{"url":"u","status":503,"retry_after_s":121}"#;
        assert_eq!(of(long, 1), Fate::Finished { failed: true });
    }

    #[test]
    fn backoff_grows_and_is_spread() {
        let after = |attempt, salt| backoff_ms(attempt, salt);
        for salt in 0..1000 {
            assert!((750..=1250).contains(&after(1, salt)));
            assert!((1500..=2500).contains(&after(2, salt)));
            assert!(after(60, salt) <= 75_000);
        }
        assert_ne!(after(1, 1), after(1, 2));
    }

    #[test]
    fn silence_is_not_final_by_itself() {
        let silence = r#"{"url":"u","error":{"kind":"connect","message":"refused"}}"#;
        assert!(matches!(of(silence, 2), Fate::Again { .. }));
        assert_eq!(of(silence, 3), Fate::Unanswered);
        let large = r#"{"url":"u","status":200,"error":{"kind":"too_large","message":"m"}}"#;
        assert_eq!(of(large, 1), Fate::Finished { failed: true });
    }
}
