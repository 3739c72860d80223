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
//! the other, and crawl-run's own death is the end of the socket. Where a fetcher may outlive its
//! crawl, it does keep the frontier's ends, and closes them when the frontier is gone.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use crawl_ckpt::control::{News, Order};
use crawl_ckpt::lines::{Line, Lines};
use crawl_ckpt::tool::Failure;

use crate::fetcher::{Ends, Fetcher, Keeper, Manner};
use crate::hearing::{Ear, Hearing, Told};
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
    /// Where a fetcher may come from and go to that does not end with this crawl.
    pub keeper: Option<Arc<Keeper>>,
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
    /// The frontier of that start will say nothing more; one of the [`STREAMS`].
    NewsOver(u32),
    /// Another one of them will say nothing more.
    Silence(u32),
    /// A child of that start ended and can be waited for without delay.
    Ended(u32, Role),
}

/// What the children of one start are heard by: the frontier's news, and stderr of both.
pub const STREAMS: usize = 3;

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
    /// None: it was left to the keeper.
    fetch: Option<Fetcher>,
    orders: Sender<Order>,
    keeper: Option<Arc<Keeper>>,
    number: u32,
    events: Sender<Event>,
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
        let (fetch, ends) = start_fetch(launch, number, events)?;
        let (frontier, orders) = start_frontier(launch, ends, number, events)?;
        // One that is gone hears none.
        let _ = orders.send(begin);
        Ok(Children {
            frontier,
            fetch: Some(fetch),
            orders,
            keeper: launch.keeper.clone(),
            number,
            events: events.clone(),
        })
    }

    /// The frontier is gone. A fetcher that has no request left may go on with another crawl; the
    /// input of any other ends.
    pub fn let_go(&mut self, is_idle: bool) {
        let Some(keeper) = &self.keeper else { return };
        self.fetch = match self.fetch.take() {
            Some(fetch) if is_idle => fetch.keep(keeper),
            fetch => fetch,
        };
        match &mut self.fetch {
            Some(fetch) => fetch.end_input(),
            None => {
                // As of one that ended well.
                let _ = self.events.send(Event::Silence(self.number));
                let _ = (self.events).send(Event::Ended(self.number, Role::Fetch));
            }
        }
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
        match (role, &mut self.fetch) {
            (Role::Frontier, _) => self.frontier.wait(),
            (Role::Fetch, Some(fetch)) => fetch.wait(),
            (Role::Fetch, None) => Ok(ExitStatus::default()),
        }
    }

    /// Kills a child, if it still runs.
    pub fn kill(&mut self, role: Role) {
        match (role, &self.fetch) {
            (Role::Frontier, _) => self.frontier.kill(),
            (Role::Fetch, Some(fetch)) => fetch.kill(),
            (Role::Fetch, None) => {}
        }
    }
}

/// What is heard of a child, as events.
fn ear(role: Role, number: u32, events: &Sender<Event>) -> Ear {
    let events = events.clone();
    Box::new(move |told| {
        let event = match told {
            Told::Said(line) => Event::Said(role, line),
            Told::Silent => Event::Silence(number),
            Told::Ended => Event::Ended(number, role),
        };
        // Nobody listens any more when the run is over.
        let _ = events.send(event);
    })
}

fn duplicate(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    fd.try_clone_to_owned()
}

fn cannot_start(error: io::Error) -> Failure {
    Failure::new(format_args!("cannot start the crawl: {error}"))
}

/// Starts crawl-fetch, unless one waits that was started in the same manner.
fn start_fetch(
    launch: &Launch,
    number: u32,
    events: &Sender<Event>,
) -> Result<(Fetcher, Ends), Failure> {
    let mut manner = Manner {
        path: launch.tools.fetch.clone(),
        args: launch.fetch_args.clone(),
        hidden: launch.hidden.clone(),
    };
    let ear = || ear(Role::Fetch, number, events);
    if let Some(keeper) = &launch.keeper
        && let Some(kept) = keeper.take(&manner, ear())
    {
        return Ok(kept);
    }
    let mut given = Vec::new();
    for (fd, (option, spider)) in (SPIDER_FD..).zip(&launch.spiders) {
        let file = format!("/dev/fd/{fd}").into();
        manner.args.extend([(*option).into(), file]);
        let spider = duplicate(spider.as_fd()).map_err(cannot_start)?;
        given.push((fd, spider));
    }
    Fetcher::start(manner, given, launch.keeper.is_some(), ear()).map_err(|e| {
        let path = launch.tools.fetch.display();
        Failure::new(format_args!("cannot start {path}: {e}"))
    })
}

/// Starts crawl-frontier on its stdin and stdout, and the threads that speak with it.
fn start_frontier(
    launch: &Launch,
    ends: Ends,
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
    let given = [(0, ends.results), (1, ends.requests)];
    frontier.given.extend(given);
    let mut frontier = frontier.start().map_err(|e| {
        let path = launch.tools.frontier.display();
        Failure::new(format_args!("cannot start {path}: {e}"))
    })?;
    Hearing::begin(&mut frontier, ear(Role::Frontier, number, events)).map_err(cannot_start)?;
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
        let _ = events.send(Event::NewsOver(number));
    })?;
    Ok(orders)
}
