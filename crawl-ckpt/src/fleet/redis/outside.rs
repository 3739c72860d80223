//! What a store is asked by who takes no part in its crawls. Nothing here writes but what says so.

use ::redis::{Value, cmd, from_redis_value, pipe};

use super::{
    CRAWLS, RedisDepot, STATE, StreamEntry, bases, call, course_of, field, scripts, view_of,
};
use crate::fleet::{Course, CrawlName, DepotError, JournalHead, PartView};
use crate::journal::{Commit, commit_of};

/// So many partitions' last batches come at once: each may have some MiB.
const LAST_BATCHES: u32 = 16;

/// What a partition has.
const KEYS: [&str; 7] = ["log", "base:0", "base:1", "in", "senders", "l", "out"];

/// A partition, as it is seen without a word to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Glance {
    /// Who has it, and how far it is.
    pub view: PartView,
    /// Its journal.
    pub head: JournalHead,
    /// Letters that wait in its inbox, or were taken and not struck out yet.
    pub letters: u64,
}

/// What keys take in the engine's memory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyBytes {
    /// The journals of the partitions.
    pub journal: u64,
    /// Their inboxes.
    pub letters: u64,
    /// Everything else.
    pub other: u64,
}

impl KeyBytes {
    /// All of it.
    pub fn sum(&self) -> u64 {
        self.journal + self.letters + self.other
    }
}

/// How the engine itself is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineHealth {
    /// Memory in use, in bytes.
    pub memory_bytes: u64,
    /// It takes no more than this; 0: as much as there is.
    pub most_bytes: u64,
    /// Its append-only file, in bytes.
    pub disk_bytes: u64,
    /// The fewest replicas that listen to a node.
    pub replicas: u32,
    /// The most.
    pub most_replicas: u32,
    /// Nodes that do not answer.
    pub silent: u32,
    /// A node takes nothing more.
    pub is_full: bool,
    /// It could not write its append-only file the last time.
    pub cannot_write: bool,
}

impl RedisDepot {
    /// The crawls in the store, sorted.
    ///
    /// # Errors
    /// Those of the engine, here and in all others.
    pub fn crawls(&mut self) -> Result<Vec<CrawlName>, DepotError> {
        let names: Vec<String> = self.ask(cmd("SMEMBERS").arg(CRAWLS))?;
        let names = names.iter().filter_map(|name| CrawlName::parse(name));
        let mut names: Vec<CrawlName> = names.collect();
        names.sort();
        Ok(names)
    }

    /// What is asked next is asked of this crawl.
    pub fn turn_to(&mut self, name: &CrawlName) {
        self.spider.clone_from(&name.spider);
        self.crawl_id.clone_from(&name.crawl_id);
    }

    /// What the crawl began with; `None` when there is no such crawl.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn job(&mut self) -> Result<Option<String>, DepotError> {
        let key = self.whole("job");
        self.ask(cmd("GET").arg(&key))
    }

    /// The counters of the workers.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn beats(&mut self) -> Result<Vec<(String, u64)>, DepotError> {
        let key = self.whole("w");
        let mut beats: Vec<(String, u64)> = self.ask(cmd("HGETALL").arg(&key))?;
        beats.sort();
        Ok(beats)
    }

    /// All partitions.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn glance(&mut self) -> Result<Vec<Glance>, DepotError> {
        let mut all = pipe();
        for part in 0..self.parts {
            let state = all.cmd("HMGET").arg(self.key(part, "l"));
            state.arg(&STATE).arg("sum").arg("base");
            all.cmd("HLEN").arg(self.key(part, "in"));
        }
        let told: Vec<Value> = self.ask_all(&all)?;
        let unsure = |e: ::redis::ParsingError| DepotError::Unsure(e.to_string());
        let pairs = told.chunks_exact(2).map(|pair| {
            let fields: Vec<Option<Vec<u8>>> =
                ::redis::from_redis_value_ref(&pair[0]).map_err(unsure)?;
            let text = |at: usize| fields.get(at).and_then(|field| field.as_deref());
            let sum = text(STATE.len()).unwrap_or_default();
            let view = view_of(&fields);
            Ok(Glance {
                head: JournalHead {
                    seq: view.seq,
                    sum: String::from_utf8_lossy(sum).into_owned(),
                    base: bases::read(text(STATE.len() + 1).unwrap_or_default())?,
                },
                view,
                letters: ::redis::from_redis_value_ref(&pair[1]).map_err(unsure)?,
            })
        });
        pairs.collect()
    }

    /// The last commit of each partition, or what is wrong with it; `None` where there is no batch.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn last_commits(&mut self) -> Result<Vec<Option<Result<Commit, String>>>, DepotError> {
        let mut commits = Vec::new();
        for from in (0..self.parts).step_by(LAST_BATCHES as usize) {
            let mut some = pipe();
            for part in from..self.parts.min(from + LAST_BATCHES) {
                let last = some.cmd("XREVRANGE").arg(self.key(part, "log"));
                last.arg("+").arg("-").arg("COUNT").arg(1);
            }
            let told: Vec<Vec<StreamEntry>> = self.ask_all(&some)?;
            commits.extend(told.iter().map(|entries| {
                let entry = entries.first()?;
                let batch = RedisDepot::take_batch(field(entry, "b"));
                let batch = batch.map_err(|error| error.to_string());
                Some(batch.and_then(|batch| commit_of(&batch)))
            }));
        }
        Ok(commits)
    }

    /// An output part is not vouched for any more. Durable.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn forget_output(&mut self, part: u32, output: &str) -> Result<(), DepotError> {
        let key = self.key(part, "out");
        self.ask_durably::<Value>(cmd("HDEL").arg(&key).arg(output))?;
        Ok(())
    }

    /// What the crawl takes; `None` when the engine does not tell.
    pub fn key_bytes(&mut self) -> Option<KeyBytes> {
        let mut bytes = KeyBytes::default();
        let whole = ["job", "w", "state", "had"].map(|what| self.whole(what));
        let mut all = pipe();
        for key in &whole {
            all.cmd("MEMORY").arg("USAGE").arg(key);
        }
        for part in 0..self.parts {
            for what in KEYS {
                all.cmd("MEMORY").arg("USAGE").arg(self.key(part, what));
            }
        }
        // Many that are rented do not tell.
        let told: Vec<Option<u64>> = self.ask_all_once(&all).ok()?;
        let (of_crawl, of_parts) = told.split_at_checked(whole.len())?;
        bytes.other += of_crawl.iter().flatten().sum::<u64>();
        for part in of_parts.chunks_exact(KEYS.len()) {
            let at = |n: usize| part[n].unwrap_or(0);
            bytes.journal += at(0) + at(1) + at(2);
            bytes.letters += at(3) + at(4);
            bytes.other += at(5) + at(6);
        }
        Some(bytes)
    }

    /// How the engine is.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn health(&mut self) -> Result<EngineHealth, DepotError> {
        let mut health = EngineHealth {
            replicas: u32::MAX,
            ..EngineHealth::default()
        };
        let told = self.patiently(|depot| depot.nodes.ask_everyone(&cmd("INFO")))?;
        for (_, info) in told {
            let info = info.and_then(|info| Ok(from_redis_value::<String>(info)?));
            let Ok(info) = info else {
                health.silent += 1;
                continue;
            };
            let text = |name: &str| {
                let mut lines = info.lines();
                lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            };
            let number =
                |name: &str| -> u64 { text(name).and_then(|text| text.parse().ok()).unwrap_or(0) };
            health.cannot_write |=
                text("aof_last_write_status").is_some_and(|status| status != "ok");
            if text("role") != Some("master") {
                continue;
            }
            let (used, most) = (number("used_memory"), number("maxmemory"));
            health.memory_bytes += used;
            health.most_bytes += most;
            health.is_full |= most > 0 && used >= most;
            health.disk_bytes += number("aof_current_size");
            let replicas = u32::try_from(number("connected_slaves")).unwrap_or(u32::MAX);
            health.replicas = health.replicas.min(replicas);
            health.most_replicas = health.most_replicas.max(replicas);
        }
        Ok(health)
    }

    /// Has nobody ask for pages any more, unless the crawl is over; says how it stands then. Durable.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn pause(&mut self) -> Result<Course, DepotError> {
        self.change_course(scripts::PAUSE)
    }

    /// Ends a pause; says how the crawl stands then. Durable.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn resume(&mut self) -> Result<Course, DepotError> {
        self.change_course(scripts::RESUME)
    }

    /// Has a crawl that is complete be paused; says how it stands then. Durable.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn reopen(&mut self) -> Result<Course, DepotError> {
        self.change_course(scripts::REOPEN)
    }

    fn change_course(&mut self, script: &str) -> Result<Course, DepotError> {
        let keys = ["state", "looks"].map(|what| self.whole(what));
        let state: String = self.ask_durably(&call(script, &[&keys[0], &keys[1]]))?;
        Ok(course_of(&state))
    }

    /// Removes all keys of the crawl. What was cut short is done by doing it again: its name and what it
    /// began with go last.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn erase(&mut self) -> Result<(), DepotError> {
        for part in 0..self.parts {
            let keys = KEYS.map(|what| self.key(part, what));
            self.ask_durably::<Value>(cmd("UNLINK").arg(&keys))?;
        }
        let mut drop = call(scripts::DROP, &[&self.current_key()]);
        drop.arg(&self.crawl_id);
        self.ask_durably::<Value>(&drop)?;
        let keys = ["w", "state", "looks", "had", "job"].map(|what| self.whole(what));
        self.ask_durably::<Value>(cmd("UNLINK").arg(&keys))?;
        let name = format!("{}/{}", self.spider, self.crawl_id);
        self.ask_durably::<Value>(cmd("SREM").arg(CRAWLS).arg(name))?;
        Ok(())
    }
}
