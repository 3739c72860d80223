//! Journals that are settled while a crawl runs: whenever it is killed, each URL has one record in the end.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::*;

/// Pages of a crawl whose journal is settled several times with `--memory 4M`.
const PAGES: u64 = 20_000;

/// A crawl with a fetcher that answers at once: page n leads to pages 2n + 1 and 2n + 2.
pub(super) struct Quick {
    child: Child,
    requests: BufReader<ChildStdout>,
    /// `None` when no answer comes any more.
    answers: Option<ChildStdin>,
}

impl Quick {
    pub fn start(folder: &Folder) -> Quick {
        let args = "serve --job job --memory 4M --output out.jsonl --in-flight 100 --per-host 100";
        let mut child = Command::new(support::bin("crawl-frontier"))
            .args(args.split(' '))
            .args(["--start", "http://site.example/0"])
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Quick {
            requests: BufReader::new(child.stdout.take().unwrap()),
            answers: child.stdin.take(),
            child,
        }
    }

    /// Answers one request; false when none comes any more.
    pub fn answer(&mut self) -> bool {
        let mut line = String::new();
        if self.requests.read_line(&mut line).unwrap() == 0 {
            return false;
        }
        let request: Value = serde_json::from_str(&line).unwrap();
        let number: u64 = number_of(&request);
        let links: Vec<String> = [2 * number + 1, 2 * number + 2]
            .into_iter()
            .filter(|link| *link < PAGES)
            .map(|link| format!("http://site.example/{link}"))
            .collect();
        let links: Vec<&str> = links.iter().map(String::as_str).collect();
        // Every tenth fails: it stays whole.
        let answer = if number % 10 == 7 {
            let mut gone = page(&request, &[]);
            gone["status"] = json!(404);
            gone["links"] = json!(links);
            gone
        } else {
            page(&request, &links)
        };
        writeln!(self.answers.as_mut().unwrap(), "{answer}").unwrap();
        true
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn number_of(record: &Value) -> u64 {
    let url = record["url"].as_str().unwrap();
    url.rsplit('/').next().unwrap().parse().unwrap()
}

pub(super) fn is_settled(folder: &Folder) -> bool {
    folder.read("job/job.json").contains("stands_for")
}

fn verify(folder: &Folder) -> Done {
    Tool::new("crawl-ckpt")
        .dir(folder)
        .args(["verify", "--job", "job"])
        .run()
}

#[test]
fn a_crawl_that_is_killed_while_its_journal_is_settled_has_one_record_a_url() {
    let folder = Folder::new();
    for answers in [1500, 2500, 3100, 2000] {
        let mut run = Quick::start(&folder);
        for _ in 0..answers {
            assert!(run.answer());
        }
        run.kill();
    }
    // And once more when it is certain that it was settled, and something came after that.
    let mut run = Quick::start(&folder);
    while !is_settled(&folder) {
        assert!(run.answer(), "it was never settled");
    }
    for _ in 0..200 {
        run.answer();
    }
    run.kill();
    assert!(is_settled(&folder));
    verify(&folder).code(0);
    let mut run = Quick::start(&folder);
    while run.answer() {}
    run.answers = None;
    assert!(run.child.wait().unwrap().success());
    assert_eq!(records(&folder).len() as u64, PAGES);
    verify(&folder).code(0);
}
