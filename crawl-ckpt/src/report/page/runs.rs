//! What the crawl told of itself: its runs, and what went through its proxies.

use std::fmt::{Result, Write};
use std::time::Duration;

use super::acts::{begin, end};
use super::escape::Html;
use super::table::{NUM, WIDE, not_shown, number, table};
use super::words::{counted, percent};
use crate::human::{bytes, count, span};
use crate::summary::{CrawlSummary, RunState};

/// So many are shown, the last ones.
const SHOWN: usize = 30;

/// Writes all of it.
pub fn write(out: &mut impl Write, summary: &CrawlSummary) -> Result {
    let (progress, runs) = (
        &summary.progress,
        counted(summary.runs_total, "run", "runs"),
    );
    let words = format!(
        "{runs} in {}; {} tried again.",
        span(Duration::from_millis(summary.elapsed_ms)),
        counted(progress.retries, "request was", "requests were")
    );
    begin(out, "runs", "Runs", &words)?;
    let columns = [
        ("Began (UTC)", ""),
        ("Ended", ""),
        ("How", WIDE),
        ("Records", NUM),
    ];
    let shown = &summary.runs[summary.runs.len().saturating_sub(SHOWN)..];
    if !shown.is_empty() {
        table(out, "Runs", &columns, |out| {
            for run in shown {
                let style = match run.state {
                    RunState::Complete => "ok",
                    RunState::Failed => "error",
                    _ => "left",
                };
                write!(
                    out,
                    "<tr><td class=mono>{}</td><td class=mono>{}</td><td class=wide><b class=\"st s-{style}\">{}</b> {}</td>",
                    Html(&moment(&run.began_at)),
                    Html(&moment(&run.ended_at)),
                    run.state.as_str(),
                    Html(run.why.as_deref().unwrap_or_default())
                )?;
                number(out, run.records, &count(run.records))?;
                write!(out, "</tr>")?;
            }
            Ok(())
        })?;
    }
    not_shown(out, summary.runs_total, shown.len())?;
    let told = summary.runs.iter().map(|run| run.records).sum();
    if summary.runs_total == summary.runs.len() as u64 && progress.records > told {
        let more = counted(progress.records - told, "record is", "records are");
        write!(
            out,
            "<p class=note>{more} of runs that were killed, and could tell nothing of themselves.</p>"
        )?;
    }
    if progress.proxies.keys().any(|name| name != "direct") {
        proxies(out, summary)?;
    }
    end(out)
}

fn proxies(out: &mut impl Write, summary: &CrawlSummary) -> Result {
    let columns = [
        ("Through", WIDE),
        ("Attempts", NUM),
        ("Succeeded", NUM),
        ("Share", NUM),
        ("Data", NUM),
    ];
    write!(out, "<h3>Proxies</h3>")?;
    table(out, "Proxies", &columns, |out| {
        for (name, used) in &summary.progress.proxies {
            write!(out, "<tr><td class=\"wide mono\">{}</td>", Html(name))?;
            number(out, used.attempts, &count(used.attempts))?;
            number(out, used.successes, &count(used.successes))?;
            let share = used.successes.saturating_mul(10_000) / used.attempts.max(1);
            number(out, share, &percent(used.successes, used.attempts))?;
            number(out, used.bytes, &bytes(used.bytes))?;
            write!(out, "</tr>")?;
        }
        Ok(())
    })
}

/// `2026-11-26 10:00:00`, of RFC 3339 in UTC.
fn moment(at: &str) -> String {
    at.replacen('T', " ", 1).trim_end_matches('Z').to_owned()
}
