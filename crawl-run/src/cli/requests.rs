//! How requests are made: the pace, and what is handed on to crawl-fetch.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use crawl_ckpt::limits::{self, count, size, spelled_size, spelled_time, time};

use super::or_default;
use crate::headers::{header, is_user_agent};

const BODY_MEMORY_HELP: &str = "\
Memory for pages under way

For their bodies, what is made of them, and their results. Large pages wait for one another; one \
that needs more than this alone goes through, one at a time. Takes K, M and G, powers of 1024.";

/// Pace and manners, over the spider's settings.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Pace and manners")]
pub struct PaceArgs {
    /// Requests at once, over all hosts.
    #[arg(short, long, value_name = "N", value_parser = count(limits::CONCURRENCY.within),
          help = or_default("Requests at once, over all hosts", limits::CONCURRENCY.default))]
    pub concurrency: Option<u32>,

    /// Requests at once to one host.
    #[arg(long, value_name = "N", value_parser = count(limits::PER_HOST.within),
          help = or_default("Requests at once to one host", limits::PER_HOST.default))]
    pub per_host: Option<u32>,

    /// Least time between two requests to a host.
    #[arg(long, value_name = "DUR", value_parser = time(limits::DELAY.within),
          help = or_default("Least time between two requests to a host", spelled_time(limits::DELAY.default)))]
    pub delay: Option<Duration>,

    /// auto, none, or the name of a proxy [default: auto]
    ///
    /// Proxies are the environment's NAME_PROXY_URL (DATACENTER_PROXY_URL,
    /// RESIDENTIAL_PROXY_URL, …). `auto` goes direct first and uses `datacenter` for hosts
    /// that block; a costlier one is used only when it is named here.
    #[arg(long, value_name = "T")]
    pub proxy_type: Option<String>,

    /// Take on private addresses, and names that resolve to one
    ///
    /// On by itself when a start URL is private or localhost.
    #[arg(long)]
    pub allow_private: bool,
}

/// Handed on to crawl-fetch.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Requests")]
pub struct FetchArgs {
    /// The User-Agent to send
    #[arg(short = 'A', long, value_name = "UA", value_parser = user_agent)]
    pub user_agent: Option<String>,

    /// A further header for the site ('Name: value'); may be repeated
    ///
    /// It goes to the origins (scheme, host and port) of the start URLs, and to one that a start URL
    /// redirects to when that has the same registrable domain and is no step from https to http.
    /// Robots.txt is asked for by the same rule.
    #[arg(short = 'H', long = "header", value_name = "HEADER", value_parser = header)]
    pub headers: Vec<String>,

    /// Send the headers of -H to every host that the crawl meets
    #[arg(long)]
    pub header_everywhere: bool,

    /// Begin with the cookies in FILE (cookies.txt), and write them back at the end
    ///
    /// FILE is as curl and wget write it. Each cookie goes only where it belongs. A resume takes
    /// FILE in again only if it changed, since what the sites set meanwhile is newer. At the end of
    /// a run what sites set is written back, atomically, with mode 0600; lines of other sites
    /// and comments stay. A test crawl (--limit) writes nothing back.
    #[arg(long, value_name = "FILE")]
    pub cookies: Option<PathBuf>,

    /// Bytes of memory for pages under way.
    #[arg(long, value_name = "SIZE", value_parser = size(limits::BODY_MEMORY.within),
          help = or_default("Memory for pages under way", spelled_size(limits::BODY_MEMORY.default)),
          long_help = or_default(BODY_MEMORY_HELP, spelled_size(limits::BODY_MEMORY.default)))]
    pub body_memory: Option<usize>,

    /// Keep the pages themselves as WARC files, beside the output
    ///
    /// In OUTPUT-warc (without the output's .jsonl), files of at most 1 GB, WARC 1.1 in gzip: each exchange that had
    /// an answer, robots.txt and retries included, as it was sent. Records say in `warc` where
    /// theirs lies. They are as safe as the records: a file has `.open` behind its name while it is written, and
    /// whatever has not is whole. With --delta a page that did not change becomes a *revisit* record that refers to
    /// the night which kept its bytes. As the spider's `warc`, which can say more. A resumed crawl goes on as it
    /// began. When records go to stdout, also in a test crawl, the files lie beside the dated file's place.
    #[arg(long, help_heading = "Output")]
    pub warc: bool,

    /// Have pages rendered in a browser: links that scripts make are links
    ///
    /// Pages are fetched as ever; those of status 200 and type HTML are then shown to a browser, and
    /// what they say is what is there once their scripts have run. The browser has no network: what pages
    /// ask for is asked for by crawl-fetch, by its rules. It is $CRAWL_BROWSER, chromium-headless-shell
    /// or chromium. As the spider's `render`, which can say more: rules may have theirs rendered, or not.
    #[arg(long)]
    pub render: bool,

    /// Pages in the browser at once [default: 4]
    #[arg(long, value_name = "N", value_parser = count(limits::RENDER_TABS.within))]
    pub render_tabs: Option<u32>,

    /// Run the browser without its sandbox
    ///
    /// As root there is no other way. A page that breaks out of the browser then has all that the
    /// user of these tools has.
    #[arg(long)]
    pub no_sandbox: bool,

    /// Trust these certificates alone
    ///
    /// A PEM file with the certificates to trust, instead of the system's or those of
    /// SSL_CERT_FILE, as curl does.
    #[arg(long, value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,

    /// Do not verify TLS certificates
    #[arg(long)]
    pub insecure: bool,
}

fn user_agent(text: &str) -> Result<String, String> {
    if is_user_agent(text) {
        Ok(text.to_owned())
    } else {
        Err("expected printable ASCII".into())
    }
}
