//! Crawls that many machines share.

use clap::Args;
use crawl_ckpt::job::Name;
use crawl_ckpt::limits::{COPIES, PARTITIONS, count};

/// Where machines meet that crawl one site together.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Many machines")]
pub struct StoreArgs {
    /// Share the crawl with all who give the same command: redis://HOST:PORT or several, as redis://USER@HOST,HOST/DB; rediss:// for TLS
    ///
    /// A Redis of 7.0 or later, or a Valkey, with `appendonly yes` and `maxmemory-policy noeviction`; of a cluster any node
    /// will do, or several. The same command on another machine joins; each takes a share of the hosts, and a machine that dies is replaced by the others after 6
    /// seconds. Nothing is lost or doubled. Each keeps its records in its own DATA_DIR, as
    /// crawls/crawl_ID.d/part-N.WORKER.jsonl, and in one file crawl_ID.WORKER.jsonl when all is done; a crawl that is
    /// complete is not begun again under the same name. The password comes from $CRAWL_STORE_PASSWORD, or stands
    /// in the URL, where other users of this machine can see it. With rediss:// the store's certificate is checked by the system's
    /// authorities, or by those in the PEM file $CRAWL_STORE_CA_CERT; --ca-cert is for sites alone. With --limit the same command is a test crawl of this
    /// machine alone. What does not work is refused with the reason and the way out: -o, --delta, --warc, --fresh,
    /// --retry-failed, --max-cost, --report, --json, a parser.
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,

    /// The name of this machine among those that share the crawl [default: the host's name, with a number where another run has that]
    ///
    /// Each has its own. One that was killed goes on under its name at once.
    #[arg(long, value_name = "NAME", requires = "store", value_parser = Name::parse)]
    pub worker: Option<Name>,

    /// Which crawl is meant [default: the one under way in the store, else a new one named after the date]
    #[arg(long, value_name = "ID", requires = "store", value_parser = Name::parse)]
    pub crawl_id: Option<Name>,

    /// Into how many partitions a new crawl is split; it keeps that number [default: 64]
    ///
    /// All hosts of a registrable domain are in one. No more machines than this can share the crawl.
    #[arg(long, value_name = "N", requires = "store", value_parser = count(PARTITIONS.within))]
    pub parts: Option<u32>,

    /// How many replicas must have each commit [default: what the crawl began with: 1 where the store has any, else 0]
    ///
    /// A worker waits as long as there are fewer.
    #[arg(long, value_name = "N", requires = "store", value_parser = count(COPIES))]
    pub copies: Option<u32>,
}
