//! The commands over a store, in which crawls lie that many machines share.

mod crawl;
mod living;
mod lost;
pub mod ls;
mod part;
pub mod pause;
pub mod pull;
pub mod requeue;
pub mod rm;
pub mod show;
pub mod size;
pub mod verify;

use std::time::Duration;

use super::{Context, TOOL};
use crate::fleet::{CrawlName, Depot, DepotError, Glance, RedisDepot, SharedJob, StoreUrl};
use crate::job::Name;
use crate::limits::PARTITIONS;
use crate::tool::{Exit, Failure, say};

/// The password of a store, where it is not in its URL.
const PASSWORD: &str = "CRAWL_STORE_PASSWORD";

/// What is told of a change of which nobody confirmed that it was made. `may_be`: what may be so now.
fn unconfirmed(
    url: &StoreUrl,
    name: &CrawlName,
    may_be: &str,
) -> impl Fn(DepotError) -> Failure + use<> {
    let told = format!("{name}: {may_be}, but that is not confirmed");
    let show = url.command("show", &name.to_string());
    move |error| match error {
        DepotError::Unsure(why) => Failure::new(format_args!("{told}: {why}")).hint(format_args!(
            "{show}   (tells how it is; the same command again makes sure)"
        )),
        refused @ DepotError::Refused(_) => refused.into(),
    }
}

/// Once, so that nobody wonders what is waited for.
fn tell_of_outage(error: &DepotError) {
    let message =
        format!("the store does not answer, and is asked again for a while (--outage): {error}");
    say(TOOL, message);
}

/// A store, and what a command works with.
pub(crate) struct StoreRoom<'a> {
    pub context: Context<'a>,
    pub depot: RedisDepot,
    pub url: StoreUrl,
}

impl<'a> StoreRoom<'a> {
    /// Opens the store of this URL, which is waited for so long when it does not answer, now and later.
    ///
    /// # Errors
    /// [`Exit::Usage`] for what is no URL of a store; one that cannot be reached.
    pub fn open(
        context: Context<'a>,
        url: &str,
        outage: Duration,
    ) -> Result<StoreRoom<'a>, Failure> {
        let password = std::env::var(PASSWORD).ok();
        let url = StoreUrl::parse(url, password.as_deref())?;
        let mut depot = RedisDepot::new(&url, "", "", 0, 0);
        let tell = if context.quiet {
            |_: &DepotError| {}
        } else {
            tell_of_outage
        };
        depot.be_patient(outage, tell);
        // As many copies as crawl-run waits for when nobody says how many; also of a node whose replica is away.
        let copies = depot.health()?.most_replicas.min(1);
        depot.want_copies(copies);
        Ok(StoreRoom {
            context,
            depot,
            url,
        })
    }

    /// The crawl that a person calls `PROJECT/SPIDER/ID`; without the ID the one that was begun last, and
    /// without the project `default`. What is asked next is asked of it.
    ///
    /// # Errors
    /// The text is no name ([`Exit::Usage`]), or there is no such crawl; the error lists those that are. What it
    /// began with is lost ([`Exit::Damaged`]).
    pub fn find(&mut self, text: &str) -> Result<(CrawlName, SharedJob), Failure> {
        let Some(name) = self.name(text)? else {
            return Err(self.missing(text)?);
        };
        if let Some(job) = self.turn_to(&name)? {
            return Ok((name, job));
        }
        if self.leftovers(&name)?.is_none() {
            return Err(self.missing(text)?);
        }
        let message =
            format!("the store has lost what {name} began with, and has partitions of it still");
        let rm = self.url.command("rm", &name.to_string());
        Err(Failure::with(Exit::Damaged, message)
            .hint(format_args!("{rm}   (removes what is left of it)")))
    }

    /// The name of the crawl that a person calls so; `None` when none is under way that could be meant.
    ///
    /// # Errors
    /// The text is no name ([`Exit::Usage`]).
    pub fn name(&mut self, text: &str) -> Result<Option<CrawlName>, Failure> {
        for word in text.split('/') {
            Name::parse(word).map_err(|e| Failure::with(Exit::Usage, e))?;
        }
        let (spider, crawl_id) = match *text.split('/').collect::<Vec<_>>() {
            [spider] => (format!("default/{spider}"), None),
            [project, spider] => (format!("{project}/{spider}"), None),
            [project, spider, id] => (format!("{project}/{spider}"), Some(id.to_owned())),
            _ => {
                let message = format!("{text} is no crawl: PROJECT/SPIDER/ID is one");
                return Err(Failure::with(Exit::Usage, message));
            }
        };
        let name = CrawlName {
            spider,
            crawl_id: String::new(),
        };
        self.depot.turn_to(&name);
        let crawl_id = match crawl_id {
            Some(id) => Some(id),
            None => self.depot.current()?,
        };
        Ok(crawl_id.map(|id| CrawlName {
            crawl_id: id,
            ..name
        }))
    }

    /// True when the store knows what a crawl began with.
    pub fn is_whole(&mut self, name: &CrawlName) -> Result<bool, Failure> {
        self.depot.turn_to(name);
        Ok(self.depot.job()?.is_some())
    }

    /// So many partitions there may be of a crawl whose beginning is lost, or one more than the last that there is;
    /// `None` when there is none.
    pub fn leftovers(&mut self, name: &CrawlName) -> Result<Option<u32>, Failure> {
        self.depot.turn_to(name);
        let most = *PARTITIONS.within.end();
        self.depot.set_parts(most);
        let parts = self.depot.glance()?;
        let of_all = (1..=most).zip(&parts);
        let there = of_all.filter(|(_, part)| **part != Glance::default());
        Ok(there.map(|(count, _)| count).last())
    }

    /// What is asked next is asked of this crawl; `None` when it is not there any more.
    pub fn turn_to(&mut self, name: &CrawlName) -> Result<Option<SharedJob>, Failure> {
        self.depot.turn_to(name);
        let Some(text) = self.depot.job()? else {
            return Ok(None);
        };
        let job = SharedJob::parse(&text);
        let job = job.map_err(|failure| Failure {
            message: format!("{name}: {}", failure.message),
            ..failure
        })?;
        self.depot.set_parts(job.parts);
        Ok(Some(job))
    }

    /// Why there is no such crawl, in the words that help.
    pub fn missing(&mut self, text: &str) -> Result<Failure, Failure> {
        let others: Vec<String> = self
            .depot
            .crawls()?
            .iter()
            .map(CrawlName::to_string)
            .collect();
        let what = format!("the store {} has no crawl {text}", self.url);
        Ok(match others.len() {
            0 => Failure::new(format_args!("{what}, and no other either")),
            1..=10 => Failure::new(format_args!("{what}; it has: {}", others.join(", "))),
            n => Failure::new(format_args!("{what}; it has {n} others"))
                .hint(self.url.command("ls", "")),
        })
    }
}
