//! What proxies cost: how much was spent, on which hosts, and whether another request may go.
//!
//! What a request will cost is known when it has. So that no cap is passed, every request under
//! way counts as twice the costliest one so far; near the cap fewer go at once, in the end one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crawl_ckpt::control::{Progress, ProxyUse};
use crawl_ckpt::price::Price;
use crawl_ckpt::record::FetchResult;

use crate::schedule::HostId;

/// As long as few requests came back, one counts for no fewer bytes.
const FIRST_BYTES: u64 = 64 << 10;
const FEW: u64 = 10;

/// So many hosts are told one by one.
const TOLD: usize = 20;

/// What proxies cost.
#[derive(Debug, Default)]
pub struct Costs {
    prices: BTreeMap<String, Price>,
    most: Option<u64>,
    /// All that was spent, in this run and before.
    spent: u64,
    hosts: HashMap<HostId, ProxyUse>,
    /// Those of them that cost most, with what they cost: each commit tells them, and there may be millions.
    dearest: BTreeSet<(Reverse<u64>, HostId)>,
    /// What requests under way may cost, by their id.
    under_way: HashMap<u64, u64>,
    reserved: u64,
    /// Answers of this run, and the most bytes that one took.
    came: u64,
    largest: u64,
    /// A request could not go.
    held: bool,
}

impl Costs {
    /// What they cost, and what the crawl may.
    pub fn set(&mut self, prices: BTreeMap<String, Price>, most: Option<u64>) {
        (self.prices, self.most) = (prices, most);
    }

    /// Takes over what was spent before.
    pub fn restore(&mut self, progress: &Progress) {
        self.spent = progress.spent();
    }

    /// Takes over what was spent on a host.
    pub fn restore_host(&mut self, host: HostId, saved: &[u8]) {
        // Written by us; what an older or newer tool wrote otherwise is no more than a figure.
        if let Ok(used) = serde_json::from_slice(saved) {
            let before = self.hosts.insert(host, used);
            self.tell(host, before.map(|used| used.spent), used.spent);
        }
    }

    /// A host cost so much, and costs so much now, which is no less.
    fn tell(&mut self, host: HostId, before: Option<u64>, now: u64) {
        if let Some(before) = before {
            self.dearest.remove(&(Reverse(before), host));
        }
        self.dearest.insert((Reverse(now), host));
        if self.dearest.len() > TOLD {
            self.dearest.pop_last();
        }
    }

    /// Whether a request may go through a proxy.
    pub fn may_send(&mut self, proxy: Option<&str>) -> bool {
        let Some((most, expected)) = self.most.zip(self.expected(proxy)) else {
            return true;
        };
        let may = self
            .spent
            .saturating_add(self.reserved)
            .saturating_add(expected)
            <= most;
        self.held |= !may;
        may
    }

    /// A request went.
    pub fn sent(&mut self, id: u64, proxy: Option<&str>) {
        if let Some(expected) = self.expected(proxy) {
            self.under_way.insert(id, expected);
            self.reserved += expected;
        }
    }

    /// A request is back. Gives what a checkpoint keeps of its host, when it cost something.
    pub fn came(
        &mut self,
        id: u64,
        host: Option<HostId>,
        result: &FetchResult<'_>,
        progress: &mut Progress,
    ) -> Option<String> {
        if let Some(expected) = self.under_way.remove(&id) {
            self.reserved -= expected;
        }
        let name = result.proxy.as_deref()?;
        let price = *self.prices.get(name)?;
        // A fetcher of another make may count nothing but the body.
        let bytes = result.wire_bytes.or(result.bytes).unwrap_or(0);
        (self.came, self.largest) = (self.came + 1, self.largest.max(bytes));
        let spent = price.of(1, bytes);
        self.spent = self.spent.saturating_add(spent);
        let add = |used: &mut ProxyUse| {
            used.wire_bytes += bytes;
            used.spent = used.spent.saturating_add(spent);
        };
        progress.proxies.get_mut(name).map(add);
        let host = host?;
        let used = self.hosts.entry(host).or_default();
        let before = used.spent;
        used.attempts += 1;
        used.successes += u64::from(super::tally::is_success(result));
        used.bytes += result.bytes.unwrap_or(0);
        add(used);
        let used = *used;
        self.tell(host, Some(before), used.spent);
        // Numbers: this becomes JSON.
        serde_json::to_string(&used).ok()
    }

    /// What a checkpoint keeps of all hosts.
    pub fn all_saved(&self) -> impl Iterator<Item = (HostId, String)> {
        let hosts = self.hosts.iter();
        hosts.filter_map(|(host, used)| Some((*host, serde_json::to_string(used).ok()?)))
    }

    /// Whether the cap keeps a request back. `Some(true)`: nothing under way will change that.
    pub fn is_held(&mut self) -> Option<bool> {
        let held = std::mem::take(&mut self.held);
        held.then_some(self.under_way.is_empty())
    }

    /// What was spent.
    pub fn spent(&self) -> u64 {
        self.spent
    }

    /// What went to a host, when that cost something.
    pub fn of(&self, host: HostId) -> Option<ProxyUse> {
        self.hosts.get(&host).copied()
    }

    /// The hosts that cost most.
    pub fn dearest(&self) -> Vec<(HostId, ProxyUse)> {
        let hosts = self.dearest.iter();
        let used = hosts.filter_map(|&(_, id)| Some((id, self.of(id)?)));
        used.collect()
    }

    fn expected(&self, proxy: Option<&str>) -> Option<u64> {
        let price = self.prices.get(proxy?)?;
        let least = if self.came < FEW { FIRST_BYTES } else { 0 };
        let bytes = self.largest.saturating_mul(2).max(least);
        Some(price.of(1, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: HostId = HostId(0);

    fn costs(price: &str, most: Option<u64>) -> Costs {
        let mut costs = Costs::default();
        let price = Price::parse(price).unwrap();
        costs.set([("paid".to_owned(), price)].into(), most);
        costs
    }

    fn result(proxy: &'static str, wire_bytes: u64) -> FetchResult<'static> {
        FetchResult {
            status: Some(200),
            proxy: Some(proxy.into()),
            wire_bytes: Some(wire_bytes),
            ..FetchResult::default()
        }
    }

    fn used_proxies() -> Progress {
        let used = ProxyUse::default();
        Progress {
            proxies: [("paid".to_owned(), used)].into(),
            ..Progress::default()
        }
    }

    #[test]
    fn what_was_spent_is_told_by_proxy_and_by_host_and_outlives_a_run() {
        let mut costs = costs("1/GB + 0.5/request", None);
        let mut progress = used_proxies();
        costs.sent(1, Some("paid"));
        let saved = costs.came(1, Some(HOST), &result("paid", 500_000_000), &mut progress);
        costs.came(2, Some(HOST), &result("direct", 500_000_000), &mut progress);
        assert_eq!(progress.proxies["paid"].spent, 1_000_000_000);
        assert_eq!(costs.dearest()[0].1.spent, 1_000_000_000);
        let mut again = Costs::default();
        again.restore(&progress);
        again.restore_host(HOST, saved.unwrap().as_bytes());
        assert_eq!(again.spent(), 1_000_000_000);
        assert_eq!(again.dearest(), costs.dearest());
    }

    #[test]
    fn of_many_hosts_the_dearest_are_told_whoever_was_dearest_before() {
        let mut costs = costs("1/GB", None);
        let mut progress = used_proxies();
        let mut spent = [0; 200];
        for n in 0..5000_u64 {
            let (host, bytes) = ((n * n % 199) as usize, n * 7919 % 5003 * 1000);
            spent[host] += bytes;
            let id = Some(HostId(host as u32));
            costs.came(n, id, &result("paid", bytes), &mut progress);
        }
        let mut all: Vec<_> = (0..).zip(spent).filter(|(_, spent)| *spent > 0).collect();
        all.sort_by_key(|(host, spent)| (Reverse(*spent), *host));
        let told = costs.dearest().into_iter();
        let told: Vec<(u32, u64)> = told.map(|(id, used)| (id.0, used.spent)).collect();
        assert_eq!(told, all[..TOLD]);
    }

    #[test]
    fn requests_under_way_count_before_they_are_back() {
        let mut costs = costs("1/request", Some(3_500_000_000));
        for id in 0..3 {
            assert!(costs.may_send(Some("paid")));
            costs.sent(id, Some("paid"));
        }
        assert!(!costs.may_send(Some("paid")));
        assert_eq!(costs.is_held(), Some(false));
        assert_eq!(costs.is_held(), None);
        // Nobody pays for these.
        assert!(costs.may_send(Some("direct")) && costs.may_send(None));
        let mut progress = used_proxies();
        for id in 0..3 {
            costs.came(id, Some(HOST), &result("paid", 0), &mut progress);
        }
        assert!(!costs.may_send(Some("paid")));
        assert_eq!(costs.is_held(), Some(true));
    }

    #[test]
    fn a_page_is_expected_to_be_twice_as_large_as_any_before() {
        let mut costs = costs("1/GB", Some(1_000_000));
        let mut progress = used_proxies();
        for id in 0..20 {
            costs.sent(id, Some("paid"));
            costs.came(id, Some(HOST), &result("paid", 40_000), &mut progress);
        }
        // 800,000 of a million bytes are used, and one more may take 80,000.
        for id in 20..22 {
            assert!(costs.may_send(Some("paid")));
            costs.sent(id, Some("paid"));
        }
        assert!(!costs.may_send(Some("paid")));
    }
}
