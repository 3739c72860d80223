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
//!
//! In a batch both may outlive their crawl and serve the next: to start them costs more than a small site.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use crawl_ckpt::control::{News, Next, Order};
use crawl_ckpt::handed::send_with;
use crawl_ckpt::mutex::lock;
use crawl_ckpt::tool::Failure;

use crate::child::Child;
use crate::hearing::{Ear, Told};
use crate::spawn::Program;
use crate::tools::Tools;

/// Results on their way: a page with its body is longer than the usual 64 KiB.
const RESULTS_BYTES: usize = 256 << 10;

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
    /// Where children may come from and go to that do not end with this crawl, and what those that
    /// come are told of it.
    pub keeper: Option<(Arc<Keeper>, Next)>,
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
    /// The frontier with that mark said something.
    News(u32, News),
    /// A child said a line on stderr.
    Said(Role, String),
    /// One of the [`STREAMS`] of the children with that mark has ended.
    Silence(u32),
    /// A child with that mark ended and can be waited for without delay.
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
    frontier: Child,
    fetch: Child,
    orders: Sender<Letter>,
    manner: Manner,
    /// What happens is marked with it.
    mark: u32,
}

/// What goes to the frontier: an order, and the descriptor that goes with it.
type Letter = (Order, Option<OwnedFd>);

/// How children are started: those that are started the same way are as good, whatever they crawl. All crawls
/// of a batch may take the same memory.
#[derive(Debug, PartialEq, Eq)]
struct Manner {
    frontier: PathBuf,
    fetch: PathBuf,
    fetch_args: Vec<OsString>,
    hidden: Vec<OsString>,
}

/// Where children wait for the next crawl.
#[derive(Debug, Default)]
pub struct Keeper(Mutex<Option<Children>>);

impl Keeper {
    /// Takes children that wait for another crawl; nobody hears of them meanwhile.
    pub fn put(&self, children: Children) {
        children.frontier.cease();
        children.fetch.cease();
        lock(&self.0).replace(children);
    }

    /// Children that wait and were told to go on with this crawl. Those that would have to be
    /// started in another manner, or of which one has ended, are no more.
    fn take(
        &self,
        next: &Next,
        launch: &Launch,
        number: u32,
        events: &Sender<Event>,
    ) -> Option<Children> {
        let mut children = lock(&self.0).take()?;
        children.mark = number;
        let goes_on = children.go_on(next, launch, number, events);
        goes_on.then_some(children)
    }
}

impl Manner {
    fn of(launch: &Launch) -> Manner {
        Manner {
            frontier: launch.tools.frontier.clone(),
            fetch: launch.tools.fetch.clone(),
            fetch_args: launch.fetch_args.clone(),
            hidden: launch.hidden.clone(),
        }
    }
}

impl Children {
    /// Starts both children, unless there are some that wait, and gives the first order. What
    /// happens arrives in `events`, marked with [`Children::mark`], which each `number` has its own of.
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
        let keeper = launch.keeper.as_ref();
        // That those which waited have ended may be heard after others were started in their place.
        let (of_waiting, of_new) = (2 * number, 2 * number + 1);
        let waiting =
            keeper.and_then(|(keeper, next)| keeper.take(next, launch, of_waiting, events));
        let children = match waiting {
            Some(children) => children,
            None => Children::new(launch, of_new, events)?,
        };
        children.order(begin);
        Ok(children)
    }

    fn new(launch: &Launch, number: u32, events: &Sender<Event>) -> Result<Children, Failure> {
        let (requests_out, requests_in) = io::pipe().map_err(cannot_start)?;
        let (results_out, results_in) = io::pipe().map_err(cannot_start)?;
        // Where that is refused, a large page only takes more turns.
        let _ = rustix::pipe::fcntl_setpipe_size(&results_in, RESULTS_BYTES);
        let ends = [(0, requests_out.into()), (1, results_in.into())];
        let fetch = start_fetch(launch, ends, ear(Role::Fetch, number, events))?;
        let ends = [(0, results_out.into()), (1, requests_in.into())];
        let ear = ear(Role::Frontier, number, events);
        let (frontier, orders) = start_frontier(launch, ends, ear)?;
        Ok(Children {
            frontier,
            fetch,
            orders,
            manner: Manner::of(launch),
            mark: number,
        })
    }

    /// Goes on with another crawl, if that can be.
    fn go_on(&self, next: &Next, launch: &Launch, number: u32, events: &Sender<Event>) -> bool {
        let lock = launch.lock.as_ref().map(|lock| duplicate(lock.as_fd()));
        let Some(Ok(lock)) = lock else {
            return false;
        };
        let next = (Order::Next(next.clone()), Some(lock));
        self.manner == Manner::of(launch)
            && self.fetch.goes_on()
            && self.frontier.pass_to(ear(Role::Frontier, number, events))
            && self.fetch.pass_to(ear(Role::Fetch, number, events))
            && self.orders.send(next).is_ok()
    }

    /// Gives an order; a frontier that is gone hears none.
    pub fn order(&self, order: Order) {
        let _ = self.orders.send((order, None));
    }

    /// What happens to them is marked with it.
    pub fn mark(&self) -> u32 {
        self.mark
    }

    /// How a child ended. Called after its [`Event::Ended`], so that it does not block.
    ///
    /// # Errors
    /// The system cannot tell.
    pub fn status(&mut self, role: Role) -> io::Result<ExitStatus> {
        match role {
            Role::Frontier => self.frontier.wait(),
            Role::Fetch => self.fetch.wait(),
        }
    }

    /// Kills a child, if it still runs.
    pub fn kill(&self, role: Role) {
        match role {
            Role::Frontier => self.frontier.kill(),
            Role::Fetch => self.fetch.kill(),
        }
    }
}

/// What is heard of a child, as events.
fn ear(role: Role, number: u32, events: &Sender<Event>) -> Ear {
    let events = events.clone();
    Box::new(move |told| {
        let event = match told {
            Told::Said(line) => Event::Said(role, line),
            Told::News(news) => Event::News(number, news),
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

/// Starts crawl-fetch with these as its stdin and stdout.
fn start_fetch(launch: &Launch, ends: [(RawFd, OwnedFd); 2], ear: Ear) -> Result<Child, Failure> {
    let mut fetch = Program {
        path: &launch.tools.fetch,
        args: launch.fetch_args.clone(),
        hidden: &launch.hidden,
        given: ends.into(),
    };
    for (fd, (option, spider)) in (SPIDER_FD..).zip(&launch.spiders) {
        let file = format!("/dev/fd/{fd}").into();
        fetch.args.extend([(*option).into(), file]);
        let spider = duplicate(spider.as_fd()).map_err(cannot_start)?;
        fetch.given.push((fd, spider));
    }
    start(fetch, ear)
}

fn start(program: Program<'_>, ear: Ear) -> Result<Child, Failure> {
    let path = program.path.display();
    Child::start(program, ear).map_err(|e| Failure::new(format_args!("cannot start {path}: {e}")))
}

/// Starts crawl-frontier with these as its stdin and stdout, and the threads that speak with it.
fn start_frontier(
    launch: &Launch,
    ends: [(RawFd, OwnedFd); 2],
    ear: Ear,
) -> Result<(Child, Sender<Letter>), Failure> {
    let (ours, theirs) = UnixStream::pair().map_err(cannot_start)?;
    let mut frontier = Program {
        path: &launch.tools.frontier,
        args: launch.frontier_args.clone(),
        hidden: &[],
        given: ends.into(),
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
    if launch.keeper.is_some() {
        frontier.args.push("--stay".into());
    }
    let frontier = start(frontier, ear)?;
    let orders = ours.try_clone().and_then(speak).map_err(cannot_start)?;
    frontier.hear_news(ours).map_err(cannot_start)?;
    Ok((frontier, orders))
}

/// Starts the thread that gives orders: writing must not block whoever watches for signals, since
/// the first order may be longer than the socket's buffer.
fn speak(mut socket: UnixStream) -> io::Result<Sender<Letter>> {
    let (orders, inbox): (Sender<Letter>, Receiver<Letter>) = mpsc::channel();
    thread::Builder::new()
        .name("orders".into())
        .spawn(move || {
            for (order, fd) in inbox {
                let line = serde_json::to_vec(&order);
                let Ok(mut line) = line else { continue };
                line.push(b'\n');
                let sent = match fd {
                    Some(fd) => send_with(&socket, &line, fd.as_fd()),
                    None => socket.write_all(&line),
                };
                // A frontier that is gone shows by its exit.
                if sent.is_err() {
                    break;
                }
            }
        })?;
    Ok(orders)
}
