//! What lies in a store is listed and shown, and what is not there is refused.

use crate::scene::{PAGES, Scene, kill};
use crate::support::Tool;

#[test]
fn crawls_are_listed_with_how_they_are() {
    let Some(scene) = Scene::new() else { return };
    scene.ckpt(["ls"]).run().code(0).prints_just("").is_quiet();
    scene.begun(30);
    let listed = scene.ckpt(["ls"]).run().code(0).prints_lines(2);
    for word in ["default", "tree", "one", "idle"] {
        listed.clone().prints(word);
    }
    let [crawl] = &scene.told(["ls"])[..] else {
        panic!("one crawl")
    };
    assert_eq!(crawl["state"], "idle");
    assert_eq!(crawl["crawl_id"], "one");
    let of = |name: &str| crawl[name].as_u64().unwrap();
    assert_eq!(of("done") as usize, scene.records(&["a"]).len());
    assert_eq!(of("done") + of("pending"), of("seen"));
    assert!(of("pending") > 0 && of("bytes") > 0);
    scene.ckpt(["ls", "other"]).run().code(0).prints_just("");

    scene.hold_after(45);
    let running = scene.worker("a").start();
    scene.wait_held();
    let [crawl] = &scene.told(["ls"])[..] else {
        panic!("one crawl")
    };
    assert_eq!(
        (&crawl["state"], &crawl["workers"]),
        (&"running".into(), &1.into())
    );
    scene.release();
    running.wait().code(0);
    let [crawl] = &scene.told(["ls"])[..] else {
        panic!("one crawl")
    };
    assert_eq!(
        (&crawl["state"], &crawl["done"]),
        (&"complete".into(), &PAGES.into())
    );
}

#[test]
fn what_stands_still_is_shown_with_the_reason_and_the_command_that_goes_on() {
    let Some(scene) = Scene::new() else { return };
    scene.begun(30);
    let shown = scene.ckpt(["show", "tree"]).run().code(0);
    shown
        .prints("no worker lives")
        .prints(&format!("crawl-run tree.json --store {}", scene.url))
        .prints("PARTITION");
    // One that is killed owns what it had.
    scene.hold_after(45);
    let killed = scene.worker("a").start();
    scene.wait_held();
    kill(&killed);
    scene.release();
    let [crawl] = &scene.told(["show", "default/tree/one"])[..] else {
        panic!("one crawl")
    };
    assert_eq!(crawl["state"], "idle");
    assert_eq!(crawl["crew"][0]["worker"], "a");
    assert_eq!(crawl["crew"][0]["lives"], false);
    let parts = crawl["partitions"].as_array().unwrap();
    assert_eq!(parts.len(), 16);
    assert!(parts.iter().any(|part| part["owner"] == "a"));
    let sum = |name: &str| -> u64 { parts.iter().map(|part| part[name].as_u64().unwrap()).sum() };
    assert_eq!(sum("done"), crawl["done"].as_u64().unwrap());
    let sizes = scene.told(["size", "tree"]);
    assert!(sizes[0]["parts"]["journal"].as_u64().unwrap() > 0);
    scene
        .ckpt(["size"])
        .run()
        .code(0)
        .says("append-only file")
        .prints("A URL");
}

#[test]
fn names_and_options_that_a_store_does_not_have_are_refused_with_the_way_out() {
    let Some(scene) = Scene::new() else { return };
    scene.begun(5);
    for (words, code, says) in [
        ("show other", 1, "it has: default/tree/one"),
        ("show default/tree/two", 1, "it has: default/tree/one"),
        ("show a/b/c/d", 2, "PROJECT/SPIDER/ID"),
        ("show ../x", 2, "no name"),
        ("show --job x", 2, "PROJECT/SPIDER/ID"),
        ("verify --repair tree", 2, "pull"),
        ("report tree", 2, "collect"),
    ] {
        let done = scene.ckpt(words.split(' ')).run().code(code);
        assert!(done.words().contains(says), "{words}: {done}");
    }
    for words in ["pull tree -o x", "pause tree", "resume tree"] {
        let local = Tool::new("crawl-ckpt")
            .dir(&scene.folder)
            .args(words.split(' '));
        local.run().code(2).says("--store URL");
    }
    let nowhere =
        Tool::new("crawl-ckpt").args(["--store", "redis://127.0.0.1:1/", "ls", "--outage", "1s"]);
    nowhere.run().code(1).says("cannot be reached");
}

#[test]
fn a_crawl_of_an_earlier_format_is_refused_with_the_way_out_and_left_alone() {
    let Some(scene) = Scene::new() else { return };
    scene.begun(5);
    let key = "{default/tree/one:m}:job";
    let job = scene.redis().ask(&["GET", key]);
    let old = job.replace("\"format\":2", "\"format\":1");
    assert_ne!(job, old);
    scene.redis().ask(&["SET", key, &old]);
    let asked = scene.site.count();
    let refused = scene.worker("a").run().code(2);
    refused
        .says("another version of the tools, which keeps it in format 1")
        .says("hint: that version finishes it");
    assert_eq!(scene.site.count(), asked);
    for command in ["show", "verify"] {
        let refused = scene.ckpt([command, "tree"]).run().code(2);
        refused
            .says("default/tree/one: ")
            .says("keeps it in format 1");
    }
    scene.ckpt(["ls"]).run().code(0).says("in format 1");
    assert_eq!(scene.redis().ask(&["GET", key]), old);
}
