//! From a spider file, options and the environment to a crawl that is ready to begin.

use std::path::Path;

use crawl_ckpt::human::counted;
use crawl_ckpt::netscape;
use crawl_ckpt::plan::Plan;
use crawl_ckpt::tool::{Exit, Failure};
use jiff::Timestamp;
use url::Url;

use super::Crawl;
use crate::browser;
use crate::cli::CrawlArgs;
use crate::command_line::CommandLine;
use crate::extraction::{Extraction, in_memory};
use crate::place::Place;
use crate::plan::{answer_within, directory, fetch_args, plan, secrets};
use crate::proxies::Proxies;
use crate::spider::Spider;
use crate::tools::Tools;
use crate::view::View;

impl<'a> Crawl<'a> {
    /// Reads the spider and plans its crawl. Touches nothing in the data directory. `command_line` is the
    /// command that resumes it.
    ///
    /// # Errors
    /// [`Exit::Usage`] for what the spider file, the options or the environment have wrong; a
    /// tool that is not installed.
    pub fn prepare(
        words: &[String],
        args: &'a CrawlArgs,
        command_line: CommandLine,
        view: &View,
    ) -> Result<Crawl<'a>, Failure> {
        let spider = Spider::load(words)?;
        let proxies = Proxies::from_env(std::env::vars_os())?;
        let proxies = proxies.or_prices(spider.settings.prices.as_ref());
        if args.limits.is_capped() && proxies.prices().is_empty() {
            let message = "cannot use --max-cost: no proxy has a price";
            return Err(Failure::with(Exit::Usage, message).hint(
                "export RESIDENTIAL_PROXY_PRICE=8.50/GB, or PROXY_PRICES in the spider file",
            ));
        }
        let proxy = proxies.resolve(&proxy_type(args, &spider))?;
        let plan = plan(&spider, args, &proxies, &proxy, Timestamp::now());
        let tools = Tools::find()?;
        let extraction = match &spider.extract {
            Some(text) => Some(Extraction::ask(&tools.fetch, &words.join(" "), text)?),
            None => None,
        };
        if args.fetch.render || !spider.render.is_none() {
            browser::check(&tools.fetch, args.fetch.no_sandbox)?;
        }
        let ignored = extraction.as_ref().map_or(&[][..], |e| &e.ignored);
        let ignored = [&spider.ignored[..], ignored].concat();
        if !ignored.is_empty() {
            let keys = ignored.join(", ");
            view.warn(format_args!("not supported and ignored: {keys}"));
        }
        for note in &spider.notes {
            view.warn(note);
        }
        warn_of_format(args.output.output.as_deref(), view);
        if args.reach.no_parent {
            warn_of_directories(&spider.start_urls, view);
        }
        if args.fetch.insecure {
            view.warn("--insecure: certificates are not verified");
        }
        let mut hidden = proxies.hidden(&proxy);
        // A parser's state comes from the checkpoint or is not there.
        hidden.push("CRAWL_STATE".into());
        if let Some(path) = &args.fetch.ca_cert {
            check_certificates(path)?;
        }
        let cookies = args.fetch.cookies.as_deref();
        let cookies = cookies.map(|path| read_cookies(path, view)).transpose()?;
        let place = Place::new(&args.place, &spider.name)?;
        let place = match &args.checkpoint.retry_failed {
            Some(_) => {
                refuse_retry(&plan, args, &command_line)?;
                place.for_retry()?
            }
            None => place,
        };
        Ok(Crawl {
            cookies,
            place,
            secrets: secrets(&spider, args),
            tools,
            fetch_args: fetch_args(&spider, args, &plan),
            answer_within: answer_within(&spider, args),
            hidden,
            max_time: spider.settings.max_time,
            // A test crawl ends where it is told.
            max_pages: spider
                .settings
                .max_pages
                .filter(|_| args.limits.limit.is_none())
                .map(u64::from),
            render: match (args.fetch.render, spider.render.lines()) {
                (true, lines) if lines.is_empty() => vec!["every page: in a browser".to_owned()],
                (_, lines) => lines,
            },
            render_by: match &spider.render_by {
                Some(text) => Some(in_memory(text).map_err(Failure::new)?),
                None => None,
            },
            parser: spider.parser,
            keeper: None,
            leavings: None,
            extraction: extraction.filter(|e| !e.pages.is_empty() || plan.scope.has_regions()),
            args,
            plan,
            proxies,
            command_line,
        })
    }
}

/// What cannot be asked again for by a file of records alone.
fn refuse_retry(plan: &Plan, args: &CrawlArgs, command_line: &CommandLine) -> Result<(), Failure> {
    let refused = |why| Failure::with(Exit::Usage, format_args!("cannot --retry-failed: {why}"));
    if plan.delta {
        let why = "an incremental crawl asks for what failed the next time by itself, and its output does not name all pages";
        let next = command_line.without_flag("--retry-failed");
        return Err(refused(why).hint(next));
    }
    if plan.warc.is_some() {
        let why = "the WARC files of the pages that stay would be those of another output";
        // What the spider file says no option takes back.
        let hint = if args.fetch.warc {
            command_line.without_flag("--warc").to_string()
        } else {
            "jq 'del(.warc)' SPIDER.json >RETRY.json, and with RETRY.json the same command"
                .to_owned()
        };
        return Err(refused(why).hint(hint));
    }
    Ok(())
}

/// Looks whether a file of certificates is one, before anything is written or asked for.
///
/// # Errors
/// [`Exit::Usage`], naming the file.
pub fn check_certificates(path: &Path) -> Result<(), Failure> {
    let usage = |why: &dyn std::fmt::Display| {
        let path = path.display();
        Failure::with(
            Exit::Usage,
            format_args!("cannot use --ca-cert {path}: {why}"),
        )
    };
    let text = std::fs::read(path).map_err(|e| usage(&e))?;
    let begin = b"-----BEGIN ";
    if text.windows(begin.len()).any(|part| part == begin) {
        Ok(())
    } else {
        Err(usage(&"no certificate (PEM) in it"))
    }
}

/// The text of a `cookies.txt`; what it has wrong is told.
fn read_cookies(path: &Path, view: &View) -> Result<String, Failure> {
    let name = path.display();
    let text = netscape::read(path).map_err(|e| {
        let message = format_args!("cannot read {name}: {e}");
        Failure::with(Exit::Usage, message)
    })?;
    if let Some(line) = netscape::parse(&text).1.first() {
        view.warn(format_args!("{name}: line {line} is no cookie: left out"));
    }
    Ok(text)
}

/// `--proxy-type`, else the spider's `PROXY_TYPE`, else `auto`.
fn proxy_type(args: &CrawlArgs, spider: &Spider) -> String {
    let chosen = args.pace.proxy_type.as_ref();
    chosen
        .or(spider.settings.proxy_type.as_ref())
        .map_or_else(|| "auto".to_owned(), |name| name.to_ascii_lowercase())
}

/// So many start URLs are warned of one by one.
const WARNED: usize = 3;

fn warn_of_directories(start_urls: &[Url], view: &View) {
    let mut notes = start_urls.iter().filter_map(above);
    notes.by_ref().take(WARNED).for_each(|note| view.warn(note));
    let more = notes.count();
    if more > 0 {
        let more = counted(more as u64, "more start URL");
        view.warn(format_args!("--no-parent: so it is with {more}"));
    }
}

/// What to say of a start URL whose directory its author may not have meant.
fn above(url: &Url) -> Option<String> {
    let name = url.path_segments()?.next_back()?;
    let looks_like_directory = !name.is_empty() && !name.contains('.');
    let dir = directory(url);
    looks_like_directory
        .then(|| format!("--no-parent stays below {dir}; {dir}{name}/ would be narrower"))
}

/// Says what comes into a file whose name promises something else.
fn warn_of_format(output: Option<&Path>, view: &View) {
    let end = output.and_then(Path::extension);
    let end = end.map(|end| end.to_string_lossy().to_ascii_lowercase());
    if let Some("csv" | "tsv" | "xml" | "html" | "xlsx" | "sqlite" | "parquet") = end.as_deref() {
        view.warn(
            "the records are JSON lines whatever the file is called; a table of them: \
             jq -r '[.url, .status, .title] | @csv' FILE",
        );
    }
}
