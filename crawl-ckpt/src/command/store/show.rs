//! `crawl-ckpt --store URL show`: workers, partitions, and what stands still and why.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::StoreRoom;
use super::crawl::{PartLook, SharedLook, look_at};
use super::size::in_words;
use crate::address::masked_url;
use crate::command::ListForm;
use crate::command::show::{count_lines, figure_lines, start_urls, waits};
use crate::fleet::{Course, Depot, EngineHealth, LEASE_MS};
use crate::human::{bytes, count, counted, span};
use crate::job::Name;
use crate::table::{Table, facts};
use crate::tool::{Exit, Failure, quoted};

const WORKERS: &[&str] = &["WORKER", "STATE", ">PARTITIONS", ">PENDING"];
const PARTS: &[&str] = &[
    "PARTITION",
    "OWNER",
    "STATE",
    ">PENDING",
    ">FLIGHT",
    ">PARKED",
    ">DONE",
    ">LETTERS",
    ">COMMITS",
];

pub fn run(room: &mut StoreRoom<'_>, name: &str, form: ListForm) -> Result<Exit, Failure> {
    let (name, _) = room.find(name)?;
    let gone = || Failure::new(format_args!("{name} is not in the store any more"));
    let look = look_at(room, vec![name.clone()])?.pop().ok_or_else(gone)?;
    let health = room.depot.health()?;
    let is_current = room.depot.current()?.as_ref() == Some(&name.crawl_id);
    let join =
        (!matches!(look.course, Course::Over(_))).then(|| join_command(room, &look, is_current));
    let still = standstills(room, &look, &health);
    if form.json {
        let value = as_json(room, &look, join.as_deref(), &still);
        room.context.print_json(&value)?;
    } else {
        let text = as_text(room, &look, &health, join, &still);
        room.context.print(&text)?;
    }
    match look.trouble() {
        Some(trouble) => Err(
            Failure::with(Exit::Damaged, format_args!("{name}: {trouble}"))
                .hint(room.url.command("verify", &name.to_string())),
        ),
        None => Ok(Exit::Complete),
    }
}

fn as_text(
    room: &StoreRoom<'_>,
    look: &SharedLook,
    health: &EngineHealth,
    join: Option<String>,
    still: &[String],
) -> String {
    let living = look.crew.living() as u64;
    let state = match look.state() {
        "running" => format!("running: {}", counted(living, "worker")),
        "paused" if living > 0 => format!("paused: {} still at work", counted(living, "worker")),
        state => state.to_owned(),
    };
    let mut lines: Vec<(&str, String)> = vec![
        ("crawl", look.name.to_string()),
        ("store", format!("{}, {}", room.url, in_words(health))),
        ("state", state),
    ];
    if let Some(of) = look.bytes {
        lines.push(("size", format!("{} of the store's memory", bytes(of.sum()))));
    }
    if let Some(age) = look.age() {
        lines.push(("last commit", format!("{} ago", span(age))));
    }
    let progress = look.progress();
    lines.extend(count_lines(&progress.counts));
    if progress.counts.seen > 0 {
        lines.extend(figure_lines(&progress));
    }
    lines.extend(start_urls(&look.job.plan));
    lines.extend(still.iter().map(|why| ("stands still", why.clone())));
    if let Some(join) = join {
        lines.push(("join with", join));
    }
    let mut text = facts(&lines);
    let mut table = Table::new(WORKERS);
    for (name, (parts, pending)) in shares(look) {
        let lives = look.crew.lives(&name);
        table.row([
            name,
            if lives { "lives" } else { "silent" }.to_owned(),
            count(parts),
            count(pending),
        ]);
    }
    for table in [table.to_text(), parts_table(room, look)] {
        if !table.is_empty() {
            text.push('\n');
            text.push_str(&table);
        }
    }
    text
}

/// Partitions without anything in them are many, and say nothing.
fn parts_table(room: &StoreRoom<'_>, look: &SharedLook) -> String {
    let mut table = Table::new(PARTS);
    let mut left_out = 0;
    for part in &look.parts {
        let counts = part.commit.as_ref().map(|commit| commit.progress.counts);
        let counts = counts.unwrap_or_default();
        let is_empty = counts.seen == 0 && part.glance.letters == 0 && part.trouble.is_none();
        if is_empty && !room.context.verbose {
            left_out += 1;
            continue;
        }
        let view = &part.glance.view;
        table.row([
            format!("{:03}", part.number),
            if view.owner.is_empty() {
                "-"
            } else {
                &view.owner
            }
            .to_owned(),
            part.state(&look.crew).to_owned(),
            count(counts.pending),
            count(counts.in_flight),
            count(counts.parked),
            count(counts.done + counts.failed),
            count(part.glance.letters),
            count(view.seq),
        ]);
    }
    let mut text = table.to_text();
    if left_out > 0 {
        let partitions = counted(left_out, "partition");
        text.push_str(&format!(
            "and {partitions} that no URL came to (-v shows them)\n"
        ));
    }
    text
}

/// Workers that are known or own something: how many partitions, and what is pending in them.
fn shares(look: &SharedLook) -> BTreeMap<String, (u64, u64)> {
    let workers = look.crew.workers.iter();
    let mut shares: BTreeMap<String, (u64, u64)> = workers
        .map(|worker| (worker.name.clone(), (0, 0)))
        .collect();
    for part in look
        .parts
        .iter()
        .filter(|part| !part.glance.view.owner.is_empty())
    {
        let share = shares.entry(part.glance.view.owner.clone()).or_default();
        share.0 += 1;
        share.1 += unfinished(part);
    }
    shares
}

fn unfinished(part: &PartLook) -> u64 {
    let counts = part.commit.as_ref().map(|commit| commit.progress.counts);
    counts.map_or(0, |counts| counts.unfinished())
}

/// What does not go on, and why.
fn standstills(room: &StoreRoom<'_>, look: &SharedLook, health: &EngineHealth) -> Vec<String> {
    if matches!(look.course, Course::Over(_)) {
        return Vec::new();
    }
    let mut still = Vec::new();
    if look.course == Course::Paused {
        let resume = room.url.command("resume", &look.name.to_string());
        still.push(format!(
            "all of it is paused; `{resume}` lets workers go on"
        ));
    }
    if health.is_full {
        let memory = bytes(health.most_bytes);
        still.push(format!("all of it: the store's memory of {memory} is full"));
    }
    if health.silent > 0 {
        let nodes = counted(u64::from(health.silent), "node");
        still.push(format!(
            "{nodes} of the store without an answer: partitions there may wait"
        ));
    }
    if health.cannot_write {
        still.push("all of it: the store cannot write its append-only file".to_owned());
    }
    if look.crew.living() == 0 && look.course == Course::Running && look.state() != "parked" {
        still.push("all of it: no worker lives".to_owned());
    } else if look.course == Course::Running {
        let mut silent: BTreeMap<&str, u64> = BTreeMap::new();
        for part in &look.parts {
            if part.state(&look.crew) == "silent" {
                *silent.entry(&part.glance.view.owner).or_default() += 1;
            }
        }
        still.extend(silent.into_iter().map(|(owner, parts)| {
            let (parts, seconds) = (counted(parts, "partition"), LEASE_MS / 1000);
            format!(
                "{parts} of {owner}, which is silent; the others take over after {seconds} seconds"
            )
        }));
    }
    still.extend(waits(&look.progress()));
    still
}

/// The command by which one more worker takes part, as far as the store knows it.
fn join_command(room: &StoreRoom<'_>, look: &SharedLook, is_current: bool) -> String {
    let (project, spider) = look.name.spider.split_once('/').unwrap_or_default();
    let mut words = vec!["crawl-run".to_owned()];
    words.push(match &look.job.plan.start_urls[..] {
        [url] if Name::from_url(url).is_ok_and(|name| name.as_str() == spider) => {
            quoted(&masked_url(url))
        }
        _ => format!("{spider}.json"),
    });
    if project != "default" {
        words.extend(["--project".to_owned(), project.to_owned()]);
    }
    words.extend(["--store".to_owned(), room.url.shown()]);
    if !is_current {
        words.extend(["--crawl-id".to_owned(), look.name.crawl_id.clone()]);
    }
    words.join(" ")
}

fn as_json(room: &StoreRoom<'_>, look: &SharedLook, join: Option<&str>, still: &[String]) -> Value {
    let mut fields = look.to_json();
    let mut plan = look.job.plan.clone();
    for url in &mut plan.start_urls {
        *url = masked_url(url).into_owned();
    }
    let crew = shares(look).into_iter().map(|(name, (parts, pending))| {
        let lives = look.crew.lives(&name);
        json!({"worker": name, "lives": lives, "partitions": parts, "pending": pending})
    });
    let crew: Vec<Value> = crew.collect();
    let parts: Vec<Value> = look
        .parts
        .iter()
        .map(|part| part_json(part, look))
        .collect();
    for (name, value) in [
        ("store", json!(room.url.to_string())),
        ("progress", json!(look.progress())),
        ("plan", json!(plan)),
        ("crew", json!(crew)),
        ("partitions", json!(parts)),
        ("stands_still", json!(still)),
    ] {
        fields.insert(name.into(), value);
    }
    if let Some(join) = join {
        fields.insert("join".into(), json!(join));
    }
    Value::Object(fields)
}

fn part_json(part: &PartLook, look: &SharedLook) -> Value {
    let counts = part.commit.as_ref().map(|commit| commit.progress.counts);
    let counts = counts.unwrap_or_default();
    let view = &part.glance.view;
    json!({
        "partition": part.number,
        "owner": view.owner,
        "state": part.state(&look.crew),
        "epoch": view.epoch,
        "beat": view.beat,
        "commits": view.seq,
        "letters": part.glance.letters,
        "pending": counts.pending,
        "in_flight": counts.in_flight,
        "parked": counts.parked,
        "done": counts.done,
        "failed": counts.failed,
    })
}
