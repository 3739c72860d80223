//! What a parser says on stderr, and what is said of it: prefixed, cleaned, and
//! no more than a person can read.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crawl_ckpt::human::counted;
use crawl_ckpt::mutex::lock;
use crawl_ckpt::tool::say;

use crate::TOOL;

/// So many lines are passed on …
const MAX_LINES: u32 = 200;

/// … in such a time.
const PERIOD: Duration = Duration::from_secs(10);

/// Longest line passed on, in characters.
const MAX_CHARS: usize = 2_000;

/// Says lines on stderr, up to a rate.
#[derive(Default)]
pub struct Messages(Mutex<Spoken>);

#[derive(Default)]
struct Spoken {
    since: Option<Instant>,
    lines: u32,
    left_out: u64,
}

impl Messages {
    /// Something that happened to a parser.
    pub fn tell(&self, text: impl Display) {
        if self.may_speak(Instant::now()) {
            say(TOOL, text);
        }
    }

    /// A line that a parser said on stderr.
    pub fn relay(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let end = line.char_indices().nth(MAX_CHARS);
        match end {
            None => self.tell(format_args!("parser: {}", line.trim_end())),
            Some((end, _)) => self.tell(format_args!("parser: {}…", &line[..end])),
        }
    }

    /// Says how much was left out at the end.
    pub fn end(&self) {
        tell_left_out(&mut self.lock());
    }

    fn lock(&self) -> MutexGuard<'_, Spoken> {
        lock(&self.0)
    }

    fn may_speak(&self, now: Instant) -> bool {
        let mut said = self.lock();
        let begun = said.since.is_some_and(|since| now < since + PERIOD);
        if !begun {
            tell_left_out(&mut said);
            *said = Spoken {
                since: Some(now),
                ..Spoken::default()
            };
        }
        let may = said.lines < MAX_LINES;
        if may {
            said.lines += 1;
        } else {
            said.left_out += 1;
        }
        may
    }
}

fn tell_left_out(said: &mut Spoken) {
    if said.left_out > 0 {
        let lines = counted(std::mem::take(&mut said.left_out), "further line");
        say(TOOL, format_args!("parser: {lines} left out"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parser_that_talks_without_end_is_cut_short_for_a_while() {
        let messages = Messages::default();
        let now = Instant::now();
        let spoken = |at| (0..1000).filter(|_| messages.may_speak(at)).count();
        assert_eq!(spoken(now), MAX_LINES as usize);
        assert_eq!(messages.lock().left_out, 800);
        assert_eq!(spoken(now + PERIOD), MAX_LINES as usize);
    }
}
