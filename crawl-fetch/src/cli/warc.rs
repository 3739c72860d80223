//! The options that keep pages as WARC.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use crawl_ckpt::tool::{Exit, Failure};
use crawl_ckpt::warc::Info;

use crate::http::call::now;
use crate::http::warc::{Archive, Beside};

/// What is kept, and where.
#[derive(Debug, Args)]
pub(super) struct WarcArgs {
    /// Keep all that is exchanged in this file, as WARC
    ///
    /// A new file (.warc.gz) of WARC 1.1 records, each a gzip member: for every answer with a head,
    /// robots.txt and redirects on the way included, a *response* with head and body as they were
    /// sent, a *request*, and *metadata*. Only chunks are put together; `Transfer-Encoding` is
    /// then named `x-orig-transfer-encoding`. Headers that you add to requests, cookies and
    /// passwords are left out. A result says in `warc` where its response is. After a kill the last
    /// record may be torn; a full disk ends the run with exit code 1 and leaves whole records. A
    /// request with a `capture` (`date`, `digest`, `content_encoding`), as results have it, gives a
    /// *revisit* when the page is the same or the answer 304.
    #[arg(long, value_name = "FILE")]
    warc: Option<PathBuf>,

    /// Keep no records of this kind: requests or metadata
    ///
    /// Leaves out what --warc keeps beside responses. May be given twice.
    #[arg(long, value_name = "KIND", value_enum)]
    warc_without: Vec<BesideKind>,

    /// Put WARC records into files of this directory, for crawl-frontier
    ///
    /// The files are named by process id and number; results say in `spool` where theirs are.
    /// For use under crawl-run: the frontier takes the records from there and removes the files.
    #[arg(long, value_name = "DIR", hide = true, conflicts_with_all = ["warc", "robots"])]
    warc_spool: Option<PathBuf>,
}

/// Records beside the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BesideKind {
    /// What was asked.
    Requests,
    /// How it was found, and how long it took.
    Metadata,
}

impl WarcArgs {
    /// Whether anything is kept.
    pub fn is_wanted(&self) -> bool {
        self.warc.is_some() || self.warc_spool.is_some()
    }

    /// Makes the file, or gets ready for the spool.
    ///
    /// # Errors
    /// When the file cannot be made, or the frontier could not tell whose records are whose.
    pub fn open(
        &self,
        user_agent: &str,
        robots: bool,
        max_redirects: u32,
    ) -> Result<Option<Archive>, Failure> {
        let without = |kind| self.warc_without.contains(&kind);
        let beside = Beside {
            requests: !without(BesideKind::Requests),
            metadata: !without(BesideKind::Metadata),
        };
        if let Some(dir) = &self.warc_spool {
            return match max_redirects {
                0 => Ok(Some(Archive::spool(dir, beside))),
                _ => Err(Failure::with(
                    Exit::Usage,
                    "--warc-spool is for one answer a request: give --max-redirects 0 as well",
                )),
            };
        }
        let Some(path) = &self.warc else {
            return Ok(None);
        };
        if path.as_os_str() == "-" {
            let why = "--warc needs a file: results go to stdout";
            return Err(Failure::with(Exit::Usage, why));
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let info = Info {
            file: &name,
            software: concat!("crawl-fetch/", env!("CARGO_PKG_VERSION")),
            robots: Some(robots),
            user_agent: Some(user_agent),
            ..Info::default()
        };
        match Archive::file(path, &info, &now(), beside) {
            Ok(archive) => Ok(Some(archive)),
            Err(e) => {
                let message = format!("cannot keep pages in {}: {e}", path.display());
                Err(Failure::with(Exit::Usage, message))
            }
        }
    }
}
