//! `crawl-ckpt --store URL rm`: removes crawls from a store.

use std::time::Duration;

use super::crawl::{SharedLook, look_at};
use super::living::refuse_a_living_crew;
use super::{StoreRoom, unconfirmed};
use crate::command::TOOL;
use crate::command::rm::agree;
use crate::fleet::CrawlName;
use crate::human::{bytes, counted};
use crate::tool::{Exit, Failure, say};

/// Which crawls are to go.
pub enum Condemned {
    Named(Vec<String>),
    OlderThan(Duration),
    All,
}

pub fn run(room: &mut StoreRoom<'_>, which: Condemned, yes: bool) -> Result<Exit, Failure> {
    let names = match &which {
        Condemned::Named(names) => {
            let found = names.iter().map(|name| Ok(room.find(name)?.0));
            found.collect::<Result<Vec<CrawlName>, Failure>>()?
        }
        Condemned::OlderThan(_) | Condemned::All => room.depot.crawls()?,
    };
    let mut looks = look_at(room, names)?;
    if let Condemned::OlderThan(age) = which {
        looks.retain(|look| look.crew.living() == 0 && look.age().is_none_or(|of| of >= age));
    }
    if looks.is_empty() {
        room.context.say("there is nothing to remove");
        return Ok(Exit::Complete);
    }
    if !yes {
        // Not even -q hides what is to go.
        for look in &looks {
            say(TOOL, format_args!("to remove: {}", in_words(look)));
        }
        let what = match &looks[..] {
            [look] => look.name.to_string(),
            looks => counted(looks.len() as u64, "crawl"),
        };
        agree(&format!("remove {what} from {}", room.url))?;
    }
    let mut exit = Exit::Complete;
    for look in looks {
        // The others are removed all the same; the exit code tells of this one.
        if let Err(failure) = remove(room, &look) {
            say(TOOL, &failure.message);
            if let Some(hint) = failure.hint {
                say(TOOL, format_args!("hint: {hint}"));
            }
            exit = match (exit, failure.exit) {
                (Exit::Held, _) => Exit::Held,
                (_, failed) => failed,
            };
        }
    }
    Ok(exit)
}

fn remove(room: &mut StoreRoom<'_>, look: &SharedLook) -> Result<(), Failure> {
    let name = &look.name;
    room.depot.turn_to(name);
    room.depot.set_parts(look.job.parts);
    let hint = room.url.command("pause", &name.to_string());
    refuse_a_living_crew(room, name, &hint)?;
    // Whoever comes now takes no part any more.
    let unsure = unconfirmed(&room.url, name, "it may be removed, or a part of it");
    room.depot.pause().map_err(&unsure)?;
    room.depot.erase().map_err(&unsure)?;
    room.context.say(format_args!("removed {}", in_words(look)));
    Ok(())
}

fn in_words(look: &SharedLook) -> String {
    let size = look
        .bytes
        .map_or(String::new(), |of| format!(", {}", bytes(of.sum())));
    let pending = counted(look.progress().counts.unfinished(), "URL");
    format!("{}{size}, {pending} pending", look.name)
}
