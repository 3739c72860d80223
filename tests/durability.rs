//! A job on a simulated disk, stopped at every operation and broken at every
//! operation: what is found afterwards is always a state that a plain model allows.
//!
//! The model is a list of states, one a commit. A job that is opened after a
//! stop must equal one of those between the last that was acknowledged and the last that
//! was attempted, its output, cut back to the committed length, must hold exactly
//! the records of that state, and it must be possible to go on.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use crawl_ckpt::delta::{self, LEARNED, Learning, Page, PageLinks, ScopeHash};
use crawl_ckpt::durable::sim::{Fault, SimDisk, Unsynced};
use crawl_ckpt::durable::{Append, Disk};
use crawl_ckpt::image::{Image, ImageWriter};
use crawl_ckpt::job::{Job, JobPlace, Manifest};
use crawl_ckpt::journal::{Batch, ClosedBatch, Commit, Entry, Mark, Stored, Writer};
use crawl_ckpt::lock::JobLock;
use serde::{Deserialize, Serialize};

type Error = Box<dyn std::error::Error + Send + Sync>;

/// What a crawl knows at one commit. URLs are numbers here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// The number of the commit.
    commit: u64,
    pending: BTreeSet<u64>,
    deferred: BTreeMap<u64, u64>,
    finished: BTreeSet<u64>,
    values: BTreeMap<String, Vec<u8>>,
    /// The output's committed bytes.
    output: String,
    /// What was learned of finished URLs: the commit in which they were.
    learned: BTreeMap<u64, u64>,
}

/// What may be found.
#[derive(Debug, Clone, Default)]
struct Model {
    /// All that were attempted, by number of the commit.
    states: Vec<Arc<State>>,
    /// The last that was acknowledged; `None` before the job was.
    acknowledged: Option<u64>,
    is_removing: bool,
    is_compacting: bool,
    /// The tag in the manifest: acknowledged, attempted.
    tag: (u64, u64),
}

/// Where a job of the tests lies. The lock is a real file; all else is on the simulated disk.
struct Ground {
    place: JobPlace,
    lock: JobLock,
    output: PathBuf,
    _dir: tempfile::TempDir,
}

impl Ground {
    fn new() -> Ground {
        let dir = tempfile::tempdir().unwrap();
        let place = JobPlace::at(&dir.path().join("p/s/checkpoint"));
        Ground {
            lock: JobLock::acquire(&place).unwrap(),
            output: place.dir.with_file_name("out.jsonl"),
            place,
            _dir: dir,
        }
    }
}

/// A crawl that runs.
struct Life {
    disk: Arc<dyn Disk>,
    ground: Arc<Ground>,
    model: Arc<Mutex<Model>>,
    job: Job,
    writer: Writer,
    output: Append,
    pages: Append,
    learning: Learning,
    state: State,
    /// Ids in the journal of the URLs that are pending.
    ids: BTreeMap<u64, u64>,
    next_url: u64,
    /// What the closed journals come to, when there are any that are to be settled: the state, the ids, and the
    /// commit.
    closed: Option<(State, BTreeMap<u64, u64>, Commit)>,
}

/// What was read of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Restored {
    state: State,
    ids: BTreeMap<u64, u64>,
    files: BTreeMap<String, u64>,
}

const SCOPE: ScopeHash = [3; 16];

fn url_of(number: u64) -> String {
    format!("https://site.example/some/page/{number}")
}

fn fingerprint_of(number: u64) -> [u8; 16] {
    u128::from(number).to_be_bytes()
}

impl State {
    /// The commit of this state, with so many bytes learned.
    fn to_commit(&self, learned_bytes: u64) -> Commit {
        let mut commit = Commit {
            at_ms: self.commit,
            ..Commit::default()
        };
        let output = ("output".to_owned(), self.output.len() as u64);
        commit.files = [output, (LEARNED.to_owned(), learned_bytes)].into();
        commit
    }

    /// What happens next: two URLs are taken on, up to two finish, one must wait, a value changes.
    fn advance(&mut self, next_url: &mut u64) -> Vec<Fact> {
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

enum Fact {
    Request(u64),
    Done(u64),
    Defer(u64, u64),
    Set(String, Vec<u8>),
    Unset(String),
}

impl Life {
    fn begin(
        disk: Arc<dyn Disk>,
        ground: Arc<Ground>,
        model: Arc<Mutex<Model>>,
    ) -> Result<Life, Error> {
        disk.create_dir_all(ground.output.parent().unwrap())?;
        let output = Append::create(&*disk, &ground.output)?;
        let manifest = Manifest::new("test")?;
        model.lock().unwrap().states.push(Arc::default());
        let mut job = Job::create(disk.clone(), &ground.place, &ground.lock, manifest)?;
        model.lock().unwrap().acknowledged = Some(0);
        let end = job.replay(None, |_| Ok(()))?.mark;
        let writer = job.writer(&ground.lock, &end)?;
        let (pages, learning) = delta::begin(&job, &ground.lock, None, SCOPE)?;
        Ok(Life {
            disk,
            ground,
            model,
            job,
            writer,
            output,
            pages,
            learning,
            state: State::default(),
            ids: BTreeMap::new(),
            next_url: 0,
            closed: None,
        })
    }

    /// The same command again: all is forgotten and read from the disk.
    fn resume(&mut self) -> Result<(), Error> {
        let mut job = Job::open(self.disk.clone(), &self.ground.place)?.ok_or("the job is gone")?;
        let (restored, end) = restore(&job)?;
        self.output = Append::open(&*self.disk, &self.ground.output)?;
        self.output.cut_to(restored.files["output"])?;
        let learned_bytes = restored.files[LEARNED];
        delta::check(&job, learned_bytes)?;
        (self.pages, self.learning) = delta::resume(&job, &self.ground.lock, learned_bytes, SCOPE)?;
        self.writer = job.writer(&self.ground.lock, &end)?;
        self.job = job;
        let (output, learned) = (self.state.output.clone(), self.state.learned.clone());
        self.state = State {
            output,
            learned,
            ..restored.state
        };
        self.ids = restored.ids;
        self.closed = None;
        Ok(())
    }

    /// A batch of what happens next, its output written and synced, as the protocol wants it.
    fn prepare(&mut self) -> Result<ClosedBatch, Error> {
        let mut batch = Batch::new(&self.writer.end());
        let written = self.state.output.len();
        for fact in self.state.advance(&mut self.next_url) {
            match fact {
                Fact::Request(url) => {
                    let (id, _) = batch.request(&Stored {
                        url: &url_of(url),
                        ..Stored::default()
                    });
                    self.ids.insert(url, id);
                }
                Fact::Done(url) => {
                    batch.done(self.ids.remove(&url).unwrap(), url % 2 == 0);
                    learn(&mut self.learning, url, self.state.commit);
                }
                Fact::Defer(url, due_ms) => batch.defer(self.ids[&url], 1, due_ms),
                Fact::Set(key, value) => batch.set(&key, &value),
                Fact::Unset(key) => batch.unset(&key),
            }
        }
        self.model
            .lock()
            .unwrap()
            .states
            .push(Arc::new(self.state.clone()));
        self.output
            .append(&self.state.output.as_bytes()[written..])?;
        self.output.sync()?;
        self.pages.append(&self.learning.take())?;
        self.pages.sync()?;
        Ok(batch.close(&self.commit_of_state()))
    }

    fn commit_of_state(&self) -> Commit {
        self.state.to_commit(self.learning.end())
    }

    fn acknowledge(&self) {
        self.model.lock().unwrap().acknowledged = Some(self.state.commit);
    }

    fn commit(&mut self) -> Result<(), Error> {
        let batch = self.prepare()?;
        self.writer.append(&batch)?;
        self.acknowledge();
        Ok(())
    }

    /// Several batches that share one sync.
    fn bulk(&mut self) -> Result<(), Error> {
        for _ in 0..4 {
            let batch = self.prepare()?;
            self.writer.append_unsynced(&batch)?;
        }
        self.writer.sync()?;
        self.acknowledge();
        Ok(())
    }

    /// Not necessary for anything: a failure is only worth a note.
    fn write_image(&self) -> Result<(), Error> {
        let restored = Restored {
            state: State {
                output: String::new(),
                learned: BTreeMap::new(),
                ..self.state.clone()
            },
            ids: self.ids.clone(),
            files: self.commit_of_state().files,
        };
        let mut image = ImageWriter::create(&self.job, &self.ground.lock, &self.writer.end(), 1)?;
        image.write_all(&serde_json::to_vec(&restored)?)?;
        Ok(image.finish()?)
    }

    fn pause(&mut self) -> Result<(), Error> {
        Ok(self.job.seal(&self.ground.lock, &self.writer.end())?)
    }

    fn retag(&mut self) -> Result<(), Error> {
        let tag = {
            let mut model = self.model.lock().unwrap();
            model.tag.1 += 1;
            model.tag.1
        };
        self.job.update(&self.ground.lock, |manifest| {
            manifest.proxy_type = tag.to_string();
        })?;
        self.model.lock().unwrap().tag.0 = tag;
        Ok(())
    }

    /// What lives goes to the next journal, in two batches.
    fn compact(&mut self) -> Result<(), Error> {
        self.model.lock().unwrap().is_compacting = true;
        let first_id = self.writer.end().next_id;
        let mut next = self.job.begin_generation(&self.ground.lock, first_id)?;
        let mut batch = Batch::new(&next.end());
        for url in &self.state.finished {
            batch.seen(&fingerprint_of(*url));
        }
        next.append_unsynced(&batch.close(&self.commit_of_state()))?;
        let mut batch = Batch::new(&next.end());
        let mut ids = BTreeMap::new();
        for url in &self.state.pending {
            let (id, _) = batch.request(&Stored {
                url: &url_of(*url),
                ..Stored::default()
            });
            ids.insert(*url, id);
            if let Some(due_ms) = self.state.deferred.get(url) {
                batch.defer(id, 1, *due_ms);
            }
        }
        for (key, value) in &self.state.values {
            batch.set(key, value);
        }
        next.append_unsynced(&batch.close(&self.commit_of_state()))?;
        self.job.switch_generation(&self.ground.lock, &mut next)?;
        (self.writer, self.ids) = (next, ids);
        self.model.lock().unwrap().is_compacting = false;
        Ok(())
    }

    /// What comes goes to a journal of its own.
    fn go_on_anew(&mut self) -> Result<(), Error> {
        self.writer = self.job.go_on_anew(&self.ground.lock, &self.writer)?;
        self.closed = Some((self.state.clone(), self.ids.clone(), self.commit_of_state()));
        Ok(())
    }

    /// What lived when the closed journals were closed goes to one that stands for them, in two batches.
    fn settle(&mut self) -> Result<(), Error> {
        let Some((state, ids, commit)) = self.closed.take() else {
            return Ok(());
        };
        self.model.lock().unwrap().is_compacting = true;
        let stands_for = self.job.manifest().before.last().unwrap().goes_on_at();
        let mut settled = self.job.begin_settled(&self.ground.lock)?;
        let mut batch = Batch::new(&settled.end());
        let by_id: BTreeMap<u64, u64> = ids.iter().map(|(url, id)| (*id, *url)).collect();
        for (id, url) in by_id {
            batch.go_on_with(id);
            batch.request(&Stored {
                url: &url_of(url),
                ..Stored::default()
            });
            if let Some(due_ms) = state.deferred.get(&url) {
                batch.defer(id, 1, *due_ms);
            }
        }
        batch.go_on_with(stands_for.next_id);
        settled.append_unsynced(&batch.close(&commit))?;
        let mut batch = Batch::new(&settled.end());
        for (key, value) in &state.values {
            batch.set(key, value);
        }
        for url in &state.finished {
            batch.seen(&fingerprint_of(*url));
        }
        settled.append_unsynced(&batch.close(&commit))?;
        self.job.switch_settled(&self.ground.lock, &mut settled)?;
        self.model.lock().unwrap().is_compacting = false;
        Ok(())
    }

    fn remove(self) -> Result<(), Error> {
        self.model.lock().unwrap().is_removing = true;
        Ok(self.job.remove(&self.ground.lock)?)
    }

    /// A life of some commits in which everything happens.
    fn live(&mut self, commits: u64) -> Result<(), Error> {
        while self.state.commit < commits {
            let step = self.state.commit;
            match step % 17 {
                5 => self.bulk()?,
                _ => self.commit()?,
            }
            if step % 23 == 11 {
                self.retag()?;
            }
            if step % 61 == 20 {
                self.compact()?;
                self.closed = None;
            }
            // Two journals are closed before they are settled, with commits between all of that.
            if matches!(step % 31, 2 | 4 | 14 | 22) {
                self.go_on_anew()?;
            }
            if matches!(step % 31, 5 | 16 | 22) {
                self.settle()?;
            }
            if step % 13 == 7 {
                if step.is_multiple_of(2) {
                    let _ = self.write_image();
                }
                self.pause()?;
                self.resume()?;
            }
        }
        Ok(())
    }
}

/// Reads a job: from its image when there is one, and always from the start as well, to the same end.
fn restore(job: &Job) -> Result<(Restored, Mark), Error> {
    let mut from_image = None;
    if let Some(mut image) = Image::open(job)? {
        let mark = *image.mark();
        let mut body = Vec::new();
        image.read_to_end(&mut body)?;
        image.finish()?;
        let base: Restored = serde_json::from_slice(&body)?;
        from_image = Some(restore_from(job, base, Some(&mark))?);
    }
    let restored = restore_from(job, Restored::default(), None)?;
    match from_image {
        Some(other) if other != restored => {
            Err(format!("image {other:?}, journal {restored:?}").into())
        }
        _ => Ok(restored),
    }
}

fn restore_from(job: &Job, base: Restored, from: Option<&Mark>) -> Result<(Restored, Mark), Error> {
    let Restored {
        mut state,
        ids,
        mut files,
    } = base;
    let mut urls: BTreeMap<u64, u64> = ids.into_iter().map(|(url, id)| (id, url)).collect();
    let mut places = BTreeMap::new();
    let replayed = job.replay(from, |entry| {
        let url = |urls: &BTreeMap<u64, u64>, id: u64| {
            urls.get(&id).copied().ok_or(format!("no request {id}"))
        };
        match entry {
            Entry::Request { id, at, request } => {
                places.insert(id, at);
                let number: u64 = request.url.rsplit('/').next().unwrap().parse().unwrap();
                urls.insert(id, number);
                state.pending.insert(number);
            }
            Entry::Seen { fingerprint } => {
                state
                    .finished
                    .insert(u128::from_be_bytes(fingerprint) as u64);
            }
            Entry::Done { id, .. } => {
                let number = url(&urls, id)?;
                urls.remove(&id);
                state.pending.remove(&number);
                state.deferred.remove(&number);
                state.finished.insert(number);
            }
            Entry::Defer { id, due_ms, .. } => {
                state.deferred.insert(url(&urls, id)?, due_ms);
            }
            Entry::Set { key, value } => {
                state.values.insert(key.to_owned(), value.to_owned());
            }
            Entry::Unset { key } => {
                state.values.remove(key);
            }
            Entry::Ids { .. } | Entry::Commit(_) => {}
        }
        Ok(())
    })?;
    if let Some(commit) = &replayed.commit {
        state.commit = commit.at_ms;
        files.clone_from(&commit.files);
    }
    let restored = Restored {
        state,
        ids: urls.into_iter().map(|(id, url)| (url, id)).collect(),
        files,
    };
    let (reader, mut buffer) = (job.reader()?, Vec::new());
    for (url, id) in &restored.ids {
        // Those that an image told have the place that they had, or none any more.
        let at = places.get(id).copied().unwrap_or(0);
        if from.is_none() && reader.request_at(*id, at, &mut buffer)?.url != url_of(*url) {
            return Err(format!("request {id} is another one when it is read alone").into());
        }
    }
    Ok((restored, replayed.mark))
}

/// What a job learned, by number: nothing but what the commit vouches for.
fn learned(job: &Job, commit: &Commit) -> Result<BTreeMap<u64, u64>, Error> {
    let mut learned = BTreeMap::new();
    delta::tell_learned(job, commit, |entry| {
        let delta::PageEntry::Page(page) = entry else {
            panic!("nobody learned {entry:?}");
        };
        let number = u128::from_be_bytes(page.fingerprint) as u64;
        let links = page.links.unwrap().decode().unwrap();
        assert_eq!(links, [url_of(number)]);
        learned.insert(number, u64::from(page.missed));
    })?;
    Ok(learned)
}

fn learn(learning: &mut Learning, url: u64, commit: u64) {
    let mut bytes = Vec::new();
    learning.page(&Page {
        fingerprint: fingerprint_of(url),
        missed: commit as u32,
        links: PageLinks::encode([&url_of(url)[..]], &mut bytes),
        ..Page::default()
    });
}

/// What is found on a disk after a stop: the number of the commit, or `None` without a job. It must be
/// one that the model allows.
fn found(
    disk: &SimDisk,
    ground: &Ground,
    model: &Model,
) -> Result<Option<(Job, Mark, State)>, Error> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let Some(job) = Job::open(shared, &ground.place)? else {
        return if model.acknowledged.is_none() || model.is_removing {
            Ok(None)
        } else {
            Err("the job is gone".into())
        };
    };
    let tag: u64 = job.manifest().proxy_type.parse().unwrap_or(0);
    if !(model.tag.0..=model.tag.1).contains(&tag) {
        return Err(format!("the manifest has tag {tag} and not one of {:?}", model.tag).into());
    }
    let (restored, end) = restore(&job)?;
    let commit = restored.state.commit;
    if commit < model.acknowledged.unwrap_or(0) {
        let acknowledged = model.acknowledged;
        return Err(
            format!("commit {commit} is the last, {acknowledged:?} was acknowledged").into(),
        );
    }
    let last = job.last_commit()?;
    if last.as_ref().map_or(0, |commit| commit.at_ms) != commit {
        return Err("the last commit is another seen from the end".into());
    }
    let allowed = model
        .states
        .get(commit as usize)
        .ok_or("a commit from nowhere")?;
    let mut output = Append::open(disk, &ground.output)?;
    // Before the first commit there is nothing, and perhaps no file of it.
    output.cut_to(restored.files.get("output").copied().unwrap_or(0))?;
    let state = State {
        output: String::from_utf8(disk.read(&ground.output)?)?,
        learned: learned(&job, &last.unwrap_or_default())?,
        ..restored.state
    };
    if state != **allowed {
        return Err(format!("found {state:?}, allowed {allowed:?}").into());
    }
    Ok(Some((job, end, state)))
}

/// Goes on with what is found: opens it, commits once more, seals it. What is acknowledged on the
/// way must survive the next power cut.
fn go_on(disk: &SimDisk, ground: &Ground, model: &Arc<Mutex<Model>>) -> Result<(), Error> {
    let before = model.lock().unwrap().clone();
    let Some((mut job, end, mut state)) = found(disk, ground, &before)? else {
        return Ok(());
    };
    let last = job.last_commit()?;
    let learned_bytes = last.and_then(|commit| commit.files.get(LEARNED).copied());
    let mut writer = job.writer(&ground.lock, &end)?;
    let commit = state.commit;
    {
        let mut model = model.lock().unwrap();
        model.acknowledged = Some(commit);
        model.states.truncate(commit as usize + 1);
        state.commit += 1;
        state.values.insert("again".into(), vec![1]);
        state.learned.insert(u64::MAX, commit + 1);
        model.states.push(Arc::new(state.clone()));
    }
    let mut batch = Batch::new(&end);
    batch.set("again", &[1]);
    let (mut pages, mut learning) = match learned_bytes {
        Some(bytes) => delta::resume(&job, &ground.lock, bytes, SCOPE)?,
        None => delta::begin(&job, &ground.lock, None, SCOPE)?,
    };
    learn(&mut learning, u64::MAX, commit + 1);
    pages.append(&learning.take())?;
    pages.sync()?;
    writer.append(&batch.close(&state.to_commit(learning.end())))?;
    model.lock().unwrap().acknowledged = Some(commit + 1);
    job.seal(&ground.lock, &writer.end())?;
    disk.power_cut(Unsynced::Lost);
    let model = model.lock().unwrap().clone();
    match found(disk, ground, &model)? {
        Some((job, ..)) if job.manifest().sealed.is_some() => Ok(()),
        _ => Err("the seal is gone".into()),
    }
}

/// The ways in which a stop leaves the disk.
#[derive(Debug, Clone, Copy)]
enum Stop {
    Kill,
    PowerCut(Unsynced),
}

const STOPS: [Stop; 6] = [
    Stop::Kill,
    Stop::PowerCut(Unsynced::Lost),
    Stop::PowerCut(Unsynced::Diced(1)),
    Stop::PowerCut(Unsynced::Kept),
    Stop::PowerCut(Unsynced::Diced(2)),
    Stop::PowerCut(Unsynced::Diced(3)),
];

impl Stop {
    /// The same stop with dice of its own for each moment.
    fn at(self, moment: u64) -> Stop {
        match self {
            Stop::PowerCut(Unsynced::Diced(seed)) => {
                Stop::PowerCut(Unsynced::Diced(seed + 10 * moment))
            }
            other => other,
        }
    }

    fn happen(self, disk: &SimDisk) {
        match self {
            Stop::Kill => disk.revive(),
            Stop::PowerCut(unsynced) => disk.power_cut(unsynced),
        }
    }
}

/// So many moments apart the recovery is stopped as well. A prime, so that each kind has its turn.
const NESTED_EVERY: u64 = 97;

/// A moment at which everything may stop.
struct Moment {
    number: u64,
    disk: SimDisk,
    model: Model,
}

/// Tries the first so many ways to stop at a moment; `nested` also stops the recovery at each of its
/// operations. Returns how many states were looked at.
fn try_stops(
    moment: &Moment,
    ground: &Arc<Ground>,
    ways: usize,
    nested: bool,
) -> Result<u64, String> {
    let mut tried = 0;
    for stop in &STOPS[..ways] {
        let stop = stop.at(moment.number);
        let disk = moment.disk.snapshot();
        stop.happen(&disk);
        let model = Arc::new(Mutex::new(moment.model.clone()));
        let inner = Arc::new(Mutex::new((0, Vec::new())));
        if nested && matches!(stop, Stop::Kill | Stop::PowerCut(Unsynced::Diced(_))) {
            let (ground, model, inner) = (ground.clone(), model.clone(), inner.clone());
            let mut number = moment.number * 100;
            disk.watch(move |disk| {
                number += 1;
                for unsynced in [Unsynced::Lost, Unsynced::Diced(number)] {
                    let disk = disk.snapshot();
                    disk.power_cut(unsynced);
                    let model = model.lock().unwrap().clone();
                    let mut inner = inner.lock().unwrap();
                    inner.0 += 1;
                    if let Err(error) = found(&disk, &ground, &model) {
                        inner
                            .1
                            .push(format!("then {unsynced:?} at {number}: {error}"));
                    }
                }
            });
        }
        let result = go_on(&disk, ground, &model);
        let describe = |error: &dyn std::fmt::Display| {
            format!(
                "moment {}, {stop:?}: {error}\nmodel: {:?}",
                moment.number, moment.model.acknowledged
            )
        };
        result.map_err(|error| describe(&error))?;
        let inner = inner.lock().unwrap();
        if let Some(error) = inner.1.first() {
            return Err(describe(error));
        }
        tried += 1 + inner.0;
    }
    Ok(tried)
}

#[test]
fn a_job_stopped_at_any_operation_is_one_that_the_model_allows() {
    let ground = Arc::new(Ground::new());
    let disk = SimDisk::new();
    let model = Arc::new(Mutex::new(Model::default()));
    let (send, receive) = sync_channel::<Moment>(64);
    let receive = Arc::new(Mutex::new(receive));
    let (states, moments) = (AtomicU64::new(0), AtomicU64::new(0));
    let watched = model.clone();
    let mut number = 0;
    disk.watch(move |disk| {
        number += 1;
        let model = watched.lock().unwrap().clone();
        // A worker that found something hangs up.
        let _ = send.send(Moment {
            number,
            disk: disk.snapshot(),
            model,
        });
    });
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (receive, ground) = (receive.clone(), ground.clone());
            let (states, moments) = (&states, &moments);
            scope.spawn(move || {
                loop {
                    let moment = receive.lock().unwrap().recv();
                    let Ok(moment) = moment else { return };
                    let ways = if moment.number % 4 == 0 {
                        STOPS.len()
                    } else {
                        3
                    };
                    // A recovery removes what was in force before only after a compaction.
                    let nested = moment.number % NESTED_EVERY == 0 || moment.model.is_compacting;
                    let tried = try_stops(&moment, &ground, ways, nested);
                    states.fetch_add(
                        tried.unwrap_or_else(|error| panic!("{error}")),
                        Ordering::Relaxed,
                    );
                    moments.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        drop(receive);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let mut life = Life::begin(shared, ground.clone(), model.clone()).unwrap();
        life.live(220).unwrap();
        life.remove().unwrap();
        // The watcher holds the sending end.
        disk.watch(|_| {});
    });
    let (states, moments) = (states.into_inner(), moments.into_inner());
    eprintln!("{states} states after stops at {moments} moments, all allowed");
    assert!(states > 10_000);
}

#[test]
fn a_job_broken_at_any_operation_stops_and_loses_nothing() {
    let operations = {
        let disk = SimDisk::new();
        short_life(&disk, &Arc::new(Ground::new()), &Arc::default()).unwrap();
        disk.operations()
    };
    let tried = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for half in 0..2 {
            let tried = &tried;
            scope.spawn(move || {
                let ground = Arc::new(Ground::new());
                for operation in (1..=operations).filter(|operation| operation % 2 == half) {
                    for fault in [
                        Fault::Full,
                        Fault::Broken,
                        Fault::Interrupted,
                        Fault::Stopped,
                    ] {
                        let disk = SimDisk::new();
                        disk.fail(operation, fault);
                        let model = Arc::new(Mutex::new(Model::default()));
                        let ended = short_life(&disk, &ground, &model);
                        let moment = Moment {
                            number: operation,
                            disk,
                            model: model.lock().unwrap().clone(),
                        };
                        let result = try_stops(&moment, &ground, STOPS.len(), false);
                        let states = result.unwrap_or_else(|error| {
                            panic!(
                                "{fault:?} at operation {operation}, which ended {ended:?}: {error}"
                            )
                        });
                        tried.fetch_add(states, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let tried = tried.into_inner();
    eprintln!("{tried} states after 4 faults at {operations} operations, all allowed");
    assert!(tried > 5_000);
}

/// A short life that does everything once. After a failure it tries to go on, as nobody should.
fn short_life(
    disk: &SimDisk,
    ground: &Arc<Ground>,
    model: &Arc<Mutex<Model>>,
) -> Result<(), Error> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut life = Life::begin(shared, ground.clone(), model.clone())?;
    let ended = life.live(34);
    if ended.is_err() {
        // Refused, or acknowledged and therefore to be kept.
        let _ = life.commit();
        let _ = life.pause();
    }
    ended
}

#[test]
fn after_a_failed_write_or_sync_nothing_more_is_written() {
    for fault in [Fault::Full, Fault::Broken, Fault::Interrupted] {
        for operation in 1..=7 {
            let disk = SimDisk::new();
            let ground = Arc::new(Ground::new());
            let mut life = Life::begin(Arc::new(disk.clone()), ground, Arc::default()).unwrap();
            life.commit().unwrap();
            // Output written and synced, pages too; the batch written, journal synced.
            disk.fail(disk.operations() + operation, fault);
            assert!(life.commit().is_err());
            let journal = life.job.journal_path();
            let before = disk.read(&journal).unwrap();
            assert!(life.commit().is_err());
            if operation > 4 {
                assert!(life.retag().is_err() && life.pause().is_err());
            }
            assert_eq!(disk.read(&journal).unwrap(), before);
        }
    }
}
