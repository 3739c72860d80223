//! The command line.

mod render;
mod warc;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use crawl_ckpt::extraction::Extraction;
use crawl_ckpt::limits::{self, count, size, spelled_size, spelled_time, time};
use crawl_ckpt::robots::product_token;
use crawl_ckpt::tool::{Exit, Failure, need_stdout, say};
use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use crate::TOOL;
use crate::fetch::{FetchOptions, Fetcher, Scratches};
use crate::http::agent::{AgentOptions, Agents};
use crate::http::call::Caller;
use crate::http::cookies::Cookies;
use crate::http::gate::Gate;
use crate::http::proxy::{Proxies, Way};
use crate::memory::Memory;
use crate::page::extract::Extractor;
use crate::parse::ParseOptions;
use crate::run::{Options, run, warn_insecure};

use render::RenderArgs;
use warc::WarcArgs;

const EXAMPLES: &str = "\
Examples:
  Which of these pages are there?
    crawl-fetch --no-links <urls.txt | jq -r '[.status // .error.kind, .url] | @tsv'

  All links of a page:
    echo https://site.example/ | crawl-fetch | jq -r '.links[]?'

  Politely, with the pages themselves, through a proxy whose name is in the requests:
    DATACENTER_PROXY_URL=http://user:password@proxy.example:3128 \\
      crawl-fetch --robots --delay 1s --body <requests.jsonl >pages.jsonl";

/// Fetches what it reads: requests in, results out, one JSON object a line.
///
/// Each line on stdin is a request, a JSON object or just a URL, and gives exactly
/// one line on stdout, in the order in which servers answer. Nothing is kept.
///
/// Exit status: 0 when every line was a request, whatever the servers said; 1 when
/// some were not; 130, 143, 129 after SIGINT, SIGTERM, SIGHUP, of which the first
/// lets requests under way finish and the second does not.
#[derive(Debug, Parser)]
#[command(name = "crawl-fetch", version, max_term_width = 100, after_long_help = EXAMPLES)]
pub struct Cli {
    /// Requests at once, over all hosts
    ///
    /// Each needs a thread and a connection, some 50 KiB.
    #[arg(short, long, value_name = "N", default_value_t = limits::CONCURRENCY.default, value_parser = count(limits::CONCURRENCY.within))]
    concurrency: u32,

    /// Requests at once to one host
    ///
    /// Scheme, name and port make a host.
    #[arg(long, value_name = "N", default_value_t = limits::PER_HOST.default, value_parser = count(limits::PER_HOST.within))]
    per_host: u32,

    /// Least time between two requests to a host
    ///
    /// Between their starts, such as 500ms or 2s; a bare number is in seconds.
    #[arg(long, value_name = "DUR", default_value = spelled_time(limits::DELAY.default), value_parser = time(limits::DELAY.within))]
    delay: Duration,

    /// Give up a connection after this time
    ///
    /// With name, proxy and TLS handshake, of which the name may take as long again.
    #[arg(long, value_name = "DUR", default_value = spelled_time(limits::CONNECT_TIMEOUT.default), value_parser = time(limits::CONNECT_TIMEOUT.within))]
    connect_timeout: Duration,

    /// Give up a request after this time
    ///
    /// For all of it: connection, answer, body and followed redirects.
    #[arg(long, value_name = "DUR", default_value = spelled_time(limits::TIMEOUT.default), value_parser = time(limits::TIMEOUT.within))]
    timeout: Duration,

    /// Largest body, decoded
    #[arg(long, long_help = format!(
        "Largest body, decoded\n\nA body with more bytes than this, decoded, is the error `too_large`. Takes \
         K, M and G, powers of 1024; at most {}.", spelled_size(*limits::BODY_BYTES.within.end())),
         value_name = "BYTES", default_value = spelled_size(limits::BODY_BYTES.default), value_parser = size(limits::BODY_BYTES.within))]
    max_size: usize,

    /// Memory for answers under way
    ///
    /// For bodies as they come and decoded, what is made of them, and their results. Large pages
    /// wait for one another; one that needs more than this alone goes through, one at a time.
    /// Takes K, M and G, powers of 1024.
    #[arg(long, value_name = "SIZE", default_value = spelled_size(limits::BODY_MEMORY.default), value_parser = size(limits::BODY_MEMORY.within))]
    body_memory: usize,

    /// Longest chain of redirects to follow
    ///
    /// A longer one is the error `redirect`. 0 follows none and reports the target as
    /// `location`.
    #[arg(long, value_name = "N", default_value_t = limits::REDIRECTS.default, value_parser = count(limits::REDIRECTS.within))]
    max_redirects: u32,

    /// The User-Agent header
    ///
    /// robots.txt is read for its first word, up to a `/`.
    #[arg(short = 'A', long, value_name = "UA", default_value = concat!("crawl-fetch/", env!("CARGO_PKG_VERSION")))]
    user_agent: String,

    /// Add a header to every request
    ///
    /// A request's own header of that name goes over it. May be given several times.
    #[arg(short = 'H', long = "header", value_name = "K: V", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,

    /// Obey robots.txt
    ///
    /// Asks each host for its robots.txt first, and gives the error `robots` for
    /// what it disallows, or when it could not be had. Crawl-delay is left to
    /// --delay. Not for use under crawl-run, where the frontier decides.
    #[arg(long)]
    robots: bool,

    /// Put bodies into results
    ///
    /// As `body`, decoded to UTF-8, for text, and as `body_base64` for anything else. One that
    /// would not fit a line of 64 MiB is the error `too_large`.
    #[arg(long)]
    body: bool,

    /// Read pages of this status for links and items as well
    ///
    /// Otherwise only those of success are, 200 to 299. May be given several times; `all` reads
    /// pages of every status.
    #[arg(long, value_name = "STATUS", value_parser = status)]
    allow_status: Vec<u16>,

    /// Leave links out of results
    ///
    /// Pages are still read for their title.
    #[arg(long)]
    no_links: bool,

    /// Take items from pages, as this spider file says
    ///
    /// A JSON file whose `sections` (or `rules` with `callbacks`) say which fields
    /// are taken from which pages; `-` is stdin, with --check alone. A result whose
    /// URL a section matches has the fields in `item`, `null` for one without a value.
    #[arg(long, value_name = "FILE")]
    extract: Option<PathBuf>,

    /// Say what --extract would take, and end
    ///
    /// Reads the file of --extract, prints what it would take from which pages as
    /// one JSON object, and ends: 2 when the file has something wrong, which is
    /// then named by its JSON path.
    #[arg(long, requires = "extract")]
    check: bool,

    /// Proxy for requests that name none
    ///
    /// An http, https or socks5 URL, for requests that name no proxy; over
    /// HTTP_PROXY, HTTPS_PROXY and ALL_PROXY. NO_PROXY holds for it as well. An http
    /// proxy is always asked to CONNECT. Other users can see the command line, so
    /// credentials are better given by the environment.
    #[arg(long, value_name = "URL")]
    proxy: Option<String>,

    /// Send the cookies of this file, and keep it up to date
    ///
    /// A file in Netscape's format (cookies.txt), as curl and wget write it. Its cookies go
    /// with requests that bring no `cookie` of their own. What servers set is written back
    /// at the end, atomically, with mode 0600; lines of other sites and comments stay.
    #[arg(long, value_name = "FILE")]
    cookies: Option<PathBuf>,

    #[command(flatten)]
    render: RenderArgs,

    #[command(flatten)]
    warc: WarcArgs,

    /// Trust these certificates alone
    ///
    /// A PEM file with the certificates to trust, instead of the system's or those
    /// of SSL_CERT_FILE.
    #[arg(long, value_name = "FILE")]
    ca_cert: Option<PathBuf>,

    /// Check no certificates
    ///
    /// Takes any certificate. For tests alone: anyone on the way can then read and
    /// change everything.
    #[arg(long)]
    insecure: bool,

    /// Let names and redirects lead to private addresses
    ///
    /// Without this, a name that resolves to an address that is not on the public internet
    /// (loopback, private, link-local, and all else that IANA calls special), or a redirect to
    /// one, is the error `refused`. A request that names such an address itself is always sent.
    /// When a proxy resolves a name, only the proxy can tell where it leads.
    #[arg(long)]
    allow_private: bool,

    /// Pass pages through a parser of your own
    ///
    /// A program and its arguments as a JSON array, such as '["python3", "parse.py"]'.
    /// It reads result lines with `body` on stdin, for each page of text that came with
    /// success, and prints a line with the same `id` for each, in any order. Of that line
    /// `links`, `item`, `meta` and `state` are taken over. It is started again when it ends,
    /// with the newest `state` in $CRAWL_STATE (at most 100 KiB), and its pages are sent
    /// again. A page that brings it down twice gets the error `parse`. One that does not
    /// work at all ends this tool with exit code 2.
    #[arg(long, value_name = "ARGV", value_parser = command)]
    parse: Option<Command>,

    /// Copies of the parser at once
    ///
    /// Copies of the parser that run at once. They share the pages; the newest `state` of
    /// any of them is the state.
    #[arg(long, value_name = "N", default_value_t = limits::PARSE_JOBS.default, value_parser = count(limits::PARSE_JOBS.within), requires = "parse")]
    parse_jobs: u32,

    /// Kill a parser that is stuck for this time
    ///
    /// The longest time that the oldest page of a parser may wait for its answer.
    #[arg(long, value_name = "DUR", default_value = spelled_time(limits::PARSE_TIMEOUT.default), value_parser = time(limits::PARSE_TIMEOUT.within), requires = "parse")]
    parse_timeout: Duration,

    /// Run the parser in this directory
    ///
    /// Where the parser runs; a program with a `/` in its name is looked for there, one
    /// without on PATH. Default: here.
    #[arg(long, value_name = "DIR", requires = "parse")]
    parse_dir: Option<PathBuf>,

    /// Print nothing but errors on stderr
    #[arg(short, long)]
    quiet: bool,

    /// Say at the end what became of all requests
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
}

impl Cli {
    /// Does what the command line asks for.
    ///
    /// # Errors
    /// When a file cannot be read, a proxy's URL is none, or stdin or stdout fail.
    pub fn run(self) -> Result<Exit, Failure> {
        match self.extract.as_ref().filter(|_| self.check) {
            Some(path) => check(path),
            None => {
                if !self.quiet && io::stdin().is_terminal() {
                    say(
                        TOOL,
                        "reads URLs from the terminal, one a line; Ctrl+D ends",
                    );
                }
                run(self.options()?)
            }
        }
    }

    /// What the command line asks for.
    ///
    /// # Errors
    /// When a file cannot be read or a proxy's URL is none.
    fn options(self) -> Result<Options, Failure> {
        if self.insecure && !self.quiet {
            warn_insecure();
        }
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        if HeaderValue::from_str(&self.user_agent).is_err() {
            let why = "--user-agent holds control characters";
            return Err(Failure::with(Exit::Usage, why));
        }
        let cookies = match &self.cookies {
            None => Cookies::default(),
            Some(path) => {
                let (cookies, bad) = Cookies::read(path.clone()).map_err(|e| {
                    let message = format!("cannot read {}: {e}", path.display());
                    Failure::with(Exit::Usage, message)
                })?;
                if let Some(line) = bad.first().filter(|_| !self.quiet) {
                    let path = path.display();
                    say(
                        TOOL,
                        format_args!("{path}: line {line} is no cookie: left out"),
                    );
                }
                cookies
            }
        };
        let extractor = match &self.extract {
            None => None,
            Some(path) => Some(read_extractor(path, self.quiet)?),
        };
        let cookies = Arc::new(cookies);
        let robots = self
            .robots
            .then(|| Gate::new(product_token(&self.user_agent)));
        let proxies = Proxies::from_env(self.proxy.as_deref());
        let concurrency = self.concurrency as usize;
        let per_host = self.per_host as usize;
        let checks_certificates = self.ca_cert.is_some() && !self.insecure;
        let agents = Agents::new(AgentOptions {
            user_agent: self.user_agent.clone(),
            connect_timeout: self.connect_timeout,
            timeout: self.timeout,
            allow_private: self.allow_private,
            insecure: self.insecure,
            ca_cert: self.ca_cert,
            concurrency,
            per_host,
            keeps_heads: self.warc.is_wanted(),
        });
        if checks_certificates {
            agents.check_certificates().map_err(|e| {
                Failure::with(
                    Exit::Usage,
                    format_args!("cannot use --ca-cert: {}", e.message),
                )
            })?;
        }
        let given = [&proxies.http, &proxies.https];
        for proxy in given.into_iter().flatten() {
            agents.check(&Way::Through(proxy.clone())).map_err(|e| {
                let message = format!("the proxy cannot be used: {}", e.message);
                Failure::with(Exit::Usage, message)
            })?;
        }
        let rendering = self.render.options(&self.user_agent)?;
        let archive = self
            .warc
            .open(&self.user_agent, robots.is_some(), self.max_redirects)?;
        let archive = archive.map(Arc::new);
        let fetcher = Fetcher {
            options: FetchOptions {
                max_size: self.max_size,
                max_redirects: self.max_redirects,
                links: !self.no_links,
                body: self.body,
                allowed_codes: self.allow_status,
            },
            caller: Caller {
                agents,
                proxies,
                cookies: Arc::clone(&cookies),
                headers,
                timeout: self.timeout,
                allow_private: self.allow_private,
                archive: archive.clone(),
            },
            robots,
            parsers: None,
            rendering,
            extractor,
            scratches: Scratches::new(self.body_memory),
            memory: Memory::new(self.body_memory),
        };
        let parse = self.parse.map(|Command(command)| ParseOptions {
            command,
            dir: self.parse_dir,
            jobs: self.parse_jobs as usize,
            timeout: self.parse_timeout,
        });
        Ok(Options {
            fetcher,
            cookies,
            archive,
            parse,
            concurrency,
            per_host,
            delay: self.delay,
            quiet: self.quiet,
            verbose: self.verbose,
        })
    }
}

/// Answers `--check`.
fn check(path: &Path) -> Result<Exit, Failure> {
    need_stdout()?;
    let (answer, end) = match Extractor::load(path) {
        Ok(extractor) => (extractor.describe(), Ok(Exit::Complete)),
        Err((why, failure)) => {
            let wrong = Some(why);
            let answer = Extraction {
                wrong,
                ..Extraction::default()
            };
            (answer, Err(failure))
        }
    };
    let line = serde_json::to_string(&answer).map_err(Failure::new);
    let written = line.and_then(|line| {
        let mut out = io::stdout().lock();
        writeln!(out, "{line}").map_err(Failure::from_stdout)
    });
    written.and(end)
}

/// Reads the file of `--extract`; what has no effect is told.
fn read_extractor(path: &Path, quiet: bool) -> Result<Extractor, Failure> {
    let extractor = Extractor::load(path).map_err(|(_, failure)| failure)?;
    let Extraction { pages, ignored, .. } = extractor.describe();
    let path = path.display();
    if !quiet && !ignored.is_empty() {
        let keys = ignored.join(", ");
        say(
            TOOL,
            format_args!("{path}: not supported and ignored: {keys}"),
        );
    }
    if !quiet && pages.is_empty() && extractor.regions().is_none() {
        say(TOOL, format_args!("{path}: nothing says what to extract"));
    }
    Ok(extractor)
}

/// A program and its arguments.
#[derive(Debug, Clone)]
struct Command(Vec<String>);

fn command(text: &str) -> Result<Command, String> {
    let words: Vec<String> = serde_json::from_str(text)
        .map_err(|e| format!("give a JSON array such as [\"python3\", \"parse.py\"]: {e}"))?;
    match words.first() {
        Some(program) if !program.is_empty() => Ok(Command(words)),
        _ => Err("the array names no program".into()),
    }
}

/// A status, or 0 for all.
fn status(text: &str) -> Result<u16, String> {
    let status = match text {
        "all" => Some(0),
        text => text
            .parse()
            .ok()
            .filter(|status| limits::STATUS.contains(status)),
    };
    status.ok_or_else(|| {
        let (least, most) = limits::STATUS.into_inner();
        format!("expected a status from {least} to {most}, or all")
    })
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("give 'Name: value'")?;
    let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|e| e.to_string())?;
    let value = HeaderValue::from_bytes(value.trim().as_bytes()).map_err(|e| e.to_string())?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
