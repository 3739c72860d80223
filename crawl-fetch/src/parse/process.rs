//! One process of a parser: started, written to and read from without ever
//! blocking, and ended with all that it started.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crawl_ckpt::lines::Lines;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::shared::{ParseOptions, STATE_VARIABLE};
use crate::descriptors;

/// A parser whose input ended has so long to end.
const GRACE: Duration = Duration::from_secs(2);

/// How often it is looked whether it ended.
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// What is on its way to a parser: a page is longer than the usual 64 KiB.
const PIPE_BYTES: usize = 256 << 10;

/// How one ended that had no trouble.
pub const IN_GOOD_ORDER: &str = "ended with exit code 0";

/// A process of the parser.
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    stderr: ChildStderr,
    /// What came and is no whole line yet.
    pub out: Lines,
    /// The same of stderr.
    pub err: Lines,
    /// It reads no more.
    is_deaf: bool,
    /// It closed its stderr.
    is_mute: bool,
    /// Its status was taken.
    is_reaped: bool,
}

/// What reading came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// Something came, or nothing for now.
    Some,
    /// Nothing will come any more.
    Ended,
}

impl Process {
    /// Starts one.
    ///
    /// # Errors
    /// The system's reason.
    pub fn start(options: &ParseOptions, state: Option<&str>) -> io::Result<Process> {
        let (program, args) = options
            .command
            .split_first()
            .ok_or(io::ErrorKind::NotFound)?;
        let mut command = Command::new(program);
        if let Some(dir) = &options.dir {
            // Relative programs are looked for where the parser runs.
            if program.contains('/') {
                command = Command::new(dir.join(program));
            }
            command.current_dir(dir);
        }
        command.args(args);
        if let Some(state) = state {
            command.env(STATE_VARIABLE, state);
        }
        // Else Python keeps answers to itself until it has 8 KiB of them.
        command.env("PYTHONUNBUFFERED", "1");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = spawn(command)?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(io::Error::other("a process without pipes"));
        };
        rustix::io::ioctl_fionbio(&stdin, true)?;
        rustix::io::ioctl_fionbio(&stdout, true)?;
        rustix::io::ioctl_fionbio(&stderr, true)?;
        for pipe in [stdin.as_fd(), stdout.as_fd()] {
            // Where that is refused, a large page only takes more turns.
            let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE_BYTES);
        }
        Ok(Process {
            child,
            stdin: Some(stdin),
            stdout,
            stderr,
            out: Lines::default(),
            err: Lines::default(),
            is_deaf: false,
            is_mute: false,
            is_reaped: false,
        })
    }

    /// Its stdin, stdout and stderr, to wait for, as long as something can come of it.
    pub fn pipes(&self) -> (Option<&ChildStdin>, &ChildStdout, Option<&ChildStderr>) {
        let stdin = self.stdin.as_ref().filter(|_| !self.is_deaf);
        let stderr = Some(&self.stderr).filter(|_| !self.is_mute);
        (stdin, &self.stdout, stderr)
    }

    /// Writes some of this; gives how much.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let Some(stdin) = &self.stdin else { return 0 };
        match rustix::io::write(stdin, bytes) {
            Ok(written) => written,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(_) => {
                // Nobody reads any more; what comes of it shows on its stdout.
                self.is_deaf = true;
                0
            }
        }
    }

    /// Reads some of stdout into `out`.
    pub fn read_out(&mut self) -> Read {
        read_some(&mut self.out, &mut self.stdout)
    }

    /// Reads some of stderr into `err`.
    pub fn read_err(&mut self) {
        self.is_mute |= read_some(&mut self.err, &mut self.stderr) == Read::Ended;
    }

    /// How many of the bytes that were written it did not take in.
    pub fn unread(&self) -> u64 {
        let unread = self.stdin.as_ref().map(rustix::io::ioctl_fionread);
        unread.and_then(Result::ok).unwrap_or(0)
    }

    /// Ends its input, and when it does not end soon, kills it. Says how it ended.
    pub fn end(&mut self) -> String {
        self.stdin = None;
        self.wait(GRACE)
    }

    /// Waits for one that closed its stdout. Says how it ended.
    pub fn wait_for_end(&mut self) -> String {
        self.wait(GRACE)
    }

    pub fn kill(&mut self) {
        self.wait(Duration::ZERO);
    }

    /// Waits so long for its end, and kills it and all that is left of its group.
    fn wait(&mut self, most: Duration) -> String {
        let due = Instant::now() + most;
        while !self.has_ended() && Instant::now() < due {
            // One that has much to say at its end must not wait for a reader.
            self.read_out();
            self.out.clear();
            self.read_err();
            sleep(BETWEEN_LOOKS);
        }
        // As long as nobody took its status, the group's number is no other's.
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let group = group.filter(|_| !std::mem::replace(&mut self.is_reaped, true));
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
        self.read_err();
        let status = self.child.wait();
        status.map_or_else(|e| format!("ended: {e}"), status_words)
    }

    fn has_ended(&self) -> bool {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        pid.is_none_or(|pid| !matches!(waitid(WaitId::Pid(pid), look), Ok(None)))
    }
}

/// Nothing that was started is left behind.
impl Drop for Process {
    fn drop(&mut self) {
        self.wait(Duration::ZERO);
    }
}

/// A group of its own: Ctrl+C is not for it, and all of it can be killed. It leaves the
/// signals that pause to us, and dies with the thread that started it.
#[allow(unsafe_code)]
fn spawn(mut command: Command) -> io::Result<Child> {
    command.process_group(0);
    // SAFETY: between fork and exec only signal(2), setrlimit(2) and prctl(2) are called, which
    // are async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                libc::signal(signal, libc::SIG_IGN);
            }
            descriptors::give_back()?;
            #[cfg(target_os = "linux")]
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            Ok(())
        });
    }
    command.spawn()
}

fn status_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (_, Some(signal)) => format!("was killed by signal {signal}"),
        _ => "ended".to_owned(),
    }
}

/// The program, where a relative one is looked for.
pub fn shown(options: &ParseOptions) -> String {
    let dir = options.dir.as_deref().unwrap_or(Path::new(""));
    let words = options
        .command
        .iter()
        .map(|word| crawl_ckpt::tool::quoted(word));
    let words = words.collect::<Vec<_>>().join(" ");
    if dir.as_os_str().is_empty() {
        words
    } else {
        format!("{words} (in {})", dir.display())
    }
}

/// Reads what there is.
fn read_some(lines: &mut Lines, from: impl io::Read) -> Read {
    match lines.fill(from) {
        Ok(1..) => Read::Some,
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Read::Some,
        Ok(_) | Err(_) => Read::Ended,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crawl_ckpt::lines::Line;

    fn process(script: &str) -> Process {
        let options = ParseOptions {
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            dir: None,
            jobs: 1,
            timeout: Duration::from_secs(60),
        };
        Process::start(&options, Some("[7]")).unwrap()
    }

    fn text(line: Line<'_>) -> String {
        let (Line::Whole(line) | Line::TooLong(line)) = line;
        String::from_utf8_lossy(line).into_owned()
    }

    /// Reads stdout to its end.
    fn said(process: &mut Process) -> Vec<String> {
        let mut said = Vec::new();
        loop {
            let read = process.read_out();
            while let Some(line) = process.out.next_line() {
                said.push(text(line));
            }
            if read == Read::Ended {
                return said;
            }
            std::thread::yield_now();
        }
    }

    #[test]
    fn it_is_given_the_state() {
        let mut process = process("echo $CRAWL_STATE");
        assert_eq!(said(&mut process), ["[7]"]);
        assert_eq!(process.wait_for_end(), IN_GOOD_ORDER);
    }

    #[test]
    fn whether_it_read_anything_is_known_after_its_death() {
        let mut blind = process("sleep 0.1; exit 3");
        assert_eq!(blind.write(b"a page\n"), 7);
        assert_eq!(said(&mut blind), [""; 0]);
        assert_eq!(blind.wait_for_end(), "ended with exit code 3");
        assert_eq!(blind.unread(), 7);
        let mut reader = process("read line; kill -9 $$");
        assert_eq!(reader.write(b"a page\n"), 7);
        assert_eq!(said(&mut reader), [""; 0]);
        assert_eq!(reader.wait_for_end(), "was killed by signal 9");
        assert_eq!(reader.unread(), 0);
    }

    #[test]
    fn one_that_does_not_end_is_killed_with_what_it_started() {
        let mut process = process("sleep 1000 & echo $!; wait");
        let child = loop {
            process.read_out();
            if let Some(line) = process.out.next_line() {
                break text(line).trim().to_owned();
            }
        };
        process.kill();
        let stat = || std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        while !stat().is_empty() && !stat().contains(") Z ") {
            std::thread::yield_now();
        }
    }
}
