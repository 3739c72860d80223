//! One crawl, from its options to how it ended.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use crawl_ckpt::address::masked_url;
use crawl_ckpt::control::{Begin, EndReason, Progress, Secrets};
use crawl_ckpt::cookies::merged;
use crawl_ckpt::delta;
use crawl_ckpt::durable::RealDisk;
use crawl_ckpt::human::counted;
use crawl_ckpt::job;
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::netscape;
use crawl_ckpt::plan::Plan;
use crawl_ckpt::tool::{Exit, Failure, printable};
use jiff::{Timestamp, Zoned};
use url::Url;

use crate::acquire::acquire;
use crate::check;
use crate::checkpoint::{self, Complete, Decision, Resume};
use crate::cli::CrawlArgs;
use crate::command_line::CommandLine;
use crate::conduct::{Conductor, Ending};
use crate::ended::Ended;
use crate::extraction::Extraction;
use crate::metrics::Metrics;
use crate::outcome::{Outcome, Purpose, judge};
use crate::place::{Output, Place};
use crate::plan::{answer_within, directory, fetch_args, millis, plan, secrets, spool_args};
use crate::proxies::Proxies;
use crate::spider::{Parser, Spider};
use crate::stage::{Cast, Event};
use crate::summary::{self, Summary};
use crate::tools::{self, Tools, ask};
use crate::view::View;

/// Both ends of the channel on which a crawl hears of signals and of its children.
pub type Events<'a> = (&'a Sender<Event>, &'a Receiver<Event>);

/// What is to be done when a crawl is complete and its checkpoint not removed yet: whoever
/// keeps a list of crawls notes it then, so that a crash loses neither.
pub type Completed<'a> = &'a mut dyn FnMut(&Progress) -> Result<(), Failure>;

/// A crawl that is ready to begin.
#[derive(Debug)]
pub struct Crawl<'a> {
    args: &'a CrawlArgs,
    place: Place,
    plan: Plan,
    secrets: Secrets,
    proxies: Proxies,
    command_line: CommandLine,
    tools: Tools,
    fetch_args: Vec<OsString>,
    extraction: Option<Extraction>,
    hidden: Vec<OsString>,
    parser: Option<Parser>,
    answer_within: Duration,
    /// The text of `--cookies`.
    cookies: Option<String>,
    /// When a run stops by the spider's word, if no option says it.
    max_time: Option<Duration>,
    /// The same in records.
    max_pages: Option<u64>,
}

impl<'a> Crawl<'a> {
    /// Reads the spider and plans its crawl. Touches nothing in the data directory. `again` is the
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
        let proxy = proxies.resolve(&proxy_type(args, &spider))?;
        let plan = plan(&spider, args, &proxies, &proxy, Timestamp::now());
        let tools = Tools::find()?;
        let extraction = match &spider.extract {
            Some(text) => Some(Extraction::ask(&tools.fetch, &words.join(" "), text)?),
            None => None,
        };
        let ignored = extraction.as_ref().map_or(&[][..], |e| &e.ignored);
        let ignored = [&spider.ignored[..], ignored].concat();
        if !ignored.is_empty() {
            let keys = ignored.join(", ");
            view.warn(format_args!("not supported and ignored: {keys}"));
        }
        for note in &spider.notes {
            view.warn(note);
        }
        if args.reach.no_parent {
            spider
                .start_urls
                .iter()
                .filter_map(above)
                .for_each(|note| view.warn(note));
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
        Ok(Crawl {
            cookies,
            place: Place::new(&args.place, &spider.name)?,
            secrets: secrets(&spider, args),
            tools,
            fetch_args: fetch_args(&spider, args, &plan),
            answer_within: answer_within(&spider),
            hidden,
            max_time: spider.settings.max_time,
            // A test crawl ends where it is told.
            max_pages: spider
                .settings
                .max_pages
                .filter(|_| args.limits.limit.is_none())
                .map(u64::from),
            parser: spider.parser,
            extraction: extraction.filter(|e| !e.pages.is_empty() || plan.scope.has_regions()),
            args,
            plan,
            proxies,
            command_line,
        })
    }

    /// Where it lies.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What it would do, in lines for people.
    ///
    /// # Errors
    /// [`Exit::Usage`] for an `-o` file that is there already.
    pub fn check(&self) -> Result<String, Failure> {
        // A resumed crawl goes on in the file that it began.
        let begins = !self.place.job.dir.exists();
        let output = begins.then(|| self.new_output(None)).transpose()?;
        let parser = self.parser.as_ref().map(Parser::to_string);
        let pages = self.extraction.as_ref().map_or(&[][..], |e| &e.pages);
        let output = output.as_ref();
        let lines = check::lines(&self.plan, pages, parser.as_deref(), &self.place, output);
        let printable = lines.iter().map(|line| printable(line) + "\n");
        Ok(printable.collect())
    }

    /// Has crawl-frontier, which decides, say what it makes of a URL.
    ///
    /// # Errors
    /// A frontier that cannot be started.
    pub fn explain(&self, url: &str) -> Result<Exit, Failure> {
        let mut args: Vec<OsString> = vec!["explain".into(), "--plan".into()];
        if self.place.job.dir.exists() {
            let data_dir = &self.place.data_dir;
            args.extend(["--job".into(), self.place.job.dir.clone().into()]);
            args.extend(["--data-dir".into(), data_dir.clone().into()]);
        }
        args.extend(["--".into(), url.into()]);
        ask(&self.tools.frontier, &args, &self.plan)
    }

    /// A test crawl: everything in memory, nothing of production's is read or written.
    ///
    /// # Errors
    /// What ends it before it begins.
    pub fn test(&self, limit: u64, events: Events<'_>, view: &mut View) -> Result<Ended, Failure> {
        let output = match &self.args.output.output {
            Some(path) => self
                .place
                .new_output(Some(path), None, Zoned::now().date())?,
            None => Output::stdout()?,
        };
        view.say(format_args!(
            "test crawl of {}: at most {}, no checkpoint",
            self.subject(view),
            counted(limit, "record")
        ));
        let warc = self.new_warc(&output, None)?;
        let mut begin = self.begin();
        begin.max_records = Some(begin.max_records.map_or(limit, |n| n.min(limit)));
        let cast = self.cast(None, &output, warc.as_ref())?;
        let ending = conduct(&cast, begin, events, view)?;
        let outcome = judge(&ending, Purpose::Test { limit });
        Ok(self.ended(outcome, ending, (output, warc), view))
    }

    /// A production crawl: new, or resumed from its checkpoint, which is gone when the crawl is
    /// complete and kept in every other case. `metrics` hears of it from when its lock is held.
    ///
    /// # Errors
    /// What ends it before it begins: [`Exit::Held`] when another run has it, [`Exit::Usage`]
    /// when the spider changed, [`Exit::Damaged`].
    pub fn production(
        &self,
        completed: Completed<'_>,
        metrics: Option<&Arc<Metrics>>,
        events: Events<'_>,
        view: &mut View,
    ) -> Result<Ended, Failure> {
        let lock = acquire(&self.place.job)?;
        let Some(series) = metrics.map(|metrics| metrics.begin(&self.place)) else {
            return self.held(&lock, completed, events, view);
        };
        view.watch(series.clone());
        let result = self.held(&lock, completed, events, view);
        series.end(&result);
        result
    }

    fn held(
        &self,
        lock: &JobLock,
        completed: Completed<'_>,
        events: Events<'_>,
        view: &mut View,
    ) -> Result<Ended, Failure> {
        let (begin, output, warc) = match self.settle(lock, view)? {
            Decision::New => {
                let output = self.new_output(None)?;
                let warc = self.new_warc(&output, None)?;
                view.say(format_args!("new crawl of {}", self.subject(view)));
                (self.begin(), output, warc)
            }
            Decision::Clear(clear) => {
                // All that can be refused is refused before anything is gone.
                let output = self.new_output(clear.leaves())?;
                self.new_warc(&output, clear.leaves_warc())?;
                tools::try_options(&self.tools.fetch, &self.fetch_args, &self.hidden)?;
                if self.plan.delta && !clear.forgets() {
                    delta::verify_known(&RealDisk, &self.place.job)?;
                }
                clear.perform(&self.place, lock, view)?;
                let output = self.new_output(None)?;
                let warc = self.new_warc(&output, None)?;
                view.say(format_args!("new crawl of {}", self.subject(view)));
                (self.begin(), output, warc)
            }
            Decision::Resume(resume) => {
                let output = self.resumed_output(&resume)?;
                let warc = self.resumed_warc(&resume, &output)?;
                view.say(resume.line(&self.place.title()));
                let begin = Begin {
                    adopt_plan: resume.adopt_plan,
                    retry_blocked: resume.retry_blocked,
                    ..self.begin()
                };
                (begin, output, warc)
            }
            Decision::Complete(complete) => {
                completed(&complete.progress)?;
                // The run that completed it was killed before it came to that.
                if let Some(text) = &self.cookies {
                    let cookies = checkpoint::changed_cookies(&self.place, text)?;
                    self.write_cookies(&cookies, view);
                }
                job::remove(&RealDisk, &self.place.job, lock)?;
                return Ok(self.was_complete(*complete, view));
            }
        };
        let cast = self.cast(Some(lock), &output, warc.as_ref())?;
        let ending = conduct(&cast, begin, events, view)?;
        // Before the checkpoint goes, which has them too.
        self.write_cookies(&ending.cookies, view);
        let mut outcome = judge(&ending, Purpose::Production);
        if let Outcome::Failed { hint, .. } = &mut outcome
            && ending.reason == Some(EndReason::NothingUseful)
        {
            let accept = self.command_line.with_flag("--accept-empty");
            *hint = Some(format!(
                "{}   (asks again), or {accept}   (takes that for the result)",
                self.command_line
            ));
        }
        if outcome == Outcome::Complete {
            let removed = checkpoint::check_complete(&self.place)
                .and_then(|()| completed(&ending.progress))
                .and_then(|()| Ok(job::remove(&RealDisk, &self.place.job, lock)?));
            if let Err(failure) = removed {
                outcome = Outcome::Failed {
                    exit: failure.exit,
                    why: format!(
                        "the crawl is complete, but its checkpoint stays: {}",
                        failure.message
                    ),
                    hint: failure.hint,
                };
            }
        } else if outcome.exit() != Exit::Damaged {
            // Of a damaged job nothing is changed.
            checkpoint::note_command(&self.place.job, lock, &self.command_line);
        }
        Ok(self.ended(outcome, ending, (output, warc), view))
    }

    /// Brings `--cookies FILE` up to date.
    fn write_cookies(&self, changes: &BTreeMap<String, String>, view: &View) {
        let Some(path) = &self.args.fetch.cookies else {
            return;
        };
        if let Err(error) = netscape::update(path, |text| merged(text, changes)) {
            let path = path.display();
            view.error(format_args!("crawl-run: cannot write {path}: {error}"));
        }
    }

    fn settle(&self, lock: &JobLock, view: &View) -> Result<Decision, Failure> {
        let args = &self.args.checkpoint;
        let chosen = self.args.output.output.as_deref();
        checkpoint::settle(
            &self.place,
            lock,
            &self.plan,
            args,
            chosen,
            &self.command_line,
            view,
        )
    }

    /// The output of a crawl that begins, when the file that `leaves` is gone.
    fn new_output(&self, leaves: Option<&Path>) -> Result<Output, Failure> {
        let chosen = self.args.output.output.as_deref();
        self.place.new_output(chosen, leaves, Zoned::now().date())
    }

    fn resumed_output(&self, resume: &Resume) -> Result<Output, Failure> {
        // A job that was filled by hand has no output yet.
        let Some(began) = &resume.manifest.output else {
            return self.new_output(None);
        };
        let chosen = self.args.output.output.as_deref();
        let output = self
            .place
            .resumed_output(chosen, began)
            .map_err(|failure| {
                let fresh = self.command_line.with_flag("--fresh");
                failure.hint(format_args!("to begin anew: {fresh}"))
            })?;
        self.place
            .refuse_unmeant(began, chosen, &self.command_line)?;
        Ok(output)
    }

    /// Where the WARC files of a crawl that begins go, when the directory that `leaves` is gone.
    fn new_warc(&self, output: &Output, leaves: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
        let today = Zoned::now().date();
        let is_wanted = self.plan.warc.is_some();
        is_wanted
            .then(|| self.place.new_warc(output, leaves, today))
            .transpose()
    }

    /// Where those of a crawl go on that is resumed: whether there are any stays as it began.
    fn resumed_warc(&self, resume: &Resume, output: &Output) -> Result<Option<PathBuf>, Failure> {
        let manifest = &resume.manifest;
        if manifest.output.is_none() && manifest.plan.is_none() {
            return self.new_warc(output, None);
        }
        let chosen = self.args.output.output.as_deref();
        self.place.refuse_unmeant_warc(manifest, chosen)?;
        let warc = manifest.warc.as_ref();
        Ok(warc.and_then(|warc| warc.resolve(&self.place.data_dir)))
    }

    fn was_complete(&self, complete: Complete, view: &View) -> Ended {
        let Complete { manifest, progress } = complete;
        let mut figures = counted(progress.records, "record");
        if let Some(delta) = &progress.delta {
            figures.push_str(&format!("; {}", summary::compared(delta)));
        }
        view.say(format_args!(
            "the last run of {} was complete ({figures}); its checkpoint was left, and is removed now",
            self.place.title()
        ));
        let began = manifest.output.unwrap_or_default();
        let output = began.resolve(&self.place.data_dir);
        let warc = manifest.warc.as_ref();
        let warc = warc.and_then(|warc| warc.resolve(&self.place.data_dir));
        Ended {
            outcome: Outcome::Complete,
            progress,
            records_run: 0,
            elapsed: Duration::ZERO,
            output: output.map_or(Output::Stdout, Output::File),
            warc,
        }
    }

    /// What is crawled, in a few words.
    fn subject(&self, view: &View) -> String {
        let title = self.place.title();
        match &self.plan.start_urls[..] {
            // Among others its lines begin with the site.
            _ if view.is_among() => title,
            [url] => format!("{title} from {}", masked_url(url)),
            urls => format!("{title} from {}", counted(urls.len() as u64, "start URL")),
        }
    }

    fn begin(&self) -> Begin {
        let limits = &self.args.limits;
        let max_time = limits.max_time.or(self.max_time);
        Begin {
            plan: self.plan.clone(),
            max_records: limits.max_pages.or(self.max_pages),
            max_time_ms: max_time.map(millis),
            grace_ms: millis(self.args.reach.grace),
            retry_blocked: false,
            adopt_plan: false,
            cookies: self.cookies.clone(),
            list_left_out: self.args.verbosity.verbose,
            answer_within_ms: Some(millis(self.answer_within)),
            careful: false,
            accept_empty: self.args.reach.accept_empty,
            secrets: self.secrets.clone(),
        }
    }

    fn cast(
        &self,
        lock: Option<&JobLock>,
        output: &Output,
        warc: Option<&PathBuf>,
    ) -> Result<Cast, Failure> {
        let copy = |fd: BorrowedFd<'_>| {
            fd.try_clone_to_owned()
                .map_err(|e| Failure::new(format_args!("cannot copy a descriptor: {e}")))
        };
        let mut frontier_args: Vec<OsString> = vec!["serve".into()];
        let mut option = |name: &str, value: &Path| {
            frontier_args.extend([name.into(), value.into()]);
        };
        if lock.is_some() {
            option("--job", &self.place.job.dir);
            option("--data-dir", &self.place.data_dir);
        }
        if let Output::File(file) = output {
            option("--output", file);
        }
        let mut fetch_args = self.fetch_args.clone();
        if let Some(dir) = warc {
            option("--warc-dir", dir);
            let spool = match lock {
                Some(_) => self.place.job.spool_dir(),
                None => job::spool_beside(dir),
            };
            let warc = self.plan.warc.clone().unwrap_or_default();
            fetch_args.extend(spool_args(&warc, &spool));
        }
        Ok(Cast {
            tools: self.tools.clone(),
            frontier_args,
            fetch_args,
            extract: match &self.extraction {
                Some(extraction) => Some(copy(extraction.file.as_fd())?),
                None => None,
            },
            hidden: self.hidden.clone(),
            lock: lock.map(|lock| copy(lock.fd())).transpose()?,
            stream: match output {
                Output::Stdout => Some(copy(io::stdout().as_fd())?),
                Output::File(_) => None,
            },
        })
    }

    /// Says how it ended.
    fn ended(
        &self,
        outcome: Outcome,
        ending: Ending,
        (output, warc): (Output, Option<PathBuf>),
        view: &View,
    ) -> Ended {
        let ended = Ended {
            outcome,
            progress: ending.progress,
            records_run: ending.records_run,
            elapsed: ending.elapsed,
            output,
            warc,
        };
        // The reader of stdout went away: a quiet end.
        if ended.outcome.exit() == Exit::PipeClosed {
            return ended;
        }
        let summary = Summary {
            ended: &ended,
            has_checkpoint: self.args.limits.limit.is_none(),
            is_kept: self.place.job.dir.is_dir(),
            command_line: &self.command_line,
            verbose: self.args.verbosity.verbose,
        };
        match &ended.outcome {
            Outcome::Failed { why, .. } if view.is_among() => {
                view.error(format_args!("{}; {why}", summary.headline()));
            }
            _ if view.is_among() => view.say(summary.one_line()),
            _ => summary.lines().iter().for_each(|line| view.say(line)),
        }
        if ended.outcome == Outcome::Parked {
            let (proxies, in_use) = (&self.proxies, &self.plan.proxy_type);
            for line in summary::parked(&ended.progress, proxies, in_use, &self.command_line) {
                // A decision is asked for: not even -q hides it.
                view.error(line);
            }
        }
        ended
    }
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

/// What to say of a start URL whose directory its author may not have meant.
fn above(url: &Url) -> Option<String> {
    let name = url.path_segments()?.next_back()?;
    let looks_like_directory = !name.is_empty() && !name.contains('.');
    let dir = directory(url);
    looks_like_directory
        .then(|| format!("--no-parent stays below {dir}; {dir}{name}/ would be narrower"))
}

/// `--proxy-type`, else the spider's `PROXY_TYPE`, else `auto`.
fn proxy_type(args: &CrawlArgs, spider: &Spider) -> String {
    let chosen = args.pace.proxy_type.as_ref();
    chosen
        .or(spider.settings.proxy_type.as_ref())
        .map_or_else(|| "auto".to_owned(), |name| name.to_ascii_lowercase())
}

fn conduct(
    cast: &Cast,
    begin: Begin,
    events: Events<'_>,
    view: &mut View,
) -> Result<Ending, Failure> {
    let ending = Conductor {
        cast,
        begin,
        restarts: cast.lock.is_some(),
        events,
        view,
    }
    .run();
    view.end();
    ending
}
