//! Whether a store is sound, and a copy of it to look at.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::scene::{Scene, scene_json};
use crate::support::Tool;

#[test]
fn a_sound_store_is_verified_and_a_damaged_partition_is_named() {
    let Some(scene) = Scene::new() else { return };
    scene.begun(40);
    let sound = scene.ckpt(["verify"]).run().code(0);
    sound
        .prints("default/tree/one: sound: ")
        .prints("of 16 partitions")
        .is_quiet();
    let log = |part: usize| format!("{{default/tree/one:{part}}}:log");
    let full = (0..16).find(|part| {
        let batches: usize = scene.redis().ask(&["XLEN", &log(*part)]).parse().unwrap();
        batches >= 3
    });
    let part = full.unwrap();
    let state = format!("{{default/tree/one:{part}}}:l");
    // One letter of a batch is another.
    let flip = "local all = redis.call('XRANGE', KEYS[1], '-', '+') redis.call('DEL', KEYS[1]) \
        for n, e in ipairs(all) do local b = e[2][2] \
        if n == 2 then local at = #b - 20 \
        b = b:sub(1, at - 1) .. string.char((b:byte(at) + 1) % 256) .. b:sub(at + 1) end \
        redis.call('XADD', KEYS[1], e[1], 'b', b, 'o', e[2][4]) end return #all";
    scene.redis().ask(&["SAVE"]);
    scene
        .redis()
        .ask(&["COPY", &log(part), &format!("{}:kept", log(part))]);
    let restore = || {
        scene.redis().ask(&[
            "COPY",
            &format!("{}:kept", log(part)),
            &log(part),
            "REPLACE",
        ]);
        scene.ckpt(["verify", "tree"]).run().code(0);
    };
    let named = format!("default/tree/one: partition {part:03} is damaged: ");
    scene.redis().ask(&["EVAL", flip, "1", &log(part)]);
    scene.ckpt(["verify", "tree"]).run().code(65).says(&named);
    restore();
    // A batch in the middle is gone.
    let first = scene.redis().ask(&["XRANGE", &log(part), "2", "2"]);
    let id = first.lines().next().unwrap().to_owned();
    scene.redis().ask(&["XDEL", &log(part), &id]);
    let gone = scene.ckpt(["verify", "tree"]).run().code(65).says(&named);
    gone.says("batch 2 of");
    restore();
    // The engine forgot the last ones, and says that there were more.
    scene.redis().ask(&["HINCRBY", &state, "seq", "1"]);
    scene
        .ckpt(["verify", "tree"])
        .run()
        .code(65)
        .says("is missing");
    let [checked] = &scene_json(&scene.ckpt(["verify", "--json"]).run().code(65).text())[..] else {
        panic!("one crawl")
    };
    assert_eq!(checked["sound"], false);
    assert_eq!(checked["problems"][0]["partition"], part);
    // A worker finds it as well, and says what to do.
    let refused = scene.worker("b").run().code(65);
    refused
        .says("the store lost committed batches")
        .says(&format!("hint: crawl-ckpt --store {} verify", scene.url));
}

/// What a store does that loses the last seconds of one of its nodes.
#[test]
fn a_partition_that_went_back_in_time_is_found_by_the_letters_that_others_have_of_it() {
    let Some(scene) = Scene::new() else { return };
    scene.begun(20);
    let copy = |part: usize, from: &str, to: &str| {
        for what in ["l", "log", "out"] {
            let key = |end: &str| format!("{{default/tree/one:{part}}}:{what}{end}");
            scene
                .redis()
                .ask(&["COPY", &key(from), &key(to), "REPLACE"]);
        }
    };
    (0..16).for_each(|part| copy(part, "", ":then"));
    // Now all letters are taken.
    scene.worker("a").run().code(0);
    (0..16).for_each(|part| copy(part, "", ":now"));
    // How many batches each had would tell it too; that lies in one slot, which may be lost as well.
    scene.redis().ask(&["DEL", "{default/tree/one:m}:had"]);
    scene.ckpt(["verify", "tree"]).run().code(0);
    let mut found = 0;
    for part in 0..16 {
        copy(part, ":then", "");
        let done = scene.ckpt(["verify", "tree"]).run();
        // Some sent nothing meanwhile: what they did is done again, and nobody is the wiser.
        if done.exit() != 0 {
            let named = format!("partition {part:03} is damaged: partition ");
            done.code(65).says(&named).says("the last batches are lost");
            found += 1;
        }
        copy(part, ":now", "");
    }
    // Pages lead to pages of other partitions, nearly all of them.
    assert!(found >= 2, "{found} of 16");
}

#[test]
fn a_partition_that_is_pulled_is_a_job_directory() {
    let Some(scene) = Scene::new() else { return };
    scene.begun(40);
    scene
        .ckpt(["pull", "tree", "-o", "copy"])
        .run()
        .code(0)
        .says("partitions");
    let mut jobs: Vec<_> = fs::read_dir(scene.folder.join("copy"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    jobs.retain(|path| path.is_dir());
    assert!(jobs.len() > 3, "{jobs:?}");
    let [listed] = &scene.told(["ls"])[..] else {
        panic!("one crawl")
    };
    let (mut pending, mut seen, mut urls) = (0, 0, BTreeSet::new());
    for job in &jobs {
        let of = |tool: &str, command: &str| Tool::new(tool).arg(command).arg("--job").arg(job);
        of("crawl-ckpt", "verify")
            .run()
            .code(0)
            .prints("sound")
            .is_quiet();
        of("crawl-ckpt", "show").run().code(0).prints("paused");
        let stat = of("crawl-frontier", "stat")
            .arg("--json")
            .run()
            .code(0)
            .text();
        let stat: Value = serde_json::from_str(&stat).unwrap();
        pending += stat["pending"].as_u64().unwrap();
        seen += stat["seen"].as_u64().unwrap();
        let exported = of("crawl-frontier", "export").run().code(0);
        for request in scene_json(&exported.text()) {
            let url = request["url"].as_str().unwrap().to_owned();
            of("crawl-frontier", "seen")
                .stdin(&url)
                .run()
                .code(0)
                .prints(&url);
            assert!(urls.insert(url), "once among all partitions");
        }
    }
    assert_eq!(pending, listed["pending"].as_u64().unwrap());
    assert_eq!(seen, listed["seen"].as_u64().unwrap());
    assert_eq!(urls.len() as u64, pending);
    for url in scene.records(&["a"]).keys() {
        assert!(!urls.contains(url), "{url} has a record and is pending");
    }
    // A job that is there stays.
    scene
        .ckpt(["pull", "tree", "-o", "copy"])
        .run()
        .code(1)
        .says("a job is there already");
    scene
        .ckpt(["pull", "tree", "-o", "more", "--part", "99"])
        .run()
        .code(2)
        .says("no partition 99");
}
