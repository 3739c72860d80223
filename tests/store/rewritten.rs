//! A crawl whose journals were rewritten in the store while it went on.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::scene::{DEAD, HOSTS, HUBS, Scene, Shape};
use crate::support::{Redis, Signal, Tool};

/// Of a host. The hubs are all on one.
const PAGES_PER_HOST: usize = HUBS;

impl Scene {
    fn hubs() -> Option<Scene> {
        let redis = Redis::durable()?;
        Some(Scene::in_store(redis.url(), Some(redis), Shape::Hubs))
    }

    fn few_of_each_host(&self, worker: &str) -> Tool {
        self.worker(worker)
            .args(["--max-pages-per-host", &PAGES_PER_HOST.to_string()])
    }

    /// All others have taken so many letters of a partition.
    fn has_taken(&self, letters: usize) -> bool {
        let parts = 0..self.parts;
        parts.into_iter().any(|sender| {
            let taken = self.of_parts(&format!("from:{sender}"));
            let taken = taken.iter().map(|count| count.parse().unwrap_or(0));
            taken.filter(|count| *count >= letters).count() == self.parts - 1
        })
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

/// As many as there may be of each host, and the one that there is not.
const PAGES: usize = HOSTS * PAGES_PER_HOST + 1;

/// Each page once.
fn has_all_once(records: &BTreeMap<String, usize>) {
    assert!(records.values().all(|count| *count == 1), "{records:?}");
    assert!(records.contains_key(DEAD));
    assert_eq!(records.len(), PAGES);
}

#[test]
fn a_crawl_with_rewritten_journals_is_looked_at_taken_over_pulled_and_fetched_again() {
    let Some(scene) = Scene::hubs() else { return };
    scene.hold_after(0);
    let a = scene.few_of_each_host("a").start();
    scene.wait_held();
    let b = scene.few_of_each_host("b").args(["--grace", "1s"]).start();
    // The partition whose page is held stays where it is until then.
    scene.wait_until("both have a share", || {
        let owners = scene.of_parts("owner");
        ["a", "b"]
            .iter()
            .all(|of| owners.iter().any(|owner| owner == of))
    });
    // What a hub sent, a letter to each, is dead when it was taken, and the journal grows by the next.
    for hubs in 1..HUBS {
        scene.hold_after(hubs);
        scene.wait_held();
        scene.wait_until("letters are taken", || scene.has_taken(hubs));
        if scene.rewritten() > 0 {
            break;
        }
    }
    scene.wait_until("a journal is rewritten", || scene.rewritten() > 0);

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

    b.signal(Signal::Term);
    b.wait().code(143);
    scene.release();
    a.wait().code(0);
    // What the one that left had committed is joined when it is started again.
    scene.few_of_each_host("b").run().code(0);
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
    assert_eq!(lost.iter().sum::<usize>(), PAGES);
    assert!(lost.iter().all(|count| *count > 0), "both had a share");
    scene.is_sound();
    let listed = &scene.told(["ls"])[0];
    assert_eq!((&listed["done"], &listed["failed"]), (&0.into(), &0.into()));
    assert_eq!(listed["pending"], PAGES);
    scene.ckpt(["resume", "tree"]).run().code(0);
    scene.few_of_each_host("c").run().code(0);
    has_all_once(&scene.records(&["c"]));
    scene.is_sound();
}
