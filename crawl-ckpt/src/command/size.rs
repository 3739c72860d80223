//! `crawl-ckpt size`: bytes by part.

use std::path::Path;

use serde_json::{Value, json};

use super::{json_of, unfinished};
use crate::catalog::Found;
use crate::cli::{Context, Form};
use crate::human::bytes;
use crate::look::{Look, bytes_in};
use crate::table::{Table, facts};
use crate::tool::{Exit, Failure};

const COLUMNS: &[&str] = &[
    "PROJECT", "SPIDER", "STATE", ">JOURNAL", ">IMAGE", ">OTHER", ">SIZE", ">OUTPUT", ">DELTA",
];

/// A checkpoint of less is not worth advice.
const LARGE_BYTES: u64 = 256 << 20;

/// What a pending URL and a finished one take after a compaction, roughly.
const PENDING_BYTES: u64 = 120;
const FINISHED_BYTES: u64 = 20;

/// How many bytes lie where.
struct Parts {
    journal: u64,
    image: u64,
    /// The manifest and what an interrupted run left behind.
    other: u64,
    output: u64,
    delta: u64,
}

pub fn run(context: &mut Context<'_>, job: Option<Found>, form: Form) -> Result<Exit, Failure> {
    let is_one = job.is_some();
    let jobs = match job {
        Some(job) => vec![job],
        None => context.catalog.all(None)?,
    };
    let mut table = Table::new(COLUMNS);
    for job in jobs {
        let Some(look) = Look::at(&job.place) else {
            continue;
        };
        let parts = Parts::of(context, &job, &look);
        if form.json {
            let mut fields = json_of(&job, &look);
            fields.insert("parts".into(), parts.to_json());
            context.print_json(&Value::Object(fields))?;
        } else if is_one {
            context.print(&one_in_words(&job, &look, &parts))?;
        } else if let Some((project, spider)) = &job.names {
            let sizes = [
                parts.journal,
                parts.image,
                parts.other,
                look.bytes,
                parts.output,
                parts.delta,
            ];
            let names = [
                project.to_string(),
                spider.to_string(),
                look.state.as_str().to_owned(),
            ];
            table.row(names.into_iter().chain(sizes.map(bytes)));
        }
    }
    context.print(&table.to_text())?;
    Ok(Exit::Complete)
}

impl Parts {
    fn of(context: &Context<'_>, job: &Found, look: &Look) -> Parts {
        let size_of = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
        let generation = look
            .manifest
            .as_ref()
            .map_or(1, |manifest| manifest.generation);
        let journal = size_of(&job.place.dir.join(format!("journal-{generation}")));
        let image = size_of(&job.place.dir.join("image"));
        let output = look
            .manifest
            .as_ref()
            .and_then(|manifest| manifest.output.as_ref());
        let output = output.and_then(|output| output.resolve(context.catalog.data_dir()));
        Parts {
            journal,
            image,
            other: look.bytes.saturating_sub(journal + image) + bytes_in(&job.place.removing()),
            output: output.map_or(0, |path| size_of(&path)),
            delta: job
                .spider_dir()
                .map_or(0, |dir| bytes_in(&dir.join("delta"))),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "journal": self.journal,
            "image": self.image,
            "other": self.other,
            "output": self.output,
            "delta": self.delta,
        })
    }
}

fn one_in_words(job: &Found, look: &Look, parts: &Parts) -> String {
    let mut lines = vec![
        ("checkpoint", format!("{job}, {}", look.state.as_str())),
        ("journal", bytes(parts.journal)),
        (
            "image",
            format!(
                "{} (for a quick start; made again when missing)",
                bytes(parts.image)
            ),
        ),
        ("other", bytes(parts.other)),
        ("size", bytes(look.bytes)),
        (
            "output",
            format!("{} (not part of the checkpoint)", bytes(parts.output)),
        ),
    ];
    if parts.delta > 0 {
        lines.push((
            "delta",
            format!("{} (kept for the next crawl)", bytes(parts.delta)),
        ));
    }
    let mut text = facts(&lines);
    for line in advice(look, parts) {
        text.push_str(&format!("\n{line}\n"));
    }
    text
}

/// What to do about a large one.
fn advice(look: &Look, parts: &Parts) -> Vec<String> {
    let counts = look.counts().unwrap_or_default();
    let pending = unfinished(&counts);
    let lives = pending * PENDING_BYTES + counts.seen.saturating_sub(pending) * FINISHED_BYTES;
    if look.bytes < LARGE_BYTES {
        return vec![format!(
            "This is not large. A pending URL takes about {PENDING_BYTES} bytes, a finished one {FINISHED_BYTES}."
        )];
    }
    let mut advice = Vec::new();
    if parts.journal > 2 * lives {
        advice.push("Most of the journal is history: the next run compacts it.".to_owned());
    } else {
        advice.push(format!(
            "{} URLs are pending; that many take so much, and it shrinks as they are done.",
            crate::human::count(pending)
        ));
    }
    advice.push(
        "To need less: narrow the spider's rules, crawl in smaller batches (crawl-run --max-pages N), \
         or only what changed (--delta). To start anew: crawl-run --fresh, or crawl-ckpt rm."
            .to_owned(),
    );
    advice
}
