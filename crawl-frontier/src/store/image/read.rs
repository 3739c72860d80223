//! Reading an image; nothing in it is believed before it was checked.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread;

use crawl_ckpt::image::{BODY_FORMAT, Image, ImageError};
use crawl_ckpt::job::Job;
use crawl_ckpt::journal::Mark;
use crawl_ckpt::parts::NamedPart;
use crawl_ckpt::seen::SeenPart;

use super::Head;
use crate::answered::Answered;
use crate::schedule::{Count, HostId, Schedule};
use crate::store::Ticket;
use crate::store::lanes::Lanes;
use crate::store::memory::Memory;
use crate::store::seen::{Seen, SeenRoom};
use crate::table::{SHARDS, Table};

/// Reads the image of a job, and the end of the journal that it stands for.
/// `None` when there is none.
///
/// # Errors
/// Why it is of no use; the journal must be replayed from its start then.
pub fn load(job: &Job, window: u32, room: SeenRoom) -> Result<Option<(Memory, Mark)>, ImageError> {
    let Some(mut image) = Image::open(job)? else {
        return Ok(None);
    };
    let (path, mark) = (image.path().to_owned(), *image.mark());
    if image.body_format() != BODY_FORMAT {
        return Err(ImageError::new(&path, "its body is of another version"));
    }
    let (memory, table, parts) =
        read(&mut image, window, &room).map_err(|e| ImageError::new(&path, e.to_string()))?;
    image.finish()?;
    room.sweep_waiting(memory.lanes.part_number());
    let seen = Seen::over(room, table, parts);
    Ok(Some((Memory { seen, ..memory }, mark)))
}

type Parts = Vec<Arc<SeenPart>>;

/// All but the set of what was seen, and what that is made of.
fn read(image: &mut Image, window: u32, room: &SeenRoom) -> io::Result<(Memory, Table, Parts)> {
    let mut body = Body {
        limit: image.body_bytes(),
        image,
        lane: Vec::new(),
    };
    let mut head: Head<HashMap<String, String>> = serde_json::from_slice(&body.bytes()?)?;
    // An older version named all.
    head.progress.name_few();
    let named = std::mem::take(&mut head.parts.seen);
    thread::scope(|scope| {
        let opening = scope.spawn(|| open_parts(&named, room));
        let (memory, table) = read_rest(&mut body, head, window, room)?;
        let parts = opening.join();
        let parts = parts.unwrap_or_else(|_| Err(io::Error::other("a thread is gone")))?;
        Ok((memory, table, parts))
    })
}

fn read_rest(
    body: &mut Body<'_>,
    head: Head<HashMap<String, String>>,
    window: u32,
    room: &SeenRoom,
) -> io::Result<(Memory, Table)> {
    let mut schedule = Schedule::new(window);
    // Each takes three bytes at least.
    schedule.reserve(u64::from(head.hosts).min(body.limit / 3) as usize);
    let mut lanes = Lanes::within(room.waiting());
    if let Some(named) = &head.parts.waiting {
        let part = room.open_waiting(named.number).map_err(io::Error::other)?;
        if part.named() != *named {
            return Err(io::Error::other("the part of what waits is another one"));
        }
        lanes.take_part(part)?;
    }
    let mut kept = room.rules();
    let (mut origin, mut page, mut rules) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..head.hosts {
        body.text_into(&mut origin)?;
        body.text_into(&mut page)?;
        let taken = u32::try_from(body.varint()?).unwrap_or(u32::MAX);
        body.text_into(&mut rules)?;
        let host = schedule.add(text(&origin)?);
        if !page.is_empty() {
            schedule.heard_before(host, text(&page)?);
        }
        let mut pending = body.lanes(&mut lanes, host)?;
        if head.parts.waiting.is_some() {
            pending += body.left(&mut lanes, host)?;
        }
        schedule.gained(host, Count { pending, taken });
        if !rules.is_empty() {
            kept.keep(host, &rules);
        }
    }
    if !schedule.index() {
        return Err(io::Error::other("a host is in it twice"));
    }
    lanes.take_in()?;
    let table = read_seen(body)?;
    let values = head
        .values
        .into_iter()
        .map(|(key, value)| (key, value.into_bytes()));
    let memory = Memory {
        seen: Seen::new(),
        schedule,
        lanes,
        tries: head.tries.into_iter().collect(),
        rules: kept,
        values: values.collect(),
        answered: Answered::default(),
        progress: head.progress,
        at_ms: head.at_ms,
        files: head.files,
        tails: head.tails,
    };
    Ok((memory, table))
}

/// Opens the parts of the set that the image names.
fn open_parts(named: &[NamedPart], room: &SeenRoom) -> io::Result<Parts> {
    let open = |named: &NamedPart| {
        let part = room.open(named.number).map_err(io::Error::other)?;
        if part.named() != *named {
            return Err(io::Error::other("a part of what was seen is another one"));
        }
        Ok(Arc::new(part))
    };
    named.iter().map(open).collect()
}

/// Reads and checksums the fingerprints here, and fills the set on another thread: a third of the
/// time of a resume.
fn read_seen(body: &mut Body<'_>) -> io::Result<Table> {
    thread::scope(|scope| {
        let (shards, read) = sync_channel::<Vec<u8>>(2);
        let (used, empty) = channel::<Vec<u8>>();
        let filling = scope.spawn(move || fill_seen(&read, &used));
        for _ in 0..SHARDS {
            // The same few buffers go back and forth: new memory costs more than what is read.
            let mut bytes = empty.try_recv().unwrap_or_default();
            body.sized_bytes_into(16, &mut bytes)?;
            // Refused only when the fingerprints before are in no order, which is told below.
            if shards.send(bytes).is_err() {
                break;
            }
        }
        drop(shards);
        let table = filling.join().ok().flatten();
        table.ok_or_else(|| io::Error::other("its fingerprints are not in order"))
    })
}

fn fill_seen(shards: &Receiver<Vec<u8>>, used: &Sender<Vec<u8>>) -> Option<Table> {
    let mut table = Table::new();
    for (number, bytes) in shards.iter().enumerate() {
        let fingerprints = bytes.as_chunks().0.iter();
        if !table.fill_shard(
            number,
            fingerprints.map(|bytes| u128::from_le_bytes(*bytes)),
        ) {
            return None;
        }
        // Nobody wants it back when the last shard was read.
        let _ = used.send(bytes);
    }
    Some(table)
}

/// The body of an image, read piece by piece; no piece is longer than the whole.
struct Body<'a> {
    image: &'a mut Image,
    limit: u64,
    /// Of the lane that was read last: new memory for each costs more than what is read.
    lane: Vec<u8>,
}

impl Body<'_> {
    fn number(&mut self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.image.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.sized_bytes_into(1, &mut bytes)?;
        Ok(bytes)
    }

    fn varint(&mut self) -> io::Result<u64> {
        // Most are below 128, and there are ten of a host.
        if let Some(&byte) = self.image.fill_buf()?.first()
            && byte < 0x80
        {
            self.image.consume(1);
            return Ok(byte.into());
        }
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.image.read_exact(&mut byte)?;
            value |= u64::from(byte[0] & 0x7f) << shift;
            if byte[0] < 0x80 {
                return Ok(value);
            }
        }
        Err(io::Error::other("a number in it is too long"))
    }

    fn text_into(&mut self, text: &mut Vec<u8>) -> io::Result<()> {
        let len = self.varint()?;
        self.exactly(Some(len), text)
    }

    /// A count of things of `size` bytes, and these.
    fn sized_bytes_into(&mut self, size: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
        let count = self.number()?;
        self.exactly(count.checked_mul(size), bytes)
    }

    fn exactly(&mut self, len: Option<u64>, bytes: &mut Vec<u8>) -> io::Result<()> {
        match len {
            Some(len) if len <= self.limit => {
                let len = len as usize;
                if let Some(ready) = self.image.fill_buf()?.get(..len) {
                    bytes.clear();
                    bytes.extend_from_slice(ready);
                    self.image.consume(len);
                    return Ok(());
                }
                bytes.resize(len, 0);
                self.image.read_exact(bytes)
            }
            _ => Err(wrong_length()),
        }
    }

    /// Gives how many requests they have.
    fn lanes(&mut self, lanes: &mut Lanes, host: HostId) -> io::Result<u32> {
        let mut pending = 0_u32;
        loop {
            let count = self.varint()?;
            if count == 0 {
                return Ok(pending);
            }
            let priority = self.varint()?;
            let priority = (priority >> 1) as i64 ^ -((priority & 1) as i64);
            let more = self.tickets(lanes, host, priority, count)?;
            pending = pending.checked_add(more).ok_or_else(wrong_length)?;
        }
    }

    /// What of a host is in the part, and what goes behind it.
    fn left(&mut self, lanes: &mut Lanes, host: HostId) -> io::Result<u32> {
        let number = |number: u64| u32::try_from(number).map_err(io::Error::other);
        let left = number(self.varint()?)?;
        if left == 0 {
            return Ok(0);
        }
        lanes.leave(host, left, number(self.varint()?)?);
        let count = self.varint()?;
        let behind = self.tickets(lanes, host, 0, count)?;
        left.checked_add(behind).ok_or_else(wrong_length)
    }

    fn tickets(
        &mut self,
        lanes: &mut Lanes,
        host: HostId,
        priority: i64,
        count: u64,
    ) -> io::Result<u32> {
        let mut bytes = std::mem::take(&mut self.lane);
        self.exactly(count.checked_mul(12), &mut bytes)?;
        let tickets = bytes.as_chunks().0;
        for bytes in tickets {
            lanes.push(host, ticket(bytes), priority);
        }
        let count = u32::try_from(tickets.len()).map_err(io::Error::other);
        self.lane = bytes;
        count
    }
}

fn wrong_length() -> io::Error {
    io::Error::other("a length in it is wrong")
}

fn text(bytes: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(bytes).map_err(io::Error::other)
}

fn ticket(bytes: &[u8; 12]) -> Ticket {
    let half = |bytes: &[u8]| {
        bytes
            .iter()
            .rev()
            .fold(0, |value, byte| value << 8 | u64::from(*byte))
    };
    Ticket {
        id: half(&bytes[..6]),
        at: half(&bytes[6..]),
    }
}
