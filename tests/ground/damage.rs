//! Bytes that are not what was written.

use crate::support::{Answer, Random};

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
