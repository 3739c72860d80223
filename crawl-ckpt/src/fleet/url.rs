//! The address of a store, which may hold a password.

use std::fmt;

use url::Url;

use crate::tool::{Exit, Failure, quoted};

/// Where the store is. Its password is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(Url);

impl StoreUrl {
    /// Reads `redis://[USER[:PASSWORD]@]HOST[:PORT][/DB]`, or `rediss://` for TLS. A password that is not in
    /// it is `password`.
    ///
    /// # Errors
    /// [`Exit::Usage`], with what is wrong; the text itself is not in it.
    pub fn parse(text: &str, password: Option<&str>) -> Result<StoreUrl, Failure> {
        let usage = |why: &str| {
            Failure::with(Exit::Usage, format_args!("cannot use --store: {why}"))
                .hint("a store is named so: redis://HOST/ or rediss://USER@HOST:PORT/, with $CRAWL_STORE_PASSWORD")
        };
        let mut url = Url::parse(text).map_err(|_| usage("it is no URL"))?;
        if !matches!(url.scheme(), "redis" | "rediss") {
            return Err(usage("only redis:// and rediss:// are known"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(usage("it names no host"));
        }
        let db = url.path().trim_matches('/');
        if !db.is_empty() && db.parse::<u32>().is_err() || url.query().is_some() {
            return Err(usage(
                "behind the host only the number of a database may stand",
            ));
        }
        if let Some(password) = password.filter(|_| url.password().is_none()) {
            url.set_password(Some(password))
                .map_err(|()| usage("it takes no password"))?;
        }
        Ok(StoreUrl(url))
    }

    /// The whole URL, with the password.
    #[cfg(any(test, feature = "redis"))]
    pub(super) fn exposed(&self) -> &str {
        self.0.as_str()
    }

    /// The whole URL for a shell, without the password.
    pub fn shown(&self) -> String {
        let mut url = self.0.clone();
        // What takes one can lose it.
        let _ = url.set_password(None);
        quoted(url.as_str())
    }

    /// A command of crawl-ckpt about a crawl in it, without the password.
    pub fn command(&self, verb: &str, name: &str) -> String {
        let command = format!("crawl-ckpt --store {} {verb} {name}", self.shown());
        command.trim_end().to_owned()
    }

    /// For the one process that is told over a socket, with the password.
    pub fn to_secret(&self) -> String {
        self.0.to_string()
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host) = (self.0.scheme(), self.0.host_str().unwrap_or_default());
        write!(f, "{scheme}://{host}")?;
        match self.0.port() {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_taken_from_either_place_and_shown_in_none() {
        let plain = StoreUrl::parse("rediss://me@db.example:7000/2", Some("s3cret/")).unwrap();
        assert!(plain.exposed().contains("s3cret%2F@db.example:7000/2"));
        let inside = StoreUrl::parse("redis://:s3cret@db.example", Some("other")).unwrap();
        assert!(inside.exposed().contains(":s3cret@"));
        for url in [plain, inside] {
            let shown = format!("{url} {url:?} {}", url.command("ls", ""));
            assert!(!shown.contains("s3cret"), "{shown}");
        }
        for bad in [
            "localhost",
            "http://a/",
            "redis:///",
            "redis://:s3cret@a/b",
            "redis://a/?x",
        ] {
            let failure = StoreUrl::parse(bad, None).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{bad}");
            assert!(!failure.message.contains("s3cret"), "{}", failure.message);
        }
    }
}
