//! A stderr that nobody reads holds up no tool, and a stdout or stdin that is closed is told.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::time::Duration;

use serde_json::Value;
use support::{Answer, Folder, Running, Signal, Site, Tool};

/// Runs a command whose stderr is a pipe that is full already. It lies in the folder as `full`.
const FULL: &str = "mkfifo full && exec 9<>full &&
dd if=/dev/zero of=full bs=4096 oflag=nonblock 2>dd.out
echo full; exec \"$@\" 2>&9 9>&-";

/// The same for stdout.
const FULL_STDOUT: &str = "mkfifo full && exec 9<>full &&
dd if=/dev/zero of=full bs=4096 oflag=nonblock 2>dd.out
exec \"$@\" >&9 9>&-";

const PAGES: usize = 12;

/// A site whose page `/slow` comes as late as this.
fn site(slow: Duration) -> Site {
    let site = Site::tree(PAGES, 5);
    site.on("/", |_| {
        Answer::html("<a href=/slow>s</a><a href=/p1>p</a>")
    });
    site.on("/slow", move |_| Answer::html("slow").after(slow));
    site
}

fn mute(folder: &Folder, command: &[&str]) -> Running {
    let tool = Tool::program("sh").dir(folder).args(["-c", FULL, "sh"]);
    tool.args(command).start()
}

fn crawl(site: &Site) -> Vec<String> {
    let url = site.url("/");
    [
        "crawl-run",
        &url,
        "-v",
        "--data-dir",
        "data",
        "-o",
        "out.jsonl",
    ]
    .map(String::from)
    .to_vec()
}

fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}

/// The same command with somebody who reads ends the crawl, without a lost or doubled record.
#[track_caller]
fn goes_on(folder: &Folder, site: &Site, command: &[String]) {
    site.on("/slow", |_| Answer::html("slow"));
    Tool::new(&command[0])
        .dir(folder)
        .args(&command[1..])
        .run()
        .code(0);
    let text = folder.read("out.jsonl");
    let url = |line: &str| serde_json::from_str::<Value>(line).unwrap()["url"].to_string();
    let urls: HashSet<String> = text.lines().map(url).collect();
    assert_eq!(urls.len(), text.lines().count());
    assert!(urls.len() > 2, "{text}");
}

#[test]
fn a_crawl_whose_records_nobody_reads_ends_at_a_signal_and_at_its_time() {
    let grace = ["--grace", "100ms"];
    for (time, code) in [(&[][..], 143), (&["--max-time", "3s"], 4)] {
        let (folder, site) = (Folder::new(), site(Duration::ZERO));
        let crawl = ["crawl-run", &site.url("/"), "-o", "-"];
        let tool = Tool::program("sh").dir(&folder);
        let run = tool.args(["-c", FULL_STDOUT, "sh"]).args(crawl);
        let run = run.args(grace).args(time).start();
        if code == 143 {
            site.wait_for_path("/slow");
            run.signal(Signal::Term);
        }
        run.wait().code(code).says("nobody reads");
        let rest = Tool::new(crawl[0]).dir(&folder).args(&crawl[1..]);
        let text = rest.run().code(0).text();
        let url = |line: &str| serde_json::from_str::<Value>(line).unwrap()["url"].to_string();
        let urls: HashSet<String> = text.lines().map(url).collect();
        let asked: HashSet<String> = site.paths().into_iter().collect();
        assert_eq!(urls.len(), asked.len() - 1, "all but robots.txt: {text}");
    }
}

#[test]
fn a_crawl_whose_stderr_nobody_reads_pauses_at_a_signal() {
    let (folder, site) = (Folder::new(), site(Duration::from_secs(2)));
    let command = crawl(&site);
    let run = mute(&folder, &words(&command));
    site.wait_for_path("/slow");
    run.signal(Signal::Int);
    run.wait().code(130);
    goes_on(&folder, &site, &command);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let (folder, site) = (Folder::new(), site(Duration::from_secs(600)));
    let mut command = crawl(&site);
    command.extend(["--grace", "1h"].map(String::from));
    let run = mute(&folder, &words(&command));
    site.wait_for_path("/slow");
    run.signal(Signal::Term);
    run.signal(Signal::Int);
    run.wait().code(143);
    goes_on(&folder, &site, &command);
}

#[test]
fn a_batch_whose_stderr_nobody_reads_pauses_at_a_signal() {
    let (folder, site) = (Folder::new(), site(Duration::from_secs(2)));
    folder.write("list.jsonl", format!("\"{}\"\n", site.url("/")));
    let batch = [
        "crawl-run",
        "batch",
        "list.jsonl",
        "-v",
        "--data-dir",
        "data",
    ];
    let run = mute(&folder, &batch);
    site.wait_for_path("/slow");
    run.signal(Signal::Term);
    run.wait().code(143);
    Tool::new("crawl-run")
        .dir(&folder)
        .args(&batch[1..])
        .run()
        .code(0);
}

#[test]
fn a_frontier_and_a_fetcher_of_a_loop_built_by_hand_pause_at_a_signal() {
    let folder = Folder::new();
    let serve = [
        "crawl-frontier",
        "serve",
        "--job",
        "j",
        "--start",
        "http://127.0.0.1:9/",
    ];
    let run = mute(&folder, &serve);
    run.wait_lines(2);
    run.signal(Signal::Int);
    // Nobody answers, so it waits for its grace.
    run.signal(Signal::Int);
    run.wait().code(130);
    Tool::new("crawl-frontier")
        .dir(&folder)
        .args(["export", "--job", "j"])
        .run()
        .code(0)
        .prints_lines(1);

    let (folder, site) = (Folder::new(), site(Duration::from_secs(600)));
    let mut run = mute(&folder, &["crawl-fetch", "-v", "--insecure"]);
    run.send(&site.url("/slow"));
    site.wait_for_path("/slow");
    run.signal(Signal::Term);
    run.signal(Signal::Term);
    assert!(run.ends_within(support::DEADLINE));
    run.wait().code(143);
}

#[test]
fn the_last_words_come_when_somebody_reads_at_last() {
    let (folder, site) = (Folder::new(), site(Duration::ZERO));
    let command = crawl(&site);
    let run = mute(&folder, &words(&command));
    run.wait_lines(1);
    site.wait_for_path("/slow");
    let mut text = Vec::new();
    // Ends when the tool does: it is the last that has the other end.
    File::open(folder.join("full"))
        .unwrap()
        .read_to_end(&mut text)
        .unwrap();
    run.wait().code(0);
    let text = String::from_utf8_lossy(&text);
    let said = text.trim_start_matches('\0');
    assert!(
        said.starts_with("crawl") || said.starts_with("new "),
        "{said}"
    );
    assert!(said.contains("complete"), "{said}");
}

/// Ends with 1 and says this; nothing was asked of anybody.
#[track_caller]
fn refuses(folder: &Folder, stdin: &str, command: &str, says: &str) {
    let tool = Tool::program("sh").dir(folder).args(["-c", command]);
    tool.stdin(stdin).run().code(1).says(says);
}

#[test]
fn nothing_begins_whose_stdout_or_stdin_is_not_there() {
    let (folder, site) = (Folder::new(), Site::tree(3, 2));
    let url = site.url("/");
    Tool::new("crawl-frontier")
        .dir(&folder)
        .args(["add", "--job", "j"])
        .stdin(&url)
        .run()
        .code(0);
    folder.write(
        "s.json",
        format!(r#"{{"name": "s", "start_urls": ["{url}"]}}"#),
    );
    folder.write("list.jsonl", "\"s.json\"\n");
    let closed = "cannot write to stdout: it is closed";
    for command in [
        "crawl-run s.json -o -",
        "crawl-run s.json --limit 1",
        "crawl-run s.json --check",
        "crawl-run --print-schema",
        "crawl-run s.json --explain http://a/",
        "crawl-run batch list.jsonl --json",
        "crawl-run batch list.jsonl --status",
        "crawl-run --help",
        "crawl-fetch",
        "crawl-frontier add --print-new --job k",
        "crawl-frontier export --job j",
        "crawl-frontier stat --job j",
        "crawl-frontier seen --job j",
        "crawl-frontier canon",
        "crawl-frontier serve --job k --start http://127.0.0.1:9/",
        "crawl-ckpt ls --json",
        "crawl-ckpt show --job j",
        "crawl-ckpt size --job j",
        "crawl-ckpt verify --job j",
    ] {
        refuses(&folder, &url, &format!("{command} >&-"), closed);
        let only_read = format!("{command} 1<s.json");
        refuses(&folder, &url, &only_read, "it is open for reading only");
    }
    for command in [
        "crawl-fetch",
        "crawl-frontier add --job k",
        "crawl-frontier canon",
    ] {
        let closed = "cannot read stdin: it is closed";
        refuses(&folder, "", &format!("{command} <&-"), closed);
    }
    assert_eq!(site.count(), 0);
    assert!(!folder.join("data/default/s/checkpoint").exists());
    assert!(!folder.join("data/default/s/crawls").exists());
    assert!(!folder.join("k").exists());
}

#[test]
fn a_crawl_into_a_file_needs_none_of_them() {
    let (folder, site) = (Folder::new(), Site::tree(3, 2));
    let command = format!("crawl-run {} -o out.jsonl <&- >&- 2>&-", site.url("/"));
    let tool = Tool::program("sh").dir(&folder).args(["-c", &command]);
    tool.run().code(0);
    assert_eq!(folder.read("out.jsonl").lines().count(), 3);
    let command = format!("echo {}x | crawl-frontier add --job j >&-", site.url("/"));
    let tool = Tool::program("sh").dir(&folder).args(["-c", &command]);
    tool.run().code(0).says("added 1");
}
