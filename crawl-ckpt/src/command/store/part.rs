//! The journal of a partition, read from the store while workers may be busy with it: its base, and what follows.

use super::StoreRoom;
use crate::fleet::{Base, Depot, DepotError, JournalHead, SharedJob};
use crate::hex;
use crate::journal::{Chain, Commit, Entry};
use crate::tool::Failure;

/// What was read of a partition.
pub struct PartRead<T> {
    /// What its entries came to.
    pub told: T,
    /// Where it ends.
    pub chain: Chain,
    /// The last commit; `None` without one.
    pub last: Option<Commit>,
    pub batches: u64,
    pub bytes: u64,
    /// What is wrong with it.
    pub flaw: Option<String>,
}

/// Reads a partition up to where it was seen to be. When it gets another base meanwhile, it is read anew.
pub fn read_part<T>(
    room: &mut StoreRoom<'_>,
    job: &SharedJob,
    (part, head): (u32, &JournalHead),
    fresh: impl Fn() -> T,
    mut hear: impl FnMut(&mut T, &Entry<'_>) -> Result<(), String>,
) -> Result<PartRead<T>, Failure> {
    let mut head = head.clone();
    loop {
        let mut read = PartRead {
            told: fresh(),
            chain: Chain::new(job.key),
            last: None,
            batches: 0,
            bytes: 0,
            flaw: None,
        };
        let mut based = head
            .base
            .map(|base| Chain::of_base(job.key, base.generation));
        if let Some(base) = &head.base {
            read.chain = read.chain.behind(base.stands_for);
        }
        let flaw = each_batch(room, part, &head, |of_base, bytes| {
            let chain = match &mut based {
                Some(based) if of_base => based,
                _ => &mut read.chain,
            };
            read.last = Some(chain.take(bytes, |entry| hear(&mut read.told, &entry))?);
            read.batches += 1;
            read.bytes += bytes.len() as u64;
            Ok(())
        })?;
        let ends = [
            (
                head.base.map(|base| hex::encode(&base.end.sum)),
                based.map(|chain| chain.end()),
            ),
            (
                (head.seq > 0).then(|| head.sum.clone()),
                Some(read.chain.end()),
            ),
        ];
        let is_other = ends.iter().any(|(wanted, end)| {
            let end = end.map(|end| hex::encode(&end.sum));
            wanted.is_some() && *wanted != end
        });
        let other = || "its last batch is not the one that was committed".to_owned();
        read.flaw = flaw.or_else(|| is_other.then(other));
        match moved(room, part, &head)? {
            Some(now) if read.flaw.is_some() => head = now,
            _ => return Ok(read),
        }
    }
}

/// How the journal of a partition is by now, if it has another base.
pub fn moved(
    room: &mut StoreRoom<'_>,
    part: u32,
    head: &JournalHead,
) -> Result<Option<JournalHead>, Failure> {
    let now = room.depot.glance()?.swap_remove(part as usize).head;
    Ok((now.base != head.base).then_some(now))
}

/// Gives each batch, and whether it is of the base. Says what is wrong, in words.
pub fn each_batch(
    room: &mut StoreRoom<'_>,
    part: u32,
    head: &JournalHead,
    mut give: impl FnMut(bool, &[u8]) -> Result<(), String>,
) -> Result<Option<String>, Failure> {
    if let Some(Base { number, end, .. }) = head.base {
        let mut read = |from| room.depot.read_base(part, number, from);
        let flaw = each_of(1, end.seq, &mut read, |bytes| give(true, bytes))?;
        if flaw.is_some() {
            return Ok(flaw.map(|why| format!("its base: {why}")));
        }
    }
    let first = head.base.map_or(1, |base| base.stands_for.seq + 1);
    let mut read = |from| room.depot.read(part, from);
    each_of(first, head.seq, &mut read, |bytes| give(false, bytes))
}

fn each_of(
    mut next: u64,
    last: u64,
    read: &mut impl FnMut(u64) -> Result<Vec<Vec<u8>>, DepotError>,
    mut give: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<Option<String>, Failure> {
    while next <= last {
        let batches = read(next)?;
        if batches.is_empty() {
            return Ok(Some(format!("batch {next} of {last} is missing")));
        }
        for bytes in batches.iter().take((last - next + 1) as usize) {
            if let Err(why) = give(bytes) {
                return Ok(Some(format!("batch {next} of {last}: {why}")));
            }
            next += 1;
        }
    }
    Ok(None)
}
