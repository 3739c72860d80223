//! A crawl's life: begun, stopped, killed, and gone on with.

use super::*;

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
