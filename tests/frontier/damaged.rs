//! Whatever file of a checkpoint is damaged: the crawl goes on with nothing lost and nothing twice, or it is refused in
//! words that name the file and the way out.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::settling::{Quick, is_settled};
use super::*;

/// So many that some of what was seen and of what waits has no room in memory, and that an image is worth it.
const URLS: usize = 150_000;
/// The header of a part is so long …
const HEADER: usize = 64;
/// … and each of its blocks.
const BLOCK: usize = 4096;
/// So many answers come in a run.
const ANSWERS: usize = 40;

fn url(n: usize) -> String {
    format!("http://h{}.example/{n}/{}", n % 10, "x".repeat(100))
}

/// A folder with a job and an output.
struct Ground(Folder);

/// How a run ended.
struct Ended {
    code: Option<i32>,
    words: String,
}

impl Ended {
    #[track_caller]
    fn says(&self, text: &str) -> &Ended {
        assert!(self.words.contains(text), "not {text:?}: {}", self.words);
        self
    }
}

impl Ground {
    /// A long queue whose crawl is paused.
    fn paused() -> Ground {
        let ground = Ground(Folder::new());
        let lines: String = (0..URLS).map(|n| url(n) + "\n").collect();
        let add = ["add", "--job", "job", "--memory", "1M"];
        frontier(&ground.0).args(add).stdin(lines).run().code(0);
        let paused = ground.crawl(Signal::Term);
        assert_eq!(paused.code, Some(143), "{}", paused.words);
        ground
    }

    /// A run that ends with a signal, once some pages are answered, each of which leads to URLs that are known.
    fn crawl(&self, signal: Signal) -> Ended {
        let words = "serve --job job --data-dir . --output out.jsonl --memory 1M --in-flight 20";
        let told = self.0.join("told");
        let mut run = Command::new(support::bin("crawl-frontier"))
            .args(words.split(' '))
            .current_dir(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&told).unwrap())
            .spawn()
            .unwrap();
        let mut answers = run.stdin.take().unwrap();
        let requests = BufReader::new(run.stdout.take().unwrap());
        for (answered, line) in requests.lines().enumerate() {
            if answered == ANSWERS {
                support::send_signal(signal, run.id().into());
            }
            let request: Value = serde_json::from_str(&line.unwrap()).unwrap();
            let links = (0..20).map(|n| url((n * 7_919 + answered * 31) % URLS));
            let links: Vec<String> = links.collect();
            let links: Vec<&str> = links.iter().map(String::as_str).collect();
            // A run that has found damage reads no more.
            let _ = writeln!(answers, "{}", page(&request, &links));
        }
        let code = run.wait().unwrap().code();
        let words = fs::read_to_string(told).unwrap();
        Ended { code, words }
    }

    fn verify(&self) -> Done {
        let tool = Tool::new("crawl-ckpt").dir(&self.0);
        tool.args(["verify", "--job", "job", "--data-dir", "."])
            .run()
    }

    /// Each URL is pending or has a record, and is so once.
    #[track_caller]
    fn is_whole(&self, what: &str) {
        self.verify().code(0);
        let export = ["export", "--job", "job"];
        let pending = frontier(&self.0).args(export).run().code(0).text();
        let mut known: BTreeSet<String> = records(&self.0).into_keys().collect();
        for line in pending.lines() {
            let request: Value = serde_json::from_str(line).unwrap();
            let url = request["url"].as_str().unwrap().to_owned();
            assert!(known.insert(url), "{what}: {line}");
        }
        assert!(
            known
                .into_iter()
                .eq((0..URLS).map(url).collect::<BTreeSet<_>>()),
            "{what}"
        );
    }

    /// The first file of the job whose name begins so.
    #[track_caller]
    fn file(&self, name: &str) -> PathBuf {
        let begins = |path: &Path| path.to_str().unwrap().starts_with(&format!("job/{name}"));
        let found = self.0.files().into_iter().find(|path| begins(path));
        self.0
            .join(found.unwrap_or_else(|| panic!("there is no {name}")))
    }

    /// Another folder with the same in it.
    fn copy(&self) -> Ground {
        let copy = Folder::new();
        for path in self.0.files() {
            let bytes = fs::read(self.0.join(&path)).unwrap();
            copy.write(path.to_str().unwrap(), bytes);
        }
        Ground(copy)
    }
}

/// Where a file is damaged.
#[derive(Debug, Clone, Copy)]
enum Where {
    /// In each block of a part: whoever reads one finds that.
    Blocks,
    /// In what is read of it at a start.
    End,
    Gone,
}

fn damage(file: &Path, place: Where) {
    let mut bytes = fs::read(file).unwrap();
    let len = bytes.len();
    match place {
        Where::Gone => return fs::remove_file(file).unwrap(),
        Where::End => bytes[len - 40] ^= 4,
        Where::Blocks => {
            let end = len - len / BLOCK * 8;
            let blocks = (HEADER + 100..end).step_by(BLOCK);
            blocks.for_each(|at| bytes[at] ^= 4);
        }
    }
    fs::write(file, bytes).unwrap();
}

#[test]
fn without_what_only_saves_time_a_crawl_goes_on_and_nothing_is_lost_or_twice() {
    let paused = Ground::paused();
    let killed = paused.copy();
    killed.crawl(Signal::Kill);
    for (state, name, place) in [
        ("paused", "seen-", Where::Blocks),
        ("paused", "seen-", Where::End),
        ("paused", "seen-", Where::Gone),
        ("paused", "waiting-", Where::Blocks),
        ("paused", "waiting-", Where::End),
        ("paused", "waiting-", Where::Gone),
        ("paused", "image", Where::End),
        ("killed", "seen-", Where::Blocks),
        ("killed", "waiting-", Where::Blocks),
        ("killed", "image", Where::End),
    ] {
        let what = format!("{state}, {name} {place:?}");
        let ground = if state == "paused" { &paused } else { &killed }.copy();
        let file = ground.file(name);
        let path = file.to_str().unwrap();
        damage(&file, place);
        ground.verify().code(65).says(path).says("a resume reads");
        let mut ended = ground.crawl(Signal::Term);
        // What a killed run had sent is looked for in all that waits, at the start.
        let is_swept = (state, name) == ("killed", "waiting-");
        if ended.code == Some(1) && !is_swept {
            // Found when it was read.
            ended.says(path).says("the same command goes on");
            ended = ground.crawl(Signal::Term);
        } else {
            ended.says(path).says("the journal is read instead");
        }
        assert_eq!(ended.code, Some(143), "{what}: {}", ended.words);
        ground.is_whole(&what);
    }
}

#[test]
fn a_closed_journal_or_a_manifest_that_is_damaged_is_refused_with_the_way_out() {
    let folder = Folder::new();
    let mut run = Quick::start(&folder);
    assert!(run.answer());
    while !is_settled(&folder) {
        assert!(run.answer(), "it was never settled");
    }
    run.kill();
    let manifest: Value =
        serde_json::from_str(folder.read("job/job.json").lines().next().unwrap()).unwrap();
    let closed = format!("job/journal-{}", manifest["before"][0]["generation"]);
    for name in [&*closed, "job/job.json"] {
        let file = folder.join(name);
        let sound = fs::read(&file).unwrap();
        let mut bytes = sound.clone();
        bytes[sound.len() / 2] ^= 1;
        for bytes in [Some(bytes), None] {
            match bytes {
                Some(bytes) => fs::write(&file, bytes).unwrap(),
                None => fs::remove_file(&file).unwrap(),
            }
            let serve = ["serve", "--job", "job", "--output", "out.jsonl"];
            let refused = frontier(&folder).args(serve).run().code(65);
            refused
                .says(file.to_str().unwrap())
                .says("hint: crawl-ckpt verify --repair --job ");
        }
        fs::write(&file, sound).unwrap();
    }
}
