//! Regular expressions of spider files, as Python's `re` searches them.
//!
//! An engine that never goes back searches nearly all of them, in one pass. What it cannot read
//! (look-around, back-references) is left to one that does, and that gives up after some steps.

mod python;

use std::fmt;

use regex::{RegexSet, RegexSetBuilder};

/// How often a search in a URL goes back at most: some milliseconds.
const MAX_STEPS: usize = 100_000;
/// The most steps for texts of pages, which are longer.
const MAX_TEXT_STEPS: usize = 1_000_000;
/// A compiled expression takes no more memory than this.
const MAX_BYTES: usize = 10 << 20;

/// One expression.
#[derive(Debug, Clone)]
pub struct Pattern(Engine);

#[derive(Debug, Clone)]
enum Engine {
    Quick(regex::Regex),
    Back(Box<fancy_regex::Regex>),
}

/// A search that went back too often: whether there is a match is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pattern takes too long to be searched")
    }
}

impl std::error::Error for TooLong {}

impl Pattern {
    /// Compiles an expression that is searched in URLs.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn compile(pattern: &str) -> Result<Pattern, String> {
        Pattern::within(pattern, MAX_STEPS)
    }

    /// Compiles an expression that is searched in texts of pages.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_texts(pattern: &str) -> Result<Pattern, String> {
        Pattern::within(pattern, MAX_TEXT_STEPS)
    }

    fn within(pattern: &str, steps: usize) -> Result<Pattern, String> {
        let translated = python::translate(pattern)?;
        let text = &translated.text;
        let quick = regex::RegexBuilder::new(text).size_limit(MAX_BYTES).build();
        let error = match quick {
            Ok(quick) if !translated.goes_back => return Ok(Pattern(Engine::Quick(quick))),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        let back = fancy_regex::RegexBuilder::new(text)
            .backtrack_limit(steps)
            .delegate_size_limit(MAX_BYTES)
            .build();
        match (back, error) {
            (Ok(back), _) => Ok(Pattern(Engine::Back(Box::new(back)))),
            // The words of this parser are the better ones, but it knows fewer forms.
            (Err(_), Some(error @ regex::Error::CompiledTooBig(_))) => Err(error.to_string()),
            (Err(error), _) => Err(last_line(&error.to_string())),
        }
    }

    /// Whether the pattern is found in a text.
    ///
    /// # Errors
    /// When it is not known.
    pub fn is_match(&self, text: &str) -> Result<bool, TooLong> {
        match &self.0 {
            Engine::Quick(quick) => Ok(quick.is_match(text)),
            Engine::Back(back) => back.is_match(text).map_err(|_| TooLong),
        }
    }

    /// What a group of the first match matched, for a group that took part; nothing without a
    /// match. In Python `$` stands before a line's end that is the last of a text, too.
    ///
    /// # Errors
    /// When it is not known.
    pub fn group<'t>(
        &self,
        text: &'t str,
        group: usize,
    ) -> Result<Option<Option<&'t str>>, TooLong> {
        match (self.first(text, group)?, text.strip_suffix('\n')) {
            (None, Some(line)) if self.as_str().contains('$') => self.first(line, group),
            (found, _) => Ok(found),
        }
    }

    fn first<'t>(&self, text: &'t str, group: usize) -> Result<Option<Option<&'t str>>, TooLong> {
        Ok(match &self.0 {
            Engine::Quick(quick) => {
                let found = quick.captures(text);
                found.map(|found| found.get(group).map(|part| part.as_str()))
            }
            Engine::Back(back) => {
                let found = back.captures(text).map_err(|_| TooLong)?;
                found.map(|found| found.get(group).map(|part| part.as_str()))
            }
        })
    }

    fn as_str(&self) -> &str {
        match &self.0 {
            Engine::Quick(quick) => quick.as_str(),
            Engine::Back(back) => back.as_str(),
        }
    }

    /// How many groups the pattern has, the whole match among them.
    pub fn groups(&self) -> usize {
        match &self.0 {
            Engine::Quick(quick) => quick.captures_len(),
            Engine::Back(back) => back.captures_len(),
        }
    }

    /// True when searching it may take long.
    pub fn goes_back(&self) -> bool {
        matches!(self.0, Engine::Back(_))
    }
}

/// Several expressions, of which one or another is looked for.
#[derive(Debug, Clone)]
pub struct Patterns {
    quick: RegexSet,
    back: Vec<Pattern>,
}

impl Default for Patterns {
    fn default() -> Patterns {
        Patterns {
            quick: RegexSet::empty(),
            back: Vec::new(),
        }
    }
}

impl Patterns {
    /// Compiles expressions.
    ///
    /// # Errors
    /// The place of a bad one, from 0, and what is wrong with it.
    pub fn compile<S: AsRef<str>>(patterns: &[S]) -> Result<Patterns, (usize, String)> {
        let (mut quick, mut back) = (Vec::new(), Vec::new());
        for (place, pattern) in patterns.iter().enumerate() {
            let compiled = Pattern::compile(pattern.as_ref()).map_err(|why| (place, why))?;
            match compiled.0 {
                Engine::Quick(regex) => quick.push(regex.as_str().to_owned()),
                Engine::Back(_) => back.push(compiled),
            }
        }
        let quick = RegexSetBuilder::new(quick).size_limit(MAX_BYTES).build();
        let quick = quick.map_err(|error| (0, error.to_string()))?;
        Ok(Patterns { quick, back })
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.quick.is_empty() && self.back.is_empty()
    }

    /// Whether one of them is found in a text.
    ///
    /// # Errors
    /// When it is not known.
    pub fn is_match(&self, text: &str) -> Result<bool, TooLong> {
        if self.quick.is_match(text) {
            return Ok(true);
        }
        let mut unknown = None;
        for pattern in &self.back {
            match pattern.is_match(text) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(too_long) => unknown = Some(too_long),
            }
        }
        unknown.map_or(Ok(false), Err)
    }
}

/// The lines before the last one draw the place of the error.
fn last_line(text: &str) -> String {
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, found: &[&str], not_found: &[&str]) {
        let pattern = Pattern::compile(pattern).unwrap();
        for (texts, want) in [(found, true), (not_found, false)] {
            for text in texts {
                assert_eq!(pattern.is_match(text), Ok(want), "{pattern:?} in {text}");
            }
        }
    }

    #[test]
    fn look_around_and_back_references_decide_as_in_python() {
        check(r"/(?!en/)\w+/", &["/de/a"], &["/en/a"]);
        check(r"(?<!-old)\.html$", &["/x.html"], &["/x-old.html"]);
        check(r"^(?=.*a)(?=.*b).*$", &["/ab"], &["/ac"]);
        check(r"/(a|b)/\1", &["/a/a"], &["/a/b"]);
        check(r"/(?P<q>.)x(?P=q)", &["/axa"], &["/axb"]);
        check("/a++a", &[], &["/aaa"]);
        check(r"/(?>a|ab)c", &["/ac"], &["/abc"]);
        check("^(/)?(?(1)b|c)", &["/b", "c"], &["/c", "b"]);
        check("^(?P<n>/)?(?(n)b|c)", &["/b", "c"], &["/c", "b"]);
    }

    #[test]
    fn plain_expressions_never_go_back() {
        for pattern in [
            ".*",
            "/{id}",
            r"\<a\>",
            "[a&&b]",
            r"(?a)/\w+\Z",
            "(?i)/NEWS/",
            "",
        ] {
            assert!(!Pattern::compile(pattern).unwrap().goes_back(), "{pattern}");
        }
    }

    #[test]
    fn a_search_that_would_take_forever_ends_and_says_so() {
        let patterns = Patterns::compile(&[r"^((a|aa)+)\1c", "/sure"]).unwrap();
        let text = "a".repeat(40) + "b";
        assert_eq!(patterns.is_match(&text), Err(TooLong));
        assert_eq!(patterns.is_match(&(text + "/sure")), Ok(true));
    }

    #[test]
    fn a_bad_one_is_named_by_its_place() {
        let (place, why) = Patterns::compile(&["a", "("]).unwrap_err();
        assert_eq!(place, 1);
        assert!(!why.is_empty());
        for bad in ["(?(1)a|b)", r"(a)\2", "(?P=x)", "a{99999}{9}", "[a--b]"] {
            assert!(Pattern::compile(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_group_is_found() {
        let pattern = Pattern::compile(r"(?<=\$)(\d+)(x)?").unwrap();
        assert_eq!(pattern.group("for $99", 1), Ok(Some(Some("99"))));
        assert_eq!(pattern.group("for $99", 2), Ok(Some(None)));
        assert_eq!(pattern.group("for 99", 1), Ok(None));
        assert_eq!(pattern.groups(), 3);
        for (text, found) in [
            ("a b\n", Some(Some("a b"))),
            ("a\nb\n", None),
            ("a\n\n", None),
        ] {
            let pattern = Pattern::of_texts("^(.*)$").unwrap();
            assert_eq!(pattern.group(text, 1), Ok(found), "{text:?}");
        }
    }
}
