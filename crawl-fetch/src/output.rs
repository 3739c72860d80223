//! Results on stdout: whole lines, in batches while there is work, at once when
//! nobody is about to add another.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use crawl_ckpt::mutex::{lock, unpoisoned};

/// A batch is written at the latest when it has so many bytes.
const BATCH_BYTES: usize = 256 << 10;

/// A result waits at most so long for others. Each batch wakes the reader, and the
/// reader's answer wakes a worker: a batch a page costs twice the processor time.
const PATIENCE: Duration = Duration::from_millis(2);

/// Memory of a batch above this is given back after use.
const KEEP_BYTES: usize = 1 << 20;

/// Where all workers put their results.
pub struct Output<W> {
    batch: Mutex<Batch<W>>,
    /// A batch waits for more.
    late: Condvar,
    /// Workers that read a page and will add its result in no time.
    parsing: AtomicUsize,
    /// Requests that no worker has taken yet.
    waiting: AtomicUsize,
}

struct Batch<W> {
    writer: W,
    lines: Vec<u8>,
    error: Option<io::Error>,
}

/// Says that a result comes without any more waiting.
pub struct Parsing<'o, W: Write> {
    output: &'o Output<W>,
}

impl<W: Write> Output<W> {
    /// Nothing is written yet.
    pub fn new(writer: W) -> Output<W> {
        Output {
            batch: Mutex::new(Batch {
                writer,
                lines: Vec::new(),
                error: None,
            }),
            late: Condvar::new(),
            parsing: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
        }
    }

    /// So many requests wait for a worker. While some do, nobody waits for results.
    pub fn expect(&self, waiting: usize) {
        self.waiting.store(waiting, Ordering::SeqCst);
    }

    /// Writes batches that waited long enough, for ever; on a thread of its own.
    pub fn write_late(&self) {
        loop {
            let mut batch = self.lock();
            while batch.lines.is_empty() {
                batch = unpoisoned(self.late.wait(batch));
            }
            drop(batch);
            std::thread::sleep(PATIENCE);
            // A failure is kept, and told to the next worker; who reads is watched elsewhere.
            self.lock().write();
        }
    }

    /// Writes what waits. A failure is kept for [`Output::take_error`].
    pub fn flush(&self) {
        self.lock().write();
    }

    fn lock(&self) -> MutexGuard<'_, Batch<W>> {
        lock(&self.batch)
    }

    /// A result will come soon: other results wait for it and travel with it.
    pub fn parsing(&self) -> Parsing<'_, W> {
        self.parsing.fetch_add(1, Ordering::SeqCst);
        Parsing { output: self }
    }

    /// The error that ended all writing.
    pub fn take_error(&self) -> Option<io::Error> {
        self.lock().error.take()
    }
}

impl<W: Write> Parsing<'_, W> {
    /// Adds whole lines. Returns false when the output is broken.
    pub fn put(self, lines: &[u8]) -> bool {
        let output = self.output;
        let mut batch = output.lock();
        let is_first = batch.lines.is_empty();
        if lines.len() >= BATCH_BYTES {
            // As it is: a copy of a large page's result is one too many.
            drop(self);
            return batch.write() && batch.write_whole(lines);
        }
        batch.lines.extend_from_slice(lines);
        // Counted down under the lock, so that the last one sees all lines.
        drop(self);
        let more = |count: &AtomicUsize| count.load(Ordering::SeqCst) > 0;
        let more_soon = more(&output.parsing) || more(&output.waiting);
        if batch.lines.len() >= BATCH_BYTES || !more_soon {
            return batch.write();
        }
        if is_first {
            output.late.notify_one();
        }
        batch.error.is_none()
    }
}

impl<W: Write> Drop for Parsing<'_, W> {
    fn drop(&mut self) {
        self.output.parsing.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<W: Write> Batch<W> {
    fn write(&mut self) -> bool {
        let mut lines = std::mem::take(&mut self.lines);
        let is_written = lines.is_empty() || self.write_whole(&lines);
        lines.clear();
        if lines.capacity() <= KEEP_BYTES {
            self.lines = lines;
        }
        is_written && self.error.is_none()
    }

    fn write_whole(&mut self, lines: &[u8]) -> bool {
        if self.error.is_none() {
            let written = self.writer.write_all(lines);
            self.error = written.and_then(|()| self.writer.flush()).err();
        }
        self.error.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_travel_together_while_another_is_about_to_come() {
        let output = Output::new(Vec::new());
        let (first, second) = (output.parsing(), output.parsing());
        assert!(first.put(b"1\n"));
        assert_eq!(output.batch.lock().unwrap().writer, b"");
        assert!(second.put(b"2\n"));
        assert_eq!(output.batch.lock().unwrap().writer, b"1\n2\n");
    }
    #[test]
    fn while_requests_wait_results_wait_for_one_another_but_not_long() {
        let output = std::sync::Arc::new(Output::new(Vec::new()));
        output.expect(1);
        assert!(output.parsing().put(b"1\n"));
        assert_eq!(output.lock().writer, b"");
        let late = output.clone();
        std::thread::spawn(move || late.write_late());
        while output.lock().writer.is_empty() {
            std::thread::yield_now();
        }
        output.expect(0);
        assert!(output.parsing().put(b"2\n"));
        assert_eq!(output.lock().writer, b"1\n2\n");
    }
}
