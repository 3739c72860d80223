//! `crawl-ckpt show`: all that is known of one checkpoint.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use serde_json::{Value, json};

use super::json_of;
use super::{Context, ListForm};
use crate::address::masked_url;
use crate::catalog::Found;
use crate::control::{Counts, Progress};
use crate::human::{bytes, count, counted, span};
use crate::job::{Manifest, Name};
use crate::look::{Look, State};
use crate::plan::Plan;
use crate::table::facts;
use crate::tool::{Exit, Failure, quoted, unquoted};

/// The tool that goes on with a crawl.
const CONDUCTOR: &str = "crawl-run";

pub fn run(context: &mut Context<'_>, job: Found, form: ListForm) -> Result<Exit, Failure> {
    let Some(look) = Look::at(&job.place) else {
        return Err(Failure::new(format_args!(
            "{job} has no checkpoint any more"
        )));
    };
    if form.json {
        context.print_json(&as_json(context, &job, &look))?;
    } else {
        context.print(&as_text(context, &job, &look))?;
    }
    match &look.trouble {
        Some(trouble) => Err(Failure::with(Exit::Damaged, trouble).hint(repair_command(&job))),
        None => Ok(Exit::Complete),
    }
}

fn as_json(context: &Context<'_>, job: &Found, look: &Look) -> Value {
    let mut fields = json_of(job, look);
    if let Some(manifest) = &look.manifest {
        fields.insert("created_at".into(), json!(manifest.created_at));
        fields.insert("tool".into(), json!(manifest.tool));
        fields.insert("generation".into(), json!(manifest.generation));
        fields.insert("sealed".into(), json!(manifest.sealed.is_some()));
        if let Some(plan) = &manifest.plan {
            let mut plan = plan.clone();
            for url in &mut plan.start_urls {
                *url = masked_url(url).into_owned();
            }
            fields.insert("plan".into(), json!(plan));
        }
        if manifest.output.is_some() {
            let path = manifest.output_file(context.catalog.data_dir());
            let shown = path.map_or("-".into(), |path| path.to_string_lossy().into_owned());
            fields.insert("output".into(), json!(shown));
        }
        if let Some(dir) = manifest.warc_dir(context.catalog.data_dir()) {
            fields.insert("warc".into(), json!(dir.to_string_lossy()));
        }
    }
    if let Some(commit) = &look.commit {
        fields.insert("committed_at".into(), json!(time(commit.at_ms)));
        fields.insert("progress".into(), json!(commit.progress));
        fields.insert("files".into(), json!(commit.files));
    }
    if let Some(holder) = &look.holder {
        fields.insert("holder".into(), json!(holder));
    }
    let resume = resume_command(context, job, look);
    if let Some(approve) = approve_command(&resume, look) {
        fields.insert("approve".into(), json!(approve));
    }
    fields.insert("resume".into(), json!(resume));
    Value::Object(fields)
}

fn as_text(context: &Context<'_>, job: &Found, look: &Look) -> String {
    let mut lines: Vec<(&str, String)> = vec![("checkpoint", job.to_string())];
    lines.push(("state", state_in_words(look)));
    lines.push(("path", job.place.dir.display().to_string()));
    lines.push(("size", bytes(look.bytes)));
    if let known @ 1.. = job.delta_bytes() {
        lines.push((
            "delta",
            format!("{}, known of earlier crawls", bytes(known)),
        ));
    }
    if let Some(manifest) = &look.manifest {
        lines.push((
            "begun",
            format!("{} by {}", manifest.created_at, manifest.tool),
        ));
    }
    if let Some(commit) = &look.commit {
        lines.push((
            "last commit",
            format!("{} ({} ago)", time(commit.at_ms), span(look.age)),
        ));
    }
    if let Some(counts) = look.counts() {
        lines.extend(count_lines(&counts));
    }
    if let Some(commit) = &look.commit {
        lines.extend(figure_lines(&commit.progress));
        lines.extend(waits(&commit.progress).map(|line| ("waits", line)));
    }
    if let Some(manifest) = &look.manifest {
        lines.extend(of_manifest(context, manifest));
    }
    if let Some(proxy_type) = look.proxy_type() {
        lines.push(("proxy type", proxy_type.to_owned()));
    }
    if look.state != State::Corrupt {
        let resume = resume_command(context, job, look);
        match approve_command(&resume, look) {
            Some(approve) => lines.push(("approve with", approve)),
            None => lines.push(("resume with", resume)),
        }
    }
    facts(&lines)
}

/// How many URLs are where.
pub(super) fn count_lines(counts: &Counts) -> Vec<(&'static str, String)> {
    let pending = count(counts.unfinished());
    vec![
        ("seen", counted(counts.seen, "URL")),
        ("pending", format!("{pending}{}", counts.parked_of_them())),
        ("done", count(counts.done)),
        ("failed", count(counts.failed)),
    ]
}

/// What was fetched and came of it.
pub(super) fn figure_lines(progress: &Progress) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let fetched = format!(
        "{} in {}",
        bytes(progress.bytes),
        counted(progress.records, "record")
    );
    lines.push((
        "fetched",
        format!("{fetched} from {}", counted(progress.hosts, "host")),
    ));
    if progress.withdrawn > 0 {
        lines.push(("dropped", count(progress.withdrawn)));
    }
    if let Some(delta) = progress.delta {
        let parts = [
            ("new", delta.new),
            ("changed", delta.changed),
            ("unchanged", delta.unchanged),
            ("gone", delta.gone),
        ];
        let parts = parts.map(|(name, number)| format!("{name} {}", count(number)));
        lines.push(("pages", parts.join(", ")));
    }
    for (name, tally) in [
        ("by status", &progress.by_status),
        ("by error", &progress.by_error),
        ("not taken on", &progress.dropped),
    ] {
        if !tally.is_empty() {
            lines.push((name, tallied(tally)));
        }
    }
    lines
}

/// The hosts that wait for a decision.
pub(super) fn waits(progress: &Progress) -> impl Iterator<Item = String> {
    let named = progress
        .parked
        .iter()
        .map(|(host, parked)| format!("{host}: {}, {}", counted(parked.urls, "URL"), parked.why));
    let unnamed = progress.hosts_unnamed();
    let more = (unnamed > 0).then(|| format!("and {}", counted(unnamed, "more host")));
    named.chain(more)
}

fn of_manifest(context: &Context<'_>, manifest: &Manifest) -> Vec<(&'static str, String)> {
    let plan = manifest.plan.as_ref();
    let mut lines = plan.map_or_else(Vec::new, start_urls);
    if manifest.output.is_some() {
        let path = manifest.output_file(context.catalog.data_dir());
        lines.push((
            "output",
            path.map_or("stdout".into(), |path| path.display().to_string()),
        ));
    }
    if let Some(dir) = manifest.warc_dir(context.catalog.data_dir()) {
        lines.push(("warc", dir.display().to_string()));
    }
    lines
}

/// Where a crawl begins.
pub(super) fn start_urls(plan: &Plan) -> Vec<(&'static str, String)> {
    let urls = plan.start_urls.iter().take(10);
    let urls = urls.map(|url| ("start URL", masked_url(url).into_owned()));
    let mut lines: Vec<_> = urls.collect();
    if plan.start_urls.len() > 10 {
        lines.push(("", format!("and {} more", plan.start_urls.len() - 10)));
    }
    lines
}

fn state_in_words(look: &Look) -> String {
    match (look.state, &look.holder) {
        (State::Running, Some(holder)) => format!("running: {holder}"),
        (State::Paused, _) if look.manifest.as_ref().is_some_and(|m| m.sealed.is_none()) => {
            "paused: not in good order, the last run was killed".to_owned()
        }
        (state, _) => state.as_str().to_owned(),
    }
}

/// The command that goes on with the crawl: the one that was typed, if it is known.
fn resume_command(context: &Context<'_>, job: &Found, look: &Look) -> String {
    let manifest = look.manifest.as_ref();
    let command = manifest.and_then(|manifest| manifest.command.as_ref());
    if let Some(command) = command.and_then(|command| typed(command)) {
        return command;
    }
    let Some((project, spider)) = &job.names else {
        return format!(
            "crawl-frontier serve --job {}",
            quoted(&job.place.dir.to_string_lossy())
        );
    };
    let mut words = vec![CONDUCTOR.to_owned()];
    if project.as_str() != "default" {
        words.extend(["--project".to_owned(), project.to_string()]);
    }
    let data_dir = context.catalog.data_dir();
    if data_dir != Path::new("data") {
        words.extend(["--data-dir".to_owned(), quoted(&data_dir.to_string_lossy())]);
    }
    let proxy_type = look.proxy_type().filter(|proxy_type| *proxy_type != "auto");
    if let Some(proxy_type) = proxy_type {
        words.extend(["--proxy-type".to_owned(), quoted(proxy_type)]);
    }
    let start_urls = manifest
        .and_then(|m| m.plan.as_ref())
        .map_or(&[][..], |plan| &plan.start_urls);
    words.push(match start_urls {
        [url] if Name::from_url(url).as_ref() == Ok(spider) => quoted(&masked_url(url)),
        _ => format!("{spider}.json"),
    });
    words.join(" ")
}

/// The command that approves the cheapest costlier proxy, when all that is left waits for that.
fn approve_command(resume: &str, look: &Look) -> Option<String> {
    const OPTIONS: [&str; 2] = ["--on-proxy-change", "--proxy-type"];
    let counts = look.counts().filter(|counts| counts.parked > 0)?;
    let plan = look.manifest.as_ref()?.plan.as_ref()?;
    // `auto` has tried `datacenter`.
    let tried = match look.proxy_type()? {
        "auto" => "datacenter",
        named => named,
    };
    let at = plan.proxies.iter().position(|proxy| proxy == tried);
    let next = plan.proxies.get(at.map_or(0, |at| at + 1))?;
    let has_said = OPTIONS.iter().any(|option| resume.contains(option));
    let is_all = counts.parked == counts.unfinished();
    let [change, proxy] = OPTIONS;
    (is_all && !has_said).then(|| format!("{resume} {change} retry-blocked {proxy} {next}"))
}

/// The command that a manifest holds, word by word as a shell would read it. A job that came from elsewhere
/// may hold anything: what is no crawl-run with its arguments is not shown, and its program is the one
/// that this tool was installed with, or whatever bears the name on the PATH.
fn typed(command: &str) -> Option<String> {
    let mut words = unquoted(command)?;
    let program = words.first_mut()?;
    if Path::new(program).file_name() != Some(OsStr::new(CONDUCTOR)) {
        return None;
    }
    let own = std::env::current_exe().ok();
    let own = own.and_then(|exe| exe.parent()?.join(CONDUCTOR).canonicalize().ok());
    if own.is_none() || Path::new(program).canonicalize().ok() != own {
        *program = CONDUCTOR.to_owned();
    }
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    Some(words.join(" "))
}

/// The command that looks for what can be saved.
pub(super) fn repair_command(job: &Found) -> String {
    match &job.names {
        Some(_) => format!("crawl-ckpt verify {job}"),
        None => format!(
            "crawl-ckpt verify --job {}",
            quoted(&job.place.dir.to_string_lossy())
        ),
    }
}

fn tallied(tally: &BTreeMap<String, u64>) -> String {
    let parts = tally
        .iter()
        .map(|(name, number)| format!("{name} {}", count(*number)));
    parts.collect::<Vec<_>>().join(", ")
}

fn time(at_ms: u64) -> String {
    let ms = i64::try_from(at_ms).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
