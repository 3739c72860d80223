//! Serving crawls, one after the other: what each begins with, and what became of it.

mod ending;
#[cfg(feature = "redis")]
mod joining;
mod server;

use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;

use crawl_ckpt::control::{Begin, EndReason, News, Order, Progress};
use crawl_ckpt::job::JobPlace;
use crawl_ckpt::tool::{Exit, Failure, say};

use self::server::Server;
use crate::clock::Clock;
use crate::open::{Places, open};
use crate::pipes::Pipes;
use crate::served::Served;
use crate::store::OutputTo;
use crate::unnamed::MAKE_ROOM;

const TOOL: &str = "crawl-frontier";

/// With so many URLs seen at most a frontier stays for another crawl: after a larger one the memory that
/// it took goes with it, and a start is nothing beside it.
const FEW_URLS: u64 = 1000;

/// Who started the frontier.
#[derive(Debug)]
pub enum Conductor {
    /// crawl-run, which says what to do over a socket and passes signals on.
    Socket {
        /// That socket.
        socket: UnixStream,
        /// The frontier waits for another crawl when this one is complete.
        stays: bool,
    },
    /// A person or a script: signals come here.
    Nobody {
        /// What to crawl.
        begin: Box<Begin>,
        /// Say nothing but errors.
        quiet: bool,
    },
}

/// Serves a crawl until it is over, or until it is told to stop.
///
/// # Errors
/// What [`open`] says; a failed write; a fetcher that is gone with requests in flight.
pub fn serve(
    mut places: Places,
    conductor: Conductor,
    results: File,
    requests: File,
) -> Result<Exit, Failure> {
    let mut pipes = Pipes::new(results, requests);
    let may_stay = matches!(&conductor, Conductor::Socket { stays: true, .. });
    let memory_bytes = places.memory_bytes;
    let (mut begin, quiet) = meet(conductor, &mut pipes)?;
    loop {
        let over = crawl(places, begin, &mut pipes, quiet)?;
        let stays = may_stay && over.is_small_and_complete() && pipes.are_idle();
        pipes.tell(&News::Ended {
            reason: over.reason,
            progress: over.progress,
            stays,
        });
        if !stays {
            return over.result;
        }
        let Some((next, lock)) = pipes.next_crawl() else {
            return Ok(Exit::Complete);
        };
        places = Places {
            job: Some(JobPlace::at(&next.job)),
            lock: Some(lock),
            data_dir: next.data_dir,
            output: OutputTo::File(next.output),
            warc: None,
            memory_bytes,
        };
        begin = begun(pipes.first_order())?;
    }
}

/// What became of a crawl, when all that it held is let go.
struct Over {
    reason: EndReason,
    progress: Box<Progress>,
    result: Result<Exit, Failure>,
}

impl Over {
    fn is_small_and_complete(&self) -> bool {
        self.reason == EndReason::Complete && self.progress.counts.seen <= FEW_URLS
    }
}

/// Serves one crawl.
fn crawl(places: Places, begin: Begin, pipes: &mut Pipes, quiet: bool) -> Result<Over, Failure> {
    let clock = Clock::new();
    #[cfg(feature = "redis")]
    if let Some(shared) = begin.shared.clone() {
        return joining::crawl(places, begin, shared, pipes, (clock, quiet));
    }
    #[cfg(not(feature = "redis"))]
    if begin.shared.is_some() {
        let message = "cannot use --store: this crawl-frontier was built without it";
        return Err(Failure::with(Exit::Usage, message));
    }
    let test = places.job.is_none();
    let opened = open(places, &begin, clock.now_ms());
    let over = opened
        .and_then(|opened| to_its_end(Server::new(opened, begin, pipes, (clock, quiet, test))));
    over.map_err(|failure| match failure.hint.as_deref() {
        Some(MAKE_ROOM) if test => {
            failure.hint("make room, then give the same command again: a test crawl begins anew")
        }
        _ => failure,
    })
}

/// A run from its first word to its last.
fn to_its_end(mut server: Server<'_, impl Served>) -> Result<Over, Failure> {
    server.begin();
    let end = server.run()?;
    server.end(end)
}

/// Learns what to crawl, and arranges for signals or orders to be heard.
fn meet(conductor: Conductor, pipes: &mut Pipes) -> Result<(Begin, bool), Failure> {
    match conductor {
        Conductor::Nobody { begin, quiet } => {
            pipes
                .hear_signals()
                .map_err(|e| Failure::new(format_args!("cannot listen for signals: {e}")))?;
            Ok((*begin, quiet))
        }
        Conductor::Socket { socket, .. } => Ok((begun(pipes.meet(socket))?, false)),
    }
}

/// The order that a crawl begins with.
fn begun(first: io::Result<Order>) -> Result<Begin, Failure> {
    match first {
        Ok(Order::Begin(begin)) => Ok(*begin),
        Ok(_) => Err(Failure::new(
            "control socket: the first order must be begin",
        )),
        Err(e) => Err(Failure::new(format_args!("control socket: {e}"))),
    }
}

/// Tells people, by crawl-run where it listens.
fn warn(pipes: &mut Pipes, quiet: bool, message: String) {
    if pipes.has_conductor() {
        pipes.tell(&News::Warning(message));
    } else if !quiet {
        say(TOOL, message);
    }
}
