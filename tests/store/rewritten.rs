//! A crawl whose journals were rewritten in the store while it went on.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use crate::scene::{DEAD, HUB_PAGES, Scene, Shape, kill};
use crate::support::{Redis, Tool};

impl Scene {
    fn hub() -> Option<Scene> {
        let redis = Redis::durable()?;
        Some(Scene::in_store(redis.url(), Some(redis), Shape::Hub))
    }

    fn of_parts(&self, field: &str) -> Vec<String> {
        let state = |part| format!("{{default/tree/one:{part}}}:l");
        let parts = 0..self.parts;
        parts
            .map(|part| self.redis().ask(&["HGET", &state(part), field]))
            .collect()
    }

    /// Partitions whose journal was rewritten.
    fn rewritten(&self) -> usize {
        let bases = self.of_parts("based");
        bases.iter().filter(|base| !base.is_empty()).count()
    }

    fn is_sound(&self) {
        let checked = self.ckpt(["verify", "tree"]).run().code(0);
        checked.prints("default/tree/one: sound: ").is_quiet();
    }
}

/// Each page and the one that there is not once.
fn has_all_once(records: &BTreeMap<String, usize>) {
    assert!(records.values().all(|count| *count == 1), "{records:?}");
    assert!(records.contains_key(DEAD));
    assert_eq!(records.len(), HUB_PAGES + 1);
}

// How much of a journal is dead depends on how many commits a machine makes of the same pages.
#[test]
#[ignore = "takes 90 s, and a busy machine makes so few commits that nothing is worth rewriting; run it alone"]
fn a_crawl_with_rewritten_journals_is_looked_at_taken_over_pulled_and_fetched_again() {
    let Some(scene) = Scene::hub() else { return };
    scene.hold_after(0);
    let a = scene.worker("a").start();
    scene.wait_held();
    let b = scene.worker("b").start();
    scene.wait_until("even shares", || {
        let owners = scene.of_parts("owner");
        ["a", "b"].map(|of| owners.iter().filter(|owner| *owner == of).count()) == [2; 2]
    });
    // One page more each time, so that the crawl is not over before that.
    scene.wait_until("a journal is rewritten", || {
        scene.most.fetch_add(1, Ordering::SeqCst);
        scene.rewritten() > 0
    });
    scene.hold_after(scene.asked.load(Ordering::SeqCst));
    assert!(scene.most.load(Ordering::SeqCst) < HUB_PAGES, "it goes on");

    scene.is_sound();
    let listed = &scene.told(["ls"])[0];
    assert_eq!(listed["state"], "running");
    let of = |name: &str| listed[name].as_u64().unwrap();
    assert!(of("done") > 0 && of("pending") > 0);
    assert_eq!(of("done") + of("failed") + of("pending"), of("seen"));
    scene.ckpt(["show", "tree"]).run().code(0).prints("running");
    let sizes = &scene.told(["size", "tree"])[0]["parts"];
    let journal = sizes["journal"].as_u64().unwrap();
    let keys = (0..scene.parts).flat_map(|part| {
        ["log", "base:0", "base:1"].map(|what| format!("{{default/tree/one:{part}}}:{what}"))
    });
    let usage = keys.map(|key| scene.redis().ask(&["MEMORY", "USAGE", &key]));
    let usage: u64 = usage.filter_map(|size| size.parse::<u64>().ok()).sum();
    assert!(
        journal > 0 && usage.abs_diff(journal) < journal / 2,
        "{usage} {journal}"
    );

    kill(&b);
    scene.release();
    a.wait().code(0);
    // What the one that was killed had committed is joined when it is started again.
    scene.worker("b").run().code(0);
    has_all_once(&scene.records(&["a", "b"]));
    scene.is_sound();

    scene.ckpt(["pull", "tree", "-o", "copy"]).run().code(0);
    let jobs = fs::read_dir(scene.folder.join("copy")).unwrap();
    let jobs: Vec<PathBuf> = jobs.map(|entry| entry.unwrap().path()).collect();
    let jobs: Vec<&PathBuf> = jobs.iter().filter(|path| path.is_dir()).collect();
    assert_eq!(jobs.len(), scene.parts);
    for job in jobs {
        let verify = Tool::new("crawl-ckpt").arg("verify").arg("--job").arg(job);
        verify.run().code(0).prints("sound").is_quiet();
    }

    // All disks are lost.
    let lost = ["a", "b"].map(|worker| {
        let of_it = scene.records(&[worker]).len();
        fs::remove_dir_all(scene.folder.join(worker)).unwrap();
        let requeue = scene.ckpt(["requeue", "tree", "--worker", worker]);
        requeue.run().code(0).says(&format!("{of_it} URL"));
        of_it
    });
    assert_eq!(lost.iter().sum::<usize>(), HUB_PAGES + 1);
    assert!(lost.iter().all(|count| *count > 0), "both had a share");
    scene.is_sound();
    let listed = &scene.told(["ls"])[0];
    assert_eq!((&listed["done"], &listed["failed"]), (&0.into(), &0.into()));
    assert_eq!(listed["pending"], HUB_PAGES + 1);
    scene.ckpt(["resume", "tree"]).run().code(0);
    scene.worker("c").run().code(0);
    has_all_once(&scene.records(&["c"]));
    scene.is_sound();
}
