//! The one door through which words for people leave, on stderr. A reader that has stopped
//! reading holds up nobody here: what is said waits in memory, and a thread of its own writes it
//! as it is read. When too much waits the oldest words are lost, and how many is said.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock};
use std::thread;
use std::time::Duration;

use crate::mutex::{lock, unpoisoned};

use rustix::event::{PollFd, PollFlags, poll};

/// At most so much waits for a reader.
const HELD_BYTES: usize = 1 << 20;

/// Who says something waits so long until it is written, unless what was said before still
/// waits: so words keep their order beside stdout, and are out before what follows them.
const MOMENT: Duration = Duration::from_millis(200);

/// A reader is given up at the end when it takes nothing for so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// A pipe takes so much at once.
const PIECE: usize = 4096;

static DOOR: Door = Door::new();

/// Writes text to stderr. Returns before it is written when nobody reads.
pub fn write(text: &str) {
    if has_writer() {
        DOOR.put(text.to_owned(), MOMENT);
    } else {
        // Without a thread this can only wait. A closed stderr must not end a crawl.
        let _ = io::stderr().write_all(text.as_bytes());
    }
}

/// True while something that was said is not written: no time for what will be outdated soon.
pub fn are_waiting() -> bool {
    !DOOR.lock().is_done()
}

/// Waits until all is written, as long as somebody reads. The last act of every tool.
pub fn end() {
    DOOR.drain(PATIENCE);
}

fn has_writer() -> bool {
    static BEGUN: OnceLock<bool> = OnceLock::new();
    *BEGUN.get_or_init(|| {
        let writer = thread::Builder::new().name("words".into());
        writer.spawn(|| DOOR.pass(Patient(io::stderr()))).is_ok()
    })
}

struct Door {
    state: Mutex<Unwritten>,
    /// Something was said.
    come: Condvar,
    /// Something was written.
    gone: Condvar,
}

struct Unwritten {
    waiting: VecDeque<String>,
    /// Of these.
    bytes: usize,
    /// How many texts were ever said.
    said: u64,
    /// How many of them wait no more.
    done: u64,
    /// How many were lost and not told of.
    lost: u64,
    /// How many pieces were ever written.
    pieces: u64,
    /// Somebody waited in vain, and nobody is to wait again until all is written.
    behind: bool,
}

impl Unwritten {
    fn is_done(&self) -> bool {
        self.said == self.done
    }
}

impl Door {
    const fn new() -> Door {
        Door {
            state: Mutex::new(Unwritten {
                waiting: VecDeque::new(),
                bytes: 0,
                said: 0,
                done: 0,
                lost: 0,
                pieces: 0,
                behind: false,
            }),
            come: Condvar::new(),
            gone: Condvar::new(),
        }
    }

    /// Takes a text, and waits at most a moment until it is written.
    fn put(&self, text: String, moment: Duration) {
        let mut state = self.lock();
        state.bytes += text.len();
        state.waiting.push_back(text);
        state.said += 1;
        // The last words say how it ended.
        while state.bytes > HELD_BYTES && state.waiting.len() > 1 {
            let lost = state.waiting.pop_front().map_or(0, |text| text.len());
            state.bytes -= lost;
            state.lost += 1;
            state.done += 1;
        }
        self.come.notify_one();
        if state.behind {
            return;
        }
        let number = state.said;
        let is_waiting = |state: &mut Unwritten| state.done < number;
        let waited = self.gone.wait_timeout_while(state, moment, is_waiting);
        let (mut state, waited) = unpoisoned(waited);
        state.behind |= waited.timed_out() && !state.is_done();
    }

    /// Writes what is said, for ever.
    fn pass(&self, mut out: impl Write) {
        loop {
            let text = self.next();
            for piece in text.as_bytes().chunks(PIECE) {
                // A closed stderr ends no tool.
                let _ = out.write_all(piece);
                self.lock().pieces += 1;
                self.gone.notify_all();
            }
            let mut state = self.lock();
            state.done += 1;
            state.behind &= !state.is_done();
            self.gone.notify_all();
        }
    }

    fn next(&self) -> String {
        let state = self.lock();
        let waited = self
            .come
            .wait_while(state, |state| state.waiting.is_empty());
        let mut state = unpoisoned(waited);
        let text = state.waiting.pop_front().unwrap_or_default();
        state.bytes -= text.len();
        match std::mem::take(&mut state.lost) {
            0 => text,
            lost => {
                format!("(nobody read this for a while: {lost} messages are lost here)\n{text}")
            }
        }
    }

    /// Waits until all is written, or nothing was for so long.
    fn drain(&self, patience: Duration) {
        let mut state = self.lock();
        while !state.is_done() {
            let before = state.pieces;
            let is_stuck = |state: &mut Unwritten| !state.is_done() && state.pieces == before;
            let waited = self.gone.wait_timeout_while(state, patience, is_stuck);
            let (after, waited) = unpoisoned(waited);
            if waited.timed_out() {
                return;
            }
            state = after;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Unwritten> {
        lock(&self.state)
    }
}

/// A stderr that somebody made non-blocking is waited for all the same.
struct Patient(io::Stderr);

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None)?;
                }
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// A door whose words go into a pipe.
    fn door() -> (&'static Door, io::PipeReader) {
        let (reader, writer) = io::pipe().unwrap();
        let door: &Door = Box::leak(Box::new(Door::new()));
        thread::spawn(move || door.pass(writer));
        (door, reader)
    }

    fn line(number: usize) -> String {
        format!("{number:>99}\n")
    }

    /// The lines that come, up to one that ends with this.
    fn read_to(reader: &mut io::PipeReader, last: &str) -> Vec<String> {
        let (mut text, mut buffer) = (String::new(), [0; 4096]);
        while !text.ends_with(&format!("{last}\n")) {
            let count = reader.read(&mut buffer).unwrap();
            text.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn words_are_written_before_who_says_them_goes_on() {
        let (door, mut reader) = door();
        door.put("one\n".into(), Duration::MAX);
        assert!(door.lock().is_done());
        assert_eq!(read_to(&mut reader, "one"), ["one"]);
    }

    #[test]
    fn a_reader_that_was_away_misses_nothing_that_fits_into_memory() {
        let (door, mut reader) = door();
        let lines = HELD_BYTES / 100;
        for number in 0..lines {
            door.put(line(number), Duration::from_millis(1));
        }
        assert!(!door.lock().is_done() && door.lock().behind);
        let got = read_to(&mut reader, &format!(" {}", lines - 1));
        assert_eq!(got, (0..lines).map(|n| n.to_string()).collect::<Vec<_>>());
        door.drain(Duration::MAX);
        assert!(!door.lock().behind);
    }

    #[test]
    fn what_does_not_fit_is_lost_from_the_front_and_counted() {
        let (door, mut reader) = door();
        let lines = 3 * HELD_BYTES / 100;
        for number in 0..lines {
            door.put(line(number), Duration::from_millis(1));
        }
        door.put("complete\n".into(), Duration::ZERO);
        assert!(door.lock().bytes <= HELD_BYTES);
        let got = read_to(&mut reader, "complete");
        // A writer that begins late finds that some are lost already, and more are later.
        let gaps = got.iter().filter(|line| line.starts_with('('));
        let lost = gaps.map(|gap| -> usize {
            let mut words = gap.split(' ');
            words.find_map(|word| word.parse().ok()).unwrap()
        });
        let lost: Vec<usize> = lost.collect();
        let (gaps, lost) = (lost.len(), lost.iter().sum::<usize>());
        assert!(lost > lines / 2);
        assert_eq!(got.len() - 1 - gaps + lost, lines);
    }

    #[test]
    fn at_the_end_a_reader_that_takes_nothing_is_given_up() {
        let (door, reader) = door();
        door.put("x".repeat(HELD_BYTES), Duration::ZERO);
        door.drain(Duration::from_millis(50));
        assert!(!door.lock().is_done());
        drop(reader);
        door.drain(Duration::MAX);
        assert!(door.lock().is_done());
    }
}
