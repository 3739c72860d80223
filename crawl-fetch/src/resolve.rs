//! Resolves plain links without the URL parser.
//!
//! What the parser does with most links of a site is little: take the base's folder, and heed
//! `..`. Here that takes 40 ns a link in place of 250, a twentieth of a crawl's processor
//! time. Anything out of the ordinary is left to the parser, whose word counts; the two are
//! compared on random links.

use crawl_ckpt::canonical::{is_canonical, is_canonical_path};
use memchr::memchr;
use url::{Position, Url};

/// Resolves a link as browsers do: too many slashes before a host are two (URL standard, "special
/// authority ignore slashes"), which the parser knows only behind a scheme.
///
/// # Errors
/// When it is no URL.
pub fn resolve(options: url::ParseOptions<'_>, href: &str) -> Result<Url, url::ParseError> {
    let trimmed = href.trim_start_matches(|c: char| c <= ' ');
    let rest = trimmed.trim_start_matches(['/', '\\']);
    match trimmed.len() - rest.len() {
        0..=2 => options.parse(href),
        more => options.parse(&trimmed[more - 2..]),
    }
}

/// Where relative links of a page start from.
#[derive(Debug)]
pub struct Folder<'b> {
    /// The base URL up to the last `/` of its path.
    text: &'b str,
    /// Where its path begins.
    root: usize,
}

impl<'b> Folder<'b> {
    /// The folder of a base URL; `None` when it has no such path.
    pub fn of(base: &'b Url) -> Option<Folder<'b>> {
        let text = &base[..Position::AfterPath];
        let root = base[..Position::BeforePath].len();
        let is_web = matches!(base.scheme(), "http" | "https");
        let end = text.rfind('/').filter(|end| is_web && *end >= root)?;
        Some(Folder {
            text: &text[..=end],
            root,
        })
    }

    /// Appends the target of a link, as it is written but for its fragment, to `out`.
    /// False when the parser must say what it is; `out` is then as it was.
    #[inline]
    pub fn resolve(&self, href: &[u8], out: &mut String) -> bool {
        let Ok(link) = str::from_utf8(href) else {
            return false;
        };
        // A `&` may begin a character reference, two slashes begin a host.
        if href.is_empty() || memchr(b'&', href).is_some() || link.starts_with("//") {
            return false;
        }
        // Without a colon there is no scheme, and it is relative.
        if memchr(b':', href).is_some() {
            let is_whole = is_canonical(href);
            if is_whole {
                out.push_str(link);
            }
            return is_whole;
        }
        if link.starts_with('?') {
            return false;
        }
        let (folder, path) = self.below(link);
        let start = out.len();
        out.push_str(folder);
        out.push_str(path);
        let is_plain = is_canonical_path(&out.as_bytes()[start + folder.len() - 1..]);
        if !is_plain {
            out.truncate(start);
        }
        is_plain
    }

    /// The folder in which a relative link leads, and its way from there.
    #[inline]
    fn below<'l>(&self, link: &'l str) -> (&'b str, &'l str) {
        let (mut folder, mut path) = match link.strip_prefix('/') {
            Some(path) => (&self.text[..=self.root], path),
            None => (self.text, link),
        };
        loop {
            if let Some(beside) = path.strip_prefix("../") {
                folder = self.parent(folder);
                path = beside;
            } else if let Some(here) = path.strip_prefix("./") {
                path = here;
            } else {
                return (folder, path);
            }
        }
    }

    /// What `..` leads to.
    fn parent<'f>(&self, folder: &'f str) -> &'f str {
        let above = folder[self.root..folder.len() - 1].rfind('/');
        &folder[..=self.root + above.unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASES: [&str; 8] = [
        "http://h.example",
        "http://h.example/a",
        "https://h.example/a/b/c?q/r",
        "http://u:p@h.example:8080/a//b/",
        "http://h.example//",
        "http://[::1]/a/%2e/x",
        "http://h.example/a/?x/y#/z",
        "http://h.example/%2E%2E/",
    ];

    fn check(base: &str, href: &str) -> bool {
        let base = Url::parse(base).unwrap();
        let mut out = "before ".to_owned();
        let resolved = Folder::of(&base)
            .unwrap()
            .resolve(href.as_bytes(), &mut out);
        if resolved {
            let want = base.join(href).unwrap();
            assert_eq!(&out[7..], want.as_str(), "{href} at {base}");
        } else {
            assert_eq!(out, "before ");
        }
        resolved
    }

    #[test]
    fn it_says_what_the_parser_says() {
        let mut seed = 1_u64;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % below
        };
        let pieces = [
            "/",
            "/",
            "/",
            ".",
            ".",
            "..",
            "a",
            "b.html",
            "?",
            "=",
            "&",
            ":",
            "%2e",
            "%",
            "\\",
            "//",
            "http:",
            "http://o.example/",
            "é",
            " ",
            "'",
            "\t",
            "~",
            "@",
            "|",
            "^",
            "*",
            "x y",
            ";",
        ];
        let mut resolved = 0;
        for _ in 0..200_000 {
            let count = random(8);
            let href: String = (0..count).map(|_| pieces[random(pieces.len())]).collect();
            resolved += usize::from(check(BASES[random(BASES.len())], &href));
        }
        assert!(resolved > 10_000, "{resolved}");
    }

    #[test]
    fn too_many_slashes_before_a_host_are_two() {
        let base = Url::parse(BASES[2]).unwrap();
        let options = Url::options().base_url(Some(&base));
        for href in [
            "///o.example/x",
            " ////o.example/x",
            "/\\/o.example/x",
            "//o.example/x",
        ] {
            assert_eq!(
                resolve(options, href).unwrap().as_str(),
                "https://o.example/x"
            );
        }
        assert!(resolve(options, "///").is_err() && resolve(options, "///:80/").is_err());
        assert_eq!(resolve(options, "/x///").unwrap().path(), "/x///");
    }

    #[test]
    fn plain_links_are_resolved_and_others_left_alone() {
        for plain in [
            "x",
            "../x",
            "/x/y",
            "a?b=%20?",
            "../../../..//x",
            "./",
            "a//b",
            "./../x",
            "http://o.example/x%C3:",
        ] {
            assert!(check(BASES[2], plain), "{plain}");
        }
        for other in [
            "",
            "?q",
            "//o.example/",
            "a:x",
            "%2e",
            "a b",
            "a\\b",
            "a?'",
            "a&b",
            "http:x",
            "http://o.example/?a&amp;b",
        ] {
            assert!(!check(BASES[2], other), "{other}");
        }
        assert!(Folder::of(&Url::parse("data:text/html,x").unwrap()).is_none());
    }
}
