//! A tool that is run to its end, and what came of it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};

use super::{Running, bin};

/// A command to run. The environment holds nothing that would change what the
/// tools do: no proxy, no data directory of the user's.
pub struct Tool {
    pub(super) command: Command,
    pub(super) stdin: Option<Vec<u8>>,
}

impl Tool {
    /// One of our own tools, such as `crawl-fetch`.
    pub fn new(name: &str) -> Tool {
        Tool::program(bin(name))
    }

    /// Any program, such as `sh`. Our own tools are first on its PATH.
    pub fn program(program: impl AsRef<OsStr>) -> Tool {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let upper = name.to_string_lossy().to_ascii_uppercase();
            if upper.starts_with("CRAWL_")
                || upper.ends_with("_PROXY")
                || upper.ends_with("_PROXY_URL")
                || upper == "NO_COLOR"
            {
                command.env_remove(&name);
            }
        }
        let mut path = OsString::from(super::target_dir());
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        command.env("PATH", path);
        Tool {
            command,
            stdin: None,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Tool {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Tool {
        self.command.args(args);
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Tool {
        self.command.env(name, value);
        self
    }

    /// Runs in this folder.
    pub fn dir(mut self, dir: impl AsRef<Path>) -> Tool {
        self.command.current_dir(dir);
        self
    }

    /// What it reads on stdin; without this, stdin is empty.
    pub fn stdin(mut self, text: impl AsRef<[u8]>) -> Tool {
        self.stdin = Some(text.as_ref().to_vec());
        self
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(mut self) -> Done {
        self.stdin.get_or_insert_default();
        self.start().wait()
    }

    /// Starts it in a process group of its own, with stdin open for
    /// [`Running::send`].
    #[track_caller]
    pub fn start(self) -> Running {
        Running::start(self)
    }
}

/// What came of a command: its command line, exit and output. The assertions
/// print all of it when they fail, and give the value back for the next one.
#[derive(Clone)]
pub struct Done {
    pub(super) command: String,
    pub(super) status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

#[allow(clippy::wrong_self_convention)] // assertions hand the value on
impl Done {
    /// The exit code; 128 + N for a death by signal N, as a shell says it.
    pub fn exit(&self) -> i32 {
        let signal = self.status.signal().map(|n| 128 + n);
        self.status.code().or(signal).unwrap_or(-1)
    }

    /// The signal that it died of.
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Stdout as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Stderr as text.
    pub fn words(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The lines of stdout.
    pub fn lines(&self) -> Vec<String> {
        self.text().lines().map(str::to_owned).collect()
    }

    /// It exited with this code, and did not die of a signal.
    #[track_caller]
    pub fn code(self, code: i32) -> Done {
        assert!(
            self.status.code() == Some(code),
            "the exit code is not {code}:\n{self}"
        );
        self
    }

    /// Stderr has this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Done {
        assert!(
            self.words().contains(text),
            "stderr does not say {text:?}:\n{self}"
        );
        self
    }

    /// Stderr has no such text.
    #[track_caller]
    pub fn never_says(self, text: &str) -> Done {
        assert!(
            !self.words().contains(text),
            "stderr says {text:?}:\n{self}"
        );
        self
    }

    /// Stderr is empty.
    #[track_caller]
    pub fn is_quiet(self) -> Done {
        assert!(self.stderr.is_empty(), "stderr is not empty:\n{self}");
        self
    }

    /// Stdout has this text.
    #[track_caller]
    pub fn prints(self, text: &str) -> Done {
        assert!(
            self.text().contains(text),
            "stdout does not have {text:?}:\n{self}"
        );
        self
    }

    /// Stdout is exactly this text.
    #[track_caller]
    pub fn prints_just(self, text: &str) -> Done {
        assert!(self.text() == text, "stdout is not {text:?}:\n{self}");
        self
    }

    /// Stdout has this many lines.
    #[track_caller]
    pub fn prints_lines(self, count: usize) -> Done {
        let found = self.lines().len();
        assert!(
            found == count,
            "stdout has {found} lines, not {count}:\n{self}"
        );
        self
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "$ {}\n{}", self.command, self.status)?;
        for (name, bytes) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            writeln!(f, "--- {name}, {} bytes", bytes.len())?;
            f.write_str(&shortened(bytes))?;
        }
        write!(f, "---")
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The first and last part of an output that is too long to read.
fn shortened(bytes: &[u8]) -> String {
    const KEEP: usize = 4000;
    let text = |part: &[u8]| String::from_utf8_lossy(part).into_owned();
    let mut short = match bytes.len() {
        long if long > 2 * KEEP + 100 => format!(
            "{}\n[... {} bytes ...]\n{}",
            text(&bytes[..KEEP]),
            long - 2 * KEEP,
            text(&bytes[long - KEEP..])
        ),
        _ => text(bytes),
    };
    if !short.is_empty() && !short.ends_with('\n') {
        short.push_str("\n(no newline at the end)\n");
    }
    short
}
