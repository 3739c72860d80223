//! As much HTTP/1.1 as a test site needs: reading a request, writing an answer.

use std::fs;
use std::io::{self, BufRead, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// When its last header had been read.
    pub at: Instant,
    /// Number of the connection, from 1: the same one is kept alive.
    pub connection: u64,
    pub method: String,
    /// The request target as sent: path and query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Asked {
    /// The header's first value; the name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Reads the next request; `None` when the connection ended before one.
    pub(super) fn read(reader: &mut impl BufRead, connection: u64) -> io::Result<Option<Asked>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_ascii_whitespace().map(str::to_owned);
        let (Some(method), Some(path)) = (words.next(), words.next()) else {
            return Ok(None);
        };
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        let mut asked = Asked {
            at: Instant::now(),
            connection,
            method,
            path,
            headers,
            body: Vec::new(),
        };
        if let Some(length) = asked.header("content-length") {
            asked.body = vec![0; length.parse().unwrap_or(0)];
            reader.read_exact(&mut asked.body)?;
        }
        Ok(Some(asked))
    }

    pub(super) fn wants_close(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

type Hand = Box<dyn FnOnce(&TcpStream) -> io::Result<()> + Send>;

/// What the site answers.
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// How long it waits before it answers.
    pub delay: Duration,
    hand: Option<Hand>,
}

impl Answer {
    /// An answer with a status and no body.
    pub fn status(status: u16) -> Answer {
        Answer {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            delay: Duration::ZERO,
            hand: None,
        }
    }

    /// A 200 with a body of this type.
    pub fn typed(content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        Answer::status(200)
            .header("Content-Type", content_type)
            .body(body)
    }

    /// A page.
    pub fn html(body: impl Into<Vec<u8>>) -> Answer {
        Answer::typed("text/html; charset=utf-8", body)
    }

    /// A plain text.
    pub fn text(body: impl Into<Vec<u8>>) -> Answer {
        Answer::typed("text/plain; charset=utf-8", body)
    }

    /// A redirect; give the status with [`Answer::with_status`] if not 302.
    pub fn redirect(to: &str) -> Answer {
        Answer::status(302).header("Location", to)
    }

    /// The site's hand on the connection itself: it writes what it likes, and
    /// the connection is closed then.
    pub fn by_hand(hand: impl FnOnce(&TcpStream) -> io::Result<()> + Send + 'static) -> Answer {
        let mut answer = Answer::status(0);
        answer.hand = Some(Box::new(hand));
        answer
    }

    /// Exactly these bytes, and then the end of the connection.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Answer {
        let bytes = bytes.into();
        Answer::by_hand(move |mut stream| stream.write_all(&bytes))
    }

    /// The file that a path names below a folder, or 404.
    pub fn file(root: &Path, path: &str) -> Answer {
        let path = path.split('?').next().unwrap_or_default();
        if path.split('/').any(|part| part == "..") {
            return Answer::status(404);
        }
        let mut found = root.join(path.trim_start_matches('/'));
        if found.is_dir() {
            if !path.ends_with('/') {
                return Answer::redirect(&format!("{path}/")).with_status(301);
            }
            found.push("index.html");
        }
        let content_type = match found.extension().and_then(|e| e.to_str()) {
            Some("html") => "text/html",
            Some("css") => "text/css",
            Some("js") => "text/javascript",
            Some("svg") => "image/svg+xml",
            Some("txt" | "md") => "text/plain",
            _ => "application/octet-stream",
        };
        match fs::read(found) {
            Ok(body) => Answer::typed(content_type, body),
            Err(_) => Answer::status(404),
        }
    }

    /// Another status.
    pub fn with_status(mut self, status: u16) -> Answer {
        self.status = status;
        self
    }

    /// A further header.
    pub fn header(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Answer {
        self.body = body.into();
        self
    }

    /// Answers only after this time.
    pub fn after(mut self, delay: Duration) -> Answer {
        self.delay = delay;
        self
    }

    /// Writes it; true when the connection may go on.
    pub(super) fn write(self, asked: &Asked, mut stream: &TcpStream) -> io::Result<bool> {
        if let Some(hand) = self.hand {
            hand(stream)?;
            return Ok(false);
        }
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        let mut close = asked.wants_close();
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
            close |= name.eq_ignore_ascii_case("connection") && value == "close";
        }
        if !matches!(self.status, 204 | 304) {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        if asked.method != "HEAD" && !matches!(self.status, 204 | 304) {
            bytes.extend_from_slice(&self.body);
        }
        stream.write_all(&bytes)?;
        Ok(!close)
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        301 | 302 | 303 | 307 | 308 => "Redirect",
        304 => "Not Modified",
        404 => "Not Found",
        _ => "Status",
    }
}
