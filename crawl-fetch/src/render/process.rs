//! A browser that runs: started without any network, spoken to over two pipes, and ended with
//! all that it started.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::rand::GetRandomFlags;

use super::program::Program;

/// Where it reads commands, and where it writes what happens.
const ITS_PIPES: [i32; 2] = [3, 4];

/// Whatever ends us, this ends the browser and takes its directory away: it waits for the end of
/// a pipe that we alone hold open. It is there before both, and is told of the browser's group when
/// there is one. What still dies may still write, so it looks more than once.
/// Not `kill -KILL --`: dash, the shell of Debian, takes that for a number.
const REAPER: &str = r#"read -r group
cat >/dev/null
[ -z "$group" ] || kill -s KILL -- "-$group"
for time in 1 2 3 4 5 6 7 8 9; do
    rm -rf -- "$1"
    sleep 0.2
    [ -e "$1" ] || { [ -n "$group" ] && kill -s 0 -- "-$group"; } || exit
done"#;

/// How directories begin, and what in them is locked as long as they are used.
const NAMES: [&str; 2] = ["crawl-browser-", "lock"];

/// One that is younger may not be locked yet.
const YOUNG: Duration = Duration::from_secs(60);

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

const HABITS: [&str; 19] = [
    "--remote-debugging-pipe",
    "--block-new-web-contents",
    "--disable-back-forward-cache",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-client-side-phishing-detection",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    // Its death ends the pages that wait for it; in a process of its own, they would be taken half-made.
    "--enable-features=NetworkServiceInProcess2",
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
    dir: Dir,
}

/// The directory of a browser, and who takes it away.
struct Dir {
    path: PathBuf,
    reaper: Child,
    /// Held open while we live.
    held: Option<ChildStdin>,
    /// Held while it is used.
    _lock: File,
}

impl BrowserProcess {
    /// Starts it; gives the pipes to write to and to read from. It dies with the calling thread.
    ///
    /// # Errors
    /// The system's reason.
    pub fn start(launch: &Launch) -> io::Result<(BrowserProcess, File, File)> {
        let mut dir = Dir::new()?;
        let started = start_in(launch, &dir.path, true);
        let started = started.or_else(|_| start_in(launch, &dir.path, false));
        let (child, to, from) = started?;
        let told = dir.tell(&child);
        let process = BrowserProcess { child, dir };
        // Without it the browser would outlive a SIGKILL, so it is no choice.
        told?;
        Ok((process, to, from))
    }

    /// The number of its group.
    pub fn group(&self) -> u32 {
        self.child.id()
    }

    /// The last line that it wrote to stderr.
    pub fn last_words(&self) -> Option<String> {
        let mut text = Vec::new();
        let file = File::open(self.dir.path.join("stderr")).ok()?;
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
    }
}

impl Dir {
    /// One that nobody has, with its reaper; those that nobody has any more go.
    fn new() -> io::Result<Dir> {
        let base = std::env::temp_dir();
        sweep(&base);
        let mut random = [0; 8];
        rustix::rand::getrandom(&mut random, GetRandomFlags::empty())?;
        let name = format!("{}{:016x}", NAMES[0], u64::from_ne_bytes(random));
        let path = base.join(name);
        let (reaper, held) = start_reaper(&path)?;
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        let made = made.and_then(|()| {
            let lock = File::create(path.join(NAMES[1]))?;
            flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
            Ok(lock)
        });
        // Without its pipe the reaper ends.
        let lock = made.map_err(|e| {
            let why = format!("cannot make {}: {e}", path.display());
            io::Error::new(e.kind(), why)
        })?;
        Ok(Dir {
            path,
            reaper,
            held: Some(held),
            _lock: lock,
        })
    }

    /// The reaper is told of the browser.
    fn tell(&mut self, browser: &Child) -> io::Result<()> {
        let held = self.held.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(held, "{}", browser.id())
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // What still dies may still write.
        for _ in 0..CLEANING.0 {
            match fs::remove_dir_all(&self.path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => sleep(CLEANING.1),
                _ => break,
            }
        }
        // It would kill whoever has the group's number next.
        let _ = self.reaper.kill();
        self.held = None;
        let _ = self.reaper.wait();
    }
}

/// Takes away what a browser left here whose reaper was killed as well. What cannot be taken away is
/// another user's, or another's who does the same.
fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let is_one = entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(NAMES[0].as_bytes());
        if is_one && is_left(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Nobody uses the directory.
fn is_left(dir: &Path) -> bool {
    let place = dir.join(NAMES[1]);
    let is_ours = fs::symlink_metadata(dir)
        .is_ok_and(|it| it.is_dir() && it.uid() == rustix::process::geteuid().as_raw());
    let is_old = || {
        let made = fs::metadata(&place).and_then(|it| it.modified()).ok();
        made.is_some_and(|made| made.elapsed().is_ok_and(|age| age > YOUNG))
    };
    let is_free = || {
        File::open(&place)
            .is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok())
    };
    is_ours && is_old() && is_free()
}

fn start_reaper(dir: &Path) -> io::Result<(Child, ChildStdin)> {
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", REAPER, "sh"])
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
