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
    let (names, mut going) = match &which {
        Condemned::Named(names) => {
            let (mut found, mut rests) = (Vec::new(), Vec::new());
            for text in names {
                match room.name(text)? {
                    Some(name) if room.is_whole(&name)? => found.push(name),
                    Some(name) => match left_of(room, &name)? {
                        Some(rest) => rests.push(rest),
                        None => return Err(room.missing(text)?),
                    },
                    None => return Err(room.missing(text)?),
                }
            }
            (found, rests)
        }
        Condemned::OlderThan(_) => (room.depot.crawls()?, Vec::new()),
        Condemned::All => {
            let (mut found, mut rests) = (Vec::new(), Vec::new());
            for name in room.depot.crawls()? {
                if room.is_whole(&name)? {
                    found.push(name);
                } else {
                    rests.extend(left_of(room, &name)?);
                }
            }
            (found, rests)
        }
    };
    let mut looks = look_at(room, names)?;
    if let Condemned::OlderThan(age) = which {
        looks.retain(|look| look.crew.living() == 0 && look.age().is_none_or(|of| of >= age));
    }
    going.extend(looks.iter().map(Going::of));
    if going.is_empty() {
        room.context.say("there is nothing to remove");
        return Ok(Exit::Complete);
    }
    if !yes {
        // Not even -q hides what is to go.
        for crawl in &going {
            say(TOOL, format_args!("to remove: {}", crawl.words));
        }
        let what = match &going[..] {
            [crawl] => crawl.name.to_string(),
            crawls => counted(crawls.len() as u64, "crawl"),
        };
        agree(&format!("remove {what} from {}", room.url))?;
    }
    let mut exit = Exit::Complete;
    for crawl in going {
        // The others are removed all the same; the exit code tells of this one.
        if let Err(failure) = remove(room, &crawl) {
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

/// A crawl that is to go.
struct Going {
    name: CrawlName,
    parts: u32,
    words: String,
    is_whole: bool,
}

impl Going {
    fn of(look: &SharedLook) -> Going {
        Going {
            name: look.name.clone(),
            parts: look.job.parts,
            words: in_words(look),
            is_whole: true,
        }
    }
}

/// What is left of a crawl of which nobody knows any more what it began with; `None` when nothing is.
fn left_of(room: &mut StoreRoom<'_>, name: &CrawlName) -> Result<Option<Going>, Failure> {
    let parts = room.leftovers(name)?;
    Ok(parts.map(|parts| Going {
        name: name.clone(),
        parts,
        words: format!("what is left of {name}, of which the store has lost what it began with"),
        is_whole: false,
    }))
}

fn remove(room: &mut StoreRoom<'_>, crawl: &Going) -> Result<(), Failure> {
    let name = &crawl.name;
    room.depot.turn_to(name);
    room.depot.set_parts(crawl.parts);
    let hint = if crawl.is_whole {
        room.url.command("pause", &name.to_string())
    } else {
        "Ctrl+C or SIGTERM ends it".to_owned()
    };
    refuse_a_living_crew(room, name, &hint)?;
    // Whoever comes now takes no part any more.
    let unsure = unconfirmed(&room.url, name, "it may be removed, or a part of it");
    room.depot.pause().map_err(&unsure)?;
    room.depot.erase().map_err(&unsure)?;
    room.context.say(format_args!("removed {}", crawl.words));
    Ok(())
}

fn in_words(look: &SharedLook) -> String {
    let size = look
        .bytes
        .map_or(String::new(), |of| format!(", {}", bytes(of.sum())));
    let pending = counted(look.progress().counts.unfinished(), "URL");
    format!("{}{size}, {pending} pending", look.name)
}
