//! Signals, kills, and fetchers and networks that are gone: nothing is lost and nothing doubled.

use super::*;

const LINKS: [&str; 3] = [
    "http://site.example/a",
    "http://site.example/b",
    "http://site.example/c",
];

fn three_in_flight(folder: &Folder) -> (Running, Vec<Value>) {
    let mut run = serve(folder, &[]);
    let first = requests(&run, 1);
    let links = [
        "http://site.example/a",
        "http://site.example/b",
        "http://site.example/c",
    ];
    send(&mut run, &page(&first[0], &links));
    let all = requests(&run, 4);
    (run, all)
}

fn finish(folder: &Folder, expected: usize) {
    let mut run = serve(folder, &[]);
    let rest = requests(&run, expected);
    for request in &rest {
        send(&mut run, &page(request, &[]));
    }
    run.wait().code(0);
    assert_eq!(records(folder).len(), 4);
}

/// Whoever is started from here ignores it as well then.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & 1 != 0)
}

#[test]
fn a_signal_waits_for_what_is_under_way() {
    let signals = [(Signal::Int, 130), (Signal::Term, 143), (Signal::Hup, 129)];
    for (signal, code) in signals {
        if matches!(signal, Signal::Hup) && is_hangup_ignored() {
            support::skipped("SIGHUP is ignored here, as under nohup");
            continue;
        }
        let folder = Folder::new();
        let (mut run, all) = three_in_flight(&folder);
        run.signal(signal);
        run.wait_says("pausing");
        send(&mut run, &page(&all[1], &["http://site.example/d"]));
        send(&mut run, &page(&all[2], &[]));
        send(&mut run, &page(&all[3], &[]));
        run.wait().code(code);
        assert_eq!(records(&folder).len(), 4);
        let mut run = serve(&folder, &[]);
        let rest = requests(&run, 1);
        assert_eq!(rest[0]["url"], "http://site.example/d");
        send(&mut run, &page(&rest[0], &[]));
        run.wait().code(0);
    }
}

#[test]
fn a_hangup_that_was_ignored_at_the_start_does_not_pause() {
    let folder = Folder::new();
    let serve = "serve --job job --start http://site.example/ --output out.jsonl";
    let script = format!(
        "trap '' HUP; exec '{}' {serve}",
        support::bin("crawl-frontier").display()
    );
    let mut run = Tool::program("sh")
        .dir(&folder)
        .args(["-c", &script])
        .start();
    let start = requests(&run, 1);
    run.signal(Signal::Hup);
    send(&mut run, &page(&start[0], &["http://site.example/d"]));
    // Paused, it would ask for nothing more.
    let all = requests(&run, 2);
    send(&mut run, &page(&all[1], &[]));
    run.wait().code(0).never_says("pausing");
}

#[test]
fn a_second_signal_does_not_wait_and_loses_nothing() {
    let folder = Folder::new();
    let (run, _) = three_in_flight(&folder);
    run.signal(Signal::Int);
    run.wait_says("pausing");
    run.signal(Signal::Int);
    run.wait().code(130);
    finish(&folder, 3);
}

#[test]
fn a_kill_loses_nothing_and_doubles_nothing() {
    let folder = Folder::new();
    let (mut run, all) = three_in_flight(&folder);
    send(&mut run, &page(&all[1], &[]));
    // Its commit is durable when the record can be read.
    while folder.read("out.jsonl").lines().count() < 2 {
        std::thread::yield_now();
    }
    run.signal(Signal::Kill);
    assert_eq!(run.wait().signal(), Some(9));
    let run = serve(&folder, &[]);
    // What the kill left uncommitted is asked for again, perhaps all of it.
    answer_all(run, |request| {
        if request["url"] == START {
            page(request, &LINKS)
        } else {
            page(request, &[])
        }
    })
    .code(0);
    assert_eq!(records(&folder).len(), 4);
}

#[test]
fn a_fetcher_that_is_gone_is_not_the_end_of_the_crawl() {
    let folder = Folder::new();
    let (mut run, _) = three_in_flight(&folder);
    run.close_stdin();
    run.wait().code(1).says("with 3 requests in flight");
    finish(&folder, 3);
}

#[test]
fn a_torn_result_at_the_end_counts_for_nothing() {
    let folder = Folder::new();
    let (mut run, all) = three_in_flight(&folder);
    let answer = page(&all[1], &[]).to_string();
    run.feed(answer.as_bytes()[..answer.len() / 2].to_vec());
    run.wait().code(1);
    finish(&folder, 3);
}

#[test]
fn no_answer_at_all_keeps_everything_pending() {
    let folder = Folder::new();
    let mut run = serve(&folder, &["--retries", "0"]);
    let first = requests(&run, 1);
    send(&mut run, &error(&first[0], "dns"));
    run.wait().code(1).says("no start URL ever answered");
    assert_eq!(stat(&folder)["pending"], 1);
    assert!(records(&folder).is_empty());
}

#[test]
fn a_network_that_is_gone_costs_no_url() {
    let folder = Folder::new();
    let mut run = serve(&folder, &["--retries", "0", "--outage", "1s"]);
    let first = requests(&run, 1);
    send(&mut run, &page(&first[0], &["http://site.example/a"]));
    let all = requests(&run, 2);
    send(&mut run, &error(&all[1], "connect"));
    // Only a probe can tell now, for a page that was answered; nobody answers it.
    let probe = requests(&run, 3);
    assert_eq!(probe[2]["url"], START);
    assert_eq!(probe[2].get("kind"), None);
    send(&mut run, &error(&probe[2], "connect"));
    run.wait_says("the network is gone");
    run.wait().code(1);
    assert_eq!(records(&folder).len(), 1);
    assert_eq!(stat(&folder)["pending"], 1);
}

#[test]
fn a_dead_host_fails_for_good_when_others_answer() {
    let folder = Folder::new();
    let mut run = serve(
        &folder,
        &["--retries", "0", "--start", "http://dead.example/"],
    );
    let first = requests(&run, 2);
    send(&mut run, &page(&first[0], &[]));
    send(&mut run, &error(&first[1], "dns"));
    // The other answered a moment ago, so nobody needs to be asked whether there is a network.
    run.wait().code(0);
    assert_eq!(
        records(&folder)["http://dead.example/"]["error"]["kind"],
        "dns"
    );
}

/// A FIFO that is full, so that the first word that a tool writes to it waits for somebody who reads.
fn full_pipe(folder: &Folder) -> (std::path::PathBuf, std::fs::File) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = folder.join("words");
    Tool::program("mkfifo").arg(&path).run().code(0);
    let mut pipe = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32)
        .open(&path)
        .unwrap();
    while pipe.write(&[b'\n'; 4096]).is_ok() {}
    (path, pipe)
}

#[test]
fn a_signal_ends_what_only_makes_the_next_start_quicker() {
    // So much that a clean end writes an image.
    let path = "x".repeat(1000);
    let links: Vec<String> = (0..20_000)
        .map(|n| format!("http://site.example/{n}/{path}"))
        .collect();
    let links: Vec<&str> = links.iter().map(String::as_str).collect();
    for is_hurried in [false, true] {
        let folder = Folder::new();
        let (words, mut pipe) = full_pipe(&folder);
        let script = format!(
            "exec '{}' serve --job job --start {START} --in-flight 1 2>'{}'",
            support::bin("crawl-frontier").display(),
            words.display()
        );
        let mut run = Tool::program("sh")
            .dir(&folder)
            .args(["-c", &script])
            .start();
        let start = requests(&run, 1);
        send(&mut run, &page(&start[0], &links));
        requests(&run, 2);
        // The results end, and so does the run: it says that it tidies up, and waits for a reader.
        run.close_stdin();
        if is_hurried {
            // Whatever it is at, the second one means that nothing is worth a wait.
            run.signal(Signal::Term);
            run.signal(Signal::Int);
        }
        while run.status().is_none() {
            let mut bytes = [0; 4096];
            let _ = std::io::Read::read(&mut pipe, &mut bytes);
            std::thread::yield_now();
        }
        assert_eq!(folder.join("job/image").exists(), !is_hurried);
        assert!(!folder.join("job/image.tmp").exists());
        let stat = stat(&folder);
        assert_eq!((&stat["seen"], &stat["done"]), (&json!(20_001), &json!(1)));
        let again = frontier(&folder).args(["serve", "--job", "job"]).start();
        requests(&again, 1);
    }
}
