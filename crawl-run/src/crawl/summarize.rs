//! What is kept of a run beside the records, and before the checkpoint may go.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crawl_ckpt::control::Progress;
use crawl_ckpt::durable::RealDisk;
use crawl_ckpt::job::Job;
use crawl_ckpt::summary::{CrawlRun, CrawlSummary, RunState, VERSION, summary_of};
use crawl_ckpt::tool::told;
use jiff::Timestamp;

use super::Crawl;
use crate::ended::Ended;
use crate::outcome::Outcome;
use crate::place::Output;
use crate::view::View;

impl Crawl<'_> {
    /// The summary of a crawl whose run ended so, with the runs before it that are known. `None` for
    /// the run of one that was complete before.
    pub(super) fn summarize(
        &self,
        run: Option<(&Outcome, u64, Duration)>,
        progress: &Progress,
        output: &Output,
        warc: Option<&Path>,
    ) -> CrawlSummary {
        let ended = Timestamp::now();
        let began = |elapsed| rfc3339(ended.saturating_sub(elapsed).unwrap_or(ended));
        let job = match self.args.limits.limit {
            Some(_) => None,
            // One that cannot be read is told of elsewhere.
            None => Job::open(Arc::new(RealDisk), &self.place.job).unwrap_or_default(),
        };
        let runs: Vec<CrawlRun> = run
            .iter()
            .map(|(outcome, records, elapsed)| CrawlRun {
                began_at: began(*elapsed),
                ended_at: rfc3339(ended),
                state: state(outcome),
                exit: outcome.exit() as u8,
                why: match outcome {
                    Outcome::Failed { why, .. } => Some(told(why)),
                    _ => None,
                },
                records: *records,
            })
            .collect();
        let elapsed = run.map_or(Duration::ZERO, |(.., elapsed)| elapsed);
        let mut summary = CrawlSummary {
            summary: VERSION,
            tool: concat!("crawl-run ", env!("CARGO_PKG_VERSION")).to_owned(),
            crawl: self.place.title(),
            state: run.map_or(RunState::Complete, |(outcome, ..)| state(outcome)),
            began_at: match &job {
                Some(job) => job.manifest().created_at.clone(),
                None => began(elapsed),
            },
            ended_at: rfc3339(ended),
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            output: match output {
                Output::File(file) => name_of(file),
                Output::Stdout => None,
            },
            warc: warc.and_then(name_of),
            shared: None,
            whole: None,
            progress: progress.clone(),
            runs_total: runs.len() as u64,
            runs,
        };
        summary.progress.records_run = run.map_or(0, |(_, records, _)| records);
        if let (Some(_), Output::File(file)) = (job, output)
            && let Ok(Some(earlier)) = CrawlSummary::read(&summary_of(file))
        {
            // The run that completed it came so far.
            if run.is_none()
                && earlier.state == RunState::Complete
                && earlier.began_at == summary.began_at
            {
                return earlier;
            }
            summary.follow(earlier);
        }
        summary
    }

    /// Writes the summary beside the output. The crawl is as complete without: what is in the way is told.
    pub(super) fn write_summary(&self, ended: &Ended, view: &View) {
        let Output::File(file) = &ended.output else {
            return;
        };
        // A run that ended before it began anything has no output either.
        if !file.is_file() || !self.place.job.dir.is_dir() {
            return;
        }
        let path = summary_of(file);
        if let Err(error) = ended.summary.write(&path) {
            let line = format!("crawl-run: cannot write {}: {error}", path.display());
            match &ended.outcome {
                // Most often of the same cause, which is told.
                Outcome::Failed { .. } => view.tell(line),
                _ => view.error(line),
            }
        }
    }
}

fn state(outcome: &Outcome) -> RunState {
    match outcome {
        Outcome::Complete => RunState::Complete,
        Outcome::Paused(_) | Outcome::FleetPaused { .. } => RunState::Paused,
        Outcome::Stopped => RunState::Stopped,
        Outcome::Parked => RunState::Parked,
        Outcome::Failed { .. } => RunState::Failed,
    }
}

fn rfc3339(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn name_of(path: &Path) -> Option<String> {
    let name = path.file_name()?;
    Some(name.to_string_lossy().into_owned())
}
