//! A file that is written from its beginning on, while its writer makes what comes next.

use std::io;
use std::mem::take;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::DiskFile;

/// So many blocks wait for the disk.
const AHEAD: usize = 2;
/// So much is written to a sync: nobody can end one, so it must not have a gigabyte to write.
const SYNC_BYTES: u64 = 64 << 20;

/// Writes blocks one behind the other, from the second one on with a thread of its own: to copy them into memory of
/// the system is half of the work. Dropped unfinished, it ends when what it was given is written.
#[derive(Debug)]
pub(crate) struct Behind {
    file: Arc<dyn DiskFile>,
    at: u64,
    thread: Option<Thread>,
    has_failed: bool,
}

#[derive(Debug)]
struct Thread {
    blocks: SyncSender<Vec<u8>>,
    /// Blocks that were written come back: new memory costs more than what is written.
    used: Receiver<Vec<u8>>,
    work: JoinHandle<io::Result<()>>,
}

impl Behind {
    /// Nothing is written yet.
    pub fn new(file: Box<dyn DiskFile>) -> Behind {
        Behind {
            file: file.into(),
            at: 0,
            thread: None,
            has_failed: false,
        }
    }

    /// Where the next block begins.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Takes the next block, and gives an empty one in its place.
    ///
    /// # Errors
    /// Errors of the disk, with this block or one before it, and every call after a failed one.
    pub fn write(&mut self, block: &mut Vec<u8>) -> io::Result<()> {
        self.check_usable()?;
        let written = self.pass_on(block);
        self.has_failed = written.is_err();
        written
    }

    fn pass_on(&mut self, block: &mut Vec<u8>) -> io::Result<()> {
        let (first, len) = (self.at, block.len() as u64);
        self.at += len;
        if first == 0 {
            self.file.write_at(block, 0)?;
            block.clear();
            return Ok(());
        }
        let thread = match &mut self.thread {
            Some(thread) => thread,
            none => none.insert(Thread::start(self.file.clone(), first)?),
        };
        if thread.blocks.send(take(block)).is_err() {
            return self.end().and_then(|()| Err(gone()));
        }
        let used = thread.used.try_recv();
        *block = used.unwrap_or_else(|_| Vec::with_capacity(len as usize));
        Ok(())
    }

    /// Ends the file with these bytes; all of it is durable when this returns, but its name.
    ///
    /// # Errors
    /// Errors of the disk, and a block that failed before.
    pub fn finish(mut self, rest: &[u8]) -> io::Result<Arc<dyn DiskFile>> {
        self.check_usable()?;
        self.end()?;
        self.file.write_at(rest, self.at)?;
        self.file.sync()?;
        Ok(self.file.clone())
    }

    fn check_usable(&self) -> io::Result<()> {
        if self.has_failed {
            return Err(io::Error::other("a block before it was not written"));
        }
        Ok(())
    }

    /// Waits until all blocks are written.
    fn end(&mut self) -> io::Result<()> {
        let Some(Thread { blocks, work, .. }) = self.thread.take() else {
            return Ok(());
        };
        drop(blocks);
        work.join().unwrap_or_else(|_| Err(gone()))
    }
}

fn gone() -> io::Error {
    io::Error::other("the thread that writes is gone")
}

impl Drop for Behind {
    fn drop(&mut self) {
        // Whoever drops it unfinished has no use for the file.
        let _ = self.end();
    }
}

impl Thread {
    fn start(file: Arc<dyn DiskFile>, at: u64) -> io::Result<Thread> {
        let (blocks, next) = sync_channel(AHEAD);
        let (empty, used) = channel();
        let work = std::thread::Builder::new()
            .name("write".into())
            .spawn(move || write(&*file, at, &next, &empty))?;
        Ok(Thread { blocks, used, work })
    }
}

fn write(
    file: &dyn DiskFile,
    mut at: u64,
    blocks: &Receiver<Vec<u8>>,
    empty: &Sender<Vec<u8>>,
) -> io::Result<()> {
    let mut unsynced = at;
    for mut block in blocks {
        file.write_at(&block, at)?;
        at += block.len() as u64;
        unsynced += block.len() as u64;
        if unsynced >= SYNC_BYTES {
            file.sync()?;
            unsynced = 0;
        }
        block.clear();
        // The last ones come back to nobody.
        let _ = empty.send(block);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::durable::sim::{Fault, SimDisk};
    use crate::durable::{Disk, read_full};

    /// Blocks of different lengths, and what is behind them.
    fn write_all(file: Box<dyn DiskFile>) -> io::Result<Arc<dyn DiskFile>> {
        let mut behind = Behind::new(file);
        for block in 1..=20_u8 {
            behind.write(&mut vec![block; block.into()])?;
            assert_eq!(behind.at(), (1..=u64::from(block)).sum::<u64>());
        }
        behind.finish(b"end")
    }

    #[test]
    fn blocks_lie_one_behind_the_other() {
        let disk = SimDisk::new();
        let file = write_all(disk.create(Path::new("/a")).unwrap()).unwrap();
        let mut wanted: Vec<u8> = (1..=20)
            .flat_map(|block| vec![block; block.into()])
            .collect();
        wanted.extend(b"end");
        let mut bytes = vec![0; wanted.len() + 1];
        assert_eq!(read_full(&*file, &mut bytes, 0).unwrap(), wanted.len());
        assert_eq!(bytes[..wanted.len()], wanted);
    }

    #[test]
    fn whatever_fails_is_told_before_the_end() {
        let disk = SimDisk::new();
        drop(write_all(disk.create(Path::new("/all")).unwrap()).unwrap());
        for operation in 2..=disk.operations() {
            let disk = SimDisk::new();
            disk.fail(operation, Fault::Full);
            let file = disk.create(Path::new("/a")).unwrap();
            assert!(write_all(file).is_err(), "{operation}");
        }
    }

    #[test]
    fn nothing_succeeds_after_a_failure() {
        for operation in 2..6 {
            let disk = SimDisk::new();
            disk.fail(operation, Fault::Full);
            let mut behind = Behind::new(disk.create(Path::new("/a")).unwrap());
            let writes = (0..20).map(|_| behind.write(&mut vec![1; 10]).is_err());
            let failed: Vec<bool> = writes.collect();
            assert!(failed.is_sorted(), "{operation}: {failed:?}");
            assert!(behind.finish(b"end").is_err(), "{operation}");
        }
    }

    #[test]
    fn nothing_is_written_after_it_was_dropped() {
        let disk = SimDisk::new();
        let mut behind = Behind::new(disk.create(Path::new("/a")).unwrap());
        for _ in 0..4 {
            behind.write(&mut vec![1; 1 << 16]).unwrap();
        }
        drop(behind);
        assert_eq!(disk.open(Path::new("/a")).unwrap().len().unwrap(), 4 << 16);
    }
}
