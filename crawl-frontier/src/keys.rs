//! Under which keys a checkpoint keeps what a crawl has learned. They are on disk, so a key that was
//! once used stays what it is.

/// The state of the user's parser.
pub const PARSER_STATE: &str = "parse:state";

/// Some page came.
pub const GAVE_PAGE: &str = "starts:page";

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

/// The rules of a host's robots.txt.
pub fn robots(origin: &str) -> String {
    format!("robots:{origin}")
}

/// Until when a host asked not to be asked.
pub fn wait(origin: &str) -> String {
    format!("wait:{origin}")
}

/// The path of a page that a host answered for.
pub fn answered(origin: &str) -> String {
    format!("answered:{origin}")
}

/// A host's route.
pub fn route(origin: &str) -> String {
    format!("route:{origin}")
}
