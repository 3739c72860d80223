//! The spider's own parser: `parse`, `parse_jobs`, `parse_timeout`.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crawl_ckpt::keys::{Elsewhere, seconds, whole};
use crawl_ckpt::limits::{PARSE_JOBS, PARSE_TIMEOUT};
use crawl_ckpt::node::{Complaint, Fields, Kept, Node};
use crawl_ckpt::tool::quoted;
use serde_json::json;

use crate::tools::resolve;

/// A program that pages go through.
#[derive(Debug, Clone, PartialEq)]
pub struct Parser {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Where it runs: beside the spider file, so that the two can lie anywhere together.
    pub dir: PathBuf,
    /// `parse_jobs`: copies at once.
    pub jobs: u32,
    /// `parse_timeout`: how long a page may take.
    pub timeout: Duration,
}

impl fmt::Display for Parser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.command.iter().map(|word| quoted(word)).collect();
        write!(f, "{} (in {}", words.join(" "), self.dir.display())?;
        match self.jobs {
            1 => f.write_str(")"),
            jobs => write!(f, ", {jobs} copies)"),
        }
    }
}

crawl_ckpt::keys! {
    /// What a spider file says of its parser.
    #[derive(Debug)]
    pub(super) struct Parse {
        /// A program that pages go through, and its arguments: result lines with body in, result lines
        /// out. It runs in the spider file's directory; a program with a / in its name is looked for
        /// there, one without on PATH.
        command: Kept = "parse",
            Elsewhere(json!({"type": "array", "minItems": 1, "items": {"type": "string"}})),
            ["sh", "parse.sh"];
        /// Copies of the parser at once.
        jobs: u32 = "parse_jobs", whole(PARSE_JOBS), 2;
        /// Seconds that the oldest page of a parser may wait for its answer.
        timeout: Duration = "parse_timeout", seconds(PARSE_TIMEOUT), 300;
    }
}

/// Reads the keys; `dir` is where the spider file lies.
pub fn parser(fields: &mut Fields<'_>, dir: &Path) -> Result<Option<Parser>, Complaint> {
    let parse = Parse::read(fields)?;
    let Some(command) = parse.command else {
        let mut strays = ["parse_jobs", "parse_timeout"].into_iter();
        return match strays.find_map(|key| fields.get(key)) {
            Some(stray) => Err(stray.complaint("makes no sense without `parse`")),
            None => Ok(None),
        };
    };
    Ok(Some(Parser {
        command: words(&command.node(), dir)?,
        dir: dir.to_owned(),
        jobs: parse.jobs.unwrap_or(PARSE_JOBS.default),
        timeout: parse.timeout.unwrap_or(PARSE_TIMEOUT.default),
    }))
}

fn words(node: &Node<'_>, dir: &Path) -> Result<Vec<String>, Complaint> {
    let what = "a program and its arguments, such as [\"python3\", \"parse.py\"]";
    let nodes = node.list(what)?;
    let Some(first) = nodes.first() else {
        return Err(node.expected(what));
    };
    let words = nodes.iter().map(|node| Ok(node.string("text")?.to_owned()));
    let words: Vec<String> = words.collect::<Result<_, _>>()?;
    // A name with a `/` is looked for beside the spider file, another on PATH.
    let program = if words[0].contains('/') {
        dir.join(&words[0])
    } else {
        PathBuf::from(&words[0])
    };
    let path = env::var_os("PATH").unwrap_or_default();
    match resolve(&program, &path) {
        Some(_) => Ok(words),
        None if words[0].contains('/') => {
            let here = dir.display();
            Err(first.expected(format_args!("a program that is there, seen from {here}")))
        }
        None => {
            Err(first.expected("a program on PATH (one beside the spider file begins with ./)"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn read(value: Value) -> Result<Option<Parser>, String> {
        let mut fields = Node::root(&value).object().unwrap();
        parser(&mut fields, Path::new("/bin")).map_err(|e| e.to_string())
    }

    #[test]
    fn a_program_is_looked_for_beside_the_spider_or_on_the_path() {
        let got = read(json!({"parse": ["./sh", "x"], "parse_jobs": 3, "parse_timeout": 0.5}));
        let want = Parser {
            command: vec!["./sh".into(), "x".into()],
            dir: "/bin".into(),
            jobs: 3,
            timeout: Duration::from_millis(500),
        };
        assert_eq!(got, Ok(Some(want)));
        assert_eq!(read(json!({"parse": ["sh"]})).unwrap().unwrap().jobs, 1);
        assert_eq!(read(json!({})), Ok(None));
    }

    #[test]
    fn what_cannot_be_started_is_named_by_its_path() {
        for (bad, path) in [
            (json!({"parse": []}), "$.parse"),
            (json!({"parse": "sh"}), "$.parse"),
            (json!({"parse": ["sh", 1]}), "$.parse[1]"),
            (json!({"parse": ["no-such-program"]}), "$.parse[0]"),
            (json!({"parse": ["./no-such-program"]}), "$.parse[0]"),
            (json!({"parse": [""]}), "$.parse[0]"),
            (json!({"parse": ["sh"], "parse_jobs": 0}), "$.parse_jobs"),
            (
                json!({"parse": ["sh"], "parse_timeout": 0}),
                "$.parse_timeout",
            ),
            (json!({"parse_jobs": 2}), "$.parse_jobs"),
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.starts_with(&format!("{path}: ")), "{path}: {error}");
        }
    }
}
