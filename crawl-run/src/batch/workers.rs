//! The crawls of a batch, so many at once: which entry is next, how it is run, and what
//! became of it.

use std::ffi::OsString;
use std::path::Path;
use std::slice;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use crawl_ckpt::control::Progress;
use crawl_ckpt::mutex::{lock, unpoisoned};
use crawl_ckpt::tool::{Exit, Failure};

use super::budget::Budget;
use super::list::Entry;
use super::record::{Record, Stage};
use super::relay::Relay;
use super::report;
use super::state::Store;
use super::total::Total;
use crate::checkpoint::committed;
use crate::cli::{
    BatchArgs, CheckpointArgs, CrawlArgs, LimitArgs, MetricsArgs, OutputArgs, PlaceArgs,
};
use crate::command_line::CommandLine;
use crate::crawl::Crawl;
use crate::ended::Ended;
use crate::leavings::Leavings;
use crate::metrics::Metrics;
use crate::outcome::Outcome;
use crate::screen::Screen;
use crate::stage::Keeper;
use crate::view::View;

/// What all workers share.
#[derive(Debug)]
pub struct Workers<'a> {
    /// The options of the batch.
    pub args: &'a BatchArgs,
    /// The entries, in the order of the list; the store has a record for each.
    pub entries: &'a [Entry],
    /// What became of them.
    pub store: &'a Store,
    /// What they may cost together.
    pub budget: &'a Budget,
    /// Carries signals.
    pub relay: &'a Relay,
    /// The total of all crawls.
    pub total: Arc<Total>,
    /// Where figures are kept for a monitoring system.
    pub metrics: Option<Arc<Metrics>>,
    /// The program, as it was called.
    pub program: &'a str,
    /// Where all projects lie.
    pub data_dir: &'a Path,
    /// The screen, if there is one.
    pub screen: Option<Screen>,
    /// When the batch is to stop.
    pub deadline: Option<Instant>,
}

/// What a worker keeps from one crawl to the next.
type Lasting = (Arc<Keeper>, Leavings);

/// An entry to run, and what it may cost.
#[derive(Debug, Clone, Copy)]
struct Turn {
    at: usize,
    share: Option<u64>,
}

/// What comes after the run of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    /// Nothing in this run of the batch.
    Nothing,
    /// It is tried again.
    Again,
    /// It goes on if it may cost more than what it had left.
    Costly(u64),
}

/// What is left to do.
#[derive(Debug)]
struct Queue {
    /// Entries to begin, the next one last.
    waiting: Vec<usize>,
    /// Entries that stopped for what they cost, with what was left of their share: not enough for one more
    /// request.
    costly: Vec<(usize, u64)>,
    running: usize,
    /// The first failure of the batch itself: the disk that keeps its state.
    broken: Option<Failure>,
}

impl Workers<'_> {
    /// Runs every entry that is left to do, until nothing is or the batch is stopped. `change` is
    /// called whenever an entry has begun or ended.
    ///
    /// # Errors
    /// The state cannot be kept any more.
    pub fn work(&self, change: &(dyn Fn(usize) + Sync)) -> Result<(), Failure> {
        let queue = Mutex::new(Queue {
            waiting: self.order(),
            costly: Vec::new(),
            running: 0,
            broken: None,
        });
        let freed = Condvar::new();
        thread::scope(|scope| {
            for _ in 0..self.at_once() {
                scope.spawn(|| {
                    let after = Lasting::default();
                    while let Some(turn) = self.next(&queue, &freed) {
                        change(lock(&queue).running);
                        let result = self.run(turn, &after);
                        let mut queue = lock(&queue);
                        queue.running -= 1;
                        match result {
                            // At the far end: behind everything that was not tried yet.
                            Ok(After::Again) => queue.waiting.insert(0, turn.at),
                            Ok(After::Costly(left)) => queue.costly.push((turn.at, left)),
                            Ok(After::Nothing) => {}
                            Err(failure) => queue.broken = queue.broken.take().or(Some(failure)),
                        }
                        change(queue.running);
                        freed.notify_all();
                    }
                });
            }
        });
        let broken = lock(&queue).broken.take();
        broken.map_or(Ok(()), Err)
    }

    /// The entries that are left to do: by priority, then in the order of the list; reversed.
    fn order(&self) -> Vec<usize> {
        let records = self.store.records();
        let left = |at: &usize| !records[*at].is_settled(self.args.retries);
        let mut order: Vec<usize> = (0..records.len()).filter(left).collect();
        order.sort_by_key(|at| (-i128::from(self.entries[*at].priority), *at));
        order.reverse();
        order
    }

    /// The entry to run next; waits while only a running one might come back, or give back what it does not
    /// need. `None` when the batch is to end.
    fn next(&self, queue: &Mutex<Queue>, freed: &Condvar) -> Option<Turn> {
        let mut queue = lock(queue);
        loop {
            let stopped = self.relay.first().is_some() || self.is_late() || queue.broken.is_some();
            if !stopped && let Some(turn) = self.turn(&mut queue) {
                queue.running += 1;
                return Some(turn);
            }
            if stopped || queue.running == 0 {
                freed.notify_all();
                return None;
            }
            queue = unpoisoned(freed.wait(queue));
        }
    }

    /// Those that wait, then those that may cost more than before.
    fn turn(&self, queue: &mut Queue) -> Option<Turn> {
        let idle = self.at_once().saturating_sub(queue.running);
        if let Some(at) = queue.waiting.pop() {
            let share = self.budget.take(idle.min(queue.waiting.len() + 1));
            return Some(Turn { at, share });
        }
        let all = idle.min(queue.costly.len());
        // The last ones go one by one, each with all that is left.
        let shares = [all, if queue.running == 0 { 1 } else { all }];
        shares.into_iter().find_map(|of| {
            let offer = self.budget.offer(of)?;
            let mut costly = queue.costly.iter();
            let place = costly.position(|(_, left)| offer > *left)?;
            let (at, _) = queue.costly.remove(place);
            let share = self.budget.take(of);
            Some(Turn { at, share })
        })
    }

    fn at_once(&self) -> usize {
        (self.args.jobs as usize).min(self.entries.len())
    }

    fn is_late(&self) -> bool {
        self.deadline.is_some_and(|due| Instant::now() >= due)
    }

    /// Runs one entry and keeps what became of it.
    fn run(&self, turn: Turn, after: &Lasting) -> Result<After, Failure> {
        let Turn { at, share } = turn;
        let before = self.store.spent(at);
        let entry = &self.entries[at];
        let begun = Instant::now();
        let mut view = View::among(self.args.verbosity, entry.site.clone(), self.screen.clone());
        view.watch(self.total.share(at));
        let mut kept = Ok(());
        let result = self.crawl(turn, after, &mut view, &mut kept);
        view.end();
        self.relay.leave(at);
        // A batch that cannot keep its state must not go on, whatever became of the crawl.
        kept?;
        let Some(result) = result else {
            self.budget.settle(share, 0);
            return Ok(After::Nothing);
        };
        if let Err(failure) = &result {
            view.error(format_args!("crawl-run: {}", failure.message));
        }
        let record = self.store.change(at, |record| {
            if result
                .as_ref()
                .is_err_and(|failure| failure.exit != Exit::Held)
            {
                report::refresh(record, self.data_dir);
            }
            settle(record, &result);
        })?;
        let spent = record.spent.saturating_sub(before);
        self.budget.settle(share, spent);
        if self.args.json {
            report::print(&record, self.args.retries, begun.elapsed(), &result)?;
        }
        let is_costly = result.is_ok_and(|ended| ended.is_costly);
        Ok(match share.filter(|_| is_costly) {
            Some(share) => After::Costly(share.saturating_sub(spent)),
            None if record.stage != Stage::Failed => After::Nothing,
            None if record.is_settled(self.args.retries) => After::Nothing,
            None => After::Again,
        })
    }

    /// The crawl itself; `None` when a signal came before it could begin.
    fn crawl(
        &self,
        Turn { at, share }: Turn,
        (keeper, leavings): &Lasting,
        view: &mut View,
        kept: &mut Result<(), Failure>,
    ) -> Option<Result<Ended, Failure>> {
        let entry = &self.entries[at];
        let (sender, events) = mpsc::channel();
        let site = entry.spider(&self.args.list);
        let args = self.crawl_args(entry, share);
        let mut crawl = match Crawl::prepare(
            slice::from_ref(&site),
            &args,
            self.command_line(entry, &site),
            view,
        ) {
            Ok(crawl) => crawl,
            Err(failure) => return Some(Err(failure)),
        };
        crawl.keep_programs(keeper);
        crawl.leave_files(leavings);
        let job = &crawl.place().job.dir;
        if !self.relay.listen(at, sender.clone()) {
            return None;
        }
        let before = committed(&crawl.place().job);
        let before = before.map_or(0, |progress| progress.spent());
        let inside = job.strip_prefix(self.data_dir).unwrap_or(job).to_owned();
        if let Err(failure) = self.store.begin(at, inside, before) {
            *kept = Err(failure);
            return None;
        }
        // Noted before the checkpoint goes: a crash in between must not crawl it again.
        let mut completed = |progress: &Progress| {
            let done = self.store.change(at, |record| {
                record.take(progress);
                record.stage = Stage::Done;
            });
            done.map(|_| ())
        };
        let metrics = self.metrics.as_ref();
        Some(crawl.production(&mut completed, metrics, (&sender, &events), view))
    }

    fn crawl_args(&self, entry: &Entry, share: Option<u64>) -> CrawlArgs {
        let args = self.args;
        let left = self
            .deadline
            .map(|due| due.saturating_duration_since(Instant::now()));
        CrawlArgs {
            place: PlaceArgs {
                project: entry
                    .project
                    .as_ref()
                    .map(|project| project.to_string())
                    .or_else(|| args.place.project.clone()),
                data_dir: Some(self.data_dir.to_owned()),
            },
            output: OutputArgs::default(),
            limits: LimitArgs {
                max_time: left,
                cost_share: share,
                ..LimitArgs::default()
            },
            reach: args.reach.clone(),
            checkpoint: CheckpointArgs {
                fresh: false,
                reset_deltafetch: false,
                retry_failed: None,
                change: args.change.clone(),
            },
            pace: args.pace.clone(),
            fetch: args.fetch.clone(),
            metrics: MetricsArgs::default(),
            verbosity: args.verbosity,
        }
    }

    /// The command that does one entry by itself.
    fn command_line(&self, entry: &Entry, site: &str) -> CommandLine {
        let project = entry.project.as_ref().map(|project| project.to_string());
        let project = project.or_else(|| self.args.place.project.clone());
        let mut words: Vec<OsString> = vec![self.program.into()];
        if let Some(project) = project {
            words.extend(["--project".into(), project.into()]);
        }
        if self.args.place.data_dir.is_some() {
            words.extend(["--data-dir".into(), self.data_dir.into()]);
        }
        words.push(site.into());
        CommandLine::new(words)
    }
}

/// What the end of a crawl makes of its entry.
fn settle(record: &mut Record, result: &Result<Ended, Failure>) {
    let (exit, why) = match result {
        Ok(ended) => {
            record.take(&ended.progress);
            match &ended.outcome {
                Outcome::Failed { exit, why, .. } => (*exit, Some(why.clone())),
                outcome => (outcome.exit(), None),
            }
        }
        Err(failure) => (failure.exit, Some(failure.message.clone())),
    };
    record.why = why;
    record.stage = match exit {
        Exit::Complete => Stage::Done,
        Exit::Interrupted | Exit::Terminated | Exit::Hangup => Stage::Paused,
        Exit::Stopped => Stage::Stopped,
        Exit::Decide => Stage::Parked,
        Exit::Held => Stage::Held,
        Exit::Usage | Exit::Damaged => Stage::Broken,
        Exit::Failed | Exit::PipeClosed => Stage::Failed,
    };
    record.failures += u32::from(record.stage == Stage::Failed);
}
