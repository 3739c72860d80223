//! The cookies of one registrable domain, in the order in which they were created
//! (RFC 6265, 5.3 and 5.4).

use std::cmp::Reverse;
use std::collections::BTreeSet;

use cookie_store::{Cookie, CookieExpiration};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::{Position, Url};

/// So many cookies are kept, as browsers do (RFC 6265, 6.1 asks for at least 50).
pub const MAX_COOKIES: usize = 180;

/// A Cookie header is no longer than this; hardly a server takes one line over 64 KiB.
pub const MAX_HEADER_BYTES: usize = 60 << 10;

/// A Max-Age that is told once more moves the end of a cookie only when that makes up for so much of it, so a
/// cookie ends that much earlier at most.
const COARSE: i64 = 64;

/// What a cookie takes beside its name and its value: its path, its domain, and what else was set of it.
const BESIDE_COOKIE: usize = 128;
/// What a jar takes beside its cookies.
const BESIDE_JAR: usize = 400;

/// A jar.
#[derive(Debug, Default)]
pub struct Jar {
    kept: Vec<KeptCookie>,
    /// Where the next header is looked for first: a site tells the same ones in the same order.
    next: usize,
    sent: Option<Sent>,
    /// Counts what happens, so that it has an order.
    clock: u64,
    /// When it was used last, by the clock of all jars.
    pub used: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptCookie {
    #[serde(flatten)]
    cookie: Cookie<'static>,
    /// When it was set last.
    #[serde(default)]
    set: u64,
    /// When it was set or sent last.
    #[serde(skip)]
    used: u64,
    #[serde(skip)]
    said: Option<Said>,
}

/// The Set-Cookie that set a cookie last, if it would set just the same again: to read it anew for each page
/// took longer than all else that is done for a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Said {
    /// Of the header, and the origin that said it.
    hash: u64,
    /// Until then, in seconds since 1970.
    until_s: i64,
}

/// A header that is right for each page of an origin, until a cookie changes or ends.
#[derive(Debug)]
struct Sent {
    origin: String,
    header: Option<String>,
    /// The cookies in it.
    places: Vec<usize>,
    /// When it was sent last.
    at: u64,
}

impl KeptCookie {
    fn is_same(&self, other: &Cookie<'_>) -> bool {
        let own = &self.cookie;
        own.name() == other.name()
            && *own.path == *other.path
            && own.domain.as_cow() == other.domain.as_cow()
    }
}

impl Jar {
    /// Takes a cookie that `url` sets: a new one, the new value of one that is there, which keeps
    /// its place, or its deletion. A full jar gives up what is over, or else what was not used
    /// for longest. Returns whether anything changed. `hash` is of the header, and the origin that said it.
    pub fn take(&mut self, cookie: Cookie<'static>, url: &Url, hash: u64) -> bool {
        if !cookie.domain.matches(url) {
            return false;
        }
        self.clock += 1;
        let place = self.kept.iter().position(|kept| kept.is_same(&cookie));
        let is_over = |place: &usize| has_ended(&self.kept[*place].cookie) || has_ended(&cookie);
        let says_the_same = |place: usize| {
            let kept = &self.kept[place].cookie;
            kept.value() == cookie.value() && kept.secure() == cookie.secure()
        };
        let over = place.filter(is_over);
        if over.is_some() || !place.is_some_and(says_the_same) {
            self.forget_sent();
        }
        if let Some(over) = over {
            self.kept.remove(over);
            if has_ended(&cookie) {
                return true;
            }
        } else if let Some(place) = place {
            let kept = &mut self.kept[place];
            let changed = kept.cookie != cookie;
            *kept = KeptCookie::new(cookie, self.clock, hash);
            return changed;
        }
        if has_ended(&cookie) {
            return false;
        }
        if self.kept.len() >= MAX_COOKIES {
            self.kept.retain(|kept| !has_ended(&kept.cookie));
        }
        while self.kept.len() >= MAX_COOKIES {
            let ages = self.kept.iter().map(|kept| (kept.used, kept.set));
            let Some((oldest, _)) = ages.enumerate().min_by_key(|(_, age)| *age) else {
                break;
            };
            self.kept.remove(oldest);
        }
        if self.kept.len() == self.kept.capacity() {
            // Most sites set one or two, and there is room for four at once otherwise.
            self.kept.reserve_exact(self.kept.len() / 4 + 1);
        }
        self.kept.push(KeptCookie::new(cookie, self.clock, hash));
        true
    }

    /// True when a header with this hash is what set one of the cookies last, and would set just the same again:
    /// it is as if it had been taken.
    pub fn hears_again(&mut self, hash: u64) -> bool {
        let is_it = |kept: &KeptCookie| kept.said.is_some_and(|said| said.hash == hash);
        let place = match self.kept.get(self.next) {
            Some(kept) if is_it(kept) => self.next,
            _ => match self.kept.iter().position(is_it) {
                Some(place) => place,
                None => return false,
            },
        };
        self.next = place + 1;
        let kept = &mut self.kept[place];
        let is_over = |said: Said| said.until_s < i64::MAX && now_s() >= said.until_s;
        if kept.said.is_some_and(is_over) {
            return false;
        }
        self.clock += 1;
        (kept.set, kept.used) = (self.clock, self.clock);
        true
    }

    /// The header that was made last, if it is right for all pages of this origin, and still is.
    pub fn sent_before(&mut self, origin: &str) -> Option<Option<String>> {
        let sent = self.sent.as_mut().filter(|sent| sent.origin == origin)?;
        if first_to_end(&self.kept).is_some_and(has_ended) {
            return None;
        }
        self.clock += 1;
        sent.at = self.clock;
        Some(sent.header.clone())
    }

    /// The Cookie header for `url`: longer paths first, then what was created first. Of more than
    /// fits, what was set longest ago stays out.
    pub fn header(&mut self, url: &Url) -> Option<String> {
        let origin = &url[..Position::BeforePath];
        if let Some(header) = self.sent_before(origin) {
            return header;
        }
        self.clock += 1;
        self.forget_sent();
        let mut fit: Vec<usize> = (0..self.kept.len())
            .filter(|place| self.kept[*place].cookie.matches(url))
            .filter(|place| !has_ended(&self.kept[*place].cookie))
            .collect();
        let size = |place: &usize| {
            let (name, value) = self.kept[*place].cookie.name_value();
            name.len() + value.len() + "=; ".len()
        };
        let fits = fit.iter().map(size).sum::<usize>() <= MAX_HEADER_BYTES;
        if !fits {
            let mut newest = fit.clone();
            newest.sort_by_key(|place| Reverse((self.kept[*place].set, *place)));
            let mut bytes = 0;
            let is_in = |place: &usize| {
                bytes += size(place);
                bytes <= MAX_HEADER_BYTES
            };
            let sent: BTreeSet<usize> = newest.into_iter().take_while(is_in).collect();
            fit.retain(|place| sent.contains(place));
        }
        // Stable, so the order of creation stays.
        fit.sort_by_key(|place| Reverse(self.kept[*place].cookie.path.len()));
        let mut header = String::new();
        for place in &fit {
            let kept = &mut self.kept[*place];
            kept.used = self.clock;
            let (name, value) = kept.cookie.name_value();
            for part in [if header.is_empty() { "" } else { "; " }, name, "=", value] {
                header.push_str(part);
            }
        }
        let header = (!header.is_empty()).then_some(header);
        let is_for_all = |kept: &KeptCookie| *kept.cookie.path == *"/";
        if fits && self.kept.iter().all(is_for_all) {
            self.sent = Some(Sent {
                origin: origin.to_owned(),
                header: header.clone(),
                places: fit,
                at: self.clock,
            });
        }
        header
    }

    fn forget_sent(&mut self) {
        if let Some(sent) = self.sent.take() {
            for place in sent.places {
                let used = &mut self.kept[place].used;
                *used = sent.at.max(*used);
            }
        }
    }

    /// How large it is, about. What is sent is a copy of what was set.
    pub fn bytes(&self) -> usize {
        let text = |kept: &KeptCookie| kept.cookie.name().len() + kept.cookie.value().len();
        let each = |kept: &KeptCookie| 2 * text(kept) + size_of::<KeptCookie>() + BESIDE_COOKIE;
        self.kept.iter().map(each).sum::<usize>() + BESIDE_JAR
    }

    /// The cookies that are not over.
    pub fn living(&self) -> impl Iterator<Item = &Cookie<'static>> {
        let cookies = self.kept.iter().map(|kept| &kept.cookie);
        cookies.filter(|cookie| !has_ended(cookie))
    }

    /// As the checkpoint keeps it.
    pub fn to_json(&self) -> Option<String> {
        serde_json::to_string(&self.kept).ok()
    }

    /// From the checkpoint. Also says how many cookies were over meanwhile.
    pub fn from_json(json: &[u8]) -> Option<(Jar, u64)> {
        let mut kept: Vec<KeptCookie> = serde_json::from_slice(json).ok()?;
        let whole = kept.len();
        kept.retain(|kept| !has_ended(&kept.cookie));
        let over = (whole - kept.len()) as u64;
        let clock = kept.iter().map(|kept| kept.set).max().unwrap_or(0);
        let jar = Jar {
            kept,
            clock,
            ..Jar::default()
        };
        Some((jar, over))
    }
}

impl KeptCookie {
    fn new(cookie: Cookie<'static>, now: u64, hash: u64) -> KeptCookie {
        KeptCookie {
            said: Said::by(&cookie, hash),
            cookie,
            set: now,
            used: now,
        }
    }
}

impl Said {
    /// `None` for a header that means something else on another page, or soon.
    fn by(cookie: &Cookie<'_>, hash: u64) -> Option<Said> {
        let until_s = match (cookie.max_age(), &cookie.expires) {
            (None, CookieExpiration::SessionEnd) => i64::MAX,
            (None, CookieExpiration::AtUtc(end)) => end.unix_timestamp(),
            (Some(age), _) => now_s().saturating_add(age.whole_seconds() / COARSE),
        };
        let has_path = cookie.path().is_some_and(|path| path.starts_with('/'));
        has_path.then_some(Said { hash, until_s })
    }
}

/// Seconds since 1970.
fn now_s() -> i64 {
    Timestamp::now().as_second()
}

fn first_to_end(kept: &[KeptCookie]) -> Option<&Cookie<'static>> {
    let ends = kept.iter().filter_map(|kept| match kept.cookie.expires {
        CookieExpiration::SessionEnd => None,
        CookieExpiration::AtUtc(end) => Some((end, &kept.cookie)),
    });
    ends.min_by_key(|(end, _)| *end).map(|(_, cookie)| cookie)
}

/// One without an end is not held against the clock, which takes longer than all else: most are so, and a full
/// jar is asked for every page.
fn has_ended(cookie: &Cookie<'_>) -> bool {
    match cookie.expires {
        CookieExpiration::SessionEnd => false,
        CookieExpiration::AtUtc(_) => cookie.is_expired(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(jar: &mut Jar, set: &str) -> bool {
        let url = Url::parse("http://a.example/d/p").unwrap();
        let hash = set.bytes().fold(7, |hash: u64, byte| {
            hash.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        if jar.hears_again(hash) {
            return false;
        }
        jar.take(Cookie::parse(set.to_owned(), &url).unwrap(), &url, hash)
    }

    fn sent(jar: &mut Jar) -> String {
        let url = Url::parse("http://a.example/d/p").unwrap();
        jar.header(&url).unwrap_or_default()
    }

    #[test]
    fn of_many_cookies_each_page_is_told_what_is_right_now() {
        let (mut jar, mut plain) = (Jar::default(), Jar::default());
        let url = |url: &str| Url::parse(url).unwrap();
        let mut names: Vec<String> = (0..20).map(|n| format!("n{n}")).collect();
        let told = |jar: &mut Jar, plain: &mut Jar, set: &str| {
            take(jar, set);
            take(plain, set);
            for page in [
                "https://x.org/a",
                "https://x.org/a/b",
                "http://x.org/c",
                "https://y.org/",
            ] {
                // Asked twice: the second time it may be what was sent before.
                let anew = plain.header(&url(page));
                plain.forget_sent();
                assert_eq!(jar.header(&url(page)), anew, "{set} {page}");
                assert_eq!(jar.header(&url(page)), anew, "{set} {page}");
            }
        };
        for name in &names {
            told(&mut jar, &mut plain, &format!("{name}=1; Path=/"));
        }
        assert!(jar.sent.is_some());
        for jar in [&mut jar, &mut plain] {
            jar.kept[3].cookie.expire();
        }
        told(&mut jar, &mut plain, "n0=1; Path=/");
        names.reverse();
        for (n, name) in names.iter().enumerate() {
            let how = [
                "=2; Path=/",
                "=1; Path=/; Secure",
                "=1; Path=/; Max-Age=0",
                "=; Path=/a",
                "=1; Path=/",
            ];
            told(
                &mut jar,
                &mut plain,
                &format!("{name}{}", how[n % how.len()]),
            );
        }
        assert!(jar.sent.is_none(), "one of them is not for each page");
        told(&mut jar, &mut plain, "n16=; Path=/a; Max-Age=0");
    }

    #[test]
    fn a_header_is_known_again_unless_it_means_something_else_by_now() {
        let url = Url::parse("http://a.example/d/p").unwrap();
        for (set, is_known) in [
            ("a=1; Path=/", true),
            ("a=1; Path=/; Max-Age=86400", true),
            // Less than a second of it would be too much.
            ("a=1; Path=/; Max-Age=60", false),
            // For the directory of each page.
            ("a=1", false),
            ("a=1; Path=/; Max-Age=0", false),
        ] {
            let mut jar = Jar::default();
            jar.take(Cookie::parse(set, &url).unwrap().into_owned(), &url, 5);
            assert_eq!(jar.hears_again(5), is_known, "{set}");
            assert!(!jar.hears_again(6));
        }
    }

    #[test]
    fn cookies_go_in_the_order_of_paths_and_of_creation() {
        let mut jar = Jar::default();
        for set in [
            "z=1; Path=/",
            "B=1; Path=/",
            "a=1; Path=/",
            "long=1; Path=/d",
        ] {
            assert!(take(&mut jar, set));
        }
        assert!(take(&mut jar, "z=2; Path=/"));
        assert!(!take(&mut jar, "z=2; Path=/"), "nothing changed");
        assert_eq!(sent(&mut jar), "long=1; z=2; B=1; a=1");
        assert!(take(&mut jar, "B=; Max-Age=0; Path=/"));
        assert!(!take(&mut jar, "B=; Max-Age=0; Path=/"));
        take(&mut jar, "B=3; Path=/");
        let (mut again, over) = Jar::from_json(jar.to_json().unwrap().as_bytes()).unwrap();
        assert_eq!(over, 0);
        assert_eq!(sent(&mut again), "long=1; z=2; a=1; B=3");
    }

    #[test]
    fn a_full_jar_gives_up_what_is_over_and_then_what_was_not_used_for_longest() {
        let mut jar = Jar::default();
        take(&mut jar, "sid=1; Path=/");
        take(&mut jar, "elsewhere=1; Path=/x");
        for n in 2..MAX_COOKIES {
            take(&mut jar, &format!("c{n}=1; Path=/"));
        }
        sent(&mut jar);
        take(&mut jar, "sid=2; Path=/");
        take(&mut jar, "new=1; Path=/");
        assert!(!jar.to_json().unwrap().contains("elsewhere"));
        take(&mut jar, "newer=1; Path=/");
        let all = sent(&mut jar);
        assert!(
            all.starts_with("sid=2; c3=1; ") && all.ends_with("new=1; newer=1"),
            "{all}"
        );
        assert_eq!(all.split("; ").count(), MAX_COOKIES);
        take(&mut jar, "c3=; Max-Age=0; Path=/");
        assert!(!sent(&mut jar).contains("c3="));
        jar.kept[5].cookie.expire();
        take(&mut jar, "a=1; Path=/");
        take(&mut jar, "b=1; Path=/");
        assert!(
            sent(&mut jar).starts_with("sid=2; c4=1; "),
            "only what was over went"
        );
    }

    #[test]
    fn of_more_than_fits_the_newest_are_sent() {
        let mut jar = Jar::default();
        take(&mut jar, "sid=1; Path=/");
        for n in 0..30 {
            take(&mut jar, &format!("c{n}={}; Path=/", "v".repeat(4000)));
        }
        take(&mut jar, "sid=2; Path=/");
        let header = sent(&mut jar);
        assert!(header.len() > MAX_HEADER_BYTES - 4010 && header.len() <= MAX_HEADER_BYTES);
        assert!(
            header.starts_with("sid=2; ") && header.contains("c29=") && !header.contains("c1=")
        );
    }
}
