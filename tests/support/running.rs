//! A child in a process group of its own: fed, watched, signalled, waited for.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::DEADLINE;
use super::tool::{Done, Tool};

/// A signal that a test sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    Hup,
    Int,
    Term,
    Kill,
    Stop,
    Cont,
}

/// What is known of the child, filled by one thread a stream and one that waits.
#[derive(Default)]
struct Known {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Of stdout and stderr, how many are still held open by some process.
    open: u32,
    status: Option<ExitStatus>,
}

type Shared = Arc<(Mutex<Known>, Condvar)>;

/// A child that runs. Dropped before its end, its whole group is killed.
pub struct Running {
    command: String,
    pid: u32,
    stdin: Option<ChildStdin>,
    known: Shared,
}

impl Running {
    #[track_caller]
    pub(super) fn start(tool: Tool) -> Running {
        let Tool { mut command, stdin } = tool;
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        let line = words.join(" ");
        let mut child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start `{line}`: {e}"));
        let mut running = Running {
            command: line,
            pid: child.id(),
            stdin: child.stdin.take(),
            known: Shared::default(),
        };
        running.known.0.lock().unwrap().open = 2;
        collect(child.stdout.take().unwrap(), &running.known, |k| {
            &mut k.stdout
        });
        collect(child.stderr.take().unwrap(), &running.known, |k| {
            &mut k.stderr
        });
        let known = Arc::clone(&running.known);
        thread::spawn(move || {
            let status = child.wait().unwrap();
            known.0.lock().unwrap().status = Some(status);
            known.1.notify_all();
        });
        if let Some(input) = stdin {
            running.feed(input);
        }
        running
    }

    /// The child's process id, which is also its group's.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Writes a line to its stdin.
    #[track_caller]
    pub fn send(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("stdin is closed already");
        stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Ends its stdin.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Writes all of this to its stdin in the background and ends it. A child
    /// that does not read to the end is no failure.
    pub fn feed(&mut self, input: Vec<u8>) {
        if let Some(mut stdin) = self.stdin.take() {
            thread::spawn(move || stdin.write_all(&input));
        }
    }

    /// Sends a signal to the child alone.
    pub fn signal(&self, signal: Signal) {
        if self.status().is_none() {
            send_signal(signal, i64::from(self.pid));
        }
    }

    /// Sends a signal to the child's whole group, as Ctrl+C at a terminal does.
    pub fn signal_group(&self, signal: Signal) {
        send_signal(signal, -i64::from(self.pid));
    }

    /// The child's own children at this moment.
    pub fn children(&self) -> Vec<u32> {
        let list = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid));
        let list = list.unwrap_or_default();
        list.split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .collect()
    }

    /// The child's own children of that name at this moment.
    pub fn children_named(&self, name: &str) -> Vec<u32> {
        let parent = self.pid.to_string();
        let stats = fs::read_dir("/proc").unwrap().flatten();
        let stats = stats.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
        let of_that_name = stats.filter_map(|stat| {
            // `PID (NAME) STATE PPID ...`
            let (open, close) = (stat.find('(')?, stat.rfind(')')?);
            let is_child = stat[close + 1..].split_ascii_whitespace().nth(1) == Some(&parent);
            let is_it = is_child && &stat[open + 1..close] == name;
            is_it.then(|| stat[..open].trim().parse().unwrap())
        });
        of_that_name.collect()
    }

    /// Kills the child's own child of that name, if it is there at this moment.
    pub fn kill_child(&self, name: &str) {
        for pid in self.children_named(name) {
            send_signal(Signal::Kill, i64::from(pid));
        }
    }

    /// The exit status, once it ended.
    pub fn status(&self) -> Option<ExitStatus> {
        self.known.0.lock().unwrap().status
    }

    /// Stdout so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.known.0.lock().unwrap().stdout).into_owned()
    }

    /// Stderr so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.known.0.lock().unwrap().stderr).into_owned()
    }

    /// Waits until stderr has this text; fails when it ends without.
    #[track_caller]
    pub fn wait_says(&self, text: &str) {
        let met = self.wait_until(DEADLINE, |known| {
            contains(&known.stderr, text.as_bytes()) || (known.status.is_some() && known.open == 0)
        });
        assert!(
            met && self.stderr().contains(text),
            "stderr never said {text:?}:\n{}",
            self.so_far()
        );
    }

    /// Waits until stdout has this many lines; fails when it ends before.
    #[track_caller]
    pub fn wait_lines(&self, count: usize) -> Vec<String> {
        let lines = |known: &Known| known.stdout.iter().filter(|b| **b == b'\n').count();
        let met = self.wait_until(DEADLINE, |known| {
            lines(known) >= count || (known.status.is_some() && known.open == 0)
        });
        assert!(
            met && lines(&self.known.0.lock().unwrap()) >= count,
            "stdout never had {count} lines:\n{}",
            self.so_far()
        );
        self.stdout().lines().map(str::to_owned).collect()
    }

    /// Ends its stdin and waits for it; past the deadline kills the group and fails.
    #[track_caller]
    pub fn wait(self) -> Done {
        self.wait_within(DEADLINE)
    }

    /// The same with another deadline.
    #[track_caller]
    pub fn wait_within(mut self, deadline: Duration) -> Done {
        self.stdin = None;
        let ended = self.wait_until(deadline, |known| known.status.is_some());
        if !ended {
            self.signal_group(Signal::Kill);
            panic!("it did not end within {deadline:?}:\n{}", self.so_far());
        }
        // What it wrote last is still on its way, unless a process that it left
        // behind holds the pipe: that is the next function's business.
        self.wait_until(Duration::from_secs(5), |known| known.open == 0);
        self.done()
    }

    /// Waits until the child and all that inherited its stdout or stderr are
    /// gone; fails past the deadline. Gives the time that the others took
    /// longer than the child.
    #[track_caller]
    pub fn wait_all_gone(&mut self, deadline: Duration) -> Duration {
        self.stdin = None;
        assert!(
            self.wait_until(DEADLINE, |known| known.status.is_some()),
            "it did not end:\n{}",
            self.so_far()
        );
        let since = Instant::now();
        assert!(
            self.wait_until(deadline, |known| known.open == 0),
            "a process was left behind for over {deadline:?}:\n{}",
            self.so_far()
        );
        since.elapsed()
    }

    /// Waits at most so long for its end; true when it ended.
    pub fn ends_within(&self, time: Duration) -> bool {
        self.wait_until(time, |known| known.status.is_some())
    }

    /// Waits until `met`, at most for `deadline`; true when it was met.
    fn wait_until(&self, deadline: Duration, met: impl Fn(&Known) -> bool) -> bool {
        let known = self.known.0.lock().unwrap();
        let (known, _) = self
            .known
            .1
            .wait_timeout_while(known, deadline, |known| !met(known))
            .unwrap();
        met(&known)
    }

    fn done(&self) -> Done {
        let known = self.known.0.lock().unwrap();
        Done {
            command: self.command.clone(),
            status: known.status.unwrap(),
            stdout: known.stdout.clone(),
            stderr: known.stderr.clone(),
        }
    }

    /// All that is known, for a failure's message.
    pub fn so_far(&self) -> String {
        match self.status() {
            Some(_) => self.done().to_string(),
            None => format!(
                "$ {}\nstill running, pid {}\n--- stdout\n{}--- stderr\n{}---",
                self.command,
                self.pid,
                self.stdout(),
                self.stderr()
            ),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.status().is_none() {
            self.signal_group(Signal::Kill);
        }
    }
}

/// Sends a signal to a process, or to a group by its negative id. The shell's
/// own `kill`, so that the tests need no further crate and no unsafe code.
pub fn send_signal(signal: Signal, target: i64) {
    let name = format!("{signal:?}").to_uppercase();
    let script = format!("kill -s {name} -- {target}");
    let _ = Command::new("sh")
        .args(["-c", &script])
        .stderr(Stdio::null())
        .status();
}

/// The most memory that a process had so far, in KiB; 0 when it is gone.
pub fn peak_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}

fn collect(
    mut from: impl Read + Send + 'static,
    known: &Shared,
    into: fn(&mut Known) -> &mut Vec<u8>,
) {
    let known = Arc::clone(known);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = from.read(&mut buffer).unwrap_or(0);
            let mut now = known.0.lock().unwrap();
            if count == 0 {
                now.open -= 1;
            }
            into(&mut now).extend_from_slice(&buffer[..count]);
            drop(now);
            known.1.notify_all();
            if count == 0 {
                return;
            }
        }
    });
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len().max(1)).any(|window| window == part)
}
