//! What a crawl began with, as a store keeps it, and what it is called there.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::tool::{Exit, Failure};

/// The version of what is stored.
const FORMAT: u32 = 2;

/// All that is known of a crawl of another version.
#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

/// What a crawl began with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SharedJob {
    format: u32,
    /// The key of all its partitions.
    #[serde(with = "crate::hex")]
    pub key: [u8; 16],
    /// How many partitions there are.
    pub parts: u32,
    /// Further copies that each commit is to have, of which a worker may want more or less.
    pub copies: u32,
    /// What is crawled.
    pub plan: Plan,
}

impl SharedJob {
    /// One that begins now.
    pub fn new(key: [u8; 16], parts: u32, copies: u32, plan: Plan) -> SharedJob {
        SharedJob {
            format: FORMAT,
            key,
            parts,
            copies,
            plan,
        }
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`Exit::Damaged`] when it is none; [`Exit::Usage`] for one of another version.
    pub fn parse(text: &str) -> Result<SharedJob, Failure> {
        let unknown = |why: &dyn fmt::Display| {
            let message = format!("the store has a crawl that is not understood: {why}");
            Failure::with(Exit::Damaged, message)
        };
        let Versioned { format } = serde_json::from_str(text).map_err(|e| unknown(&e))?;
        if format != FORMAT {
            let message = format!(
                "the crawl in the store was begun by another version of the tools, which keeps it in format {format}, and this one in {FORMAT}"
            );
            let hint =
                "that version finishes it, or removes it; --crawl-id NAME begins another crawl";
            return Err(Failure::with(Exit::Usage, message).hint(hint));
        }
        let job: SharedJob = serde_json::from_str(text).map_err(|e| unknown(&e))?;
        if job.parts == 0 {
            return Err(unknown(&"it has no partitions"));
        }
        Ok(job)
    }
}

/// What a crawl is called in a store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CrawlName {
    /// `project/spider`.
    pub spider: String,
    /// Which crawl of it.
    pub crawl_id: String,
}

impl CrawlName {
    /// The one that prints so; `None` when the text names none.
    pub fn parse(text: &str) -> Option<CrawlName> {
        let (spider, crawl_id) = text.rsplit_once('/')?;
        Some(CrawlName {
            spider: spider.to_owned(),
            crawl_id: crawl_id.to_owned(),
        })
    }
}

impl fmt::Display for CrawlName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.spider, self.crawl_id)
    }
}
