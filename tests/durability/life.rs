//! A crawl that runs: commits, pauses, compactions, as the protocol wants them.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crawl_ckpt::delta::{self, LEARNED, Learning, Page, PageLinks, ScopeHash};
use crawl_ckpt::durable::sim::SimDisk;
use crawl_ckpt::durable::{Append, Disk};
use crawl_ckpt::image::ImageWriter;
use crawl_ckpt::job::{Job, JobPlace, Manifest};
use crawl_ckpt::journal::{Batch, ClosedBatch, Commit, Stored, Writer};
use crawl_ckpt::lock::JobLock;

use crate::Error;
use crate::model::{Fact, Model, State, fingerprint_of, url_of};
use crate::restored::{Restored, restore};

/// Where a job of the tests lies. The lock is a real file; all else is on the simulated disk.
pub struct Ground {
    pub place: JobPlace,
    pub lock: JobLock,
    pub output: PathBuf,
    _dir: tempfile::TempDir,
}

impl Ground {
    pub fn new() -> Ground {
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
pub struct Life {
    disk: Arc<dyn Disk>,
    ground: Arc<Ground>,
    model: Arc<Mutex<Model>>,
    pub job: Job,
    writer: Writer,
    pub output: Append,
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

pub const SCOPE: ScopeHash = [3; 16];

impl Life {
    pub fn begin(
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

    pub fn commit(&mut self) -> Result<(), Error> {
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

    pub fn pause(&mut self) -> Result<(), Error> {
        Ok(self.job.seal(&self.ground.lock, &self.writer.end())?)
    }

    pub fn retag(&mut self) -> Result<(), Error> {
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

    pub fn remove(self) -> Result<(), Error> {
        self.model.lock().unwrap().is_removing = true;
        Ok(self.job.remove(&self.ground.lock)?)
    }

    /// A life of some commits in which everything happens.
    pub fn live(&mut self, commits: u64) -> Result<(), Error> {
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

pub fn learn(learning: &mut Learning, url: u64, commit: u64) {
    let mut bytes = Vec::new();
    learning.page(&Page {
        fingerprint: fingerprint_of(url),
        missed: commit as u32,
        links: PageLinks::encode([&url_of(url)[..]], &mut bytes),
        ..Page::default()
    });
}

/// A short life that does everything once. After a failure it tries to go on, as nobody should.
pub fn short_life(
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
