//! What a later run finds: a checkpoint beside which something changed.

use super::*;

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
