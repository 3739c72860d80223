//! `crawl-ckpt --store URL pause` and `resume`: whether workers are to ask for pages.

use super::{StoreRoom, unconfirmed};
use crate::fleet::Course;
use crate::tool::{Exit, Failure};

pub fn pause(room: &mut StoreRoom<'_>, name: &str) -> Result<Exit, Failure> {
    let (name, _) = room.find(name)?;
    let unsure = unconfirmed(&room.url, &name, "it may be paused");
    if let Course::Over(rest) = room.depot.pause().map_err(unsure)? {
        let why = rest.as_str();
        room.context
            .say(format_args!("{name} is {why}: there is nothing to pause"));
        return Ok(Exit::Complete);
    }
    let resume = room.url.command("resume", &name.to_string());
    room.context.say(format_args!(
        "{name} is paused: its workers finish the pages that are under way and end with exit code 4; \
         `{resume}` lets workers go on"
    ));
    Ok(Exit::Complete)
}

pub fn resume(room: &mut StoreRoom<'_>, name: &str) -> Result<Exit, Failure> {
    let (name, _) = room.find(name)?;
    let unsure = unconfirmed(&room.url, &name, "it may go on");
    match room.depot.resume().map_err(unsure)? {
        Course::Over(rest) => {
            let why = rest.as_str();
            room.context.say(format_args!(
                "{name} is {why}: there is nothing to go on with"
            ));
        }
        Course::Running | Course::Paused => room.context.say(format_args!(
            "{name} may go on: start its workers with the same crawl-run command"
        )),
    }
    Ok(Exit::Complete)
}
