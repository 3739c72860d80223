//! Damage: what is found, and what is saved.

use super::*;

#[test]
fn verify_passes_a_sound_job_and_names_the_place_of_every_flipped_byte() {
    let data = Data::new();
    let mut crawl = data.begin("p", "s");
    crawl.step(3, 1);
    crawl.step(2, 2);
    crawl.write_image();
    let place = crawl.pause();
    data.run(&["verify", "p/s"])
        .code(0)
        .is_quiet()
        .prints("p/s: sound: 10 entries in 2 batches");
    data.run(&["verify"]).code(0).prints("p/s: sound");
    for name in ["job.json", "journal-1", "image"] {
        let path = place.dir.join(name);
        let good = fs::read(&path).unwrap();
        for at in (0..good.len()).step_by(97).chain([good.len() - 1]) {
            flip(&path, at);
            let done = data
                .run(&["verify", "p/s"])
                .code(65)
                .says("p/s: ")
                .says(name)
                .says("damaged");
            assert_eq!(done.text(), "", "{name} byte {at}");
            fs::write(&path, &good).unwrap();
        }
        fs::remove_file(&path).unwrap();
        if name != "image" {
            data.run(&["verify", "p/s"])
                .code(65)
                .says(name)
                .says("missing");
        }
        fs::write(&path, &good).unwrap();
    }
    let journal = place.dir.join("journal-1");
    flip(&journal, 130);
    data.run(&["verify", "p/s"])
        .code(65)
        .says("journal-1: damaged at byte 64: the checksum of a batch is wrong");
    let rows = data.json(&["verify", "--json"]);
    assert_eq!(rows[0]["sound"], false);
    assert_eq!(rows[0]["problems"][0]["offset"], 64);
}

#[test]
fn verify_holds_the_output_against_the_last_commit() {
    let data = Data::new();
    let mut crawl = data.begin("p", "s");
    crawl.step(10, 4);
    let output = crawl.output.clone();
    crawl.pause();
    let good = fs::read(&output).unwrap();
    // What follows the committed length is cut off by the next run.
    fs::write(&output, [&good[..], b"{\"half"].concat()).unwrap();
    data.run(&["verify", "p/s"]).code(0);
    fs::write(&output, &good[..good.len() - 1]).unwrap();
    data.run(&["verify", "p/s"])
        .code(65)
        .says("crawl.jsonl: damaged at byte 151: the output ends here");
    let joined = String::from_utf8(good).unwrap().replacen('\n', " ", 1);
    fs::write(&output, joined).unwrap();
    data.run(&["verify", "p/s"])
        .code(65)
        .says("3 lines lie before this byte, 4 records");
    fs::remove_file(&output).unwrap();
    data.run(&["verify", "p/s"])
        .code(65)
        .says("the output is missing");
}

/// A job of four commits, and the marks at their ends.
fn of_four_commits(data: &Data) -> (JobPlace, [Mark; 4]) {
    let mut crawl = data.begin("p", "s");
    let marks = [(5, 0), (5, 3), (5, 2), (0, 1)].map(|(seen, done)| crawl.step(seen, done));
    (crawl.pause(), marks)
}

/// Puts the copy in the place of the damaged job, as the tool says.
fn take_the_copy(data: &Data, done: &Done) {
    let line = done.lines().pop().unwrap();
    let command = line.split_once("go on with the copy: ").unwrap().1;
    Tool::program("sh").args(["-c", command]).run().code(0);
    data.run(&["verify", "p/s"]).code(0).prints("p/s: sound");
}

#[test]
fn repair_saves_all_but_the_batch_that_is_damaged() {
    let data = Data::new();
    let (place, marks) = of_four_commits(&data);
    data.run(&["verify", "--repair", "p/s"])
        .code(0)
        .prints("sound");
    assert!(!place.dir.with_file_name("checkpoint.repaired").exists());

    let journal = place.dir.join("journal-1");
    flip(&journal, marks[0].bytes as usize + 100);
    let before = fs::read(&journal).unwrap();
    let done = data.run(&["verify", "--repair", "p/s"]).code(65);
    // Pages 0 to 4 and 10 to 14 are known. Their ends were lost in part, but six have records;
    // one of them, page 5, is among those that were lost.
    let done = done.prints("saved 11 URLs, 5 of them pending, from 3 commits");
    let done = done
        .prints("1 commit\n")
        .prints("lost with it, unless a page leads there again: 4 URLs");
    let done = done.prints("known from the output alone, and finished: 1 URL");
    assert_eq!(fs::read(&journal).unwrap(), before);
    take_the_copy(&data, &done);
    let rows = data.json(&["ls", "--json"]);
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (&rows[0]["seen"], &rows[0]["done"]),
        (&11.into(), &6.into())
    );
}

#[test]
fn repair_tells_what_a_cut_journal_lost_by_its_seal() {
    let data = Data::new();
    let (place, marks) = of_four_commits(&data);
    for cut in [marks[1].bytes, marks[1].bytes + 70] {
        let journal = place.dir.join("journal-1");
        let good = fs::read(&journal).unwrap();
        fs::write(&journal, &good[..cut as usize]).unwrap();
        let done = data.run(&["verify", "--repair", "p/s"]).code(65);
        done.prints("saved 10 URLs, 4 of them pending, from 2 commits")
            .prints(", 2 commits\n")
            .prints("lost with it, unless a page leads there again: 5 URLs");
        fs::write(&journal, good).unwrap();
    }
}

#[test]
fn repair_fetches_again_what_has_no_record_any_more() {
    let data = Data::new();
    let (place, _) = of_four_commits(&data);
    let output = place.dir.with_file_name("crawls").join("crawl.jsonl");
    let text = fs::read_to_string(&output).unwrap();
    fs::write(&output, &text[..38 * 4 + 5]).unwrap();
    let done = data.run(&["verify", "--repair", "p/s"]).code(65);
    let done = done
        .prints("saved 15 URLs, 11 of them pending")
        .prints("for want of a record in the output: 2 URLs");
    take_the_copy(&data, &done);
    assert_eq!(fs::read_to_string(&output).unwrap().len(), 38 * 4 + 5);
}

#[test]
fn repair_finds_the_output_when_the_manifest_is_lost() {
    let data = Data::new();
    let (place, _) = of_four_commits(&data);
    data.folder.write("p/s/crawls/crawl_2.jsonl", "{}\n");
    fs::remove_file(place.dir.join("job.json")).unwrap();
    let done = data.run(&["verify", "--repair", "p/s"]).code(65);
    let done = done
        .prints("job.json is lost")
        .prints("saved 15 URLs, 9 of them pending");
    take_the_copy(&data, &done);
    data.run(&["show", "p/s"])
        .code(0)
        .prints("p/s/crawls/crawl.jsonl");
}

#[test]
fn repair_puts_a_flipped_byte_of_the_manifest_right() {
    let data = Data::new();
    let (place, _) = of_four_commits(&data);
    flip(&place.dir.join("job.json"), 77);
    let done = data.run(&["verify", "--repair", "p/s"]).code(65);
    let done = done
        .prints("one wrong byte")
        .prints("saved 15 URLs, 9 of them pending");
    take_the_copy(&data, &done);
    data.run(&["show", "p/s"])
        .code(0)
        .prints("start URL    https://s/");
    // A journal's header is known from the manifest.
    flip(&place.dir.join("journal-1"), 20);
    data.run(&["verify", "--repair", "p/s"])
        .code(65)
        .prints("saved 15 URLs, 9 of them pending");
}

#[test]
fn repair_refuses_a_running_crawl() {
    let data = Data::new();
    let mut crawl = data.begin("p", "s");
    crawl.step(3, 0);
    crawl.step(3, 0);
    flip(&crawl.place.dir.join("journal-1"), 100);
    data.run(&["verify", "--repair", "p/s"])
        .code(75)
        .says("another run holds this job");
}

#[test]
fn verify_finds_counts_that_do_not_come_from_the_records() {
    let data = Data::new();
    let mut crawl = data.begin("p", "s");
    crawl.commit.progress.counts.failed = 1;
    crawl.step(3, 1);
    crawl.pause();
    data.run(&["verify", "p/s"]).code(65).says("do not add up");
    let mut crawl = data.begin("p", "t");
    crawl.commit.progress.counts.seen = 1;
    crawl.step(3, 0);
    crawl.pause();
    data.run(&["verify", "p/t"])
        .code(65)
        .says("counts 4 URLs")
        .says("come to 3");
}
