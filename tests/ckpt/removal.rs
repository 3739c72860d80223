//! What is removed, and what stays.

use super::*;

#[test]
fn rm_removes_what_was_named_and_keeps_the_rest() {
    let data = Data::new();
    let (one, two) = (data.paused("p", "one", 5, 2), data.paused("p", "two", 5, 2));
    let done = data
        .run(&["rm", "--yes", "p/one"])
        .code(0)
        .says("removed p/one");
    done.says("its unfinished output stays");
    assert!(!one.dir.exists() && one.lock.exists() && two.dir.exists());
    // A damaged one goes as well.
    fs::write(two.dir.join("job.json"), "nonsense").unwrap();
    data.run(&["rm", "-q", "--yes", "p/two"]).code(0).is_quiet();
    assert!(!two.dir.exists());
    data.run(&["rm", "--yes", "p/two"])
        .code(1)
        .says("no checkpoint");
}

#[test]
fn the_place_of_warc_files_is_shown_and_told_when_the_checkpoint_goes() {
    let data = Data::new();
    let mut crawl = data.begin("p", "s");
    let dir = crawl.output.with_file_name("pages-warc");
    fs::create_dir(&dir).unwrap();
    let place = OutputPlace::file(&dir, &data.folder);
    let keep = |manifest: &mut Manifest| manifest.keep_warc(place);
    crawl.job.update(&crawl.lock, keep).unwrap();
    crawl.step(1, 0);
    crawl.pause();
    let dir = dir.display().to_string();
    let shown = data.run(&["show", "p/s"]).code(0);
    shown.prints(&format!("warc         {dir}\n"));
    assert_eq!(data.json(&["show", "p/s", "--json"])[0]["warc"], dir);
    let removed = data.run(&["rm", "--yes", "p/s"]).code(0);
    removed.says(&format!("p/s: its unfinished WARC files stay: {dir}"));
}

#[test]
fn rm_refuses_a_running_crawl_and_removes_the_others() {
    let data = Data::new();
    let mut running = data.begin("p", "running");
    running.step(1, 0);
    let other = data.paused("p", "other", 1, 0);
    let pid = std::process::id();
    let done = data.run(&["rm", "--yes", "p/running"]).code(75);
    done.says(&format!(
        "p/running: another run holds this job: pid {pid} on "
    ));
    data.run(&["rm", "--all", "--yes"])
        .code(75)
        .says("removed p/other");
    assert!(running.place.dir.exists() && !other.dir.exists());
    running.step(1, 1);
    let place = running.pause();
    data.run(&["rm", "--all", "--yes"])
        .code(0)
        .says("removed p/running");
    assert!(!place.dir.exists());
}

#[test]
fn rm_older_than_goes_by_the_last_commit() {
    let data = Data::new();
    let day = Duration::from_secs(86_400);
    for (spider, days) in [("d6", 6), ("d8", 8)] {
        let mut crawl = data.begin("p", spider);
        crawl.step(1, 0);
        crawl.last_touched(day * days);
        crawl.pause();
    }
    let mut old_but_running = data.begin("p", "running");
    old_but_running.last_touched(day * 30);
    data.run(&["rm", "--yes", "--older-than", "7d"])
        .code(0)
        .says("removed p/d8")
        .never_says("d6");
    let rows = data.json(&["ls", "--json"]);
    let left: Vec<&str> = rows
        .iter()
        .map(|row| row["spider"].as_str().unwrap())
        .collect();
    assert_eq!(left, ["d6", "running"]);
    assert!((6 * 86_400..6 * 86_400 + 60).contains(&rows[0]["age_s"].as_u64().unwrap()));
    data.run(&["rm", "--older-than", "soon"])
        .code(2)
        .says("no duration");
}

#[test]
fn rm_clears_what_an_interrupted_removal_left() {
    let data = Data::new();
    let place = data.paused("p", "s", 1, 0);
    fs::rename(&place.dir, place.removing()).unwrap();
    assert_eq!(data.run(&["ls"]).code(0).text(), "");
    data.run(&["rm", "--all", "--yes"])
        .code(0)
        .says("removed p/s");
    assert!(!place.removing().exists());
}

#[test]
fn rm_leaves_no_empty_output_behind() {
    let data = Data::new();
    let place = data.paused("p", "nothing", 1, 1);
    let output = place.dir.join("../crawls/crawl.jsonl");
    fs::write(output, "").unwrap();
    let outputs = || {
        let files = data.folder.files().into_iter();
        files
            .filter(|file| file.starts_with("p/nothing/crawls"))
            .count()
    };
    assert!(outputs() > 0);
    let done = data.run(&["rm", "--yes", "p/nothing"]).code(0);
    done.never_says("stays");
    assert_eq!(outputs(), 0);
}
