//! Through which proxy a host is fetched, and when a human must decide.
//!
//! A ladder of routes, the cheapest first: a host that blocks is moved to the
//! next rung. On the last rung blocks are collected: a success between them
//! shows that single pages are refused, which have then failed for good; too
//! many without one park the host, if a costlier proxy could be approved.

use std::collections::{BTreeMap, HashMap};

use crawl_ckpt::control::KnownHost;
use crawl_ckpt::plan::Plan;
use crawl_ckpt::record::FetchResult;
use serde::{Deserialize, Serialize};

use crate::schedule::HostId;

/// Blocks on the last rung, without a success between, that park a host.
const BLOCKS_TO_PARK: u32 = 5;
/// The proxy that `auto` may use unasked.
const UNASKED: &str = "datacenter";

/// The routes of all hosts; `R` is what is kept of a refused request.
#[derive(Debug)]
pub struct Routes<R> {
    /// What a request's `proxy` says on each rung; `None`: nothing.
    ladder: Vec<Option<String>>,
    /// A proxy beyond the ladder is configured.
    costlier: bool,
    hosts: HashMap<HostId, Route>,
    /// What earlier crawls learned of hosts that were not met yet.
    known: BTreeMap<String, KnownHost>,
    /// Refused on the last rung, and nobody knows yet whether it is the page or the host.
    refused: HashMap<HostId, Vec<R>>,
    /// So many.
    refused_count: usize,
}

/// What the checkpoint keeps of a host's route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Route {
    rung: usize,
    blocks: u32,
    parked: bool,
    why: String,
    /// When an earlier crawl learned it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    learned_s: Option<u64>,
}

/// What a block means for the request.
#[derive(Debug, PartialEq, Eq)]
pub enum Block<R> {
    /// The request has failed for good, and is given back.
    Final(R),
    /// The host is on the next rung now, where the request is tried again; it is given back.
    Climb(R),
    /// It waits until it is known whether the page or the host is blocked.
    Wait,
    /// The host is parked; these are pending until a human decides.
    Park(Vec<R>),
}

impl<R> Routes<R> {
    /// The routes that a plan allows.
    pub fn new(plan: &Plan) -> Routes<R> {
        let named = |name: &str| plan.proxies.iter().any(|proxy| proxy == name);
        let (ladder, costlier) = match plan.proxy_type.as_str() {
            "" | "auto" if plan.proxies.is_empty() => (vec![None], false),
            "" | "auto" => {
                let unasked = named(UNASKED).then(|| Some(UNASKED.to_owned()));
                let costlier = plan.proxies.iter().any(|proxy| proxy != UNASKED);
                ([None].into_iter().chain(unasked).collect(), costlier)
            }
            "none" => (vec![Some("direct".to_owned())], false),
            name => (vec![Some(name.to_owned())], false),
        };
        Routes {
            ladder,
            costlier,
            hosts: HashMap::new(),
            known: BTreeMap::new(),
            refused: HashMap::new(),
            refused_count: 0,
        }
    }

    /// What earlier crawls learned of hosts holds for those that are met from now on.
    pub fn know(&mut self, hosts: BTreeMap<String, KnownHost>) {
        self.known = hosts;
    }

    /// A host is met. True when it goes another way than the first for what is known of it.
    pub fn meet(&mut self, host: HostId, origin: &str) -> bool {
        let Some(known) = self.known.remove(origin) else {
            return false;
        };
        let is_it = |proxy: &Option<String>| proxy.as_deref() == Some(known.proxy.as_str());
        // Another plan has other routes, and a costlier proxy is never taken unasked.
        let Some(rung @ 1..) = self.ladder.iter().position(is_it) else {
            return false;
        };
        let route = Route {
            rung,
            why: known.why,
            learned_s: Some(known.learned_s),
            ..Route::default()
        };
        self.hosts.insert(host, route);
        true
    }

    /// The hosts that do not go the first way, as the next crawl may know them.
    pub fn learned(&self, now_s: u64) -> impl Iterator<Item = (HostId, KnownHost)> {
        self.hosts.iter().filter_map(move |(host, route)| {
            let proxy = self.proxy(route.rung).filter(|_| route.rung > 0)?;
            let known = KnownHost {
                proxy: proxy.to_owned(),
                why: route.why.clone(),
                learned_s: route.learned_s.unwrap_or(now_s),
                used: None,
            };
            Some((*host, known))
        })
    }

    /// Which way a host goes and why, when it is not the first.
    pub fn told(&self, host: HostId) -> Option<String> {
        let route = self.hosts.get(&host).filter(|route| route.rung > 0)?;
        let proxy = self.proxy(route.rung)?;
        let by = match route.learned_s {
            Some(_) => ", as an earlier crawl learned",
            None => "",
        };
        Some(format!("through {proxy}: {}{by}", route.why))
    }

    /// The rung on which the host is fetched.
    pub fn rung(&self, host: HostId) -> usize {
        self.hosts.get(&host).map_or(0, |route| route.rung)
    }

    /// What a request on this rung says in `proxy`.
    pub fn proxy(&self, rung: usize) -> Option<&str> {
        self.ladder.get(rung).and_then(|proxy| proxy.as_deref())
    }

    /// The requests that wait for the outcome of others.
    pub fn refused(&self) -> usize {
        self.refused_count
    }

    /// The host answered without a block: what was refused before has failed for good. The
    /// second value says that the host is parked no longer.
    pub fn succeeded(&mut self, host: HostId) -> (Vec<R>, bool) {
        let Some(route) = self.hosts.get_mut(&host) else {
            return (Vec::new(), false);
        };
        route.blocks = 0;
        let unparked = std::mem::take(&mut route.parked);
        (self.take_refused(host), unparked)
    }

    /// The host blocked a request that was sent on this rung.
    pub fn blocked(&mut self, host: HostId, rung: usize, why: String, request: R) -> Block<R> {
        let last = self.ladder.len() - 1;
        if last == 0 && !self.costlier {
            return Block::Final(request);
        }
        let route = self.hosts.entry(host).or_default();
        route.why = why;
        if rung < last {
            // Others of the host may have moved it on meanwhile.
            route.rung = route.rung.max(rung + 1);
            return Block::Climb(request);
        }
        if !self.costlier {
            return Block::Final(request);
        }
        self.refused.entry(host).or_default().push(request);
        self.refused_count += 1;
        route.blocks += 1;
        if route.blocks < BLOCKS_TO_PARK && !route.parked {
            return Block::Wait;
        }
        route.parked = true;
        Block::Park(self.take_refused(host))
    }

    /// The host blocks before a page was asked for. True when it is on the next rung now.
    pub fn climb(&mut self, host: HostId, why: String) -> bool {
        let rung = self.rung(host);
        if rung + 1 >= self.ladder.len() {
            return false;
        }
        let route = self.hosts.entry(host).or_default();
        (route.rung, route.why) = (rung + 1, why);
        true
    }

    /// What of the host waits for the outcome of others.
    pub fn take_refused(&mut self, host: HostId) -> Vec<R> {
        let refused = self.refused.remove(&host).unwrap_or_default();
        self.refused_count -= refused.len();
        refused
    }

    /// All refused requests, to be pending when the run ends.
    pub fn release(&mut self) -> Vec<(HostId, R)> {
        self.refused_count = 0;
        let refused = std::mem::take(&mut self.refused).into_iter();
        refused
            .flat_map(|(host, list)| list.into_iter().map(move |refused| (host, refused)))
            .collect()
    }

    /// Why a host is parked, if it is.
    pub fn parked(&self, host: HostId) -> Option<&str> {
        let route = self.hosts.get(&host)?;
        route.parked.then_some(route.why.as_str())
    }

    /// What the checkpoint keeps of a host's route; `None` when it is the usual one.
    pub fn saved(&self, host: HostId) -> Option<String> {
        let route = self.hosts.get(&host)?;
        // Numbers and a string: this becomes JSON.
        serde_json::to_string(route).ok()
    }

    /// What the checkpoint keeps of all routes that are not the usual one.
    pub fn all_saved(&self) -> impl Iterator<Item = (HostId, String)> {
        let hosts = self.hosts.keys();
        hosts.filter_map(|host| Some((*host, self.saved(*host)?)))
    }

    /// Takes a host's route from the checkpoint. Under another plan with other routes it
    /// means nothing and is left out.
    pub fn restore(&mut self, host: HostId, saved: &[u8]) {
        let usable = self.ladder.len() > 1 || self.costlier;
        if let Ok(mut route) = serde_json::from_slice::<Route>(saved)
            && usable
        {
            route.rung = route.rung.min(self.ladder.len() - 1);
            route.parked &= self.costlier;
            self.hosts.insert(host, route);
        }
    }
}

/// Why an answer counts as a block, in a few words; `None` when it is none.
pub fn block_of(result: &FetchResult<'_>) -> Option<String> {
    if result.error.is_some() {
        return None;
    }
    match (&result.blocked, result.status) {
        (Some(why), _) => Some(why.to_string()),
        (None, Some(status @ (403 | 429 | 503))) => Some(format!("status {status}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: HostId = HostId(0);

    fn routes(proxy_type: &str, proxies: &[&str]) -> Routes<u32> {
        Routes::new(&Plan {
            proxy_type: proxy_type.into(),
            proxies: proxies.iter().map(|&name| name.into()).collect(),
            ..Plan::default()
        })
    }

    fn block(routes: &mut Routes<u32>, request: u32) -> Block<u32> {
        let rung = routes.rung(HOST);
        routes.blocked(HOST, rung, "status 403".into(), request)
    }

    fn known(proxy: &str) -> BTreeMap<String, KnownHost> {
        let known = KnownHost {
            proxy: proxy.into(),
            why: "status 403".into(),
            learned_s: 7,
            used: None,
        };
        [("http://h".to_owned(), known)].into()
    }

    fn proxy(routes: &Routes<u32>) -> Option<&str> {
        routes.proxy(routes.rung(HOST))
    }

    #[test]
    fn without_a_proxy_a_block_is_the_end() {
        for mut routes in [
            routes("auto", &[]),
            routes("none", &["datacenter", "residential"]),
        ] {
            assert_eq!(block(&mut routes, 1), Block::Final(1));
        }
        assert_eq!(proxy(&routes("none", &[])), Some("direct"));
        assert_eq!(proxy(&routes("auto", &[])), None);
    }

    #[test]
    fn a_named_proxy_takes_everything_and_a_block_is_the_end() {
        let mut routes = routes("residential", &["datacenter", "residential"]);
        assert_eq!(proxy(&routes), Some("residential"));
        assert_eq!(block(&mut routes, 1), Block::Final(1));
    }

    #[test]
    fn a_blocking_host_moves_to_the_datacenter_and_never_further() {
        let mut routes = routes("auto", &["datacenter"]);
        assert_eq!(proxy(&routes), None);
        assert_eq!(block(&mut routes, 1), Block::Climb(1));
        assert_eq!(proxy(&routes), Some("datacenter"));
        // A request that was still under way without a proxy.
        assert_eq!(routes.blocked(HOST, 0, String::new(), 2), Block::Climb(2));
        assert_eq!(block(&mut routes, 1), Block::Final(1));
        assert_eq!(routes.rung(HostId(1)), 0);
    }

    #[test]
    fn five_blocks_without_a_success_park_the_host() {
        let mut routes = routes("auto", &["datacenter", "residential"]);
        assert_eq!(block(&mut routes, 1), Block::Climb(1));
        for request in 1..5 {
            assert_eq!(block(&mut routes, request), Block::Wait);
        }
        assert_eq!(block(&mut routes, 5), Block::Park(vec![1, 2, 3, 4, 5]));
        assert_eq!(routes.parked(HOST), Some("status 403"));
        assert_eq!(proxy(&routes), Some("datacenter"));
    }

    #[test]
    fn a_success_between_shows_that_the_pages_are_refused() {
        let mut routes = routes("auto", &["datacenter", "residential"]);
        block(&mut routes, 1);
        for request in 1..5 {
            block(&mut routes, request);
        }
        assert_eq!(routes.succeeded(HOST), (vec![1, 2, 3, 4], false));
        for request in 1..5 {
            assert_eq!(block(&mut routes, request), Block::Wait);
        }
    }

    #[test]
    fn what_was_learned_outlives_the_run_and_an_approval_opens_the_gate() {
        let mut learned = routes("auto", &["datacenter", "residential"]);
        for request in 0..6 {
            block(&mut learned, request);
        }
        let saved = learned.saved(HOST).unwrap();
        let mut again = routes("auto", &["datacenter", "residential"]);
        again.restore(HOST, saved.as_bytes());
        assert_eq!(proxy(&again), Some("datacenter"));
        assert!(again.parked(HOST).is_some());
        let mut approved = routes("residential", &["datacenter", "residential"]);
        approved.restore(HOST, saved.as_bytes());
        assert_eq!(proxy(&approved), Some("residential"));
        assert!(approved.parked(HOST).is_none());
    }

    #[test]
    fn what_an_earlier_crawl_learned_holds_from_the_first_request_and_is_passed_on_with_its_time() {
        let mut first = routes("auto", &["datacenter", "residential"]);
        block(&mut first, 1);
        let learned: Vec<_> = first.learned(7).collect();
        assert_eq!(learned, [(HOST, known("datacenter")["http://h"].clone())]);
        let mut next = routes("auto", &["datacenter", "residential"]);
        next.know(known("datacenter"));
        assert!(!next.meet(HostId(1), "http://other"));
        assert!(next.meet(HOST, "http://h"));
        assert_eq!(proxy(&next), Some("datacenter"));
        assert_eq!(next.learned(99).collect::<Vec<_>>(), learned);
        let told = "through datacenter: status 403, as an earlier crawl learned";
        assert_eq!(next.told(HOST).as_deref(), Some(told));
    }

    #[test]
    fn no_proxy_is_taken_unasked_for_what_is_known_of_a_host() {
        for (proxy_type, name) in [
            ("auto", "residential"),
            ("none", "datacenter"),
            ("none", "direct"),
            ("residential", "residential"),
        ] {
            let mut routes = routes(proxy_type, &["datacenter", "residential"]);
            routes.know(known(name));
            assert!(!routes.meet(HOST, "http://h"), "{proxy_type} {name}");
            assert_eq!(routes.learned(1).count(), 0);
        }
    }
}
