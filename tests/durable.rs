//! Whole crawls with the real tools where the ground gives way: two runs at once, a
//! disk that is full, a network that goes, a checkpoint that is moved or damaged.
//!
//! What must come of it is always the same: an exit code that tells the truth, one
//! line that names the cause, and in the end one record for every page.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Answer, DEADLINE, Done, Folder, Random, Running, Site, Tool, Tree, skipped};

/// A site of generated pages, a folder, and the spider that crawls the one into the other.
struct Ground {
    folder: Folder,
    site: Site,
    pages: usize,
}

impl Ground {
    fn new(pages: usize) -> Ground {
        let ground = Ground {
            folder: Folder::new(),
            site: Site::tree(pages, 5),
            pages,
        };
        let spider = json!({
            "name": "shop",
            "start_urls": [ground.site.url("/")],
            "settings": {"ROBOTSTXT_OBEY": false, "CONCURRENT_REQUESTS_PER_DOMAIN": 4},
        });
        ground.folder.write("shop.json", spider.to_string());
        ground
    }

    /// The command that crawls, and goes on.
    fn crawl(&self) -> Tool {
        Tool::new("crawl-run").dir(&self.folder).arg("shop.json")
    }

    fn ckpt(&self, words: &[&str]) -> Tool {
        Tool::new("crawl-ckpt").dir(&self.folder).args(words)
    }

    /// Crawls so many pages, and pauses in good order.
    #[track_caller]
    fn pause_after(&self, records: usize) {
        let limit = records.to_string();
        self.crawl().args(["--max-pages", &limit]).run().code(4);
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn checkpoint(&self) -> PathBuf {
        checkpoint(&self.data())
    }

    /// What is known of the checkpoint.
    #[track_caller]
    fn shown(&self) -> Value {
        let done = self.ckpt(&["show", "default/shop", "--json"]).run().code(0);
        serde_json::from_slice(&done.stdout).unwrap()
    }

    /// Every page has its one record in this file.
    #[track_caller]
    fn is_whole(&self, output: &Path) {
        let found = records(output);
        let want = (0..self.pages).map(|n| self.site.url(&Tree::path(n)));
        for url in want {
            let record = found.get(&url);
            let status = record.map(|record| &record["status"]);
            assert_eq!(status, Some(&json!(200)), "{url}: {record:?}");
        }
        assert_eq!(found.len(), self.pages);
    }

    /// The crawl is complete in its only output, and nothing is left of its checkpoint.
    #[track_caller]
    fn is_complete(&self) {
        self.is_complete_in(&self.data());
    }

    #[track_caller]
    fn is_complete_in(&self, data: &Path) {
        let [output] = &outputs(data)[..] else {
            panic!("not one output: {:?}", outputs(data));
        };
        self.is_whole(output);
        assert!(!checkpoint(data).exists());
    }
}

fn checkpoint(data: &Path) -> PathBuf {
    data.join("default/shop/checkpoint")
}

/// The output files, in order.
fn outputs(data: &Path) -> Vec<PathBuf> {
    let crawls = fs::read_dir(data.join("default/shop/crawls"));
    let files = crawls.into_iter().flatten().map(|file| file.unwrap());
    let mut files: Vec<PathBuf> = files.map(|file| file.path()).collect();
    files.retain(|file| !file.to_string_lossy().contains(".summary.json"));
    files.sort();
    files
}

/// The records of a file by their URL; each URL must be there once.
#[track_caller]
fn records(file: &Path) -> BTreeMap<String, Value> {
    let text = fs::read_to_string(file).unwrap();
    let mut records = BTreeMap::new();
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let url = record["url"].as_str().unwrap().to_owned();
        let before = records.insert(url, record);
        assert_eq!(before, None, "two records in {}", file.display());
    }
    records
}

/// It failed with one error, which names the path and the cause.
#[track_caller]
fn fails_with(done: Done, path: &str, cause: &str) -> Done {
    let done = done.code(1);
    let words = done.words();
    let errors: Vec<&str> = words.lines().filter(|line| line.contains(cause)).collect();
    let is_clear =
        matches!(errors[..], [line] if line.starts_with("crawl-run: ") && line.contains(path));
    assert!(is_clear, "not one error of {path} and {cause:?}:\n{done}");
    done
}

/// Copies a folder, as tar would.
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    let copied = Tool::program("cp").arg("-a").arg(from).arg(to).run();
    copied.code(0);
}

/// Both folders hold the same, but for who held the lock last.
#[track_caller]
fn is_same(before: &Path, after: &Path) {
    let words = ["-r", "-x", "checkpoint.lock"];
    let differ = Tool::program("diff").args(words).arg(before).arg(after);
    differ.run().code(0).prints_just("");
}

/// Two at once.
mod race {
    use super::*;
    use std::sync::{Arc, Condvar, Mutex};

    const PAIRS: usize = 50;
    const REMOVALS: usize = 20;

    /// Holds the answers of a page back until it is opened.
    #[derive(Clone, Default)]
    struct Gate(Arc<(Mutex<bool>, Condvar)>);

    impl Gate {
        fn set(&self, is_open: bool) {
            *self.0.0.lock().unwrap() = is_open;
            self.0.1.notify_all();
        }

        fn pass(&self) {
            let is_open = self.0.0.lock().unwrap();
            let wait = self
                .0
                .1
                .wait_timeout_while(is_open, DEADLINE, |open| !*open);
            drop(wait.unwrap());
        }
    }

    /// Waits until one of two has ended, and gives that one and the other.
    #[track_caller]
    fn first_to_end(one: Running, two: Running) -> (Running, Running) {
        let begun = Instant::now();
        let moment = Duration::from_millis(5);
        loop {
            if one.ends_within(moment) {
                return (one, two);
            }
            if two.ends_within(moment) {
                return (two, one);
            }
            let (one, two) = (one.so_far(), two.so_far());
            assert!(begun.elapsed() < DEADLINE, "both run:\n{one}\n{two}");
        }
    }

    #[test]
    fn of_two_runs_started_at_once_one_crawls_and_the_other_says_75() {
        let ground = Ground::new(6);
        let gate = Gate::default();
        let (tree, held) = (
            Tree {
                pages: 6,
                links_per_page: 5,
            },
            gate.clone(),
        );
        ground.site.on("/", move |asked| {
            held.pass();
            tree.answer(&asked.path).unwrap()
        });
        for round in 1..=PAIRS {
            // Nothing is answered before one of them has ended, so they do meet.
            gate.set(false);
            let (loser, winner) = first_to_end(ground.crawl().start(), ground.crawl().start());
            loser
                .wait()
                .code(75)
                .says(&format!("pid {} ", winner.pid()));
            gate.set(true);
            winner.wait().code(0);
            assert_eq!(outputs(&ground.data()).len(), round);
            assert_eq!(ground.site.count(), round * ground.pages);
            assert!(!ground.checkpoint().exists());
        }
        for output in outputs(&ground.data()) {
            ground.is_whole(&output);
        }
    }

    #[test]
    fn who_looks_on_sees_right_figures_and_disturbs_nothing() {
        let ground = Ground::new(200);
        ground.site.latency(Duration::from_millis(60));
        let run = ground.crawl().start();
        ground.site.wait_for(5);
        let (mut looks, mut last_done) = (0, 0);
        'looking: while run.status().is_none() {
            for words in [
                &["ls", "--json"][..],
                &["show", "default/shop", "--json"],
                &["size", "default/shop", "--json"],
                &["verify", "default/shop"],
            ] {
                let look = ground.ckpt(words).run();
                if !ground.checkpoint().exists() {
                    break 'looking;
                }
                let look = look.code(0).is_quiet();
                looks += 1;
                if words[0] == "ls" || words[0] == "show" {
                    let job: Value = serde_json::from_slice(&look.stdout).unwrap();
                    let figure = |name: &str| job[name].as_u64().unwrap();
                    let (seen, finished) = (figure("seen"), figure("done") + figure("failed"));
                    assert_eq!(job["state"], "running", "{look}");
                    assert_eq!(seen, finished + figure("pending"), "{look}");
                    assert!(finished >= last_done && seen <= 200, "{look}");
                    last_done = finished;
                }
            }
        }
        run.wait().code(0);
        ground.is_complete();
        assert!(ground.site.tally().values().all(|hits| *hits == 1));
        assert!(
            looks >= 8 && last_done > 0,
            "{looks} looks, {last_done} done"
        );
    }

    #[test]
    fn a_removal_and_a_starting_run_do_not_mix() {
        let mut ends = BTreeMap::new();
        for _ in 0..REMOVALS {
            let ground = Ground::new(20);
            ground.pause_after(5);
            let removal = ground.ckpt(&["rm", "--yes", "default/shop"]).start();
            let run = ground.crawl().start();
            let (removal, run) = (removal.wait(), run.wait());
            let end = (removal.exit(), run.exit());
            *ends.entry(end).or_insert(0) += 1;
            match end {
                // Removed first: a new crawl, beside what the old one left.
                (0, 0) => {
                    let outputs = outputs(&ground.data());
                    assert_eq!(outputs.len(), 2, "{removal}\n{run}");
                    let whole = outputs.iter().filter(|file| records(file).len() == 20);
                    assert_eq!(whole.count(), 1, "{removal}\n{run}");
                }
                // The run had it, or was over already: nothing was removed.
                (75 | 1, 0) => {
                    run.says("resuming");
                    ground.is_complete();
                }
                // Met while it removed.
                (0, 75) => {
                    assert!(!ground.checkpoint().exists());
                    ground.crawl().run().code(0).says("new crawl");
                }
                _ => panic!("{removal}\n{run}"),
            }
            let left = fs::read_dir(ground.checkpoint().parent().unwrap()).unwrap();
            let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
            left.sort();
            assert_eq!(left, ["checkpoint.lock", "crawls"]);
        }
        eprintln!("(removal, run): {ends:?}");
    }
}

/// Real file systems that are full, or refuse.
mod disk {
    use super::*;

    /// A file system in memory, unmounted at the end.
    struct Mount(PathBuf);

    impl Mount {
        /// Mounts one; says that the test is skipped when that is not allowed.
        fn new(at: &Path, options: &str) -> Option<Mount> {
            fs::create_dir_all(at).unwrap();
            let words = ["-t", "tmpfs", "-o", options, "tmpfs"];
            let done = Tool::program("mount").args(words).arg(at).run();
            if done.exit() != 0 {
                skipped(&format!("cannot mount a tmpfs: {}", done.words().trim()));
                return None;
            }
            Some(Mount(at.to_owned()))
        }

        #[track_caller]
        fn change(&self, options: &str) {
            let options = format!("remount,{options}");
            let words = ["-o", &options];
            Tool::program("mount")
                .args(words)
                .arg(&self.0)
                .run()
                .code(0);
        }
    }

    impl Drop for Mount {
        fn drop(&mut self) {
            Tool::program("umount").arg("-l").arg(&self.0).run();
        }
    }

    const NO_ROOM: &str = "No space left on device";

    #[test]
    fn a_full_data_directory_stops_a_crawl_and_room_completes_it() {
        let mut stops = 0;
        // From no room at all to one that the last records fill.
        let rooms = [
            "size=4k", "size=8k", "size=12k", "size=20k", "size=40k", "size=80k",
        ];
        let files = [
            "nr_inodes=2",
            "nr_inodes=4",
            "nr_inodes=5",
            "nr_inodes=6",
            "nr_inodes=7",
        ];
        for options in rooms.into_iter().chain(files) {
            let ground = Ground::new(120);
            let Some(mount) = Mount::new(&ground.data(), options) else {
                return;
            };
            let done = ground.crawl().run();
            if done.exit() != 0 {
                fails_with(done, "data/default", NO_ROOM);
                stops += 1;
                // As long as there is none, nothing else is said and nothing lost.
                fails_with(ground.crawl().run(), "data/default", NO_ROOM);
                mount.change("size=64m,nr_inodes=1000");
                ground.crawl().run().code(0);
            }
            ground.is_complete();
        }
        assert!(stops >= 8, "only {stops} of 11 file systems were too small");
    }

    #[test]
    fn a_full_disk_under_the_output_alone_stops_a_crawl_and_room_completes_it() {
        for options in ["size=4k", "size=16k", "nr_inodes=1"] {
            let ground = Ground::new(120);
            let Some(mount) = Mount::new(&ground.folder.join("out"), options) else {
                return;
            };
            let crawl = || ground.crawl().args(["-o", "out/pages.jsonl"]);
            for _ in 0..2 {
                fails_with(crawl().run(), "out/pages.jsonl", NO_ROOM);
            }
            mount.change("size=64m,nr_inodes=1000");
            crawl().run().code(0);
            ground.is_whole(&ground.folder.join("out/pages.jsonl"));
            assert!(!ground.checkpoint().exists());
        }
    }

    #[test]
    fn a_read_only_data_directory_is_named_and_what_is_there_stays() {
        let ground = Ground::new(40);
        let Some(mount) = Mount::new(&ground.data(), "size=64m") else {
            return;
        };
        const READ_ONLY: &str = "Read-only file system";
        mount.change("ro");
        fails_with(ground.crawl().run(), "data", READ_ONLY);
        mount.change("rw");
        ground.pause_after(10);
        mount.change("ro");
        fails_with(ground.crawl().run(), "data", READ_ONLY);
        ground.ckpt(&["verify"]).run().code(0).prints("sound");
        assert_eq!(ground.shown()["done"], 10);
        mount.change("rw");
        ground.crawl().run().code(0).says("resuming");
        ground.is_complete();
    }

    #[test]
    fn a_run_that_ends_for_want_of_room_counts_what_is_durable() {
        let ground = Ground::new(400);
        ground.pause_after(10);
        let script = "ulimit -f 100; exec crawl-run shop.json";
        let tool = Tool::program("sh").dir(&ground.folder);
        let done = tool.args(["-c", script]).run().code(1);
        let shown = ground.shown();
        let (kept, pending) = (&shown["done"], shown["pending"].as_u64().unwrap());
        assert!(kept.as_u64() >= Some(10) && pending > 0, "{shown}");
        done.says(&format!(": {kept} records ("))
            .says(&format!("checkpoint kept, {pending} URLs pending"));
        ground.crawl().run().code(0).says("resuming");
        ground.is_complete();
    }

    #[test]
    fn too_few_descriptors_are_an_error_and_never_a_failed_page() {
        for limit in [4, 6, 8, 10, 12, 14, 16, 18, 20, 24] {
            let ground = Ground::new(40);
            ground.site.latency(Duration::from_millis(10));
            let script = format!("ulimit -n {limit}; exec crawl-run shop.json");
            let done = Tool::program("sh")
                .dir(&ground.folder)
                .args(["-c", &script])
                .run();
            if done.exit() != 0 {
                // Where not even a program can be loaded, its loader speaks.
                let words = done
                    .clone()
                    .code(if done.exit() == 127 { 127 } else { 1 })
                    .words();
                let cause = words.contains("Too many open files") || words.contains("error 24");
                assert!(cause, "ulimit -n {limit}: {done}");
                ground.crawl().run().code(0);
            }
            ground.is_complete();
        }
    }
}

/// A network that goes away.
mod network {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_site_that_comes_back_is_crawled_to_its_end_and_nothing_has_failed() {
        let ground = Ground::new(100);
        ground.site.latency(Duration::from_millis(20));
        let run = ground.crawl().start();
        ground.site.wait_for(30);
        ground.site.stop();
        // Gone until a few calls have found nobody.
        let nobody = TcpListener::bind(ground.site.host()).unwrap();
        for caller in nobody.incoming().take(6) {
            drop(caller);
        }
        drop(nobody);
        ground.site.start();
        run.wait().code(0);
        ground.is_complete();
    }

    #[test]
    fn a_site_that_stays_away_is_waited_for_and_then_everything_is_kept() {
        let ground = Ground::new(100);
        ground.site.latency(Duration::from_millis(20));
        let run = ground.crawl().args(["--outage", "2s"]).start();
        ground.site.wait_for(30);
        ground.site.stop();
        run.wait()
            .code(1)
            .says("no request gets an answer any more: all stays pending, trying again for 2.0s")
            .says("the network is gone")
            .says("to go on: ");
        let job = ground.shown();
        let figure = |name: &str| job[name].as_u64().unwrap();
        assert_eq!(figure("failed"), 0, "{job}");
        assert!(figure("done") >= 20 && figure("pending") > 0, "{job}");
        assert_eq!(figure("seen"), figure("done") + figure("pending"), "{job}");
        ground.site.start();
        ground.crawl().run().code(0).says("resuming");
        ground.is_complete();
    }

    #[test]
    fn a_site_that_never_was_is_given_up_soon() {
        let ground = Ground::new(10);
        ground.site.stop();
        let begun = Instant::now();
        ground
            .crawl()
            .run()
            .code(1)
            .says("no start URL ever answered");
        assert!(begun.elapsed() < 2 * DEADLINE);
        assert_eq!(ground.shown()["pending"], 1);
        ground.site.start();
        ground.crawl().run().code(0).says("resuming");
        ground.is_complete();
    }
}

/// A checkpoint that is not where, or what, it was.
mod moved {
    use super::*;

    #[test]
    fn a_data_directory_goes_on_at_another_place_with_its_output() {
        let ground = Ground::new(60);
        ground.pause_after(20);
        let elsewhere = ground.folder.join("else/where");
        fs::create_dir_all(elsewhere.parent().unwrap()).unwrap();
        copy(&ground.data(), &elsewhere);
        fs::remove_dir_all(ground.data()).unwrap();
        let crawl = ground.crawl().arg("--data-dir").arg(&elsewhere).run();
        crawl.code(0).says("resuming default/shop: 20 done");
        ground.is_complete_in(&elsewhere);
        assert!(!ground.data().exists());
        assert_eq!(ground.site.count(), 60);
    }

    #[test]
    fn a_newer_format_is_refused_and_left_alone() {
        let ground = Ground::new(60);
        ground.pause_after(20);
        let manifest = ground.checkpoint().join("job.json");
        let text = fs::read_to_string(&manifest).unwrap();
        let line = text.lines().next().unwrap();
        let newer = line.replace("\"format\":1", "\"format\":2");
        let sum = blake3::hash(newer.as_bytes()).to_hex();
        fs::write(&manifest, format!("{newer}\nblake3:{sum}\n")).unwrap();
        let before = ground.folder.join("before");
        copy(&ground.data(), &before);
        ground.site.clear_log();
        ground.crawl().run().code(65).says("format 2");
        ground.ckpt(&["verify"]).run().code(65).says("format 2");
        is_same(&before, &ground.data());
        assert_eq!(ground.site.count(), 0);
    }
}

/// Bytes that are not what was written.
mod damage {
    use super::*;

    const FLIPS_A_FILE: usize = 12;

    /// `verify` finds the damage, and a resume refuses it: it names the file and changes nothing.
    #[track_caller]
    fn is_found(ground: &Ground, sound: &Path, file: &str, what: &str) {
        let verified = ground.ckpt(&["verify"]).run();
        assert_eq!(verified.exit(), 65, "{what}: {verified}");
        let broken = ground.folder.join("broken");
        copy(&ground.data(), &broken);
        // The very command that paused it, which the manifest has noted already.
        let resumed = ground.crawl().args(["--max-pages", "20"]).run();
        assert_eq!(resumed.exit(), 65, "{what}: {resumed}");
        assert!(resumed.words().contains(file), "{what}: {resumed}");
        is_same(&broken, &ground.data());
        copy(sound, &ground.data());
    }

    #[test]
    fn a_flipped_byte_or_a_missing_file_is_found_and_never_crawled_on() {
        let seed = std::env::var("SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(Random::any_seed);
        eprintln!("SEED={seed}");
        let mut random = Random(seed);
        let ground = Ground::new(60);
        ground.pause_after(20);
        ground.site.clear_log();
        let sound = ground.folder.join("sound");
        copy(&ground.data(), &sound);
        let mut files: Vec<String> = fs::read_dir(ground.checkpoint())
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        assert_eq!(files, ["job.json", "journal-1"]);
        for file in &files {
            let path = ground.checkpoint().join(file);
            let bytes = fs::read(&path).unwrap();
            for n in 0..FLIPS_A_FILE {
                // The first and the last byte always, and some between.
                let at = match n {
                    0 => 0,
                    1 => bytes.len() - 1,
                    _ => random.below(bytes.len() as u64) as usize,
                };
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << random.below(8);
                fs::write(&path, flipped).unwrap();
                is_found(&ground, &sound, file, &format!("{file}, byte {at}"));
            }
            let cut = random.below(bytes.len() as u64) as usize;
            fs::write(&path, &bytes[..cut]).unwrap();
            is_found(&ground, &sound, file, &format!("{file} cut to {cut}"));
            fs::remove_file(&path).unwrap();
            is_found(&ground, &sound, file, &format!("{file} is missing"));
        }
        assert_eq!(ground.site.count(), 0);
        ground.crawl().run().code(0);
        ground.is_complete();
    }

    #[test]
    fn an_output_that_lost_records_is_found_and_never_crawled_on() {
        let ground = Ground::new(60);
        ground.pause_after(20);
        let sound = ground.folder.join("sound");
        copy(&ground.data(), &sound);
        let [output] = &outputs(&ground.data())[..] else {
            panic!("not one output");
        };
        let bytes = fs::read(output).unwrap();
        fs::write(output, &bytes[..bytes.len() / 2]).unwrap();
        is_found(&ground, &sound, "crawl_", "half of the output");
        fs::remove_file(output).unwrap();
        is_found(&ground, &sound, "crawl_", "no output");
        ground.crawl().run().code(0);
        ground.is_complete();
    }

    #[test]
    fn a_bad_image_is_said_and_rebuilt_from_the_journal() {
        const WAITING: usize = 2_200;
        let ground = Ground::new(1);
        ground.site.otherwise(|_| Answer::html("a page"));
        // So large a journal that an image is worth it.
        let words = "x".repeat(8_000);
        let requests: String = (0..WAITING)
            .map(|n| {
                json!({"url": ground.site.url(&format!("/{n}")), "meta": words}).to_string() + "\n"
            })
            .collect();
        Tool::new("crawl-frontier")
            .dir(&ground.folder)
            .args(["add", "--job", "data/default/shop/checkpoint"])
            .stdin(requests)
            .run()
            .code(0);
        ground.pause_after(5);
        let image = ground.checkpoint().join("image");
        let mut random = Random(7);
        for round in 1..=3 {
            let mut bytes = fs::read(&image).unwrap();
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1;
            fs::write(&image, &bytes).unwrap();
            ground.ckpt(&["verify"]).run().code(65).says("image");
            let more = ground.crawl().args(["--max-pages", "5"]).run().code(4);
            more.says("image").says("the journal is read instead");
            ground
                .ckpt(&["verify"])
                .run()
                .code(0)
                .prints("and an image");
            assert_eq!(ground.shown()["done"], 5 + 5 * round, "byte {at}");
        }
        fs::remove_file(&image).unwrap();
        ground.ckpt(&["verify"]).run().code(65).says("is missing");
        let more = ground.crawl().args(["--max-pages", "5"]).run().code(4);
        more.says("image is missing; the journal is read instead");
        assert!(image.exists());
        let job = ground.shown();
        assert_eq!(job["done"], 25);
        assert_eq!(job["seen"], WAITING + 1);
    }
}
