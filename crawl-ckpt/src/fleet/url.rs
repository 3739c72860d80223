//! The address of a store, which may hold a password.

use std::fmt;

use url::Url;

use crate::tool::{Exit, Failure, quoted};

/// Where the store is: any of its nodes, and what to say to them. The password is shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl {
    /// With the first of the hosts.
    url: Url,
    hosts: Vec<NodeAddress>,
}

/// A node of a store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeAddress {
    /// Name or address; one of IPv6 in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// What a Redis listens at.
const PORT: u16 = 6379;

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            PORT => f.write_str(&self.host),
            port => write!(f, "{}:{port}", self.host),
        }
    }
}

impl StoreUrl {
    /// Reads `redis://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]...][/DB]`, or `rediss://` for TLS. A password
    /// that is not in it is `password`. Of a cluster any of its nodes will do.
    ///
    /// # Errors
    /// [`Exit::Usage`], with what is wrong; the text itself is not in it.
    pub fn parse(text: &str, password: Option<&str>) -> Result<StoreUrl, Failure> {
        let usage = |why: &str| {
            Failure::with(Exit::Usage, format_args!("cannot use --store: {why}"))
                .hint("a store is named so: redis://HOST/ or rediss://HOST:PORT,HOST:PORT/, with USER@ before the first host, and the password in $CRAWL_STORE_PASSWORD")
        };
        let none = || usage("it is no URL");
        let (scheme, rest) = text.split_once("://").ok_or_else(none)?;
        if !matches!(scheme, "redis" | "rediss") {
            return Err(usage("only redis:// and rediss:// are known"));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, names) = match authority.rsplit_once('@') {
            Some((user, names)) => (format!("{user}@"), names),
            None => (String::new(), authority),
        };
        let mut urls = Vec::new();
        for name in names.split(',') {
            let url = format!("{scheme}://{user}{name}{path}");
            urls.push(Url::parse(&url).map_err(|_| none())?);
        }
        let hosts = urls.iter().map(|url| {
            let host = url.host_str().filter(|host| !host.is_empty())?;
            let port = url.port().unwrap_or(PORT);
            Some(NodeAddress {
                host: host.to_owned(),
                port,
            })
        });
        let hosts: Option<Vec<NodeAddress>> = hosts.collect();
        let hosts = hosts.ok_or_else(|| usage("it names no host"))?;
        let mut url = urls.swap_remove(0);
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
        Ok(StoreUrl { url, hosts })
    }

    /// The nodes that it names.
    #[cfg(any(test, feature = "redis"))]
    pub(super) fn hosts(&self) -> &[NodeAddress] {
        &self.hosts
    }

    /// The whole URL of a node, with the password; `None` for a host that is none.
    #[cfg(any(test, feature = "redis"))]
    pub(super) fn exposed(&self, node: &NodeAddress) -> Option<String> {
        let mut url = self.url.clone();
        url.set_host(Some(&node.host)).ok()?;
        url.set_port(Some(node.port)).ok()?;
        Some(url.into())
    }

    /// The whole URL for a shell, without the password.
    pub fn shown(&self) -> String {
        let mut url = self.clone();
        // What takes one can lose it.
        let _ = url.url.set_password(None);
        quoted(&url.to_secret())
    }

    /// A command of crawl-ckpt about a crawl in it, without the password.
    pub fn command(&self, verb: &str, name: &str) -> String {
        let command = format!("crawl-ckpt --store {} {verb} {name}", self.shown());
        command.trim_end().to_owned()
    }

    /// For the one process that is told over a socket, with the password.
    pub fn to_secret(&self) -> String {
        let user = match (self.url.username(), self.url.password()) {
            ("", None) => String::new(),
            (user, None) => format!("{user}@"),
            (user, Some(password)) => format!("{user}:{password}@"),
        };
        let (scheme, path) = (self.url.scheme(), self.url.path());
        format!("{scheme}://{user}{}{path}", self.names())
    }

    fn names(&self) -> String {
        let names: Vec<String> = self.hosts.iter().map(NodeAddress::to_string).collect();
        names.join(",")
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.url.scheme(), self.names())
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

    fn node(host: &str, port: u16) -> NodeAddress {
        let host = host.to_owned();
        NodeAddress { host, port }
    }

    #[test]
    fn a_password_is_taken_from_either_place_and_shown_in_none() {
        let plain = StoreUrl::parse("rediss://me@db.example:7000/2", Some("s3cret/")).unwrap();
        let exposed = plain.exposed(&plain.hosts()[0]).unwrap();
        assert_eq!(exposed, "rediss://me:s3cret%2F@db.example:7000/2");
        let inside = StoreUrl::parse("redis://:s3cret@db.example", Some("other")).unwrap();
        assert!(inside.to_secret().contains(":s3cret@"));
        for url in [plain, inside] {
            let shown = format!("{url} {url:?} {}", url.command("ls", ""));
            assert!(!shown.contains("s3cret"), "{shown}");
        }
        for bad in [
            "localhost",
            "http://a/",
            "redis:///",
            "redis://a,,b/",
            "redis://:s3cret@a/b",
            "redis://a/?x",
        ] {
            let failure = StoreUrl::parse(bad, None).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{bad}");
            assert!(!failure.message.contains("s3cret"), "{}", failure.message);
        }
    }

    #[test]
    fn several_nodes_are_named_in_one_url_and_another_one_is_spoken_to_in_the_same_way() {
        let text = "rediss://me@a.example,[::1]:7001,10.0.0.3/";
        let url = StoreUrl::parse(text, Some("p@:/,")).unwrap();
        let nodes = [
            node("a.example", 6379),
            node("[::1]", 7001),
            node("10.0.0.3", 6379),
        ];
        assert_eq!(url.hosts(), nodes);
        assert_eq!(url.to_string(), "rediss://a.example,[::1]:7001,10.0.0.3");
        assert_eq!(StoreUrl::parse(&url.to_secret(), None).unwrap(), url);
        let other = url.exposed(&node("10.0.0.9", 7005)).unwrap();
        assert_eq!(other, "rediss://me:p%40%3A%2F,@10.0.0.9:7005/");
    }
}
