//! What is said at the end of a run.

use std::collections::BTreeMap;

use crawl_ckpt::control::{Delta, FieldUse, FleetProgress, Progress, ProxyUse, RenderUse};
use crawl_ckpt::human::{bytes, count, counted, span};
use crawl_ckpt::price::{Price, shown};
use crawl_ckpt::tool::Exit;

use crate::command_line::CommandLine;
use crate::ended::Ended;
use crate::outcome::Outcome;
use crate::place::Output;
use crate::proxies::Proxies;
use crate::signals;

/// Hosts, or reasons, that are listed one by one.
const LISTED: usize = 10;

/// Reasons for leaving out a link that would otherwise belong to the crawl.
const CAPS: [&str; 4] = ["trap", "depth", "host_pages", "too_many_links"];

/// How the pages of an incremental crawl compare with the last crawl's.
pub fn compared(delta: &Delta) -> String {
    format!(
        "new {}, changed {}, unchanged {}, gone {}",
        count(delta.new),
        count(delta.changed),
        count(delta.unchanged),
        count(delta.gone)
    )
}

/// What pages did in a browser.
fn in_browser(rendered: &RenderUse) -> String {
    let mut line = counted(rendered.pages, "page");
    for (number, what) in [
        (rendered.failed, "not rendered after all"),
        (rendered.cut, "cut short"),
        (rendered.requests, "requests of theirs"),
        (rendered.blocked, "left out"),
        (rendered.refused, "refused"),
    ] {
        if number > 0 {
            line.push_str(&format!(", {} {what}", count(number)));
        }
    }
    line
}

/// What the lines are made of.
#[derive(Debug)]
pub struct Summary<'a> {
    /// How it ended.
    pub ended: &'a Ended,
    /// False for a test crawl.
    pub has_checkpoint: bool,
    /// The checkpoint is there now.
    pub is_kept: bool,
    /// It lies in a store that many machines share.
    pub is_shared: bool,
    /// The command that was typed.
    pub command_line: &'a CommandLine,
    /// Tell of all that was left out, not only of what caps kept out.
    pub verbose: bool,
}

impl Summary<'_> {
    /// The lines, first to last.
    pub fn lines(&self) -> Vec<String> {
        let progress = &self.ended.progress;
        let mut lines = vec![self.headline()];
        let mut row = |name: &str, text: String| {
            if !text.is_empty() {
                lines.push(format!("  {name:<11}{text}"));
            }
        };
        row("status", tally(&progress.by_status));
        row("errors", tally(&progress.by_error));
        if let Some(delta) = progress.delta {
            row("delta", compared(&delta));
        }
        if progress.proxies.keys().any(|name| name != "direct") {
            for (name, used) in &progress.proxies {
                row("proxy", format!("{name}: {}", used_words(used)));
            }
        }
        row("cost", costs(progress));
        if progress.retries > 0 {
            row("retries", count(progress.retries));
        }
        if progress.withdrawn > 0 {
            let dropped = counted(progress.withdrawn, "URL");
            row("dropped", format!("{dropped}, by crawl-frontier drop"));
        }
        if let Some(rendered) = &progress.rendered {
            row("rendered", in_browser(rendered));
        }
        for line in empty_fields(&progress.fields) {
            row("fields", line);
        }
        row("left out", self.left_out());
        row("links", self.links().to_owned());
        row("output", self.output());
        if let Some(dir) = &self.ended.warc {
            row("warc", dir.display().to_string());
        }
        if let Some(fleet) = &progress.fleet {
            row("all", of_all(fleet));
        }
        row("checkpoint", self.checkpoint());
        if matches!(self.ended.outcome, Outcome::Paused(_) | Outcome::Stopped)
            && self.has_checkpoint
        {
            lines.push(format!("resume with: {}", self.command_line));
        }
        if let Outcome::FleetPaused { resume } = &self.ended.outcome {
            lines.push(format!("resume with: {resume}"));
            lines.push(format!("and then:    {}", self.command_line));
        }
        lines
    }

    /// The first of them: how it ended, and what there is.
    pub fn headline(&self) -> String {
        let how = match &self.ended.outcome {
            Outcome::Complete if self.has_checkpoint => "complete".to_owned(),
            Outcome::Complete => "test crawl done".to_owned(),
            Outcome::Paused(signal) => format!("paused by {}", signals::name(*signal)),
            Outcome::Stopped => "stopped at the limit of this run".to_owned(),
            Outcome::FleetPaused { .. } => "paused for all workers by crawl-ckpt pause".to_owned(),
            Outcome::Parked => "waiting for a decision".to_owned(),
            Outcome::Failed { .. } => "failed".to_owned(),
        };
        if is_damaged(&self.ended.outcome) {
            return format!("{how} after {}", span(self.ended.elapsed));
        }
        let records = counted(self.ended.progress.records, "record");
        let mut line = format!("{how} after {}: {records}", span(self.ended.elapsed));
        if self.ended.records_run != self.ended.progress.records {
            line.push_str(&format!(" ({} in this run)", count(self.ended.records_run)));
        }
        line.push_str(&format!(", {}", bytes(self.ended.progress.bytes)));
        line
    }

    /// The headline of one crawl among several, with what its lines would say that may not be meant.
    pub fn one_line(&self) -> String {
        let headline = self.headline();
        match (self.leads_nowhere(), self.left_out(), self.links()) {
            (false, ..) => headline,
            (true, left_out, "") => format!("{headline}; all links left out: {left_out}"),
            (true, _, links) => format!("{headline}; links: {links}"),
        }
    }

    /// True when pages came and no link of theirs belongs to the crawl, which may not be meant.
    fn leads_nowhere(&self) -> bool {
        let progress = &self.ended.progress;
        let came = progress.by_status.contains_key("2xx");
        let is_all = progress.starts == progress.counts.seen && !self.is_shared;
        self.ended.outcome == Outcome::Complete && came && is_all
    }

    /// What caps kept out of the crawl; with `verbose`, and when that was all, what was left out
    /// for any reason.
    fn left_out(&self) -> String {
        let mut dropped = self.ended.progress.dropped.clone();
        let all = self.verbose || self.leads_nowhere();
        dropped.retain(|reason, _| all || CAPS.contains(&reason.as_str()));
        tally(&dropped)
    }

    /// Says that no page had a link.
    fn links(&self) -> &'static str {
        if self.leads_nowhere() && self.ended.progress.dropped.is_empty() {
            "none on any page (what a script makes is not seen)"
        } else {
            ""
        }
    }

    fn output(&self) -> String {
        match &self.ended.output {
            Output::Stdout => "stdout".into(),
            Output::File(path) => path.display().to_string(),
        }
    }

    fn checkpoint(&self) -> String {
        let counts = &self.ended.progress.counts;
        match (self.has_checkpoint, &self.ended.outcome) {
            (_, Outcome::Complete) if self.is_shared => "stays in the store, as complete".into(),
            (..) if self.is_shared => "in the store".into(),
            (false, _) => "none (test crawl)".into(),
            (true, Outcome::Complete) => "removed".into(),
            (true, _) if !self.is_kept => "none yet".into(),
            // Nobody knows what is pending in one that cannot be read.
            (true, outcome) if is_damaged(outcome) => "kept as it is".into(),
            (true, _) => {
                let pending = counted(counts.unfinished(), "URL");
                format!("kept, {pending} pending{}", counts.parked_of_them())
            }
        }
    }
}

/// What all workers did together.
fn of_all(fleet: &FleetProgress) -> String {
    let workers = counted(fleet.workers, "worker");
    let mut line = format!("of {workers}: {} done", count(fleet.done));
    if fleet.failed > 0 {
        line.push_str(&format!(", {}", counted(fleet.failed, "error")));
    }
    line + &format!(", {} pending", count(fleet.pending))
}

fn is_damaged(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed { exit, .. } if *exit == Exit::Damaged)
}

fn used_words(used: &ProxyUse) -> String {
    let mut words = format!(
        "{} of {} succeeded, {}",
        count(used.successes),
        counted(used.attempts, "attempt"),
        bytes(used.bytes)
    );
    if used.spent > 0 {
        let through = bytes(used.wire_bytes);
        words.push_str(&format!(
            " ({through} through it), cost {}",
            shown(used.spent)
        ));
    }
    words
}

/// What proxies cost, all in all and on the hosts that cost most.
fn costs(progress: &Progress) -> String {
    let all = progress.spent();
    if all == 0 {
        return String::new();
    }
    let mut hosts: Vec<_> = progress.costs.iter().collect();
    hosts.sort_by_key(|(_, used)| std::cmp::Reverse(used.spent));
    let hosts = hosts.iter().take(LISTED);
    let hosts: Vec<String> = hosts
        .map(|(name, used)| format!("{name} {}", shown(used.spent)))
        .collect();
    format!("{}: {}", shown(all), hosts.join(", "))
}

/// What so many requests would cost, if their pages are like those that came.
fn estimate(progress: &Progress, price: Price, requests: u64) -> u64 {
    let paid = progress.proxies.values().filter(|used| used.wire_bytes > 0);
    let (bytes, pages) = paid.fold((0, 0), |(bytes, pages), used| {
        (bytes + used.wire_bytes, pages + used.successes)
    });
    let came = progress.by_status.get("2xx").copied().unwrap_or(0);
    let (bytes, pages) = match pages {
        0 => (progress.bytes, came),
        _ => (bytes, pages),
    };
    let each = bytes.checked_div(pages).unwrap_or(0);
    price.of(requests, requests.saturating_mul(each))
}

/// For exit 3: which hosts wait, what they did, and the commands that approve the cheapest
/// proxy that is costlier than the one that they blocked.
pub fn parked(
    progress: &Progress,
    proxies: &Proxies,
    in_use: &str,
    command_line: &CommandLine,
    is_shared: bool,
) -> Vec<String> {
    let mut lines = vec![format!(
        "{} wait for a decision on {}:",
        counted(progress.counts.parked, "URL"),
        counted(progress.hosts_parked(), "host")
    )];
    let mut hosts: Vec<_> = progress.parked.iter().collect();
    hosts.sort_by_key(|(_, host)| std::cmp::Reverse(host.urls));
    for (name, host) in hosts.iter().take(LISTED) {
        lines.push(format!(
            "  {name}: {} wait; {}",
            counted(host.urls, "URL"),
            host.why
        ));
    }
    if let Some(more @ 1..) = progress.hosts_parked().checked_sub(LISTED as u64) {
        lines.push(format!("  and {}", counted(more, "more host")));
    }
    // `auto` has tried `datacenter`.
    let tried = if in_use == "auto" {
        "datacenter"
    } else {
        in_use
    };
    if let Some(next) = proxies.costlier_than(tried).first() {
        let approve = command_line
            .without("--on-proxy-change")
            .with("--proxy-type", next);
        let price = proxies.prices().get(next);
        let about = price.map_or(String::new(), |price| {
            let about = estimate(progress, *price, progress.counts.parked);
            let urls = counted(progress.counts.parked, "URL");
            format!(" ({urls}, about {})", shown(about))
        });
        if is_shared {
            // What is finished in a store stays finished.
            lines.push(format!(
                "to approve the proxy '{next}' for what waits{about}, the same on each machine:"
            ));
            lines.push(format!("  {approve}"));
            return lines;
        }
        lines.push(format!(
            "to approve the proxy '{next}' for what waits or failed{about}:"
        ));
        let cheaper = approve.with("--on-proxy-change", "retry-blocked");
        lines.push(format!("  {cheaper}"));
        lines.push(format!("to crawl everything again through '{next}':"));
        lines.push(format!("  {approve}"));
    }
    lines
}

/// The fields that have no value on most of their pages, the emptiest first.
fn empty_fields(fields: &BTreeMap<String, FieldUse>) -> Vec<String> {
    let mut empty: Vec<_> = fields
        .iter()
        .filter(|(_, used)| used.empty * 2 > used.pages)
        .collect();
    empty.sort_by_key(|(_, used)| std::cmp::Reverse(used.empty));
    let line = |(name, used): &(&String, &FieldUse)| {
        let pages = counted(used.pages, "page");
        format!("`{name}` empty on {} of {pages}", count(used.empty))
    };
    let mut lines: Vec<String> = empty.iter().take(LISTED).map(line).collect();
    if let Some(more @ 1..) = empty.len().checked_sub(LISTED) {
        lines.push(format!(
            "and {} more empty on most pages",
            count(more as u64)
        ));
    }
    lines
}

/// `2xx 2,200, 404 10`: the names with their counts, the largest first.
fn tally(counts: &BTreeMap<String, u64>) -> String {
    // A server may answer with any of 200 codes.
    const SHOWN: usize = 12;
    let mut counts: Vec<_> = counts.iter().filter(|(_, n)| **n > 0).collect();
    counts.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let words = counts.iter().take(SHOWN);
    let words: Vec<String> = words
        .map(|(name, n)| format!("{name} {}", count(**n)))
        .collect();
    let mut line = words.join(", ");
    if let Some(rest @ [_, ..]) = counts.get(SHOWN..) {
        let more: u64 = rest.iter().map(|(_, n)| **n).sum();
        line.push_str(&format!(", others {}", count(more)));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crawl_ckpt::control::{Counts, Parked};
    use std::ffi::OsString;
    use std::time::Duration;

    fn command_line() -> CommandLine {
        CommandLine::new(["crawl-run", "shop.json"].map(OsString::from))
    }

    fn progress() -> Progress {
        Progress {
            counts: Counts {
                seen: 1015,
                pending: 5,
                done: 1008,
                failed: 2,
                ..Counts::default()
            },
            records: 1010,
            bytes: 3 << 20,
            by_status: [("2xx".into(), 1000), ("404".into(), 8)].into(),
            by_error: [("dns".into(), 2)].into(),
            ..Progress::default()
        }
    }

    #[test]
    fn a_pause_ends_with_the_command_that_resumes() {
        let summary = Summary {
            ended: &Ended {
                outcome: Outcome::Paused(2),
                is_costly: false,
                progress: Progress {
                    dropped: [("trap".into(), 1200), ("domain".into(), 9)].into(),
                    fields: [("price", 94), ("name", 3), ("old", 50)]
                        .map(|(name, empty)| (name.into(), FieldUse { pages: 100, empty }))
                        .into(),
                    ..progress()
                },
                records_run: 10,
                elapsed: Duration::from_secs(75),
                output: Output::File("data/x.jsonl".into()),
                warc: None,
                summary: Default::default(),
            },
            has_checkpoint: true,
            is_shared: false,
            is_kept: true,
            command_line: &command_line(),
            verbose: false,
        };
        assert_eq!(
            summary.lines(),
            [
                "paused by SIGINT after 1m 15s: 1,010 records (10 in this run), 3.0 MiB",
                "  status     2xx 1,000, 404 8",
                "  errors     dns 2",
                "  fields     `price` empty on 94 of 100 pages",
                "  left out   trap 1,200",
                "  output     data/x.jsonl",
                "  checkpoint kept, 5 URLs pending",
                "resume with: crawl-run shop.json",
            ]
        );
    }

    #[test]
    fn parked_hosts_come_with_the_commands_that_approve_a_costlier_proxy() {
        let mut progress = progress();
        progress.counts.parked = 7;
        progress.parked = [(
            "a.example".to_owned(),
            Parked {
                urls: 7,
                why: "5 blocks through datacenter".into(),
            },
        )]
        .into();
        let proxies = Proxies::from_env(
            [
                ("DATACENTER_PROXY_URL", "http://d.example"),
                ("RESIDENTIAL_PROXY_URL", "http://r.example"),
                ("RESIDENTIAL_PROXY_PRICE", "8/GB + 0.1/request"),
            ]
            .map(|(k, v)| (k.into(), v.into()))
            .into_iter(),
        )
        .unwrap();
        let lines = parked(&progress, &proxies, "auto", &command_line(), false);
        assert_eq!(
            lines[1..],
            [
                "  a.example: 7 URLs wait; 5 blocks through datacenter",
                "to approve the proxy 'residential' for what waits or failed (7 URLs, about 0.70):",
                "  crawl-run --on-proxy-change retry-blocked --proxy-type residential shop.json",
                "to crawl everything again through 'residential':",
                "  crawl-run --proxy-type residential shop.json",
            ]
        );
    }
}
