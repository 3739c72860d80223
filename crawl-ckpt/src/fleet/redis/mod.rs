//! Redis, or what speaks its language, as the engine of a fleet: one node, or a cluster.

mod bases;
mod nodes;
mod outside;
mod promise;
mod scripts;
mod slots;
mod tls;

use std::fmt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ::redis::{Cmd, FromRedisValue, ParsingError, Pipeline, Script, Value, cmd, from_redis_value};

use self::nodes::Nodes;
pub use self::outside::{EngineHealth, Glance, KeyBytes};
pub use self::promise::Held;
use super::{
    Base, Claim, Course, Depot, DepotError, Fate, JournalHead, Letter, Merits, PartView, Rest,
    StoreUrl, Taken, Wanted, Written,
};
use crate::control::Counts;

/// So long one answer is waited for by who has time.
const ANSWER: Duration = Duration::from_secs(5);
/// The same by who has not.
const ANSWER_SOON: Duration = Duration::from_secs(1);
/// Who has patience asks again after so long.
const AGAIN: Duration = Duration::from_millis(200);
/// So many letters of a partition come at once, and so many bytes, but for the last.
const LETTERS: (usize, usize) = (256, 4 << 20);
/// So many bytes of letters for a partition go at once, but for the last.
const SENT: usize = 256 << 10;
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
    /// `project/spider`.
    spider: String,
    crawl_id: String,
    parts: u32,
    copies: u32,
    nodes: Nodes,
    name: String,
    /// How long it asks again when it is not answered; `None`: who asks does that himself.
    patience: Option<Patience>,
}

/// How long a store that does not answer is asked again, and who hears of it.
#[derive(Debug, Clone, Copy)]
struct Patience {
    most: Duration,
    tell: fn(&DepotError),
    is_told: bool,
}

impl fmt::Debug for RedisDepot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{} {}/{}", self.name, self.spider, self.crawl_id);
        f.debug_tuple("RedisDepot").field(&name).finish()
    }
}

impl From<ParsingError> for DepotError {
    fn from(error: ParsingError) -> DepotError {
        DepotError::Unsure(error.to_string())
    }
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
            spider: spider.to_owned(),
            crawl_id: crawl_id.to_owned(),
            parts,
            copies,
            nodes: Nodes::new(url, ANSWER),
            name: url.to_string(),
            patience: None,
        }
    }

    fn over(&self, nodes: Nodes) -> RedisDepot {
        RedisDepot {
            spider: self.spider.clone(),
            crawl_id: self.crawl_id.clone(),
            parts: self.parts,
            copies: self.copies,
            nodes,
            name: self.name.clone(),
            patience: self.patience,
        }
    }

    /// What is asked from now on is asked again for so long when it is not answered, as while another node takes the
    /// place of one that was lost. The first time is told.
    pub fn be_patient(&mut self, most: Duration, tell: fn(&DepotError)) {
        self.patience = Some(Patience {
            most,
            tell,
            is_told: false,
        });
    }

    /// Asks, as long as there is patience.
    fn patiently<T>(
        &mut self,
        mut ask: impl FnMut(&mut RedisDepot) -> Result<T, DepotError>,
    ) -> Result<T, DepotError> {
        let begun = Instant::now();
        loop {
            let told = ask(self);
            let (Err(error @ DepotError::Unsure(_)), Some(patience)) = (&told, &mut self.patience)
            else {
                return told;
            };
            if begun.elapsed() >= patience.most {
                return told;
            }
            if !std::mem::replace(&mut patience.is_told, true) {
                (patience.tell)(error);
            }
            sleep(AGAIN);
        }
    }

    /// Another connection to the same, which rather gives up than wait long for an answer.
    pub fn hasty(&self) -> RedisDepot {
        self.over(self.nodes.another(ANSWER_SOON))
    }

    /// How many copies an answer stands for from now on.
    pub fn want_copies(&mut self, copies: u32) {
        self.copies = copies;
    }

    /// How many copies an answer stands for.
    pub fn copies(&self) -> u32 {
        self.copies
    }

    /// The crawl has so many partitions.
    pub fn set_parts(&mut self, parts: u32) {
        self.parts = parts;
    }

    /// The crawl has this name.
    pub fn set_crawl(&mut self, crawl_id: &str) {
        crawl_id.clone_into(&mut self.crawl_id);
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

    fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, DepotError> {
        self.ask_one(command, 0)
    }

    /// What it writes or has written is where it is to be when this is answered.
    fn ask_durably<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, DepotError> {
        self.ask_one(command, self.copies)
    }

    fn ask_one<T: FromRedisValue>(&mut self, command: &Cmd, copies: u32) -> Result<T, DepotError> {
        self.patiently(|depot| {
            let told = depot.nodes.ask_each(std::slice::from_ref(command), copies);
            let none = || Err(DepotError::Unsure("no answer".into()));
            Ok(from_redis_value(
                told.into_iter().next().unwrap_or_else(none)?,
            )?)
        })
    }

    /// Of commands for several nodes all are answered, or none.
    fn ask_all<T: FromRedisValue>(&mut self, commands: &Pipeline) -> Result<T, DepotError> {
        self.patiently(|depot| depot.ask_all_once(commands))
    }

    /// The same of what many engines do not answer.
    fn ask_all_once<T: FromRedisValue>(&mut self, commands: &Pipeline) -> Result<T, DepotError> {
        let commands: Vec<Cmd> = commands.cmd_iter().cloned().collect();
        let told = self.nodes.ask_each(&commands, 0).into_iter();
        let told: Result<Vec<Value>, DepotError> = told.collect();
        Ok(from_redis_value(Value::Array(told?))?)
    }

    /// Each by itself.
    fn ask_each<T: FromRedisValue>(
        &mut self,
        commands: &[Cmd],
        copies: u32,
    ) -> Vec<Result<T, DepotError>> {
        let told = self.nodes.ask_each(commands, copies).into_iter();
        told.map(|value| Ok(from_redis_value(value?)?)).collect()
    }

    /// Batches of a log or a base, from this number on.
    fn batches(&mut self, key: &str, from: u64) -> Result<Vec<Vec<u8>>, DepotError> {
        let mut range = cmd("XRANGE");
        range.arg(key).arg(from).arg("+").arg("COUNT").arg(BATCHES);
        let entries: Vec<StreamEntry> = self.ask(&range)?;
        let batches = entries.iter();
        batches
            .map(|entry| RedisDepot::take_batch(field(entry, "b")))
            .collect()
    }

    fn pack_batch(bytes: &[u8]) -> Vec<u8> {
        let mut packed = vec![packed::LZ4];
        packed.extend(lz4_flex::compress_prepend_size(bytes));
        packed
    }

    /// A call of a script about the letters of a partition.
    fn call_inbox(&self, script: &str, part: u32) -> Cmd {
        let keys = ["l", "in", "senders"].map(|what| self.key(part, what));
        call(script, &[&keys[0], &keys[1], &keys[2]])
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

/// The state of a partition: owner, epoch, beat, number of batches, why it rests as of which of them, and how
/// many URLs are where.
const STATE: [&str; 9] = [
    "owner", "epoch", "beat", "seq", "rest_seq", "rest", "done", "failed", "pending",
];

fn view_of(fields: &[Option<Vec<u8>>]) -> PartView {
    let text = |at: usize| fields.get(at).and_then(|field| field.as_deref());
    let rest = text(5).and_then(|name| Rest::of(&String::from_utf8_lossy(name)));
    PartView {
        owner: String::from_utf8_lossy(text(0).unwrap_or_default()).into_owned(),
        epoch: number(text(1).unwrap_or_default()),
        beat: number(text(2).unwrap_or_default()),
        seq: number(text(3).unwrap_or_default()),
        rest: rest.map(|rest| (number(text(4).unwrap_or_default()), rest)),
        counts: Counts {
            done: number(text(6).unwrap_or_default()),
            failed: number(text(7).unwrap_or_default()),
            pending: number(text(8).unwrap_or_default()),
            ..Counts::default()
        },
    }
}

fn fate_of(told: &str) -> Fate {
    match told {
        "durable" => Fate::Durable,
        "fenced" => Fate::Fenced,
        _ => Fate::Gap,
    }
}

fn course_of(state: &str) -> Course {
    match state {
        "paused" => Course::Paused,
        state => Rest::of(state).map_or(Course::Running, Course::Over),
    }
}

/// Sender, number and content of each.
fn letters_of(told: Vec<Vec<u8>>) -> Vec<Letter> {
    let (letters, _) = told.as_chunks::<3>();
    let letter = |[source, count, bytes]: &[Vec<u8>; 3]| Letter {
        source: number(source),
        number: number(count),
        bytes: bytes.clone(),
    };
    letters.iter().map(letter).collect()
}

impl Depot for RedisDepot {
    fn another(&self) -> Box<dyn Depot> {
        Box::new(self.over(self.nodes.another(self.nodes.answer())))
    }

    fn open(&mut self, job: &str) -> Result<String, DepotError> {
        let name = format!("{}/{}", self.spider, self.crawl_id);
        self.ask_durably::<Value>(cmd("SADD").arg(CRAWLS).arg(name))?;
        let mut open = call(scripts::OPEN, &[&self.whole("job"), &self.whole("looks")]);
        let job = self.ask_durably(open.arg(job))?;
        let current = self.current_key();
        self.ask_durably::<Value>(cmd("SET").arg(&current).arg(&self.crawl_id))?;
        Ok(job)
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
        self.ask_durably::<Value>(cmd("SET").arg(&key).arg(rest.as_str()))?;
        Ok(())
    }

    fn beat(&mut self, worker: &str) -> Result<Vec<(String, u64)>, DepotError> {
        let key = self.whole("w");
        let mut both = ::redis::pipe();
        both.cmd("HINCRBY").arg(&key).arg(worker).arg(1);
        both.cmd("HGETALL").arg(&key);
        let (_, beats): (u64, Vec<(String, u64)>) = self.ask_all(&both)?;
        Ok(beats)
    }

    fn leave(&mut self, worker: &str) -> Result<(), DepotError> {
        let key = self.whole("w");
        self.ask::<Value>(cmd("HDEL").arg(&key).arg(worker))?;
        Ok(())
    }

    fn look_each(&mut self) -> Vec<Result<PartView, DepotError>> {
        let parts = 0..self.parts;
        let looks: Vec<Cmd> = parts
            .map(|part| call(scripts::LOOK, &[&self.key(part, "l")]))
            .collect();
        let told = self.ask_each::<Vec<Option<Vec<u8>>>>(&looks, self.copies);
        told.into_iter()
            .map(|fields| Ok(view_of(&fields?)))
            .collect()
    }

    fn claim(
        &mut self,
        part: u32,
        worker: &str,
        seen: Option<(u64, u64)>,
    ) -> Result<Claim, DepotError> {
        let keys = [
            self.key(part, "l"),
            self.base_key(part, 0),
            self.base_key(part, 1),
        ];
        let mut claim = call(scripts::CLAIM, &[&keys[0], &keys[1], &keys[2]]);
        claim.arg(worker);
        match seen {
            Some((epoch, beat)) => claim.arg(epoch).arg(beat),
            None => claim.arg("").arg(""),
        };
        let told: Vec<Value> = self.ask_durably(&claim)?;
        if told.is_empty() {
            return Ok(Claim::Held);
        }
        let (epoch, seq, sum, base): (u64, u64, String, Vec<u8>) =
            from_redis_value(Value::Array(told))?;
        let base = bases::read(&base)?;
        let head = JournalHead { seq, sum, base };
        Ok(Claim::Ours { epoch, head })
    }

    fn release(&mut self, part: u32, epoch: u64) -> Result<(), DepotError> {
        let mut release = call(scripts::RELEASE, &[&self.key(part, "l")]);
        self.ask::<Value>(release.arg(epoch))?;
        Ok(())
    }

    fn poll(&mut self, wanted: &[Wanted<'_>]) -> Vec<Result<Option<Vec<Letter>>, DepotError>> {
        let polls: Vec<Cmd> = wanted
            .iter()
            .map(|wanted| {
                let mut poll = self.call_inbox(scripts::POLL, wanted.part);
                poll.arg(wanted.epoch).arg(LETTERS.0).arg(LETTERS.1);
                for (source, number) in wanted.heard {
                    poll.arg(source).arg(number);
                }
                poll
            })
            .collect();
        let told = self.ask_each::<Option<Vec<Vec<u8>>>>(&polls, self.copies);
        told.into_iter()
            .map(|letters| Ok(letters?.map(letters_of)))
            .collect()
    }

    fn read(&mut self, part: u32, from: u64) -> Result<Vec<Vec<u8>>, DepotError> {
        let key = self.key(part, "log");
        self.batches(&key, from)
    }

    fn read_base(&mut self, part: u32, base: u64, from: u64) -> Result<Vec<Vec<u8>>, DepotError> {
        let key = self.base_key(part, base);
        self.batches(&key, from)
    }

    fn build(&mut self, part: u32, base: u64, batch: &Written<'_>) -> Result<Fate, DepotError> {
        self.build_base(part, base, batch)
    }

    fn switch(&mut self, part: u32, epoch: u64, base: &Base) -> Result<Fate, DepotError> {
        self.switch_base(part, epoch, base)
    }

    fn outputs(&mut self, part: u32) -> Result<Vec<(String, u64)>, DepotError> {
        let key = self.key(part, "out");
        self.ask(cmd("HGETALL").arg(&key))
    }

    fn commit(&mut self, part: u32, batch: &Written<'_>) -> Result<Fate, DepotError> {
        let keys = ["l", "log", "out"].map(|what| self.key(part, what));
        let mut commit = call(scripts::COMMIT, &[&keys[0], &keys[1], &keys[2]]);
        let (output, len) = batch.output.unwrap_or_default();
        commit
            .arg(batch.epoch)
            .arg(batch.seq)
            .arg(batch.sum)
            .arg(batch.prev)
            .arg(RedisDepot::pack_batch(batch.bytes))
            .arg(output)
            .arg(len)
            .arg(batch.counts.done)
            .arg(batch.counts.failed)
            .arg(batch.counts.unfinished());
        let fate: String = self.ask_durably(&commit)?;
        Ok(fate_of(&fate))
    }

    fn send(&mut self, letters: &[(u32, Letter)]) -> Vec<Result<(), DepotError>> {
        let mut bytes = 0;
        let at_once = letters.chunk_by(|(to, letter), (next, _)| {
            bytes += letter.bytes.len();
            let goes_on = to == next && bytes < SENT;
            if !goes_on {
                bytes = 0;
            }
            goes_on
        });
        let at_once: Vec<&[(u32, Letter)]> = at_once.collect();
        let send = |letters: &&[(u32, Letter)]| {
            let mut send = self.call_inbox(scripts::SEND, letters[0].0);
            for (_, letter) in *letters {
                send.arg(letter.source).arg(letter.number);
                send.arg(&letter.bytes[..]);
            }
            send
        };
        let sends: Vec<Cmd> = at_once.iter().map(send).collect();
        let told = self.ask_each::<Value>(&sends, 0);
        let each = at_once.iter().zip(told);
        each.flat_map(|(letters, told)| vec![told.map(|_| ()); letters.len()])
            .collect()
    }

    fn taken(&mut self, letters: &[Taken]) -> Vec<Result<u64, DepotError>> {
        let by_one = letters.chunk_by(|one, next| one.by == next.by);
        let by_one: Vec<&[Taken]> = by_one.collect();
        let ask = |senders: &&[Taken]| {
            let mut ask = call(scripts::TAKEN, &[&self.key(senders[0].by, "l")]);
            for Taken { of, .. } in *senders {
                ask.arg(format!("from:{of}"));
            }
            ask
        };
        let asks: Vec<Cmd> = by_one.iter().map(ask).collect();
        let told = self.ask_each::<Vec<Option<u64>>>(&asks, self.copies);
        let each = by_one.iter().zip(told);
        each.flat_map(|(senders, told)| match told {
            Ok(numbers) => numbers.into_iter().map(|n| Ok(n.unwrap_or(0))).collect(),
            Err(error) => vec![Err(error); senders.len()],
        })
        .collect()
    }

    fn note(&mut self, had: &[(u32, u64)]) -> Result<(), DepotError> {
        let key = self.whole("had");
        self.ask::<Value>(cmd("HSET").arg(&key).arg(had))?;
        Ok(())
    }

    fn noted(&mut self) -> Result<Vec<(u32, u64)>, DepotError> {
        let key = self.whole("had");
        self.ask(cmd("HGETALL").arg(&key))
    }

    fn report(&mut self, part: u32, epoch: u64, merits: &Merits) -> Result<(), DepotError> {
        let mut report = self.call_inbox(scripts::REPORT, part);
        report.arg(epoch);
        match merits.rest {
            Some((seq, rest)) => report.arg(rest.as_str()).arg(seq),
            None => report.arg("").arg(""),
        };
        for (source, number) in &merits.from {
            report.arg(source).arg(number);
        }
        self.ask::<Value>(&report)?;
        Ok(())
    }
}
