//! The manifest, `job.json`: what a job is, and which journal is its truth.

use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::{Clearing, OutputPlace};
use crate::error::StoreError;
use crate::journal::Mark;
use crate::plan::Plan;

/// The format of job directories that this library writes and reads.
pub const FORMAT: u32 = 1;

/// The format of those that keep pages as WARC, whose files an older tool would leave torn.
const FORMAT_WITH_WARC: u32 = 2;

/// The format of those of which a part was settled, whose earlier journals an older tool would miss.
const FORMAT_SETTLED: u32 = 3;

/// Every manifest begins so.
pub(super) const SIGN: &[u8] = b"{\"format\":";

/// What a job is. Replaced as a whole, never edited in place. Unknown fields are
/// ignored: what an old tool must not miss raises `format`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the whole directory's format.
    pub format: u32,
    /// RFC 3339, UTC.
    pub created_at: String,
    /// Name and version of the tool that made the job.
    pub tool: String,
    /// The journal in force is `journal-<generation>`; starts at 1, grows by one a compaction.
    pub generation: u64,
    /// The journals before that one, the oldest first; none in most jobs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<ClosedJournal>,
    /// 16 random bytes: keys the hash of the seen set, which an attacker must not
    /// foresee, and ties the journal to this job.
    #[serde(with = "crate::hex")]
    pub key: [u8; 16],
    /// What is crawled; absent for a job made by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// The `--proxy-type` of the crawl; empty when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub proxy_type: String,
    /// The command that resumes the crawl, quoted for a shell; absent when it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Where the output goes; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputPlace>,
    /// The output whose failed URLs are asked for again; absent for any other crawl.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<OutputPlace>,
    /// The name that the output has until it gets its own, in the same directory: it is complete and
    /// being renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<OutputPlace>,
    /// Where the WARC files go, a directory; absent when there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warc: Option<OutputPlace>,
    /// Present after a clean pause: where the journal ends. Absent while a run writes
    /// and after a crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Seal>,
    /// The last pause in good order left an image; without one a resume takes longer, and
    /// one that is not there any more is worth a word.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub image: bool,
    /// Present while the job is being thrown away: nobody goes on with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clearing: Option<Clearing>,
}

/// The end of a journal that was closed in good order.
pub type Seal = Mark;

/// A journal that another one goes on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedJournal {
    /// It is `journal-<generation>`.
    pub generation: u64,
    /// Where it ends.
    pub end: Mark,
    /// Of a settled one: the end of the journals that it stands for. It is the first then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_for: Option<Mark>,
}

impl ClosedJournal {
    /// From where the next one goes on.
    pub fn goes_on_at(&self) -> Mark {
        self.stands_for.unwrap_or(self.end)
    }
}

impl Manifest {
    /// The manifest of a new job: generation 1, a fresh random key, the time now.
    ///
    /// # Errors
    /// The system has no random bytes to give.
    pub fn new(tool: &str) -> std::io::Result<Manifest> {
        let mut key = [0; 16];
        let got = rustix::rand::getrandom(&mut key, rustix::rand::GetRandomFlags::empty())?;
        if got != key.len() {
            return Err(std::io::Error::other("too few random bytes"));
        }
        Ok(Manifest {
            format: FORMAT,
            created_at: jiff::Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string(),
            tool: tool.to_owned(),
            generation: 1,
            before: Vec::new(),
            key,
            plan: None,
            proxy_type: String::new(),
            command: None,
            output: None,
            retries: None,
            unfinished: None,
            warc: None,
            sealed: None,
            image: false,
            clearing: None,
        })
    }

    /// Has the job keep WARC files in this directory.
    pub fn keep_warc(&mut self, place: OutputPlace) {
        self.format = FORMAT_WITH_WARC;
        self.warc = Some(place);
    }

    /// The format that a tool must know to read it.
    pub(super) fn format_needed(&self) -> u32 {
        format_of(!self.before.is_empty(), self.warc.is_some())
    }

    /// True when the first of its journals is a settled one.
    pub(super) fn is_settled(&self) -> bool {
        self.before
            .first()
            .is_some_and(|first| first.stands_for.is_some())
    }

    /// Where its WARC files lie; `None` when it keeps none.
    pub fn warc_dir(&self, data_dir: &Path) -> Option<PathBuf> {
        self.warc.as_ref()?.resolve(data_dir)
    }

    /// The file's content: one line of JSON, and a line with its checksum.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec(self)?;
        let sum = blake3::hash(&bytes).to_hex();
        bytes.extend_from_slice(format!("\nblake3:{sum}\n").as_bytes());
        Ok(bytes)
    }

    /// Checks and reads the file's content.
    pub(crate) fn from_bytes(bytes: &[u8], path: &Path) -> Result<Manifest, StoreError> {
        let damaged = |offset: usize, why: &str| StoreError::damaged(path, offset as u64, why);
        let end = memchr::memchr(b'\n', bytes)
            .ok_or_else(|| damaged(bytes.len(), "the file is cut short"))?;
        let (json, sum) = (&bytes[..end], &bytes[end + 1..]);
        if sum != format!("blake3:{}\n", blake3::hash(json).to_hex()).as_bytes() {
            return Err(damaged(0, "the checksum is wrong"));
        }
        // The checksum is right, so this is what some tool wrote: what cannot be read is
        // not damage but a version that is not known here.
        #[derive(Deserialize)]
        struct Version {
            format: u64,
            warc: Option<IgnoredAny>,
            before: Option<IgnoredAny>,
        }
        let unknown = |why: String| StoreError::Unknown {
            path: path.into(),
            why,
        };
        let version: Version = serde_json::from_slice(json).map_err(|e| unknown(e.to_string()))?;
        let known = format_of(version.before.is_some(), version.warc.is_some());
        if version.format != u64::from(known) {
            return Err(unknown(format!(
                "format {}, this tool knows {FORMAT}, {FORMAT_WITH_WARC} with a WARC, \
                 and {FORMAT_SETTLED} of a job that was settled",
                version.format
            )));
        }
        serde_json::from_slice(json).map_err(|e| unknown(e.to_string()))
    }
}

fn format_of(has_before: bool, has_warc: bool) -> u32 {
    match (has_before, has_warc) {
        (true, _) => FORMAT_SETTLED,
        (false, true) => FORMAT_WITH_WARC,
        (false, false) => FORMAT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Manifest, StoreError> {
        Manifest::from_bytes(bytes, Path::new("job.json"))
    }

    fn with_sum(json: &str) -> Vec<u8> {
        let sum = blake3::hash(json.as_bytes()).to_hex();
        format!("{json}\nblake3:{sum}\n").into_bytes()
    }

    #[test]
    fn a_manifest_survives_the_round_trip_and_no_flipped_byte_does() {
        let mut manifest = Manifest::new("test 1").unwrap();
        manifest.plan = Some(Plan::default());
        manifest.proxy_type = "auto".into();
        manifest.output = Some(OutputPlace::stream());
        let bytes = manifest.to_bytes().unwrap();
        assert_eq!(parse(&bytes).unwrap(), manifest);
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(parse(&bad).is_err(), "byte {at}");
            assert!(parse(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_newer_format_is_refused_and_unknown_fields_are_not() {
        let manifest = Manifest::new("test 1").unwrap();
        let json = serde_json::to_string(&manifest).unwrap();
        let newer = json.replace("\"format\":1", "\"format\":2");
        let error = parse(&with_sum(&newer)).unwrap_err();
        assert!(matches!(&error, StoreError::Unknown { .. }), "{error}");
        assert!(error.to_string().contains("format 2"), "{error}");
        let wider = json.replacen('{', "{\"later\":[1],", 1);
        assert_eq!(parse(&with_sum(&wider)).unwrap(), manifest);
    }

    #[test]
    fn unknown_fields_are_ignored_at_every_depth() {
        let mut manifest = Manifest::new("test 1").unwrap();
        manifest.plan = Some(Plan::default());
        let json = serde_json::to_string(&manifest).unwrap();
        let objects = json.matches('{').count();
        assert!(objects >= 5, "the plan has parts: {json}");
        let deeper = json.replace('{', "{\"later\":{\"deeper\":1},");
        assert_eq!(parse(&with_sum(&deeper)).unwrap(), manifest);
    }
}
