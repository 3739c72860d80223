//! What became of single attempts, for those who want to know all.

use crawl_ckpt::control::Trial;
use crawl_ckpt::record::FetchResult;

/// More that nobody took yet are not kept.
const MOST: usize = 10_000;

/// The list.
#[derive(Debug, Default)]
pub struct Trials {
    wanted: bool,
    /// Those that nobody took yet.
    list: Vec<Trial>,
}

impl Trials {
    /// Keeps the list from now on.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// A URL is tried again after so long; `retry_after` since the server says so.
    pub fn again(&mut self, result: &FetchResult<'_>, attempts: u32, wait_ms: u64, asked: bool) {
        self.add(|| Trial {
            attempts,
            wait_ms: Some(wait_ms),
            retry_after: asked,
            ..trial(result)
        });
    }

    /// The record of a URL is written: tells of one that has failed, or that says it is broken.
    pub fn finished(&mut self, line: &str, failed: bool) {
        if !self.wanted {
            return;
        }
        // A record of ours.
        let Ok(result) = serde_json::from_str::<FetchResult<'_>>(line) else {
            return;
        };
        if failed || result.status.is_some_and(|status| status >= 400) {
            self.add(|| Trial {
                attempts: result.attempts.unwrap_or(1),
                ..trial(&result)
            });
        }
    }

    fn add(&mut self, trial: impl FnOnce() -> Trial) {
        if self.wanted && self.list.len() < MOST {
            self.list.push(trial());
        }
    }

    /// Takes those that came since the last call.
    pub fn take(&mut self) -> Vec<Trial> {
        std::mem::take(&mut self.list)
    }
}

fn trial(result: &FetchResult<'_>) -> Trial {
    let error = result.error.as_ref();
    let blocked = result.blocked.as_ref();
    Trial {
        url: result.url.to_string(),
        status: result.status,
        error: error.map(|error| error.kind.as_str().to_owned()),
        why: error
            .map(|error| error.message.to_string())
            .or_else(|| blocked.map(ToString::to_string)),
        referer: result.referer.as_ref().map(ToString::to_string),
        ..Trial::default()
    }
}
