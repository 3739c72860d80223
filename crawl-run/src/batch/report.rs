//! What a batch tells: its exit code, its status, and a record a site.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use crawl_ckpt::human::count;
use crawl_ckpt::job::JobPlace;
use crawl_ckpt::tool::{Exit, Failure, printable};
use serde_json::json;

use super::record::{Record, Stage};
use crate::checkpoint::committed;
use crate::ended::Ended;
use crate::place::Output;

/// The exit code of a batch that ended, or was paused by a signal with work left.
pub fn exit(records: &[Record], retries: u32, signal: Option<i32>) -> Exit {
    let is_settled = records.iter().all(|record| record.is_settled(retries));
    if let Some(signal) = signal.filter(|_| !is_settled) {
        return Exit::from_signal(signal);
    }
    let any = |stages: &[Stage]| records.iter().any(|record| stages.contains(&record.stage));
    let failed = |record: &Record| match record.stage {
        Stage::Broken => true,
        Stage::Failed => record.is_settled(retries),
        _ => false,
    };
    if records.iter().any(failed) {
        Exit::Failed
    } else if any(&[Stage::Parked]) {
        Exit::Decide
    } else if any(&[Stage::Held]) {
        Exit::Held
    } else if records.iter().all(|record| record.stage == Stage::Done) {
        Exit::Complete
    } else {
        Exit::Stopped
    }
}

/// The word for where an entry is. A batch that nobody runs has none that runs.
fn word(record: &Record, runs: bool, retries: u32) -> &'static str {
    match record.stage {
        Stage::Waiting => "waiting",
        Stage::Running if runs => "running",
        Stage::Running => "interrupted",
        Stage::Paused => "paused",
        Stage::Stopped => "stopped",
        Stage::Held => "held",
        Stage::Parked => "parked",
        Stage::Failed if record.is_settled(retries) => "failed",
        Stage::Failed => "retry",
        Stage::Broken => "failed",
        Stage::Done => "done",
    }
}

/// A line for each of the first entries that failed for good, with its reason: where it failed
/// may be far above.
pub fn failures(records: &[Record], retries: u32) -> Vec<String> {
    const MOST: usize = 20;
    let failed = |record: &&Record| word(record, false, retries) == "failed";
    let all = records.iter().filter(failed);
    let mut lines: Vec<String> = all
        .clone()
        .take(MOST)
        .map(|record| {
            let why = record.why.as_deref().unwrap_or("no reason is known");
            format!("failed: {}: {why}", record.site)
        })
        .collect();
    if let more @ 1.. = all.count() - lines.len() {
        lines.push(format!(
            "failed: {} more, which --status lists",
            count(more as u64)
        ));
    }
    lines
}

/// Brings the figures of an entry that is under way up to date from its checkpoint. What cannot be read now
/// leaves them as they were.
pub fn refresh(record: &mut Record, data_dir: &Path) {
    let under_way = !matches!(record.stage, Stage::Done | Stage::Waiting);
    if let Some(job) = record.job.as_ref().filter(|_| under_way)
        && let Some(progress) = committed(&JobPlace::at(&data_dir.join(job)))
    {
        record.take(&progress);
    }
}

/// `--status`: a table for people, or a JSON line an entry.
///
/// # Errors
/// Errors of stdout.
pub fn status(records: &[Record], runs: bool, retries: u32, json: bool) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    let mut write = || -> io::Result<()> {
        if !json && !records.is_empty() {
            writeln!(
                out,
                "{:<12} {:>9} {:>9}  {:<12} SITE",
                "STATE", "RECORDS", "PENDING", "PROJECT"
            )?;
        }
        for record in records {
            let word = word(record, runs, retries);
            if json {
                let mut value = json_of(record);
                value["state"] = word.into();
                writeln!(out, "{value}")?;
            } else {
                let why = record.why.as_deref().filter(|_| word != "done");
                let why = why.map_or(String::new(), |why| format!("  ({why})"));
                writeln!(
                    out,
                    "{word:<12} {:>9} {:>9}  {:<12} {}",
                    count(record.records),
                    count(record.pending),
                    record.project,
                    printable(&format!("{}{why}", record.site)),
                )?;
            }
        }
        out.flush()
    };
    write().map_err(Failure::from_stdout)
}

/// `--json`: the summary of one site whose run ended.
///
/// # Errors
/// Errors of stdout.
pub fn print(
    record: &Record,
    retries: u32,
    elapsed: Duration,
    result: &Result<Ended, Failure>,
) -> Result<(), Failure> {
    let mut value = json_of(record);
    value["state"] = word(record, true, retries).into();
    value["elapsed_ms"] = json!(elapsed.as_millis() as u64);
    value["exit"] = match result {
        Ok(ended) => ended.outcome.exit() as u8,
        Err(failure) => failure.exit as u8,
    }
    .into();
    if let Ok(ended) = result {
        let counts = &ended.progress.counts;
        value["done"] = counts.done.into();
        value["failed"] = counts.failed.into();
        value["bytes"] = ended.progress.bytes.into();
        if let Output::File(path) = &ended.output {
            value["output"] = path.to_string_lossy().into();
        }
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{value}")
        .and_then(|()| out.flush())
        .map_err(Failure::from_stdout)
}

fn json_of(record: &Record) -> serde_json::Value {
    let mut value = json!({
        "site": record.site,
        "project": record.project,
        "records": record.records,
        "pending": record.pending,
        "failures": record.failures,
    });
    if record.spent > 0 {
        value["spent"] = record.spent.into();
    }
    if let Some(why) = &record.why {
        value["why"] = why.as_str().into();
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::state::testing::records;

    #[test]
    fn the_exit_code_is_that_of_the_worst_end() {
        use Stage::*;
        for (stages, want) in [
            (&[Done, Done][..], Exit::Complete),
            (&[Done, Stopped], Exit::Stopped),
            (&[Done, Waiting], Exit::Stopped),
            (&[Stopped, Held], Exit::Held),
            (&[Held, Parked], Exit::Decide),
            (&[Parked, Broken, Done], Exit::Failed),
            (&[Failed, Done], Exit::Failed),
        ] {
            assert_eq!(exit(&records(stages), 1, None), want, "{stages:?}");
        }
        let stopped = records(&[Broken, Paused]);
        assert_eq!(exit(&stopped, 1, Some(15)), Exit::Terminated);
        // The signal came when all was done.
        assert_eq!(exit(&records(&[Done]), 1, Some(15)), Exit::Complete);
    }
}
