//! `crawl-ckpt verify`: reads every record and checks every checksum.

use serde_json::{Map, Value, json};

use super::json_of;
use crate::catalog::Found;
use crate::cli::{Context, Form, TOOL};
use crate::human::{bytes, count};
use crate::look::Look;
use crate::tool::{Exit, Failure, printable, say};
use crate::verify::{Problem, Report, verify};

pub fn run(context: &mut Context<'_>, job: Option<Found>, form: Form) -> Result<Exit, Failure> {
    let jobs = match job {
        Some(job) => vec![job],
        None => context.catalog.all(None)?,
    };
    let mut exit = Exit::Complete;
    for job in jobs {
        context.tell(format_args!("reading {job}"));
        let Some(report) = verify(&job.place, context.catalog.data_dir()) else {
            continue;
        };
        match form.json {
            true => context.print_json(&as_json(&job, &report))?,
            false if report.problems.is_empty() => {
                context.print(&printable(&format!("{job}: {}", in_words(&report))))?;
                context.print("\n")?;
            }
            false => {}
        }
        for problem in &report.problems {
            say(TOOL, format_args!("{job}: {problem}"));
            exit = match exit {
                Exit::Damaged => Exit::Damaged,
                _ => problem.exit,
            };
        }
    }
    Ok(exit)
}

fn in_words(report: &Report) -> String {
    let several = |number, one, many| match number {
        1 => format!("1 {one}"),
        number => format!("{} {many}", count(number)),
    };
    let mut text = format!(
        "sound: {} in {}, {}",
        several(report.entries, "entry", "entries"),
        several(report.batches, "batch", "batches"),
        bytes(report.bytes)
    );
    if report.has_image {
        text.push_str(", and an image");
    }
    if report.torn_bytes > 0 {
        let torn = bytes(report.torn_bytes);
        text.push_str(&format!(
            "; {torn} of an unfinished commit follow, which the next run makes again"
        ));
    }
    text
}

fn as_json(job: &Found, report: &Report) -> Value {
    let mut fields = Look::at(&job.place).map_or_else(Map::new, |look| json_of(job, &look));
    fields.insert("sound".into(), json!(report.problems.is_empty()));
    fields.insert("batches".into(), json!(report.batches));
    fields.insert("entries".into(), json!(report.entries));
    fields.insert("torn_bytes".into(), json!(report.torn_bytes));
    fields.insert("image".into(), json!(report.has_image));
    let problems: Vec<Value> = report.problems.iter().map(problem_json).collect();
    fields.insert("problems".into(), Value::Array(problems));
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
