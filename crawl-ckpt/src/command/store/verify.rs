//! `crawl-ckpt --store URL verify`: the chain of every partition, and that the letters between them add up.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::StoreRoom;
use super::crawl::json_of_name;
use super::part::read_part;
use crate::command::{ListForm, TOOL};
use crate::fleet::{CrawlName, Depot, FROM, Glance, SENT, SharedJob};
use crate::human::{bytes, count, counted};
use crate::journal::Entry;
use crate::outside::tally::Tally;
use crate::tool::{Exit, Failure, printable, say};

/// What a check of a crawl came to.
#[derive(Debug, Default)]
struct SharedCheck {
    batches: u64,
    entries: u64,
    bytes: u64,
    problems: Vec<PartProblem>,
}

#[derive(Debug)]
struct PartProblem {
    part: u32,
    why: String,
}

/// What the entries of a partition come to.
#[derive(Default)]
struct Evidence {
    tally: Tally,
    letters: LetterCounts,
    entries: u64,
}

/// How many letters a partition has sent to each, and taken of each.
#[derive(Debug, Default)]
struct LetterCounts {
    sent: BTreeMap<u32, u64>,
    from: BTreeMap<u32, u64>,
}

pub fn run(room: &mut StoreRoom<'_>, name: Option<&str>, form: ListForm) -> Result<Exit, Failure> {
    let names = match name {
        Some(name) => vec![room.find(name)?.0],
        None => room.depot.crawls()?,
    };
    let mut exit = Exit::Complete;
    for name in names {
        let Some(job) = room.turn_to(&name)? else {
            continue;
        };
        room.context.tell(format_args!("reading {name}"));
        let checked = check(room, &job)?;
        for problem in &checked.problems {
            let PartProblem { part, why } = problem;
            say(
                TOOL,
                format_args!("{name}: partition {part:03} is damaged: {why}"),
            );
            exit = Exit::Damaged;
        }
        if form.json {
            room.context.print_json(&as_json(&name, &checked))?;
        } else if checked.problems.is_empty() {
            let entries = match checked.entries {
                1 => "1 entry".to_owned(),
                n => format!("{} entries", count(n)),
            };
            let text = format!(
                "{name}: sound: {entries} in {} of {}, {}\n",
                match checked.batches {
                    1 => "1 batch".to_owned(),
                    n => format!("{} batches", count(n)),
                },
                counted(u64::from(job.parts), "partition"),
                bytes(checked.bytes)
            );
            room.context.print(&printable_lines(&text))?;
        }
    }
    Ok(exit)
}

fn printable_lines(text: &str) -> String {
    text.lines().map(|line| printable(line) + "\n").collect()
}

fn check(room: &mut StoreRoom<'_>, job: &SharedJob) -> Result<SharedCheck, Failure> {
    let mut checked = SharedCheck::default();
    let mut letters = Vec::new();
    let had: BTreeMap<u32, u64> = room.depot.noted()?.into_iter().collect();
    for (part, glance) in (0..).zip(room.depot.glance()?) {
        letters.push(read(room, job, part, &glance, &mut checked)?);
        let (had, has) = (had.get(&part).copied().unwrap_or(0), glance.head.seq);
        if has < had && !checked.has(part) {
            let why = format!("{had} of its batches were committed, and {has} are there");
            checked.problems.push(PartProblem { part, why });
        }
    }
    for receiver in 0..job.parts {
        let from = std::mem::take(&mut letters[receiver as usize].from);
        for (sender, taken) in from {
            let sent = |letters: &LetterCounts| letters.sent.get(&receiver).copied().unwrap_or(0);
            let Some(counts) = letters.get(sender as usize) else {
                continue;
            };
            if sent(counts) >= taken || checked.has(sender) {
                continue;
            }
            // It may have been read before that letter was sent.
            let glance = room.depot.glance()?.swap_remove(sender as usize);
            let now = read(room, job, sender, &glance, &mut SharedCheck::default())?;
            let sent = sent(&now);
            if sent < taken {
                let why = format!(
                    "partition {receiver:03} has taken {} of it, and it knows of {sent}: the last batches are lost",
                    counted(taken, "letter")
                );
                checked.problems.push(PartProblem { part: sender, why });
            }
        }
    }
    Ok(checked)
}

/// Reads the journal of a partition up to where it was seen to be.
fn read(
    room: &mut StoreRoom<'_>,
    job: &SharedJob,
    part: u32,
    glance: &Glance,
    checked: &mut SharedCheck,
) -> Result<LetterCounts, Failure> {
    let read = read_part(
        room,
        job,
        (part, &glance.head),
        Evidence::default,
        |evidence, entry| {
            evidence.entries += 1;
            evidence.letters.hear(entry);
            evidence.tally.add(entry)
        },
    )?;
    let Evidence {
        tally,
        letters,
        entries,
    } = read.told;
    checked.entries += entries;
    checked.batches += read.batches;
    checked.bytes += read.bytes;
    let wrong = read.flaw.or_else(|| tally.flaw(read.last.as_ref()));
    checked
        .problems
        .extend(wrong.map(|why| PartProblem { part, why }));
    Ok(letters)
}

impl SharedCheck {
    fn has(&self, part: u32) -> bool {
        self.problems.iter().any(|problem| problem.part == part)
    }
}

impl LetterCounts {
    fn hear(&mut self, entry: &Entry<'_>) {
        let Entry::Set { key, value } = entry else {
            return;
        };
        let number = || std::str::from_utf8(value).ok()?.parse().ok();
        for (prefix, counts) in [(SENT, &mut self.sent), (FROM, &mut self.from)] {
            let part = key.strip_prefix(prefix).and_then(|part| part.parse().ok());
            if let Some((part, number)) = part.zip(number()) {
                counts.insert(part, number);
            }
        }
    }
}

fn as_json(name: &CrawlName, checked: &SharedCheck) -> Value {
    let mut fields = json_of_name(name);
    let problems = checked.problems.iter();
    let problems = problems.map(|of| json!({"partition": of.part, "why": of.why}));
    let problems: Vec<Value> = problems.collect();
    for (name, value) in [
        ("sound", json!(problems.is_empty())),
        ("batches", json!(checked.batches)),
        ("entries", json!(checked.entries)),
        ("bytes", json!(checked.bytes)),
        ("problems", json!(problems)),
    ] {
        fields.insert(name.into(), value);
    }
    Value::Object(fields)
}
