//! What crawl-run makes of frontiers that behave in ways that the real one should not.

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

/// A shell script to put in a tool's place.
fn script(folder: &Folder, name: &str, text: &str) -> PathBuf {
    let script = folder.write(name, format!("#!/bin/sh\n{text}\n"));
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("chmod");
    script
}

/// A crawl whose frontier is this shell script and whose fetcher is `cat`.
fn crawl(folder: &Folder, frontier: &str) -> Tool {
    let script = script(folder, "frontier", frontier);
    crawl_run(folder)
        .env("CRAWL_FRONTIER", script)
        .env("CRAWL_FETCH", "cat")
        .arg("http://127.0.0.1:1/")
}

fn ended(reason: &str, counts: &str, records: u64) -> String {
    let progress = format!(r#"{{"counts":{counts},"records":{records},"records_run":{records}}}"#);
    format!(r#"echo '{{"ended":{{"reason":"{reason}","progress":{progress}}}}}' >&3"#)
}

#[test]
fn complete_is_believed_only_when_word_code_and_figures_agree() {
    let all_done = r#"{"seen":2,"done":1,"failed":1}"#;
    let word = |counts, records| ended("complete", counts, records);
    for (script, code) in [
        (format!("{}; exit 0", word(all_done, 2)), 0),
        ("exit 0".into(), 1),
        (format!("{}; exit 1", word(all_done, 2)), 1),
        (format!("{}; kill -KILL $$", word(all_done, 2)), 1),
        (format!("{}; exit 0", word(all_done, 1)), 1),
        (format!("{}; exit 0", word(r#"{"seen":2,"done":1}"#, 1)), 1),
        (
            format!("{}; exit 0", word(r#"{"seen":2,"done":1,"pending":1}"#, 1)),
            1,
        ),
        (format!("{}; exit 0", ended("paused", all_done, 2)), 1),
        ("exit 65".into(), 65),
        ("exit 141".into(), 141),
        ("exit 2".into(), 2),
        ("exit 99".into(), 1),
    ] {
        crawl(&Folder::new(), &script).run().code(code);
    }
}

#[test]
fn the_last_error_of_the_frontier_is_told_once_and_the_rest_as_it_comes() {
    let folder = Folder::new();
    let words = [
        "note",
        "crawl-frontier: cannot write x: no room",
        "hint: make room",
    ];
    let script = format!("printf '{}\\n' >&2; exit 1", words.join("\\n"));
    let done = crawl(&folder, &script).run().code(1);
    let said = done.words();
    assert!(said.contains("\nnote\n"), "{done}");
    assert!(
        said.ends_with("\ncrawl-run: cannot write x: no room\nhint: make room\n"),
        "{done}"
    );
    assert_eq!(said.matches("no room").count(), 1, "{done}");
}

#[test]
fn the_second_signal_does_not_wait_for_a_frontier_that_hangs() {
    let folder = Folder::new();
    let run = crawl(&folder, "read order <&3; echo ready >&2; exec sleep 600").start();
    run.wait_says("ready");
    run.signal_group(Signal::Term);
    run.wait_says("SIGTERM: pausing");
    run.signal_group(Signal::Int);
    run.wait_within(Duration::from_secs(20)).code(143);
}

#[test]
fn a_first_order_longer_than_any_buffer_stops_nobody() {
    let folder = Folder::new();
    let urls: Vec<String> = (0..20_000)
        .map(|n| format!(r#""http://127.0.0.1:1/{n}/{}""#, "x".repeat(50)))
        .collect();
    let text = format!(r#"{{"name": "many", "start_urls": [{}]}}"#, urls.join(","));
    folder.write("many.json", text);
    let script = script(&folder, "deaf", "echo ready >&2; exec sleep 600");
    let run = crawl_run(&folder)
        .env("CRAWL_FRONTIER", script)
        .env("CRAWL_FETCH", "cat")
        .arg("many.json")
        .start();
    run.wait_says("ready");
    run.signal(Signal::Int);
    run.wait_says("SIGINT: pausing");
    run.signal(Signal::Int);
    run.wait_within(Duration::from_secs(20)).code(130);
}

#[test]
fn parked_hosts_end_with_3_and_the_commands_that_approve() {
    let folder = Folder::new();
    let parked = r#""parked":{"a.example":{"urls":7,"why":"5 blocks through datacenter"}}"#;
    let counts = r#"{"seen":8,"done":1,"parked":7}"#;
    let progress = format!(r#"{{"counts":{counts},"records":1,"records_run":1,{parked}}}"#);
    let news = format!(r#"{{"ended":{{"reason":"parked","progress":{progress}}}}}"#);
    let done = crawl(&folder, &format!("echo '{news}' >&3; exit 3"))
        .args(["-q", "--proxy-type=auto"])
        .env("DATACENTER_PROXY_URL", "http://user:secret@d.example")
        .env("RESIDENTIAL_PROXY_URL", "http://user:secret@r.example")
        .run()
        .code(3)
        .says("a.example: 7 URLs wait; 5 blocks through datacenter")
        .never_says("secret");
    let words = done.words();
    let end = "--proxy-type residential http://127.0.0.1:1/ -q\n";
    assert_eq!(words.matches(end).count(), 2, "{done}");
    assert!(
        words.contains("crawl-run --on-proxy-change retry-blocked --proxy-type"),
        "{done}"
    );
}

#[test]
fn a_fetcher_that_dies_is_started_four_times_again() {
    let folder = Folder::new();
    let gone = ended("fetcher_gone", r#"{"seen":1,"pending":1}"#, 0);
    let script =
        format!("read order <&3; echo \"$order\" >>orders; cat >/dev/null; {gone}; exit 1");
    let done = crawl(&folder, &script)
        .env("CRAWL_FETCH", "false")
        .args(["--max-pages", "10", "--max-time", "1h"])
        .run()
        .code(1)
        .says("crawl-fetch ended with exit code 1; starting it again")
        .says("to go on: ");
    assert_eq!(done.words().matches("starting it again").count(), 4);
    assert_eq!(
        folder.read("orders").matches("\"max_records\":10").count(),
        5
    );
}

#[test]
fn the_proxies_that_a_crawl_may_not_use_are_hidden_from_the_fetcher() {
    let folder = Folder::new();
    let script = script(&folder, "fetch", "env >env; cat");
    let crawl = |proxy: &str| {
        let frontier = format!(
            "{}; exit 0",
            ended("complete", "{\"seen\":1,\"done\":1}", 1)
        );
        crawl(&folder, &format!("cat >/dev/null & {frontier}"))
            .env("CRAWL_FETCH", &script)
            .env("DATACENTER_PROXY_URL", "http://d.example")
            .env("RESIDENTIAL_PROXY_URL", "http://r.example")
            .env("HTTPS_PROXY", "http://h.example")
            .args(["--proxy-type", proxy])
            .run()
            .code(0);
        let seen = folder.read("env");
        [
            "DATACENTER_PROXY_URL",
            "RESIDENTIAL_PROXY_URL",
            "HTTPS_PROXY",
        ]
        .map(|name| seen.lines().any(|line| line.starts_with(name)))
    };
    assert_eq!(crawl("auto"), [true, false, true]);
    assert_eq!(crawl("none"), [false, false, false]);
    assert_eq!(crawl("residential"), [false, true, true]);
}
