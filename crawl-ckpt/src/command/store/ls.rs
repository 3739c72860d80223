//! `crawl-ckpt --store URL ls`: one row a crawl.

use serde_json::Value;

use super::StoreRoom;
use super::crawl::look_at;
use crate::command::ListForm;
use crate::human::{bytes, count, counted, span};
use crate::job::Name;
use crate::table::Table;
use crate::tool::{Exit, Failure};

const COLUMNS: &[&str] = &[
    "PROJECT", "SPIDER", "CRAWL", "STATE", ">WORKERS", ">PENDING", ">DONE", ">SEEN", ">SIZE",
    ">AGE",
];

pub fn run(
    room: &mut StoreRoom<'_>,
    project: Option<&Name>,
    form: ListForm,
) -> Result<Exit, Failure> {
    let mut names = room.depot.crawls()?;
    if let Some(project) = project {
        let prefix = format!("{project}/");
        names.retain(|name| name.spider.starts_with(&prefix));
    }
    room.context.tell(format_args!(
        "{} in {}",
        counted(names.len() as u64, "crawl"),
        room.url
    ));
    let mut table = Table::new(COLUMNS);
    let mut troubles = Vec::new();
    for look in look_at(room, names)? {
        if form.json {
            room.context.print_json(&Value::Object(look.to_json()))?;
            continue;
        }
        let (project, spider) = look.name.spider.split_once('/').unwrap_or_default();
        let counts = look.progress().counts;
        table.row([
            project.to_owned(),
            spider.to_owned(),
            look.name.crawl_id.clone(),
            look.state().to_owned(),
            look.crew.living().to_string(),
            count(counts.unfinished()),
            count(counts.done + counts.failed),
            count(counts.seen),
            look.bytes.map_or("-".to_owned(), |of| bytes(of.sum())),
            look.age().map_or("-".to_owned(), span),
        ]);
        if let Some(trouble) = look.trouble() {
            troubles.push(format!("{}: {trouble}", look.name));
        }
    }
    room.context.print(&table.to_text())?;
    for trouble in troubles {
        room.context.say(trouble);
    }
    Ok(Exit::Complete)
}
