//! A crawl as its journal tells it.

use std::collections::BTreeMap;

use crawl_ckpt::control::{Progress, Started};
use crawl_ckpt::job::Job;
use crawl_ckpt::journal::{Commit, JournalError, Mark};
use crawl_ckpt::plan::{Plan, Scope};
use crawl_ckpt::tool::Failure;

use crate::answer::LONGEST_PAUSE_MS;
use crate::crawl::Crawl;
use crate::log::Log;
use crate::memory::Memory;
use crate::queue::{Sweep, Ticket};
use crate::scope::is_private_url;
use crate::snapshot;
use crate::tale::{Told, tell};
use crate::url::authority;

/// What a journal came to.
#[derive(Debug)]
pub struct Restored {
    /// Where a writer goes on.
    pub end: Mark,
    /// How much of the journal an image spared; `None`: all was replayed.
    pub image: Option<Mark>,
    /// Failed requests that are pending again, for whoever commits that.
    pub reopened: Vec<Ticket>,
    /// What to tell.
    pub started: Started,
    /// What people should read.
    pub notes: Vec<String>,
    memory: Memory,
    plan: Plan,
    key: [u8; 16],
}

/// Reads a job's journal. With `reopen`, what has failed is pending again.
///
/// # Errors
/// Those of the disk, and damage.
pub fn restore(job: &Job, plan: &Plan, now_ms: u64, reopen: bool) -> Result<Restored, Failure> {
    let key = job.manifest().key;
    let window = plan.pace.per_host;
    let mut notes = Vec::new();
    let (mut memory, from) = match snapshot::load(job, window) {
        // An image does not tell what has failed.
        Ok(Some(_)) if reopen => (Memory::new(window), None),
        Ok(Some((memory, mark))) => (memory, Some(mark)),
        Ok(None) => {
            if job.manifest().image {
                let path = job.image_path();
                notes.push(format!(
                    "{} is missing; the journal is read instead",
                    path.display()
                ));
            }
            (Memory::new(window), None)
        }
        Err(why) => {
            notes.push(format!("{why}; the journal is read instead"));
            (Memory::new(window), None)
        }
    };
    let Told {
        replayed,
        mut finished,
        failed,
    } = tell(job, from.as_ref(), reopen, &mut memory)?;
    for &id in &failed {
        finished.remove(id);
        memory.tries.remove(&id);
    }
    memory.tries.retain(|id, _| !finished.contains(*id));
    let mut reopened = Vec::new();
    let told_ms = replayed.commit.as_ref().map_or(memory.at_ms, |c| c.at_ms);
    for (_, due_ms) in memory.tries.values_mut() {
        *due_ms = due_by(*due_ms, told_ms, now_ms, LONGEST_PAUSE_MS);
    }
    let Memory { queue, tries, .. } = &mut memory;
    let mut decide = |ticket: Ticket| match tries.get(&ticket.id) {
        _ if finished.contains(ticket.id) => Sweep::Drop,
        _ if failed.contains(&ticket.id) => {
            reopened.push(ticket);
            Sweep::Keep
        }
        Some(&(_, due_ms)) if due_ms > now_ms => Sweep::Defer(due_ms),
        _ => Sweep::Keep,
    };
    // What an image held may be done by now, or must wait.
    if from.is_some() && !(finished.is_empty() && tries.is_empty()) {
        queue.sweep(&mut decide);
    }
    queue.settle(&mut decide);
    memory.tries.retain(|_, (attempts, _)| *attempts > 0);

    let commit = replayed.commit.unwrap_or_else(|| Commit {
        at_ms: memory.at_ms,
        progress: memory.progress.clone(),
        files: memory.files.clone(),
    });
    let counts = commit.progress.counts;
    let lost = counts.pending + counts.in_flight + counts.parked;
    if counts.seen != memory.seen.len() as u64
        || memory.queue.pending() != lost + reopened.len() as u64
    {
        let why = format!(
            "the last commit counts {} URLs with {lost} to do, the entries {} with {}",
            counts.seen,
            memory.seen.len(),
            memory.queue.pending(),
        );
        let path = job.journal_path();
        return Err(JournalError::damaged(&path, replayed.mark.bytes, why).into());
    }
    memory.files = commit.files;
    memory.at_ms = commit.at_ms;
    memory.progress = commit.progress;
    memory.progress.records_run = 0;
    Ok(Restored {
        end: replayed.mark,
        image: from,
        reopened,
        notes,
        started: Started {
            resumed: true,
            counts,
            age_s: now_ms.saturating_sub(commit.at_ms) / 1000,
            cookies_expired: 0,
            requeued: counts.in_flight,
        },
        memory,
        plan: plan.clone(),
        key,
    })
}

/// When a stored wait is over. It was for some time of the clock that the last commit saw; a
/// clock that was set back since makes it no longer than it was then, nor than `longest_ms`.
pub fn due_by(stored_ms: u64, told_ms: u64, now_ms: u64, longest_ms: u64) -> u64 {
    let left_ms = stored_ms.saturating_sub(told_ms).min(longest_ms);
    stored_ms.min(now_ms.saturating_add(left_ms))
}

impl Restored {
    /// A value that is kept beside the queue.
    pub fn value(&self, key: &str) -> Option<&[u8]> {
        self.memory.values.get(key).map(Vec::as_slice)
    }

    /// The figures and file lengths of the last commit, to change them in the next one.
    pub fn figures(&mut self) -> (&mut Progress, &mut BTreeMap<String, u64>) {
        (&mut self.memory.progress, &mut self.memory.files)
    }

    /// The committed length of the output.
    pub fn output_bytes(&self) -> u64 {
        self.memory.files.get("output").copied().unwrap_or(0)
    }

    /// The plan to go on with.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Keeps a crawl without start URLs and scope on the hosts that it has requests for.
    pub fn stay_on_its_hosts(&mut self) {
        if self.plan.start_urls.is_empty() && self.plan.scope == Scope::default() {
            let hosts = self.memory.queue.hosts();
            let hosts = hosts.map(|(_, host)| authority(&host.origin).to_owned());
            self.plan.scope.allowed_hosts = hosts.collect();
            self.plan.allow_private |= self
                .memory
                .queue
                .hosts()
                .any(|(_, host)| is_private_url(&host.origin));
        }
    }

    /// The pending requests and all else, without a crawl around them.
    pub fn into_memory(self) -> Memory {
        self.memory
    }

    /// The crawl, which writes to `log` from now on.
    ///
    /// # Errors
    /// When the plan's scope does not compile.
    pub fn into_crawl(self, log: Log, now_ms: u64) -> Result<(Crawl, Started), Failure> {
        let mut crawl = Crawl::new(self.plan, self.key, log)?;
        let mut started = self.started;
        started.cookies_expired = crawl.restore(self.memory, now_ms);
        Ok((crawl, started))
    }
}

#[cfg(test)]
mod tests {
    use super::due_by;

    const DAY_MS: u64 = 24 * 3600 * 1000;

    #[test]
    fn a_wait_ends_when_it_was_to_end() {
        assert_eq!(due_by(1_002_000, 1_000_000, 1_000_500, 120_000), 1_002_000);
        assert_eq!(due_by(1_002_000, 1_000_000, 9_000_000, 120_000), 1_002_000);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_wait_longer() {
        let now_ms = 20_000 * DAY_MS;
        let ahead_ms = now_ms + 365 * DAY_MS;
        let due = |stored_ms, told_ms| due_by(stored_ms, told_ms, now_ms, 120_000);
        assert_eq!(due(ahead_ms + 2000, ahead_ms), now_ms + 2000);
        // Set back two runs ago, so that the last commit knows nothing of it.
        assert_eq!(due(ahead_ms, now_ms - 5), now_ms + 120_000);
        assert_eq!(due(u64::MAX, 0), now_ms + 120_000);
    }
}
