//! `serve --store`: which crawl of which store, and as which of its workers.

use std::path::PathBuf;

use clap::Args;
use crawl_ckpt::control::SharedCrawl;
use crawl_ckpt::fleet::{CrawlName, StoreUrl};
use crawl_ckpt::job::Name;
use crawl_ckpt::limits::{COPIES, PARTITIONS, count};
use crawl_ckpt::tool::Failure;

/// The password of the store, where it is not in its URL.
const PASSWORD: &str = "CRAWL_STORE_PASSWORD";

/// Where machines meet that crawl one site together.
#[derive(Debug, Args)]
#[command(next_help_heading = "Many machines")]
pub struct StoreArgs {
    /// Share the crawl with all who give the same command: redis://HOST:PORT, or several hosts; rediss:// for TLS
    ///
    /// As for `crawl-run --store`: a Redis of 7.0 or later, or a Valkey, with `appendonly yes` and `maxmemory-policy
    /// noeviction`. The password comes from $CRAWL_STORE_PASSWORD, and authorities to trust with rediss:// in place of the
    /// system's from the PEM file $CRAWL_STORE_CA_CERT. JOB holds copies of what the store has, and may be
    /// lost. Records lie in FILE.d until all is done, and then in FILE. A crawl that is complete is not begun again.
    #[arg(long, value_name = "URL", requires_all = ["crawl", "worker", "job"])]
    store: Option<String>,
    /// Which crawl of the store; `crawl-ckpt --store URL show PROJECT/SPIDER/ID` shows it.
    #[arg(long, value_name = "PROJECT/SPIDER/ID", requires = "store", value_parser = crawl_name)]
    crawl: Option<CrawlName>,
    /// The name of this machine among those that share the crawl; each has its own.
    #[arg(long, value_name = "NAME", requires = "store", value_parser = Name::parse)]
    worker: Option<Name>,
    /// Into how many partitions a new crawl is split; it keeps that number [default: 64]
    #[arg(long, value_name = "N", requires = "store", value_parser = count(PARTITIONS.within))]
    parts: Option<u32>,
    /// How many replicas must have each commit [default: what the crawl began with: 1 where the store has any, else 0]
    #[arg(long, value_name = "N", requires = "store", value_parser = count(COPIES))]
    copies: Option<u32>,
}

impl StoreArgs {
    /// The crawl that is shared, if one is.
    ///
    /// # Errors
    /// A URL that names no store.
    pub fn shared(&self, output: Option<PathBuf>) -> Result<Option<SharedCrawl>, Failure> {
        let (Some(url), Some(crawl), Some(worker)) = (&self.store, &self.crawl, &self.worker)
        else {
            return Ok(None);
        };
        let password = std::env::var(PASSWORD).ok();
        Ok(Some(SharedCrawl {
            url: StoreUrl::parse(url, password.as_deref())?.to_secret(),
            worker: worker.to_string(),
            spider: crawl.spider.clone(),
            crawl_id: Some(crawl.crawl_id.clone()),
            new_crawl_id: crawl.crawl_id.clone(),
            parts: self.parts.unwrap_or(PARTITIONS.default),
            parts_given: self.parts.is_some(),
            copies: self.copies,
            crawls: None,
            output,
        }))
    }
}

fn crawl_name(text: &str) -> Result<CrawlName, String> {
    let names: Result<Vec<Name>, _> = text.split('/').map(Name::parse).collect();
    let names = names.map_err(|why| why.to_string())?;
    let name = CrawlName::parse(text).filter(|_| names.len() == 3);
    name.ok_or_else(|| "a crawl of a store is named PROJECT/SPIDER/ID".to_owned())
}
