//! robots.txt (RFC 9309): asked for once a host before any of its pages, kept
//! in the checkpoint, decided by here.
//!
//! A missing file (4xx) allows everything. While a host's file cannot be had
//! (5xx, no answer) its pages wait; when it cannot be had for good they end
//! with an error, since nobody allowed them. A host that is asked another way
//! from now on, through a proxy, is asked for its file that way first. After a day a file is
//! asked for again, and what it said before holds when no better answer comes.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashSet, VecDeque};
use std::io;

use crawl_ckpt::plan::Plan;
use crawl_ckpt::record::{ErrorKind, FetchResult};
use crawl_ckpt::robots;
use crawl_ckpt::tool::Failure;

use super::ruling::{Ruling, Unreachable};
use crate::rules::{self, HostRules, KeptRules, KnownFile, SavedRules, Shelf};
use crate::schedule::{HostId, grow_by_quarters};
use crate::unnamed::AsideRoom;

const FIRST_BACKOFF_MS: u64 = 1000;
/// A host that did answer once is asked again so long after it did not, while others answer.
const HELD_MS: u64 = 60_000;
/// An older file is asked for again (RFC 9309, 2.4).
const MAX_AGE_MS: u64 = 24 * 3600 * 1000;
/// … and after so long once more, when it could not be had.
const AGAIN_MS: u64 = 3600 * 1000;
/// Redirects that are followed to a file, to other hosts as well (RFC 9309, 2.3.1.2).
const MAX_REDIRECTS: u32 = 5;

/// The rules of all hosts.
#[derive(Debug)]
pub struct Robots {
    token: String,
    files: RobotsFiles,
    shelf: Shelf,
    failure: Option<io::Error>,
    wanted: VecDeque<HostId>,
    later: BinaryHeap<Reverse<(u64, HostId)>>,
    /// Hosts that never answered, whose file nobody answered for either, however often.
    held: Vec<HostId>,
    /// Hosts without a file that did answer for pages once, and when they are asked again: what is
    /// left of such a host waits until it answers again.
    suspects: BTreeSet<(u64, HostId)>,
    /// Hosts whose pages are answered and their file was not: it is asked for a last time.
    doubted: HashSet<HostId>,
}

/// By host. Those that never were wanted have none.
#[derive(Debug, Default)]
struct RobotsFiles(Vec<File>);

/// Of millions of hosts, so it is small.
#[derive(Debug, Default)]
enum File {
    #[default]
    Unknown,
    /// It is to be had, for the first time.
    New,
    Wanted(Box<WantedFile>),
    Known(KnownFile),
    Unreachable(Box<Unreachable>),
}

#[derive(Debug, Default)]
struct WantedFile {
    attempts: u32,
    /// What holds when no better answer comes.
    before: Option<KnownFile>,
    /// Redirects so far, and where the last one leads.
    redirects: u32,
    target: Option<String>,
}

impl RobotsFiles {
    fn get(&self, host: HostId) -> &File {
        self.0.get(host.0 as usize).unwrap_or(&File::Unknown)
    }

    fn put(&mut self, host: HostId, file: File) {
        let place = host.0 as usize;
        if self.0.len() <= place {
            grow_by_quarters(&mut self.0, place + 1);
            self.0.resize_with(place + 1, File::default);
        }
        self.0[place] = file;
    }

    fn take(&mut self, host: HostId) -> File {
        self.0
            .get_mut(host.0 as usize)
            .map(std::mem::take)
            .unwrap_or_default()
    }

    /// What is known of a file that is to be had; `None` of any other.
    fn wanted(&mut self, host: HostId) -> Option<&mut WantedFile> {
        let file = self.0.get_mut(host.0 as usize)?;
        if matches!(file, File::New) {
            *file = File::Wanted(Box::default());
        }
        match file {
            File::Wanted(wanted) => Some(wanted),
            _ => None,
        }
    }
}

impl Robots {
    /// No rules yet; how much of them may be in memory.
    pub fn new(plan: &Plan, room: Option<AsideRoom>) -> Robots {
        let agent = plan.user_agent.as_deref().unwrap_or(env!("CARGO_PKG_NAME"));
        let token = robots::product_token(agent).to_owned();
        Robots {
            token,
            files: RobotsFiles::default(),
            shelf: Shelf::within(room),
            failure: None,
            wanted: VecDeque::new(),
            later: BinaryHeap::new(),
            held: Vec::new(),
            suspects: BTreeSet::new(),
            doubted: HashSet::new(),
        }
    }

    /// A host was met whose rules must be known.
    pub fn want(&mut self, host: HostId) -> bool {
        if !matches!(self.files.get(host), File::Unknown) {
            return false;
        }
        self.insert_wanted(host, None);
        self.wanted.push_back(host);
        true
    }

    /// The host is asked another way from now on, so its file is, too. What it said is kept
    /// in case that it says nothing this way.
    pub fn want_again(&mut self, host: HostId) {
        let before = match self.files.take(host) {
            File::Known(known) if !known.refused => Some(known),
            File::Wanted(wanted) => wanted.before,
            _ => None,
        };
        self.insert_wanted(host, before);
        self.wanted.push_back(host);
    }

    fn insert_wanted(&mut self, host: HostId, before: Option<KnownFile>) {
        self.files.put(host, File::wanted(0, before));
    }

    /// True when the host's file is too old by now, and is to be had again before its pages.
    pub fn renew(&mut self, host: HostId, now_ms: u64) -> bool {
        let File::Known(known) = self.files.get(host) else {
            return false;
        };
        let is_old = now_ms.saturating_sub(known.fetched_ms) > MAX_AGE_MS;
        if is_old {
            self.want_again(host);
        }
        is_old
    }

    /// The host's file lies elsewhere, which is asked for next. False after too many redirects.
    pub fn follow(&mut self, host: HostId, to: &str) -> bool {
        let Some(wanted) = self.files.wanted(host) else {
            return false;
        };
        wanted.redirects += 1;
        if wanted.redirects > MAX_REDIRECTS {
            return false;
        }
        wanted.target = Some(to.to_owned());
        self.wanted.push_front(host);
        true
    }

    /// Hosts whose file nobody answered for.
    pub fn held(&self) -> usize {
        self.held.len() + self.suspects.len()
    }

    /// One of these that did answer for pages once.
    pub fn held_suspect(&self) -> Option<HostId> {
        self.suspects.first().map(|(_, host)| *host)
    }

    /// A host whose file is to be asked for, now or later.
    pub fn waited_for(&self) -> Option<HostId> {
        let later = || self.later.peek().map(|Reverse((_, host))| *host);
        self.wanted.front().copied().or_else(later)
    }

    /// When the next retry is due.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.later.peek().map(|Reverse((due, _))| *due)
    }

    /// A host whose file is to be asked for now.
    pub fn next_wanted(&mut self, now_ms: u64) -> Option<HostId> {
        while let Some(&Reverse((due, host))) = self.later.peek()
            && due <= now_ms
        {
            self.later.pop();
            self.wanted.push_back(host);
        }
        while let Some(&(again_ms, host)) = self.suspects.first()
            && again_ms <= now_ms
        {
            self.suspects.pop_first();
            self.want_held_host(host);
        }
        self.wanted.pop_front()
    }

    /// Asks for the file of a host again that was held until now.
    fn want_held_host(&mut self, host: HostId) {
        self.insert_wanted(host, None);
        self.wanted.push_back(host);
    }

    /// Where a host's file is asked for.
    pub fn url(&self, host: HostId, origin: &str) -> String {
        let target = match self.files.get(host) {
            File::Wanted(wanted) => wanted.target.clone(),
            _ => None,
        };
        target.unwrap_or_else(|| format!("{origin}/robots.txt"))
    }

    /// Takes the answer for a host, which `lives` when it ever answered for a page. Returns the
    /// host's least delay in milliseconds when its pages may be asked for from now on.
    pub fn answer(
        &mut self,
        host: HostId,
        result: &FetchResult<'_>,
        lives: bool,
        retries: u32,
        now_ms: u64,
    ) -> Option<u64> {
        let wanted = self.files.wanted(host)?;
        let (attempts, before) = (wanted.attempts + 1, wanted.before.take());
        let no_worse = |new: KnownFile| match before {
            Some(before) => KnownFile {
                fetched_ms: now_ms,
                ..before
            },
            None => new,
        };
        let answer = result.status.map(robots::Answer::of);
        let why = match (&result.error, answer) {
            (Some(error), _) if error.kind != ErrorKind::Redirect => Unreachable {
                kind: error.kind,
                message: error.message.to_string(),
            },
            (None, Some(robots::Answer::Unreachable)) => Unreachable {
                kind: ErrorKind::Robots,
                message: robots::of_status(result.status.unwrap_or_default()),
            },
            (None, Some(robots::Answer::File)) => {
                let text = result.robots.as_deref().unwrap_or("");
                let robots = robots::Robots::parse(text, &self.token);
                let known = self.shelve(SavedRules {
                    robots,
                    fetched_ms: now_ms,
                    refused: false,
                });
                return Some(self.know(host, known));
            }
            // 4xx, and a redirect that leads nowhere: there is no file, so nothing is forbidden.
            _ => {
                let known = KnownFile::free(now_ms);
                let known = match result.status {
                    Some(403) => no_worse(KnownFile {
                        refused: true,
                        ..known
                    }),
                    _ => known,
                };
                return Some(self.know(host, known));
            }
        };
        if attempts <= retries {
            let wait_ms = (FIRST_BACKOFF_MS << (attempts - 1).min(6))
                .max(result.retry_after_s.unwrap_or(0).min(120) * 1000);
            self.files.put(host, File::wanted(attempts, before));
            self.later.push(Reverse((now_ms + wait_ms, host)));
            return None;
        }
        if let Some(known) = before {
            // Not kept like a file that was fetched just now: it is asked for again before long.
            let fetched_ms = now_ms.saturating_sub(MAX_AGE_MS - AGAIN_MS);
            return Some(self.know(
                host,
                KnownFile {
                    fetched_ms,
                    ..known
                },
            ));
        }
        // The fetcher's own trouble says as little of the host as no answer at all.
        let silent = why.kind.is_unanswered() || why.kind == ErrorKind::Io;
        self.files.put(host, File::Unreachable(Box::new(why)));
        if silent {
            if lives && !self.doubted.contains(&host) {
                self.suspects.insert((now_ms + HELD_MS, host));
            } else {
                self.held.push(host);
            }
            return None;
        }
        Some(0)
    }

    /// Somebody else was answered, so the held hosts that never were are really unreachable.
    pub fn give_up(&mut self) -> Vec<HostId> {
        std::mem::take(&mut self.held)
    }

    /// A page of this host was answered: if its file is held, it is asked for a last time, and
    /// held no longer than that of any other.
    pub fn doubt(&mut self, host: HostId) {
        let mut suspects = self.suspects.iter();
        if let Some(&suspect) = suspects.find(|(_, suspect)| *suspect == host) {
            self.suspects.remove(&suspect);
            self.doubted.insert(host);
            self.want_held_host(host);
        }
    }

    /// No host answered for a while, so the held hosts are asked once more.
    pub fn want_held(&mut self) {
        let suspects = std::mem::take(&mut self.suspects).into_iter();
        let suspects = suspects.map(|(_, host)| host);
        let held = std::mem::take(&mut self.held).into_iter();
        for host in held.chain(suspects) {
            self.want_held_host(host);
        }
    }

    /// Drops what a host's file said, so that the next run asks for it.
    pub fn forget(&mut self, host: HostId) {
        self.files.take(host);
    }

    /// What the host's file says of a URL.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn ruling(&mut self, host: HostId, url: &str) -> Result<Ruling, Failure> {
        Ok(match self.files.get(host) {
            File::Known(known) => {
                let rules = self.shelf.get(known.rules).map_err(rules::failed)?;
                let verdict = rules.verdict(url);
                if verdict.allowed {
                    Ruling::Allowed
                } else {
                    Ruling::Disallowed(verdict.line.unwrap_or(0))
                }
            }
            File::Unreachable(why) => Ruling::Unreachable((**why).clone()),
            File::Wanted(_) | File::New | File::Unknown => Ruling::Allowed,
        })
    }

    /// The host's least delay in milliseconds.
    pub fn delay_ms(&self, host: HostId) -> u64 {
        match self.files.get(host) {
            File::Known(known) => known.delay_ms.into(),
            _ => 0,
        }
    }

    /// What the checkpoint keeps of a host's file; `None` when there is nothing to keep.
    pub fn saved(&mut self, host: HostId) -> Option<String> {
        match HostRules::saved(self, host) {
            Ok(saved) => saved,
            Err(e) => {
                self.failure.get_or_insert(e);
                None
            }
        }
    }

    /// The sitemaps that a host's file names.
    pub fn sitemaps(&mut self, host: HostId) -> Vec<String> {
        let File::Known(known) = self.files.get(host) else {
            return Vec::new();
        };
        match self.shelf.get(known.sitemaps) {
            Ok(robots) => robots.sitemaps().to_vec(),
            Err(e) => {
                self.failure.get_or_insert(e);
                Vec::new()
            }
        }
    }

    /// That nothing failed. Nothing may be committed after a failure.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn check(&mut self) -> Result<(), Failure> {
        self.failure
            .take()
            .map_or(Ok(()), |e| Err(rules::failed(e)))
    }

    /// Gives the host's least delay in milliseconds.
    fn know(&mut self, host: HostId, known: KnownFile) -> u64 {
        self.doubted.remove(&host);
        self.files.put(host, File::Known(known));
        known.delay_ms.into()
    }

    /// Takes what the checkpoint has, as far as it may be used.
    pub fn restore(&mut self, kept: KeptRules, now_ms: u64) {
        let (shelf, files) = kept.into_parts();
        self.shelf = shelf;
        for (place, known) in files.into_iter().enumerate() {
            // A file that was refused may be asked for another way now.
            let Some(known) = known.filter(|known| !known.refused) else {
                continue;
            };
            // The age of a file that was fetched in the future is not known.
            let fetched_ms = match known.fetched_ms {
                future if future > now_ms => 0,
                past => past,
            };
            let known = KnownFile {
                fetched_ms,
                ..known
            };
            self.files.put(HostId(place as u32), File::Known(known));
        }
    }

    fn shelve(&mut self, saved: SavedRules) -> KnownFile {
        let free = KnownFile::free(saved.fetched_ms);
        KnownFile::shelve(saved, &mut self.shelf).unwrap_or_else(|e| {
            self.failure.get_or_insert(e);
            free
        })
    }
}

impl HostRules for Robots {
    fn saved(&self, host: HostId) -> io::Result<Option<String>> {
        match self.files.get(host) {
            File::Known(known) => known.text(&self.shelf).map(Some),
            _ => Ok(None),
        }
    }
}

impl File {
    fn wanted(attempts: u32, before: Option<KnownFile>) -> File {
        match (attempts, before) {
            (0, None) => File::New,
            (attempts, before) => File::Wanted(Box::new(WantedFile {
                attempts,
                before,
                ..WantedFile::default()
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_little_of_a_host() {
        assert!(size_of::<File>() <= 32, "{}", size_of::<File>());
    }
}
