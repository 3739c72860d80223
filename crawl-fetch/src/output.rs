//! Results on stdout: whole lines, in batches while workers are busy, at once
//! when nobody is about to add another.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A batch is written at the latest when it has so many bytes.
const BATCH_BYTES: usize = 256 << 10;

/// Memory of a batch above this is given back after use.
const KEEP_BYTES: usize = 1 << 20;

/// Where all workers put their results.
pub struct Output<W> {
    batch: Mutex<Batch<W>>,
    /// Workers that read a page and will add its result in no time.
    parsing: AtomicUsize,
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
            parsing: AtomicUsize::new(0),
        }
    }

    /// A result will come soon: other results wait for it and travel with it.
    pub fn parsing(&self) -> Parsing<'_, W> {
        self.parsing.fetch_add(1, Ordering::SeqCst);
        Parsing { output: self }
    }

    /// The error that ended all writing.
    pub fn take_error(&self) -> Option<io::Error> {
        let mut batch = self.batch.lock().unwrap_or_else(PoisonError::into_inner);
        batch.error.take()
    }
}

impl<W: Write> Parsing<'_, W> {
    /// Adds whole lines. Returns false when the output is broken.
    pub fn put(self, lines: &[u8]) -> bool {
        let output = self.output;
        let mut batch = output.batch.lock().unwrap_or_else(PoisonError::into_inner);
        batch.lines.extend_from_slice(lines);
        // Counted down under the lock, so that the last one sees all lines.
        drop(self);
        if batch.lines.len() >= BATCH_BYTES || output.parsing.load(Ordering::SeqCst) == 0 {
            batch.write()
        } else {
            batch.error.is_none()
        }
    }
}

impl<W: Write> Drop for Parsing<'_, W> {
    fn drop(&mut self) {
        self.output.parsing.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<W: Write> Batch<W> {
    fn write(&mut self) -> bool {
        if self.error.is_none() {
            let written = self.writer.write_all(&self.lines);
            self.error = written.and_then(|()| self.writer.flush()).err();
        }
        self.lines.clear();
        if self.lines.capacity() > KEEP_BYTES {
            self.lines = Vec::new();
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
}
