//! Whether pages can be rendered: asked of crawl-fetch before anything is written or asked for.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};

use crawl_ckpt::tool::{Exit, Failure};

/// As often as a crawl begins its crawl-fetch again.
const ATTEMPTS: u32 = 4;

/// Has crawl-fetch begin the browser, and end it at once.
///
/// # Errors
/// [`Exit::Usage`] with what crawl-fetch says when there is no browser, or none that works.
pub fn check(fetch: &Path, no_sandbox: bool) -> Result<(), Failure> {
    let mut command = Command::new(fetch);
    command.args(["--render", "--quiet"]);
    if no_sandbox {
        command.arg("--no-sandbox");
    }
    // Ctrl+C is for the crawl, which hears of it soon.
    command.stdin(Stdio::null()).process_group(0);
    let mut attempts = 0;
    let output = loop {
        let output = command.output().map_err(|e| {
            let name = fetch.display();
            Failure::new(format_args!("cannot start {name}: {e}"))
        })?;
        let Some(signal) = output.status.signal() else {
            break output;
        };
        // That it was killed says nothing of the browser.
        attempts += 1;
        if attempts == ATTEMPTS {
            let why = "before it said whether it can render pages";
            let why = format_args!("crawl-fetch was ended by signal {signal} {why}");
            return Err(Failure::new(why));
        }
    };
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let mut lines = words.lines();
    let why = lines.next().unwrap_or("crawl-fetch does not know --render");
    let why = why.strip_prefix("crawl-fetch: ").unwrap_or(why);
    let failure = Failure::with(Exit::Usage, why);
    Err(
        match lines.next().and_then(|line| line.strip_prefix("hint: ")) {
            Some(hint) => failure.hint(hint),
            None => failure,
        },
    )
}
