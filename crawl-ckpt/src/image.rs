//! The image: what a replay of the journal up to a mark comes to, written aside
//! for a quick start. What is in it is the frontier's affair, but for the parts that it names; this is its frame.
//!
//! The image is never the only copy: a missing, old or bad image costs a replay.

use std::cmp::Ordering;
use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use serde::Deserialize;

use crate::durable::{Behind, Disk, DiskFile, beside, parent, read_full, remove_if_there};
use crate::job::Job;
use crate::journal::Mark;
use crate::lock::JobLock;
use crate::parts::NamedParts;

/// Version of the body that the frontier writes.
pub const BODY_FORMAT: u32 = 7;

const MAGIC: [u8; 8] = *b"CRAWLIMG";
const FORMAT: u32 = 1;
const HEADER: usize = 80;
const SUM: usize = 32;
const BLOCK_BYTES: usize = 1 << 20;
/// So many blocks are read ahead.
const AHEAD: usize = 2;

/// Writes an image: a stream into a temporary file that [`ImageWriter::finish`] puts in place. Owns
/// all it needs, so that it can work on a thread of its own. Dropped unfinished, it leaves
/// a temporary file that the next run sweeps away.
#[derive(Debug)]
pub struct ImageWriter {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Behind,
    block: Vec<u8>,
    hasher: blake3::Hasher,
}

/// An image that is being read, and checked on a thread of its own. Nothing that was read of it counts before
/// [`Image::finish`] found its checksum right.
#[derive(Debug)]
pub struct Image {
    path: PathBuf,
    mark: Mark,
    body_format: u32,
    body_bytes: u64,
    /// The one that is read, and how much of it.
    block: Vec<u8>,
    taken: usize,
    blocks: Receiver<io::Result<Vec<u8>>>,
    /// Blocks that were read go back: new memory costs more than what is read.
    used: Sender<Vec<u8>>,
    reading: JoinHandle<Result<(), String>>,
}

/// Reads the body of an image, and checks it.
struct BodyReader {
    file: Box<dyn DiskFile>,
    at: u64,
    end: u64,
    hasher: blake3::Hasher,
}

/// Why an image is of no use. The journal is replayed then, and people are told.
#[derive(Debug)]
pub struct ImageError {
    path: PathBuf,
    why: String,
}

/// What the body begins with, as far as it is not the frontier's alone.
#[derive(Deserialize)]
struct PartNames {
    #[serde(default)]
    parts: NamedParts,
}

/// Where the image of a job directory lies.
pub fn path_in(dir: &Path) -> PathBuf {
    dir.join(crate::job::IMAGE)
}

impl ImageWriter {
    /// Begins an image that stands for `mark`, an end of the journal in force that is durable.
    /// `body_format` is the version of what the frontier writes into it.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn create(
        job: &Job,
        lock: &JobLock,
        mark: &Mark,
        body_format: u32,
    ) -> io::Result<ImageWriter> {
        debug_assert!(lock.guards(job.place()));
        let path = job.image_path();
        let temporary = beside(&path, ".tmp");
        remove_if_there(&**job.disk(), &temporary)?;
        let file = Behind::new(job.disk().create(&temporary)?);
        let mut writer = ImageWriter {
            disk: job.disk().clone(),
            path,
            file,
            block: Vec::with_capacity(BLOCK_BYTES),
            hasher: blake3::Hasher::new(),
        };
        writer.write_all(&header(job, mark, body_format))?;
        Ok(writer)
    }

    /// Puts the image in place, durably when this returns.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn finish(mut self) -> io::Result<()> {
        self.hasher.update(&self.block);
        self.block.extend(self.hasher.finalize().as_bytes());
        self.file.finish(&self.block)?;
        self.disk.rename(&beside(&self.path, ".tmp"), &self.path)?;
        self.disk.sync_dir(parent(&self.path))
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.file.at() + self.block.len() as u64
    }
}

impl Write for ImageWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.len() == BLOCK_BYTES {
            self.flush()?;
        }
        let fits = bytes.len().min(BLOCK_BYTES - self.block.len());
        self.block.extend_from_slice(&bytes[..fits]);
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.hasher.update(&self.block);
        self.file.write(&mut self.block)
    }
}

impl Image {
    /// Opens the image of a job; `None` when there is none, or only one from before the
    /// last compaction.
    ///
    /// # Errors
    /// The image is of no use: it is damaged, or of a version that is not known here.
    pub fn open(job: &Job) -> Result<Option<Image>, ImageError> {
        let path = job.image_path();
        let bad = |why: &dyn fmt::Display| ImageError {
            path: path.clone(),
            why: why.to_string(),
        };
        let file = match job.disk().open_read(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(bad(&e)),
        };
        let len = file.len().map_err(|e| bad(&e))?;
        let mut bytes = [0; HEADER];
        let got = read_full(&*file, &mut bytes, 0).map_err(|e| bad(&e))?;
        if got < HEADER || len < (HEADER + SUM) as u64 {
            return Err(bad(&"it is cut short"));
        }
        let Some((mark, body_format)) = decode_header(&bytes, job).map_err(|why| bad(&why))? else {
            return Ok(None);
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(&bytes);
        let body = BodyReader {
            file,
            at: HEADER as u64,
            end: len - SUM as u64,
            hasher,
        };
        let body_bytes = body.end - body.at;
        let (ready, blocks) = sync_channel(AHEAD);
        let (used, empty) = channel();
        let reading = std::thread::Builder::new()
            .name("image".into())
            .spawn(move || body.read(&ready, &empty))
            .map_err(|e| bad(&e))?;
        Ok(Some(Image {
            path,
            mark,
            body_format,
            body_bytes,
            block: Vec::new(),
            taken: 0,
            blocks,
            used,
            reading,
        }))
    }

    /// The end of the journal that it stands for.
    pub fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Version of the body, as given to [`ImageWriter::create`].
    pub fn body_format(&self) -> u32 {
        self.body_format
    }

    /// Length of the body in bytes.
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The parts that it names, before anything else is read of the body; none in one of another version.
    ///
    /// # Errors
    /// The image cannot be read, or is damaged.
    pub fn named_parts(&mut self) -> io::Result<NamedParts> {
        if self.body_format != BODY_FORMAT {
            return Ok(NamedParts::default());
        }
        let mut len = [0; 8];
        self.read_exact(&mut len)?;
        let head = self.take(u64::from_le_bytes(len));
        let head: PartNames = serde_json::from_reader(head)?;
        Ok(head.parts)
    }

    /// Checks the whole image's checksum; what was not read of the body is read for that.
    ///
    /// # Errors
    /// The image is damaged: all that was read of it must be thrown away.
    pub fn finish(self) -> Result<(), ImageError> {
        // The thread tells why it has no more.
        while let Ok(Ok(block)) = self.blocks.recv() {
            // The last ones come back to nobody.
            let _ = self.used.send(block);
        }
        let gone = |_| Err("the thread that reads it is gone".to_owned());
        let result = self.reading.join().unwrap_or_else(gone);
        result.map_err(|why| ImageError {
            path: self.path,
            why,
        })
    }
}

impl BodyReader {
    fn read(
        mut self,
        ready: &SyncSender<io::Result<Vec<u8>>>,
        empty: &Receiver<Vec<u8>>,
    ) -> Result<(), String> {
        while self.at < self.end {
            let len = (self.end - self.at).min(BLOCK_BYTES as u64) as usize;
            let mut block = empty.try_recv().unwrap_or_default();
            block.resize(len, 0);
            let read = read_full(&*self.file, &mut block, self.at).and_then(|got| match got {
                got if got < len => Err(io::Error::other("it is cut short")),
                _ => Ok(()),
            });
            let why = read.as_ref().err().map(|e| e.to_string());
            self.hasher.update(&block);
            self.at += len as u64;
            let sent = ready.send(read.map(|()| block));
            if let Some(why) = why {
                return Err(why);
            }
            sent.map_err(|_| "nobody reads it any more".to_owned())?;
        }
        let mut sum = [0; SUM];
        let got = read_full(&*self.file, &mut sum, self.at).map_err(|e| e.to_string())?;
        if got == SUM && self.hasher.finalize() == sum {
            Ok(())
        } else {
            Err("the checksum is wrong".to_owned())
        }
    }
}

impl Read for Image {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let len = ready.len().min(buffer.len());
        buffer[..len].copy_from_slice(&ready[..len]);
        self.consume(len);
        Ok(len)
    }
}

impl BufRead for Image {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken == self.block.len()
            && let Ok(block) = self.blocks.recv()
        {
            let used = std::mem::replace(&mut self.block, block?);
            self.taken = 0;
            // Nobody wants it when the last one was read.
            let _ = self.used.send(used);
        }
        Ok(&self.block[self.taken..])
    }

    fn consume(&mut self, bytes: usize) {
        self.taken += bytes;
    }
}

fn header(job: &Job, mark: &Mark, body_format: u32) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[12..16].copy_from_slice(&body_format.to_le_bytes());
    bytes[16..24].copy_from_slice(&job.manifest().generation.to_le_bytes());
    bytes[24..32].copy_from_slice(&mark.bytes.to_le_bytes());
    bytes[32..40].copy_from_slice(&mark.seq.to_le_bytes());
    bytes[40..48].copy_from_slice(&mark.next_id.to_le_bytes());
    bytes[48..64].copy_from_slice(&mark.sum);
    bytes[64..].copy_from_slice(&job.manifest().key);
    bytes
}

fn decode_header(bytes: &[u8; HEADER], job: &Job) -> Result<Option<(Mark, u32)>, String> {
    let u32_at = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[at + i]));
    let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
    let mut sum = [0; 16];
    sum.copy_from_slice(&bytes[48..64]);
    if bytes[..8] != MAGIC {
        return Err("it is no image".to_owned());
    }
    if u32_at(8) != FORMAT {
        return Err(format!("its format {} is not known", u32_at(8)));
    }
    let manifest = job.manifest();
    // One that was settled since has no more the ends that an image stands for.
    let mut before = manifest.before.iter();
    let is_before = before.any(|of| of.generation == u64_at(16) && of.stands_for.is_none());
    match u64_at(16).cmp(&manifest.generation) {
        Ordering::Less if !is_before => return Ok(None),
        Ordering::Greater => return Err(format!("it belongs to journal-{}", u64_at(16))),
        _ => {}
    }
    if bytes[64..] != job.manifest().key {
        return Err("it belongs to another job".to_owned());
    }
    let mark = Mark {
        bytes: u64_at(24),
        seq: u64_at(32),
        next_id: u64_at(40),
        sum,
    };
    Ok(Some((mark, u32_at(12))))
}

impl ImageError {
    /// For what the frontier finds wrong with the body.
    pub fn new(path: &Path, why: impl Into<String>) -> ImageError {
        ImageError {
            path: path.to_owned(),
            why: why.into(),
        }
    }

    /// What is wrong, without the path.
    pub fn why(&self) -> &str {
        &self.why
    }
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.why)
    }
}

impl std::error::Error for ImageError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::testing::TestPlace;

    fn write(place: &TestPlace, job: &Job, body: &[u8]) -> Mark {
        let mark = Mark {
            bytes: 64,
            seq: 0,
            next_id: 3,
            sum: [7; 16],
        };
        let mut writer = ImageWriter::create(job, &place.lock, &mark, 5).unwrap();
        writer.write_all(body).unwrap();
        writer.finish().unwrap();
        mark
    }

    fn read(job: &Job) -> Result<Option<Vec<u8>>, ImageError> {
        let Some(mut image) = Image::open(job)? else {
            return Ok(None);
        };
        let mut body = Vec::new();
        image
            .read_to_end(&mut body)
            .map_err(|e| ImageError::new(image.path(), e.to_string()))?;
        image.finish().map(|()| Some(body))
    }

    #[test]
    fn an_image_survives_the_round_trip() {
        let place = TestPlace::new();
        let job = place.create();
        assert_eq!(read(&job).unwrap(), None);
        for len in [0, 1, BLOCK_BYTES - HEADER, BLOCK_BYTES, 3 * BLOCK_BYTES + 7] {
            let body: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let mark = write(&place, &job, &body);
            assert_eq!(read(&job).unwrap().unwrap(), body);
            let image = Image::open(&job).unwrap().unwrap();
            assert_eq!((*image.mark(), image.body_format()), (mark, 5));
            assert_eq!(image.body_bytes(), len as u64);
            image.finish().unwrap();
        }
    }

    #[test]
    fn no_flipped_byte_and_no_cut_of_an_image_goes_unnoticed() {
        let place = TestPlace::new();
        let job = place.create();
        write(&place, &job, b"the body");
        let good = std::fs::read(job.image_path()).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            std::fs::write(job.image_path(), &bad).unwrap();
            assert!(!matches!(read(&job), Ok(Some(_))), "byte {at}");
            std::fs::write(job.image_path(), &good[..at]).unwrap();
            assert!(!matches!(read(&job), Ok(Some(_))), "cut at {at}");
        }
    }

    #[test]
    fn an_image_from_before_a_compaction_is_none() {
        let place = TestPlace::new();
        let mut job = place.create();
        write(&place, &job, b"old");
        let mut next = job.begin_generation(&place.lock, 0).unwrap();
        let old = std::fs::read(job.image_path()).unwrap();
        job.switch_generation(&place.lock, &mut next).unwrap();
        assert!(!job.image_path().exists());
        std::fs::write(job.image_path(), old).unwrap();
        assert_eq!(read(&job).unwrap(), None);
    }
}
