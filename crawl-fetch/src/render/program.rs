//! Which browser there is.

use std::env;
use std::path::{Path, PathBuf};

use crawl_ckpt::tool::{Exit, Failure};

/// Names a browser to use.
const VARIABLE: &str = "CRAWL_BROWSER";

/// Looked for on PATH, the leanest first.
const NAMES: [&str; 4] = [
    "chromium-headless-shell",
    "chrome-headless-shell",
    "chromium",
    "chromium-browser",
];

/// A browser that can be started.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its file.
    pub path: PathBuf,
    /// It has to be told to show no window.
    pub has_windows: bool,
    /// It runs without its sandbox.
    pub is_open: bool,
}

impl Program {
    /// Finds it: `$CRAWL_BROWSER`, else the first of the usual names on PATH.
    ///
    /// # Errors
    /// [`Exit::Usage`] when there is none, or when it would run as root within its sandbox, which
    /// no browser does.
    pub fn find(no_sandbox: bool) -> Result<Program, Failure> {
        if rustix::process::geteuid().is_root() && !no_sandbox {
            let why = "pages are not rendered as root: the browser has no sandbox then";
            return Err(Failure::with(Exit::Usage, why).hint(
                "run as another user; or with --no-sandbox, if all pages are trusted as much as root",
            ));
        }
        let path = match env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
            Some(path) => named(Path::new(&path))?,
            None => NAMES.into_iter().find_map(on_path).ok_or_else(|| {
                Failure::with(Exit::Usage, "no browser to render pages with").hint(format_args!(
                    "apt install chromium-headless-shell; or name one in ${VARIABLE}"
                ))
            })?,
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Program {
            has_windows: !name.contains("headless"),
            is_open: no_sandbox,
            path,
        })
    }
}

fn named(path: &Path) -> Result<PathBuf, Failure> {
    let found = match path.to_str() {
        Some(name) if !name.contains('/') => on_path(name),
        _ => path.is_file().then(|| path.to_path_buf()),
    };
    found.ok_or_else(|| {
        let path = path.display();
        Failure::with(
            Exit::Usage,
            format_args!("${VARIABLE} names no browser that is there: {path}"),
        )
    })
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut files = env::split_paths(&path).map(|dir| dir.join(name));
    files.find(|file| file.is_file())
}
