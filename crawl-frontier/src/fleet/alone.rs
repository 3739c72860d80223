//! A worker whose crawl-run is gone ends, also while the store does not answer.

use std::io;
use std::os::unix::net::UnixStream;
use std::thread::{self, sleep};
use std::time::Duration;

use crawl_ckpt::tool::Exit;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// What is under way may become durable for so long.
const GRACE: Duration = Duration::from_secs(10);

/// Ends this process soon after the other end of the socket is closed. The crawl's own thread
/// does so by itself, unless it waits for the store; a commit that is cut off is no loss.
///
/// # Errors
/// When no thread can be started.
pub fn end_when_alone(conductor: UnixStream) -> io::Result<()> {
    let watch = move || {
        let mut hung_up = [PollFd::new(&conductor, PollFlags::RDHUP)];
        let heard = loop {
            match poll(&mut hung_up, None) {
                Err(Errno::INTR) => {}
                heard => break heard,
            }
        };
        // Without this watch the end only comes later.
        if heard.is_ok() {
            sleep(GRACE);
            std::process::exit(Exit::Failed as i32);
        }
    };
    thread::Builder::new().name("alone".into()).spawn(watch)?;
    Ok(())
}
