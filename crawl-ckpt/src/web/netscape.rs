//! Cookies in Netscape's format, the `cookies.txt` that curl, wget and browsers write.

use std::io;
use std::path::Path;
use std::sync::Mutex;

use crate::durable::{RealDisk, replace};
use crate::mutex::lock;
use crate::octets;

/// Before the domain of a cookie that scripts do not see.
const HTTP_ONLY: &str = "#HttpOnly_";

/// One line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cookie {
    /// In lower case, without a dot before it.
    pub domain: String,
    /// It goes to the hosts below the domain, too.
    pub subdomains: bool,
    /// It goes to this path and those below it.
    pub path: String,
    /// It goes over https only.
    pub secure: bool,
    /// Scripts in a page do not see it.
    pub http_only: bool,
    /// Seconds since 1970; 0 means until the session ends, so always.
    pub expires: u64,
    /// `name=value`, without control characters.
    pub pair: String,
}

/// Reads the text of a file. Also says which lines were no cookies, from 1.
pub fn parse(text: &str) -> (Vec<Cookie>, Vec<usize>) {
    let mut cookies = Vec::new();
    let mut bad = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_end_matches('\r');
        let rest = line.strip_prefix(HTTP_ONLY);
        let http_only = rest.is_some();
        let line = rest.unwrap_or(line);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match cookie(line) {
            Some(cookie) => cookies.push(Cookie {
                http_only,
                ..cookie
            }),
            None => bad.push(number),
        }
    }
    (cookies, bad)
}

impl Cookie {
    /// True when the cookie has expired.
    pub fn is_expired(&self, now_s: u64) -> bool {
        self.expires != 0 && self.expires <= now_s
    }

    /// The line of the cookie, with its newline; `None` for a cookie that a line cannot hold.
    pub fn line(&self) -> Option<String> {
        let (name, value) = self.pair.split_once('=').unwrap_or(("", &self.pair));
        let (dot, prefix) = (["", "."], ["", HTTP_ONLY]);
        let (dot, prefix) = (
            dot[usize::from(self.subdomains)],
            prefix[usize::from(self.http_only)],
        );
        let flag = |is: bool| if is { "TRUE" } else { "FALSE" };
        let fields = [
            &format!("{prefix}{dot}{}", self.domain),
            flag(self.subdomains),
            &self.path,
            flag(self.secure),
            &self.expires.to_string(),
            name,
            value,
        ];
        let is_clean = |field: &&str| !field.chars().any(char::is_control);
        let line = fields.iter().all(is_clean).then(|| fields.join("\t"));
        line.map(|line| line + "\n")
    }
}

/// The text of a file, whatever bytes it has: see [`octets`].
///
/// # Errors
/// Errors of the disk; a file of something else, in which no line is a cookie.
pub fn read(path: &Path) -> io::Result<String> {
    let text = octets::to_text(&std::fs::read(path)?).into_owned();
    match parse(&text) {
        (cookies, bad) if cookies.is_empty() && !bad.is_empty() => {
            let why =
                "no line of it is a cookie in Netscape's format: seven fields, parted by tabs";
            Err(io::Error::new(io::ErrorKind::InvalidData, why))
        }
        _ => Ok(text),
    }
}

/// Changes a file's text, atomically; the new file is for its owner alone. Where nothing
/// changes, and what is no regular file (a pipe), stays as it is.
///
/// # Errors
/// Errors of the disk.
pub fn update(path: &Path, change: impl FnOnce(&str) -> String) -> io::Result<()> {
    // Crawls of one batch may share the file.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = lock(&ONE);
    let path = path.canonicalize()?;
    if !path.metadata()?.is_file() {
        return Ok(());
    }
    let old = read(&path)?;
    let new = change(&old);
    if new == old {
        Ok(())
    } else {
        replace(&RealDisk, &path, &octets::to_bytes(&new))
    }
}

/// `domain  TRUE|FALSE  path  TRUE|FALSE  expires  name  value`, parted by tabs.
fn cookie(line: &str) -> Option<Cookie> {
    let mut fields = line.split('\t');
    let mut field = || fields.next();
    let (domain, subdomains, path) = (field()?, field()?, field()?);
    let (secure, expires, name) = (field()?, field()?, field()?);
    let value = field().unwrap_or_default();
    let flag = |text: &str| match text {
        "TRUE" | "true" => Some(true),
        "FALSE" | "false" => Some(false),
        _ => None,
    };
    let pair = match name {
        "" => value.to_owned(),
        name => format!("{name}={value}"),
    };
    let is_clean = !pair.chars().any(|c| c.is_ascii_control());
    is_clean.then_some(Cookie {
        domain: domain.trim_start_matches('.').to_ascii_lowercase(),
        subdomains: flag(subdomains)? || domain.starts_with('.'),
        path: path.to_owned(),
        secure: flag(secure)?,
        http_only: false,
        // Fractions and -1 are seen in the wild, and nothing at all is what Python writes for a
        // session.
        expires: match expires.trim() {
            "" => 0,
            number => number.parse::<f64>().ok()?.max(0.0) as u64,
        },
        pair,
    })
}
