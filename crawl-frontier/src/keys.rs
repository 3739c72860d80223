//! Under which keys a checkpoint keeps what a crawl has learned. They are on disk, so a key that was
//! once used stays what it is.

/// The state of the user's parser.
pub const PARSER_STATE: &str = "parse:state";

/// Some page came.
pub const GAVE_PAGE: &str = "starts:page";

/// Begins the key of a letter to another partition that is not confirmed: its number, a colon, the letter's.
pub const MAIL: &str = "mail:";

/// Begins the key of how many letters went to another partition.
pub use crawl_ckpt::fleet::SENT;

/// Begins the key of how many letters of another partition were taken.
pub use crawl_ckpt::fleet::FROM;

/// The output part that has the records of a partition's batches from here on.
pub use crawl_ckpt::fleet::PART;

/// The hosts that the crawl stays on.
pub const SCOPE_HOSTS: &str = "scope:hosts";

/// Begins the key of a host that a start URL redirected to: a key each, since a list that is written
/// again for each of many grows with their square.
pub const SCOPE_HOST: &str = "scope:host:";

/// Begins the key of a directory below which the crawl stays on its host.
pub const SCOPE_BELOW: &str = "scope:below:";

/// Begins the key of an origin that a start URL redirected to, and that is trusted.
pub const TRUSTED: &str = "trusted:";

/// Begins the key of a request over which a fetcher ended, and how often.
pub const LOST: &str = "lost:";

/// Begins the key of how many requests a host has had, in a journal that was rewritten.
pub const HOST: &str = "host:";

/// What a key keeps of one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfHost {
    /// The rules of its robots.txt.
    Robots,
    /// Until when it asked not to be asked.
    Wait,
    /// The path of a page that it answered for.
    Answered,
    /// Its route.
    Route,
    /// What proxies cost for it.
    Cost,
}

impl OfHost {
    const ALL: [OfHost; 5] = [
        OfHost::Robots,
        OfHost::Wait,
        OfHost::Answered,
        OfHost::Route,
        OfHost::Cost,
    ];

    /// The key for the host of this origin.
    pub fn key(self, origin: &str) -> String {
        format!("{}:{origin}", self.name())
    }

    /// What this key keeps, and of which origin; `None` when it is of no host.
    pub fn of(key: &str) -> Option<(OfHost, &str)> {
        let (name, origin) = key.split_once(':')?;
        let kind = OfHost::ALL.into_iter().find(|kind| kind.name() == name)?;
        Some((kind, origin))
    }

    fn name(self) -> &'static str {
        match self {
            OfHost::Robots => "robots",
            OfHost::Wait => "wait",
            OfHost::Answered => "answered",
            OfHost::Route => "route",
            OfHost::Cost => "cost",
        }
    }
}
