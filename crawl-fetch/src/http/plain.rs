//! A connection whose answers are in the plain form that ureq reads.
//!
//! Bytes stay where they are as long as they are plain; from the first odd line on an answer is
//! written into a buffer of its own.

use std::fmt;
use std::time::Instant;

use ureq::Error;
use ureq::unversioned::transport::{Buffers, NextTimeout, Transport};

use crate::http::framing::{Framing, Look};

/// Around a connection that is ready for HTTP.
pub struct Plain<T> {
    inner: T,
    framing: Framing,
    /// What was odd.
    rewritten: Option<Rewritten>,
}

impl<T: Transport> Plain<T> {
    /// Nothing was asked yet.
    pub fn new(inner: T) -> Plain<T> {
        Plain {
            inner,
            framing: Framing::default(),
            rewritten: None,
        }
    }
}

impl<T: Transport> Plain<T> {
    /// Waits until there is something new: ureq takes an empty input for the end.
    fn rewrite_more(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let Some(rewritten) = &mut self.rewritten else {
            return Ok(false);
        };
        rewritten.drop_used();
        let had = rewritten.input.len();
        let begun = Instant::now();
        let mut left = timeout;
        loop {
            let more = self.inner.await_input(left)?;
            let buffers = self.inner.buffers();
            let all = buffers.input().len();
            self.framing.write(buffers.input(), &mut rewritten.input);
            buffers.input_consume(all);
            if !more {
                self.framing.give_up(&mut rewritten.input);
            }
            if rewritten.input.len() > had || !more {
                return Ok(rewritten.input.len() > had);
            }
            if let Some(whole) = timeout.not_zero() {
                left.after = whole.saturating_sub(begun.elapsed()).into();
            }
        }
    }
}

impl<T: Transport> Transport for Plain<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        let is_over = |rewritten: &mut Rewritten| rewritten.input().is_empty();
        if self.framing.is_at_rest() {
            // What is still to come needs no change.
            self.rewritten.take_if(is_over);
        }
        match &mut self.rewritten {
            Some(rewritten) => rewritten,
            None => self.inner.buffers(),
        }
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.framing.begin();
        if let Some(mut rewritten) = self.rewritten.take() {
            let output = &rewritten.output()[..amount];
            self.inner.buffers().output()[..amount].copy_from_slice(output);
        }
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if self.rewritten.is_some() {
            return self.rewrite_more(timeout);
        }
        let before = self.inner.buffers().input().len();
        let more = self.inner.await_input(timeout)?;
        let buffers = self.inner.buffers();
        let input = buffers.input();
        let all = input.len();
        if let Look::Odd(back) = self.framing.look(&input[before..]) {
            let (plain, odd) = input.split_at(all - back);
            let mut rewritten = Rewritten::default();
            rewritten.input.extend_from_slice(plain);
            self.framing.restart();
            self.framing.write(odd, &mut rewritten.input);
            buffers.input_consume(all);
            let is_there = !rewritten.input.is_empty();
            self.rewritten = Some(rewritten);
            if !is_there && more {
                return self.rewrite_more(timeout);
            }
        }
        Ok(more)
    }

    fn is_open(&mut self) -> bool {
        let is_over = |rewritten: &mut Rewritten| rewritten.input().is_empty();
        self.rewritten.take_if(is_over);
        self.rewritten.is_none() && self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

impl<T> fmt::Debug for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain").finish_non_exhaustive()
    }
}

/// The plain form of what was odd, as far as it was not used yet.
#[derive(Debug, Default)]
struct Rewritten {
    input: Vec<u8>,
    start: usize,
    output: Vec<u8>,
    spare: Vec<u8>,
    progress: bool,
}

impl Rewritten {
    fn drop_used(&mut self) {
        self.input.drain(..self.start);
        self.start = 0;
    }
}

impl Buffers for Rewritten {
    fn output(&mut self) -> &mut [u8] {
        self.output.resize(crate::http::window::output_bytes(), 0);
        &mut self.output
    }

    fn input(&self) -> &[u8] {
        &self.input[self.start..]
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        // Only what reads from a socket appends, and that reads into the buffers below.
        &mut []
    }

    fn input_appended(&mut self, _: usize) {}

    fn input_consume(&mut self, amount: usize) {
        self.progress = amount > 0;
        self.start += amount;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        let bytes = crate::http::window::output_bytes();
        self.output.resize(bytes, 0);
        self.spare.resize(bytes, 0);
        (&mut self.spare, &mut self.output)
    }

    fn can_use_input(&self) -> bool {
        !self.input().is_empty() && self.progress
    }
}
