//! The image of a crawl's memory, for a resume in the blink of an eye: the set
//! of fingerprints, the pending requests of every host, and what little else there is.
//!
//! It stands for one end of the journal; what came later is replayed on top.
//! Without it everything is replayed, so nothing is lost with it.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, BufWriter, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread;

use crawl_ckpt::control::Progress;
use crawl_ckpt::hex;
use crawl_ckpt::image::{Image, ImageError, ImageWriter};
use crawl_ckpt::job::Job;
use crawl_ckpt::journal::Mark;
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::parts::WAITING;
use crawl_ckpt::seen::SeenPart;
use crawl_ckpt::waiting::{WaitingPart, WaitingPartWriter, WaitingRequest};
use serde::{Deserialize, Serialize};

use super::lanes::{Lanes, LastRead, WantedPart};
use super::memory::{Memory, View};
use super::seen::{SHARDS, Seen, SeenRoom, Table};
use super::{Ticket, Watch};
use crate::answered::Answered;
use crate::rules::KeptRules;
use crate::schedule::{Count, HostId, Schedule};

/// Version of the body's layout.
const BODY_FORMAT: u32 = 6;
/// An image saves so many bytes of replay before it is worth writing.
pub const WORTH_BYTES: u64 = 16 << 20;
/// Whether anybody is in a hurry is asked so often, in requests.
const ASK_EVERY: u64 = 1 << 16;
/// So many requests of a lane are written at once.
const PIECE: u64 = 1 << 10;

/// All that is small, as JSON at the head of the body.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Head<Values> {
    progress: Progress,
    at_ms: u64,
    files: BTreeMap<String, u64>,
    #[serde(default)]
    tails: BTreeMap<String, String>,
    values: Values,
    /// Attempts and due time of requests that will be tried again, by id.
    tries: BTreeMap<u64, (u32, u64)>,
    hosts: u32,
    /// The part of what waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    waiting: Option<NamedPart>,
}

/// A part that the image names.
#[derive(Debug, Serialize, Deserialize)]
struct NamedPart {
    number: u64,
    /// The first half of what ends its file, in hex digits.
    sum: String,
}

impl NamedPart {
    fn of(part: &WaitingPart) -> NamedPart {
        NamedPart {
            number: part.number(),
            sum: hex::encode(&part.sum()),
        }
    }
}

/// Writes the image that stands for `mark`, the durable end of the journal.
///
/// # Errors
/// Errors of the disk, and a hurry; the job is as sound without an image.
pub fn save(
    job: &Job,
    lock: &JobLock,
    mark: &Mark,
    view: &View<'_>,
    watch: &mut dyn Watch,
) -> io::Result<()> {
    let queue = ImagedQueue::of(job, view, watch)?;
    let named = queue.waiting.as_ref().map(|part| part.number);
    let written = write(job, lock, mark, view, queue, watch);
    if written.is_ok() {
        // What cannot be removed counts for nothing.
        let _ = WAITING.sweep(&**job.disk(), &job.place().dir, |one| Some(one) == named);
    }
    written
}

fn write(
    job: &Job,
    lock: &JobLock,
    mark: &Mark,
    view: &View<'_>,
    queue: ImagedQueue,
    watch: &mut dyn Watch,
) -> io::Result<()> {
    let image = ImageWriter::create(job, lock, mark, BODY_FORMAT)?;
    let mut out = BufWriter::with_capacity(1 << 20, Watched { image, watch });
    let rest = &view.rest;
    let head = serde_json::to_vec(&Head {
        progress: rest.progress.clone(),
        at_ms: rest.at_ms,
        files: view.files.clone(),
        tails: view.tails.clone(),
        values: &rest.values,
        tries: rest.tries.clone(),
        hosts: rest.schedule.count() as u32,
        waiting: queue.waiting,
    })?;
    put_bytes(&mut out, &head)?;
    let mut others: HashMap<HostId, Vec<Ticket>> = HashMap::new();
    for &(host, ticket) in &rest.others {
        others.entry(host).or_default().push(ticket);
    }
    let (mut piece, mut last) = (LanePiece::default(), LastRead::default());
    for (id, host) in rest.schedule.hosts() {
        put_text(&mut out, &rest.schedule.origin(id))?;
        // Any page will do of a host of which nothing is to come.
        let page = host
            .is_heard()
            .then(|| rest.schedule.page(id).unwrap_or("/"));
        put_text(&mut out, page.unwrap_or_default())?;
        put_varint(&mut out, host.taken)?;
        put_text(&mut out, &rest.rules.saved(id)?.unwrap_or_default())?;
        // They were sent before, so they go first.
        for ticket in others.remove(&id).unwrap_or_default() {
            piece.push(&mut out, i64::MAX, ticket)?;
        }
        let ranked = |priority, ticket| piece.push(&mut out, priority, ticket);
        view.lanes.each_ranked(id, &mut last, ranked)?;
        for ticket in view.lanes.plain_at_hand(id).take(queue.most) {
            piece.push(&mut out, 0, ticket)?;
        }
        piece.end(&mut out)?;
        match &queue.left {
            Left::None => {}
            Left::AsAside => {
                let (left, gone) = view.lanes.place_aside(id);
                put_left(&mut out, left, gone, view.lanes.behind(id))?;
            }
            Left::Of(left) => put_left(&mut out, left[id.0 as usize], 0, std::iter::empty())?,
        }
    }
    for shard in view.seen.table().shards() {
        put(&mut out, shard.clone().count() as u64)?;
        for fingerprint in shard {
            out.write_all(&fingerprint.to_le_bytes())?;
        }
    }
    put(&mut out, view.seen.parts().len() as u64)?;
    for part in view.seen.parts() {
        put(&mut out, part.number())?;
        out.write_all(part.sum())?;
    }
    let out = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    hold_on(out.watch)?;
    out.image.finish()
}

/// How an image has what waits.
struct ImagedQueue {
    waiting: Option<NamedPart>,
    /// So many of a host are in the image at most, but for those with a priority.
    most: usize,
    left: Left,
}

/// How many of a host are left in the part.
enum Left {
    /// There is no part.
    None,
    /// As the lanes know.
    AsAside,
    /// So many, by host.
    Of(Vec<u32>),
}

impl ImagedQueue {
    /// Writes the part, where one is wanted.
    fn of(job: &Job, view: &View<'_>, watch: &mut dyn Watch) -> io::Result<ImagedQueue> {
        let schedule = view.rest.schedule;
        let pending = schedule.hosts().map(|(_, host)| u64::from(host.pending));
        match view.lanes.wanted_part(pending.sum()) {
            WantedPart::None => Ok(ImagedQueue {
                waiting: None,
                most: usize::MAX,
                left: Left::None,
            }),
            WantedPart::Kept(part) => Ok(ImagedQueue {
                waiting: Some(NamedPart::of(part)),
                most: usize::MAX,
                left: Left::AsAside,
            }),
            WantedPart::New(most) => {
                let left: Vec<u32> = schedule
                    .hosts()
                    .map(|(id, host)| host.pending - view.lanes.heads(id, most))
                    .collect();
                let part = write_part(job, view, most, &left, watch)?;
                Ok(ImagedQueue {
                    waiting: Some(NamedPart::of(&part)),
                    most,
                    left: Left::Of(left),
                })
            }
        }
    }
}

/// Writes what waits behind the first `most` of each host.
fn write_part(
    job: &Job,
    view: &View<'_>,
    most: usize,
    left: &[u32],
    watch: &mut dyn Watch,
) -> io::Result<WaitingPart> {
    let (disk, dir, key) = (job.disk(), &job.place().dir, job.manifest().key);
    let numbers = WAITING.numbers(&**disk, dir).map_err(io::Error::other)?;
    let number = numbers.last().map_or(1, |last| last + 1);
    let count = left.iter().map(|left| u64::from(*left)).sum();
    let mut part = WaitingPartWriter::create(disk, dir, number, key, count)?;
    let mut last = LastRead::default();
    let mut pushed = 0_u64;
    for id in view.rest.schedule.ids() {
        let mut heads = view.lanes.plain_at_hand(id).take(most).count();
        let told = view.lanes.each_plain(id, &mut last, |ticket| {
            if heads > 0 {
                heads -= 1;
                return Ok(());
            }
            pushed += 1;
            if pushed.is_multiple_of(ASK_EVERY) {
                hold_on(watch)?;
            }
            part.push(WaitingRequest {
                host: id.0,
                id: ticket.id,
                at: ticket.at,
            })
        });
        if let Err(e) = told {
            // The next run removes what cannot be removed now.
            let _ = part.discard();
            return Err(e);
        }
    }
    part.finish()
}

/// An image as long as nobody is in a hurry.
struct Watched<'a> {
    image: ImageWriter,
    watch: &'a mut dyn Watch,
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        hold_on(self.watch)?;
        self.image.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.image.flush()
    }
}

fn hold_on(watch: &mut dyn Watch) -> io::Result<()> {
    if watch.is_in_a_hurry() {
        Err(io::Error::other("a signal came"))
    } else {
        Ok(())
    }
}

fn put(out: &mut impl Write, value: u64) -> io::Result<()> {
    out.write_all(&value.to_le_bytes())
}

fn put_bytes(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    put(out, bytes.len() as u64)?;
    out.write_all(bytes)
}

fn put_varint(out: &mut impl Write, mut value: u64) -> io::Result<()> {
    let (mut bytes, mut len) = ([0; 10], 0);
    while value >= 0x80 {
        bytes[len] = value as u8 | 0x80;
        value >>= 7;
        len += 1;
    }
    bytes[len] = value as u8;
    out.write_all(&bytes[..=len])
}

fn put_text(out: &mut impl Write, text: &str) -> io::Result<()> {
    put_varint(out, text.len() as u64)?;
    out.write_all(text.as_bytes())
}

/// The requests of a host, in pieces of one priority.
#[derive(Default)]
struct LanePiece {
    priority: i64,
    count: u64,
    tickets: Vec<u8>,
}

impl LanePiece {
    fn push(&mut self, out: &mut impl Write, priority: i64, ticket: Ticket) -> io::Result<()> {
        if priority != self.priority || self.count == PIECE {
            self.put(out)?;
            self.priority = priority;
        }
        self.count += 1;
        put_ticket(&mut self.tickets, ticket)
    }

    fn put(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        put_varint(out, self.count)?;
        put_varint(out, (self.priority << 1 ^ self.priority >> 63) as u64)?;
        out.write_all(&self.tickets)?;
        self.count = 0;
        self.tickets.clear();
        Ok(())
    }

    /// That was all of the host.
    fn end(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.put(out)?;
        put_varint(out, 0)
    }
}

fn put_tickets(
    out: &mut impl Write,
    mut tickets: impl Iterator<Item = Ticket> + Clone,
) -> io::Result<()> {
    put_varint(out, tickets.clone().count() as u64)?;
    tickets.try_for_each(|ticket| put_ticket(out, ticket))
}

/// What of a host is in the part, and what goes behind that.
fn put_left(
    out: &mut impl Write,
    left: u32,
    gone: u32,
    behind: impl Iterator<Item = Ticket> + Clone,
) -> io::Result<()> {
    put_varint(out, left.into())?;
    if left == 0 {
        return Ok(());
    }
    put_varint(out, gone.into())?;
    put_tickets(out, behind)
}

/// Six bytes for each half.
fn put_ticket(out: &mut impl Write, ticket: Ticket) -> io::Result<()> {
    let mut bytes = [0; 12];
    bytes[..6].copy_from_slice(&ticket.id.to_le_bytes()[..6]);
    bytes[6..].copy_from_slice(&ticket.at.to_le_bytes()[..6]);
    out.write_all(&bytes)
}

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
    let read = thread::scope(|scope| {
        let opening = scope.spawn(|| room.open_all());
        // Those that are not among them are opened when they are asked for.
        read(&mut image, window, &room, || {
            opening.join().unwrap_or_default()
        })
    });
    let (memory, table, parts) = read.map_err(|e| ImageError::new(&path, e.to_string()))?;
    image.finish()?;
    room.sweep_waiting(memory.lanes.part_number());
    let seen = Seen::over(room, table, parts);
    Ok(Some((Memory { seen, ..memory }, mark)))
}

type Parts = Vec<Arc<SeenPart>>;

/// All but the set of what was seen, and what that is made of. `opened` gives parts that another thread opened
/// meanwhile.
fn read(
    image: &mut Image,
    window: u32,
    room: &SeenRoom,
    opened: impl FnOnce() -> HashMap<u64, SeenPart>,
) -> io::Result<(Memory, Table, Parts)> {
    let body_bytes = image.body_bytes();
    let mut body = Body {
        image,
        limit: body_bytes,
        lane: Vec::new(),
    };
    let head: Head<HashMap<String, String>> = serde_json::from_slice(&body.bytes()?)?;
    let mut schedule = Schedule::new(window);
    // Each takes three bytes at least.
    schedule.reserve(u64::from(head.hosts).min(body_bytes / 3) as usize);
    let mut lanes = Lanes::within(room.waiting());
    if let Some(named) = &head.waiting {
        let part = room.open_waiting(named.number).map_err(io::Error::other)?;
        if hex::encode(&part.sum()) != named.sum {
            return Err(io::Error::other("the part of what waits is another one"));
        }
        lanes.take_part(part)?;
    }
    let mut kept = KeptRules::within(lanes.room());
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
        if head.waiting.is_some() {
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
    let table = read_seen(&mut body)?;
    let parts = read_parts(&mut body, room, opened())?;
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
    Ok((memory, table, parts))
}

/// Opens the parts of the set that the image names.
fn read_parts(
    body: &mut Body<'_>,
    room: &SeenRoom,
    mut opened: HashMap<u64, SeenPart>,
) -> io::Result<Parts> {
    let mut parts = Vec::new();
    for _ in 0..body.number()? {
        let number = body.number()?;
        let mut sum = [0; 32];
        body.image.read_exact(&mut sum)?;
        let part = opened.remove(&number);
        let part = part.map_or_else(|| room.open(number), Ok);
        let part = part.map_err(io::Error::other)?;
        if *part.sum() != sum {
            return Err(io::Error::other("a part of what was seen is another one"));
        }
        parts.push(Arc::new(part));
    }
    Ok(parts)
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

#[cfg(test)]
mod tests;
