//! Requests that wait, by host: which may be sent now, given the limits a host.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use url::{Position, Url};

use crate::job::Job;

/// The requests that wait. The clock is an argument.
#[derive(Debug)]
pub struct Queue {
    per_host: usize,
    delay: Duration,
    hosts: HashMap<Arc<str>, Host>,
    /// Hosts of which a request may be sent now, in turn.
    ready: VecDeque<Arc<str>>,
    /// Hosts that must be left alone for a while.
    later: BinaryHeap<Reverse<(Instant, Arc<str>)>>,
    jobs: usize,
    bytes: usize,
    under_way: usize,
}

#[derive(Debug, Default)]
struct Host {
    jobs: VecDeque<Job>,
    under_way: usize,
    /// When the next request may be sent.
    due: Option<Instant>,
    /// It stands in `ready` or `later`.
    listed: bool,
}

/// What a worker gets.
#[derive(Debug)]
pub enum Next {
    /// A request to send, of the host to name in [`Queue::done`].
    Job(Box<Job>, Arc<str>),
    /// Nothing may be sent before then.
    At(Instant),
    /// Nothing may be sent before a request is done or added.
    Nothing,
}

impl Queue {
    /// At most `per_host` requests to a host at once, and `delay` between the
    /// starts of two of them.
    pub fn new(per_host: usize, delay: Duration) -> Queue {
        Queue {
            per_host,
            delay,
            hosts: HashMap::new(),
            ready: VecDeque::new(),
            later: BinaryHeap::new(),
            jobs: 0,
            bytes: 0,
            under_way: 0,
        }
    }

    /// How many requests wait, and how many bytes of lines.
    pub fn waiting(&self) -> (usize, usize) {
        (self.jobs, self.bytes)
    }

    /// How many requests were taken and are not done.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// True when a request may be sent now, as far as is known without a clock.
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Adds a request behind the others of its host.
    pub fn add(&mut self, job: Job) {
        self.jobs += 1;
        self.bytes += job.line.len();
        let name = key(&job.url);
        let known = self.hosts.get_key_value(&*name);
        let key = known.map_or_else(|| Arc::from(&*name), |(key, _)| Arc::clone(key));
        let host = self.hosts.entry(Arc::clone(&key)).or_default();
        host.jobs.push_back(job);
        if !host.listed {
            self.list(&key);
        }
    }

    /// The next request to send.
    pub fn take(&mut self, now: Instant) -> Next {
        while let Some(Reverse((due, _))) = self.later.peek() {
            if *due > now {
                break;
            }
            if let Some(Reverse((_, key))) = self.later.pop() {
                self.ready.push_back(key);
            }
        }
        while let Some(key) = self.ready.pop_front() {
            let Some(host) = self.hosts.get_mut(&key) else {
                continue;
            };
            host.listed = false;
            if let Some(job) = host.jobs.pop_front() {
                host.under_way += 1;
                host.due = (!self.delay.is_zero()).then(|| now + self.delay);
                self.jobs -= 1;
                self.bytes -= job.line.len();
                self.under_way += 1;
                self.list(&key);
                return Next::Job(Box::new(job), key);
            }
            self.forget_idle(&key);
        }
        match self.later.peek() {
            Some(Reverse((due, _))) => Next::At(*due),
            None => Next::Nothing,
        }
    }

    /// A request of this host is done.
    pub fn done(&mut self, key: &Arc<str>) {
        self.under_way -= 1;
        if let Some(host) = self.hosts.get_mut(key) {
            host.under_way -= 1;
            if !host.listed {
                self.list(key);
            }
        }
    }

    /// A request of this host is to go again, before the others.
    pub fn again(&mut self, job: Job, key: &Arc<str>) {
        self.jobs += 1;
        self.bytes += job.line.len();
        let host = self.hosts.entry(Arc::clone(key)).or_default();
        host.jobs.push_front(job);
        self.done(key);
    }

    /// Drops all that waits.
    pub fn clear(&mut self) {
        for host in self.hosts.values_mut() {
            host.jobs.clear();
        }
        (self.jobs, self.bytes) = (0, 0);
    }

    /// Puts a host that is not listed where it belongs.
    fn list(&mut self, key: &str) {
        let Some((key, host)) = self.hosts.get_key_value(key) else {
            return;
        };
        let key = Arc::clone(key);
        let (idle, due) = (host.jobs.is_empty() && host.under_way == 0, host.due);
        let sends = !host.jobs.is_empty() && host.under_way < self.per_host;
        match due {
            // A host with a delay is remembered until its time has come.
            Some(due) if sends || idle => self.later.push(Reverse((due, Arc::clone(&key)))),
            None if sends => self.ready.push_back(Arc::clone(&key)),
            None if idle => {
                self.hosts.remove(&key);
                return;
            }
            _ => return,
        }
        if let Some(host) = self.hosts.get_mut(&key) {
            host.listed = true;
        }
    }

    fn forget_idle(&mut self, key: &str) {
        let host = self.hosts.get(key);
        if host.is_some_and(|host| host.jobs.is_empty() && host.under_way == 0) {
            self.hosts.remove(key);
        }
    }
}

/// What limits are counted by: scheme, host and port.
fn key(url: &Url) -> std::borrow::Cow<'_, str> {
    if url.username().is_empty() && url.password().is_none() {
        url[..Position::BeforePath].into()
    } else {
        let host = &url[Position::BeforeHost..Position::BeforePath];
        format!("{}://{host}", url.scheme()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(url: &str) -> Job {
        Job::new(url.as_bytes(), 1).unwrap()
    }

    fn taken(queue: &mut Queue, now: Instant) -> Option<(String, Arc<str>)> {
        match queue.take(now) {
            Next::Job(job, key) => Some((job.line, key)),
            _ => None,
        }
    }

    #[test]
    fn hosts_take_turns_and_keep_their_limit() {
        let mut queue = Queue::new(2, Duration::ZERO);
        for url in ["http://a/1", "http://a/2", "http://u:p@a/3", "http://b/1"] {
            queue.add(job(url));
        }
        let now = Instant::now();
        let mut order = Vec::new();
        let mut keys = Vec::new();
        while let Some((line, key)) = taken(&mut queue, now) {
            order.push(line);
            keys.push(key);
        }
        assert_eq!(order, ["http://a/1", "http://b/1", "http://a/2"]);
        assert_eq!((queue.waiting().0, queue.under_way()), (1, 3));
        queue.done(&keys[0]);
        assert_eq!(taken(&mut queue, now).unwrap().0, "http://u:p@a/3");
        queue.done(&keys[0]);
        queue.done(&keys[1]);
        queue.done(&keys[2]);
        assert!(queue.hosts.is_empty() && queue.under_way() == 0);
    }

    #[test]
    fn what_goes_again_goes_first() {
        let mut queue = Queue::new(1, Duration::ZERO);
        queue.add(job("http://a/1"));
        queue.add(job("http://a/2"));
        let now = Instant::now();
        let Next::Job(first, key) = queue.take(now) else {
            panic!("nothing to send");
        };
        assert!(taken(&mut queue, now).is_none());
        queue.again(*first, &key);
        assert_eq!((queue.waiting().0, queue.under_way()), (2, 0));
        for url in ["http://a/1", "http://a/2"] {
            assert_eq!(taken(&mut queue, now).unwrap().0, url);
            queue.done(&key);
        }
        assert!(queue.hosts.is_empty());
    }

    #[test]
    fn a_delay_is_kept_even_when_the_host_was_idle_in_between() {
        let second = Duration::from_secs(1);
        let mut queue = Queue::new(8, second);
        let now = Instant::now();
        queue.add(job("http://a/1"));
        let (_, key) = taken(&mut queue, now).unwrap();
        queue.done(&key);
        queue.add(job("http://a/2"));
        queue.add(job("http://a/3"));
        queue.add(job("http://b/1"));
        assert_eq!(taken(&mut queue, now).unwrap().0, "http://b/1");
        assert!(matches!(queue.take(now), Next::At(due) if due == now + second));
        assert_eq!(taken(&mut queue, now + second).unwrap().0, "http://a/2");
        assert!(taken(&mut queue, now + second).is_none());
        assert_eq!(taken(&mut queue, now + 2 * second).unwrap().0, "http://a/3");
        queue.done(&key);
        queue.done(&key);
        assert!(taken(&mut queue, now + 4 * second).is_none());
        assert_eq!(queue.hosts.len(), 1, "only b is under way");
    }
}
