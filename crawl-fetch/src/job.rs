//! From a line on stdin to a request, and from a result to a line on stdout.

use crawl_ckpt::record::{ErrorKind, FetchResult, MAX_LINE_BYTES, Request, parse_request};
use crawl_ckpt::text::Text;
use url::Url;

use crate::failure::Failure;

/// So much of a line that is no request comes back as its `url`.
const MAX_ECHO_BYTES: usize = 200;

/// A line that was read from stdin and named a URL.
#[derive(Debug)]
pub struct Job {
    pub line: String,
    /// Its number, from 1.
    pub number: u64,
    pub url: Url,
    /// What a parser is to begin with.
    pub state: Option<Box<str>>,
}

impl Job {
    /// Looks whether a line is a request.
    ///
    /// # Errors
    /// The result line that says why it is none.
    pub fn new(line: &[u8], number: u64) -> Result<Job, Vec<u8>> {
        let text = match std::str::from_utf8(line) {
            Ok(text) => text,
            Err(e) => return Err(invalid(line, number, None, &format!("no UTF-8: {e}"))),
        };
        let request = match parse_request(text) {
            Ok(request) => request,
            Err(why) => return Err(invalid(line, number, None, &why)),
        };
        match target(&request.url) {
            Ok(url) => Ok(Job {
                line: text.to_owned(),
                number,
                url,
                state: request.state.map(|state| state.get().into()),
            }),
            Err(why) => Err(invalid(line, number, Some(&request), &why)),
        }
    }
}

fn target(url: &str) -> Result<Url, String> {
    let mut url = Url::parse(url).map_err(|e| format!("the URL is none: {e}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{} is neither http nor https", url.scheme()));
    }
    url.set_fragment(None);
    Ok(url)
}

/// The result of a line that is no request.
pub fn invalid(line: &[u8], number: u64, request: Option<&Request<'_>>, why: &str) -> Vec<u8> {
    let begin = String::from_utf8_lossy(&line[..line.len().min(MAX_ECHO_BYTES)]);
    let mut result = match request {
        Some(request) => begun(request),
        None => FetchResult {
            url: Text(begin.trim().to_owned().into()),
            ..FetchResult::default()
        },
    };
    result.line = Some(number);
    result.error = Some(Failure::new(ErrorKind::Invalid, why).into_record());
    let mut out = Vec::new();
    write(&result, &mut out);
    out
}

/// The result of a request whose handling broke down here.
pub fn internal_error(job: &Job) -> Vec<u8> {
    let request = parse_request(&job.line).unwrap_or_default();
    let mut result = begun(&request);
    let why = "an internal error, please report it";
    result.error = Some(Failure::new(ErrorKind::Io, why).into_record());
    let mut out = Vec::new();
    write(&result, &mut out);
    out
}

/// A result with what comes from the request alone.
pub fn begun<'r>(request: &Request<'r>) -> FetchResult<'r> {
    FetchResult {
        url: request.url.clone(),
        id: request.id,
        depth: request.depth,
        meta: request.meta,
        ..FetchResult::default()
    }
}

/// Appends a result as a line; one that would be too long says so instead.
pub fn write(result: &FetchResult<'_>, out: &mut Vec<u8>) {
    if try_write(result, out) {
        return;
    }
    let why = format_args!("the result is over {MAX_LINE_BYTES} bytes");
    let short = FetchResult {
        url: result.url.clone(),
        id: result.id,
        depth: result.depth,
        status: result.status,
        error: Some(Failure::new(ErrorKind::TooLarge, why).into_record()),
        spool: result.spool.clone(),
        capture: result.capture.clone(),
        warc: result.warc.clone(),
        ..FetchResult::default()
    };
    // Strings and numbers alone always can be written.
    let _ = serde_json::to_writer(&mut *out, &short);
    out.push(b'\n');
}

/// Appends a result as a line, unless it would be too long.
pub fn try_write(result: &FetchResult<'_>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let written = serde_json::to_writer(&mut *out, result);
    out.push(b'\n');
    let fits = written.is_ok() && out.len() - start <= MAX_LINE_BYTES;
    if !fits {
        out.truncate(start);
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crawl_ckpt::capture::Spooled;

    #[test]
    fn lines_that_are_no_requests_say_why() {
        for line in [
            &b"\xff"[..],
            b"",
            b"words",
            b"{\"url\":\"ftp://a/\"}",
            b"http://",
            b"{}",
            b"{\"url\":\"http://a b/\"}",
            b"[1]",
        ] {
            let result = Job::new(line, 7).unwrap_err();
            let result = String::from_utf8(result).unwrap();
            assert!(result.contains(r#""kind":"invalid""#), "{result}");
            assert!(result.contains(r#""line":7"#), "{result}");
        }
        let result = Job::new(br#"{"url":"x:y","id":3,"meta":[1]}"#, 1).unwrap_err();
        assert!(result.starts_with(br#"{"url":"x:y","id":3,"meta":[1],"#));
    }

    #[test]
    fn a_result_that_fits_no_line_still_says_where_it_is_kept() {
        let spool = Spooled {
            file: "1-0".into(),
            offset: 5,
            length: 9,
            response_length: 4,
            others: Vec::new(),
        };
        let result = FetchResult {
            status: Some(200),
            body: Some("a".repeat(MAX_LINE_BYTES).into()),
            spool: Some(spool.clone()),
            ..FetchResult::default()
        };
        let mut line = Vec::new();
        write(&result, &mut line);
        let told: FetchResult<'_> = serde_json::from_slice(&line).unwrap();
        assert_eq!(told.error.unwrap().kind, ErrorKind::TooLarge);
        assert_eq!((told.status, told.spool), (Some(200), Some(spool)));
    }
}
