//! The cookies of `--cookies FILE`: sent where they belong, changed as servers say,
//! and written back at the end.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use crawl_ckpt::cookies::{Cookies as Jar, merged};
use crawl_ckpt::mutex::lock;
use crawl_ckpt::{netscape, octets};
use ureq::http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use url::Url;

/// The cookies of a file, or none at all.
#[derive(Debug, Default)]
pub struct Cookies(Option<File>);

#[derive(Debug)]
struct File {
    path: PathBuf,
    /// What it held at the start.
    text: String,
    jar: Mutex<Jar>,
}

impl Cookies {
    /// Reads a file. Also says which lines were no cookies, from 1.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(path: PathBuf) -> io::Result<(Cookies, Vec<usize>)> {
        let text = netscape::read(&path)?;
        let bad = netscape::parse(&text).1;
        let mut jar = Jar::default();
        jar.take_file(&text, now_s());
        let jar = Mutex::new(jar);
        Ok((Cookies(Some(File { path, text, jar })), bad))
    }

    /// Puts the Cookie header for a URL in place of whatever is there.
    pub fn put(&self, url: &Url, headers: &mut HeaderMap) {
        if self.0.is_none() {
            return;
        }
        headers.remove(COOKIE);
        let value = self.header(url);
        if let Some(value) =
            value.and_then(|value| HeaderValue::from_bytes(&octets::to_bytes(&value)).ok())
        {
            headers.insert(COOKIE, value);
        }
    }

    /// The Cookie header for a URL.
    pub fn header(&self, url: &Url) -> Option<String> {
        self.0.as_ref()?.lock().header(url.as_str())
    }

    /// Takes what an answer from a URL sets.
    pub fn take(&self, url: &Url, headers: &HeaderMap) {
        let Some(file) = &self.0 else { return };
        let set = headers.get_all(SET_COOKIE).iter();
        let set: Vec<Cow<'_, str>> = set.map(|value| octets::to_text(value.as_bytes())).collect();
        if !set.is_empty() {
            let set = set.iter().map(|value| &**value);
            file.lock().take(url.as_str(), set);
        }
    }

    /// Writes back what changed, into the file as it is by now.
    ///
    /// # Errors
    /// Those of the disk, with the file's name.
    pub fn save(&self) -> Result<(), String> {
        let Some(file) = &self.0 else { return Ok(()) };
        let changes = file.lock().changes(&file.text, now_s());
        netscape::update(&file.path, |text| merged(text, &changes))
            .map_err(|e| format!("cannot write {}: {e}", file.path.display()))
    }
}

impl File {
    fn lock(&self) -> std::sync::MutexGuard<'_, Jar> {
        lock(&self.jar)
    }
}

fn now_s() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_go_only_where_they_belong() {
        let text = "# Netscape HTTP Cookie File\n\n\
            a.example\tFALSE\t/\tFALSE\t0\thost\t1\n\
            #HttpOnly_.a.example\tTRUE\t/d\tFALSE\t4102444800\twide\t2 3\r\n\
            a.example\tFALSE\t/\tTRUE\t0\tsafe\t4\n\
            a.example\tFALSE\t/\tFALSE\t1\told\t5\n\
            not a cookie\n";
        let dir = std::env::temp_dir().join(format!("crawl-fetch-cookies-{}", std::process::id()));
        std::fs::write(&dir, text).unwrap();
        let (cookies, bad) = Cookies::read(dir.clone()).unwrap();
        std::fs::remove_file(&dir).unwrap();
        assert_eq!(bad, [7]);
        let sent = |url| {
            let mut headers = HeaderMap::new();
            cookies.put(&Url::parse(url).unwrap(), &mut headers);
            headers
                .get(COOKIE)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(sent("http://a.example/").unwrap(), "host=1");
        assert_eq!(sent("http://a.example/d/x").unwrap(), "wide=2 3; host=1");
        assert_eq!(sent("http://x.a.example/d").unwrap(), "wide=2 3");
        assert_eq!(sent("http://x.a.example/dd"), None);
        assert_eq!(sent("http://xa.example/d"), None);
        assert_eq!(sent("https://a.example/").unwrap(), "host=1; safe=4");
    }
}
