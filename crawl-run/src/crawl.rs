//! One crawl from the command line to the exit code.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use crawl_ckpt::address::masked;
use crawl_ckpt::control::Begin;
use crawl_ckpt::durable::RealDisk;
use crawl_ckpt::human::{count, counted, span};
use crawl_ckpt::job;
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::plan::Plan;
use crawl_ckpt::tool::{Exit, Failure};
use jiff::{Timestamp, Zoned};

use crate::again::Again;
use crate::checkpoint::{self, Decision, Resume};
use crate::cli::CrawlArgs;
use crate::conduct::{Conductor, Ending};
use crate::outcome::{Outcome, Purpose, judge};
use crate::place::{Output, Place};
use crate::plan::{fetch_args, millis, plan};
use crate::progress::View;
use crate::proxies::Proxies;
use crate::signals;
use crate::spider::Spider;
use crate::stage::{Cast, Event};
use crate::summary::{self, Summary};
use crate::tools::Tools;

/// A crawl that is ready to begin.
struct Crawl<'a> {
    args: &'a CrawlArgs,
    place: Place,
    plan: Plan,
    proxies: Proxies,
    again: Again,
    tools: Tools,
    fetch_args: Vec<OsString>,
    hidden: Vec<OsString>,
    view: View,
}

/// Runs one crawl.
///
/// # Errors
/// Everything that ends a run without a crawl, or a crawl without success.
pub fn run(args: &CrawlArgs, words: impl IntoIterator<Item = OsString>) -> Result<Exit, Failure> {
    let (sender, events) = mpsc::channel();
    let signals = sender.clone();
    signals::watch(move |signal| {
        // Whoever listened has ended; so has this process, nearly.
        let _ = signals.send(Event::Signal(signal));
    })
    .map_err(|e| Failure::new(format_args!("cannot watch for signals: {e}")))?;

    let spider = Spider::load(&args.spider, Timestamp::now())?;
    let proxies = Proxies::from_env(std::env::vars_os())?;
    let proxy_type = proxy_type(args, &spider);
    let proxy = proxies.resolve(&proxy_type)?;
    let plan = plan(&spider, args, &proxies, &proxy);
    let mut crawl = Crawl {
        place: Place::new(&args.place, &spider.name)?,
        tools: Tools::find()?,
        fetch_args: fetch_args(&spider, args, &plan),
        hidden: proxies.hidden(&proxy),
        again: Again::new(words),
        view: View::new(args.voice, Instant::now()),
        args,
        plan,
        proxies,
    };
    crawl.warn_of(&spider);
    match args.bounds.limit {
        Some(limit) => crawl.test(limit, (&sender, &events)),
        None => crawl.production((&sender, &events)),
    }
}

/// `--proxy-type`, else the spider's `PROXY_TYPE`, else `auto`.
fn proxy_type(args: &CrawlArgs, spider: &Spider) -> String {
    let chosen = args.pace.proxy_type.as_ref();
    chosen
        .or(spider.settings.proxy_type.as_ref())
        .map_or_else(|| "auto".to_owned(), |name| name.to_ascii_lowercase())
}

type Events<'a> = (&'a mpsc::Sender<Event>, &'a mpsc::Receiver<Event>);

impl Crawl<'_> {
    fn warn_of(&self, spider: &Spider) {
        if !spider.ignored.is_empty() {
            self.view.warn(format_args!(
                "not supported and ignored: {}",
                spider.ignored.join(", ")
            ));
        }
        if self.args.fetch.insecure {
            self.view.warn("--insecure: certificates are not verified");
        }
    }

    /// A test crawl: everything in memory, nothing of production's is read or written.
    fn test(&mut self, limit: u64, events: Events<'_>) -> Result<Exit, Failure> {
        let output = match &self.args.place.output {
            Some(path) => self.place.new_output(Some(path), Zoned::now().date())?,
            None => Output::Stdout,
        };
        self.view.say(format_args!(
            "test crawl of {}: at most {}, no checkpoint",
            self.subject(),
            counted(limit, "record")
        ));
        let mut begin = self.begin();
        begin.max_records = Some(begin.max_records.map_or(limit, |n| n.min(limit)));
        let cast = self.cast(None, &output)?;
        let ending = self.conduct(&cast, begin, events)?;
        let outcome = judge(&ending, Purpose::Test { limit });
        self.report(&outcome, &ending, &output);
        self.finish(outcome)
    }

    /// A production crawl: new, or resumed from its checkpoint.
    fn production(&mut self, events: Events<'_>) -> Result<Exit, Failure> {
        let lock = JobLock::acquire(&self.place.job)?;
        let chosen = self.args.place.output.as_deref();
        let (begin, output) = match self.settle(&lock)? {
            Decision::WasComplete(progress) => {
                self.view.say(format_args!(
                    "the last run was complete ({}), only its checkpoint was left: removed",
                    counted(progress.records, "record")
                ));
                return Ok(Exit::Complete);
            }
            Decision::New => {
                let output = self.place.new_output(chosen, Zoned::now().date())?;
                self.view
                    .say(format_args!("new crawl of {}", self.subject()));
                (self.begin(), output)
            }
            Decision::Resume(resume) => {
                let output = self.resumed_output(chosen, &resume)?;
                self.view.say(self.resume_line(&resume));
                let begin = Begin {
                    adopt_plan: resume.adopt_plan,
                    retry_blocked: resume.retry_blocked,
                    ..self.begin()
                };
                (begin, output)
            }
        };
        let cast = self.cast(Some(&lock), &output)?;
        let ending = self.conduct(&cast, begin, events)?;
        let mut outcome = judge(&ending, Purpose::Production);
        if outcome == Outcome::Complete
            && let Err(error) = job::remove(&RealDisk, &self.place.job, &lock)
        {
            outcome = Outcome::Failed {
                exit: Exit::Failed,
                why: format!("the crawl is complete, but its checkpoint stays: {error}"),
            };
        }
        self.report(&outcome, &ending, &output);
        if outcome == Outcome::Parked {
            let (proxies, in_use) = (&self.proxies, &self.plan.proxy_type);
            for line in summary::parked(&ending.progress, proxies, in_use, &self.again) {
                // A decision is asked for: not even -q hides it.
                self.view.error(line);
            }
        }
        self.finish(outcome)
    }

    /// Decides about a checkpoint that is there. What would make the run fail at once is
    /// looked at before anything is cleared.
    fn settle(&self, lock: &JobLock) -> Result<Decision, Failure> {
        checkpoint::settle(
            &self.place,
            lock,
            &self.plan,
            &self.args.checkpoint,
            &self.again,
            &self.view,
        )
    }

    fn resumed_output(&self, chosen: Option<&Path>, resume: &Resume) -> Result<Output, Failure> {
        match &resume.manifest.output {
            Some(began) => self.place.resumed_output(chosen, began).map_err(|failure| {
                failure.hint(format_args!(
                    "to begin anew: {}",
                    self.again.with_flag("--fresh")
                ))
            }),
            // A job that was filled by hand has no output yet.
            None => self.place.new_output(chosen, Zoned::now().date()),
        }
    }

    fn resume_line(&self, resume: &Resume) -> String {
        let counts = &resume.counts;
        let mut line = format!(
            "resuming {}: {} done, {} pending",
            self.place.title(),
            count(counts.done + counts.failed),
            count(counts.pending + counts.in_flight)
        );
        if counts.parked > 0 {
            line.push_str(&format!(", {} parked", count(counts.parked)));
        }
        if let Some(age) = resume.age {
            line.push_str(&format!(", checkpoint {} old", span(age)));
        }
        line
    }

    /// What is crawled, in a few words.
    fn subject(&self) -> String {
        let urls = &self.plan.start_urls;
        match &urls[..] {
            [url] => format!("{} from {}", self.place.title(), masked(url)),
            urls => format!(
                "{} from {}",
                self.place.title(),
                counted(urls.len() as u64, "start URL")
            ),
        }
    }

    fn begin(&self) -> Begin {
        let bounds = &self.args.bounds;
        Begin {
            plan: self.plan.clone(),
            max_records: bounds.max_pages,
            max_time_ms: bounds.max_time.map(millis),
            grace_ms: millis(bounds.grace),
            retry_blocked: false,
            adopt_plan: false,
        }
    }

    fn cast(&self, lock: Option<&JobLock>, output: &Output) -> Result<Cast, Failure> {
        let copy = |fd: std::os::fd::BorrowedFd<'_>| {
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
        Ok(Cast {
            tools: self.tools.clone(),
            frontier_args,
            fetch_args: self.fetch_args.clone(),
            hidden: self.hidden.clone(),
            lock: lock.map(|lock| copy(lock.fd())).transpose()?,
            stream: match output {
                Output::Stdout => Some(copy(io::stdout().as_fd())?),
                Output::File(_) => None,
            },
            relays: self.view.draws(),
        })
    }

    fn conduct(
        &mut self,
        cast: &Cast,
        begin: Begin,
        events: Events<'_>,
    ) -> Result<Ending, Failure> {
        let ending = Conductor {
            cast,
            begin,
            restarts: cast.lock.is_some(),
            events,
            view: &mut self.view,
        }
        .run();
        self.view.end();
        ending
    }

    fn report(&self, outcome: &Outcome, ending: &Ending, output: &Output) {
        // The reader of stdout went away: a quiet end.
        if outcome.exit() == Exit::PipeClosed {
            return;
        }
        let lines = Summary {
            outcome,
            progress: &ending.progress,
            records_run: ending.records_run,
            elapsed: ending.elapsed,
            output,
            has_checkpoint: self.args.bounds.limit.is_none(),
            again: &self.again,
            verbose: self.args.voice.verbose,
        }
        .lines();
        for line in lines {
            self.view.say(line);
        }
    }

    fn finish(&self, outcome: Outcome) -> Result<Exit, Failure> {
        match outcome {
            Outcome::Failed { exit, why } => {
                let failure = Failure::with(exit, why);
                // The same command goes on where a checkpoint is, once the cause is mended.
                let resumes = exit == Exit::Failed && self.args.bounds.limit.is_none();
                Err(match resumes {
                    true => failure.hint(format_args!("to go on: {}", self.again)),
                    false => failure,
                })
            }
            outcome => Ok(outcome.exit()),
        }
    }
}
