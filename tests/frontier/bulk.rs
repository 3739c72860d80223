//! `add`, `seen` and `canon`: lists of requests in, canonical URLs and fingerprints out.

use super::*;

fn add(folder: &Folder, lines: &str) -> Done {
    frontier(folder)
        .args(["add", "--job", "job", "--print-new"])
        .stdin(lines)
        .run()
        .code(0)
}

#[test]
fn only_new_requests_are_kept_and_printed() {
    let folder = Folder::new();
    let lines = "http://a.example/\nHTTP://A.example:80/#x\nnonsense\n\n\
                 {\"url\":\"http://a.example/\",\"method\":\"POST\",\"priority\":5}\n";
    let done = add(&folder, lines);
    assert_eq!(done.lines().len(), 2);
    done.says("added 2, duplicate 1, invalid 1")
        .says("line 3 is left out");
    add(&folder, lines)
        .prints("")
        .says("added 0, duplicate 3, invalid 1");
    let pending = frontier(&folder)
        .args(["export", "--job", "job"])
        .run()
        .code(0)
        .lines();
    let pending: Vec<Value> = pending
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    // The higher priority goes first.
    assert_eq!(pending[0]["method"], "POST");
    assert_eq!(pending[1]["url"], "http://a.example/");
}

#[test]
fn a_method_that_all_know_is_the_same_in_any_case() {
    let folder = Folder::new();
    let of =
        |method: &str| json!({"url": "http://a.example/", "method": method}).to_string() + "\n";
    let lines = [
        "http://a.example/\n",
        &of("get"),
        &of("POST"),
        &of("post"),
        &of("Patch"),
        &of("PATCH"),
    ];
    add(&folder, &lines.concat()).says("added 4, duplicate 2, invalid 0");
}

#[test]
fn what_was_added_is_seen_in_its_canonical_form() {
    let folder = Folder::new();
    add(&folder, "http://a.example/%7ex\n");
    let urls = "http://A.example/%7Ex\nhttp://a.example/y\n";
    let seen = frontier(&folder)
        .args(["seen", "--job", "job"])
        .stdin(urls)
        .run()
        .code(0);
    assert_eq!(seen.lines(), ["http://A.example/%7Ex"]);
    let rest = frontier(&folder)
        .args(["seen", "-v", "--job", "job"])
        .stdin(urls)
        .run()
        .code(0);
    assert_eq!(rest.lines(), ["http://a.example/y"]);
}

#[test]
fn a_job_that_was_added_to_is_served_and_stays_on_its_hosts() {
    let folder = Folder::new();
    add(&folder, "http://a.example/1\nhttp://b.example/2\n");
    let mut run = frontier(&folder).args(["serve", "--job", "job"]).start();
    let first = requests(&run, 2);
    send(
        &mut run,
        &page(&first[0], &["http://c.example/", "http://b.example/3"]),
    );
    let all = requests(&run, 3);
    assert_eq!(all[2]["url"], "http://b.example/3");
    send(&mut run, &page(&all[1], &[]));
    send(&mut run, &page(&all[2], &[]));
    run.wait().code(0);
}

#[test]
fn ten_thousand_lines_go_in_once() {
    let folder = Folder::new();
    let lines: String = (0..10_000)
        .map(|n| format!("http://h{}.example/{n}\n", n % 100))
        .collect();
    assert_eq!(add(&folder, &lines).lines().len(), 10_000);
    add(&folder, &lines)
        .prints("")
        .says("added 0, duplicate 10000, invalid 0");
    let stat = stat(&folder);
    assert_eq!(
        (&stat["pending"], &stat["hosts"]),
        (&json!(10_000), &json!(100))
    );
}

#[test]
fn a_job_that_is_held_is_left_alone() {
    let folder = Folder::new();
    let run = serve(&folder, &[]);
    requests(&run, 1);
    let add = frontier(&folder)
        .args(["add", "--job", "job"])
        .stdin("http://a.example/\n");
    add.run().code(75).says(&format!("pid {}", run.pid()));
    run.signal(Signal::Int);
    run.wait_says("pausing");
    run.signal(Signal::Int);
    run.wait().code(130);
}

#[test]
fn canon_prints_the_form_and_the_fingerprint() {
    let folder = Folder::new();
    let urls = b"http://A.example\nno url\nhttp://b.example/\xe4\n";
    let done = frontier(&folder)
        .arg("canon")
        .stdin(urls)
        .run()
        .code(1)
        .says("no url")
        .says("it is not UTF-8");
    assert_eq!(done.lines().len(), 1, "{done}");
    let fields: Vec<String> = done.text().trim().split('\t').map(str::to_owned).collect();
    assert_eq!(fields[0], "http://a.example/");
    assert_eq!(fields[1].len(), 32);
}

/// More than `--memory 4M` holds, so that most of it is put on the disk.
const MANY: usize = 150_000;

fn many() -> String {
    // So long that an image is worth it.
    let path = "x".repeat(100);
    let lines = (0..MANY).map(|n| format!("http://h{}.example/{n}/{path}\n", n % 7));
    lines.collect()
}

/// More than is at hand of each host.
const FIRST: usize = 5000;

/// The first requests that a job sends, which are pending again when it is paused.
fn first_sent(folder: &Folder, job: &str, memory: &str) -> Vec<String> {
    let many = FIRST.to_string();
    let run = frontier(folder)
        .args(["serve", "--job", job, "--memory", memory, "--grace", "0s"])
        .args(["--in-flight", &many, "--per-host", &many])
        .start();
    let lines = run.wait_lines(FIRST);
    run.signal(Signal::Term);
    run.wait();
    lines
}

fn add_within(folder: &Folder, job: &str, memory: &str, lines: &str) -> Done {
    let args = ["add", "--job", job, "--memory", memory];
    frontier(folder).args(args).stdin(lines).run().code(0)
}

#[test]
fn a_set_that_outgrows_its_memory_lies_on_the_disk_and_stays_exact() {
    let folder = Folder::new();
    let lines = many();
    for (job, memory) in [("small", "4M"), ("large", "1G")] {
        add_within(&folder, job, memory, &lines).says(&format!("added {MANY}, duplicate 0"));
        add_within(&folder, job, memory, &lines).says(&format!("added 0, duplicate {MANY}"));
        let more = format!("http://new.example/\n{}\n", lines.lines().nth(3).unwrap());
        add_within(&folder, job, memory, &more).says("added 1, duplicate 1");
    }
    let parts = |job: &str| {
        let files = folder.files();
        let parts = files.iter().filter(|path| path.starts_with(job));
        let parts = parts.filter(|path| path.to_string_lossy().contains("/seen-"));
        parts.cloned().collect::<Vec<_>>()
    };
    assert_eq!(
        (parts("small").is_empty(), parts("large").len()),
        (false, 0)
    );

    // All that looks at a job sees the same.
    let look = |job: &str, command: &[&str], input: &str| {
        let done = frontier(&folder)
            .args(command)
            .args(["--job", job])
            .stdin(input)
            .run()
            .code(0);
        (
            done.text(),
            String::from_utf8_lossy(&done.stderr).into_owned(),
        )
    };
    let seen: Vec<&str> = lines
        .lines()
        .step_by(1000)
        .chain(["http://new.example/"])
        .collect();
    let seen = seen.join("\n") + "\n";
    let some = format!("http://h3.example/4\n{seen}http://h4.example/3\n");
    assert_eq!(look("small", &["seen"], &some), (seen, String::new()));
    for command in [&["export"][..], &["stat"]] {
        let (small, large) = (look("small", command, ""), look("large", command, ""));
        assert!(
            small.1.is_empty() && small == large,
            "{command:?}: {}",
            small.1
        );
    }
    let exported = look("large", &["export"], "");
    for job in ["small", "large"] {
        assert!(look(job, &["export", "--memory", "1M"], "") == exported);
    }
    let verify = |code| {
        Tool::new("crawl-ckpt")
            .dir(&folder)
            .args(["verify", "--job", "small"])
            .run()
            .code(code)
    };
    assert!(verify(0).text().contains("of what was seen"));

    // A part that is damaged, or gone, is made again out of the journal.
    let part = folder.join(&parts("small")[0]);
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[5000] ^= 1;
    std::fs::write(&part, &bytes).unwrap();
    verify(65).says("damaged");
    std::fs::remove_file(&part).unwrap();
    add_within(&folder, "small", "4M", &lines)
        .says("the journal is read instead")
        .says(&format!("added 0, duplicate {MANY}"));
    verify(0);

    let drop = |job: &str, memory: &str| {
        let args = [
            "drop",
            "--job",
            job,
            "--pattern",
            "/[0-9]*7/",
            "--memory",
            memory,
        ];
        frontier(&folder).args(args).run().code(0).words()
    };
    assert_eq!(drop("small", "1M"), drop("large", "1G"));
    verify(0);
    let exported = look("large", &["export"], "");
    assert!(exported.0.lines().count() < MANY && look("small", &["export"], "") == exported);
}

#[test]
fn what_waits_and_has_no_room_in_memory_is_sent_in_the_same_order() {
    let folder = Folder::new();
    let lines = many();
    let sent = |job: &str, memory: &str| first_sent(&folder, job, memory);
    for (job, memory) in [("small", "4M"), ("large", "1G")] {
        add_within(&folder, job, memory, &lines).says(&format!("added {MANY}"));
    }
    let large = sent("large", "1G");
    assert_eq!(large.len(), FIRST);
    assert!(sent("small", "4M") == large);
    // What was sent is pending again, and goes first.
    assert!(sent("small", "4M") == sent("large", "1G"));
    // Out of the journal it is as it was in the beginning.
    std::fs::remove_file(folder.join("small/image")).unwrap();
    assert!(sent("small", "4M") == large);
    let names = std::fs::read_dir(folder.join("small")).unwrap();
    for name in names {
        let name = name.unwrap().file_name().to_string_lossy().into_owned();
        let is_known = ["image", "job.json"].contains(&&*name) || name.contains('-');
        assert!(is_known, "{name}");
    }
}

#[test]
fn what_has_a_priority_and_no_room_in_memory_is_sent_in_the_same_order() {
    let folder = Folder::new();
    // Each has another, or one of few.
    let priority = |n: usize| match n % 2 {
        0 => (n * 7_919 % 1_000_003) as i64 - 500_000,
        _ => (n % 7) as i64 - 3,
    };
    let lines = (0..MANY).map(|n| {
        let url = format!("http://h{}.example/{n}/{}", n % 7, "x".repeat(100));
        json!({"url": url, "priority": priority(n)}).to_string() + "\n"
    });
    let lines: String = lines.collect();
    let sent = |job: &str, memory: &str| first_sent(&folder, job, memory);
    for (job, memory) in [("small", "4M"), ("large", "1G")] {
        add_within(&folder, job, memory, &lines).says(&format!("added {MANY}"));
    }
    let large = sent("large", "1G");
    let first: Value = serde_json::from_str(&large[0]).unwrap();
    assert!(first["priority"].as_i64() > Some(499_000), "{first}");
    assert!(sent("small", "4M") == large);
    // From the image, and out of the journal.
    assert!(sent("small", "4M") == sent("large", "1G"));
    std::fs::remove_file(folder.join("small/image")).unwrap();
    assert!(sent("small", "4M") == large);
}

#[test]
fn rules_that_have_no_room_in_memory_hold_after_a_pause_and_after_a_kill() {
    const HOSTS: usize = 600;
    let folder = Folder::new();
    let urls = |n: usize| format!("http://h{n}.example/ok\nhttp://h{n}.example/no-{n}/x\n");
    let lines: String = (0..HOSTS).map(urls).collect();
    // Of each host others, together twice as much as may be in memory.
    let rules = |url: &str| {
        let host = url.split(['h', '.']).nth(2).unwrap_or_default();
        let more = (0..60).map(|n| format!("Disallow: /{host}-{n}/{n}{host}\n"));
        format!(
            "User-agent: *\nDisallow: /no-{host}/\n{}",
            more.collect::<String>()
        )
    };
    let start = |job: &str, memory: &str| {
        let output = format!("{job}.jsonl");
        let args = [
            "serve", "--job", job, "--memory", memory, "--robots", "--grace", "0s",
        ];
        let more = [
            "--in-flight",
            "5000",
            "--per-host",
            "1",
            "--output",
            &output,
        ];
        frontier(&folder).args(args).args(more).start()
    };
    let mut ends = Vec::new();
    for (job, memory, signal) in [
        ("small", "4M", Signal::Term),
        ("killed", "4M", Signal::Kill),
        ("large", "1G", Signal::Term),
    ] {
        add_within(&folder, job, memory, &lines);
        let mut run = start(job, memory);
        for request in requests(&run, HOSTS) {
            let url = request["url"].as_str().unwrap();
            let mut answer = page(&request, &[]);
            answer["kind"] = json!("robots");
            answer["robots"] = json!(rules(url));
            send(&mut run, &answer);
        }
        // A page of each host: all rules are known now, and are committed with one more answer.
        let pages = requests(&run, 2 * HOSTS);
        send(&mut run, &page(&pages[HOSTS], &[]));
        loop {
            let args = ["stat", "--json", "--job", job];
            let stat: Value =
                serde_json::from_str(&frontier(&folder).args(args).run().code(0).text()).unwrap();
            let finished = ["done", "failed"].map(|key| stat[key].as_u64().unwrap());
            // The page, and the one that its host forbids.
            if finished.into_iter().sum::<u64>() == 2 {
                break;
            }
        }
        run.signal(signal);
        run.wait();
        answer_all(start(job, memory), |request| page(request, &[])).code(0);
        let records = folder.read(&format!("{job}.jsonl"));
        let end = |line: &str| {
            let record: Value = serde_json::from_str(line).unwrap();
            format!(
                "{} {} {}",
                record["url"], record["status"], record["error"]["kind"]
            )
        };
        let mut of_job: Vec<String> = records.lines().map(end).collect();
        of_job.sort();
        ends.push(of_job);
    }
    let forbidden = |end: &&String| end.ends_with("null \"robots\"");
    assert_eq!(ends[0].iter().filter(forbidden).count(), HOSTS);
    assert_eq!(ends[0].len(), 2 * HOSTS);
    assert!(ends[0] == ends[1] && ends[0] == ends[2]);
}

#[test]
fn links_to_what_lies_on_the_disk_are_not_taken_on_again_whatever_stops_the_crawl() {
    let folder = Folder::new();
    let lines = many();
    add_within(&folder, "job", "4M", &lines);
    let known: Vec<&str> = lines.lines().step_by(300).collect();
    let mut seen = MANY as u64;
    for (round, signal) in [Signal::Term, Signal::Kill, Signal::Term]
        .into_iter()
        .enumerate()
    {
        let args = ["serve", "--job", "job", "--memory", "4M", "--grace", "0s"];
        let mut run = frontier(&folder).args(args).start();
        let sent: Value = serde_json::from_str(&run.wait_lines(1)[0]).unwrap();
        let new = [
            format!("http://h1.example/new/{round}"),
            format!("http://h2.example/new/{round}"),
        ];
        let links: Vec<&str> = known
            .iter()
            .copied()
            .chain(new.iter().map(String::as_str))
            .collect();
        send(&mut run, &page(&sent, &links));
        seen += 2;
        // Its commit is durable when it is counted.
        while stat(&folder)["seen"] != seen {
            assert!(stat(&folder)["seen"].as_u64() <= Some(seen));
            std::thread::yield_now();
        }
        run.signal(signal);
        run.wait();
        assert_eq!(stat(&folder)["done"], round as u64 + 1);
    }
    assert!(
        folder
            .files()
            .iter()
            .any(|path| path.to_string_lossy().contains("job/seen-"))
    );
    add_within(&folder, "job", "4M", &lines).says(&format!("added 0, duplicate {MANY}"));
    assert_eq!(stat(&folder)["seen"], seen);
}

#[test]
fn what_does_not_fit_into_memory_is_told_in_words() {
    let folder = Folder::new();
    add(&folder, "http://a.example/\n");
    // A line that alone is longer than what is left.
    let script = format!(
        "ulimit -v 100000; exec '{}' add --job job",
        support::bin("crawl-frontier").display()
    );
    let line = "x".repeat(60 << 20);
    Tool::program("sh")
        .dir(&folder)
        .args(["-c", &script])
        .env("RUST_BACKTRACE", "1")
        .env("MALLOC_ARENA_MAX", "1")
        .stdin(line)
        .run()
        .code(1)
        .says("crawl-frontier: out of memory: ")
        .says("hint: nothing that was committed is lost")
        .never_says("backtrace");
    let stat = stat(&folder);
    assert_eq!(stat["pending"], 1);
}
