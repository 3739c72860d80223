//! The rules of one crawler, small in memory and in a checkpoint: sorted, each without what it
//! has in common with the one before.
//!
//! A wide crawl keeps those of many hosts: 5,500 rules that take 190 KiB in a robots.txt take
//! 55 KiB here, and took 800 KiB as a list of their parts.

use std::fmt::Write;

use memchr::{memchr, memmem};
use serde::{Deserialize, Serialize};

/// Rules as one text. Each is a line: how many bytes of the pattern before it begin its own,
/// `+` or `-` for what it allows or disallows, how much later in the file it stands than that
/// one, a blank, and the rest of its pattern.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rules(Box<str>);

/// A rule as a file has it. In its pattern, which is ASCII without line ends, `*` and a `$` at
/// the end are special and nothing else is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RobotsRule {
    /// The pattern of the paths that the rule is for.
    pub pattern: String,
    /// It disallows. Of two with the same pattern the first counts.
    pub disallow: bool,
    /// The line of the rule in the file, from 1.
    pub line: u32,
}

/// The rule that decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deciding {
    /// It allows.
    pub allow: bool,
    /// The line of the rule that decided.
    pub line: u32,
}

impl Rules {
    /// Of rules in any order.
    pub fn new(mut rules: Vec<RobotsRule>) -> Rules {
        rules.sort_unstable();
        rules.dedup_by(|next, rule| next.pattern == rule.pattern);
        let mut text = String::new();
        let (mut before, mut line) = ("", 0);
        for rule in &rules {
            let shared = common(rule.pattern.as_bytes(), before.as_bytes());
            let sign = if rule.disallow { '-' } else { '+' };
            let later = i64::from(rule.line) - line;
            let rest = &rule.pattern[shared..];
            // Strings take whatever is written.
            let _ = writeln!(text, "{shared}{sign}{later} {rest}");
            (before, line) = (&rule.pattern, i64::from(rule.line));
        }
        Rules(text.into())
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rule with the longest pattern that matches the path, and of two of the same length
    /// the one that allows. What patterns have in common is matched once.
    pub fn deciding(&self, path: &str) -> Option<Deciding> {
        let mut best: Option<((usize, bool), Deciding)> = None;
        let mut walk = Walk::new(path);
        let mut line: i64 = 0;
        let lines = self.0.as_bytes().split(|byte| *byte == b'\n');
        for entry in lines.filter_map(rules_line) {
            line = entry.later.wrapping_add(line);
            let found = walk.matches(entry.shared, entry.rest);
            let rank = (walk.pattern.len(), entry.allow);
            if found && best.is_none_or(|(best, _)| rank > best) {
                let deciding = Deciding {
                    allow: entry.allow,
                    line: line as u32,
                };
                best = Some((rank, deciding));
            }
        }
        best.map(|(_, deciding)| deciding)
    }
}

struct RulesLine<'r> {
    shared: usize,
    allow: bool,
    later: i64,
    rest: &'r [u8],
}

/// A line of the text; `None` for one that this program did not write. All are read for every URL
/// of a host, so as bytes: twice as fast as as strings.
fn rules_line(line: &[u8]) -> Option<RulesLine<'_>> {
    let (shared, line) = number(line)?;
    let (sign, line) = line.split_first()?;
    let earlier = line.first() == Some(&b'-');
    let (later, line) = number(&line[usize::from(earlier)..])?;
    Some(RulesLine {
        shared: shared as usize,
        allow: *sign == b'+',
        later: if earlier { -later } else { later },
        rest: line.strip_prefix(b" ")?,
    })
}

/// The number that the text begins with, and what is behind it.
fn number(text: &[u8]) -> Option<(i64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(digits);
    let add = |number: i64, digit: &u8| number.checked_mul(10)?.checked_add((digit - b'0').into());
    let first = digits.first()?;
    let number = digits[1..].iter().try_fold((first - b'0').into(), add)?;
    Some((number, rest))
}

/// How many bytes both begin with.
fn common(one: &[u8], other: &[u8]) -> usize {
    let pairs = one.iter().zip(other);
    pairs.take_while(|(a, b)| a == b).count()
}

/// Matches pattern after pattern with a path: every part between stars at the leftmost place,
/// which is as good as any other.
struct Walk<'p> {
    path: &'p [u8],
    pattern: Vec<u8>,
    /// Behind the stars of the pattern, and where in the path what is before them ends.
    stars: Vec<(usize, usize)>,
    /// No pattern matches that begins with so many bytes of this one.
    fails: usize,
}

impl<'p> Walk<'p> {
    fn new(path: &'p str) -> Walk<'p> {
        Walk {
            path: path.as_bytes(),
            pattern: Vec::new(),
            stars: Vec::new(),
            fails: usize::MAX,
        }
    }

    /// Goes on to the pattern that shares so many bytes with this one.
    fn matches(&mut self, shared: usize, rest: &[u8]) -> bool {
        self.pattern.truncate(shared);
        self.pattern.extend_from_slice(rest);
        if shared >= self.fails {
            return false;
        }
        self.fails = usize::MAX;
        while self.stars.pop_if(|(behind, _)| *behind > shared).is_some() {}
        let (mut from, mut at) = self.stars.last().copied().unwrap_or_default();
        while let Some(length) = memchr(b'*', &self.pattern[from..]) {
            let end = from + length;
            match self.place(from, end, at) {
                Ok(behind) => at = behind,
                Err(fails) => {
                    self.fails = fails;
                    return false;
                }
            }
            from = end + 1;
            self.stars.push((from, at));
        }
        if let Some((b'$', last)) = self.pattern[from..].split_last() {
            let rest = &self.path[at..];
            return match from {
                0 => rest == last,
                _ => rest.ends_with(last),
            };
        }
        match self.place(from, self.pattern.len(), at) {
            Ok(_) => true,
            Err(fails) => {
                self.fails = fails;
                false
            }
        }
    }

    /// Where a part of the pattern ends in the path, at `at` or behind it; the first part must
    /// begin the path.
    ///
    /// # Errors
    /// How much of the pattern no other that matches can begin with.
    fn place(&self, from: usize, end: usize, at: usize) -> Result<usize, usize> {
        let (part, rest) = (&self.pattern[from..end], &self.path[at..]);
        if from == 0 {
            let same = common(part, rest);
            return (same == part.len()).then_some(same).ok_or(same + 1);
        }
        if part.is_empty() {
            return Ok(at);
        }
        let found = memmem::find(rest, part);
        found.map(|step| at + step + part.len()).ok_or(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(patterns: &[&str]) -> Rules {
        let rule = |(line, pattern): (u32, &&str)| RobotsRule {
            pattern: pattern[1..].to_owned(),
            disallow: pattern.starts_with('-'),
            line,
        };
        Rules::new((1..).zip(patterns).map(rule).collect())
    }

    #[test]
    fn what_rules_have_in_common_is_kept_once() {
        let rules = rules(&["-/a/b/c", "+/a/b/", "-/x", "-/a/b/d$", "+/a/b/c"]);
        let text = "0+2 /a/b/\n5+3 c\n5--1 d$\n1--1 x\n";
        assert_eq!(&*rules.0, text);
        let json = serde_json::to_string(&rules).unwrap();
        assert_eq!(serde_json::from_str::<Rules>(&json).unwrap(), rules);
    }

    #[test]
    fn many_rules_take_little_room() {
        let patterns: Vec<String> = (0..5_500)
            .map(|n| format!("-/private/area/number/{n}/"))
            .collect();
        let lines: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let rules = rules(&lines);
        assert!(rules.0.len() < 64 << 10, "{}", rules.0.len());
        let line = |path: &str| rules.deciding(path).map(|rule| rule.line);
        assert_eq!(line("/private/area/number/4321/x"), Some(4322));
        assert_eq!(line("/private/area/number/5500/x"), None);
    }

    /// What a plain reading of every pattern says.
    fn plainly(patterns: &[String], path: &str) -> Option<(usize, bool)> {
        fn matches(pattern: &[u8], path: &[u8]) -> bool {
            match pattern {
                [] => true,
                [b'$'] => path.is_empty(),
                [b'*', rest @ ..] => (0..=path.len()).any(|at| matches(rest, &path[at..])),
                [byte, rest @ ..] => path.first() == Some(byte) && matches(rest, &path[1..]),
            }
        }
        let holding = patterns
            .iter()
            .filter(|pattern| matches(&pattern.as_bytes()[1..], path.as_bytes()));
        let rank = |pattern: &String| (pattern.len() - 1, pattern.starts_with('+'));
        holding.map(rank).max()
    }

    #[test]
    fn the_rule_that_decides_is_the_one_of_a_plain_reading() {
        let mut seed = 7_u64;
        let mut random = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % below
        };
        let mut decided = 0;
        for _ in 0..3_000 {
            let mut text = |letters: &[u8]| -> String {
                let letters = (0..random(6)).map(|_| char::from(letters[random(letters.len())]));
                letters.collect()
            };
            let patterns: Vec<String> = (0..8)
                .map(|n| {
                    let sign = if n % 2 == 0 { '-' } else { '+' };
                    let end = if n % 3 == 0 { "$" } else { "" };
                    format!("{sign}/{}{end}", text(b"ab/*"))
                })
                .collect();
            let path = format!("/{}", text(b"ab/"));
            let lines: Vec<&str> = patterns.iter().map(String::as_str).collect();
            let found = rules(&lines).deciding(&path);
            let found = found.map(|found| {
                let pattern = &patterns[found.line as usize - 1];
                (pattern.len() - 1, found.allow)
            });
            assert_eq!(found, plainly(&patterns, &path), "{path} by {patterns:?}");
            decided += usize::from(found.is_some());
        }
        assert!(decided > 300, "{decided}");
    }

    #[test]
    fn a_text_of_another_program_is_no_rule() {
        let odd: Rules = serde_json::from_str(r#""x\n9+-1 /b\n-\n0-3 /a\n5 b""#).unwrap();
        let deciding = Deciding {
            allow: false,
            line: 2,
        };
        assert_eq!(odd.deciding("/ab"), Some(deciding));
    }
}
