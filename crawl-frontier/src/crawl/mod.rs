//! One crawl: what is taken on, sent, answered and written. Everything here
//! happens in memory and behind the door of the [`Store`]; the clock is an argument.

mod answer;
mod blocks;
mod captures;
mod compare;
mod costs;
mod elsewhere;
mod errands;
mod hear;
mod intake;
mod left_out;
mod lost;
mod outage;
mod receive;
mod regions;
pub(crate) mod result;
pub(crate) mod robots;
pub(crate) mod routes;
pub(crate) mod ruling;
pub(crate) mod secrets;
mod send;
mod sitemaps;
mod slow;
mod starts;
mod state;
pub(crate) mod tally;
mod trials;
mod turns;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use crawl_ckpt::address::masked;
use crawl_ckpt::control::{Begin, NAMED, Parked, Progress, Trial};
use crawl_ckpt::cookies::Cookies;
use crawl_ckpt::passed::Passed;
use crawl_ckpt::plan::Plan;
use crawl_ckpt::price::Price;
use crawl_ckpt::record::{Change, FetchResult, Kind};
use crawl_ckpt::tool::Failure;

use self::compare::Ask;
use self::costs::Costs;
use self::elsewhere::Elsewhere;
pub use self::elsewhere::{Outgoing, Split};
use self::errands::Errands;
use self::intake::Links;
use self::left_out::LeftOut;
pub use self::lost::FetcherSilence;
use self::lost::Lost;
use self::outage::Outage;
pub use self::receive::Trouble;
use self::robots::Robots;
use self::routes::Routes;
use self::secrets::Secrets;
use self::sitemaps::Sitemaps;
use self::starts::{NoPage, Starts};
use self::trials::Trials;
use self::turns::Turns;
use crate::class::Class;
use crate::keys;
use crate::schedule::{HostId, Schedule};
use crate::scope::Scope;
use crate::store::{Store, Ticket};
use crate::url::Fingerprinter;

/// What a record takes beside a body, mostly.
const RECORD_BYTES: usize = 1024;

/// A crawl under way, over a store.
#[derive(Debug)]
pub struct Crawl<S> {
    plan: Plan,
    scope: Scope,
    /// The crawl stays on so many of its hosts, the first ones.
    first_hosts: u32,
    fingerprinter: Fingerprinter,
    schedule: Schedule<Ticket>,
    store: S,
    flights: HashMap<u64, Flight>,
    /// Of `flights`, those to hosts that get nothing ahead: what concurrency counts.
    busy: u32,
    /// Of `flights`, those to hosts that had not answered: they are counted by themselves.
    unheard: u32,
    /// How often a request was tried that will be tried again.
    tries: HashMap<u64, u32>,
    turns: Turns,
    robots: Robots,
    errands: Errands,
    routes: Routes<Refused>,
    /// Until when hosts asked to wait, by a Retry-After.
    asked_to_wait: HashMap<HostId, u64>,
    /// People were told of a host that goes another way for what an earlier crawl learned.
    told_of_known: bool,
    costs: Costs,
    cookies: Cookies,
    sitemaps: Sitemaps,
    outage: Outage<HeldRecord>,
    /// Pages that the user's parser failed on since it last did its work.
    unparsed: Vec<(HostId, HeldRecord)>,
    lost: Lost,
    starts: Starts,
    secrets: Secrets,
    /// A crawl that comes to nothing is complete all the same.
    accept_empty: bool,
    runs_once: bool,
    /// The cap on costs ends this run.
    is_costly: bool,
    /// Why the last request that got no answer at all did not.
    unanswered: Option<String>,
    progress: Progress,
    state: ParserState,
    left_out: LeftOut,
    trials: Trials,
    /// What people should read.
    notes: Vec<String>,
    /// Requests under way at once.
    concurrency: u32,
    /// Goes into the upper bits of the ids on the wire, by which the requests of several crawls are told apart.
    lane: u64,
    /// Of a crawl that is one partition of a larger one.
    elsewhere: Option<Box<Elsewhere>>,
    /// This run ends when so many pages of the crawl are told or found unchanged.
    most_told: Option<u64>,
    links: Links,
    read_buffer: Vec<u8>,
    known_buffer: Vec<u8>,
}

/// What the user's parser wants kept, as JSON. The newest alone matters.
#[derive(Debug, Default)]
struct ParserState {
    json: Option<String>,
    /// It came after the last commit.
    is_new: bool,
    /// The fetcher of this run was told, or needs not to be.
    is_told: bool,
}

/// A request that was sent.
#[derive(Debug, Clone, Copy)]
struct Flight {
    host: HostId,
    ticket: Ticket,
    /// Of its URL.
    fingerprint: u64,
    sent_ms: u64,
    /// A request to its host that was sent later was answered by then.
    overtaken_ms: Option<u64>,
    kind: Kind,
    depth: u32,
    redirects: u32,
    /// The URL is a start URL, or a start URL redirects to it.
    start: bool,
    follow: bool,
    /// The host had answered before.
    heard: bool,
    busy: bool,
    /// The rung of its host's route on which it was sent.
    rung: usize,
    ask: Ask,
}

/// A request of which it is not decided whose fault its failure is, with the record that it would get.
#[derive(Debug)]
struct HeldRecord {
    ticket: Ticket,
    record: Record,
}

/// A request that its host blocked, with the record that it would get.
#[derive(Debug)]
struct Refused {
    ticket: Ticket,
    record: Record,
}

/// An output record, and what it counts as.
#[derive(Debug)]
struct Record {
    line: String,
    class: Option<Class>,
    change: Option<Change>,
    failed: bool,
    /// Of a start URL that gave no page.
    no_page: Option<NoPage>,
}

impl Record {
    /// A user name and password in the URL do not get into the output.
    fn of(result: &FetchResult<'_>, failed: bool) -> Record {
        let body = result.body.as_ref().or(result.body_base64.as_ref());
        let mut line = Vec::with_capacity(RECORD_BYTES + body.map_or(0, Passed::len));
        let written = match masked(&result.url) {
            Cow::Borrowed(_) => serde_json::to_writer(&mut line, result),
            Cow::Owned(url) => serde_json::to_writer(
                &mut line,
                &FetchResult {
                    url: url.into(),
                    ..result.clone()
                },
            ),
        };
        debug_assert!(
            written.is_ok(),
            "strings, numbers and raw JSON that was parsed before"
        );
        Record {
            line: String::from_utf8(line).unwrap_or_default(),
            class: Class::of(result),
            change: result.delta,
            failed,
            no_page: None,
        }
    }
}

/// What there is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A request line was written.
    Sent,
    /// Nothing can go before this time, or before an answer comes.
    Wait {
        /// Unix time in milliseconds; `None`: only an answer changes anything.
        until_ms: Option<u64>,
    },
    /// Nothing is pending or under way.
    Done(Done),
}

/// How a crawl, or this run of it, is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// Every URL taken on is finished.
    Complete,
    /// Only parked hosts are left.
    Parked,
    /// The run has its records.
    Limit,
    /// Somebody paused a crawl that many machines share.
    Paused,
    /// No host answers any more.
    NetworkGone,
    /// No host ever answered.
    NoAnswer,
    /// No start URL gave a page, nor did anything else.
    NothingUseful,
}

impl<S: Store> Crawl<S> {
    /// A crawl with nothing taken on.
    ///
    /// # Errors
    /// When the plan's scope does not compile.
    pub fn new(plan: Plan, key: [u8; 16], store: S) -> Result<Crawl<S>, Failure> {
        let scope = Scope::compile(&plan.scope, plan.allow_private).map_err(Failure::new)?;
        let progress = Progress {
            delta: store.is_incremental().then(Default::default),
            ..Progress::default()
        };
        let mut schedule = Schedule::new(plan.pace.per_host);
        let share = store.share();
        let cookie_bytes = share.as_ref().map_or(usize::MAX, |share| share.bytes);
        schedule.set_usual_delay(plan.pace.delay_ms);
        Ok(Crawl {
            scope,
            first_hosts: 0,
            fingerprinter: Fingerprinter::new(key),
            schedule,
            flights: HashMap::new(),
            busy: 0,
            unheard: 0,
            tries: HashMap::new(),
            turns: Turns::default(),
            robots: Robots::new(&plan, share),
            errands: Errands::default(),
            routes: Routes::new(&plan),
            asked_to_wait: HashMap::new(),
            told_of_known: false,
            costs: Costs::default(),
            cookies: Cookies::within(cookie_bytes),
            sitemaps: Sitemaps::new(&plan),
            outage: Outage::default(),
            unparsed: Vec::new(),
            lost: Lost::default(),
            starts: Starts::default(),
            secrets: Secrets::new(&plan),
            accept_empty: false,
            runs_once: false,
            is_costly: false,
            unanswered: None,
            progress,
            state: ParserState::default(),
            left_out: LeftOut::default(),
            trials: Trials::default(),
            notes: Vec::new(),
            concurrency: plan.pace.concurrency,
            lane: 0,
            elsewhere: None,
            most_told: None,
            links: Links::default(),
            read_buffer: Vec::new(),
            known_buffer: Vec::new(),
            store,
            plan,
        })
    }

    /// Why the last request that got no answer at all did not.
    pub fn last_unanswered(&self) -> &str {
        self.unanswered.as_deref().unwrap_or("nothing was asked")
    }

    /// Records, and pages that an incremental crawl makes none for since they did not change.
    fn told(&self) -> u64 {
        let delta = self.progress.delta.unwrap_or_default();
        self.progress.records + delta.unchanged
    }

    /// Ends this run after so many more are told.
    pub fn limit_records(&mut self, most: Option<u64>) {
        self.most_told = most.map(|most| self.told().saturating_add(most));
    }

    /// What proxies cost, and what the crawl may.
    pub fn limit_costs(&mut self, prices: BTreeMap<String, Price>, most: Option<u64>) {
        self.costs.set(prices, most);
    }

    /// True when the cap on costs ends this run.
    pub fn is_costly(&self) -> bool {
        self.is_costly
    }

    /// Takes it for complete when no start URL gives a page.
    pub fn accept_empty(&mut self) {
        self.accept_empty = true;
    }

    /// Nothing of the crawl outlives this run, so nothing waits for another.
    pub fn run_once(&mut self) {
        self.runs_once = true;
    }

    /// Has [`Crawl::take_left_out`] tell of URLs that a cap keeps out, and [`Crawl::take_trials`] of those
    /// that are tried again or fail.
    pub fn tell_of_urls(&mut self) {
        self.left_out.want();
        self.trials.want();
    }

    /// What became of URLs since the last call.
    pub fn take_trials(&mut self) -> Vec<Trial> {
        self.trials.take()
    }

    /// What people should read of what happened since the last call.
    pub fn take_notes(&mut self) -> Vec<String> {
        let mut notes = std::mem::take(&mut self.notes);
        notes.extend(self.store.take_trouble());
        notes
    }

    /// A line for each URL that a cap kept out since the last call.
    pub fn take_left_out(&mut self) -> Vec<String> {
        self.left_out.take()
    }

    fn is_seen(&self, fingerprint: u128) -> bool {
        let mut seen = Vec::with_capacity(1);
        self.store.is_seen(&[fingerprint], &mut seen);
        seen == [true]
    }

    /// Has a request wait in its host again.
    fn put(&mut self, host: HostId, ticket: Ticket, priority: i64) {
        self.store.put(host, ticket, priority);
        self.schedule.arrived(host);
    }

    /// The figures as they stand.
    pub fn progress(&self) -> Progress {
        let mut progress = self.progress.clone();
        progress.hosts = self.schedule.count() as u64;
        progress.parked_hosts = self.schedule.parked().count() as u64;
        progress.parked = self.parked().take(NAMED).collect();
        let dearest = self.costs.dearest().into_iter();
        progress.costs = dearest
            .map(|(id, used)| (self.schedule.origin(id), used))
            .collect();
        let counts = &mut progress.counts;
        counts.parked = self.schedule.parked().pending();
        counts.in_flight = self.flights.len() as u64;
        let waiting = self.schedule.pending() - counts.parked;
        let held = self.outage.held() + self.routes.refused() + self.starts.waiting();
        let held = held + self.turns.waiting() + self.unparsed.len() + self.lost.alone.len();
        counts.pending = waiting + held as u64;
        progress
    }

    /// The parked hosts by origin, those with the most URLs first.
    pub fn parked(&self) -> impl Iterator<Item = (String, Parked)> {
        self.schedule.parked().iter().map(|(id, urls)| {
            let urls = u64::from(urls);
            let why = self.routes.parked(id).unwrap_or_default().to_owned();
            (self.schedule.origin(id), Parked { urls, why })
        })
    }

    /// Commits what waits, if it is time.
    ///
    /// # Errors
    /// The failure of an earlier commit.
    pub fn commit_if_due(&mut self, now_ms: u64) -> Result<(), Failure> {
        if self.store.wants_commit(now_ms)? {
            self.commit(now_ms)?;
        }
        Ok(())
    }

    /// Hands over all that waits, and goes on while it is written.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn commit(&mut self, now_ms: u64) -> Result<(), Failure> {
        self.robots.check()?;
        self.keep_values();
        let progress = self.progress();
        self.store.commit(now_ms, progress)
    }

    /// When the next commit is due, if anything waits for it.
    pub fn next_commit_ms(&self) -> Option<u64> {
        self.store.next_commit_ms()
    }

    /// Commits all that waits; it is durable when this returns.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn commit_now(&mut self, now_ms: u64) -> Result<(), Failure> {
        self.robots.check()?;
        self.keep_values();
        let progress = self.progress();
        self.store.commit_now(now_ms, progress)
    }

    /// Takes the secrets that the order to begin brings along.
    pub fn take_secrets(&mut self, begin: &Begin) {
        self.secrets.take(&begin.secrets);
    }

    /// Takes the cookies that the order to begin brings along.
    pub fn take_cookies(&mut self, begin: &Begin, now_ms: u64) {
        if let Some(text) = &begin.cookies {
            self.cookies.take_file(text, now_ms / 1000);
        }
        self.cookies.forget_restored();
    }

    /// What changed of the `cookies.txt` that the order to begin brought along.
    pub fn changed_cookies(&self, begin: &Begin, now_ms: u64) -> Option<BTreeMap<String, String>> {
        let text = begin.cookies.as_ref()?;
        Some(self.cookies.changes(text, now_ms / 1000))
    }

    /// Puts what changed in memory into the next commit.
    fn keep_values(&mut self) {
        for (key, jar) in self.cookies.take_changed() {
            self.store.set(&key, jar.as_bytes());
        }
        if let Some(json) = &self.state.json
            && std::mem::take(&mut self.state.is_new)
        {
            self.store.set(keys::PARSER_STATE, json.as_bytes());
        }
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.seal(&mut self.store);
        }
    }

    /// True while nothing gets an answer, probes included.
    pub fn network_is_gone(&self) -> bool {
        self.outage.is_proven()
    }

    /// How long a network that is gone is waited for, in seconds.
    pub fn patience_s(&self) -> u64 {
        self.plan.retry.outage_s
    }

    /// What it keeps.
    #[cfg(test)]
    pub(crate) fn store(&self) -> &S {
        &self.store
    }

    /// The same, for who asks it beside the crawl.
    pub(crate) fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    /// How many requests are under way, robots.txt included.
    pub fn under_way(&self) -> usize {
        self.flights.len() + self.errands.under_way()
    }
}

#[cfg(test)]
mod tests;
