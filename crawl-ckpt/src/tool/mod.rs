//! How every tool speaks and ends: exit codes, the error line with its hint,
//! and text from the network made safe for a terminal.

mod log;
mod scarce;
mod shell;
mod units;
mod usage;

use std::fmt;
use std::io;
use std::process::ExitCode;

pub use log::{Level, json_line, now, speak_json, speaks_json};
pub use scarce::ScarceMemory;
pub use shell::{quoted, unquoted};
pub use units::{parse_age, parse_duration, parse_size};
pub use usage::{parse, parse_hinting};

use crate::address::masked;
use crate::{stderr, stdio};

/// The exit codes, the same in all tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Complete: nothing is pending.
    Complete = 0,
    /// Failed: the reason is on stderr.
    Failed = 1,
    /// Bad option, bad spider file, spider changed since the checkpoint.
    Usage = 2,
    /// A human must decide.
    Decide = 3,
    /// Stopped at a limit of this run with work pending.
    Stopped = 4,
    /// The job directory is damaged.
    Damaged = 65,
    /// Another run holds the job.
    Held = 75,
    /// Paused by SIGHUP.
    Hangup = 129,
    /// Paused by SIGINT (Ctrl+C).
    Interrupted = 130,
    /// The reader of stdout went away.
    PipeClosed = 141,
    /// Paused by SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// The exit for a pause by a signal number; `Failed` for signals that do not pause.
    pub fn from_signal(signal: i32) -> Exit {
        match signal {
            1 => Exit::Hangup,
            2 => Exit::Interrupted,
            15 => Exit::Terminated,
            _ => Exit::Failed,
        }
    }

    /// The exit that a child's code stands for; `None` for one that is not ours.
    pub fn from_code(code: i32) -> Option<Exit> {
        use Exit::*;
        [
            Complete,
            Failed,
            Usage,
            Decide,
            Stopped,
            Damaged,
            Held,
            Hangup,
            Interrupted,
            PipeClosed,
            Terminated,
        ]
        .into_iter()
        .find(|exit| *exit as i32 == code)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a tool ends early: what to print, and the exit code.
///
/// Prints as `TOOL: what happened: why`, then a `hint:` line where a command mends it.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// `what happened: why`; empty ends the tool without a word.
    pub message: String,
    /// The command that mends it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with exit code 1.
    pub fn new(message: impl fmt::Display) -> Failure {
        Failure::with(Exit::Failed, message)
    }

    /// A failure with an exit code of its own.
    pub fn with(exit: Exit, message: impl fmt::Display) -> Failure {
        Failure {
            exit,
            message: message.to_string(),
            hint: None,
        }
    }

    /// Adds the command that mends it.
    pub fn hint(mut self, hint: impl fmt::Display) -> Failure {
        self.hint = Some(hint.to_string());
        self
    }

    /// The reader of stdout went away: no word, exit 141.
    pub fn pipe_closed() -> Failure {
        Failure::with(Exit::PipeClosed, "")
    }

    /// For errors of writing to stdout: quiet when the reader went away.
    pub fn from_stdout(error: io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Failure::pipe_closed()
        } else {
            Failure::new(format_args!("cannot write to stdout: {error}"))
        }
    }
}

/// Who prints to stdout what somebody counts on asks this before anything is done.
///
/// # Errors
/// Stdout is closed, or open for reading only.
pub fn need_stdout() -> Result<(), Failure> {
    stdio::check_stdout().map_err(Failure::from_stdout)
}

/// Who reads stdin asks this before anything is done: its end would be taken for that of all.
///
/// # Errors
/// Stdin is closed.
pub fn need_stdin() -> Result<(), Failure> {
    stdio::check_stdin().map_err(|e| Failure::new(format_args!("cannot read stdin: {e}")))
}

/// Ends `main`: prints the failure, if any, and gives the exit code once all that was said is
/// read, or nobody reads.
pub fn finish(tool: &str, result: Result<Exit, Failure>) -> ExitCode {
    let exit = match result {
        Ok(exit) => exit,
        Err(failure) => {
            if !failure.message.is_empty() && speaks_json() {
                let hint = failure.hint.as_deref().map(|hint| told(hint).into());
                let hint = hint.map(|hint| ("hint".to_owned(), hint));
                let more = hint.into_iter().collect();
                stderr::write(&json_line(Level::Error, tool, &failure.message, more));
            } else if !failure.message.is_empty() {
                let mut text = format!("{tool}: {}\n", told(&failure.message));
                if let Some(hint) = &failure.hint {
                    text.push_str(&format!("hint: {}\n", told(hint)));
                }
                stderr::write(&text);
            }
            failure.exit
        }
    };
    stderr::end();
    exit.into()
}

/// Prints one line `TOOL: message` on stderr. For warnings and news.
pub fn say(tool: &str, message: impl fmt::Display) {
    stderr::write(&format!("{tool}: {}\n", told(&message.to_string())));
}

/// What is said of anything leaves here: no password in it, no control character.
pub fn told(text: &str) -> String {
    printable(&masked(text))
}

/// The text with control characters escaped, so that nothing from the network
/// moves a terminal's cursor or forges a second line.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.extend(c.escape_unicode()),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_and_newlines_are_shown_not_obeyed() {
        assert_eq!(
            printable("a\u{1b}[31m\nb\u{202e}"),
            "a\\u{1b}[31m\\nb\\u{202e}"
        );
    }
}
