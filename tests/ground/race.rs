//! Two at once: two runs, and a removal beside a run.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::support::{DEADLINE, Running};

use super::*;

const PAIRS: usize = 50;
const REMOVALS: usize = 20;

/// Holds the answers of a page back until it is opened.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn set(&self, is_open: bool) {
        *self.0.0.lock().unwrap() = is_open;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let is_open = self.0.0.lock().unwrap();
        let wait = self
            .0
            .1
            .wait_timeout_while(is_open, DEADLINE, |open| !*open);
        drop(wait.unwrap());
    }
}

/// Waits until one of two has ended, and gives that one and the other.
#[track_caller]
fn first_to_end(one: Running, two: Running) -> (Running, Running) {
    let begun = Instant::now();
    let moment = Duration::from_millis(5);
    loop {
        if one.ends_within(moment) {
            return (one, two);
        }
        if two.ends_within(moment) {
            return (two, one);
        }
        let (one, two) = (one.so_far(), two.so_far());
        assert!(begun.elapsed() < DEADLINE, "both run:\n{one}\n{two}");
    }
}

#[test]
fn of_two_runs_started_at_once_one_crawls_and_the_other_says_75() {
    let ground = Ground::new(6);
    let gate = Gate::default();
    let (tree, held) = (
        Tree {
            pages: 6,
            links_per_page: 5,
        },
        gate.clone(),
    );
    ground.site.on("/", move |asked| {
        held.pass();
        tree.answer(&asked.path).unwrap()
    });
    for round in 1..=PAIRS {
        // Nothing is answered before one of them has ended, so they do meet.
        gate.set(false);
        let (loser, winner) = first_to_end(ground.crawl().start(), ground.crawl().start());
        loser
            .wait()
            .code(75)
            .says(&format!("pid {} ", winner.pid()));
        gate.set(true);
        winner.wait().code(0);
        assert_eq!(outputs(&ground.data()).len(), round);
        assert_eq!(ground.site.count(), round * ground.pages);
        assert!(!ground.checkpoint().exists());
    }
    for output in outputs(&ground.data()) {
        ground.is_whole(&output);
    }
}

#[test]
fn who_looks_on_sees_right_figures_and_disturbs_nothing() {
    let ground = Ground::new(200);
    ground.site.latency(Duration::from_millis(60));
    let run = ground.crawl().start();
    ground.site.wait_for(5);
    let (mut looks, mut last_done) = (0, 0);
    'looking: while run.status().is_none() {
        for words in [
            &["ls", "--json"][..],
            &["show", "default/shop", "--json"],
            &["size", "default/shop", "--json"],
            &["verify", "default/shop"],
        ] {
            let look = ground.ckpt(words).run();
            if !ground.checkpoint().exists() {
                break 'looking;
            }
            let look = look.code(0).is_quiet();
            looks += 1;
            if words[0] == "ls" || words[0] == "show" {
                let job: Value = serde_json::from_slice(&look.stdout).unwrap();
                let figure = |name: &str| job[name].as_u64().unwrap();
                let (seen, finished) = (figure("seen"), figure("done") + figure("failed"));
                assert_eq!(job["state"], "running", "{look}");
                assert_eq!(seen, finished + figure("pending"), "{look}");
                assert!(finished >= last_done && seen <= 200, "{look}");
                last_done = finished;
            }
        }
    }
    run.wait().code(0);
    ground.is_complete();
    assert!(ground.site.tally().values().all(|hits| *hits == 1));
    assert!(
        looks >= 8 && last_done > 0,
        "{looks} looks, {last_done} done"
    );
}

#[test]
fn a_removal_and_a_starting_run_do_not_mix() {
    let mut ends = BTreeMap::new();
    for _ in 0..REMOVALS {
        let ground = Ground::new(20);
        ground.pause_after(5);
        let removal = ground.ckpt(&["rm", "--yes", "default/shop"]).start();
        let run = ground.crawl().start();
        let (removal, run) = (removal.wait(), run.wait());
        let end = (removal.exit(), run.exit());
        *ends.entry(end).or_insert(0) += 1;
        match end {
            // Removed first: a new crawl, beside what the old one left.
            (0, 0) => {
                let outputs = outputs(&ground.data());
                assert_eq!(outputs.len(), 2, "{removal}\n{run}");
                let whole = outputs.iter().filter(|file| records(file).len() == 20);
                assert_eq!(whole.count(), 1, "{removal}\n{run}");
            }
            // The run had it, or was over already: nothing was removed.
            (75 | 1, 0) => {
                run.says("resuming");
                ground.is_complete();
            }
            // Met while it removed.
            (0, 75) => {
                assert!(!ground.checkpoint().exists());
                ground.crawl().run().code(0).says("new crawl");
            }
            _ => panic!("{removal}\n{run}"),
        }
        let left = fs::read_dir(ground.checkpoint().parent().unwrap()).unwrap();
        let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["checkpoint.lock", "crawls"]);
    }
    eprintln!("(removal, run): {ends:?}");
}
