//! `crawl-ckpt --store URL requeue`: what a worker finished is pending again, when its records are lost.

use serde_json::{Map, Value};

use super::living::refuse_a_living_crew;
use super::lost::{LostShare, read, sound};
use super::part::read_part;
use super::{StoreRoom, unconfirmed};
use crate::command::TOOL;
use crate::fleet::{
    Claim, Course, CrawlName, Depot, Fate, Glance, SharedJob, Written, output_part,
};
use crate::hex;
use crate::human::{count, counted};
use crate::journal::{Batch, Entry, Stored};
use crate::tool::{Exit, Failure};

/// What may be so when a step was not confirmed.
const MAY_BE: &str = "a part of what the worker finished may be pending again";

pub fn run(
    room: &mut StoreRoom<'_>,
    name: &str,
    worker: &str,
    prints: bool,
) -> Result<Exit, Failure> {
    let (name, job) = room.find(name)?;
    if prints {
        return print(room, &name, &job, worker);
    }
    let unsure = unconfirmed(&room.url, &name, MAY_BE);
    let was_complete = matches!(room.depot.course()?, Course::Over(_));
    let pause = room.url.command("pause", &name.to_string());
    refuse_a_living_crew(room, &name, &pause)?;
    let (mut urls, mut parts) = (0, 0);
    let mut is_known = room.depot.beats()?.iter().any(|(name, _)| name == worker);
    for (part, glance) in (0..).zip(room.depot.glance()?) {
        let output = output_part(part, worker);
        let has_output = room
            .depot
            .outputs(part)?
            .iter()
            .any(|(of, _)| *of == output);
        let lost = read(room, &name, &job, part, &glance, &output)?;
        is_known |= lost.is_known;
        let finished = lost.credit.finished.count();
        if finished == 0 && !has_output {
            continue;
        }
        if parts == 0 {
            // Before anything is pending: a complete crawl has nothing that is.
            room.depot.reopen().map_err(&unsure)?;
        }
        urls += finished;
        parts += 1;
        reopen(room, &name, part, &glance, &output, lost)?;
    }
    if parts == 0 && !is_known {
        return Err(Failure::new(format_args!(
            "{name} has no records of {worker}"
        )));
    }
    // Nobody waits for its counter any more.
    room.depot.leave(worker).map_err(&unsure)?;
    if parts == 0 {
        room.context.say(format_args!(
            "{name}: nothing that {worker} wrote counts any more: what it finished is pending again already"
        ));
        return Ok(Exit::Complete);
    }
    room.context.say(format_args!(
        "{name}: {} of {} pending again: what {worker} wrote does not count any more",
        match urls {
            1 => "1 URL".to_owned(),
            n => format!("{} URLs", count(n)),
        },
        match parts {
            1 => "1 partition is".to_owned(),
            n => format!("{} partitions are", count(n)),
        },
    ));
    if was_complete {
        let resume = room.url.command("resume", &name.to_string());
        room.context.say(format_args!(
            "{name} was complete and is paused now: `{resume}`, and start workers under new names (--worker): \
             the records under the old ones are joined"
        ));
    }
    Ok(Exit::Complete)
}

/// Has the requests of a partition pending again, and forgets the worker's output of it.
fn reopen(
    room: &mut StoreRoom<'_>,
    name: &CrawlName,
    part: u32,
    glance: &Glance,
    output: &str,
    mut lost: LostShare,
) -> Result<(), Failure> {
    let unsure = unconfirmed(&room.url, name, MAY_BE);
    let failed = |why: &str| Failure::new(format_args!("{name}: partition {part:03}: {why}"));
    let view = &glance.view;
    let seen = (!view.owner.is_empty()).then_some((view.epoch, view.beat));
    let claim = room.depot.claim(part, TOOL, seen).map_err(&unsure)?;
    let Claim::Ours { epoch, head } = claim else {
        let hint = "when no worker lives, the same command goes on";
        return Err(failed("a worker took it meanwhile").hint(hint));
    };
    if head.seq != lost.chain.end().seq {
        return Err(failed("a worker wrote to it meanwhile"));
    }
    if lost.credit.finished.count() > 0 {
        let prev = hex::encode(&lost.chain.end().sum);
        let mut batch = Batch::new(&lost.chain.end());
        for id in lost.credit.finished.iter() {
            batch.defer(id, 0, 0);
        }
        let closed = batch.close(&lost.commit());
        let bytes = lost.chain.seal(&closed);
        let end = lost.chain.end();
        let written = Written {
            epoch,
            seq: end.seq,
            sum: &hex::encode(&end.sum),
            prev: &prev,
            bytes: &bytes,
            output: None,
            counts: closed.counts(),
        };
        let fate = room.depot.commit(part, &written).map_err(&unsure)?;
        if fate != Fate::Durable {
            return Err(failed("a worker took it meanwhile"));
        }
    }
    room.depot.forget_output(part, output).map_err(&unsure)?;
    room.depot.release(part, epoch).map_err(&unsure)?;
    Ok(())
}

/// Prints the requests, and changes nothing.
fn print(
    room: &mut StoreRoom<'_>,
    name: &CrawlName,
    job: &SharedJob,
    worker: &str,
) -> Result<Exit, Failure> {
    let mut printed = 0;
    for (part, glance) in (0..).zip(room.depot.glance()?) {
        let output = output_part(part, worker);
        let lost = read(room, name, job, part, &glance, &output)?;
        let finished = &lost.credit.finished;
        if finished.count() == 0 {
            continue;
        }
        let told = read_part(room, job, (part, &glance.head), Vec::new, |lines, entry| {
            if let Entry::Request { id, request, .. } = entry
                && finished.contains(*id)
            {
                lines.push(request_line(request));
            }
            Ok(())
        })?;
        let lines = sound(name, part, told.flaw, told.told)?;
        for line in &lines {
            room.context.print_json(line)?;
        }
        printed += lines.len() as u64;
    }
    let urls = counted(printed, "URL");
    room.context
        .say(format_args!("{name}: {worker} has the records of {urls}"));
    Ok(Exit::Complete)
}

fn request_line(request: &Stored<'_>) -> Value {
    let mut fields = Map::new();
    fields.insert("url".into(), request.url.into());
    fields.insert("depth".into(), request.depth.into());
    let extra = request.extra.map(serde_json::from_str);
    if let Some(Ok(Value::Object(extra))) = extra {
        fields.extend(extra);
    }
    Value::Object(fields)
}
