//! Redis, or what speaks its language, as the engine of a fleet.

mod outside;
mod scripts;

use std::fmt;
use std::time::Duration;

use ::redis::{Cmd, Connection, FromRedisValue, Pipeline, RedisError, Script, Value, cmd, pipe};

pub use outside::{EngineHealth, Glance, KeyBytes};

use super::{
    Claim, Course, Depot, DepotError, Fate, Letter, Merits, PartView, Rest, StoreUrl, Written,
};
use crate::human::counted;

/// So long one answer is waited for.
const ANSWER: Duration = Duration::from_secs(5);
/// So long copies are waited for, in milliseconds.
const COPIES_MS: u64 = 2000;
/// So many letters come at once.
const LETTERS: usize = 256;
/// So many batches come at once.
const BATCHES: usize = 64;

/// The names of all crawls.
const CRAWLS: &str = "{crawls}:all";

/// What a batch is stored as.
mod packed {
    pub const LZ4: u8 = 1;
}

/// A connection to the store of one crawl. It is made anew after a failure.
pub struct RedisDepot {
    url: StoreUrl,
    /// `project/spider`.
    spider: String,
    crawl_id: String,
    parts: u32,
    copies: u32,
    connection: Option<Connection>,
}

impl fmt::Debug for RedisDepot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{} {}/{}", self.url, self.spider, self.crawl_id);
        f.debug_tuple("RedisDepot").field(&name).finish()
    }
}

impl From<RedisError> for DepotError {
    fn from(error: RedisError) -> DepotError {
        let why = error.to_string();
        // Wrong passwords and rights do not become right.
        let refused = ["NOAUTH", "WRONGPASS", "NOPERM", "AuthenticationFailed"];
        let is_refused = error.code().is_some_and(|code| refused.contains(&code))
            || error.kind() == ::redis::ErrorKind::AuthenticationFailed;
        if is_refused {
            DepotError::Refused(why)
        } else {
            DepotError::Unsure(why)
        }
    }
}

/// What a store promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// `always`, `everysec`, `no`; `None`: it does not say.
    pub fsync: Option<String>,
    /// Replicas that listen now.
    pub replicas: u32,
}

impl RedisDepot {
    /// The store of a crawl; nothing is asked yet.
    pub fn new(
        url: &StoreUrl,
        spider: &str,
        crawl_id: &str,
        parts: u32,
        copies: u32,
    ) -> RedisDepot {
        RedisDepot {
            url: url.clone(),
            spider: spider.to_owned(),
            crawl_id: crawl_id.to_owned(),
            parts,
            copies,
            connection: None,
        }
    }

    /// How many copies an answer stands for from now on.
    pub fn want_copies(&mut self, copies: u32) {
        self.copies = copies;
    }

    /// The crawl has so many partitions.
    pub fn set_parts(&mut self, parts: u32) {
        self.parts = parts;
    }

    /// The crawl has this name.
    pub fn set_crawl(&mut self, crawl_id: &str) {
        crawl_id.clone_into(&mut self.crawl_id);
    }

    /// Looks what the store promises.
    ///
    /// # Errors
    /// Those of the engine; [`DepotError::Refused`] for one that keeps nothing on its disk, or that
    /// throws keys away when its memory is full.
    pub fn check(&mut self) -> Result<Held, DepotError> {
        let info: String = self.ask(&cmd("INFO"))?;
        let field = |name: &str| {
            let mut lines = info.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        };
        if field("aof_enabled") != Some("1") {
            return Err(DepotError::Refused(
                "the store keeps no append-only file: set appendonly yes".into(),
            ));
        }
        match field("maxmemory_policy") {
            Some("noeviction") | None => {}
            Some(policy) => {
                return Err(DepotError::Refused(format!(
                    "the store throws keys away when its memory is full ({policy}): set maxmemory-policy noeviction"
                )));
            }
        }
        if field("role").is_some_and(|role| role != "master") {
            return Err(DepotError::Refused("that node is a replica".into()));
        }
        let replicas = field("connected_slaves").and_then(|count| count.parse().ok());
        let mut config = cmd("CONFIG");
        config.arg("GET").arg("appendfsync");
        // Many that are rented do not tell.
        let fsync = self.ask::<Vec<String>>(&config).ok();
        Ok(Held {
            fsync: fsync.and_then(|pair| pair.into_iter().nth(1)),
            replicas: replicas.unwrap_or(0),
        })
    }

    fn key(&self, part: u32, what: &str) -> String {
        format!("{{{}/{}:{part}}}:{what}", self.spider, self.crawl_id)
    }

    /// What is of the whole crawl.
    fn whole(&self, what: &str) -> String {
        format!("{{{}/{}:m}}:{what}", self.spider, self.crawl_id)
    }

    /// What holds the name of the crawl that was begun last.
    fn current_key(&self) -> String {
        format!("{{{}:m}}:current", self.spider)
    }

    fn connect(&mut self) -> Result<&mut Connection, DepotError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let client = ::redis::Client::open(self.url.exposed())?;
                let mut connection = client.get_connection_with_timeout(ANSWER)?;
                connection.set_read_timeout(Some(ANSWER))?;
                connection.set_write_timeout(Some(ANSWER))?;
                // Says more plainly than a pipeline why it is refused.
                cmd("PING").query::<()>(&mut connection)?;
                let mut load = pipe();
                for script in scripts::ALL {
                    load.cmd("SCRIPT").arg("LOAD").arg(script).ignore();
                }
                load.query::<()>(&mut connection)?;
                connection
            }
        };
        Ok(self.connection.insert(connection))
    }

    /// After a failure nobody knows what still comes over the connection.
    fn kept<T>(&mut self, result: Result<T, RedisError>) -> Result<T, DepotError> {
        if result.is_err() {
            self.connection = None;
        }
        result.map_err(DepotError::from)
    }

    fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, DepotError> {
        let connection = self.connect()?;
        let result = command.query(connection);
        self.kept(result)
    }

    fn ask_all<T: FromRedisValue>(&mut self, commands: &Pipeline) -> Result<T, DepotError> {
        let connection = self.connect()?;
        let result = commands.query(connection);
        self.kept(result)
    }

    /// Waits until what this connection wrote is where it is to be.
    fn durable(&mut self) -> Result<(), DepotError> {
        if self.copies == 0 {
            return Ok(());
        }
        let mut wait = cmd("WAIT");
        wait.arg(self.copies).arg(COPIES_MS);
        let have: u32 = self.ask(&wait)?;
        if have < self.copies {
            let (have, want) = (counted(u64::from(have), "replica"), self.copies);
            return Err(DepotError::Unsure(format!("{have} of {want} answered")));
        }
        Ok(())
    }

    /// Batches as they lie in the log, from this number on.
    fn entries(&mut self, part: u32, from: u64) -> Result<Vec<StreamEntry>, DepotError> {
        let key = self.key(part, "log");
        let mut range = cmd("XRANGE");
        range.arg(&key).arg(from).arg("+").arg("COUNT").arg(BATCHES);
        self.ask(&range)
    }

    fn take_batch(packed: &[u8]) -> Result<Vec<u8>, DepotError> {
        let refused = || DepotError::Refused("a batch in the store cannot be unpacked".into());
        match packed.split_first() {
            Some((&packed::LZ4, rest)) => {
                lz4_flex::decompress_size_prepended(rest).map_err(|_| refused())
            }
            _ => Err(refused()),
        }
    }
}

/// A call of a script.
fn call(script: &str, keys: &[&str]) -> Cmd {
    let mut call = cmd("EVALSHA");
    call.arg(Script::new(script).get_hash()).arg(keys.len());
    for key in keys {
        call.arg(*key);
    }
    call
}

/// An entry of a stream: its id, and names and values.
type StreamEntry = (String, Vec<(String, Vec<u8>)>);

fn field<'a>(entry: &'a StreamEntry, name: &str) -> &'a [u8] {
    let found = entry.1.iter().find(|(known, _)| known == name);
    found.map_or(&[][..], |(_, value)| value)
}

fn number<T: std::str::FromStr + Default>(text: &[u8]) -> T {
    let text = std::str::from_utf8(text).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The state of a partition: owner, epoch, beat, number of batches, and why it rests as of which of them.
const STATE: [&str; 6] = ["owner", "epoch", "beat", "seq", "rest_seq", "rest"];

fn view_of(fields: &[Option<Vec<u8>>]) -> PartView {
    let text = |at: usize| fields.get(at).and_then(|field| field.as_deref());
    let rest = text(5).and_then(|name| Rest::of(&String::from_utf8_lossy(name)));
    PartView {
        owner: String::from_utf8_lossy(text(0).unwrap_or_default()).into_owned(),
        epoch: number(text(1).unwrap_or_default()),
        beat: number(text(2).unwrap_or_default()),
        seq: number(text(3).unwrap_or_default()),
        rest: rest.map(|rest| (number(text(4).unwrap_or_default()), rest)),
    }
}

fn course_of(state: &str) -> Course {
    match state {
        "paused" => Course::Paused,
        state => Rest::of(state).map_or(Course::Running, Course::Over),
    }
}

impl Depot for RedisDepot {
    fn another(&self) -> Box<dyn Depot> {
        let (url, spider) = (&self.url, &self.spider);
        let another = RedisDepot::new(url, spider, &self.crawl_id, self.parts, self.copies);
        Box::new(another)
    }

    fn open(&mut self, job: &str) -> Result<String, DepotError> {
        let (current, key) = (self.current_key(), self.whole("job"));
        let name = format!("{}/{}", self.spider, self.crawl_id);
        self.ask::<Value>(cmd("SADD").arg(CRAWLS).arg(name))?;
        let mut set = cmd("SET");
        set.arg(&key).arg(job).arg("NX");
        self.ask::<Value>(&set)?;
        self.ask::<Value>(cmd("SET").arg(&current).arg(&self.crawl_id))?;
        self.durable()?;
        self.ask(cmd("GET").arg(&key))
    }

    fn current(&mut self) -> Result<Option<String>, DepotError> {
        let key = self.current_key();
        self.ask(cmd("GET").arg(&key))
    }

    fn course(&mut self) -> Result<Course, DepotError> {
        let key = self.whole("state");
        let name: Option<String> = self.ask(cmd("GET").arg(&key))?;
        Ok(course_of(name.as_deref().unwrap_or_default()))
    }

    fn end(&mut self, rest: Rest) -> Result<(), DepotError> {
        let key = self.whole("state");
        self.ask::<Value>(cmd("SET").arg(&key).arg(rest.as_str()))?;
        self.durable()
    }

    fn beat(&mut self, worker: &str) -> Result<Vec<(String, u64)>, DepotError> {
        let key = self.whole("w");
        let mut both = pipe();
        both.cmd("HINCRBY").arg(&key).arg(worker).arg(1).ignore();
        both.cmd("HGETALL").arg(&key);
        let (beats,): (Vec<(String, u64)>,) = self.ask_all(&both)?;
        Ok(beats)
    }

    fn leave(&mut self, worker: &str) -> Result<(), DepotError> {
        let key = self.whole("w");
        self.ask::<Value>(cmd("HDEL").arg(&key).arg(worker))?;
        Ok(())
    }

    fn look(&mut self) -> Result<Vec<PartView>, DepotError> {
        let mut all = pipe();
        for part in 0..self.parts {
            all.add_command(call(scripts::LOOK, &[&self.key(part, "l")]));
        }
        let told: Vec<Vec<Option<Vec<u8>>>> = self.ask_all(&all)?;
        self.durable()?;
        Ok(told.iter().map(|fields| view_of(fields)).collect())
    }

    fn claim(
        &mut self,
        part: u32,
        worker: &str,
        seen: Option<(u64, u64)>,
    ) -> Result<Claim, DepotError> {
        let mut claim = call(scripts::CLAIM, &[&self.key(part, "l")]);
        claim.arg(worker);
        match seen {
            Some((epoch, beat)) => claim.arg(epoch).arg(beat),
            None => claim.arg("").arg(""),
        };
        let told: Vec<Value> = self.ask(&claim)?;
        if told.is_empty() {
            return Ok(Claim::Held);
        }
        self.durable()?;
        let (epoch, seq, sum) = ::redis::from_redis_value(Value::Array(told))
            .map_err(|error| DepotError::Unsure(format!("{error:?}")))?;
        Ok(Claim::Ours { epoch, seq, sum })
    }

    fn release(&mut self, part: u32, epoch: u64) -> Result<(), DepotError> {
        let mut release = call(scripts::RELEASE, &[&self.key(part, "l")]);
        self.ask::<Value>(release.arg(epoch))?;
        Ok(())
    }

    fn poll(
        &mut self,
        part: u32,
        epoch: u64,
        behind: &str,
    ) -> Result<Option<Vec<Letter>>, DepotError> {
        let mut poll = call(
            scripts::POLL,
            &[&self.key(part, "l"), &self.key(part, "in")],
        );
        poll.arg(epoch).arg(behind).arg(LETTERS);
        let told: Option<Vec<StreamEntry>> = self.ask(&poll)?;
        let letter = |entry: StreamEntry| Letter {
            source: number(field(&entry, "s")),
            number: number(field(&entry, "n")),
            bytes: field(&entry, "b").to_vec(),
            place: entry.0,
        };
        Ok(told.map(|entries| entries.into_iter().map(letter).collect()))
    }

    fn read(&mut self, part: u32, from: u64) -> Result<Vec<Vec<u8>>, DepotError> {
        let entries = self.entries(part, from)?;
        let batches = entries.iter();
        batches
            .map(|entry| RedisDepot::take_batch(field(entry, "b")))
            .collect()
    }

    fn outputs(&mut self, part: u32) -> Result<Vec<(String, u64)>, DepotError> {
        let key = self.key(part, "out");
        self.ask(cmd("HGETALL").arg(&key))
    }

    fn commit(&mut self, part: u32, batch: &Written<'_>) -> Result<Fate, DepotError> {
        let keys = ["l", "log", "out"].map(|what| self.key(part, what));
        let mut commit = call(scripts::COMMIT, &[&keys[0], &keys[1], &keys[2]]);
        let mut packed = vec![packed::LZ4];
        packed.extend(lz4_flex::compress_prepend_size(batch.bytes));
        let (output, len) = batch.output.unwrap_or_default();
        commit
            .arg(batch.epoch)
            .arg(batch.seq)
            .arg(batch.sum)
            .arg(batch.prev)
            .arg(packed)
            .arg(output)
            .arg(len);
        let fate: String = self.ask(&commit)?;
        match &*fate {
            "durable" => {
                self.durable()?;
                Ok(Fate::Durable)
            }
            "fenced" => Ok(Fate::Fenced),
            _ => Ok(Fate::Gap),
        }
    }

    fn send(&mut self, to: u32, source: u32, number: u64, bytes: &[u8]) -> Result<(), DepotError> {
        let mut add = cmd("XADD");
        add.arg(self.key(to, "in")).arg("*");
        add.arg("s")
            .arg(source)
            .arg("n")
            .arg(number)
            .arg("b")
            .arg(bytes);
        self.ask::<Value>(&add)?;
        Ok(())
    }

    fn taken(&mut self, by: u32, source: u32) -> Result<u64, DepotError> {
        let mut taken = call(scripts::TAKEN, &[&self.key(by, "l")]);
        let number: Option<u64> = self.ask(taken.arg(source))?;
        self.durable()?;
        Ok(number.unwrap_or(0))
    }

    fn report(&mut self, part: u32, epoch: u64, merits: &Merits) -> Result<(), DepotError> {
        let mut report = call(
            scripts::REPORT,
            &[&self.key(part, "l"), &self.key(part, "in")],
        );
        report.arg(epoch);
        report.arg(merits.read_to.as_deref().unwrap_or_default());
        if let Some((seq, rest)) = merits.rest {
            report
                .arg("rest_seq")
                .arg(seq)
                .arg("rest")
                .arg(rest.as_str());
        }
        for (source, number) in &merits.from {
            report.arg(format!("from:{source}")).arg(number);
        }
        self.ask::<Value>(&report)?;
        Ok(())
    }
}
