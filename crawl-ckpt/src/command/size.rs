//! `crawl-ckpt size`: bytes by part.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Context, ListForm};
use super::{json_of, json_without_checkpoint};
use crate::catalog::Found;
use crate::crawls::Crawls;
use crate::durable::{RealDisk, parent};
use crate::human::{bytes, count, counted};
use crate::look::{Look, bytes_in};
use crate::parts::KINDS;
use crate::summary::summary_of;
use crate::table::{Table, facts};
use crate::tool::{Exit, Failure};

const COLUMNS: &[&str] = &[
    "PROJECT", "SPIDER", "STATE", ">JOURNAL", ">IMAGE", ">OTHER", ">SIZE", ">OUTPUT", ">DELTA",
    ">WARC",
];

/// Less is not worth advice.
const LARGE_BYTES: u64 = 256 << 20;

/// What a pending URL and a finished one take after a compaction, roughly.
const PENDING_BYTES: u64 = 120;
const FINISHED_BYTES: u64 = 20;

/// How many bytes lie where.
#[derive(Default)]
struct Parts {
    journal: u64,
    /// With the parts that it may name, where there are any.
    image: u64,
    /// The manifest and what an interrupted run left behind.
    other: u64,
    delta: u64,
    /// What all crawls of the spider left, the unfinished one included.
    crawls: Crawls,
}

pub fn run(context: &mut Context<'_>, job: Option<Found>, form: ListForm) -> Result<Exit, Failure> {
    let is_one = job.is_some();
    let (jobs, batches) = match job {
        Some(job) => (vec![job], Vec::new()),
        None => (
            context.catalog.all_that_crawled()?,
            context.catalog.batches(None)?,
        ),
    };
    let looked = jobs.into_iter().map(|job| {
        let look = Look::at(&job.place);
        let parts = Parts::of(context, &job, look.as_ref());
        (job, look, parts)
    });
    let looked: Vec<_> = looked.collect();
    // Only few crawls keep the pages themselves.
    let has_warc = looked
        .iter()
        .any(|(_, _, parts)| parts.crawls.warc_bytes > 0);
    let columns = COLUMNS.len() - usize::from(!has_warc);
    let mut table = Table::new(&COLUMNS[..columns]);
    for (job, look, parts) in looked {
        if form.json {
            let fields = look.as_ref().map(|look| json_of(&job, look));
            let mut fields = fields.unwrap_or_else(|| json_without_checkpoint(&job));
            fields.insert("parts".into(), parts.to_json());
            context.print_json(&Value::Object(fields))?;
        } else if is_one {
            context.print(&one_in_words(&job, look.as_ref(), &parts))?;
        } else if let Some((project, spider)) = &job.names {
            let state = look.as_ref().map_or("-", |look| look.state.as_str());
            let names = [project.as_str(), spider.as_str(), state].map(str::to_owned);
            let cells = names.into_iter().chain(parts.sizes().map(bytes));
            table.row(cells.take(columns));
        }
    }
    for batches in batches {
        if form.json {
            context.print_json(&json!({
                "project": batches.project.as_str(),
                "batches": batches.count,
                "bytes": batches.bytes,
                "path": batches.dir.to_string_lossy(),
            }))?;
            continue;
        }
        let parts = Parts {
            other: batches.bytes,
            ..Parts::default()
        };
        let names = [batches.project.as_str(), ".batch", "-"].map(str::to_owned);
        let cells = names.into_iter().chain(parts.sizes().map(bytes));
        table.row(cells.take(columns));
    }
    context.print(&table.to_text())?;
    Ok(Exit::Complete)
}

impl Parts {
    fn of(context: &Context<'_>, job: &Found, look: Option<&Look>) -> Parts {
        let size_of = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
        let manifest = look.and_then(|look| look.manifest.as_ref());
        let in_force = manifest.map_or(1, |manifest| manifest.generation);
        let before = manifest.map_or(&[][..], |manifest| &manifest.before);
        let before = before.iter().map(|closed| closed.generation);
        let journals = before.chain([in_force]);
        let journal = journals
            .map(|number| size_of(&job.place.dir.join(format!("journal-{number}"))))
            .sum();
        let dir = &job.place.dir;
        let parts = KINDS.iter().flat_map(|kind| {
            let numbers = kind.numbers(&RealDisk, dir).unwrap_or_default();
            numbers.into_iter().map(|number| kind.path(dir, number))
        });
        let parts: u64 = parts.map(|path| size_of(&path)).sum();
        let image = size_of(&dir.join("image")) + parts;
        let data_dir = context.catalog.data_dir();
        let all = look.map_or(0, |look| look.bytes);
        let mut crawls = job.crawls();
        // An output of `-o` lies where the user wants it.
        let home = job.place.crawls_dir();
        let is_elsewhere = |path: &PathBuf| job.names.is_none() || parent(path) != home;
        let output = manifest.and_then(|manifest| manifest.output_file(data_dir));
        if let Some(output) = output.filter(is_elsewhere) {
            crawls.summary_bytes += size_of(&summary_of(&output));
            crawls.add_output(size_of(&output));
        }
        let warc = manifest.and_then(|manifest| manifest.warc_dir(data_dir));
        if let Some(warc) = warc.filter(is_elsewhere) {
            crawls.warc_bytes += bytes_in(&warc);
        }
        let left = bytes_in(&job.place.removing()) + bytes_in(&job.place.spool_dir());
        Parts {
            journal,
            image,
            other: all.saturating_sub(journal + image) + left,
            delta: job.delta_bytes(),
            crawls,
        }
    }

    /// Bytes of the checkpoint, all in all.
    fn checkpoint(&self) -> u64 {
        self.journal + self.image + self.other
    }

    /// In the order of the columns.
    fn sizes(&self) -> [u64; 7] {
        [
            self.journal,
            self.image,
            self.other,
            self.checkpoint(),
            self.crawls.output_bytes,
            self.delta,
            self.crawls.warc_bytes,
        ]
    }

    fn to_json(&self) -> Value {
        json!({
            "journal": self.journal,
            "image": self.image,
            "other": self.other,
            "output": self.crawls.output_bytes,
            "outputs": self.crawls.outputs,
            "summary": self.crawls.summary_bytes,
            "delta": self.delta,
            "warc": self.crawls.warc_bytes,
        })
    }
}

fn one_in_words(job: &Found, look: Option<&Look>, parts: &Parts) -> String {
    let state = look.map_or("no checkpoint", |look| look.state.as_str());
    let mut lines = vec![("checkpoint", format!("{job}, {state}"))];
    if look.is_some() {
        let image = bytes(parts.image);
        lines.extend([
            ("journal", bytes(parts.journal)),
            (
                "image",
                format!("{image} (for a quick start; made again when missing)"),
            ),
            ("other", bytes(parts.other)),
            ("size", bytes(parts.checkpoint())),
        ]);
    }
    let Crawls {
        outputs,
        output_bytes,
        summary_bytes,
        warc_bytes,
    } = parts.crawls;
    if outputs > 0 {
        let (output, files) = (bytes(output_bytes), counted(outputs, "file"));
        lines.push((
            "output",
            format!("{output} in {files} (not part of the checkpoint)"),
        ));
    }
    if summary_bytes > 0 {
        let summary = bytes(summary_bytes);
        lines.push(("summary", format!("{summary} (beside the output)")));
    }
    if warc_bytes > 0 {
        let warc = bytes(warc_bytes);
        lines.push(("warc", format!("{warc} (not part of the checkpoint)")));
    }
    if parts.delta > 0 {
        let delta = bytes(parts.delta);
        lines.push(("delta", format!("{delta} (kept for the next crawl)")));
    }
    let mut text = facts(&lines);
    let mut advice = look.map_or_else(Vec::new, |look| advice(look, parts));
    advice.extend(advice_on_delta(parts));
    for line in advice {
        text.push_str(&format!("\n{line}\n"));
    }
    text
}

/// What to do about a large checkpoint.
fn advice(look: &Look, parts: &Parts) -> Vec<String> {
    let counts = look.counts().unwrap_or_default();
    let pending = counts.unfinished();
    let lives = pending * PENDING_BYTES + counts.seen.saturating_sub(pending) * FINISHED_BYTES;
    if parts.checkpoint() < LARGE_BYTES {
        return vec![format!(
            "This is not large. A pending URL takes about {PENDING_BYTES} bytes, a finished one {FINISHED_BYTES}."
        )];
    }
    let why = if parts.journal > 2 * lives {
        "Most of the journal is history: the next run compacts it.".to_owned()
    } else {
        format!(
            "{} URLs are pending; that many take so much, and it shrinks as they are done.",
            count(pending)
        )
    };
    let less = "To need less: narrow the spider's rules, crawl in smaller batches (crawl-run --max-pages N), \
                or only what changed (--delta). To start anew: crawl-run --fresh, or crawl-ckpt rm.";
    vec![why, less.to_owned()]
}

/// What to do about much that is known of earlier crawls.
fn advice_on_delta(parts: &Parts) -> Option<String> {
    let text = "What is known of earlier crawls (delta) grows with the pages and the links on them. To need \
                less: narrow the spider's rules. To forget it, and fetch every page once more: \
                crawl-run --reset-deltafetch.";
    (parts.delta >= LARGE_BYTES).then(|| text.to_owned())
}
