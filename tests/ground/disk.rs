//! Real file systems that are full, or refuse.

use std::time::Duration;

use crate::support::skipped;

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
