//! `crawl-ckpt --store URL size`: what crawls take in the engine.

use serde_json::{Value, json};

use super::StoreRoom;
use super::crawl::look_at;
use crate::command::ListForm;
use crate::fleet::EngineHealth;
use crate::human::{bytes, count};
use crate::table::Table;
use crate::tool::{Exit, Failure};

const COLUMNS: &[&str] = &[
    "PROJECT", "SPIDER", "CRAWL", "STATE", ">SEEN", ">JOURNAL", ">LETTERS", ">OTHER", ">SIZE",
    ">A URL",
];

pub fn run(room: &mut StoreRoom<'_>, name: Option<&str>, form: ListForm) -> Result<Exit, Failure> {
    let names = match name {
        Some(name) => vec![room.find(name)?.0],
        None => room.depot.crawls()?,
    };
    let mut table = Table::new(COLUMNS);
    for look in look_at(room, names)? {
        let seen = look.progress().counts.seen;
        if form.json {
            let mut fields = look.to_json();
            if let Some(of) = look.bytes {
                let parts =
                    json!({"journal": of.journal, "letters": of.letters, "other": of.other});
                fields.insert("parts".into(), parts);
            }
            room.context.print_json(&Value::Object(fields))?;
            continue;
        }
        let (project, spider) = look.name.spider.split_once('/').unwrap_or_default();
        let size = |of: Option<u64>| of.map_or("-".to_owned(), bytes);
        let of = look.bytes;
        table.row([
            project.to_owned(),
            spider.to_owned(),
            look.name.crawl_id.clone(),
            look.state().to_owned(),
            count(seen),
            size(of.map(|of| of.journal)),
            size(of.map(|of| of.letters)),
            size(of.map(|of| of.other)),
            size(of.map(|of| of.sum())),
            size(of.and_then(|of| of.sum().checked_div(seen))),
        ]);
    }
    let health = room.depot.health()?;
    if form.json {
        return Ok(Exit::Complete);
    }
    room.context.print(&table.to_text())?;
    let words = in_words(&health);
    room.context.say(format_args!("{}: {words}", room.url));
    Ok(Exit::Complete)
}

/// What the engine takes for all that is in it, crawls or not.
pub fn in_words(health: &EngineHealth) -> String {
    let most = match health.most_bytes {
        0 => "no limit of its own".to_owned(),
        most => format!("at most {}", bytes(most)),
    };
    format!(
        "{} of memory in use ({most}), {} of append-only file",
        bytes(health.memory_bytes),
        bytes(health.disk_bytes)
    )
}
