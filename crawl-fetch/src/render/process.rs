//! A browser that runs: started without any network, spoken to over two pipes, and ended with
//! all that it started.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::io::fcntl_dupfd_cloexec;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process_group};

use super::program::Program;

/// Where it reads commands, and where it writes what happens.
const ITS_PIPES: [i32; 2] = [3, 4];

/// Whatever ends us, this ends the browser and takes its directory away: it waits for the end of
/// a pipe that we alone hold open. What still dies may still write, so it looks more than once.
/// Not `kill -KILL --`: dash, the shell of Debian, takes that for a number.
const REAPER: &str = r#"cat >/dev/null; kill -s KILL -- "-$1"
for time in 1 2 3 4 5 6 7 8 9; do
    rm -rf -- "$2" && ! kill -s 0 -- "-$1" && exit
    sleep 0.2
done"#;

/// So often, and with such pauses, the directory is taken away until nothing writes there.
const CLEANING: (u32, Duration) = (200, Duration::from_millis(10));

/// No request leaves the browser: names lead nowhere, and all else to a proxy that is not there.
/// That its process has no network at all, where the system lets it, is the second wall.
const NO_NETWORK: [&str; 5] = [
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--proxy-server=127.0.0.1:9",
    "--proxy-bypass-list=<-loopback>",
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--disable-quic",
];

const HABITS: [&str; 17] = [
    "--remote-debugging-pipe",
    "--block-new-web-contents",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-client-side-phishing-detection",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--js-flags=--max-old-space-size=512",
    "--mute-audio",
    "--no-default-browser-check",
    "--no-first-run",
    "--password-store=basic",
    "--window-size=1366,900",
];

/// Pictures of pages are made when we say so: most pages need none, and those that scroll need each.
const NO_PICTURES: [&str; 2] = [
    "--enable-begin-frame-control",
    "--run-all-compositor-stages-before-draw",
];

/// What is started.
#[derive(Debug, Clone)]
pub struct Launch {
    pub program: Program,
    /// What scripts are told that they run in: what servers are told as well.
    pub user_agent: String,
}

/// A browser process, its group and its directory.
pub struct BrowserProcess {
    child: Child,
    dir: PathBuf,
    /// Held open while we live.
    reaper: Option<(Child, ChildStdin)>,
}

impl BrowserProcess {
    /// Starts it; gives the pipes to write to and to read from. It dies with the calling thread.
    ///
    /// # Errors
    /// The system's reason.
    pub fn start(launch: &Launch) -> io::Result<(BrowserProcess, File, File)> {
        let dir = new_dir()?;
        let started = start_in(launch, &dir, true).or_else(|_| start_in(launch, &dir, false));
        let (child, to, from) = started.inspect_err(|_| {
            // Nothing is in it, and the reason to tell is the other one.
            let _ = fs::remove_dir_all(&dir);
        })?;
        let reaper = start_reaper(&child, &dir);
        let mut process = BrowserProcess {
            child,
            dir,
            reaper: None,
        };
        // Without it the browser would outlive a SIGKILL, so it is no choice.
        process.reaper = Some(reaper?);
        Ok((process, to, from))
    }

    /// The number of its group.
    pub fn group(&self) -> u32 {
        self.child.id()
    }

    /// The last line that it wrote to stderr.
    pub fn last_words(&self) -> Option<String> {
        let mut text = Vec::new();
        let file = File::open(self.dir.join("stderr")).ok()?;
        file.take(64 << 10).read_to_end(&mut text).ok()?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let mut lines = text.lines().rev().map(str::trim);
        lines.find(|line| !line.is_empty()).map(str::to_owned)
    }
}

/// Nothing of it is left behind.
impl Drop for BrowserProcess {
    fn drop(&mut self) {
        // As long as nobody took its status, the group's number is no other's.
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended already.
            let _ = kill_process_group(group, Signal::KILL);
        }
        // Its status says nothing that the end of its pipe did not.
        let _ = self.child.wait();
        // What still dies may still write.
        for _ in 0..CLEANING.0 {
            match fs::remove_dir_all(&self.dir) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => sleep(CLEANING.1),
                _ => break,
            }
        }
        if let Some((mut reaper, held)) = self.reaper.take() {
            // It would kill whoever has the group's number next.
            let _ = reaper.kill();
            drop(held);
            let _ = reaper.wait();
        }
    }
}

fn new_dir() -> io::Result<PathBuf> {
    let base = std::env::temp_dir();
    let mut number = u64::from(std::process::id()) << 16;
    loop {
        let dir = base.join(format!("crawl-browser-{number:x}"));
        match fs::DirBuilder::new().mode(0o700).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(e) => {
                let why = format!("cannot make {}: {e}", dir.display());
                return Err(io::Error::new(e.kind(), why));
            }
        }
    }
}

fn start_reaper(browser: &Child, dir: &Path) -> io::Result<(Child, ChildStdin)> {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", REAPER, "sh", &browser.id().to_string()])
        .arg(dir)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    ignore_pauses(&mut command);
    let mut child = command.spawn()?;
    let held = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
    Ok((child, held))
}

fn start_in(launch: &Launch, dir: &Path, isolated: bool) -> io::Result<(Child, File, File)> {
    let (its_in, to) = pipe_with(PipeFlags::CLOEXEC)?;
    let (from, its_out) = pipe_with(PipeFlags::CLOEXEC)?;
    // Above those that it gets: putting one in place must not close the other.
    let its = [above(&its_in)?, above(&its_out)?];
    let mut command = Command::new(&launch.program.path);
    command
        .args(NO_NETWORK)
        .args(HABITS)
        .arg(format!("--user-agent={}", launch.user_agent))
        .arg(format!("--user-data-dir={}", dir.join("profile").display()))
        // Whatever it keeps elsewhere lies there as well.
        .env("HOME", dir)
        .env("TMPDIR", dir)
        .env("XDG_CONFIG_HOME", dir)
        .env("XDG_CACHE_HOME", dir)
        .env_remove("DISPLAY")
        .env_remove("DBUS_SESSION_BUS_ADDRESS")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(dir.join("stderr"))?);
    if launch.program.has_windows {
        command.arg("--headless=new");
    } else {
        command.args(NO_PICTURES);
    }
    if launch.program.is_open {
        command.arg("--no-sandbox");
    }
    command.arg("about:blank");
    ignore_pauses(&mut command);
    give(&mut command, [its[0].as_raw_fd(), its[1].as_raw_fd()]);
    if isolated {
        isolate(&mut command);
    }
    let child = command.spawn()?;
    Ok((child, to.into(), from.into()))
}

fn above(fd: impl AsFd) -> io::Result<OwnedFd> {
    Ok(fcntl_dupfd_cloexec(fd, 10)?)
}

/// Ctrl+C is not for it; and it dies with the thread that started it.
#[allow(unsafe_code)]
fn ignore_pauses(command: &mut Command) {
    let is_browser = command.get_program() != "/bin/sh";
    // SAFETY: between fork and exec only signal(2) and prctl(2) are called, which are
    // async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                libc::signal(signal, libc::SIG_IGN);
            }
            #[cfg(target_os = "linux")]
            if is_browser {
                rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            }
            Ok(())
        });
    }
}

#[allow(unsafe_code)]
fn give(command: &mut Command, ours: [i32; 2]) {
    // SAFETY: dup2(2) is async-signal-safe, and the descriptors are open until after the spawn.
    unsafe {
        command.pre_exec(move || {
            for (our, its) in ours.into_iter().zip(ITS_PIPES) {
                if libc::dup2(our, its) < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
}

/// An empty network namespace; as an ordinary user, within a user namespace in which it is the
/// same user, so that its own sandbox still works.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn isolate(command: &mut Command) {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    let maps = [
        (c"/proc/self/setgroups", "deny".to_owned()),
        (c"/proc/self/uid_map", format!("{uid} {uid} 1")),
        (c"/proc/self/gid_map", format!("{gid} {gid} 1")),
    ];
    // SAFETY: unshare(2), open(2), write(2) and close(2) are async-signal-safe; the texts were
    // made before the fork.
    unsafe {
        command.pre_exec(move || {
            if uid == 0 {
                return done(libc::unshare(libc::CLONE_NEWNET));
            }
            done(libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET))?;
            for (file, text) in &maps {
                let fd = libc::open(file.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
                done(fd)?;
                let written = libc::write(fd, text.as_ptr().cast(), text.len());
                libc::close(fd);
                if written < 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            Ok(())
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn isolate(_: &mut Command) {}

#[cfg(target_os = "linux")]
fn done(code: i32) -> io::Result<()> {
    if code < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
