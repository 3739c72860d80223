//! A checkpoint that is not where, or what, it was.

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
