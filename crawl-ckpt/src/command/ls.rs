//! `crawl-ckpt ls`: one row a checkpoint.

use serde_json::Value;

use super::json_of;
use super::{Context, ListForm};
use crate::human::{bytes, count, counted, span};
use crate::job::Name;
use crate::look::Look;
use crate::table::Table;
use crate::tool::{Exit, Failure};

const COLUMNS: &[&str] = &[
    "PROJECT", "SPIDER", "STATE", ">PENDING", ">PARKED", ">SEEN", ">SIZE", ">AGE", "PROXY",
    ">DELTA",
];

/// Of the pending URLs those that wait for a decision.
const PARKED: usize = 4;

pub fn run(
    context: &mut Context<'_>,
    project: Option<&Name>,
    form: ListForm,
) -> Result<Exit, Failure> {
    if let Some(project) = project {
        context.catalog.check_project(project)?;
    }
    let jobs = context.catalog.all(project)?;
    context.tell(format_args!(
        "{} in {}",
        counted(jobs.len() as u64, "checkpoint"),
        context.catalog.data_dir().display()
    ));
    let (mut rows, mut troubles) = (Vec::new(), Vec::new());
    // Only few hosts block, and only few spiders crawl incrementally.
    let (mut has_parked, mut has_delta) = (false, false);
    for job in jobs {
        let Some(look) = Look::at(&job.place) else {
            continue;
        };
        if form.json {
            context.print_json(&Value::Object(json_of(&job, &look)))?;
            continue;
        }
        let Some((project, spider)) = &job.names else {
            continue;
        };
        let number = |number: Option<u64>| number.map_or("-".to_owned(), count);
        let counts = look.counts();
        let cells = [
            project.to_string(),
            spider.to_string(),
            look.state.as_str().to_owned(),
            number(counts.map(|counts| counts.unfinished())),
            number(counts.map(|counts| counts.parked)),
            number(counts.map(|counts| counts.seen)),
            bytes(look.bytes),
            span(look.age),
            look.proxy_type().unwrap_or("-").to_owned(),
            bytes(job.delta_bytes()),
        ];
        has_parked |= counts.is_some_and(|counts| counts.parked > 0);
        has_delta |= job.delta_bytes() > 0;
        rows.push(cells);
        if let Some(trouble) = look.trouble {
            troubles.push(format!("{job}: {trouble}"));
        }
    }
    let is_shown = |column: &usize| match *column {
        PARKED => has_parked,
        column => has_delta || column + 1 < COLUMNS.len(),
    };
    let shown: Vec<usize> = (0..COLUMNS.len()).filter(is_shown).collect();
    let mut table = Table::new(shown.iter().map(|column| &COLUMNS[*column]));
    for row in rows {
        table.row(shown.iter().map(|column| row[*column].clone()));
    }
    context.print(&table.to_text())?;
    for trouble in troubles {
        context.say(trouble);
    }
    tell_what_stays(context, project)?;
    Ok(Exit::Complete)
}

/// What is no checkpoint, but takes space: batches, and what spiders without a checkpoint know.
fn tell_what_stays(context: &Context<'_>, project: Option<&Name>) -> Result<(), Failure> {
    for batches in context.catalog.batches(project)? {
        context.say(format_args!(
            "{}: the state of {} takes {}; `crawl-run batch LIST --status` shows it",
            batches.project,
            counted_batches(batches.count),
            bytes(batches.bytes)
        ));
    }
    let mut known = context.catalog.all_that_take_space()?;
    known.retain(|job| {
        let of = job.names.as_ref().map(|(project, _)| project);
        // A checkpoint that was removed since they were listed leaves nothing behind.
        let knows = !job.is_there() && job.delta_bytes() > 0;
        knows && (project.is_none() || project == of)
    });
    if !known.is_empty() {
        let total = known.iter().map(|job| job.delta_bytes()).sum();
        context.say(format_args!(
            "known of earlier crawls of {} without a checkpoint: {}; `crawl-ckpt size` shows it",
            counted(known.len() as u64, "spider"),
            bytes(total)
        ));
    }
    Ok(())
}

fn counted_batches(count: u64) -> String {
    match count {
        1 => "1 batch".to_owned(),
        n => format!("{n} batches"),
    }
}
