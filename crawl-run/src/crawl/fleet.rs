//! A crawl that many machines share: this one's part in it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crawl_ckpt::control::{Begin, Progress, SharedCrawl};
use crawl_ckpt::fleet::StoreUrl;
use crawl_ckpt::job::{JobPlace, Name};
use crawl_ckpt::limits::PARTITIONS;
use crawl_ckpt::lock::{JobLock, LockError};
use crawl_ckpt::summary::{CrawlSummary, summary_of};
use crawl_ckpt::tool::{Exit, Failure};

use super::{Crawl, Events, conduct, copy};
use crate::acquire::acquire;
use crate::cli::{AfterArgs, StoreArgs};
use crate::conduct::Ending;
use crate::ended::Ended;
use crate::metrics::Metrics;
use crate::outcome::{Outcome, Purpose, judge};
use crate::place::Output;
use crate::stage::Launch;
use crate::today::today;
use crate::view::View;

/// The password of the store, where it is not in its URL.
const PASSWORD: &str = "CRAWL_STORE_PASSWORD";
/// So many runs of one machine may share a crawl under names that they choose themselves.
const NAMESAKES: u32 = 64;

impl Crawl<'_> {
    /// Takes part in a crawl that many machines share, until it is complete or this one stops.
    ///
    /// # Errors
    /// What ends it before it begins: [`Exit::Held`] when another run of this machine is this worker,
    /// [`Exit::Usage`] for what does not work over a store.
    pub fn shared(
        &self,
        (store, after): (&StoreArgs, &AfterArgs),
        metrics: Option<&Arc<Metrics>>,
        events: Events<'_>,
        view: &mut View,
    ) -> Result<Ended, Failure> {
        let password = std::env::var(PASSWORD).ok();
        let url = store.store.as_deref().unwrap_or_default();
        let url = StoreUrl::parse(url, password.as_deref())?;
        self.refuse_what_cannot_be_shared(&url, after)?;
        let taken = self.take_name(store.worker.as_ref())?;
        let Some(series) = metrics.map(|metrics| metrics.begin(&self.place)) else {
            return self.take_part(store, &url, taken, events, view);
        };
        view.watch(series.clone());
        let result = self.take_part(store, &url, taken, events, view);
        series.end(&result);
        result
    }

    fn take_part(
        &self,
        store: &StoreArgs,
        url: &StoreUrl,
        (worker, place, lock): (String, JobPlace, JobLock),
        events: Events<'_>,
        view: &mut View,
    ) -> Result<Ended, Failure> {
        view.say(format_args!(
            "crawl of {}, shared over {url}: this is {worker}",
            self.subject(view)
        ));
        let text = |name: &Name| name.to_string();
        let shared = SharedCrawl {
            url: url.to_secret(),
            worker: worker.clone(),
            spider: self.place.title(),
            crawl_id: store.crawl_id.as_ref().map(text),
            new_crawl_id: today().to_string(),
            parts: store.parts.unwrap_or(PARTITIONS.default),
            parts_given: store.parts.is_some(),
            copies: store.copies,
            crawls: Some(self.place.crawls_dir()),
            output: None,
        };
        let begin = Begin {
            shared: Some(shared),
            hosts: self.known_hosts(view),
            ..self.begin()
        };
        let launch = self.launch_worker(&place, &lock)?;
        let mut ending = conduct(&launch, begin, events, view)?;
        self.keep_learned(&ending, view);
        let mut outcome = judge(&ending, Purpose::Production);
        if let Outcome::Failed {
            exit: Exit::Damaged,
            hint: hint @ None,
            ..
        } = &mut outcome
        {
            let verify = url.command("verify", &self.place.title());
            *hint = Some(format!("{verify}   (names all that is damaged)"));
        }
        let Some(joined) = ending.output.clone() else {
            return self.never_began(outcome, ending);
        };
        let summary = joined.clone();
        let is_complete = outcome.exit() == Exit::Complete;
        let output = if is_complete {
            joined
        } else {
            parts_of(&joined, &worker)
        };
        let told = (ending.shared.clone(), ending.whole.take());
        let mut ended = self.ended(outcome, ending, (Output::File(output), None));
        self.keep_summary(&mut ended, told, &summary, view);
        self.tell_of(&ended, true, view);
        Ok(ended)
    }

    /// Keeps what the records of this worker do not tell, beside the file that they are or will be in.
    fn keep_summary(
        &self,
        ended: &mut Ended,
        (shared, whole): (Option<String>, Option<Box<Progress>>),
        joined: &Path,
        view: &View,
    ) {
        let (summary, path) = (&mut ended.summary, summary_of(joined));
        let name = joined.file_name().unwrap_or_default();
        summary.output = Some(name.to_string_lossy().into_owned());
        (summary.shared, summary.whole) = (shared, whole);
        // One that cannot be read is told of when it is to be replaced.
        if let Ok(Some(earlier)) = CrawlSummary::read(&path) {
            summary.follow_worker(earlier);
        }
        if let Err(error) = summary.write(&path) {
            view.error(format_args!(
                "crawl-run: cannot write {}: {error}",
                path.display()
            ));
        }
    }

    /// The store was not used, so there is nothing to sum up.
    fn never_began(&self, outcome: Outcome, ending: Ending) -> Result<Ended, Failure> {
        let Outcome::Failed { exit, why, hint } = outcome else {
            let none = (Output::File(self.place.crawls_dir()), None);
            return Ok(self.ended(outcome, ending, none));
        };
        let failure = Failure::with(exit, why);
        let again = || format!("when it can: {}", self.command_line);
        let hint = hint.or_else(|| (exit == Exit::Failed).then(again));
        Err(match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        })
    }

    /// The name of this worker, where it lies, and the lock that makes it ours.
    fn take_name(&self, chosen: Option<&Name>) -> Result<(String, JobPlace, JobLock), Failure> {
        let place = |worker: &str| {
            let fleet = self.place.crawls_dir().with_file_name("fleet");
            JobPlace::at(&fleet.join(worker))
        };
        if let Some(worker) = chosen {
            let worker = worker.to_string();
            let place = place(&worker);
            let lock = acquire(&place)?;
            return Ok((worker, place, lock));
        }
        let host = host_name();
        for number in 1..=NAMESAKES {
            let worker = match number {
                1 => host.clone(),
                number => format!("{host}-{number}"),
            };
            let place = place(&worker);
            match JobLock::acquire(&place) {
                Err(LockError::Held { .. }) if number < NAMESAKES => {}
                lock => return Ok((worker, place, lock?)),
            }
        }
        Err(Failure::new("no name is free for this worker"))
    }

    fn launch_worker(&self, place: &JobPlace, lock: &JobLock) -> Result<Launch, Failure> {
        let mut frontier_args: Vec<OsString> = vec!["serve".into()];
        let mut option = |name: &str, value: &Path| {
            frontier_args.extend([name.into(), value.into()]);
        };
        option("--job", &place.dir);
        option("--data-dir", &self.place.data_dir);
        if let Some(bytes) = self.args.reach.memory {
            option("--memory", Path::new(&bytes.to_string()));
        }
        Ok(Launch {
            tools: self.tools.clone(),
            frontier_args,
            fetch_args: self.fetch_args.clone(),
            spiders: self.spiders()?,
            hidden: self.hidden.clone(),
            lock: Some(copy(lock.fd())?),
            stream: None,
            keeper: None,
        })
    }
}

/// Where the records of a crawl lie that is not complete.
fn parts_of(joined: &Path, worker: &str) -> PathBuf {
    let name = joined.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(&format!(".{worker}.jsonl"));
    let stem = stem.unwrap_or_default();
    joined.with_file_name(format!("{stem}.d"))
}

/// The host's name, as far as it may be part of a file's.
fn host_name() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy().into_owned();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let plain: String = name
        .chars()
        .map(|c| if is_plain(c) { c } else { '-' })
        .collect();
    let plain = plain.trim_matches('-');
    let plain = plain.get(..plain.len().min(60)).unwrap_or_default();
    if plain.is_empty() { "worker" } else { plain }.to_owned()
}
