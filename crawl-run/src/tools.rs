//! Where the programs are that crawl-run starts.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crawl_ckpt::plan::Plan;
use crawl_ckpt::tool::{Exit, Failure};

/// The programs of one crawl.
#[derive(Debug, Clone)]
pub struct Tools {
    /// crawl-frontier, or what `$CRAWL_FRONTIER` puts in its place.
    pub frontier: PathBuf,
    /// crawl-fetch, or what `$CRAWL_FETCH` puts in its place.
    pub fetch: PathBuf,
    /// Nothing was put in the place of either.
    pub are_own: bool,
}

impl Tools {
    /// Finds both.
    ///
    /// # Errors
    /// Names the one that is missing and where it was looked for.
    pub fn find() -> Result<Tools, Failure> {
        Ok(Tools {
            frontier: find("crawl-frontier", "CRAWL_FRONTIER")?,
            fetch: find("crawl-fetch", "CRAWL_FETCH")?,
            are_own: ["CRAWL_FRONTIER", "CRAWL_FETCH"]
                .iter()
                .all(|name| env::var_os(name).is_none_or(|value| value.is_empty())),
        })
    }
}

/// Runs a tool that reads a plan on stdin and answers on our own stdout. Its exit is ours.
///
/// # Errors
/// The tool cannot be started, or ends in a way that no tool does.
pub fn ask(program: &Path, args: &[OsString], plan: &Plan) -> Result<Exit, Failure> {
    let name = program.display();
    let failed = |e: io::Error| Failure::new(format_args!("cannot start {name}: {e}"));
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .spawn();
    let mut child = child.map_err(failed)?;
    let text = serde_json::to_vec(plan).map_err(Failure::new)?;
    // A tool that does not read its input to the end says why itself.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(&text));
    let status = child.wait().map_err(failed)?;
    status
        .code()
        .and_then(Exit::from_code)
        .ok_or_else(|| Failure::new(format_args!("{name} did not end well: {status}")))
}

const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// A program that is only asked whether it takes its options has so long to say so.
const TRIAL: Duration = Duration::from_secs(10);

/// Starts a fetcher without a request, to learn whether it refuses its options or what the
/// environment tells it, before anything depends on it. One that does not end by itself is no matter.
///
/// # Errors
/// [`Exit::Usage`] with what it says.
pub fn try_options(program: &Path, args: &[OsString], hidden: &[OsString]) -> Result<(), Failure> {
    let name = program.display();
    let failed = |e: io::Error| Failure::new(format_args!("cannot start {name}: {e}"));
    let mut command = Command::new(program);
    hidden.iter().for_each(|variable| {
        command.env_remove(variable);
    });
    let child = command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(failed)?;
    let due = Instant::now() + TRIAL;
    let status = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => break status,
            None if Instant::now() >= due => {
                child.kill().map_err(failed)?;
                child.wait().map_err(failed)?;
                return Ok(());
            }
            None => sleep(BETWEEN_LOOKS),
        }
    };
    if status.code() != Some(Exit::Usage as i32) {
        return Ok(());
    }
    let mut said = String::new();
    if let Some(stderr) = child.stderr {
        // What it said is a courtesy; that it refuses is certain.
        let _ = stderr.take(64 << 10).read_to_string(&mut said);
    }
    let said = said.lines().next().unwrap_or_default();
    let why = said.strip_prefix("crawl-fetch: ").unwrap_or(said);
    Err(Failure::with(Exit::Usage, why))
}

/// The variable's program, else the one beside this program, else the one on PATH.
fn find(name: &str, variable: &str) -> Result<PathBuf, Failure> {
    let path = env::var_os("PATH").unwrap_or_default();
    if let Some(chosen) = env::var_os(variable).filter(|value| !value.is_empty()) {
        return resolve(Path::new(&chosen), &path).ok_or_else(|| {
            Failure::new(format_args!(
                "cannot find {name}: ${variable} is {}, which is no program",
                Path::new(&chosen).display()
            ))
        });
    }
    let beside = env::current_exe().ok().map(|own| own.with_file_name(name));
    beside
        .filter(|program| is_program(program))
        .or_else(|| resolve(Path::new(name), &path))
        .ok_or_else(|| {
            Failure::new(format_args!(
                "cannot find {name}: it is neither beside crawl-run nor on PATH"
            ))
            .hint(format_args!("export {variable}=/path/to/{name}"))
        })
}

/// A bare name is looked for on PATH, as a shell does.
pub fn resolve(program: &Path, path: &OsStr) -> Option<PathBuf> {
    if program.components().count() > 1 || program.has_root() {
        return is_program(program).then(|| program.to_owned());
    }
    env::split_paths(path)
        .map(|dir| dir.join(program))
        .find(|candidate| is_program(candidate))
}

fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_looked_for_on_the_path_and_a_path_is_not() {
        let path = OsStr::new("/nowhere:/bin:/usr/bin");
        assert!(resolve(Path::new("sh"), path).is_some());
        assert!(resolve(Path::new("/bin/sh"), OsStr::new("")).is_some());
        assert!(resolve(Path::new("./sh"), path).is_none());
        assert!(resolve(Path::new("no-such-program"), path).is_none());
    }
}
