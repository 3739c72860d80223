//! `explain`: whether a URL belongs to a crawl, why not, and what a job knows of it.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crawl_ckpt::address::masked;
use crawl_ckpt::durable::RealDisk;
use crawl_ckpt::human::{count, counted};
use crawl_ckpt::job::{Job, JobPlace};
use crawl_ckpt::look::steadily;
use crawl_ckpt::plan::{Plan, Rule};
use crawl_ckpt::tool::{Exit, Failure, printable};

use crate::command::history::{History, record_of};
use crate::crawl::robots::Robots;
use crate::crawl::routes::Routes;
use crate::crawl::ruling::Ruling;
use crate::keys::OfHost;
use crate::open::stays_on_hosts;
use crate::rules::KeptRules;
use crate::schedule::HostId;
use crate::scope::{Admission, By, Refusal, Scope};
use crate::url::{canonicalize_link, origin};

/// What is asked.
#[derive(Debug)]
pub struct Question<'a> {
    /// The URL.
    pub url: &'a str,
    /// How deep it would be found, where no job knows.
    pub depth: u32,
    /// What is crawled; none: what the job says.
    pub plan: Option<Plan>,
    /// The job, if there is one.
    pub place: Option<&'a JobPlace>,
    /// What a relative output path is relative to.
    pub data_dir: &'a Path,
}

/// Writes what is to be said of a URL, a line each. The exit code is 0 whatever that is.
///
/// # Errors
/// A text that is no URL, a job without a plan, the disk, and `out`.
pub fn explain(question: Question<'_>, out: &mut impl Write) -> Result<Exit, Failure> {
    let disk = Arc::new(RealDisk);
    let job = match question.place {
        Some(place) => Job::open(disk, place)?,
        None => None,
    };
    let of_job = || job.as_ref().and_then(|job| job.manifest().plan.clone());
    let plan = question.plan.or_else(of_job).ok_or_else(|| {
        Failure::with(
            Exit::Usage,
            "nothing says what is crawled: the job has no plan",
        )
        .hint("add --plan, with the plan as JSON on stdin")
    })?;
    let mut scope = Scope::compile(&plan.scope, plan.allow_private).map_err(Failure::new)?;
    let mut url = String::new();
    canonicalize_link(question.url, scope.form, &mut url)
        .map_err(|e| Failure::with(Exit::Usage, format_args!("'{}': {e}", question.url)))?;
    let history = match (&job, question.place) {
        // A crawl that runs may remove journals meanwhile.
        (Some(_), Some(place)) => steadily(place, || {
            let job = Job::open(Arc::new(RealDisk), place)?;
            job.map(|job| History::read(&job, &url)).transpose()
        })?,
        _ => None,
    };
    if let Some(history) = &history {
        scope.restore_hosts(&history.values);
        if stays_on_hosts(&plan) && history.taken == 0 {
            scope.close();
        }
    }
    let mut rows = vec![("canonical", masked(&url).into_owned())];
    rows.extend(verdict(
        &plan,
        &scope,
        &url,
        question.depth,
        history.as_ref(),
    ));
    if let (Some(job), Some(history)) = (&job, &history) {
        let record = || record_of(job, question.data_dir, &url);
        rows.extend(past(&plan, history, &url, record));
    }
    rows.iter()
        .try_for_each(|(name, text)| writeln!(out, "{name:<11}{}", printable(text)))
        .and_then(|()| out.flush())
        .map_err(Failure::from_stdout)?;
    Ok(Exit::Complete)
}

type Row = (&'static str, String);

/// Whether the URL belongs to the crawl.
fn verdict(
    plan: &Plan,
    scope: &Scope,
    url: &str,
    depth: u32,
    history: Option<&History>,
) -> Vec<Row> {
    let found = history.and_then(|history| history.found.as_ref());
    let depth = found.map_or(depth, |found| found.depth);
    let mut start = String::new();
    let is_start = plan
        .start_urls
        .iter()
        .any(|other| canonicalize_link(other, scope.form, &mut start).is_ok() && start == url);
    let taken = history.map_or(0, |history| history.taken);
    let is_seen = history.is_some_and(History::is_seen);
    let admitted = if is_start {
        Ok(None)
    } else {
        scope.admit(url, depth, By::Url).map(Some)
    };
    // What was taken on is within the host's share.
    let admitted = if is_seen {
        admitted
    } else {
        scope.check_host_pages(taken).and(admitted)
    };
    let told = match admitted {
        Ok(None) => "belongs to the crawl: it is a start URL".to_owned(),
        Ok(Some(admission)) => belongs(plan, &scope.rules_for(url), admission),
        Err(refusal) => format!("left out: {}", scope.why(refusal, url, depth)),
    };
    let mut rows = vec![("verdict", told)];
    if admitted != Err(Refusal::Depth)
        && let Some(most) = plan.scope.depth_limit
    {
        let how = if found.is_some() {
            ""
        } else {
            " if found there"
        };
        rows.push(("depth", format!("{depth}{how}, at most {most}")));
    }
    rows
}

/// Which of the rules take the URL on.
fn belongs(plan: &Plan, rules: &[(usize, bool)], admission: Admission) -> String {
    let mut told = match rules {
        [] => "belongs to the crawl".to_owned(),
        [(rule, false), ..] => format!("belongs to the crawl by rule {}", rule + 1),
        rules => {
            let mut ways = Vec::new();
            for &(place, depends) in rules {
                ways.push(if depends {
                    let region = region(&plan.scope.rules[place]);
                    format!("by rule {} for links {region}", place + 1)
                } else {
                    format!("else by rule {}", place + 1)
                });
            }
            if rules.iter().all(|(_, depends)| *depends) {
                ways.push("else not".to_owned());
            }
            return format!("belongs to the crawl {}", ways.join(", "));
        }
    };
    if admission.priority != 0 {
        told.push_str(&format!(", priority {}", admission.priority));
    }
    if !admission.follow {
        told.push_str(", its links are not followed");
    }
    told
}

/// Where a rule wants links to stand.
fn region(rule: &Rule) -> String {
    let list = |list: &[String]| format!("`{}`", list.join("` or `"));
    let within = [&rule.restrict_css[..], &rule.restrict_xpaths].concat();
    match (&within[..], &rule.tags[..]) {
        (within, []) => format!("in {}", list(within)),
        ([], tags) => format!("of {}", list(tags)),
        (within, tags) => format!("of {} in {}", list(tags), list(within)),
    }
}

/// What the job knows of it.
fn past(
    plan: &Plan,
    history: &History,
    url: &str,
    record: impl FnOnce() -> Option<String>,
) -> Vec<Row> {
    let host = origin(url);
    let id = HostId(0);
    let mut rows = Vec::new();
    if let Some(most) = plan.scope.max_pages_per_host {
        let taken = count(history.taken);
        let told = format!("{taken} URLs taken on, at most {}", count(most));
        rows.push(("host", told));
    }
    rows.push(("robots", robots_line(plan, history, url)));
    let mut routes = Routes::<()>::new(plan);
    if let Some(saved) = history.values.get(&OfHost::Route.key(host)) {
        routes.restore(id, saved);
    }
    if let Some(way) = routes.told(id) {
        rows.push(("route", way));
    }
    if !history.is_seen() {
        rows.push(("seen", "no".to_owned()));
        return rows;
    }
    rows.push((
        "seen",
        match &history.found {
            None => "yes, where is no longer kept".to_owned(),
            Some(found) => match &found.page {
                Some(page) => format!("at depth {}, found on {}", found.depth, masked(page)),
                None => format!("at depth {}, as a start URL", found.depth),
            },
        },
    ));
    let attempts = history.found.as_ref().map_or(0, |found| found.attempts);
    let state = match (history.is_done(), routes.parked(id)) {
        (true, _) => match record() {
            Some(ending) => format!("finished: {ending}"),
            None if history.withdrawn > 0 => {
                "finished without a record: dropped from the queue (crawl-frontier drop)".to_owned()
            }
            None => "finished".to_owned(),
        },
        (false, Some(why)) => format!("waits for a decision on its host: {why}"),
        (false, None) if attempts > 0 => {
            format!("pending, after {}", counted(attempts.into(), "attempt"))
        }
        (false, None) => "pending".to_owned(),
    };
    rows.push(("state", state));
    rows
}

fn robots_line(plan: &Plan, history: &History, url: &str) -> String {
    if !plan.robots {
        return "ignored".to_owned();
    }
    let id = HostId(0);
    let mut robots = Robots::new(plan, None);
    let saved = history.values.get(&OfHost::Robots.key(origin(url)));
    // The age of the file does not matter here: the crawl decided by this one.
    if let Some(saved) = saved {
        let mut kept = KeptRules::default();
        kept.keep(id, saved);
        robots.restore(kept, 0);
    }
    if robots.want(id) {
        return "not known yet".to_owned();
    }
    match robots.ruling(id, url) {
        Ok(Ruling::Allowed) => "allowed".to_owned(),
        Err(failure) => failure.message,
        Ok(ruling) => ruling
            .error()
            .map_or_else(String::new, |error| error.message.to_string()),
    }
}
