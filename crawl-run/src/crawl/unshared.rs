//! What does not work for a crawl that many machines share: why, and the way out.

use crawl_ckpt::fleet::StoreUrl;
use crawl_ckpt::tool::{Exit, Failure};

use super::Crawl;
use crate::cli::{AfterArgs, OnProxyChange, OnSpiderChange};

const ALONE: &str = "the same command without --store, on one machine";
const COLLECT: &str = "crawl-ckpt collect DIR... -o FILE";

impl Crawl<'_> {
    /// Refuses what is asked for and does not work over a store.
    ///
    /// # Errors
    /// [`Exit::Usage`], with the reason and the way out.
    pub(super) fn refuse_what_cannot_be_shared(
        &self,
        url: &StoreUrl,
        after: &AfterArgs,
    ) -> Result<(), Failure> {
        let (args, name) = (self.args, self.place.title());
        let (checkpoint, change) = (&args.checkpoint, &args.checkpoint.change);
        let rm = url.command("rm", &name);
        let show = url.command("show", &name);
        let wrong = [
            (
                args.output.output.is_some(),
                "-o",
                "each worker has its records in files of its own",
                format!("{COLLECT}   (makes one file of them when all is done)"),
            ),
            (
                checkpoint.reset_deltafetch || self.plan.delta,
                "--delta and DELTAFETCH_ENABLED",
                "what is known of a page stays with the worker that fetched it, and the next crawl may give the page to another",
                ALONE.to_owned(),
            ),
            (
                checkpoint.fresh,
                "--fresh",
                "the crawl is that of all workers",
                format!("{rm}   (removes it when no worker lives)"),
            ),
            (
                checkpoint.retry_failed.is_some(),
                "--retry-failed",
                "it asks again for what failed in one file of records",
                format!("{COLLECT}, and then --retry-failed=FILE without --store"),
            ),
            (
                change.on_spider_change != OnSpiderChange::Refuse,
                "--on-spider-change",
                "the crawl stays as the first worker began it",
                "--crawl-id NAME   (begins another one)".to_owned(),
            ),
            (
                change.on_proxy_change != OnProxyChange::Clear,
                "--on-proxy-change",
                "what is finished in a store stays finished",
                "the same command without it".to_owned(),
            ),
            (
                self.plan.warc.is_some(),
                "--warc",
                "a WARC file is written in one piece with the checkpoint of one machine",
                ALONE.to_owned(),
            ),
            (
                args.limits.is_capped(),
                "--max-cost",
                "no worker knows what the others have spent",
                ALONE.to_owned(),
            ),
            (
                self.parser.is_some(),
                "a parser",
                "its state stays on one machine",
                ALONE.to_owned(),
            ),
            (
                after.report.is_some(),
                "--report",
                "it would tell of one worker's share",
                format!("{COLLECT}, and then crawl-ckpt report {name} --from FILE -o report.html"),
            ),
            (
                after.json,
                "--json",
                "it would tell of one worker's share",
                format!("{show} --json"),
            ),
        ];
        match wrong.into_iter().find(|(is_asked, ..)| *is_asked) {
            None => Ok(()),
            Some((_, what, why, way)) => {
                let message = format!("cannot use --store with {what}: {why}");
                Err(Failure::with(Exit::Usage, message).hint(way))
            }
        }
    }
}
