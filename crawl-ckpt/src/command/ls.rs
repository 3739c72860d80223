//! `crawl-ckpt ls`: one row a checkpoint.

use serde_json::Value;

use super::{json_of, unfinished};
use crate::cli::{Context, Form};
use crate::human::{bytes, count, counted, span};
use crate::job::Name;
use crate::look::Look;
use crate::table::Table;
use crate::tool::{Exit, Failure};

const COLUMNS: &[&str] = &[
    "PROJECT", "SPIDER", "STATE", ">PENDING", ">SEEN", ">SIZE", ">AGE", "PROXY",
];

pub fn run(context: &mut Context<'_>, project: Option<&Name>, form: Form) -> Result<Exit, Failure> {
    let mut table = Table::new(COLUMNS);
    let mut troubles = Vec::new();
    let jobs = context.catalog.all(project)?;
    context.tell(format_args!(
        "{} in {}",
        counted(jobs.len() as u64, "checkpoint"),
        context.catalog.data_dir().display()
    ));
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
        table.row([
            project.to_string(),
            spider.to_string(),
            look.state.as_str().to_owned(),
            number(counts.map(|counts| unfinished(&counts))),
            number(counts.map(|counts| counts.seen)),
            bytes(look.bytes),
            span(look.age),
            look.proxy_type().unwrap_or("-").to_owned(),
        ]);
        if let Some(trouble) = look.trouble {
            troubles.push(format!("{job}: {trouble}"));
        }
    }
    context.print(&table.to_text())?;
    for trouble in troubles {
        context.say(trouble);
    }
    Ok(Exit::Complete)
}
