//! What goes in and out of the frontier while it serves: requests, results,
//! orders and signals, all on one thread that never blocks on any of them.
//!
//! A write of at most `PIPE_BUF` bytes to a pipe that polls as writable does not
//! block, so a fetcher that waits for its results to be read is always served.
//! One thread in place of four saves two switches a page.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crawl_ckpt::control::{News, Next, Order};
use crawl_ckpt::handed::Taking;
use crawl_ckpt::lines::{Line, Lines, TOO_LONG};
use crawl_ckpt::signals::heeded;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// `PIPE_BUF` on Linux; POSIX allows less elsewhere, where a write may then block shortly.
const WRITE_BYTES: usize = 4096;

/// The frontier's ends of all pipes.
#[derive(Debug)]
pub struct Pipes {
    results: File,
    requests: File,
    /// Requests that the pipe has no room for yet.
    unsent: Vec<u8>,
    /// So many bytes of them are sent already.
    sent: usize,
    /// Results that were read.
    lines: Lines,
    /// Requests that were sent and not answered by a line each.
    unanswered: i64,
    /// Something was read in the last wait.
    pub heard: bool,
    /// How the results ended: `None` while they go on, an error when they broke off.
    pub ended: Option<io::Result<()>>,
    conductor: Option<(UnixStream, Lines)>,
    /// Orders that were read together with the first one.
    early: Vec<Message>,
    signals: Vec<(i32, UnixStream)>,
    /// Rings when who waits is to look at something; he reads it himself.
    bell: Option<UnixStream>,
}

/// What was heard beside results.
#[derive(Debug)]
pub enum Message {
    /// crawl-run says what to do.
    Order(Order),
    /// crawl-run is gone.
    ConductorGone,
    /// A signal came.
    Signal(i32),
}

impl Message {
    /// That the fetcher ended, or an order that does not count, is no reason to end.
    fn is_to_end(&self) -> bool {
        match self {
            Message::Order(order) => matches!(order, Order::Pause { .. }),
            Message::ConductorGone | Message::Signal(_) => true,
        }
    }
}

impl Pipes {
    /// Results come from the one file, requests go to the other.
    pub fn new(results: File, requests: File) -> Pipes {
        Pipes {
            results,
            requests,
            unsent: Vec::new(),
            sent: 0,
            lines: Lines::default(),
            unanswered: 0,
            heard: false,
            ended: None,
            conductor: None,
            early: Vec::new(),
            signals: Vec::new(),
            bell: None,
        }
    }

    /// Listens to crawl-run from now on, and waits for its first order.
    ///
    /// # Errors
    /// When it is gone, or says nonsense.
    pub fn meet(&mut self, socket: UnixStream) -> io::Result<Order> {
        // A plan may have millions of start URLs.
        self.conductor = Some((socket, Lines::of_any_length()));
        self.first_order()
    }

    /// Waits for the order that a crawl begins with.
    ///
    /// # Errors
    /// When crawl-run is gone, or says nonsense.
    pub fn first_order(&mut self) -> io::Result<Order> {
        if let Some((socket, lines)) = &mut self.conductor
            && let Some(Line::Whole(line)) = lines.read_line(socket)?
        {
            let first = serde_json::from_slice(line)?;
            self.early.extend(orders(lines));
            return Ok(first);
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    /// Waits for another crawl: where it lies, and the descriptor that holds the lock of its
    /// job. None when crawl-run has no more.
    pub fn next_crawl(&mut self) -> Option<(Next, OwnedFd)> {
        let (socket, lines) = self.conductor.as_mut()?;
        let mut from = Taking {
            socket,
            taken: None,
        };
        // That crawl-run is gone shows by an error, when news of ours were not read.
        while let Ok(Some(line)) = lines.read_line(&mut from) {
            // Any other order was meant for the crawl before.
            if let Line::Whole(line) = line
                && let Ok(Order::Next(next)) = serde_json::from_slice(line)
            {
                return Some((next, from.taken?));
            }
        }
        None
    }

    /// Listens for signals from now on.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn hear_signals(&mut self) -> io::Result<()> {
        for signal in heeded() {
            let (ours, theirs) = UnixStream::pair()?;
            signal_hook::low_level::pipe::register(signal, theirs)?;
            self.signals.push((signal, ours));
        }
        Ok(())
    }

    /// A wait ends when there is something to read here, too.
    pub fn hear_bell(&mut self, bell: UnixStream) {
        self.bell = Some(bell);
    }

    /// Where crawl-run is listened to, if it is there.
    ///
    /// # Errors
    /// Errors of the system.
    pub fn conductor(&self) -> io::Result<Option<UnixStream>> {
        let conductor = self.conductor.as_ref();
        conductor.map(|(socket, _)| socket.try_clone()).transpose()
    }

    /// True when somebody listens to news.
    pub fn has_conductor(&self) -> bool {
        self.conductor.is_some()
    }

    /// Tells crawl-run, if it listens.
    pub fn tell(&mut self, news: &News) {
        if let Some((socket, _)) = &mut self.conductor
            && let Ok(mut line) = serde_json::to_vec(news)
        {
            line.push(b'\n');
            // That crawl-run is gone is noticed by the end of its orders.
            let _ = socket.write_all(&line);
        }
    }

    /// True when an order or a signal has come since the last wait, or crawl-run is gone.
    pub fn hears_more(&mut self) -> bool {
        let sockets = self.conductor.iter().map(|(socket, _)| socket);
        let sockets = sockets.chain(self.signals.iter().map(|(_, pipe)| pipe));
        let mut fds: Vec<PollFd<'_>> = sockets
            .map(|socket| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN))
            .collect();
        // Asked again before long.
        let _ = poll(&mut fds, Some(&Timespec::default()));
        let came: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        self.words(&came).iter().any(Message::is_to_end)
    }

    /// Sends request lines, now or when there is room.
    pub fn send(&mut self, lines: &[u8]) {
        self.unanswered += lines.iter().filter(|byte| **byte == b'\n').count() as i64;
        self.unsent.extend_from_slice(lines);
        self.write();
    }

    /// Waits until something can be read, or for so long. Results are then there for [`Pipes::next_result`].
    ///
    /// # Errors
    /// Errors of the system.
    pub fn wait(&mut self, most: Option<Duration>) -> io::Result<Vec<Message>> {
        let most = if self.early.is_empty() {
            most
        } else {
            Some(Duration::ZERO)
        };
        let timeout = most.and_then(|most| Timespec::try_from(most).ok());
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(6);
        let readable = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        fds.extend(
            self.conductor
                .iter()
                .map(|(socket, _)| readable(socket.as_fd())),
        );
        fds.extend(self.signals.iter().map(|(_, pipe)| readable(pipe.as_fd())));
        let others = fds.len();
        if self.ended.is_none() {
            fds.push(readable(self.results.as_fd()));
        }
        if !self.unsent.is_empty() {
            fds.push(PollFd::from_borrowed_fd(
                self.requests.as_fd(),
                PollFlags::OUT,
            ));
        }
        fds.extend(self.bell.iter().map(|bell| readable(bell.as_fd())));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let came: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        self.heard = self.ended.is_none() && came[others];
        if self.heard {
            self.read();
        }
        self.write();
        Ok(self.words(&came[..others]))
    }

    /// The next result that was read. One that is too long breaks them off.
    pub fn next_result(&mut self) -> Option<&[u8]> {
        match self.lines.next_line()? {
            Line::Whole(line) => {
                self.unanswered -= 1;
                Some(line)
            }
            Line::TooLong(_) => {
                self.ended = Some(Err(io::Error::other(TOO_LONG)));
                None
            }
        }
    }

    /// True when each request has had its answer, and nothing more was said.
    pub fn are_idle(&self) -> bool {
        self.unanswered == 0 && self.unsent.is_empty() && self.lines.unfinished().is_empty()
    }

    fn read(&mut self) {
        match self.lines.fill(&self.results) {
            Ok(0) => self.ended = Some(Ok(())),
            Ok(_) => {}
            Err(error) => self.ended = Some(Err(error)),
        }
    }

    /// Writes as much as there is room for. A fetcher that is gone is told by its results.
    fn write(&mut self) {
        let Pipes { unsent, sent, .. } = self;
        while *sent < unsent.len() && is_writable(self.requests.as_fd()) {
            let end = unsent.len().min(*sent + WRITE_BYTES);
            match self.requests.write(&unsent[*sent..end]) {
                Ok(written) => *sent += written,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => *sent = unsent.len(),
            }
        }
        // Moved down seldom: of requests of many megabytes each write takes a few kilobytes off.
        if *sent > unsent.len() / 2 {
            unsent.drain(..*sent);
            *sent = 0;
        }
    }

    fn words(&mut self, came: &[bool]) -> Vec<Message> {
        let mut words = std::mem::take(&mut self.early);
        let mut came = came.iter();
        if let Some((socket, lines)) = &mut self.conductor
            && came.next() == Some(&true)
        {
            let gone = !matches!(lines.fill(&*socket), Ok(1..));
            words.extend(orders(lines));
            if gone {
                self.conductor = None;
                words.push(Message::ConductorGone);
            }
        }
        for ((signal, pipe), came) in self.signals.iter_mut().zip(came) {
            if *came {
                let mut bytes = [0; 8];
                let count = pipe.read(&mut bytes).unwrap_or(0);
                words.extend((0..count).map(|_| Message::Signal(*signal)));
            }
        }
        words
    }
}

/// The orders that were read and not heard yet.
fn orders(lines: &mut Lines) -> Vec<Message> {
    let mut orders = Vec::new();
    while let Some(line) = lines.next_line() {
        // What an older frontier does not understand, it need not obey.
        if let Line::Whole(line) = line {
            orders.extend(serde_json::from_slice(line).ok().map(Message::Order));
        }
    }
    orders
}

fn is_writable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    matches!(poll(&mut fds, Some(&Timespec::default())), Ok(1..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_that_comes_together_with_the_first_one_is_heard() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let mut pipes = Pipes::new(reader.into(), writer.into());
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let pause = Order::Pause { grace_ms: 7 };
        for order in [Order::Begin(Box::default()), pause] {
            let line = serde_json::to_string(&order).unwrap();
            theirs.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
        assert!(matches!(pipes.meet(ours).unwrap(), Order::Begin(_)));
        let words = pipes.wait(None).unwrap();
        let [Message::Order(Order::Pause { grace_ms: 7 })] = words[..] else {
            panic!("{words:?}");
        };
    }

    #[test]
    fn requests_that_the_pipe_has_no_room_for_wait_without_blocking() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let (results, _kept) = rustix::pipe::pipe().unwrap();
        let mut pipes = Pipes::new(results.into(), writer.into());
        let line = [b"x".repeat(999), b"\n".to_vec()].concat();
        for _ in 0..500 {
            pipes.send(&line);
        }
        assert!(!pipes.unsent.is_empty());
        let mut reader = File::from(reader);
        let mut got = 0;
        let mut buffer = vec![0; 10_000];
        while got < 500_000 {
            got += reader.read(&mut buffer).unwrap();
            pipes.wait(Some(Duration::ZERO)).unwrap();
        }
        assert!(pipes.unsent.is_empty());
    }
}
