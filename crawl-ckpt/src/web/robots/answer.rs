//! What the answer to a request for robots.txt means, and in which words records say it.

/// How a message begins of a URL that robots.txt forbids.
const DISALLOWED: &str = "disallowed by line";

/// What an answer means by its status (RFC 9309, 2.3.1), 429 being one that comes too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The body of the answer is the file.
    File,
    /// There is no file, so nothing is forbidden.
    NoFile,
    /// Nobody can say what the file has, so everything is forbidden.
    Unreachable,
}

impl Answer {
    /// Redirects are followed before; one that leads nowhere is no file.
    pub fn of(status: u16) -> Answer {
        match status {
            200..=299 => Answer::File,
            429 | 500..=599 => Answer::Unreachable,
            _ => Answer::NoFile,
        }
    }
}

/// Why a URL is not fetched that this line forbids.
pub fn disallowed(line: u32) -> String {
    format!("{DISALLOWED} {line} of robots.txt")
}

/// Whether a message is one of [`disallowed`].
pub fn is_disallowed(message: &str) -> bool {
    message.starts_with(DISALLOWED)
}

/// Why a URL is not fetched whose robots.txt could not be had.
pub fn unreachable(why: &str) -> String {
    format!("no robots.txt: {why}")
}

/// Why a robots.txt could not be had that was answered so.
pub fn of_status(status: u16) -> String {
    format!("status {status}")
}
