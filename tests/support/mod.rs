//! What the black-box tests share: an own folder a test, a tool that is run and
//! looked at, a child that is signalled, and a web site on loopback that notes
//! what was asked and when. Std only; `mod support;` takes it in.
//!
//! Nothing here sleeps for luck: a test waits for what it saw (a request at the
//! site, a line on stderr, an exit), and a wait that takes too long fails with
//! all that is known.
#![allow(dead_code, unused_imports)]
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]
// Tests are built with the newest Rust, and `done.is_quiet()` hands the value on.
#![allow(clippy::incompatible_msrv, clippy::wrong_self_convention)]

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

mod cluster;
mod folder;
mod forward;
pub mod hostile;
mod http;
mod random;
mod redis;
mod running;
mod site;
mod tool;
mod tree;

pub use cluster::Cluster;
pub use folder::Folder;
pub use forward::Forward;
pub use http::{Answer, Asked};
pub use random::Random;
pub use redis::Redis;
pub use running::{Running, Signal, peak_kib, send_signal};
pub use site::Site;
pub use tool::{Done, Tool};
pub use tree::Tree;

/// How long a test waits for anything before it fails: generous, since the
/// machine may be busy with other tests.
pub const DEADLINE: Duration = Duration::from_secs(240);

/// The built binary of that name, of whichever member of the workspace: the
/// binaries lie in the folder above the test executable's.
///
/// `cargo test --workspace` and `cargo build` build it; `cargo test -p` of
/// another member does not.
pub fn bin(name: &str) -> PathBuf {
    let path = target_dir().join(name);
    assert!(
        path.is_file(),
        "{} is not built: run `cargo build --workspace` first",
        path.display()
    );
    path
}

/// `target/debug` or such, whose `deps` or `examples` hold this executable.
pub fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    exe.ancestors().nth(2).unwrap().to_path_buf()
}

/// True when the program is on PATH. When not, says that the test that runs is
/// skipped, past libtest's capture, so that `scripts/check` counts it.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .any(|dir| dir.join(program).is_file());
    if !found {
        skipped(&format!("{program} is not installed"));
    }
    found
}

/// Says that the test that runs is skipped, and why. Return from it then.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("test");
    let line = format!("\nSKIPPED: {test}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}
