//! What a crawl knows at each commit, and which of these states may be found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crawl_ckpt::delta::LEARNED;
use crawl_ckpt::journal::Commit;
use serde::{Deserialize, Serialize};

/// What a crawl knows at one commit. URLs are numbers here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The number of the commit.
    pub commit: u64,
    pub pending: BTreeSet<u64>,
    pub deferred: BTreeMap<u64, u64>,
    pub finished: BTreeSet<u64>,
    pub values: BTreeMap<String, Vec<u8>>,
    /// The output's committed bytes.
    pub output: String,
    /// What was learned of finished URLs: the commit in which they were.
    pub learned: BTreeMap<u64, u64>,
}

/// What may be found.
#[derive(Debug, Clone, Default)]
pub struct Model {
    /// All that were attempted, by number of the commit.
    pub states: Vec<Arc<State>>,
    /// The last that was acknowledged; `None` before the job was.
    pub acknowledged: Option<u64>,
    pub is_removing: bool,
    pub is_compacting: bool,
    /// The tag in the manifest: acknowledged, attempted.
    pub tag: (u64, u64),
}

pub fn url_of(number: u64) -> String {
    format!("https://site.example/some/page/{number}")
}

pub fn fingerprint_of(number: u64) -> [u8; 16] {
    u128::from(number).to_be_bytes()
}

impl State {
    /// The commit of this state, with so many bytes learned.
    pub fn to_commit(&self, learned_bytes: u64) -> Commit {
        let mut commit = Commit {
            at_ms: self.commit,
            ..Commit::default()
        };
        let output = ("output".to_owned(), self.output.len() as u64);
        commit.files = [output, (LEARNED.to_owned(), learned_bytes)].into();
        commit
    }

    /// What happens next: two URLs are taken on, up to two finish, one must wait, a value changes.
    pub fn advance(&mut self, next_url: &mut u64) -> Vec<Fact> {
        self.commit += 1;
        let n = self.commit;
        let mut facts = Vec::new();
        for _ in 0..2 {
            self.pending.insert(*next_url);
            facts.push(Fact::Request(*next_url));
            *next_url += 1;
        }
        for url in self
            .pending
            .iter()
            .copied()
            .filter(|url| url % 3 != n % 3)
            .take(2)
            .collect::<Vec<_>>()
        {
            self.pending.remove(&url);
            self.deferred.remove(&url);
            self.finished.insert(url);
            self.learned.insert(url, n);
            self.output
                .push_str(&format!("{{\"url\":\"{}\",\"commit\":{n}}}\n", url_of(url)));
            facts.push(Fact::Done(url));
        }
        if let Some(&url) = self.pending.last() {
            self.deferred.insert(url, n * 1000);
            facts.push(Fact::Defer(url, n * 1000));
        }
        let key = format!("key-{}", n % 5);
        if n.is_multiple_of(7) {
            self.values.remove(&key);
            facts.push(Fact::Unset(key));
        } else {
            // Now and then a value that fills many sectors.
            let value = vec![n as u8; if n.is_multiple_of(11) { 5000 } else { 20 }];
            self.values.insert(key.clone(), value.clone());
            facts.push(Fact::Set(key, value));
        }
        facts
    }
}

pub enum Fact {
    Request(u64),
    Done(u64),
    Defer(u64, u64),
    Set(String, Vec<u8>),
    Unset(String),
}
