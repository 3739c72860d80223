//! The cookie jar (RFC 6265): one a registrable domain, as the checkpoint keeps it
//! and as a `cookies.txt` has it.
//!
//! A jar never serves another domain, so that no `Domain=co.uk` reaches
//! beyond the site that set it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};

use cookie_store::{Cookie, CookieDomain, CookieExpiration};
use url::{Host, Url};

use super::expiry::{http_date, normalized};
use super::jar::Jar;
pub use super::jar::MAX_HEADER_BYTES;
use crate::address::registrable;
use crate::netscape;

/// A cookie whose name and value are longer is left out, as browsers do.
const MAX_COOKIE_BYTES: usize = 4096;
/// A longer Set-Cookie header is left out.
const MAX_SET_BYTES: usize = 2 * MAX_COOKIE_BYTES;
/// All jars together are no larger, whatever memory there is.
const MAX_BYTES: usize = 64 << 20;
/// The key of a jar in the checkpoint begins with this.
const KEY: &str = "cookies:";
/// Under this key the checkpoint keeps which `cookies.txt` was taken in last.
const FILE_KEY: &str = "cookie-file";

/// All jars.
#[derive(Debug)]
pub struct Cookies {
    /// All jars together are no larger, but for those of the user's file: beyond it, what was used
    /// longest ago goes until a quarter is free.
    most: usize,
    jars: BTreeMap<String, Jar>,
    changed: BTreeSet<String>,
    /// How large all jars are.
    bytes: usize,
    /// Counts uses, so that they have an order.
    clock: u64,
    /// Jars with cookies of the user's file, which are never forgotten.
    own: BTreeSet<String>,
    /// The digest of the `cookies.txt` that was taken in last.
    file: Option<String>,
    names: JarNames,
    /// Of headers; nobody can foresee what it makes of one.
    hasher: RandomState,
}

/// The jars of origins that were asked for of late, which a page needs twice.
#[derive(Debug, Default)]
struct JarNames(HashMap<String, String>);

/// So many are known at most; then all are forgotten.
const MOST_NAMES: usize = 4096;

impl JarNames {
    /// The origin of a URL as it is written, and the jar of the cookies that it sets.
    fn of<'a>(&'a mut self, url: &'a str) -> Option<(&'a str, &'a str)> {
        let host = url.find("://")? + "://".len();
        let end = url[host..].find(['/', '?', '#']);
        let origin = end.map_or(url, |end| &url[..host + end]);
        if !self.0.contains_key(origin) {
            let name = jar_name(&Url::parse(url).ok()?);
            if self.0.len() >= MOST_NAMES {
                self.0.clear();
            }
            self.0.insert(origin.to_owned(), name);
        }
        self.0.get(origin).map(|name| (origin, &**name))
    }
}

impl Default for Cookies {
    fn default() -> Cookies {
        Cookies::within(MAX_BYTES)
    }
}

impl Cookies {
    /// Jars that take no more than this together, and no more than 64 MiB.
    pub fn within(bytes: usize) -> Cookies {
        Cookies {
            most: bytes.min(MAX_BYTES),
            jars: BTreeMap::new(),
            changed: BTreeSet::new(),
            bytes: 0,
            clock: 0,
            own: BTreeSet::new(),
            file: None,
            names: JarNames::default(),
            hasher: RandomState::new(),
        }
    }

    /// Takes what an answer for `url` sets.
    pub fn take<'a>(&mut self, url: &str, headers: impl IntoIterator<Item = &'a str>) {
        let headers = headers
            .into_iter()
            .filter(|header| header.len() <= MAX_SET_BYTES);
        let mut headers = headers.peekable();
        if headers.peek().is_none() {
            return;
        }
        let Some((origin, name)) = self.names.of(url) else {
            return;
        };
        if !self.jars.contains_key(name) {
            let jar = Jar::default();
            self.bytes += jar.bytes();
            self.jars.insert(name.to_owned(), jar);
        }
        let Some(jar) = self.jars.get_mut(name) else {
            return;
        };
        let before = jar.bytes();
        let mut parsed = None;
        for header in headers {
            let hash = self.hasher.hash_one((origin, header));
            if jar.hears_again(hash) {
                continue;
            }
            let Some(url) = parsed.get_or_insert_with(|| Url::parse(url).ok()) else {
                return;
            };
            // A cookie that is refused (another domain's, or none at all) is not ours to mend.
            let Ok(cookie) = Cookie::parse(normalized(header), url) else {
                continue;
            };
            if is_of_suffix(&cookie, name) || !keeps_promise(&cookie, url) {
                continue;
            }
            let bytes = cookie.name().len() + cookie.value().len();
            if bytes <= MAX_COOKIE_BYTES && jar.take(cookie.into_owned(), url, hash) {
                self.changed.insert(name.to_owned());
            }
        }
        self.clock += 1;
        jar.used = self.clock;
        self.bytes = self.bytes - before + jar.bytes();
        self.forget_old();
    }

    /// Forgets what was used longest ago, when all is too large.
    fn forget_old(&mut self) {
        if self.bytes <= self.most {
            return;
        }
        let most = self.most / 4 * 3;
        let jars = self.jars.iter();
        let jars = jars.filter(|(name, jar)| !self.own.contains(*name) && jar.used < self.clock);
        let mut jars: Vec<(u64, String)> =
            jars.map(|(name, jar)| (jar.used, name.clone())).collect();
        jars.sort_unstable();
        for (_, name) in jars {
            if self.bytes <= most {
                break;
            }
            if let Some(jar) = self.jars.remove(&name) {
                self.bytes -= jar.bytes();
                self.changed.insert(name);
            }
        }
    }

    /// Takes the cookies of a `cookies.txt`, unless it is the one that was taken in last: what
    /// the sites set since is newer.
    pub fn take_file(&mut self, text: &str, now_s: u64) {
        let cookies = netscape::parse(text).0;
        let names = cookies.iter().map(|cookie| registrable(&cookie.domain));
        self.own.extend(names);
        let digest = blake3::hash(text.as_bytes()).to_hex().to_string();
        if self.file.as_ref() == Some(&digest) {
            return;
        }
        self.file = Some(digest);
        for cookie in cookies {
            if cookie.is_expired(now_s) {
                continue;
            }
            let scheme = if cookie.secure { "https" } else { "http" };
            let url = format!("{scheme}://{}/", cookie.domain);
            self.take(&url, [set_cookie(&cookie).as_str()]);
        }
    }

    /// The Cookie header for `url`; `None` when there is nothing to send.
    pub fn header(&mut self, url: &str) -> Option<String> {
        if self.jars.is_empty() {
            return None;
        }
        let (origin, name) = self.names.of(url)?;
        let jar = self.jars.get_mut(name)?;
        self.clock += 1;
        jar.used = self.clock;
        match jar.sent_before(origin) {
            Some(header) => header,
            None => jar.header(&Url::parse(url).ok()?),
        }
    }

    /// The jars that changed since the last call, as the checkpoint keeps them.
    pub fn take_changed(&mut self) -> Vec<(String, String)> {
        let changed = std::mem::take(&mut self.changed);
        // Of one that was forgotten the checkpoint keeps nothing.
        let saved = |name: &String| {
            if self.jars.contains_key(name) {
                self.saved(name)
            } else {
                Some((format!("{KEY}{name}"), String::new()))
            }
        };
        let jars = changed.iter().filter_map(saved);
        // Only a file with a cookie in it changes a jar.
        let file = self.saved_file().filter(|_| !changed.is_empty());
        jars.chain(file).collect()
    }

    /// All jars as the checkpoint keeps them.
    pub fn all(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let jars = self.jars.keys().filter_map(|name| self.saved(name));
        jars.chain(self.saved_file())
    }

    fn saved_file(&self) -> Option<(String, String)> {
        Some((FILE_KEY.to_owned(), self.file.clone()?))
    }

    fn saved(&self, name: &str) -> Option<(String, String)> {
        let jar = self.jars.get(name)?;
        Some((format!("{KEY}{name}"), jar.to_json()?))
    }

    /// What differs from the `cookies.txt` with this text: of each jar that does, its name
    /// and the lines that take the place of its lines there.
    pub fn changes(&self, text: &str, now_s: u64) -> BTreeMap<String, String> {
        let mut began = Cookies::default();
        began.take_file(text, now_s);
        let lines = |cookies: &Cookies, name: &str| {
            let jar = cookies.jars.get(name).into_iter();
            let cookies = jar.flat_map(Jar::living).filter_map(line_of);
            cookies.collect::<BTreeSet<String>>()
        };
        let names: BTreeSet<&String> = self.jars.keys().chain(began.jars.keys()).collect();
        let changes = names.into_iter().filter_map(|name| {
            let ours = lines(self, name);
            let changed = ours != lines(&began, name);
            changed.then(|| (name.clone(), ours.into_iter().collect()))
        });
        changes.collect()
    }

    /// Brings what was taken from a checkpoint, where there was more memory, down to what may be.
    pub fn forget_restored(&mut self) {
        self.clock += 1;
        self.forget_old();
    }

    /// Takes a jar from the checkpoint, if `key` is one's. Returns how many cookies expired.
    pub fn restore(&mut self, key: &str, value: &[u8]) -> u64 {
        if key == FILE_KEY {
            self.file = Some(String::from_utf8_lossy(value).into_owned());
        }
        let Some(name) = key.strip_prefix(KEY) else {
            return 0;
        };
        let Some((jar, expired)) = Jar::from_json(value) else {
            return 0;
        };
        self.bytes += jar.bytes();
        let old = self.jars.insert(name.to_owned(), jar);
        self.bytes -= old.map_or(0, |old| old.bytes());
        expired
    }
}

/// The text of a `cookies.txt` with those changes: lines of jars that did not change, and
/// those that are no cookies, stay.
pub fn merged(text: &str, changes: &BTreeMap<String, String>) -> String {
    if changes.is_empty() {
        return text.to_owned();
    }
    let mut out = String::new();
    if text.is_empty() {
        out.push_str("# Netscape HTTP Cookie File\n");
    }
    for line in text.lines() {
        let cookie = netscape::parse(line).0.pop();
        if !cookie.is_some_and(|cookie| changes.contains_key(&registrable(&cookie.domain))) {
            out.push_str(line);
            out.push('\n');
        }
    }
    out.extend(changes.values().map(String::as_str));
    out
}

/// True for a cookie that is meant for all sites below a public suffix such as `co.uk`, above the
/// domain of the jar (RFC 6265, 5.3, step 5).
fn is_of_suffix(cookie: &Cookie<'_>, jar: &str) -> bool {
    match &cookie.domain {
        CookieDomain::Suffix(domain) => jar
            .strip_suffix(&**domain)
            .is_some_and(|below| below.ends_with('.')),
        _ => false,
    }
}

/// What a name that begins with `__Host-` or `__Secure-` promises holds (RFC 6265bis, 4.1.3).
fn keeps_promise(cookie: &Cookie<'_>, url: &Url) -> bool {
    let begins = |prefix: &str| {
        let start = cookie.name().get(..prefix.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    let secure = || url.scheme() == "https" && cookie.secure() == Some(true);
    let host_only = || {
        // The path as it was said: one that was not is the directory of the page.
        matches!(cookie.domain, CookieDomain::HostOnly(_)) && cookie.path() == Some("/")
    };
    (!begins("__Secure-") || secure()) && (!begins("__Host-") || (secure() && host_only()))
}

/// A line of a `cookies.txt` as a server would have sent it.
fn set_cookie(cookie: &netscape::Cookie) -> String {
    let mut header = format!("{}; Path={}", cookie.pair, cookie.path);
    if cookie.subdomains {
        header.push_str(&format!("; Domain={}", cookie.domain));
    }
    if cookie.secure {
        header.push_str("; Secure");
    }
    if cookie.http_only {
        header.push_str("; HttpOnly");
    }
    let expires = i64::try_from(cookie.expires).unwrap_or(i64::MAX);
    if expires > 0
        && let Some(date) = http_date(expires)
    {
        header.push_str(&format!("; Expires={date}"));
    }
    header
}

/// A cookie as a line of a `cookies.txt`, unless it cannot stand there.
fn line_of(cookie: &Cookie<'_>) -> Option<String> {
    let (domain, subdomains) = match &cookie.domain {
        CookieDomain::HostOnly(host) => (host, false),
        CookieDomain::Suffix(domain) => (domain, true),
        CookieDomain::NotPresent | CookieDomain::Empty => return None,
    };
    let expires = match &cookie.expires {
        CookieExpiration::AtUtc(time) => u64::try_from(time.unix_timestamp()).ok()?,
        CookieExpiration::SessionEnd => 0,
    };
    let (name, value) = cookie.name_value();
    let cookie = netscape::Cookie {
        domain: domain.clone(),
        subdomains,
        path: cookie.path.to_string(),
        secure: cookie.secure().unwrap_or(false),
        http_only: cookie.http_only().unwrap_or(false),
        expires,
        pair: format!("{name}={value}"),
    };
    cookie.line()
}

/// The jar of the cookies that a host sets.
fn jar_name(url: &Url) -> String {
    match url.host() {
        Some(Host::Domain(domain)) => registrable(domain),
        _ => url.host_str().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_goes_back_to_where_it_came_from_only() {
        let mut cookies = Cookies::default();
        cookies.take(
            "http://a.example.com/x",
            ["s=1; Path=/", "d=2; Domain=example.com; Path=/"],
        );
        assert_eq!(
            cookies.header("http://b.example.com/").as_deref(),
            Some("d=2")
        );
        let both = cookies.header("http://a.example.com/y").unwrap();
        assert!(both == "s=1; d=2" || both == "d=2; s=1", "{both}");
        assert_eq!(cookies.header("http://example.org/"), None);
    }

    #[test]
    fn jars_that_are_too_large_together_are_forgotten_but_for_those_of_the_users_file() {
        const MOST: usize = 1 << 20;
        let mut cookies = Cookies::within(MOST);
        let file = "own.example\tFALSE\t/\tFALSE\t0\tk\tv\n";
        cookies.take_file(file, 0);
        let site = |number: usize| format!("http://a{number}.example/");
        let long = format!("k={}", "x".repeat(4000));
        let many = MOST / 4000 + 1;
        for number in 0..many {
            cookies.take(&site(number), [long.as_str()]);
            // The first one is in use.
            assert!(cookies.header(&site(0)).is_some());
        }
        assert!(cookies.bytes <= MOST && cookies.bytes > MOST / 2);
        assert_eq!(cookies.header(&site(1)), None);
        assert!(cookies.header(&site(many - 1)).is_some());
        assert_eq!(
            cookies.header("http://own.example/").as_deref(),
            Some("k=v")
        );
        let bytes = |cookies: &Cookies| cookies.jars.values().map(Jar::bytes).sum::<usize>();
        assert_eq!(cookies.bytes, bytes(&cookies));
        // So does the checkpoint, and the user's file loses nothing.
        let mut again = Cookies::default();
        let mut kept = BTreeMap::from([(format!("{KEY}a1.example"), "[]".to_owned())]);
        kept.extend(cookies.take_changed());
        assert_eq!(kept[&format!("{KEY}a1.example")], "");
        for (key, jar) in &kept {
            again.restore(key, jar.as_bytes());
        }
        assert_eq!(again.header(&site(1)), None);
        // Nor does it hold more where there is less memory.
        let mut small = Cookies::within(MOST / 4);
        for (key, jar) in &kept {
            small.restore(key, jar.as_bytes());
        }
        small.take_file(file, 0);
        small.forget_restored();
        assert!(small.bytes <= MOST / 4 && small.bytes > MOST / 8);
        assert!(small.header("http://own.example/").is_some());
        assert_eq!((again.bytes, bytes(&again)), (cookies.bytes, cookies.bytes));
        assert!(!again.changes(file, 0).contains_key("own.example"));
    }

    #[test]
    fn a_cookie_for_a_whole_suffix_goes_nowhere_else() {
        let mut cookies = Cookies::default();
        cookies.take(
            "http://evil.co.uk/",
            ["x=1; Domain=co.uk", "y=1; Domain=bank.co.uk"],
        );
        assert_eq!(cookies.header("http://bank.co.uk/"), None);
        assert_eq!(cookies.header("http://evil.co.uk/"), None);
        cookies.take("http://a.github.io/", ["z=1; Domain=github.io"]);
        assert_eq!(cookies.header("http://a.github.io/"), None);
        cookies.take("http://evil.co.uk/", ["z=1; Domain=evil.co.uk"]);
        assert_eq!(
            cookies.header("http://www.evil.co.uk/").as_deref(),
            Some("z=1")
        );
    }

    #[test]
    fn a_name_that_promises_safety_must_keep_it() {
        let sent = |url: &str, set: &str| {
            let mut cookies = Cookies::default();
            cookies.take(url, [set]);
            cookies.header("https://a.example/").is_some()
        };
        for (set, good) in [
            ("__Host-a=1; Secure; Path=/", true),
            ("__host-a=1; Secure", false),
            ("__Host-a=1; Path=/", false),
            ("__Host-a=1; Secure; Path=/; Domain=a.example", false),
            ("__Secure-a=1; Secure; Domain=a.example; Path=/", true),
            ("__SECURE-a=1; Path=/", false),
            ("__Other-a=1; Path=/", true),
        ] {
            assert_eq!(sent("https://a.example/", set), good, "{set}");
            assert_eq!(
                sent("http://a.example/", set),
                set.contains("Other"),
                "{set}"
            );
        }
        let file = "a.example\tFALSE\t/\tTRUE\t0\t__Host-a\t1\n";
        let mut cookies = Cookies::default();
        cookies.take_file(file, 0);
        assert!(cookies.header("https://a.example/").is_some());
    }

    #[test]
    fn a_logout_with_any_date_logs_out() {
        let mut cookies = Cookies::default();
        let url = "http://a.example/";
        for date in [
            "Thu, 1 Jan 1970 00:00:00",
            "Mon, 01 Jan 1601 00:00:01 GMT",
            "jan 2, 2001 1:2:3",
        ] {
            cookies.take(url, ["s=1"]);
            assert!(cookies.header(url).is_some());
            cookies.take(url, [format!("s=; Expires={date}").as_str()]);
            assert_eq!(cookies.header(url), None, "{date}");
        }
        cookies.take(
            url,
            [
                "s=1; Expires=31 Dec 99999 23:59:59",
                "t=1; Expires=9999-Dec-31 23:59:59",
            ],
        );
        assert_eq!(cookies.header(url).as_deref(), Some("s=1; t=1"));
    }

    #[test]
    fn expired_cookies_are_dropped_and_counted_on_resume() {
        let mut cookies = Cookies::default();
        cookies.take("http://127.0.0.1:8/", ["keep=1", "gone=1; Max-Age=1"]);
        let mut saved = cookies.take_changed();
        assert_eq!(saved.len(), 1);
        assert!(cookies.take_changed().is_empty());
        let (key, value) = saved.remove(0);
        let mut list: Vec<serde_json::Value> = serde_json::from_str(&value).unwrap();
        for cookie in &mut list {
            if cookie["raw_cookie"].as_str().unwrap().starts_with("gone") {
                cookie["expires"] = serde_json::json!({"AtUtc": "2020-01-01T00:00:00Z"});
            }
        }
        let mut again = Cookies::default();
        assert_eq!(again.restore(&key, &serde_json::to_vec(&list).unwrap()), 1);
        assert_eq!(
            again.header("http://127.0.0.1:9/").as_deref(),
            Some("keep=1")
        );
        assert_eq!(again.restore("robots:x", b"{}"), 0);
    }

    #[test]
    fn what_is_told_again_is_as_if_it_had_been_read_anew() {
        let (mut cookies, mut plain) = (Cookies::default(), Cookies::default());
        let urls = [
            "http://a.example/",
            "http://a.example/d/p?q",
            "https://a.example/d/",
            "http://b.a.example:8080/d",
            "http://c.example/#f",
        ];
        let sets = [
            "s=1; Path=/",
            "s=2; Path=/",
            "s=1",
            "s=; Path=/; Max-Age=0",
            "d=1; Domain=a.example; Path=/",
            "d=1; Domain=a.example; Path=/d; Expires=Sat, 01 Jan 2101 00:00:00 GMT",
            "d=1; Domain=a.example; Path=/d; Expires=Mon, 01 Jan 2001 00:00:00 GMT",
            "t=1; Path=/; Secure",
            "__Host-t=1; Path=/; Secure",
        ];
        let mut state = 1_u32;
        let mut pick = |of: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as usize % of
        };
        let mut again = 0;
        for step in 0..3000 {
            let (url, set) = (urls[pick(5)], [sets[pick(9)], sets[pick(9)]]);
            cookies.take(url, set);
            // No header is known again.
            plain.hasher = RandomState::new();
            plain.take(url, set);
            let asked = urls[pick(5)];
            assert_eq!(cookies.header(asked), plain.header(asked), "step {step}");
            let changed = cookies.take_changed();
            again += usize::from(changed.is_empty());
            assert_eq!(changed, plain.take_changed(), "step {step}: {set:?} {url}");
            assert!(cookies.all().eq(plain.all()), "step {step}");
        }
        assert!(again > 100, "{again}");
    }

    #[test]
    fn a_jar_does_not_grow_without_end() {
        let mut cookies = Cookies::default();
        let url = "http://a.example/";
        for n in 0..1000 {
            cookies.take(url, [format!("c{n}=1").as_str()]);
        }
        let value = |bytes: usize| "x".repeat(bytes);
        let long = format!("; Path=/{}", value(4000));
        let fits = format!("fits={}; Path=/; Expires={}", value(4092), value(90));
        let over = format!("over={}", value(4093));
        cookies.take(url, [fits.as_str(), over.as_str(), &format!("a=b{long}")]);
        let header = cookies.header(url).unwrap();
        assert!(header.contains("fits=") && !header.contains("over="));
        let kept = cookies.jars["a.example"].living().count();
        assert_eq!(kept, super::super::jar::MAX_COOKIES);
    }

    #[test]
    fn a_file_is_taken_in_once_and_again_when_it_changed() {
        let text = "a.example\tFALSE\t/\tFALSE\t0\thost\t1\n\
            #HttpOnly_.a.example\tTRUE\t/d\tFALSE\t4102444800\twide\t2\n\
            a.example\tFALSE\t/\tTRUE\t0\tsafe\t4\n\
            a.example\tFALSE\t/\tFALSE\t1\told\t5\n";
        let mut cookies = Cookies::default();
        cookies.take_file(text, 1_800_000_000);
        let sent = |cookies: &mut Cookies, url| cookies.header(url).unwrap_or_default();
        assert_eq!(sent(&mut cookies, "http://a.example/"), "host=1");
        assert_eq!(sent(&mut cookies, "http://x.a.example/d"), "wide=2");
        assert!(sent(&mut cookies, "https://a.example/").contains("safe=4"));
        let mut resumed = Cookies::default();
        for (key, value) in cookies.take_changed() {
            resumed.restore(&key, value.as_bytes());
        }
        resumed.take("http://a.example/", ["host=newer"]);
        resumed.take_file(text, 1_800_000_000);
        assert_eq!(sent(&mut resumed, "http://a.example/"), "host=newer");
        resumed.take_file(&text.replace("host\t1", "host\t7"), 1_800_000_000);
        assert_eq!(sent(&mut resumed, "http://a.example/"), "host=7");
    }

    #[test]
    fn what_sites_set_goes_back_into_the_file_and_all_else_stays() {
        let text = "# mine\na.example\tFALSE\t/\tFALSE\t0\told\t1\nnonsense\n\
            b.example\tFALSE\t/\tFALSE\t4102444800\tother\t2\n";
        let mut cookies = Cookies::default();
        cookies.take_file(text, 1_800_000_000);
        assert!(cookies.changes(text, 1_800_000_000).is_empty());
        cookies.take(
            "https://x.a.example/d/p",
            [
                "s=3; Domain=a.example; Path=/; Secure; HttpOnly; Max-Age=1000000000",
                "local=4",
            ],
        );
        cookies.take(
            "http://a.example/",
            ["old=1; Max-Age=0", "gone=1; Max-Age=0"],
        );
        let changes = cookies.changes(text, 1_800_000_000);
        assert_eq!(changes.keys().collect::<Vec<_>>(), ["a.example"]);
        let merged = merged(text, &changes);
        let (kept, set) = merged.split_at(merged.find("#HttpOnly_").unwrap());
        assert_eq!(
            kept,
            "# mine\nnonsense\nb.example\tFALSE\t/\tFALSE\t4102444800\tother\t2\n"
        );
        let (read, bad) = netscape::parse(set);
        assert!(bad.is_empty());
        assert!(
            set.starts_with("#HttpOnly_.a.example\tTRUE\t/\tTRUE\t"),
            "{set}"
        );
        assert_eq!(
            (read[0].pair.as_str(), read[1].pair.as_str()),
            ("s=3", "local=4")
        );
        assert_eq!(
            (read[1].domain.as_str(), read[1].path.as_str()),
            ("x.a.example", "/d")
        );
        let mut again = Cookies::default();
        again.take_file(&merged, 1_800_000_000);
        assert_eq!(
            again.header("https://x.a.example/d/"),
            cookies.header("https://x.a.example/d/")
        );
        assert!(again.changes(&merged, 1_800_000_000).is_empty());
    }
}
