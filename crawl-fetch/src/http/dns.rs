//! From host names to addresses: looked up once for many requests, within a time
//! limit, and never to a private address unless that was asked for.
//!
//! ureq connects only to what this gives it, so a name that changes its mind
//! between check and use (DNS rebinding) gains nothing.

use std::collections::HashMap;
use std::fs::File;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use crawl_ckpt::address::{is_localhost, is_private};
use crawl_ckpt::mutex::lock;
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::failure::is_shortage;
use crate::http::dial::in_turns;
use crate::http::stall::Stall;

/// How long an answer is used.
const KEEP_ANSWER: Duration = Duration::from_secs(60);

/// An answer of at least this age is not used any more once nobody answers there.
const DOUBT_ANSWER: Duration = Duration::from_millis(500);

/// How long a failure is used. Less than the shortest pause before a retry (0.75 s), or the
/// retries would all get the same one.
const KEEP_FAILURE: Duration = Duration::from_millis(500);

/// A look-up that fails needs so many descriptors to be free, else the failure may be our own.
const LOOKUP_DESCRIPTORS: usize = 4;

/// At most so many names are remembered.
const MAX_NAMES: usize = 10_000;

/// At most so many addresses of a name are tried.
const MAX_ADDRESSES: usize = 8;

/// Stack of a thread that waits for the system's resolver.
const STACK_BYTES: usize = 256 << 10;

type Addresses = Result<Arc<[IpAddr]>, Arc<io::Error>>;

/// Looks names up, for all agents.
#[derive(Debug, Default)]
pub struct NameCache {
    known: Mutex<HashMap<String, Arc<Lookup>>>,
}

#[derive(Debug)]
struct Lookup {
    /// With when it came.
    answer: Mutex<Option<(Instant, Addresses)>>,
    arrived: Condvar,
    /// The address that a connection was made to when others had failed.
    best: Mutex<Option<IpAddr>>,
}

impl NameCache {
    /// The addresses of a name, the best one first; `None` when they did not come in time.
    fn lookup(&self, host: &str, limit: Option<Duration>) -> io::Result<Option<Addresses>> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let lookup = self.known_or_started(host)?;
        let found = {
            // Ends behind the lock, and may wait itself.
            let mut stall = None;
            let mut answer = lock(&lookup.answer);
            while answer.is_none() {
                let left = match deadline {
                    None => Duration::from_secs(3600),
                    Some(deadline) => deadline.saturating_duration_since(Instant::now()),
                };
                if left.is_zero() {
                    return Ok(None);
                }
                let stall = stall.get_or_insert_with(Stall::begin);
                answer = match lookup.arrived.wait_timeout(answer, stall.slice(left)) {
                    Ok((answer, _)) => answer,
                    Err(poisoned) => poisoned.into_inner().0,
                };
                stall.go_on();
            }
            answer.clone().map(|(_, answer)| answer)
        };
        Ok(found)
    }

    /// This address answered when those before it did not: it is tried first from now on.
    pub fn prefer(&self, host: &str, ip: IpAddr) {
        if let Some(lookup) = lock(&self.known).get(host) {
            *lock(&lookup.best) = Some(ip);
        }
    }

    /// Nobody answered where a name leads. An answer that was old then is not used any more.
    /// Returns whether that is so.
    pub fn forget(&self, host: &str, then: Instant) -> bool {
        let mut known = lock(&self.known);
        let is_old = known.get(host).is_some_and(|lookup| {
            let answer = lock(&lookup.answer);
            let came = answer.as_ref().map(|(came, _)| *came);
            came.is_some_and(|came| then.saturating_duration_since(came) >= DOUBT_ANSWER)
        });
        if is_old {
            known.remove(host);
        }
        is_old
    }

    fn best(&self, host: &str) -> Option<IpAddr> {
        let lookup = lock(&self.known).get(host).map(Arc::clone)?;
        *lock(&lookup.best)
    }

    fn known_or_started(&self, host: &str) -> io::Result<Arc<Lookup>> {
        let mut known = lock(&self.known);
        let old = known.get(host);
        if let Some(lookup) = old.filter(|lookup| lookup.is_fresh()) {
            return Ok(Arc::clone(lookup));
        }
        let best = old.and_then(|lookup| *lock(&lookup.best));
        if known.len() >= MAX_NAMES {
            known.retain(|_, lookup| lookup.is_fresh());
            if known.len() >= MAX_NAMES {
                known.clear();
            }
        }
        let lookup = Arc::new(Lookup {
            answer: Mutex::new(None),
            arrived: Condvar::new(),
            best: Mutex::new(best),
        });
        let (name, slot) = (host.to_owned(), Arc::clone(&lookup));
        // The system's resolver knows no deadline, so a thread waits for it.
        let thread = thread::Builder::new().name("resolve".into());
        thread
            .stack_size(STACK_BYTES)
            .spawn(move || slot.ask(&name))?;
        known.insert(host.to_owned(), Arc::clone(&lookup));
        Ok(lookup)
    }
}

impl Lookup {
    fn ask(&self, name: &str) {
        let mut found: Vec<IpAddr> = Vec::new();
        let answer = (name, 0).to_socket_addrs().or_else(|error| {
            // The resolver says of a socket that it could not get that the name is not known.
            has_descriptors()?;
            Err(error)
        });
        let answer = answer.map(|addresses| {
            for address in addresses.map(|address| address.ip()) {
                if !found.contains(&address) {
                    found.push(address);
                }
            }
            Arc::from(found)
        });
        *lock(&self.answer) = Some((Instant::now(), answer.map_err(Arc::new)));
        self.arrived.notify_all();
    }

    fn is_fresh(&self) -> bool {
        match &*lock(&self.answer) {
            None => true,
            Some((came, Ok(_))) => came.elapsed() < KEEP_ANSWER,
            Some((_, Err(error))) if is_shortage(error) => false,
            Some((came, Err(_))) => came.elapsed() < KEEP_FAILURE,
        }
    }
}

/// Looks whether a look-up can have what it needs just now.
fn has_descriptors() -> io::Result<()> {
    let open = |_| File::open("/dev/null");
    let opened: io::Result<Vec<File>> = (0..LOOKUP_DESCRIPTORS).map(open).collect();
    match opened {
        Err(error) if is_shortage(&error) => Err(error),
        _ => Ok(()),
    }
}

/// The resolver of one route: what it may lead to, over the shared names.
#[derive(Debug)]
pub struct RouteResolver {
    /// Shared by all routes.
    pub names: Arc<NameCache>,
    /// Private addresses are fine.
    pub allow_private: bool,
    /// The proxy's own host, which may be anywhere.
    pub proxy_host: Option<String>,
}

impl Resolver for RouteResolver {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(match uri.scheme_str() {
            Some("https") => 443,
            Some("http") => 80,
            _ => 1080,
        });
        let mut found = self.empty();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = bare.parse() {
            // A literal in a request is meant; in a redirect it was looked at before.
            found.push(SocketAddr::new(ip, port));
            return Ok(found);
        }
        let limit = timeout.not_zero().map(|left| *left);
        let answer = self.names.lookup(host, limit)?;
        let addresses = match answer.ok_or(Error::Timeout(timeout.reason))? {
            Ok(addresses) => addresses,
            Err(e) if is_shortage(&e) => {
                let short = e.raw_os_error().map(io::Error::from_raw_os_error);
                return Err(Error::Io(short.unwrap_or_else(|| e.kind().into())));
            }
            Err(e) => return Err(Error::Other(Box::new(Unknown(e.to_string())))),
        };
        let anywhere =
            self.allow_private || is_localhost(host) || self.proxy_host.as_deref() == Some(host);
        let allowed = addresses.iter().filter(|ip| anywhere || !is_private(**ip));
        let allowed: Vec<_> = allowed.map(|ip| SocketAddr::new(*ip, port)).collect();
        match &allowed[..] {
            [] => {}
            [only] => found.push(*only),
            several => {
                let mut turns = in_turns(several);
                let best = self.names.best(host);
                if let Some(place) = turns.iter().position(|one| Some(one.ip()) == best) {
                    turns[..=place].rotate_right(1);
                }
                for address in turns.into_iter().take(MAX_ADDRESSES) {
                    found.push(address);
                }
            }
        }
        match (found.is_empty(), addresses.first()) {
            (false, _) => Ok(found),
            (true, Some(ip)) => Err(Error::Other(Box::new(Private(*ip)))),
            (true, None) => Err(Error::HostNotFound),
        }
    }
}

/// A name that the system's resolver does not know.
#[derive(Debug)]
pub struct Unknown(pub String);

/// A name that leads to a private address.
#[derive(Debug)]
pub struct Private(pub IpAddr);

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name leads to the private address {}", self.0)
    }
}

impl std::error::Error for Unknown {}
impl std::error::Error for Private {}
