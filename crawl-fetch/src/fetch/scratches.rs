//! Memory to read pages with, lent to whoever has one just now.

use std::sync::Mutex;

use crawl_ckpt::mutex::lock;

use crate::http::body::BodyReader;
use crate::page::PageReader;
use crate::page::extract::Workspace;

/// Memory to read one page at a time.
#[derive(Default)]
pub(super) struct ReadingDesk {
    pub pages: PageReader,
    pub items: Workspace,
    pub line: Vec<u8>,
}

/// Memory for pages, lent to whoever has one just now: of thousands of workers most wait for a
/// server, and need none. A body may have to wait for the rest of it, so desks are lent apart: few
/// are in use at once, and stay in the processor's cache.
pub struct Scratches {
    kept: Mutex<Kept>,
    /// All of them together keep so much.
    most_bytes: usize,
}

#[derive(Default)]
struct Kept {
    bodies: Vec<BodyReader>,
    desks: Vec<ReadingDesk>,
    bytes: usize,
}

/// So many of each are kept for later.
const KEEP_SCRATCHES: usize = 64;

/// No more memory is kept than this, and than a quarter of `--body-memory`. Setting it up anew for
/// each of a few large pages costs 2 % of a crawl, and as much again for their trees.
const KEEP_BYTES: usize = 48 << 20;

/// Memory for a result line is kept up to this size.
const KEEP_LINE_BYTES: usize = 1 << 20;

impl ReadingDesk {
    fn kept_bytes(&self) -> usize {
        self.pages.kept_bytes() + self.items.kept_bytes()
    }
}

impl Scratches {
    /// Beside a budget for bodies of so much.
    pub fn new(body_memory: usize) -> Scratches {
        Scratches {
            kept: Mutex::default(),
            most_bytes: KEEP_BYTES.min(body_memory / 4),
        }
    }

    pub(super) fn body(&self) -> BodyReader {
        let mut kept = lock(&self.kept);
        let body = kept.bodies.pop().unwrap_or_default();
        kept.bytes -= body.kept_bytes();
        body
    }

    pub(super) fn desk(&self) -> ReadingDesk {
        let mut kept = lock(&self.kept);
        let desk = kept.desks.pop().unwrap_or_default();
        kept.bytes -= desk.kept_bytes();
        desk
    }

    pub(super) fn give_back(&self, body: BodyReader, mut desk: ReadingDesk) {
        desk.line.clear();
        desk.line.shrink_to(KEEP_LINE_BYTES);
        let (body_bytes, desk_bytes) = (body.kept_bytes(), desk.kept_bytes());
        let mut kept = lock(&self.kept);
        if kept.bodies.len() < KEEP_SCRATCHES && kept.bytes + body_bytes <= self.most_bytes {
            kept.bytes += body_bytes;
            kept.bodies.push(body);
        }
        if kept.desks.len() < KEEP_SCRATCHES && kept.bytes + desk_bytes <= self.most_bytes {
            kept.bytes += desk_bytes;
            kept.desks.push(desk);
        }
    }
}
