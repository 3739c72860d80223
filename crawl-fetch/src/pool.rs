//! Worker threads: as many as there is work for, up to the limit. Those that wait for a host
//! which does not answer have no place among the requests at once, see [`crate::http::stall`]; when
//! this machine is short of something there are fewer places for a while.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crawl_ckpt::mutex::{lock, unpoisoned};
use crawl_ckpt::record::ErrorKind;

use crate::event::{Event, Events, Outcome};
use crate::fetch::{Fetcher, broken_down};
use crate::http::stall;
use crate::job::Job;
use crate::output::Output;
use crate::queue::{Next, Queue};
use crate::sched;
use crate::tally::Tally;

/// So many requests are read ahead.
const MAX_WAITING: usize = 100_000;

/// So many bytes of request lines are read ahead.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// Stack of a worker. A request with TLS and a full header needs less than half.
const STACK_BYTES: usize = 256 << 10;

/// So many workers more than requests at once, for those that wait for dead hosts.
const MAX_STALLED: usize = 1_000;

/// When this machine is short of something and no request is under way that could give it back,
/// nothing is tried for so long; twice as long each time, up to the second.
const SHORT_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// After a shortage there is room for an eighth more requests each time so long.
const RECOVER: Duration = Duration::from_secs(1);

/// What workers share.
pub struct Pool<W> {
    fetcher: Fetcher,
    output: Arc<Output<W>>,
    events: Events,
    concurrency: usize,
    state: Mutex<State>,
    /// Work came, or the end.
    work: Condvar,
    /// A place is free for one that wants it back.
    place: Condvar,
    /// There is room for more requests.
    room: Condvar,
}

struct State {
    queue: Queue,
    workers: usize,
    idle: usize,
    /// Requests that have a place.
    active: usize,
    /// Workers that waited for a host and want their place back.
    returning: usize,
    places: Capacity,
    /// A worker was begun or woken, and did not look for work yet.
    coming: bool,
    /// An idle worker watches the clock for all.
    watched: bool,
    /// The reader of requests waits for room. Only then it is woken: waking nobody costs a
    /// system call too.
    crowded: bool,
    /// No more requests come.
    closed: bool,
    /// Nothing more is sent either.
    stopped: bool,
    tally: Tally,
}

/// How many requests there is room for.
struct Capacity {
    most: usize,
    now: usize,
    changed: Instant,
    /// After a shortage, nothing is sent before this.
    until: Option<Instant>,
    pause: Duration,
}

impl Capacity {
    /// This machine is short of something while so many other requests have it.
    fn shrink(&mut self, others: usize, now: Instant) {
        self.now = others.max(1);
        self.changed = now;
        if others == 0 {
            self.until = Some(now + self.pause);
            self.pause = (self.pause * 2).min(SHORT_PAUSE.1);
        }
    }

    /// A request went well.
    fn recover(&mut self) {
        if self.now < self.most && self.changed.elapsed() >= RECOVER {
            self.now = (self.now + self.now / 8 + 1).min(self.most);
            self.changed = Instant::now();
            self.pause = SHORT_PAUSE.0;
        }
    }
}

impl State {
    fn has_place(&self) -> bool {
        self.active + self.returning < self.places.now
    }

    /// The next request, if there is a place for it.
    fn take(&mut self) -> Next {
        if !self.has_place() {
            return Next::Nothing;
        }
        let now = Instant::now();
        match self.places.until {
            Some(until) if until > now => return Next::At(until),
            _ => self.places.until = None,
        }
        self.queue.take(now)
    }
}

impl<W: Write + Send + 'static> Pool<W> {
    /// No thread runs yet.
    pub fn new(
        fetcher: Fetcher,
        output: Arc<Output<W>>,
        events: Events,
        concurrency: usize,
        per_host: usize,
        delay: Duration,
    ) -> Arc<Pool<W>> {
        Arc::new(Pool {
            fetcher,
            output,
            events,
            concurrency,
            state: Mutex::new(State {
                queue: Queue::new(per_host, delay),
                workers: 0,
                idle: 0,
                active: 0,
                returning: 0,
                places: Capacity {
                    most: concurrency,
                    now: concurrency,
                    changed: Instant::now(),
                    until: None,
                    pause: SHORT_PAUSE.0,
                },
                coming: false,
                watched: false,
                crowded: false,
                closed: false,
                stopped: false,
                tally: Tally::default(),
            }),
            work: Condvar::new(),
            place: Condvar::new(),
            room: Condvar::new(),
        })
    }

    /// The output, for errors.
    pub fn output(&self) -> &Output<W> {
        &self.output
    }

    /// What became of all requests so far.
    pub fn tally(&self) -> Tally {
        self.lock().tally.clone()
    }

    /// Takes requests on; waits while too many wait already. Returns false when
    /// no more are wanted.
    pub fn add(self: &Arc<Self>, jobs: &mut Vec<Job>) -> bool {
        let mut state = self.lock();
        for job in jobs.drain(..) {
            while !state.closed && is_full(&state.queue) {
                self.wake(&mut state);
                state.crowded = true;
                let woken = self.room.wait(state);
                state = unpoisoned(woken);
                state.crowded = false;
            }
            if state.closed {
                return false;
            }
            state.queue.add(job);
        }
        self.output.expect(state.queue.waiting().0);
        self.wake(&mut state);
        true
    }

    /// Writes the result of a line that was no request.
    pub fn add_invalid(&self, result: &[u8]) {
        self.lock().tally.add(None, Some(ErrorKind::Invalid));
        self.put(result);
    }

    /// No more requests come.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.tell_if_drained(&state);
    }

    /// No more requests are sent; those under way are finished.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.queue.clear();
        self.output.expect(0);
        (state.closed, state.stopped) = (true, true);
        self.room.notify_all();
        self.tell_if_drained(&state);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn put(&self, lines: &[u8]) {
        if !self.output.parsing().put(lines) {
            self.events.tell(Event::OutputBroken);
        }
    }

    fn tell_if_drained(&self, state: &State) {
        if state.closed && state.queue.waiting().0 == 0 && state.queue.under_way() == 0 {
            self.output.flush();
            self.events.tell(Event::Drained);
        }
    }

    /// Gets one more worker going when there is work for it, unless one comes already. Each
    /// worker that takes a request does the same, so that as many run as there is work for.
    fn wake(self: &Arc<Self>, state: &mut State) {
        let ready = state.queue.is_ready();
        let untimed = state.queue.waiting().0 > 0 && !state.watched && state.active == 0;
        if state.coming || !state.has_place() || !(ready || untimed) {
            return;
        }
        if state.idle > 0 {
            state.coming = true;
            self.work.notify_one();
        } else if state.workers < self.concurrency + MAX_STALLED {
            let pool = Arc::clone(self);
            let thread = thread::Builder::new().name("fetch".into());
            let spawned = thread.stack_size(STACK_BYTES).spawn(move || pool.work());
            match spawned {
                Ok(_) => {
                    state.workers += 1;
                    state.coming = true;
                }
                // With fewer threads it only takes longer.
                Err(_) if state.workers > 0 => {}
                Err(error) => {
                    self.events.tell(Event::NoWorker(error));
                }
            }
        }
    }

    /// The life of a worker.
    fn work(self: Arc<Self>) {
        sched::yield_to_others();
        stall::work_in(Arc::new(Seat(Arc::clone(&self))));
        let mut state = self.lock();
        state.coming = false;
        loop {
            let (job, host) = self.next(state);
            let outcome = catch_unwind(AssertUnwindSafe(|| self.fetcher.fetch(&job, &self.output)));
            let outcome = outcome.unwrap_or_else(|_| broken_down(&job, &self.output));
            if let Outcome::Short(_) = &outcome {
                self.fetcher.caller.agents.forget_idle();
            }
            // It stays locked until the next request is taken: were it open in between, a
            // request would seem to be free to an idle worker, which would wake for nothing.
            state = self.lock();
            state.active -= 1;
            if state.returning > 0 {
                self.place.notify_one();
            }
            match outcome {
                Outcome::Fetched(fetched) => {
                    if !fetched.written {
                        self.events.tell(Event::OutputBroken);
                    }
                    state.queue.done(&host);
                    state.tally.add(fetched.status, fetched.error);
                    state.places.recover();
                }
                Outcome::Short(what) if self.fetcher.caller.keeps_nothing_more() => {
                    state.queue.done(&host);
                    self.events.tell(Event::ArchiveBroken(what));
                }
                Outcome::Short(what) => {
                    let others = state.active;
                    state.places.shrink(others, Instant::now());
                    if state.stopped {
                        state.queue.done(&host);
                    } else {
                        state.queue.again(*job, &host);
                    }
                    self.events.tell(Event::Short(what));
                }
            }
            self.tell_if_drained(&state);
        }
    }

    /// The next request; waits until there is one, and a place for it.
    fn next(self: &Arc<Self>, mut state: MutexGuard<'_, State>) -> (Box<Job>, Arc<str>) {
        loop {
            let due = match state.take() {
                Next::Job(job, host) => {
                    state.active += 1;
                    if state.crowded && !is_full(&state.queue) {
                        self.room.notify_one();
                    }
                    self.output.expect(state.queue.waiting().0);
                    self.wake(&mut state);
                    return (job, host);
                }
                Next::At(due) if !state.watched => Some(due),
                _ => None,
            };
            state.idle += 1;
            state = match due {
                None => unpoisoned(self.work.wait(state)),
                Some(due) => {
                    state.watched = true;
                    let left = due.saturating_duration_since(Instant::now());
                    let woken = self.work.wait_timeout(state, left);
                    let (mut state, _) = unpoisoned(woken);
                    state.watched = false;
                    state
                }
            };
            state.idle -= 1;
            state.coming = false;
        }
    }
}

/// Where a worker has its place.
struct Seat<W>(Arc<Pool<W>>);

impl<W: Write + Send + 'static> stall::Places for Seat<W> {
    fn leave(&self) {
        let mut state = self.0.lock();
        state.active -= 1;
        if state.returning > 0 {
            self.0.place.notify_one();
        } else {
            self.0.wake(&mut state);
        }
    }

    fn enter(&self) {
        let mut state = self.0.lock();
        state.returning += 1;
        while state.active >= state.places.now {
            let woken = self.0.place.wait(state);
            state = unpoisoned(woken);
        }
        state.returning -= 1;
        state.active += 1;
    }
}

fn is_full(queue: &Queue) -> bool {
    let (jobs, bytes) = queue.waiting();
    jobs >= MAX_WAITING || bytes >= MAX_WAITING_BYTES
}
