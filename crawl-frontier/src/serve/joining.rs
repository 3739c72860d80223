//! A crawl that many machines share: it is joined, and can be left before it was.

use std::io;

use crawl_ckpt::control::{Begin, EndReason, Order, SharedCrawl};
use crawl_ckpt::tool::{Exit, Failure};

use super::server::Server;
use super::{Over, to_its_end};
use crate::clock::Clock;
use crate::fleet;
use crate::open::{Opened, Places};
use crate::pipes::{Message, Pipes};
use crate::served::Served;

/// Joins a crawl, and serves it.
pub fn crawl(
    places: Places,
    begin: Begin,
    shared: SharedCrawl,
    pipes: &mut Pipes,
    (clock, quiet): (Clock, bool),
) -> Result<Over, Failure> {
    let joining = fleet::Joining::start(places, begin, shared)?;
    let (mut opened, begin, words) = match wait_to_join(&joining, pipes)? {
        Entrance::Opened(opened, begin, words) => (*opened, *begin, words),
        Entrance::ToldToEnd(exit) => {
            return Ok(Over {
                reason: EndReason::Paused,
                progress: Box::default(),
                result: Ok(exit),
            });
        }
    };
    if let Some(bell) = opened.crawl.bell() {
        pipes.hear_bell(bell);
    }
    let watched = pipes.conductor().and_then(|conductor| match conductor {
        Some(conductor) => fleet::end_when_alone(conductor),
        None => Ok(()),
    });
    watched.map_err(|e| Failure::new(format_args!("cannot watch crawl-run: {e}")))?;
    let mut server = Server::new(opened, begin, pipes, (clock, quiet, false));
    words.into_iter().for_each(|word| server.heed(word));
    to_its_end(server)
}

/// What came of joining a crawl.
enum Entrance {
    /// It is joined; and what else was said meanwhile.
    Opened(Box<Opened<fleet::Fleet>>, Box<Begin>, Vec<Message>),
    ToldToEnd(Exit),
}

/// Waits until a crawl is joined. A store that does not answer keeps nobody from ending.
fn wait_to_join(joining: &fleet::Joining, pipes: &mut Pipes) -> Result<Entrance, Failure> {
    let cannot = |e: io::Error| Failure::new(format_args!("cannot wait for the store: {e}"));
    pipes.hear_bell(joining.bell().map_err(cannot)?);
    let mut others = Vec::new();
    loop {
        if let Some((opened, begin)) = joining.joined() {
            return Ok(Entrance::Opened(Box::new(opened?), Box::new(begin), others));
        }
        for word in pipes.wait(None).map_err(cannot)? {
            match word {
                Message::Order(Order::Pause { .. }) => {
                    return Ok(Entrance::ToldToEnd(Exit::Interrupted));
                }
                Message::Signal(signal) => {
                    return Ok(Entrance::ToldToEnd(Exit::from_signal(signal)));
                }
                Message::ConductorGone => return Ok(Entrance::ToldToEnd(Exit::Failed)),
                other @ Message::Order(_) => others.push(other),
            }
        }
    }
}
