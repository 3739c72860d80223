//! `crawl-ckpt collect`: one file of the records of several workers.

use std::fs;

use super::support::{Folder, Tool};

fn record(page: usize, second: usize) -> String {
    format!(
        "{{\"url\":\"http://a.example/{page}\",\"fetched_at\":\"2026-01-01T00:00:{second:02}Z\"}}\n"
    )
}

fn records(pages: impl IntoIterator<Item = usize>) -> String {
    pages.into_iter().map(|page| record(page, 0)).collect()
}

fn collect(folder: &Folder, words: &str) -> Tool {
    let tool = Tool::new("crawl-ckpt").dir(folder).arg("collect");
    tool.args(words.split(' '))
}

/// Two workers' directories.
fn workers() -> Folder {
    let folder = Folder::new();
    folder.write("a/crawl_one.a.jsonl", records(0..50));
    folder.write("a/crawl_one.a.summary.json", "{}");
    folder.write("b/crawl_one.b.jsonl", records(50..80));
    folder
}

#[test]
fn the_files_of_workers_become_one_file_in_their_order() {
    let folder = workers();
    let done = collect(&folder, "a b -o all.jsonl").run().code(0);
    done.says("80 records of 2 files").says("all.jsonl");
    assert_eq!(folder.read("all.jsonl"), records(0..80));
    // Files that are named, in their order; a last line that is whole needs no newline.
    folder.write("c.jsonl", record(99, 0).trim_end());
    let done = collect(&folder, "c.jsonl b/crawl_one.b.jsonl -o more.jsonl");
    done.run().code(0);
    assert_eq!(folder.read("more.jsonl"), record(99, 0) + &records(50..80));
    let again = collect(&folder, "a b -o all.jsonl").run().code(2);
    again.says("output all.jsonl: the file exists already");
    assert_eq!(folder.read("all.jsonl"), records(0..80));
}

#[test]
fn a_url_with_several_records_is_refused_with_its_places_or_the_latest_is_kept() {
    let folder = workers();
    folder.write(
        "b/crawl_one.b.jsonl",
        records(60..63) + &record(7, 5) + &record(9, 9),
    );
    let done = collect(&folder, "a b -o all.jsonl").run().code(1);
    done.says("has several records: ")
        .says("a/crawl_one.a.jsonl line ")
        .says("b/crawl_one.b.jsonl line ")
        .says("so have 1 more")
        .says("--latest");
    assert!(!folder.join("all.jsonl").exists());
    let done = collect(&folder, "b a -o all.jsonl --latest").run().code(0);
    done.says("53 records of 2 files").says("without 2 records");
    let text = folder.read("all.jsonl");
    assert_eq!(text.lines().count(), 53);
    for late in [record(7, 5), record(9, 9)] {
        assert!(text.contains(&late), "{text}");
    }
    assert!(!text.contains(&record(7, 0)), "{text}");
}

#[test]
fn what_is_torn_or_no_record_is_named_and_nothing_is_made() {
    for (tail, says) in [
        ("{\"url\":\"http://a.ex", "its last line is torn"),
        ("\n", "line 51 is no record"),
        ("{\"status\":200}\n", "line 51 is no record"),
    ] {
        let folder = workers();
        folder.write("a/crawl_one.a.jsonl", records(0..50) + tail);
        let done = collect(&folder, "a b -o all.jsonl").run().code(65);
        done.says("a/crawl_one.a.jsonl: ").says(says);
        let left = fs::read_dir(&*folder).unwrap().count();
        assert_eq!(left, 2, "only the two directories");
    }
}

#[test]
fn of_directories_with_several_crawls_one_is_to_be_named() {
    let folder = workers();
    folder.write("a/crawl_two.a.jsonl", records(0..3));
    let done = collect(&folder, "a b -o all.jsonl").run().code(2);
    done.says("several crawls: two, one").says("--crawl-id two");
    collect(&folder, "a -o two.jsonl --crawl-id two")
        .run()
        .code(0);
    assert_eq!(folder.read("two.jsonl"), records(0..3));
    let none = collect(&folder, "a b -o three.jsonl --crawl-id three");
    none.run()
        .code(1)
        .says("a has no records of the crawl three");
    // A worker that has not ended is missing.
    folder.write("b/crawl_one.d/part-003.b.jsonl", records(80..90));
    let done = collect(&folder, "a b -o all.jsonl --crawl-id one")
        .run()
        .code(1);
    done.says("part-003.b.jsonl is not joined yet")
        .says("crawl-run");
    assert!(!folder.join("all.jsonl").exists());
}
