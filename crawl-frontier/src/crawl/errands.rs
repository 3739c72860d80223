//! Requests that are none for a page of the crawl: for a host's robots.txt, and probes of the
//! network. The store knows nothing of them.

use std::collections::HashMap;

use crawl_ckpt::record::{Kind, Request};

use crate::schedule::HostId;

/// Requests for robots.txt have ids from here on, which no page's request reaches.
const ROBOTS_ID: u64 = 1 << 52;
/// The id of a probe of the network.
const PROBE_ID: u64 = ROBOTS_ID + (1 << 40);

/// Those that are under way.
#[derive(Debug, Default)]
pub struct Errands {
    /// Hosts whose robots.txt was asked for, and when.
    files: HashMap<HostId, u64>,
    /// When the probe was sent.
    probe: Option<u64>,
}

/// What a request that is none for a page was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// The file of this host.
    File(HostId),
    /// To see whether anybody answers.
    Probe,
}

impl Errands {
    /// How many are under way.
    pub fn under_way(&self) -> usize {
        self.files.len() + usize::from(self.probe.is_some())
    }

    /// The hosts whose robots.txt is asked for.
    pub fn files(&self) -> Vec<HostId> {
        self.files.keys().copied().collect()
    }

    /// A host whose robots.txt is asked for.
    pub fn waited_for(&self) -> Option<HostId> {
        self.files.keys().copied().min()
    }

    /// The request for a host's robots.txt, which is sent now.
    pub fn ask_for_file(
        &mut self,
        host: HostId,
        url: String,
        proxy: Option<&str>,
        now_ms: u64,
    ) -> Request<'static> {
        self.files.insert(host, now_ms);
        request(url, ROBOTS_ID + u64::from(host.0), Kind::Robots, proxy)
    }

    /// A request, which is sent now, only to see whether an answer comes.
    pub fn probe(&mut self, url: String, proxy: Option<&str>, now_ms: u64) -> Request<'static> {
        self.probe = Some(now_ms);
        request(url, PROBE_ID, Kind::Page, proxy)
    }

    /// Whether a request has an id of those that are given here.
    pub fn is_ours(id: u64) -> bool {
        id >= ROBOTS_ID
    }

    /// The request with this id is not under way any more; what it was for. `None`: it was not.
    pub fn came(&mut self, id: u64) -> Option<Errand> {
        if id == PROBE_ID {
            return self.probe.take().map(|_| Errand::Probe);
        }
        let host = HostId(u32::try_from(id.checked_sub(ROBOTS_ID)?).ok()?);
        let was = self.files.remove(&host);
        was.map(|_| Errand::File(host))
    }

    /// True for the id of a request that is under way.
    pub fn is_under_way(&self, id: u64) -> bool {
        let host = id.checked_sub(ROBOTS_ID).map(u32::try_from);
        let is_file = matches!(host, Some(Ok(host)) if self.files.contains_key(&HostId(host)));
        is_file || (id == PROBE_ID && self.probe.is_some())
    }

    /// The ids of those that were sent before this time.
    pub fn asked_before(&self, time_ms: u64) -> Vec<u64> {
        let probe = self.probe.filter(|sent_ms| *sent_ms < time_ms);
        let files = self.files.iter();
        let files = files.filter(|(_, sent_ms)| **sent_ms < time_ms);
        let files = files.map(|(host, _)| ROBOTS_ID + u64::from(host.0));
        files.chain(probe.map(|_| PROBE_ID)).collect()
    }

    /// The whole crawl was stopped for so long, the fetcher too.
    pub fn slept(&mut self, for_ms: u64) {
        for sent_ms in self.files.values_mut().chain(&mut self.probe) {
            *sent_ms += for_ms;
        }
    }
}

fn request(url: String, id: u64, kind: Kind, proxy: Option<&str>) -> Request<'static> {
    Request {
        url: url.into(),
        id: Some(id),
        kind,
        proxy: proxy.map(|proxy| proxy.to_owned().into()),
        ..Request::default()
    }
}
