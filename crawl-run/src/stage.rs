//! One start of the loop: crawl-frontier and crawl-fetch, joined by two pipes,
//! and the socket over which the frontier is spoken to.
//!
//! ```text
//! frontier stdout --requests--> stdin fetch
//! frontier stdin  <--results--- stdout fetch
//! frontier 3      <--orders, news--> crawl-run
//! ```
//!
//! crawl-run keeps no end of the pipes, so the death of one child is the end of file of
//! the other, and crawl-run's own death is the end of the socket.

use std::ffi::OsString;
use std::io::{self, PipeReader, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::ExitStatus;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use crawl_ckpt::control::{News, Order};
use crawl_ckpt::lines::{Line, Lines};
use crawl_ckpt::tool::Failure;
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use crate::spawn::{Program, Started};
use crate::tools::Tools;

/// What the children are started with; the same for each start of a run.
#[derive(Debug)]
pub struct Launch {
    /// The programs.
    pub tools: Tools,
    /// Arguments of crawl-frontier, without those that name descriptors.
    pub frontier_args: Vec<OsString>,
    /// Arguments of crawl-fetch.
    pub fetch_args: Vec<OsString>,
    /// Options of crawl-fetch with the spider file, in memory, that each of them names.
    pub spiders: Vec<(&'static str, OwnedFd)>,
    /// Variables that crawl-fetch must not see.
    pub hidden: Vec<OsString>,
    /// The job's lock, which the frontier holds too; none for a test crawl.
    pub lock: Option<OwnedFd>,
    /// Where the frontier streams its records, when that is not a file of its own.
    pub stream: Option<OwnedFd>,
}

/// One of the children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// crawl-frontier.
    Frontier,
    /// crawl-fetch.
    Fetch,
}

/// What happens while the children run.
#[derive(Debug)]
pub enum Event {
    /// crawl-run got a pausing signal.
    Signal(i32),
    /// The frontier of that start said something.
    News(u32, News),
    /// A child said a line on stderr.
    Said(Role, String),
    /// One of the [`STREAMS`] of that start will say nothing more.
    Silence(u32),
    /// A child of that start ended and can be waited for without delay.
    Ended(u32, Role),
}

/// What the children of one start are heard by: the frontier's news, and stderr of both.
pub const STREAMS: usize = 3;

/// Results on their way: a page with its body is longer than the usual 64 KiB.
const RESULTS_BYTES: usize = 256 << 10;

/// The first descriptor in crawl-fetch of spider files.
const SPIDER_FD: i32 = 3;

/// Descriptor numbers in the frontier.
const CONTROL_FD: i32 = 3;
const LOCK_FD: i32 = 4;
const STREAM_FD: i32 = 5;

/// The children of one start.
#[derive(Debug)]
pub struct Children {
    frontier: Started,
    fetch: Started,
    orders: Sender<Order>,
}

impl Children {
    /// Starts both children and gives the first order. What happens arrives in `events`,
    /// marked with `number`.
    ///
    /// # Errors
    /// A program cannot be started, or the system has no more descriptors or threads; no
    /// child is left then.
    pub fn start(
        launch: &Launch,
        begin: Order,
        number: u32,
        events: &Sender<Event>,
    ) -> Result<Children, Failure> {
        let (requests_out, requests_in) = io::pipe().map_err(cannot_start)?;
        let (results_out, results_in) = io::pipe().map_err(cannot_start)?;
        // Where that is refused, a large page only takes more turns.
        let _ = rustix::pipe::fcntl_setpipe_size(&results_in, RESULTS_BYTES);
        let mut fetch = start_fetch(launch, (requests_out.into(), results_in.into()))?;
        let pipes = (results_out.into(), requests_in.into());
        // Without a frontier the pipes are closed by now, and the fetcher ends by itself.
        let (frontier, orders) = match start_frontier(launch, pipes, number, events) {
            Ok(started) => started,
            Err(failure) => {
                fetch.kill();
                let _ = fetch.wait();
                return Err(failure);
            }
        };
        let _ = orders.send(begin);
        let mut children = Children {
            frontier,
            fetch,
            orders,
        };
        for role in [Role::Frontier, Role::Fetch] {
            let stderr = children.child(role).stderr.take();
            relay(stderr, number, role, events.clone()).map_err(cannot_start)?;
        }
        for (role, child) in [
            (Role::Frontier, &children.frontier),
            (Role::Fetch, &children.fetch),
        ] {
            report_end(child, number, role, events.clone()).map_err(cannot_start)?;
        }
        Ok(children)
    }

    /// Gives an order; a frontier that is gone hears none.
    pub fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    /// How a child ended. Called after its [`Event::Ended`], so that it does not block.
    ///
    /// # Errors
    /// The system cannot tell.
    pub fn status(&mut self, role: Role) -> io::Result<ExitStatus> {
        self.child(role).wait()
    }

    /// Kills a child, if it still runs.
    pub fn kill(&mut self, role: Role) {
        self.child(role).kill();
    }

    fn child(&mut self, role: Role) -> &mut Started {
        match role {
            Role::Frontier => &mut self.frontier,
            Role::Fetch => &mut self.fetch,
        }
    }
}

/// Starts it, with its stdin and stdout.
fn spawn(
    mut program: Program<'_>,
    (stdin, stdout): (OwnedFd, OwnedFd),
) -> Result<Started, Failure> {
    program.given.extend([(0, stdin), (1, stdout)]);
    let path = program.path.display();
    let failed = |e| Failure::new(format_args!("cannot start {path}: {e}"));
    program.start().map_err(failed)
}

fn duplicate(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    fd.try_clone_to_owned()
}

fn cannot_start(error: io::Error) -> Failure {
    Failure::new(format_args!("cannot start the crawl: {error}"))
}

/// Starts crawl-fetch on its stdin and stdout.
fn start_fetch(launch: &Launch, pipes: (OwnedFd, OwnedFd)) -> Result<Started, Failure> {
    let mut fetch = Program {
        path: &launch.tools.fetch,
        args: launch.fetch_args.clone(),
        hidden: &launch.hidden,
        given: Vec::new(),
    };
    for (fd, (option, spider)) in (SPIDER_FD..).zip(&launch.spiders) {
        let file = format!("/dev/fd/{fd}").into();
        fetch.args.extend([(*option).into(), file]);
        let spider = duplicate(spider.as_fd()).map_err(cannot_start)?;
        fetch.given.push((fd, spider));
    }
    spawn(fetch, pipes)
}

/// Starts crawl-frontier on its stdin and stdout, and the threads that speak with it.
fn start_frontier(
    launch: &Launch,
    pipes: (OwnedFd, OwnedFd),
    number: u32,
    events: &Sender<Event>,
) -> Result<(Started, Sender<Order>), Failure> {
    let (ours, theirs) = UnixStream::pair().map_err(cannot_start)?;
    let mut frontier = Program {
        path: &launch.tools.frontier,
        args: launch.frontier_args.clone(),
        hidden: &[],
        given: Vec::new(),
    };
    let mut give = |option: &str, number: RawFd, fd| {
        let number_text = number.to_string().into();
        frontier.args.extend([option.into(), number_text]);
        frontier.given.push((number, fd));
    };
    give("--control", CONTROL_FD, OwnedFd::from(theirs));
    if let Some(lock) = &launch.lock {
        let lock = duplicate(lock.as_fd()).map_err(cannot_start)?;
        give("--lock-fd", LOCK_FD, lock);
    }
    if let Some(stream) = &launch.stream {
        let stream = duplicate(stream.as_fd()).map_err(cannot_start)?;
        give("--output-fd", STREAM_FD, stream);
    }
    let frontier = spawn(frontier, pipes)?;
    let orders = speak(ours, number, events.clone()).map_err(cannot_start)?;
    Ok((frontier, orders))
}

/// Starts the two threads that speak with the frontier: writing must not block whoever
/// watches for signals, since the first order may be longer than the socket's buffer.
fn speak(socket: UnixStream, number: u32, events: Sender<Event>) -> io::Result<Sender<Order>> {
    let (orders, inbox): (Sender<Order>, Receiver<Order>) = mpsc::channel();
    let mut writer = socket.try_clone()?;
    thread::Builder::new()
        .name("orders".into())
        .spawn(move || {
            for order in inbox {
                let line = serde_json::to_vec(&order);
                let Ok(mut line) = line else { continue };
                line.push(b'\n');
                // A frontier that is gone shows by its exit.
                if writer.write_all(&line).is_err() {
                    break;
                }
            }
        })?;
    thread::Builder::new().name("news".into()).spawn(move || {
        // Of a million hosts that wait for a human, news is longer than any record.
        let mut lines = Lines::of_any_length();
        while let Ok(Some(line)) = lines.read_line(&socket) {
            // News that a later frontier may add is none that an exit code depends on.
            let Line::Whole(line) = line else { continue };
            let Ok(news) = serde_json::from_slice(line) else {
                continue;
            };
            if events.send(Event::News(number, news)).is_err() {
                return;
            }
        }
        let _ = events.send(Event::Silence(number));
    })?;
    Ok(orders)
}

/// Starts a thread that hands on what a child says on stderr: a progress line may be drawn
/// there, and a last error is to be told in crawl-run's own.
fn relay(
    stderr: Option<PipeReader>,
    number: u32,
    role: Role,
    events: Sender<Event>,
) -> io::Result<()> {
    let Some(mut stderr) = stderr else {
        return Ok(());
    };
    thread::Builder::new().name("relay".into()).spawn(move || {
        let mut lines = Lines::default();
        while let Ok(Some(line)) = lines.read_line(&mut stderr) {
            let (Line::Whole(line) | Line::TooLong(line)) = line;
            let line = String::from_utf8_lossy(line).into_owned();
            let _ = events.send(Event::Said(role, line));
        }
        let _ = events.send(Event::Silence(number));
    })?;
    Ok(())
}

/// Starts a thread that says when a child has ended, and leaves it to be waited for.
fn report_end(child: &Started, number: u32, role: Role, events: Sender<Event>) -> io::Result<()> {
    let pid = child.pid();
    thread::Builder::new()
        .name("waiting".into())
        .spawn(move || {
            let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(pid), look), Err(Errno::INTR)) {}
            let _ = events.send(Event::Ended(number, role));
        })?;
    Ok(())
}
