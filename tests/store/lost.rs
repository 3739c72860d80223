//! A store that lost a part of a crawl while no worker ran.

use crate::scene::{Scene, Shape};
use crate::support::Cluster;

impl Scene {
    /// Nobody, whether he was there before or not, goes on with what is left; nothing is fetched and no record lost.
    fn refuses_all(&self, says: &str, hint: &str) {
        let (asked, records) = (self.site.count(), self.records(&["a"]));
        for worker in ["a", "b"] {
            let refused = self.worker(worker).run().code(65);
            refused.says(says).says(&format!("hint: {hint}"));
        }
        assert_eq!(self.site.count(), asked);
        assert_eq!(self.records(&["a"]), records);
    }
}

#[test]
fn a_partition_that_is_lost_while_no_worker_runs_is_named_and_not_begun_anew() {
    let Some(scene) = Scene::new() else { return };
    scene.begun(40);
    let key = |part: usize, what: &str| format!("{{default/tree/one:{part}}}:{what}");
    let redis = scene.redis();
    let begun = (0..16).find(|part| redis.ask(&["HLEN", &key(*part, "out")]) != "0");
    let part = begun.unwrap();
    let keys = ["l", "log", "out", "in", "senders", "base:0", "base:1"].map(|what| key(part, what));
    for key in &keys {
        redis.ask(&["DEL", key]);
    }
    let verify = format!("crawl-ckpt --store {} verify default/tree", scene.url);
    scene.refuses_all(
        &format!("the store lost committed batches of partition {part}: "),
        &verify,
    );
    let verified = scene.ckpt(["verify", "tree"]).run().code(65);
    verified
        .says(&format!("partition {part:03} is damaged: "))
        .says("of its batches were committed, and 0 are there");
    // The way out: what is left is removed, and the crawl begins anew.
    scene.ckpt(["rm", "tree", "--yes"]).run().code(0);
    assert_eq!(redis.ask(&["KEYS", "*"]), "");
}

#[test]
fn what_is_left_of_a_crawl_whose_beginning_is_lost_is_not_mixed_with_a_new_one() {
    let Some(scene) = Scene::new() else { return };
    scene.begun(40);
    for what in ["job", "w", "state", "looks", "had"] {
        let key = format!("{{default/tree/one:m}}:{what}");
        scene.redis().ask(&["DEL", &key]);
    }
    let rm = format!("crawl-ckpt --store {} rm default/tree/one", scene.url);
    scene.refuses_all(
        "the store has lost what default/tree/one began with, and has partitions of it still",
        &rm,
    );
    // So says whoever looks, and the way out works.
    let shown = scene.ckpt(["show", "tree"]).run().code(65);
    shown
        .says("has lost what default/tree/one began with")
        .says(&rm);
    let removed = scene.ckpt(["rm", "tree", "--yes"]).run().code(0);
    removed.says("removed what is left of default/tree/one");
    assert_eq!(scene.redis().ask(&["KEYS", "*"]), "");
    scene.worker("b").run().code(0);
}

#[test]
fn a_cluster_that_lost_a_shard_while_no_worker_ran_is_found_whichever_shard_it_was() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let scene = Scene::in_store(cluster.url_of_all(), None, Shape::Tree);
    let job = "{default/tree/one:m}:job";
    let has_job = |node: &u8| cluster.ask(*node, &["EXISTS", job]).as_deref() == Some("1");
    let lose = |is_that_of_the_job: bool| {
        let mut primaries = cluster.primaries().into_iter();
        let primary = primaries.find(|node| has_job(node) == is_that_of_the_job);
        let shard = cluster.shard_of(primary.unwrap());
        cluster.kill(&shard);
        shard.iter().for_each(|node| cluster.wipe(*node));
        shard.iter().for_each(|node| cluster.start_again(*node));
        cluster.wait_whole();
    };
    let refused = |worker: &str, says: &str| {
        let asked = scene.site.count();
        scene.worker(worker).run().code(65).says(says);
        assert_eq!(scene.site.count(), asked);
    };
    let rm = || {
        scene
            .ckpt(["rm", "default/tree/one", "--yes"])
            .run()
            .code(0)
    };
    scene.begun(60);
    let of_a = scene.records(&["a"]);
    lose(false);
    refused("a", "the store lost committed batches of partition ");
    refused("b", "the store lost committed batches of partition ");
    rm();
    let b = scene.worker("b").args(["--max-pages", "60"]);
    b.run().code(4);
    lose(true);
    refused("b", "has lost what default/tree/one began with");
    rm().says("removed what is left of default/tree/one");
    for node in cluster.primaries() {
        assert_eq!(cluster.ask(node, &["DBSIZE"]).unwrap(), "0", "{node}");
    }
    assert_eq!(scene.records(&["a"]), of_a);
}
