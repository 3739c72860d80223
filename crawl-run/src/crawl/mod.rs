//! One crawl, from its options to how it ended.

mod again;
mod fleet;
mod prepare;
mod production;
mod summarize;
mod unshared;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use crawl_ckpt::address::masked_url;
use crawl_ckpt::control::{Begin, EndReason, Next, Progress, Secrets};
use crawl_ckpt::human::counted;
use crawl_ckpt::job::{self, unfinished};
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::plan::Plan;
use crawl_ckpt::tool::{Exit, Failure, printable};

pub use prepare::check_certificates;

use crate::check;
use crate::cli::CrawlArgs;
use crate::command_line::CommandLine;
use crate::conduct::{Conductor, Ending};
use crate::ended::Ended;
use crate::extraction::Extraction;
use crate::leavings::Leavings;
use crate::outcome::{Outcome, Purpose, judge};
use crate::place::{Output, Place};
use crate::plan::{millis, spool_args};
use crate::proxies::Proxies;
use crate::spider::Parser;
use crate::stage::{Event, Keeper, Launch};
use crate::summary::{self, Summary};
use crate::today::today;
use crate::tools::{Tools, ask};
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
    /// Lines for people on which pages are rendered.
    render: Vec<String>,
    /// The spider file's text in memory, if it says which.
    render_by: Option<OwnedFd>,
    hidden: Vec<OsString>,
    parser: Option<Parser>,
    answer_within: Duration,
    /// The text of `--cookies`.
    cookies: Option<String>,
    /// When a run stops by the spider's word, if no option says it.
    max_time: Option<Duration>,
    /// After how many records a run stops by the spider's word, if no option says it.
    max_pages: Option<u64>,
    /// Where the programs may wait for the next crawl.
    keeper: Option<Arc<Keeper>>,
    /// In a batch.
    leavings: Option<&'a Leavings>,
}

impl<'a> Crawl<'a> {
    /// Where the crawl lies.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What the crawl would do, in lines for people.
    ///
    /// # Errors
    /// [`Exit::Usage`] for an `-o` file, or a directory for its WARC files, that is there already.
    pub fn check(&self) -> Result<String, Failure> {
        // A resumed crawl goes on in the file that it began.
        let begins = !self.place.job.dir.exists();
        let output = begins.then(|| self.new_output(None)).transpose()?;
        let warc = output.as_ref().map(|output| self.new_warc(output, None));
        let warc = warc.transpose()?.flatten();
        let parser = self.parser.as_ref().map(Parser::to_string);
        let extract = self.extraction.as_ref().map_or(&[][..], |e| &e.pages);
        let pages = (extract, &self.render[..]);
        let files = (output.as_ref(), warc.as_deref());
        let lines = check::lines(&self.plan, pages, parser.as_deref(), &self.place, files);
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
            Some(path) => self.place.new_output(Some(path), None, today())?,
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
        let launch = self.launch(None, &output, warc.as_ref())?;
        let ending = conduct(&launch, begin, events, view)?;
        let outcome = judge(&ending, Purpose::Test { limit });
        let ended = self.ended(outcome, ending, (output, warc));
        self.tell(&ended, view);
        Ok(ended)
    }

    /// The output of a crawl that begins, when the file that `leaves` is gone.
    fn new_output(&self, leaves: Option<&Path>) -> Result<Output, Failure> {
        let chosen = self.args.output.output.as_deref();
        let output = self.place.new_output(chosen, leaves, today())?;
        match output {
            Output::File(file) if self.place.retries.is_some() => {
                Ok(Output::File(unfinished(&file)))
            }
            Output::Stdout if self.place.retries.is_some() => Err(Failure::with(
                Exit::Usage,
                "--retry-failed makes a file, which stdout is not",
            )),
            output => Ok(output),
        }
    }

    /// The file that `-o` names, under the name that it has until the crawl is complete.
    fn chosen(&self) -> Option<PathBuf> {
        let chosen = self.args.output.output.as_deref();
        chosen.map(|path| match self.place.retries {
            Some(_) => unfinished(path),
            None => path.to_owned(),
        })
    }

    /// Where the WARC files of a crawl that begins go, when the directory that `leaves` is gone.
    fn new_warc(&self, output: &Output, leaves: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
        let today = today();
        let is_wanted = self.plan.warc.is_some();
        is_wanted
            .then(|| self.place.new_warc(output, leaves, today))
            .transpose()
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
            retry_failed: None,
            adopt_plan: false,
            cookies: self.cookies.clone(),
            tell_of_urls: self.args.verbosity.verbose,
            answer_within_ms: Some(millis(self.answer_within)),
            careful: false,
            accept_empty: self.args.reach.accept_empty,
            prices: self.proxies.prices().clone(),
            max_cost: self.most_cost(0),
            hosts: BTreeMap::new(),
            secrets: self.secrets.clone(),
            shared: None,
        }
    }

    /// What the crawl may cost, all in all, when it had cost so much `before` this run.
    fn most_cost(&self, before: u64) -> Option<u64> {
        let limits = &self.args.limits;
        let share = limits.cost_share.map(|share| before.saturating_add(share));
        limits.max_cost.or(share)
    }

    /// Has the programs wait for another crawl when this one is complete.
    pub fn keep_programs(&mut self, keeper: &Arc<Keeper>) {
        self.keeper = Some(Arc::clone(keeper));
    }

    /// The files of its checkpoint may go later.
    pub fn leave_files(&mut self, leavings: &'a Leavings) {
        self.leavings = Some(leavings);
    }

    /// The programs are our own, and the fetcher keeps nothing of a crawl.
    fn is_plain(&self) -> bool {
        let renders = self.args.fetch.render || self.render_by.is_some();
        let has_more = self.extraction.is_some() || self.parser.is_some() || renders;
        self.tools.are_own && !has_more && !self.args.verbosity.verbose
    }

    fn launch(
        &self,
        lock: Option<&JobLock>,
        output: &Output,
        warc: Option<&PathBuf>,
    ) -> Result<Launch, Failure> {
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
        if let Some(bytes) = self.args.reach.memory {
            option("--memory", Path::new(&bytes.to_string()));
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
        Ok(Launch {
            tools: self.tools.clone(),
            frontier_args,
            fetch_args,
            spiders: self.spiders()?,
            hidden: self.hidden.clone(),
            lock: lock.map(|lock| copy(lock.fd())).transpose()?,
            stream: match output {
                Output::Stdout => Some(copy(io::stdout().as_fd())?),
                Output::File(_) => None,
            },
            keeper: self.keeper(output, warc),
        })
    }

    /// Where programs may wait that serve any crawl, if they can be told of this one in JSON.
    fn keeper(&self, output: &Output, warc: Option<&PathBuf>) -> Option<(Arc<Keeper>, Next)> {
        let keeper = self.keeper.as_ref().filter(|_| self.is_plain());
        let (Some(keeper), Output::File(output), None) = (keeper, output, warc) else {
            return None;
        };
        let next = Next {
            job: self.place.job.dir.clone(),
            data_dir: self.place.data_dir.clone(),
            output: output.clone(),
        };
        let paths = [&next.job, &next.data_dir, &next.output];
        let are_text = paths.iter().all(|path| path.to_str().is_some());
        are_text.then(|| (Arc::clone(keeper), next))
    }

    /// What crawl-fetch reads of the spider file, and by which option.
    fn spiders(&self) -> Result<Vec<(&'static str, OwnedFd)>, Failure> {
        let extract = self.extraction.as_ref().map(|extraction| &extraction.file);
        let files = [
            ("--extract", extract),
            ("--render-by", self.render_by.as_ref()),
        ];
        let files = files
            .into_iter()
            .filter_map(|(option, file)| Some((option, file?)));
        files
            .map(|(option, file)| Ok((option, copy(file.as_fd())?)))
            .collect()
    }

    /// What a run came to.
    fn ended(
        &self,
        outcome: Outcome,
        ending: Ending,
        (output, warc): (Output, Option<PathBuf>),
    ) -> Ended {
        let Ending {
            reason,
            progress,
            records_run,
            elapsed,
            ..
        } = ending;
        let run = (&outcome, records_run, elapsed);
        Ended {
            summary: self.summarize(Some(run), &progress, &output, warc.as_deref()),
            outcome,
            is_costly: reason == Some(EndReason::Cost),
            progress,
            records_run,
            elapsed,
            output,
            warc,
        }
    }

    /// Says how it ended.
    fn tell(&self, ended: &Ended, view: &View) {
        self.tell_of(ended, false, view);
    }

    /// The same; `is_shared`: of a crawl that many machines share.
    fn tell_of(&self, ended: &Ended, is_shared: bool, view: &View) {
        // The reader of stdout went away: a quiet end.
        if ended.outcome.exit() == Exit::PipeClosed {
            return;
        }
        let summary = Summary {
            ended,
            has_checkpoint: self.args.limits.limit.is_none(),
            is_kept: self.place.job.dir.is_dir(),
            is_shared,
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
            let (progress, command) = (&ended.progress, &self.command_line);
            for line in summary::parked(progress, proxies, in_use, command, is_shared) {
                // A decision is asked for: not even -q hides it.
                view.error(line);
            }
        }
    }
}

fn conduct(
    launch: &Launch,
    begin: Begin,
    events: Events<'_>,
    view: &mut View,
) -> Result<Ending, Failure> {
    if launch.stream.is_some() && io::stdout().is_terminal() {
        // The records that pass by show how it goes, and would be written over.
        view.end();
    }
    let ending = Conductor {
        launch,
        begin,
        restarts: launch.lock.is_some(),
        events,
        view,
    }
    .run();
    view.end();
    ending
}

fn copy(fd: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    fd.try_clone_to_owned()
        .map_err(|e| Failure::new(format_args!("cannot copy a descriptor: {e}")))
}
