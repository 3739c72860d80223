//! What a connection reads into and sends from.
//!
//! The memory belongs to the thread: a connection that rests until the next request gives it back,
//! so ten thousand of them hold none, and the next one finds it warm.

use std::cell::{Cell, RefCell};

use ureq::unversioned::transport::Buffers;

/// What a connection reads into at first. Thousands of connections wait at once.
const FIRST_INPUT_BYTES: usize = 8 << 10;

/// What it grows to, twofold, each time a read fills it. Headers of
/// [`crate::http::agent::MAX_HEADER_BYTES`] fit with room to spare.
const MAX_INPUT_BYTES: usize = 128 << 10;

/// What a connection sends from, for a request line and header lines that fit into this.
pub const OUTPUT_BYTES: usize = 8 << 10;

/// The same for longer ones, which are rare: a jar full of cookies. All must fit into this.
pub const MAX_OUTPUT_BYTES: usize = 72 << 10;

/// A request over TLS takes two of a kind.
const SPARES: usize = 2;

thread_local! {
    /// What this thread's connections gave back: inputs, outputs.
    static SPARE: RefCell<[Vec<Vec<u8>>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
    static WIDE: Cell<bool> = const { Cell::new(false) };
}

/// Says whether the request at hand needs [`MAX_OUTPUT_BYTES`].
pub fn set_wide(wide: bool) {
    WIDE.set(wide);
}

/// Whether it does.
pub fn is_wide() -> bool {
    WIDE.get()
}

/// What a connection may send from for the request at hand.
pub fn output_bytes() -> usize {
    if is_wide() {
        MAX_OUTPUT_BYTES
    } else {
        OUTPUT_BYTES
    }
}

fn spare(kind: usize) -> Vec<u8> {
    SPARE.with_borrow_mut(|spare| spare[kind].pop().unwrap_or_default())
}

fn give_back(kind: usize, buffer: &mut Vec<u8>) {
    let buffer = std::mem::take(buffer);
    // A thread that ends needs none. What holds more is rare, and not kept.
    let _ = SPARE.try_with(|spare| {
        let spare = &mut spare.borrow_mut()[kind];
        if spare.len() < SPARES && (1..=MAX_INPUT_BYTES).contains(&buffer.len()) {
            spare.push(buffer);
        }
    });
}

/// Bytes that came and were not used yet, and those to send.
#[derive(Debug, Default)]
pub struct Window {
    input: Vec<u8>,
    start: usize,
    end: usize,
    output: Vec<u8>,
    /// The last look at the input used some of it, so another look may too.
    progress: bool,
}

impl Window {
    /// Free room behind the input, made by moving or growing if need be.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.input.is_empty() {
            self.input = spare(0);
        }
        if self.end == self.input.len() {
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == self.input.len() && self.end < MAX_INPUT_BYTES {
            let size = (2 * self.end).max(FIRST_INPUT_BYTES);
            self.input.resize(size, 0);
        }
        &mut self.input[self.end..]
    }

    /// Gives the memory back until it is needed again, unless something is in it.
    pub fn rest(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            give_back(0, &mut self.input);
            give_back(1, &mut self.output);
        }
    }

    fn sending(&mut self) -> &mut Vec<u8> {
        if self.output.is_empty() {
            self.output = spare(1);
        }
        self.output.resize(output_bytes(), 0);
        &mut self.output
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        give_back(0, &mut self.input);
        give_back(1, &mut self.output);
    }
}

impl Buffers for Window {
    fn output(&mut self) -> &mut [u8] {
        self.sending()
    }

    fn input(&self) -> &[u8] {
        &self.input[self.start..self.end]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.room()
    }

    fn input_appended(&mut self, amount: usize) {
        self.end += amount;
        if self.start == 0 && self.end == self.input.len() && self.end < MAX_INPUT_BYTES {
            // More was there than fitted, so the next read shall take more at once.
            self.input.resize(2 * self.end, 0);
        }
    }

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.start += amount;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.sending();
        self.room();
        (&mut self.input[self.end..], &mut self.output)
    }

    fn can_use_input(&self) -> bool {
        self.start < self.end && self.progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_grows_moves_and_ends() {
        let mut window = Window::default();
        assert_eq!(window.room().len(), FIRST_INPUT_BYTES);
        window.input_appended(FIRST_INPUT_BYTES);
        assert_eq!(window.room().len(), FIRST_INPUT_BYTES);
        window.input_consume(FIRST_INPUT_BYTES - 1);
        assert!(window.can_use_input());
        window.input_appended(FIRST_INPUT_BYTES);
        assert_eq!(window.input().len(), FIRST_INPUT_BYTES + 1);
        window.input_consume(0);
        assert!(!window.can_use_input());
        while !window.room().is_empty() {
            let room = window.room().len();
            window.input_appended(room);
        }
        assert_eq!(window.input().len(), MAX_INPUT_BYTES);
    }

    #[test]
    fn one_that_rests_has_no_memory_and_the_next_has_what_it_grew_to() {
        let mut first = Window::default();
        first.output();
        first.room();
        first.input_appended(FIRST_INPUT_BYTES);
        first.rest();
        assert_eq!(first.input().len(), FIRST_INPUT_BYTES, "bytes are in it");
        first.input_consume(FIRST_INPUT_BYTES);
        first.rest();
        assert_eq!((first.input.capacity(), first.output.capacity()), (0, 0));
        let mut second = Window::default();
        assert_eq!(second.room().len(), 2 * FIRST_INPUT_BYTES);
        assert_eq!(first.room().len(), FIRST_INPUT_BYTES);
        assert_eq!(second.output().len(), OUTPUT_BYTES);
    }
}
