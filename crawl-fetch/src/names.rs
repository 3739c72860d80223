//! From host names to addresses: looked up once for many requests, within a time
//! limit, and never to a private address unless that was asked for.
//!
//! ureq connects only to what this gives it, so a name that changes its mind
//! between check and use (DNS rebinding) gains nothing.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use crawl_ckpt::address::{is_localhost, is_private};
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::failure::{Private, Unknown};

/// How long an answer is used.
const KEEP_ANSWER: Duration = Duration::from_secs(60);

/// How long a failure is used.
const KEEP_FAILURE: Duration = Duration::from_secs(5);

/// At most so many names are remembered.
const MAX_NAMES: usize = 10_000;

/// At most so many addresses of a name are tried.
const MAX_ADDRESSES: usize = 8;

/// Stack of a thread that waits for the system's resolver.
const STACK_BYTES: usize = 256 << 10;

type Answer = Result<Arc<[IpAddr]>, Arc<io::Error>>;

/// Looks names up, for all agents.
#[derive(Debug, Default)]
pub struct Names {
    known: Mutex<HashMap<String, Arc<Lookup>>>,
}

#[derive(Debug)]
struct Lookup {
    started: Instant,
    answer: Mutex<Option<Answer>>,
    arrived: Condvar,
}

impl Names {
    /// The addresses of a name; `None` when they did not come in time.
    fn lookup(&self, host: &str, limit: Option<Duration>) -> io::Result<Option<Answer>> {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let lookup = self.known_or_started(host)?;
        let mut answer = lookup.answer.lock().unwrap_or_else(PoisonError::into_inner);
        while answer.is_none() {
            let left = match deadline {
                None => Duration::from_secs(3600),
                Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            };
            if left.is_zero() {
                return Ok(None);
            }
            answer = match lookup.arrived.wait_timeout(answer, left) {
                Ok((answer, _)) => answer,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        Ok(answer.clone())
    }

    fn known_or_started(&self, host: &str) -> io::Result<Arc<Lookup>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lookup) = known.get(host).filter(|lookup| lookup.is_fresh()) {
            return Ok(Arc::clone(lookup));
        }
        if known.len() >= MAX_NAMES {
            known.retain(|_, lookup| lookup.is_fresh());
            if known.len() >= MAX_NAMES {
                known.clear();
            }
        }
        let lookup = Arc::new(Lookup {
            started: Instant::now(),
            answer: Mutex::new(None),
            arrived: Condvar::new(),
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
        let answer = (name, 0).to_socket_addrs();
        let mut found: Vec<IpAddr> = Vec::new();
        let answer = answer.map(|addresses| {
            for address in addresses.map(|address| address.ip()) {
                if !found.contains(&address) {
                    found.push(address);
                }
            }
            Arc::from(found)
        });
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(answer.map_err(Arc::new));
        self.arrived.notify_all();
    }

    fn is_fresh(&self) -> bool {
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let keep = match &*answer {
            None => return true,
            Some(Ok(_)) => KEEP_ANSWER,
            Some(Err(_)) => KEEP_FAILURE,
        };
        self.started.elapsed() < keep
    }
}

/// The resolver of one route: what it may lead to, over the shared names.
#[derive(Debug)]
pub struct RouteNames {
    /// Shared by all routes.
    pub names: Arc<Names>,
    /// Private addresses are fine.
    pub allow_private: bool,
    /// The proxy's own host, which may be anywhere.
    pub proxy_host: Option<String>,
}

impl Resolver for RouteNames {
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
            Err(e) => return Err(Error::Other(Box::new(Unknown(e.to_string())))),
        };
        let anywhere =
            self.allow_private || is_localhost(host) || self.proxy_host.as_deref() == Some(host);
        let allowed = addresses.iter().filter(|ip| anywhere || !is_private(**ip));
        for ip in allowed.take(MAX_ADDRESSES) {
            found.push(SocketAddr::new(*ip, port));
        }
        match (found.is_empty(), addresses.first()) {
            (false, _) => Ok(found),
            (true, Some(ip)) => Err(Error::Other(Box::new(Private(*ip)))),
            (true, None) => Err(Error::HostNotFound),
        }
    }
}
