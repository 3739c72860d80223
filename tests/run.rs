//! crawl-run from outside.

#![allow(clippy::unwrap_used)]

mod support;

use support::{Folder, Signal, Tool};

/// crawl-run with its data in the folder.
fn crawl_run(folder: &Folder) -> Tool {
    Tool::new("crawl-run").dir(folder)
}

mod usage {
    use super::*;

    #[test]
    fn options_that_make_no_sense_are_one_line_and_exit_2() {
        let folder = Folder::new();
        for words in [
            &["--no-such-option", "http://127.0.0.1:1/"][..],
            &[],
            &["--limit", "0", "http://127.0.0.1:1/"],
            &["--limit", "x", "http://127.0.0.1:1/"],
            &["--max-time", "soon", "http://127.0.0.1:1/"],
            &["--limit", "3", "--fresh", "http://127.0.0.1:1/"],
            &["--header", "no colon", "http://127.0.0.1:1/"],
            &["--project", "../../etc", "http://127.0.0.1:1/"],
            &["--project", "", "http://127.0.0.1:1/"],
            &["--proxy-type", "residential", "http://127.0.0.1:1/"],
            &["ftp://127.0.0.1/"],
            &["http://"],
            &["no-such.json"],
        ] {
            let done = crawl_run(&folder).args(words).run().code(2);
            let words = done.words();
            assert!(words.starts_with("crawl-run: "), "{done}");
            assert!(words.lines().count() <= 2, "{done}");
        }
        assert!(folder.files().is_empty());
    }

    #[test]
    fn help_and_version_are_no_failure() {
        let folder = Folder::new();
        for word in ["-h", "--help", "-V"] {
            crawl_run(&folder)
                .arg(word)
                .run()
                .code(0)
                .prints("crawl-run")
                .is_quiet();
        }
    }

    #[test]
    fn a_spider_whose_name_would_leave_the_data_directory_is_refused() {
        let folder = Folder::new();
        for (n, name) in ["../../etc", "", "/etc", "a/b", &"x".repeat(300)]
            .iter()
            .enumerate()
        {
            let text = format!(r#"{{"name": "{name}", "start_urls": ["http://127.0.0.1:1/"]}}"#);
            let file = folder.write(&format!("{n}.json"), text);
            crawl_run(&folder)
                .arg(file)
                .run()
                .code(2)
                .says("$.name: expected ");
        }
        assert_eq!(folder.files().len(), 5);
    }

    #[test]
    fn a_check_prints_what_would_be_done_and_does_nothing() {
        let folder = Folder::new();
        let text = r#"{"name": "shop", "start_urls": ["http://127.0.0.1:1/"], "rules": [{"allow": "/p/"}]}"#;
        folder.write("shop.json", text);
        crawl_run(&folder)
            .args(["--check", "shop.json"])
            .run()
            .code(0)
            .prints("crawl      default/shop\n")
            .prints("rule       1: `/p/`\n")
            .prints("checkpoint data/default/shop/checkpoint: none, a new crawl begins\n")
            .is_quiet();
        crawl_run(&folder)
            .args(["--check", "shop.json", "--warc", "-o", "all.jsonl"])
            .run()
            .code(0)
            .prints("output     all.jsonl\nwarc       all-warc\n");
        folder.write("shop.json", text.replace("\"/p/\"", "7"));
        let done = crawl_run(&folder).args(["--check", "shop.json"]).run();
        done.code(2)
            .says("$.rules[0].allow: expected a regular expression, found 7");
        assert_eq!(folder.files().len(), 1);
    }

    #[test]
    fn the_schema_of_spider_files_is_json() {
        let folder = Folder::new();
        let done = crawl_run(&folder).arg("--print-schema").run().code(0);
        let schema: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
        assert_eq!(schema["title"], "Spider");
    }

    #[test]
    fn an_unknown_proxy_is_named_with_those_that_are_configured() {
        let folder = Folder::new();
        crawl_run(&folder)
            .args(["--proxy-type", "residential", "http://127.0.0.1:1/"])
            .env("DATACENTER_PROXY_URL", "http://user:secret@127.0.0.1:1")
            .run()
            .code(2)
            .says("'residential' is not configured; configured: datacenter")
            .never_says("secret");
    }

    #[test]
    fn a_missing_tool_is_a_clear_error() {
        let folder = Folder::new();
        crawl_run(&folder)
            .arg("http://127.0.0.1:1/")
            .env("CRAWL_FRONTIER", "cat")
            .env("CRAWL_FETCH", "/nowhere/crawl-fetch")
            .run()
            .code(1)
            .says("cannot find crawl-fetch: $CRAWL_FETCH is /nowhere/crawl-fetch");
        assert!(folder.files().is_empty());
    }
}

/// What crawl-run makes of frontiers that behave in ways that the real one should not.
mod stand_in {
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
        let progress =
            format!(r#"{{"counts":{counts},"records":{records},"records_run":{records}}}"#);
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
            ("exit 2".into(), 1),
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
    fn a_fetcher_that_dies_is_started_three_times_again() {
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
        assert_eq!(done.words().matches("starting it again").count(), 3);
        assert_eq!(
            folder.read("orders").matches("\"max_records\":10").count(),
            4
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
}

/// Crawls with the real tools against a site on loopback.
mod crawl {
    use super::*;
    use std::collections::BTreeSet;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::time::{Duration, Instant};

    use serde_json::{Value, json};
    use support::{Answer, DEADLINE, Running, Site};

    const PAGES: usize = 60;

    /// A site whose pages take a moment, so that a crawl can be met in the middle.
    fn slow_site() -> Site {
        let site = Site::tree(PAGES, 5);
        site.latency(Duration::from_millis(60));
        site
    }

    /// A spider file for the site, with more keys.
    fn spider(folder: &Folder, site: &Site, more: Value) {
        let mut spider = json!({
            "name": "shop",
            "start_urls": [site.url("/")],
            "settings": {"ROBOTSTXT_OBEY": false, "CONCURRENT_REQUESTS_PER_DOMAIN": 4},
        });
        for (key, value) in more.as_object().expect("an object") {
            spider[key] = value.clone();
        }
        folder.write("shop.json", spider.to_string());
    }

    fn shop(folder: &Folder) -> Tool {
        crawl_run(folder).arg("shop.json")
    }

    fn checkpoint(folder: &Folder) -> PathBuf {
        folder.join("data/default/shop/checkpoint")
    }

    /// The output files of the spider, in order.
    fn outputs(folder: &Folder) -> Vec<PathBuf> {
        let crawls = folder.join("data/default/shop/crawls");
        let files = folder.files().into_iter().map(|file| folder.join(file));
        let records = |file: &PathBuf| !file.to_string_lossy().contains(".summary.json");
        files
            .filter(|file| file.starts_with(&crawls) && records(file))
            .collect()
    }

    /// The URLs of the records in a file; each must be there once.
    #[track_caller]
    fn urls(file: &Path) -> BTreeSet<String> {
        let text = std::fs::read_to_string(file).expect("the output");
        let mut urls = BTreeSet::new();
        for line in text.lines() {
            let record: Value = serde_json::from_str(line).expect("a record");
            let url = record["url"].as_str().expect("its URL").to_owned();
            assert!(urls.insert(url.clone()), "{url} is there twice");
        }
        urls
    }

    /// The only output has a record of every page of the tree, and the checkpoint is gone.
    #[track_caller]
    fn is_whole(folder: &Folder) {
        let [output] = &outputs(folder)[..] else {
            panic!("not one output: {:?}", outputs(folder));
        };
        assert_eq!(urls(output).len(), PAGES);
        assert!(!checkpoint(folder).exists());
    }

    /// The process ids of the children of that name.
    fn children(parent: u32, name: &str) -> Vec<u32> {
        let list = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
        let pids = list.unwrap_or_default();
        let pids = pids.split_whitespace().filter_map(|pid| pid.parse().ok());
        pids.filter(|pid| name_of(*pid).is_some_and(|comm| comm == name))
            .collect()
    }

    /// Name of a process; `None` once it is gone, or only waits for its parent to look.
    fn name_of(pid: u32) -> Option<String> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.split_once('(')?;
        let (name, state) = rest.rsplit_once(") ")?;
        (!state.starts_with('Z')).then(|| name.to_owned())
    }

    fn kill(pid: u32) {
        Tool::program("kill")
            .args(["-KILL", &pid.to_string()])
            .run()
            .code(0);
    }

    /// Kills the child of that name in the middle of a crawl.
    #[track_caller]
    fn kill_child(run: &Running, name: &str) {
        let [pid] = children(run.pid(), name)[..] else {
            panic!("not one {name}");
        };
        kill(pid);
    }

    #[test]
    fn a_crawl_ends_with_one_record_a_page_and_no_checkpoint() {
        let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
        spider(&folder, &site, json!({"call_backs": {}}));
        let done = shop(&folder).run().code(0);
        is_whole(&folder);
        done.says("new crawl of default/shop")
            .says("not supported and ignored: $.call_backs")
            .says("complete after ")
            .says("checkpoint removed")
            .prints_just("");
        // The next crawl has a file of its own.
        shop(&folder).arg("-q").run().code(0).is_quiet();
        assert_eq!(outputs(&folder).len(), 2);
    }

    #[test]
    fn a_start_url_alone_is_a_spider_named_after_its_host() {
        let (folder, site) = (Folder::new(), Site::tree(5, 5));
        crawl_run(&folder).arg(site.url("/")).run().code(0);
        let name = format!("127.0.0.1-{}", site.port());
        let crawls = folder.join("data/default").join(name).join("crawls");
        let records = std::fs::read_dir(crawls).expect("crawls").flatten();
        let records = records.filter(|entry| entry.path().extension() == Some("jsonl".as_ref()));
        assert_eq!(records.count(), 1);
    }

    #[test]
    fn a_test_crawl_prints_its_records_and_leaves_nothing_behind() {
        let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
        spider(&folder, &site, json!({}));
        let test = || shop(&folder).args(["--limit", "10"]);
        test().run().code(0).prints_lines(10).says("test crawl");
        assert_eq!(folder.files(), [Path::new("shop.json")]);
        let file = folder.join("test.jsonl");
        test().arg("-o").arg(&file).run().code(0).prints_just("");
        assert_eq!(urls(&file).len(), 10);
        test().arg("-o").arg(&file).run().code(2).says("it exists");
    }

    #[test]
    fn a_test_crawl_whose_reader_goes_away_ends_quietly() {
        let (folder, site) = (Folder::new(), slow_site());
        spider(&folder, &site, json!({}));
        let done = Tool::program("sh")
            .dir(&folder)
            .args([
                "-c",
                "{ crawl-run --limit 50 shop.json; echo $? >&2; } | head -1",
            ])
            .run();
        done.code(0).prints_lines(1).says("141").never_says("hint");
    }

    #[test]
    fn a_second_run_is_refused_at_once_and_a_test_crawl_is_not() {
        let (folder, site) = (Folder::new(), slow_site());
        spider(&folder, &site, json!({}));
        let first = shop(&folder).start();
        site.wait_for(5);
        let begun = Instant::now();
        let pid = format!("pid {} ", first.pid());
        shop(&folder).run().code(75).says(&pid).says("since ");
        shop(&folder).arg("--fresh").run().code(75);
        assert!(begun.elapsed() < DEADLINE);
        shop(&folder)
            .args(["--limit", "2"])
            .run()
            .code(0)
            .prints_lines(2);
        first.wait().code(0);
        is_whole(&folder);
    }

    #[test]
    fn each_signal_pauses_and_the_same_command_goes_on() {
        for (signal, code) in [(Signal::Int, 130), (Signal::Term, 143), (Signal::Hup, 129)] {
            let (folder, site) = (Folder::new(), slow_site());
            spider(&folder, &site, json!({}));
            let run = shop(&folder).start();
            site.wait_for(20);
            run.signal_group(signal);
            let done = run.wait().code(code).says("checkpoint kept");
            let words = done.words();
            assert!(words.contains("/crawl-run shop.json\n"), "{done}");

            let recorded = urls(&outputs(&folder)[0]);
            assert!(!recorded.is_empty() && recorded.len() < PAGES);
            site.clear_log();
            shop(&folder).run().code(0).says("resuming default/shop: ");
            is_whole(&folder);
            let again: Vec<String> = site.paths().iter().map(|path| site.url(path)).collect();
            assert!(again.iter().all(|url| !recorded.contains(url)), "{again:?}");
        }
    }

    #[test]
    fn a_signal_ends_a_run_that_still_waits_for_what_it_is_to_read() {
        let folder = Folder::new();
        let fifo = folder.join("cookies.txt");
        assert!(
            Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        let run = crawl_run(&folder).args(["http://127.0.0.1:9/", "--cookies", "cookies.txt"]);
        let run = run.start();
        // Opens when it is opened for reading, and then nothing comes.
        let _writer = std::fs::File::options().write(true).open(&fifo).unwrap();
        run.signal(Signal::Term);
        run.wait_within(Duration::from_secs(20)).code(143);
        assert!(!folder.join("data").exists());
    }

    #[test]
    fn a_name_that_no_checkpoint_can_hold_is_refused() {
        let folder = Folder::new();
        let name = OsStr::from_bytes(b"o\xff.jsonl");
        let run = crawl_run(&folder).args(["http://127.0.0.1:9/", "-o"]);
        run.arg(name).run().code(2).says("the name is not UTF-8");
        let spider = r#"{"name": "a", "start_urls": ["http://user:hidden@x:99999/"]}"#;
        folder.write("a.json", spider);
        let run = crawl_run(&folder).arg("a.json").run();
        run.code(2).says("$.start_urls[0]: ").never_says("hidden");
    }

    #[test]
    fn a_pause_waits_for_pages_under_way_and_a_second_signal_does_not() {
        let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
        spider(&folder, &site, json!({}));
        site.on("/", |_| Answer::html("<a href=/slow>slow</a>"));
        site.on("/slow", |_| {
            let mut answer = Answer::html("slow");
            answer.delay = Duration::from_secs(3);
            answer
        });
        let run = shop(&folder).start();
        site.wait_for_path("/slow");
        run.signal(Signal::Int);
        run.wait().code(130);
        assert_eq!(urls(&outputs(&folder)[0]).len(), 2);
        // The page under way was the last one, so nothing but the removal is left.
        shop(&folder).run().code(0).says("was complete");

        site.clear_log();
        let run = shop(&folder).args(["--grace", "1h"]).start();
        site.wait_for_path("/slow");
        run.signal_group(Signal::Int);
        run.wait_says("SIGINT: pausing");
        run.signal_group(Signal::Int);
        run.wait().code(130);
        shop(&folder).run().code(0);
        assert_eq!(urls(&outputs(&folder)[1]).len(), 2);
        // Not waited for the second time, so asked for again.
        assert_eq!((site.hits("/"), site.hits("/slow")), (1, 2));
    }

    #[test]
    fn limits_stop_a_run_in_good_order() {
        let (folder, site) = (Folder::new(), slow_site());
        spider(&folder, &site, json!({}));
        let run = || shop(&folder).args(["--max-pages", "20"]);
        run().run().code(4).says("stopped at the limit of this run");
        assert_eq!(urls(&outputs(&folder)[0]).len(), 20);
        run().run().code(4);
        assert_eq!(urls(&outputs(&folder)[0]).len(), 40);
        shop(&folder).args(["--max-time", "200ms"]).run().code(4);
        run().run().code(0);
        is_whole(&folder);
    }

    #[test]
    fn a_fetcher_that_is_killed_is_started_again() {
        let (folder, site) = (Folder::new(), slow_site());
        spider(&folder, &site, json!({}));
        let run = shop(&folder).start();
        site.wait_for(20);
        kill_child(&run, "crawl-fetch");
        run.wait()
            .code(0)
            .says("crawl-fetch was killed by signal 9; starting it again");
        is_whole(&folder);
    }

    #[test]
    fn a_test_crawl_whose_fetcher_is_killed_says_so() {
        let (folder, site) = (Folder::new(), slow_site());
        spider(&folder, &site, json!({}));
        let run = shop(&folder).args(["--limit", "50"]).start();
        site.wait_for(10);
        kill_child(&run, "crawl-fetch");
        run.wait()
            .code(1)
            .says("crawl-fetch was killed by signal 9");
    }

    #[test]
    fn a_frontier_that_is_killed_is_never_taken_for_done() {
        let (folder, site) = (Folder::new(), slow_site());
        spider(&folder, &site, json!({}));
        let run = shop(&folder).start();
        site.wait_for(30);
        kill_child(&run, "crawl-frontier");
        run.wait()
            .code(1)
            .says("crawl-frontier was killed by signal 9")
            .says("shop.json");
        shop(&folder).run().code(0);
        is_whole(&folder);
    }

    #[test]
    fn nothing_outlives_a_crawl_run_that_is_killed() {
        let (folder, site) = (Folder::new(), slow_site());
        spider(&folder, &site, json!({}));
        let run = shop(&folder).start();
        site.wait_for(30);
        let left = [
            children(run.pid(), "crawl-frontier"),
            children(run.pid(), "crawl-fetch"),
        ]
        .concat();
        assert_eq!(left.len(), 2);
        run.signal(Signal::Kill);
        let begun = Instant::now();
        while left.iter().any(|pid| name_of(*pid).is_some()) {
            assert!(begun.elapsed() < DEADLINE, "left: {left:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(run);
        shop(&folder).run().code(0);
        is_whole(&folder);
    }

    #[test]
    fn the_same_command_right_after_a_kill_goes_on() {
        let (folder, site) = (Folder::new(), slow_site());
        spider(&folder, &site, json!({}));
        for requests in [5, 20, 35] {
            let run = shop(&folder).start();
            site.wait_for(requests);
            run.signal(Signal::Kill);
            assert_eq!(run.wait().signal(), Some(9));
        }
        shop(&folder).run().code(0);
        is_whole(&folder);
    }

    #[test]
    fn a_complete_job_that_was_not_removed_is_removed_by_the_next_run() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
        spider(&folder, &site, json!({}));
        let text = "#!/bin/sh\ncrawl-frontier \"$@\"\nkill -KILL $PPID\n";
        let script = folder.write("frontier", text);
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("chmod");
        let killed = shop(&folder).env("CRAWL_FRONTIER", &script).run();
        assert_eq!(killed.signal(), Some(9));
        assert!(checkpoint(&folder).exists());
        site.clear_log();
        shop(&folder)
            .run()
            .code(0)
            .says("the last run of default/shop was complete");
        is_whole(&folder);
        assert_eq!(site.count(), 0);
    }

    /// A crawl that was stopped in the middle.
    fn stopped(folder: &Folder, site: &Site) {
        spider(folder, site, json!({}));
        shop(folder).args(["--max-pages", "20"]).run().code(4);
        site.clear_log();
    }

    #[test]
    fn another_proxy_type_clears_the_checkpoint_and_says_so() {
        let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
        stopped(&folder, &site);
        let done = shop(&folder).args(["--proxy-type", "none"]).run().code(0);
        let words = done.words();
        let lines: Vec<&str> = words.lines().collect();
        assert!(
            lines.contains(&"proxy type changed: auto -> none"),
            "{done}"
        );
        let cleared = "checkpoint cleared: every URL is retried";
        assert!(lines.contains(&cleared), "{done}");
        let [whole, partial] = &outputs(&folder)[..] else {
            panic!("{:?}", outputs(&folder));
        };
        assert_eq!(urls(whole).len(), PAGES);
        assert_eq!(urls(partial).len(), 20);
        assert!(partial.to_string_lossy().ends_with(".jsonl.partial"));
    }

    #[test]
    fn another_proxy_type_may_keep_what_is_done() {
        for how in ["keep", "retry-blocked"] {
            let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
            stopped(&folder, &site);
            let words = ["--proxy-type", "none", "--on-proxy-change", how];
            shop(&folder)
                .args(words)
                .args(["--max-pages", "1"])
                .run()
                .code(4)
                .says("proxy type changed: auto -> none")
                .never_says("cleared");
            // The new type is the checkpoint's from then on.
            let done = shop(&folder).args(["--proxy-type", "none"]).run().code(0);
            done.never_says("proxy type changed");
            is_whole(&folder);
            assert_eq!(site.count(), PAGES - 20);
        }
    }

    #[test]
    fn a_changed_spider_is_refused_until_somebody_decides() {
        let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
        stopped(&folder, &site);
        spider(&folder, &site, json!({"rules": [{"allow": "/"}]}));
        shop(&folder)
            .run()
            .code(2)
            .says("spider changed since the checkpoint: rule 1 added: allow `/`")
            .says("--on-spider-change resume shop.json")
            .says("--fresh shop.json");
        assert_eq!(site.count(), 0);
        shop(&folder)
            .args(["--on-spider-change", "resume"])
            .run()
            .code(0);
        is_whole(&folder);
    }

    #[test]
    fn settings_may_change_under_a_checkpoint() {
        let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
        stopped(&folder, &site);
        let settings = json!({"ROBOTSTXT_OBEY": false, "CONCURRENT_REQUESTS": 3, "RETRY_TIMES": 0});
        spider(&folder, &site, json!({"settings": settings}));
        shop(&folder).run().code(0).says("resuming");
        is_whole(&folder);
    }

    #[test]
    fn an_old_checkpoint_is_resumed_with_a_warning() {
        use crawl_ckpt::durable::RealDisk;
        use crawl_ckpt::job::{Job, JobPlace};
        use crawl_ckpt::journal::{Batch, Commit};
        use crawl_ckpt::lock::JobLock;

        const NINE_DAYS_MS: u64 = 9 * 86_400_000;
        let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
        stopped(&folder, &site);
        let place = JobPlace::at(&checkpoint(&folder));
        let lock = JobLock::acquire(&place).expect("the lock");
        let job = Job::open(std::sync::Arc::new(RealDisk), &place).expect("a job");
        let mut job = job.expect("a job");
        let replayed = job.replay(None, |_| Ok(())).expect("a journal");
        let commit = replayed.commit.expect("a commit");
        let old = Commit {
            at_ms: commit.at_ms - NINE_DAYS_MS,
            ..commit
        };
        let mut writer = job.writer(&lock, &replayed.mark).expect("a writer");
        let batch = Batch::new(&replayed.mark).close(&old);
        writer.append(&batch).expect("room");
        drop((writer, job, lock));
        shop(&folder)
            .run()
            .code(0)
            .says("the checkpoint is 9d 0h old; cookies may have expired");
        is_whole(&folder);
    }

    #[test]
    fn a_hangup_that_is_ignored_stays_so_and_an_interrupt_pauses_all_the_same() {
        let (folder, site) = (Folder::new(), slow_site());
        spider(&folder, &site, json!({}));
        let trapped = || {
            let script = "trap '' HUP INT; exec crawl-run shop.json";
            Tool::program("sh")
                .dir(&folder)
                .args(["-c", script])
                .start()
        };
        let run = trapped();
        site.wait_for(10);
        run.signal(Signal::Hup);
        site.wait_for(30);
        // A shell script that starts it with `&` has it ignore Ctrl+C.
        run.signal(Signal::Int);
        run.wait().code(130).never_says("SIGHUP");
        shop(&folder).run().code(0);
        is_whole(&folder);
    }

    #[test]
    fn passwords_in_a_command_are_not_repeated() {
        let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
        let url = site.url("/").replace("://", "://me:secret@");
        crawl_run(&folder)
            .args([&url, "--max-pages", "3", "-H", "Authorization: secret"])
            .run()
            .code(4)
            .says("resume with: ")
            .never_says("secret");
    }

    #[test]
    fn fresh_begins_anew_and_sets_the_unfinished_output_aside() {
        let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
        for _ in 0..2 {
            stopped(&folder, &site);
            shop(&folder).arg("--fresh").run().code(0);
        }
        let names: Vec<PathBuf> = outputs(&folder);
        assert_eq!(names.len(), 4, "{names:?}");
    }

    #[test]
    fn a_damaged_checkpoint_is_refused_untouched_and_can_be_thrown_away() {
        let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
        stopped(&folder, &site);
        let manifest = "data/default/shop/checkpoint/job.json";
        let broken = folder.read(manifest).replace("127.0.0.1", "127.0.0.2");
        folder.write(manifest, &broken);
        shop(&folder).run().code(65).says("job.json");
        assert_eq!(folder.read(manifest), broken);
        shop(&folder).arg("--fresh").run().code(0);
        assert!(!checkpoint(&folder).exists());
    }

    #[test]
    fn an_output_of_ones_own_is_resumed_and_no_other() {
        let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
        spider(&folder, &site, json!({}));
        let run = |output: &str| shop(&folder).args(["-o", output]);
        run("own.jsonl").args(["--max-pages", "20"]).run().code(4);
        for other in ["other.jsonl", "-"] {
            run(other).run().code(2).says("own.jsonl");
        }
        assert_eq!(urls(&folder.join("own.jsonl")).len(), 20);
        // Outside of the data directory, the checkpoint alone does not say that it is the user's.
        shop(&folder).run().code(2).says("outside").says(" -o ");
        run("./own.jsonl").run().code(0);
        assert_eq!(urls(&folder.join("own.jsonl")).len(), PAGES);
        run("own.jsonl").run().code(2).says("it exists");
        assert!(outputs(&folder).is_empty());
    }

    #[test]
    fn a_job_that_was_filled_by_hand_is_crawled() {
        let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
        site.page("/hidden", "no link leads here");
        spider(&folder, &site, json!({}));
        Tool::new("crawl-frontier")
            .dir(&folder)
            .args(["add", "--job", "data/default/shop/checkpoint"])
            .stdin(site.url("/hidden"))
            .run()
            .code(0);
        shop(&folder).run().code(0);
        let [output] = &outputs(&folder)[..] else {
            panic!("{:?}", outputs(&folder));
        };
        assert_eq!(urls(output).len(), PAGES + 1);
    }

    #[test]
    fn a_production_crawl_may_stream_its_records() {
        let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
        spider(&folder, &site, json!({}));
        let run = || shop(&folder).args(["-o", "-"]);
        run()
            .args(["--max-pages", "20"])
            .run()
            .code(4)
            .prints_lines(20);
        shop(&folder).run().code(2).says("stdout");
        run().run().code(0).prints_lines(PAGES - 20);
        assert!(!checkpoint(&folder).exists());
    }

    #[test]
    fn a_site_that_never_answers_is_no_complete_crawl() {
        let (folder, site) = (Folder::new(), Site::tree(PAGES, 5));
        spider(&folder, &site, json!({}));
        site.stop();
        shop(&folder)
            .run()
            .code(1)
            .says("no start URL ever answered: connect: ");
        site.start();
        shop(&folder).run().code(0).says("resuming");
        is_whole(&folder);
    }
}
