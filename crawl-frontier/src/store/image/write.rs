//! Writing an image, as long as nobody is in a hurry.

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};

use crawl_ckpt::image::{BODY_FORMAT, ImageWriter};
use crawl_ckpt::job::Job;
use crawl_ckpt::journal::Mark;
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::parts::{NamedPart, NamedParts, WAITING};
use crawl_ckpt::waiting::{WaitingPart, WaitingPartWriter, WaitingRequest};

use super::Head;
use crate::schedule::HostId;
use crate::store::lanes::{LastRead, WantedPart};
use crate::store::memory::View;
use crate::store::{Ticket, Watch};

/// Whether anybody is in a hurry is asked so often, in requests.
const ASK_EVERY: u64 = 1 << 16;

/// So many requests of a lane are written at once.
const PIECE: u64 = 1 << 10;

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
        parts: NamedParts {
            seen: view.seen.parts().iter().map(|part| part.named()).collect(),
            waiting: queue.waiting,
        },
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
        if queue.most == usize::MAX {
            view.lanes.touch(id);
        }
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
                waiting: Some(part.named()),
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
                    waiting: Some(part.named()),
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
        view.lanes.touch(id);
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
