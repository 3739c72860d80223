//! What `ls`, `show` and `size` tell, of whatever lies there.

use crawl_ckpt::control::Parked;

use super::*;

#[test]
fn without_a_checkpoint_ls_prints_nothing_and_exits_0() {
    let data = Data::new();
    for args in [&["ls"][..], &["ls", "--json"], &["size"], &["verify"]] {
        let done = data.run(args).code(0).is_quiet();
        assert_eq!(done.text(), "", "{args:?}");
        let no_data = Tool::new("crawl-ckpt").args(args).dir(&data.folder);
        assert_eq!(no_data.run().code(0).is_quiet().text(), "", "{args:?}");
    }
}

#[test]
fn a_place_that_was_named_and_is_not_there_is_told() {
    let data = Data::new();
    data.folder.write("file", "");
    for (place, why) in [("nowhere", "No such file"), ("file", "Not a directory")] {
        for command in ["ls", "size", "verify", "rm"] {
            let tool = Tool::new("crawl-ckpt").args([command, "--data-dir", place]);
            let tool = match command {
                "rm" => tool.arg("--all"),
                _ => tool,
            };
            let done = tool.dir(&data.folder).run().code(2);
            done.says(&format!("cannot use --data-dir {place}: {why}"))
                .says("hint: crawl-ckpt ls   (looks below $CRAWL_DATA_DIR, else ./data)");
        }
    }
    data.paused("news", "a.example", 1, 0);
    data.run(&["ls", "nws"])
        .code(1)
        .says("there is no project nws in")
        .says("there are: news");
    data.run(&["ls", "news"]).code(0).prints("a.example");
}

#[test]
fn ls_has_one_row_a_checkpoint() {
    let data = Data::new();
    data.paused("news", "b.example", 1200, 200);
    data.paused("news", "a.example", 3, 3);
    data.paused("shops", "c.example", 1, 0);
    let lines = data.run(&["ls"]).code(0).is_quiet().lines();
    let words: Vec<Vec<&str>> = lines
        .iter()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(
        words[0],
        [
            "PROJECT", "SPIDER", "STATE", "PENDING", "SEEN", "SIZE", "AGE", "PROXY"
        ]
    );
    let rows: Vec<&[&str]> = words[1..].iter().map(|row| &row[..5]).collect();
    assert_eq!(
        rows,
        [
            ["news", "a.example", "paused", "0", "3"],
            ["news", "b.example", "paused", "1,000", "1,200"],
            ["shops", "c.example", "paused", "1", "1"],
        ]
    );
    assert_eq!(words[1].last(), Some(&"auto"));
    assert_eq!(data.run(&["ls", "shops"]).code(0).lines().len(), 2);
}

#[test]
fn ls_json_has_exactly_the_promised_fields() {
    let data = Data::new();
    let place = data.paused("news", "a.example", 10, 4);
    let rows = data.json(&["ls", "--json"]);
    assert_eq!(rows.len(), 1);
    let row = rows[0].as_object().unwrap();
    let mut names: Vec<&str> = row.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "age_s",
            "bytes",
            "done",
            "failed",
            "path",
            "pending",
            "project",
            "proxy_type",
            "seen",
            "spider",
            "state"
        ]
    );
    assert_eq!(row["project"], "news");
    assert_eq!(row["spider"], "a.example");
    assert_eq!(row["state"], "paused");
    assert_eq!(row["pending"], 6);
    assert_eq!(row["seen"], 10);
    assert_eq!(row["done"], 4);
    assert_eq!(row["failed"], 0);
    assert_eq!(row["proxy_type"], "auto");
    assert_eq!(row["path"], place.dir.to_str().unwrap());
    assert!(row["age_s"].as_u64().unwrap() < 60);
    let bytes: u64 = ["job.json", "journal-1"]
        .iter()
        .map(|name| place.dir.join(name).metadata().unwrap().len())
        .sum();
    assert_eq!(row["bytes"], bytes);
}

#[test]
fn a_running_crawl_is_told_from_a_paused_and_a_corrupt_one() {
    let data = Data::new();
    let mut running = data.begin("p", "running");
    running.step(5, 1);
    data.paused("p", "paused", 1, 0);
    let corrupt = data.paused("p", "corrupt", 1, 0);
    flip(&corrupt.dir.join("journal-1"), 20);
    let headless = data.paused("p", "headless", 1, 0);
    fs::remove_file(headless.dir.join("job.json")).unwrap();
    let rows = data.json(&["ls", "--json"]);
    let state = |spider: &str| {
        let row = rows.iter().find(|row| row["spider"] == spider).unwrap();
        row["state"].as_str().unwrap()
    };
    assert_eq!(state("running"), "running");
    assert_eq!(state("paused"), "paused");
    assert_eq!(state("corrupt"), "corrupt");
    assert_eq!(state("headless"), "corrupt");
    data.run(&["ls"])
        .code(0)
        .says("p/corrupt: ")
        .says("journal-1: damaged at byte 0");
    let corrupt = rows.iter().find(|row| row["spider"] == "corrupt").unwrap();
    assert_eq!(corrupt.get("pending"), None);
}

#[test]
fn show_tells_all_and_the_command_that_resumes() {
    let data = Data::new();
    data.paused("news", "a.example", 10, 4);
    let done = data.run(&["show", "news/a.example"]).code(0).is_quiet();
    let folder = data.folder.to_str().unwrap();
    let resume = format!("crawl-run --project news --data-dir {folder} https://a.example/");
    let done = done.prints(&resume).prints("crawls/crawl.jsonl");
    done.prints("10 URLs").prints("paused");
    let rows = data.json(&["show", "news/a.example", "--json"]);
    assert_eq!(rows[0]["resume"], resume.as_str());
    assert_eq!(rows[0]["progress"]["records"], 4);
    assert_eq!(rows[0]["sealed"], true);

    let mut crawl = data.begin("default", "shop");
    let command = "crawl-run shop.json -H 'X: it'\\''s'";
    crawl
        .job
        .update(&crawl.lock, |manifest| {
            manifest.command = Some(command.into());
        })
        .unwrap();
    crawl.step(1, 0);
    let pid = std::process::id();
    data.run(&["show", "shop"])
        .code(0)
        .prints(command)
        .prints(&format!("running: pid {pid} on "));
}

#[test]
fn a_wrong_name_lists_what_there_is() {
    let data = Data::new();
    data.run(&["show", "p/s"])
        .code(1)
        .says("p/s has no checkpoint")
        .says("--limit");
    data.paused("news", "a.example", 1, 0);
    for command in ["show", "size", "verify", "rm"] {
        data.run(&[command, "news/b"])
            .code(1)
            .says("news/b has no checkpoint")
            .says("news/a.example");
    }
    data.run(&["size", "news/a.example/"]).code(0);
    for bad in ["../../etc", "a/b/c", "", "news/", "/etc", "x/.."] {
        data.run(&["show", bad]).code(2).says("is no name");
        data.run(&["rm", "--yes", bad]).code(2).says("is no name");
    }
    data.run(&["show"]).code(2);
    data.run(&["rm"]).code(2);
    data.run(&["rm", "--all", "news/a.example"]).code(2);
}

#[test]
fn size_tells_the_parts() {
    let data = Data::new();
    let mut crawl = data.begin("p", "s");
    crawl.step(1000, 10);
    crawl.write_image();
    let place = crawl.pause();
    let len = |name: &str| place.dir.join(name).metadata().unwrap().len();
    let rows = data.json(&["size", "p/s", "--json"]);
    let parts = &rows[0]["parts"];
    assert_eq!(parts["journal"], len("journal-1"));
    assert_eq!(parts["image"], len("image"));
    assert_eq!(parts["other"], len("job.json"));
    assert_eq!(parts["output"], 38 * 10);
    assert_eq!(
        rows[0]["bytes"],
        len("journal-1") + len("image") + len("job.json")
    );
    data.run(&["size", "p/s"])
        .code(0)
        .prints("journal")
        .prints("not large");
    data.run(&["size"]).code(0).prints("JOURNAL").prints("p");
}

#[test]
fn size_says_what_to_do_about_a_large_one() {
    let data = Data::new();
    let place = data.paused("p", "s", 10, 5);
    let large = |path: PathBuf| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(path).unwrap().set_len(300 << 20).unwrap();
    };
    large(place.dir.join("image"));
    let done = data.run(&["size", "p/s"]).code(0);
    let done = done.prints("5 URLs are pending").prints("--max-pages N");
    assert!(!done.text().contains("--reset-deltafetch"), "{done}");
    fs::remove_file(place.dir.join("image")).unwrap();
    large(place.dir.join("../delta/known"));
    data.run(&["size", "p/s"])
        .code(0)
        .prints("This is not large.")
        .prints("300 MiB (kept for the next crawl)")
        .prints("crawl-run --reset-deltafetch");
}

#[test]
fn what_outlives_checkpoints_is_told_with_its_size() {
    let data = Data::new();
    data.paused("p", "busy", 10, 5);
    data.folder.write("p/busy/delta/known", [0; 2048]);
    data.folder.write("p/idle/delta/known", [0; 4096]);
    data.folder
        .write("q/.batch/sites-1234abcd.jsonl", [0; 1024]);
    data.folder.write("q/.batch/sites-1234abcd.lock", "");

    let done = data.run(&["ls"]).code(0);
    assert!(done.lines()[0].ends_with("PROXY    DELTA"), "{done}");
    assert!(done.lines()[1].ends_with("auto   2.0 KiB"), "{done}");
    done.prints_lines(2)
        .says("q: the state of 1 batch takes 1.0 KiB")
        .says("known of earlier crawls of 1 spider without a checkpoint: 4.0 KiB");
    data.run(&["ls", "q"])
        .code(0)
        .prints_just("")
        .says("1 batch")
        .never_says("spider");
    data.run(&["ls", "-q"]).code(0).is_quiet();
    assert_eq!(data.json(&["ls", "--json"])[0]["delta_bytes"], 2048);
    data.run(&["show", "p/busy"])
        .code(0)
        .prints("2.0 KiB, known of earlier crawls");

    let lines = data.run(&["size"]).code(0).is_quiet().lines();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert!(lines[2].starts_with("p        idle    -"), "{lines:#?}");
    assert!(lines[3].starts_with("q        .batch  -"), "{lines:#?}");
    let rows = data.json(&["size", "--json"]);
    assert_eq!(rows[1]["parts"]["delta"], 4096);
    assert_eq!(
        (&rows[2]["batches"], &rows[2]["bytes"]),
        (&1.into(), &1024.into())
    );
    data.run(&["size", "p/idle"])
        .code(0)
        .prints("p/idle, no checkpoint")
        .prints("4.0 KiB");
    data.run(&["size", "p/none"]).code(1);
}

#[test]
fn a_job_is_named_by_its_directory_as_well() {
    let data = Data::new();
    let place = data.paused("p", "s", 4, 1);
    let dir = place.dir.to_str().unwrap();
    data.run(&["show", "--job", dir])
        .code(0)
        .prints(&format!("crawl-frontier serve --job {dir}"));
    data.run(&["verify", "--job", dir]).code(0).prints("sound");
    data.run(&["size", "--job", dir]).code(0).prints("journal");
    data.run(&["rm", "--yes", "--job", dir]).code(0);
    data.run(&["show", "--job", dir])
        .code(1)
        .says("there is no job in");
}

#[test]
fn names_from_the_disk_move_no_cursor() {
    let data = Data::new();
    let mut crawl = data.begin("p", "s");
    crawl
        .job
        .update(&crawl.lock, |manifest| {
            manifest.proxy_type = "\u{1b}[31mred".into();
            manifest.tool = "evil\nline".into();
        })
        .unwrap();
    crawl.step(1, 0);
    for args in [&["ls"][..], &["show", "p/s"], &["size"]] {
        let text = data.run(args).code(0).text();
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
    data.run(&["show", "p/s"]).prints(r"evil\nline");
}

#[test]
fn a_newer_format_is_refused_with_a_clear_error() {
    let data = Data::new();
    let place = data.paused("p", "s", 1, 0);
    let path = place.dir.join("job.json");
    let text = fs::read_to_string(&path).unwrap();
    let json = text
        .lines()
        .next()
        .unwrap()
        .replace("\"format\":1", "\"format\":9");
    let sum = blake3::hash(json.as_bytes()).to_hex();
    fs::write(&path, format!("{json}\nblake3:{sum}\n")).unwrap();
    data.run(&["verify", "p/s"])
        .code(65)
        .says("format 9, this tool knows 1");
    data.run(&["show", "p/s"])
        .code(65)
        .says("another version of the tools");
}

#[test]
fn nothing_that_a_running_crawl_does_is_an_error_for_who_looks_on() {
    let data = Data::new();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // A crawl that begins, commits, compacts, pauses, resumes, ends and is removed, again and again.
            while !over.load(Ordering::Relaxed) {
                let mut crawl = data.begin("p", "s");
                for _ in 0..5 {
                    crawl.step(20, 10);
                }
                let mut next = crawl.job.begin_generation(&crawl.lock, 0).unwrap();
                let mut batch = Batch::new(&next.end());
                for i in 0..50 {
                    batch.seen(&[i; 16]);
                    batch.request(&Stored {
                        url: "https://a.example/",
                        ..Stored::default()
                    });
                }
                next.append(&batch.close(&crawl.commit)).unwrap();
                crawl.job.switch_generation(&crawl.lock, &mut next).unwrap();
                crawl.write_image_at(&next.end());
                crawl.job.seal(&crawl.lock, &next.end()).unwrap();
                let end = next.end();
                crawl.writer = crawl.job.writer(&crawl.lock, &end).unwrap();
                crawl.job.remove(&crawl.lock).unwrap();
                fs::remove_file(&crawl.output).unwrap();
            }
        });
        for _ in 0..40 {
            for args in [&["ls", "--json"][..], &["size"], &["verify"]] {
                let done = data.run(args);
                if done.exit() != 0 || !done.words().is_empty() {
                    over.store(true, Ordering::Relaxed);
                }
                let done = done.code(0).is_quiet();
                for line in done.lines().iter().filter(|line| line.starts_with('{')) {
                    let row: Value = serde_json::from_str(line).unwrap();
                    let (seen, pending) = (row["seen"].as_u64(), row["pending"].as_u64());
                    assert_eq!(
                        seen.unwrap(),
                        pending.unwrap() + row["done"].as_u64().unwrap()
                    );
                }
            }
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_finished_crawls_left_counts_as_their_spiders_output() {
    let data = Data::new();
    data.folder
        .write("p/done/crawls/crawl_2026-01-01.jsonl", [0; 3000]);
    data.folder
        .write("p/done/crawls/crawl_2026-01-02.jsonl.gz", [0; 1096]);
    data.folder
        .write("p/done/crawls/crawl_2026-01-02.summary.json", [0; 512]);
    let lines = data.run(&["size"]).code(0).lines();
    assert!(lines[1].starts_with("p        done    -"), "{lines:#?}");
    assert!(lines[1].ends_with("4.0 KiB    0 B"), "{lines:#?}");
    let parts = &data.json(&["size", "p/done", "--json"])[0]["parts"];
    assert_eq!(
        (&parts["output"], &parts["outputs"]),
        (&4096.into(), &2.into())
    );
    data.run(&["size", "p/done"])
        .code(0)
        .prints("4.0 KiB in 2 files")
        .prints("512 B (beside the output)");
    // It has no checkpoint, and what lists those leaves it out.
    data.run(&["ls"]).code(0).prints_just("");
    data.run(&["show", "p/done"]).code(1);
}

#[test]
fn a_job_that_names_all_its_parked_hosts_is_shown_like_any_other() {
    let data = Data::new();
    let mut crawl = data.begin("p", "shop");
    crawl.step(300, 0);
    let progress = &mut crawl.commit.progress;
    (progress.counts.pending, progress.counts.parked) = (0, 300);
    progress.parked = (0..150)
        .map(|n| {
            let (urls, why) = (1 + n % 3, "status 403".to_owned());
            (format!("http://h{n:03}.example"), Parked { urls, why })
        })
        .collect();
    crawl.last_touched(Duration::ZERO);
    crawl.pause();
    let show = data.run(&["show", "p/shop"]).code(0);
    let show = show
        .prints("300 (300 parked)")
        .prints("http://h002.example: 3 URLs, status 403")
        .prints("and 50 more hosts");
    assert!(
        !show.text().contains("http://h000.example"),
        "it has the fewest"
    );
    let shown = &data.json(&["show", "p/shop", "--json"])[0]["progress"];
    assert_eq!(shown["parked_hosts"], 150);
    let report = data.json(&["report", "p/shop", "--json"]);
    let known = &report[0]["checkpoint"];
    assert_eq!(
        (&known["parked_urls"], &known["parked_hosts"]),
        (&300.into(), &150.into())
    );
}
