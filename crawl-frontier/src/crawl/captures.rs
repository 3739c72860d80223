//! The captures that later ones refer to: as the fetcher and as what is known of pages have them.

use crawl_ckpt::capture::Capture;
use crawl_ckpt::delta::{MAX_VALIDATOR_BYTES, PageCapture};
use crawl_ckpt::warc::{sha1_bytes, sha1_text};
use jiff::Timestamp;

/// A capture for the fetcher; `None` when its time is none.
pub fn told(known: &PageCapture<'_>) -> Option<Capture<'static>> {
    let ms = i64::try_from(known.at_ms).ok()?;
    let at = Timestamp::from_millisecond(ms).ok()?;
    Some(Capture {
        date: format!("{at:.3}").into(),
        digest: sha1_text(&known.sha1).into(),
        content_encoding: known
            .content_encoding
            .map(|coding| coding.to_owned().into()),
    })
}

/// The capture that a result tells of; `None` when nothing could refer to it.
pub fn kept<'a>(told: &'a Capture<'_>) -> Option<PageCapture<'a>> {
    let at: Timestamp = told.date.parse().ok()?;
    let coding = told.content_encoding.as_deref();
    if coding.is_some_and(|coding| coding.len() > MAX_VALIDATOR_BYTES) {
        return None;
    }
    Some(PageCapture {
        at_ms: at.as_millisecond().try_into().ok()?,
        sha1: sha1_bytes(&told.digest)?,
        content_encoding: coding,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_is_told_as_it_came() {
        for coding in [None, Some("gzip")] {
            let came = Capture {
                date: "2026-11-26T12:02:12.007Z".into(),
                digest: "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ".into(),
                content_encoding: coding.map(Into::into),
            };
            assert_eq!(told(&kept(&came).unwrap()), Some(came));
        }
    }

    #[test]
    fn what_no_record_could_refer_to_is_none() {
        let came = |date: &str, digest: &str, coding: &str| {
            let capture = Capture {
                date: date.to_owned().into(),
                digest: digest.to_owned().into(),
                content_encoding: Some(coding.to_owned().into()),
            };
            kept(&capture).is_some()
        };
        let (date, sha1) = (
            "2026-11-26T12:02:12.007Z",
            "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ",
        );
        assert!(came(date, sha1, "br"));
        assert!(!came("yesterday", sha1, "br"));
        assert!(!came("1969-11-26T12:02:12.007Z", sha1, "br"));
        assert!(!came(date, "sha1:short", "br"));
        assert!(!came(date, sha1, &"x".repeat(2000)));
    }
}
