//! What is done to a crawl in a store: a pause, what is fetched again, its end.

use std::collections::BTreeSet;
use std::fs;

use crate::scene::{PAGES, Scene, Shape, scene_json};
use crate::support::{Cluster, Signal, Tool};

#[test]
fn a_crawl_that_is_paused_stops_its_workers_and_goes_on_when_it_is_resumed() {
    let Some(scene) = Scene::new() else { return };
    let (a, b) = scene.two_workers(40);
    scene.wait_held();
    scene
        .ckpt(["pause", "tree"])
        .run()
        .code(0)
        .says("exit code 4");
    let resume = format!("crawl-ckpt --store {} resume default/tree/one", scene.url);
    a.wait_says("the crawl was paused");
    b.wait_says("the crawl was paused");
    scene.release();
    for worker in [a, b] {
        let ended = worker.wait().code(4).never_says("limit");
        let words = ended.words();
        let headline = words.lines().find(|line| line.contains(" records"));
        let headline = headline.unwrap_or_default();
        assert!(headline.starts_with("paused for all workers by crawl-ckpt pause"));
        ended
            .says(&format!("resume with: {resume}\nand then: "))
            .says("crawl-run tree.json --store");
    }
    let asked = scene.site.count();
    assert!(scene.records(&["a", "b"]).len() < PAGES);
    let refused = scene.worker("c").run().code(4);
    refused
        .says("default/tree/one")
        .says(&format!("hint: {resume}"));
    assert_eq!(
        scene.site.count(),
        asked,
        "nothing was asked for in a pause"
    );
    assert_eq!(scene.told(["ls"])[0]["state"], "paused");
    scene
        .ckpt(["show", "tree"])
        .run()
        .code(0)
        .prints("is paused")
        .prints(&resume);
    scene.ckpt(["resume", "tree"]).run().code(0);
    scene.worker("a").run().code(0);
    scene.worker("b").run().code(0);
    let records = scene.records(&["a", "b"]);
    assert_eq!(records.len(), PAGES);
    assert!(records.values().all(|count| *count == 1));
    assert_eq!(scene.told(["ls"])[0]["state"], "complete");
    // What is over stays so.
    scene
        .ckpt(["pause", "tree"])
        .run()
        .code(0)
        .says("nothing to pause");
    assert_eq!(scene.told(["ls"])[0]["state"], "complete");
}

#[test]
fn what_a_worker_finished_is_fetched_again_when_its_disk_is_lost() {
    let Some(scene) = Scene::new() else { return };
    let (a, b) = scene.two_workers(60);
    scene.wait_held();
    let requeue = ["requeue", "tree", "--worker", "b"];
    scene
        .ckpt(requeue)
        .run()
        .code(75)
        .says("pause default/tree/one");
    scene.ckpt(["pause", "tree"]).run().code(0);
    a.wait_says("the crawl was paused");
    b.wait_says("the crawl was paused");
    scene.release();
    a.wait().code(4);
    b.wait().code(4);
    let of_b = scene.records(&["b"]);
    assert!(!of_b.is_empty(), "both had a share");
    let printed = scene.ckpt(requeue).arg("--print").run().code(0).text();
    let printed = scene_json(&printed).into_iter();
    let printed: BTreeSet<String> = printed
        .map(|r| r["url"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(printed, of_b.keys().cloned().collect());
    fs::remove_dir_all(scene.folder.join("b")).unwrap();
    scene
        .ckpt(requeue)
        .run()
        .code(0)
        .says(&format!("{} URL", of_b.len()));
    scene.ckpt(["verify", "tree"]).run().code(0);
    let listed = &scene.told(["ls"])[0];
    assert_eq!(
        listed["done"].as_u64().unwrap() as usize,
        scene.records(&["a"]).len()
    );
    // Once more does nothing more.
    let again = scene.ckpt(requeue).run().code(0);
    again.says("nothing that b wrote counts any more");
    let typo = scene.ckpt(["requeue", "tree", "--worker", "bb"]);
    typo.run().code(1).says("no records of bb");
    scene.ckpt(["resume", "tree"]).run().code(0);
    scene.worker("a").run().code(0);
    let records = scene.records(&["a"]);
    assert_eq!(records.len(), PAGES);
    assert!(records.values().all(|count| *count == 1));
    scene.ckpt(["verify", "tree"]).run().code(0);
}

#[test]
fn a_complete_crawl_goes_on_when_the_disk_of_one_of_its_workers_is_lost() {
    let Some(scene) = Scene::new() else { return };
    let (a, b) = scene.two_workers(usize::MAX);
    a.wait().code(0);
    b.wait().code(0);
    let of_b = scene.records(&["b"]);
    assert!(!of_b.is_empty(), "both had a share");
    let requeue = |worker| scene.ckpt(["requeue", "tree", "--worker", worker]).run();
    requeue("x").code(1).says("no records of x");
    assert_eq!(scene.told(["ls"])[0]["state"], "complete");
    fs::remove_dir_all(scene.folder.join("b")).unwrap();
    let requeued = requeue("b").code(0);
    requeued
        .says("was complete and is paused now")
        .says("--worker");
    assert_eq!(scene.told(["ls"])[0]["state"], "paused");
    scene.ckpt(["resume", "tree"]).run().code(0);
    // The file of a worker that ended stays as it is.
    let refused = scene.worker("a").run().code(2);
    refused.says("hint: take part under another --worker");
    scene.worker("c").run().code(0);
    let records = scene.records(&["a", "c"]);
    assert_eq!(records.len(), PAGES);
    assert!(records.values().all(|count| *count == 1));
    assert_eq!(scene.records(&["c"]).len(), of_b.len());
    let all = "a/default/tree/crawls c/default/tree/crawls -o all.jsonl";
    let collect = Tool::new("crawl-ckpt").dir(&scene.folder).arg("collect");
    let collected = collect.args(all.split(' ')).run().code(0);
    collected.says(&format!("{PAGES} records"));
}

#[test]
fn a_crawl_is_removed_when_nobody_works_on_it_and_nothing_of_it_stays() {
    let Some(scene) = Scene::new() else { return };
    scene.hold_after(20);
    let a = scene.worker("a").args(["--grace", "1s"]).start();
    scene.wait_held();
    let refused = scene.ckpt(["rm", "tree", "--yes"]).run().code(75);
    refused
        .says("worker a lives")
        .says("pause default/tree/one");
    a.signal(Signal::Term);
    a.wait().code(143);
    let asked = scene.ckpt(["rm", "tree"]).run().code(2);
    asked.says("to remove: default/tree/one").says("--yes");
    scene.redis().ask(&["SET", "somebody:else", "1"]);
    let old = scene.ckpt(["rm", "--older-than", "7d", "--yes"]);
    old.run().code(0).says("nothing to remove");
    scene
        .ckpt(["rm", "tree", "--yes"])
        .run()
        .code(0)
        .says("removed default/tree/one");
    assert_eq!(scene.redis().ask(&["KEYS", "*"]), "somebody:else");
    scene
        .ckpt(["rm", "--all"])
        .run()
        .code(0)
        .says("nothing to remove");
    scene
        .ckpt(["show", "tree"])
        .run()
        .code(1)
        .says("no crawl tree");
}

#[test]
fn what_is_asked_of_a_store_that_is_away_for_a_moment_is_done_when_it_is_back() {
    let Some(mut scene) = Scene::new() else {
        return;
    };
    scene.begun(20);
    let mut redis = scene.redis.take().unwrap();
    let mut paused = None;
    redis.kill_and_start_again(|| {
        let asked = scene.ckpt(["pause", "tree", "--outage", "5m"]).start();
        asked.wait_says("is asked again for a while");
        paused = Some(asked);
    });
    paused.unwrap().wait().code(0).says("is paused");
    let away = Scene::in_store("redis://127.0.0.1:1/".into(), None, Shape::Tree);
    let asked = away.ckpt(["ls", "--outage", "5m"]).start();
    asked.wait_says("is asked again for a while");
    asked.signal(Signal::Int);
    asked.wait().never_says("cannot be reached");
}

#[test]
fn all_of_it_works_over_a_cluster() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let scene = Scene::in_store(cluster.url(), None, Shape::Tree);
    scene.begun(30);
    assert_eq!(scene.told(["ls"])[0]["state"], "idle");
    assert!(
        scene.told(["size"])[0]["parts"]["journal"]
            .as_u64()
            .unwrap()
            > 0
    );
    scene
        .ckpt(["show", "tree"])
        .run()
        .code(0)
        .prints("no worker lives");
    scene.ckpt(["verify"]).run().code(0).prints("sound");
    scene.ckpt(["pull", "tree", "-o", "copy"]).run().code(0);
    scene.ckpt(["pause", "tree"]).run().code(0);
    scene.worker("a").run().code(4);
    let of_a = scene.records(&["a"]).len();
    fs::remove_dir_all(scene.folder.join("a")).unwrap();
    let requeued = scene
        .ckpt(["requeue", "tree", "--worker", "a"])
        .run()
        .code(0);
    requeued.says(&format!("{of_a} URLs"));
    scene.ckpt(["verify"]).run().code(0).prints("sound");
    scene.ckpt(["resume", "tree"]).run().code(0);
    scene.worker("b").run().code(0);
    let records = scene.records(&["b"]);
    assert_eq!(records.len(), PAGES);
    assert!(records.values().all(|count| *count == 1));
    scene.ckpt(["rm", "tree", "--yes"]).run().code(0);
    for node in cluster.primaries() {
        assert_eq!(cluster.ask(node, &["DBSIZE"]).unwrap(), "0", "{node}");
    }
}

#[test]
fn a_change_that_no_replica_confirms_is_told_as_one_that_may_be_in_force() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let scene = Scene::in_store(cluster.url(), None, Shape::Tree);
    scene.begun(30);
    let primaries = cluster.primaries();
    let replicas: Vec<u8> = cluster
        .nodes()
        .filter(|node| !primaries.contains(node))
        .collect();
    let send = |signal| {
        replicas
            .iter()
            .for_each(|node| cluster.signal(*node, signal));
    };
    let show = format!(
        "hint: crawl-ckpt --store {} show default/tree/one",
        scene.url
    );
    send(Signal::Stop);
    for (words, may_be) in [
        ("pause tree", "it may be paused"),
        ("resume tree", "it may go on"),
        ("requeue tree --worker a", "may be pending again"),
        ("rm tree --yes", "it may be removed, or a part of it"),
    ] {
        let ckpt = scene.ckpt(words.split(' ')).args(["--outage", "1s"]);
        let done = ckpt.run().code(1).says(may_be);
        done.says("0 of 1 replica").says(&show).never_says("TLS");
    }
    send(Signal::Cont);
    cluster.wait_whole();
    // The removal began with a pause, which was in force.
    assert_eq!(scene.told(["ls"])[0]["state"], "paused");
    for words in ["resume tree", "requeue tree --worker a", "rm tree --yes"] {
        scene.ckpt(words.split(' ')).run().code(0);
    }
}
