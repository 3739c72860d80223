//! `crawl-ckpt verify`: reads every record and checks every checksum.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::{Context, ListForm, TOOL};
use super::{json_of, json_without_checkpoint};
use crate::catalog::Found;
use crate::human::{bytes, count, counted};
use crate::journal::Gap;
use crate::lock::JobLock;
use crate::look::Look;
use crate::repair::{Repaired, repair};
use crate::tool::{Exit, Failure, printable, quoted, say};
use crate::verify::{Problem, Verification, verify};
use crate::warc::FileName;

pub fn run(
    context: &mut Context<'_>,
    job: Option<Found>,
    with_repair: bool,
    form: ListForm,
) -> Result<Exit, Failure> {
    let jobs = match job {
        Some(job) => vec![job],
        None => context.catalog.all_that_take_space()?,
    };
    let mut exit = Exit::Complete;
    for job in jobs {
        context.tell(format_args!("reading {job}"));
        let Some(checked) = verify(&job, context.catalog.data_dir()) else {
            continue;
        };
        for problem in &checked.problems {
            say(TOOL, format_args!("{job}: {problem}"));
            exit = match exit {
                Exit::Damaged => Exit::Damaged,
                _ => problem.exit,
            };
        }
        let mut repaired = None;
        // What is known of pages is learned anew, not repaired.
        let known = job.place.delta_dir();
        // A WARC file is not rewritten: records point into it by place.
        let is_damaged = |p: &Problem| {
            p.exit == Exit::Damaged && !p.path.starts_with(&known) && !is_warc_file(&p.path)
        };
        let is_damaged = checked.problems.iter().any(is_damaged);
        if with_repair && is_damaged {
            let lock = JobLock::acquire(&job.place)?;
            repaired = Some(repair(&job.place, &lock, context.catalog.data_dir())?);
        }
        if form.json {
            context.print_json(&as_json(&job, &checked, repaired.as_ref()))?;
        } else if checked.problems.is_empty() {
            context.print(&printable(&format!("{job}: {}", in_words(&checked))))?;
            context.print("\n")?;
        } else if let Some(repaired) = &repaired {
            for line in repaired_in_words(&job, repaired) {
                context.print(&printable(&line))?;
                context.print("\n")?;
            }
        } else if with_repair && checked.problems.iter().any(|p| is_warc_file(&p.path)) {
            context.print(&printable(&format!("{job}: {NOTHING_TO_SAVE}")))?;
            context.print("\n")?;
        }
    }
    Ok(exit)
}

/// When the job itself is sound.
const NOTHING_TO_SAVE: &str = "nothing to save: records point into a WARC file by place, so it is never \
                               rewritten; the crawl itself is sound and goes on";

fn is_warc_file(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| FileName::parse(name).is_some())
}

/// What was saved, what is lost, and what to do with the copy.
fn repaired_in_words(job: &Found, repaired: &Repaired) -> Vec<String> {
    let copy = repaired.path.display();
    let mut lines = vec![format!(
        "{job}: saved {}, {} of them pending, from {}: {copy}",
        counted(repaired.seen, "URL"),
        count(repaired.pending),
        counted(repaired.batches, "commit"),
    )];
    let mut lost = |what: String| lines.push(format!("{job}: {what}"));
    if let Some(words) = repaired.manifest.in_words() {
        lost(words.to_owned());
    }
    for generation in &repaired.left_out {
        let journal = repaired.dir.join(format!("journal-{generation}"));
        let journal = journal.display();
        lost(format!(
            "left out: {journal}, since nothing tells that it counts"
        ));
    }
    for gap in &repaired.gaps {
        let journal = repaired.dir.join(format!("journal-{}", gap.generation));
        let journal = journal.display();
        let batches = match gap.batches {
            0 => String::new(),
            n => format!(", {}", counted(n, "commit")),
        };
        let what = match gap.bytes {
            0 => format!("what followed byte {} of {journal}", gap.at),
            n => format!("{} of {journal} from byte {}", bytes(n), gap.at),
        };
        lost(format!("lost: {what}{batches}"));
    }
    for (number, what) in [
        (
            repaired.lost_requests,
            "lost with it, unless a page leads there again",
        ),
        (
            repaired.foreign_records,
            "known from the output alone, and finished",
        ),
        (
            repaired.lost_records,
            "fetched again, for want of a record in the output",
        ),
    ] {
        if number > 0 {
            lost(format!("{what}: {}", counted(number, "URL")));
        }
    }
    let (old, new) = (
        job.place.dir.to_string_lossy(),
        repaired.path.to_string_lossy(),
    );
    lines.push(format!(
        "{job}: to go on with the copy: mv {} {} && mv {} {}",
        quoted(&old),
        quoted(&format!("{old}.damaged")),
        quoted(&new),
        quoted(&old)
    ));
    lines
}

fn in_words(checked: &Verification) -> String {
    let several = |number, one, many| match number {
        1 => format!("1 {one}"),
        number => format!("{} {many}", count(number)),
    };
    let mut text = if checked.has_job {
        format!(
            "sound: {} in {}, {}",
            several(checked.entries, "entry", "entries"),
            several(checked.batches, "batch", "batches"),
            bytes(checked.bytes)
        )
    } else {
        "sound: no checkpoint".to_owned()
    };
    if checked.has_image {
        text.push_str(", and an image");
    }
    for (parts, of) in [
        (checked.seen_parts, "was seen"),
        (checked.waiting_parts, "waits"),
    ] {
        if parts > 0 {
            let parts = counted(parts, "part");
            text.push_str(&format!(", and {parts} of what {of}"));
        }
    }
    if checked.known_pages > 0 {
        let pages = counted(checked.known_pages, "page");
        text.push_str(&format!(", and what is known of {pages}"));
    }
    if checked.archive.files > 0 {
        let records = counted(checked.archive.records, "WARC record");
        let files = counted(checked.archive.files, "file");
        text.push_str(&format!(", and {records} in {files}"));
    }
    if checked.torn_bytes > 0 {
        let torn = bytes(checked.torn_bytes);
        text.push_str(&format!(
            "; {torn} of an unfinished commit follow, which the next run makes again"
        ));
    }
    if checked.is_going {
        text.push_str("; a run was throwing it away, which the next one finishes");
    }
    text
}

fn as_json(job: &Found, checked: &Verification, repaired: Option<&Repaired>) -> Value {
    let mut fields = match Look::at(&job.place) {
        Some(look) => json_of(job, &look),
        None => json_without_checkpoint(job),
    };
    fields.insert("sound".into(), json!(checked.problems.is_empty()));
    fields.insert("batches".into(), json!(checked.batches));
    fields.insert("entries".into(), json!(checked.entries));
    fields.insert("torn_bytes".into(), json!(checked.torn_bytes));
    fields.insert("image".into(), json!(checked.has_image));
    fields.insert("seen_parts".into(), json!(checked.seen_parts));
    fields.insert("waiting_parts".into(), json!(checked.waiting_parts));
    fields.insert("known_pages".into(), json!(checked.known_pages));
    if checked.archive.files > 0 {
        fields.insert("warc_files".into(), json!(checked.archive.files));
        fields.insert("warc_records".into(), json!(checked.archive.records));
    }
    let problems: Vec<Value> = checked.problems.iter().map(problem_json).collect();
    fields.insert("problems".into(), Value::Array(problems));
    if let Some(repaired) = repaired {
        let gap = |gap: &Gap| json!({"at": gap.at, "bytes": gap.bytes, "commits": gap.batches});
        let repaired = json!({
            "path": repaired.path.to_string_lossy(),
            "commits": repaired.batches,
            "seen": repaired.seen,
            "pending": repaired.pending,
            "gaps": repaired.gaps.iter().map(gap).collect::<Vec<_>>(),
            "lost_requests": repaired.lost_requests,
            "lost_records": repaired.lost_records,
            "foreign_records": repaired.foreign_records,
            "left_out": repaired.left_out,
        });
        fields.insert("repaired".into(), repaired);
    }
    Value::Object(fields)
}

fn problem_json(problem: &Problem) -> Value {
    let mut fields = Map::new();
    fields.insert("path".into(), json!(problem.path.to_string_lossy()));
    if let Some(offset) = problem.offset {
        fields.insert("offset".into(), json!(offset));
    }
    fields.insert("why".into(), json!(problem.why));
    Value::Object(fields)
}
