//! `--check`: what a crawl would do, without doing it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crawl_ckpt::address::masked_url;
use crawl_ckpt::durable::RealDisk;
use crawl_ckpt::human::{count, span};
use crawl_ckpt::job::Job;
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::plan::{Plan, Rule, Scope};

use crate::place::{Output, Place};

/// Start URLs that are listed one by one.
const LISTED: usize = 5;

/// The lines that tell it. `pages` tell what is extracted from which, and which are rendered; a crawl that begins has an output, and
/// a directory for WARC files if it keeps any.
pub fn lines(
    plan: &Plan,
    (pages, rendered): (&[String], &[String]),
    parser: Option<&str>,
    place: &Place,
    (output, warc): (Option<&Output>, Option<&Path>),
) -> Vec<String> {
    let mut lines = Vec::new();
    let mut row = |name: &str, text: String| lines.push(format!("{name:<11}{text}"));
    row("crawl", place.title());
    for url in plan.start_urls.iter().take(LISTED) {
        row("start", masked_url(url).into_owned());
    }
    if let Some(more @ 1..) = plan.start_urls.len().checked_sub(LISTED) {
        row("start", format!("and {} more", count(more as u64)));
    }
    row("stays on", reach(&plan.scope));
    for (name, list) in [
        ("below", &plan.scope.below),
        ("allow", &plan.scope.allow),
        ("deny", &plan.scope.deny),
    ] {
        if !list.is_empty() {
            row(name, format!("`{}`", list.join("` or `")));
        }
    }
    for (n, rule) in plan.scope.rules.iter().enumerate() {
        row("rule", format!("{}: {}", n + 1, describe(rule)));
    }
    for page in pages {
        row("extract", page.clone());
    }
    for page in rendered {
        row("render", page.clone());
    }
    if let Some(depth) = plan.scope.depth_limit {
        row("depth", format!("at most {depth}"));
    }
    if let Some(parser) = parser {
        row("parser", parser.to_owned());
    }
    row("pace", pace(plan));
    row("manners", manners(plan));
    let proxies = match &plan.proxies[..] {
        [] => "none is configured".to_owned(),
        names => format!("configured: {}", names.join(", ")),
    };
    row("proxy", format!("{} ({proxies})", plan.proxy_type));
    row("checkpoint", checkpoint(place));
    match output {
        Some(Output::File(path)) => row("output", path.display().to_string()),
        Some(Output::Stdout) => row("output", "stdout".into()),
        None => {}
    }
    if let Some(dir) = warc {
        row("warc", dir.display().to_string());
    }
    lines
}

fn reach(scope: &Scope) -> String {
    let hosts = scope.allowed_hosts.join(", ");
    let domains: Vec<String> = scope
        .allowed_domains
        .iter()
        .map(|domain| format!("{domain} and below"))
        .collect();
    match (hosts.as_str(), &domains[..]) {
        ("", []) => "no host in particular".into(),
        ("", domains) => domains.join(", "),
        (hosts, []) => hosts.to_owned(),
        (hosts, domains) => format!("{hosts}, if in {}", domains.join(", ")),
    }
}

fn describe(rule: &Rule) -> String {
    let patterns = |list: &[String]| format!("`{}`", list.join("` or `"));
    let mut line = if rule.allow.is_empty() {
        "every URL".to_owned()
    } else {
        patterns(&rule.allow)
    };
    if !rule.deny.is_empty() {
        line.push_str(&format!(" but not {}", patterns(&rule.deny)));
    }
    let within = [&rule.restrict_css[..], &rule.restrict_xpaths].concat();
    if !within.is_empty() {
        line.push_str(&format!(" in {}", patterns(&within)));
    }
    if !rule.tags.is_empty() {
        line.push_str(&format!(" of {}", patterns(&rule.tags)));
    }
    if !rule.follow {
        line.push_str(", links not followed");
    }
    if rule.priority != 0 {
        line.push_str(&format!(", priority {}", rule.priority));
    }
    line
}

fn pace(plan: &Plan) -> String {
    let pace = &plan.pace;
    let delay = match pace.delay_ms {
        0 => "no delay".to_owned(),
        ms @ ..1000 => format!("{ms}ms between two"),
        ms => format!("{} between two", span(Duration::from_millis(ms))),
    };
    let throttle = if pace.autothrottle {
        "adaptive"
    } else {
        "fixed"
    };
    format!(
        "{} at once, {} a host, {delay}, {throttle}",
        pace.concurrency, pace.per_host
    )
}

fn manners(plan: &Plan) -> String {
    let agent = plan.user_agent.as_deref().unwrap_or_default();
    let mut words = vec![
        format!("as {agent}"),
        if plan.robots {
            "robots.txt obeyed".into()
        } else {
            "robots.txt ignored".into()
        },
        format!("{} retries", plan.retry.times),
        format!("{} redirects", plan.retry.max_redirects),
    ];
    let flags = [
        ("cookies kept", plan.cookies),
        ("sitemaps read", plan.sitemap),
        ("unchanged pages skipped", plan.delta),
        ("private addresses taken on", plan.allow_private),
    ];
    words.extend(
        flags
            .iter()
            .filter(|(_, on)| *on)
            .map(|(word, _)| (*word).to_owned()),
    );
    words.join(", ")
}

/// What the next run would find. A look from outside: no lock is taken.
fn checkpoint(place: &Place) -> String {
    let dir = place.job.dir.display();
    if let Some(holder) = JobLock::probe(&place.job) {
        return format!("{dir}: in use by {holder}");
    }
    let job = match Job::open(Arc::new(RealDisk), &place.job) {
        Ok(Some(job)) => job,
        Ok(None) => return format!("{dir}: none, a new crawl begins"),
        Err(error) => return error.to_string(),
    };
    match job.last_commit() {
        Ok(commit) => {
            let counts = commit.unwrap_or_default().progress.counts;
            format!(
                "{dir}: {} done, {} pending{}, to be resumed",
                count(counts.done + counts.failed),
                count(counts.unfinished()),
                counts.parked_of_them()
            )
        }
        Err(error) => error.to_string(),
    }
}
