//! What a lock file says, for people: who holds the lock, or held it last.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};

/// What every lock file of ours begins with, once somebody held it.
const MARK: &[u8] = b"{\"pid\":";

/// Who holds a job, as written into the lock file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id; 0 when it did not write down who it is.
    pub pid: u32,
    /// Name of the machine.
    pub host: String,
    /// RFC 3339, UTC.
    pub started: String,
}

impl Holder {
    /// This process.
    pub(super) fn this() -> Holder {
        Holder {
            pid: std::process::id(),
            host: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            started: jiff::Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string(),
        }
    }

    /// Who is written down in a lock file.
    pub(super) fn read(file: &File) -> Option<Holder> {
        let mut text = [0; 4096];
        let len = file.read_at(&mut text, 0).ok()?;
        let line = text[..len].split(|b| *b == b'\n').next()?;
        serde_json::from_slice(line).ok()
    }

    /// Writes it into a lock file.
    pub(super) fn write(&self, file: &File) -> io::Result<()> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        file.write_all_at(&line, 0)?;
        file.set_len(line.len() as u64)
    }
}

/// True for a lock file that a tool of ours made, or left behind in a power cut: nothing of
/// anybody else's is in it.
pub(super) fn is_ours(file: &File) -> io::Result<bool> {
    let mut text = [0; MARK.len()];
    let len = file.read_at(&mut text, 0)?;
    let text = &text[..len];
    Ok(text.starts_with(MARK) || text.iter().all(|byte| *byte == 0))
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pid == 0 {
            return f.write_str("somebody who did not write down who it is");
        }
        write!(
            f,
            "pid {} on {} since {}",
            self.pid, self.host, self.started
        )
    }
}
