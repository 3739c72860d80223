//! Starts a program without a copy of this process.
//!
//! `fork` copies the page tables, and each page that is written afterwards: with a batch's many
//! threads that was a fifth of all processor time. posix_spawn(3) copies nothing, but it cannot have
//! a child ignore signals, so the pausing ones are blocked in it, which keeps them off as well.

use std::ffi::{CString, OsStr, OsString};
use std::io::{self, PipeReader};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::ptr;

use crawl_ckpt::signals::PAUSING;
use libc::c_char;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// What is to be started.
#[derive(Debug)]
pub struct Program<'a> {
    /// The file.
    pub path: &'a Path,
    /// Its arguments, without its name.
    pub args: Vec<OsString>,
    /// Variables that it must not see.
    pub hidden: &'a [OsString],
    /// Its descriptors, by their numbers there; stderr is a pipe to us.
    pub given: Vec<(RawFd, OwnedFd)>,
}

/// A child.
#[derive(Debug)]
pub struct Started {
    pid: Pid,
    status: Option<ExitStatus>,
    /// What it says on stderr.
    pub stderr: Option<PipeReader>,
}

impl Program<'_> {
    /// Starts it.
    ///
    /// # Errors
    /// The system's reason, also when the file is no program.
    pub fn start(mut self) -> io::Result<Started> {
        let (reader, writer) = io::pipe()?;
        self.given.push((2, writer.into()));
        let mut actions = Actions::new()?;
        // One that another's number is meant for must be elsewhere before that is taken.
        let above = self.given.iter().map(|(number, _)| number + 1).max();
        let mut held = Vec::with_capacity(self.given.len());
        for (number, fd) in self.given {
            let fd = rustix::io::fcntl_dupfd_cloexec(fd, above.unwrap_or(0));
            held.push((number, fd.map_err(short)?));
        }
        for (number, fd) in &held {
            actions.give(fd, *number)?;
        }
        let attributes = Attributes::new()?;
        let path = c_string(self.path.as_os_str())?;
        let mut args = vec![path.clone()];
        for arg in &self.args {
            args.push(c_string(arg)?);
        }
        let mut variables = Vec::new();
        for (name, value) in std::env::vars_os() {
            if !self.hidden.contains(&name) {
                let mut line = name;
                line.push("=");
                line.push(value);
                variables.push(c_string(&line)?);
            }
        }
        let pid = spawn(&path, &actions, &attributes, &args, &variables)?;
        let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::other("a child without a number"))?;
        Ok(Started {
            pid,
            status: None,
            stderr: Some(reader),
        })
    }
}

impl Started {
    /// Its number.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits for its end, and says how it ended.
    ///
    /// # Errors
    /// The system cannot tell.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.status {
                return Ok(status);
            }
            match waitpid(Some(self.pid), WaitOptions::empty()) {
                Ok(Some((_, status))) => self.status = Some(ExitStatus::from_raw(status.as_raw())),
                Ok(None) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Kills it, if it was not waited for.
    pub fn kill(&self) {
        if self.status.is_none() {
            // It may have ended just now: fine as well.
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }
}

/// Of a number beyond what there may be the system says that it is none.
fn short(error: Errno) -> Errno {
    if error == Errno::INVAL {
        Errno::MFILE
    } else {
        error
    }
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    Ok(CString::new(text.as_bytes())?)
}

fn checked(code: i32) -> io::Result<()> {
    match code {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// What is done with descriptors in the child.
struct Actions(libc::posix_spawn_file_actions_t);

#[allow(unsafe_code)]
impl Actions {
    fn new() -> io::Result<Actions> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: it is written to, and read only when that went well.
        unsafe {
            checked(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
            Ok(Actions(actions.assume_init()))
        }
    }

    /// Gives a descriptor under this number.
    fn give(&mut self, fd: &OwnedFd, number: RawFd) -> io::Result<()> {
        // SAFETY: initialised above; the descriptor is open for as long as the caller has it.
        checked(unsafe {
            libc::posix_spawn_file_actions_adddup2(&raw mut self.0, fd.as_raw_fd(), number)
        })
    }
}

#[allow(unsafe_code)]
impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: initialised above, and not used any more.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

/// What the child's signals are.
struct Attributes(libc::posix_spawnattr_t);

#[allow(unsafe_code)]
impl Attributes {
    /// The pausing ones are blocked; SIGPIPE, which Rust ignores, is as usual.
    fn new() -> io::Result<Attributes> {
        let mut attributes = MaybeUninit::uninit();
        let mut blocked = MaybeUninit::uninit();
        let mut usual = MaybeUninit::uninit();
        let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
        // SAFETY: each is initialised before it is used, and the signals are valid ones.
        unsafe {
            checked(libc::posix_spawnattr_init(attributes.as_mut_ptr()))?;
            let mut attributes = Attributes(attributes.assume_init());
            libc::sigemptyset(blocked.as_mut_ptr());
            for signal in PAUSING {
                libc::sigaddset(blocked.as_mut_ptr(), signal);
            }
            libc::sigemptyset(usual.as_mut_ptr());
            libc::sigaddset(usual.as_mut_ptr(), libc::SIGPIPE);
            let it = &raw mut attributes.0;
            checked(libc::posix_spawnattr_setsigmask(it, blocked.as_ptr()))?;
            checked(libc::posix_spawnattr_setsigdefault(it, usual.as_ptr()))?;
            checked(libc::posix_spawnattr_setflags(it, flags as i16))?;
            Ok(attributes)
        }
    }
}

#[allow(unsafe_code)]
impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised above, and not used any more.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

#[allow(unsafe_code)]
fn spawn(
    path: &CString,
    actions: &Actions,
    attributes: &Attributes,
    args: &[CString],
    variables: &[CString],
) -> io::Result<i32> {
    let ended = |texts: &[CString]| -> Vec<*mut c_char> {
        let pointers = texts.iter().map(|text| text.as_ptr().cast_mut());
        pointers.chain([ptr::null_mut()]).collect()
    };
    let (args, variables) = (ended(args), ended(variables));
    let mut pid = 0;
    // SAFETY: all of it is initialised and lives until this returns; the lists end with null.
    checked(unsafe {
        libc::posix_spawnp(
            &raw mut pid,
            path.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            args.as_ptr(),
            variables.as_ptr(),
        )
    })?;
    Ok(pid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn sh(script: &str, given: Vec<(RawFd, OwnedFd)>) -> Started {
        let program = Program {
            path: Path::new("sh"),
            args: ["-c", script].map(Into::into).to_vec(),
            hidden: &["PWD".into()],
            given,
        };
        program.start().unwrap()
    }

    #[test]
    fn descriptors_come_under_their_numbers_whatever_ours_are() {
        let (reader, mut writer) = io::pipe().unwrap();
        // Numbers that cross: each is the other's.
        let (a, b) = (io::pipe().unwrap(), io::pipe().unwrap());
        let numbers = (a.1.as_raw_fd(), b.1.as_raw_fd());
        writer.write_all(b"in\n").unwrap();
        drop(writer);
        let script = format!(
            "read x; echo a$x >/dev/fd/{}; echo b$x >/dev/fd/{}; echo $PWD >&2; exit 7",
            numbers.1, numbers.0
        );
        let given = vec![
            (0, reader.into()),
            (numbers.1, a.1.into()),
            (numbers.0, b.1.into()),
        ];
        let mut child = sh(&script, given);
        let said = |mut from: PipeReader| {
            let mut said = String::new();
            from.read_to_string(&mut said).unwrap();
            said
        };
        assert_eq!((said(a.0), said(b.0)), ("ain\n".into(), "bin\n".into()));
        said(child.stderr.take().unwrap());
        assert_eq!(child.wait().unwrap().code(), Some(7));
        assert_eq!(child.wait().unwrap().code(), Some(7));
    }

    #[test]
    fn signals_that_pause_do_not_reach_it_and_a_kill_does() {
        let (reader, writer) = io::pipe().unwrap();
        let script = "kill -HUP $$; kill -INT $$; kill -TERM $$; echo alive >&2; read x; exit 1";
        let mut child = sh(script, vec![(0, reader.into())]);
        let mut said = [0; 6];
        child.stderr.take().unwrap().read_exact(&mut said).unwrap();
        assert_eq!(&said, b"alive\n");
        child.kill();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        drop(writer);
    }

    #[test]
    fn what_is_no_program_is_said_at_once() {
        let program = Program {
            path: Path::new("/nowhere/none"),
            args: Vec::new(),
            hidden: &[],
            given: Vec::new(),
        };
        let error = program.start().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
