//! `--robots`: robots.txt is obeyed when this tool is used alone. Under crawl-run
//! the frontier asks for it as for any page, and decides itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crawl_ckpt::mutex::lock;
use crawl_ckpt::record::{ErrorKind, FetchResult, Kind, Request};
use crawl_ckpt::robots::{
    Answer, MAX_BYTES, Robots, disallowed, of_status, unreachable, whole_lines,
};
use url::Url;

use crate::failure::Failure;
use crate::http::body::{BodyReader, Limit};
use crate::http::call::{Caller, Reach};
use crate::http::stall::Stall;
use crate::memory::Share;

/// Redirects that are followed to a robots.txt (RFC 9309, 2.3.1.2).
const MAX_REDIRECTS: u32 = 5;

/// How long a robots.txt is used (RFC 9309, 2.4).
const KEEP_RULES: Duration = Duration::from_secs(24 * 3600);

/// How long one that could not be had is taken for "nothing is allowed".
const KEEP_FAILURE: Duration = Duration::from_secs(60);

/// At most so many hosts are remembered.
const MAX_HOSTS: usize = 100_000;

/// Knows the rules of the hosts that were asked so far.
pub struct Gate {
    /// The product token that rules are read for.
    pub token: String,
    hosts: Mutex<HashMap<String, Arc<Mutex<AskedHost>>>>,
}

/// What a host's robots.txt says, once it was asked. Whoever asks holds the lock,
/// so that the others wait for the answer rather than ask as well.
#[derive(Default)]
struct AskedHost(Option<(Instant, HostRules)>);

enum HostRules {
    Known(Robots),
    /// It could not be had, so nothing is allowed for now.
    Unreachable(String),
}

impl Gate {
    /// No host was asked yet.
    pub fn new(token: &str) -> Gate {
        Gate {
            token: token.to_owned(),
            hosts: Mutex::default(),
        }
    }

    /// Looks whether a URL may be fetched; asks its host when need be.
    ///
    /// # Errors
    /// When robots.txt disallows it, or could not be had.
    pub fn check(&self, caller: &Caller, url: &Url, proxy: Option<&str>) -> Result<(), Failure> {
        let host = self.host(url);
        let mut host = patiently(&host);
        let fresh = host.0.take_if(|(at, rules)| {
            let keep = match rules {
                HostRules::Known(_) => KEEP_RULES,
                HostRules::Unreachable(_) => KEEP_FAILURE,
            };
            at.elapsed() >= keep
        });
        drop(fresh);
        let (_, rules) = match &mut host.0 {
            Some(known) => known,
            unknown => unknown.insert((Instant::now(), self.ask(caller, url, proxy)?)),
        };
        let verdict = match rules {
            HostRules::Known(robots) => robots.verdict(url.as_str()),
            HostRules::Unreachable(why) => {
                return Err(Failure::new(ErrorKind::Robots, unreachable(why)));
            }
        };
        if verdict.allowed {
            return Ok(());
        }
        let line = verdict.line.unwrap_or_default();
        Err(Failure::new(ErrorKind::Robots, disallowed(line)))
    }

    fn host(&self, url: &Url) -> Arc<Mutex<AskedHost>> {
        let key = url.origin().ascii_serialization();
        let mut hosts = lock(&self.hosts);
        if hosts.len() >= MAX_HOSTS && !hosts.contains_key(&key) {
            hosts.clear();
        }
        Arc::clone(hosts.entry(key).or_default())
    }

    /// RFC 9309, 2.3.1: no such file allows all; no answer allows nothing.
    ///
    /// # Errors
    /// When this machine has not enough of something to ask.
    fn ask(&self, caller: &Caller, url: &Url, proxy: Option<&str>) -> Result<HostRules, Failure> {
        let mut result = FetchResult::default();
        let rules = self.rules(caller, url, proxy, &mut result);
        caller.set_aside(result);
        rules
    }

    fn rules(
        &self,
        caller: &Caller,
        url: &Url,
        proxy: Option<&str>,
        result: &mut FetchResult<'_>,
    ) -> Result<HostRules, Failure> {
        let mut robots = url.clone();
        robots.set_path("/robots.txt");
        robots.set_query(None);
        let request = Request {
            url: robots.as_str().into(),
            proxy: proxy.map(Into::into),
            kind: Kind::Robots,
            ..Request::default()
        };
        let reach = Reach {
            max_redirects: MAX_REDIRECTS,
            may: &|_| Ok(()),
            started: Instant::now(),
            headers: &caller.headers,
            limit: None,
        };
        let answer = caller.call(&robots, &request, &reach, result);
        let mut answer = match answer {
            Ok(answer) => answer,
            // Redirects in a circle are no file.
            Err(failure) if failure.kind == ErrorKind::Redirect => {
                return Ok(HostRules::Known(Robots::default()));
            }
            Err(failure) if failure.is_shortage => return Err(failure),
            Err(failure) => return Ok(HostRules::Unreachable(failure.message)),
        };
        let status = answer.response.status().as_u16();
        if Answer::of(status) != Answer::File && caller.archive.is_some() {
            caller.leave(&request, &mut answer, result)?;
        }
        match Answer::of(status) {
            Answer::File => {}
            Answer::NoFile => return Ok(HostRules::Known(Robots::default())),
            Answer::Unreachable => return Ok(HostRules::Unreachable(of_status(status))),
        }
        let limit = Limit {
            bytes: MAX_BYTES,
            cut: true,
        };
        let mut reader = BodyReader::default();
        let memory = (&mut reader, &mut Share::uncounted());
        let text = caller.receive(&request, &mut answer, limit, memory, result);
        match text {
            Ok(text) => {
                let text = String::from_utf8_lossy(whole_lines(text));
                Ok(HostRules::Known(Robots::parse(&text, &self.token)))
            }
            Err(failure) if failure.is_shortage => Err(failure),
            Err(failure) => Ok(HostRules::Unreachable(failure.message)),
        }
    }
}

/// Locks a host's rules. Somebody else may just ask for them, for as long as it takes.
fn patiently(host: &Mutex<AskedHost>) -> MutexGuard<'_, AskedHost> {
    if let Ok(host) = host.try_lock() {
        return host;
    }
    let mut stall = Stall::begin();
    stall.leave();
    lock(host)
}
