//! A network that goes away.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::DEADLINE;

use super::*;

#[test]
fn a_site_that_comes_back_is_crawled_to_its_end_and_nothing_has_failed() {
    let ground = Ground::new(100);
    ground.site.latency(Duration::from_millis(20));
    let run = ground.crawl().start();
    ground.site.wait_for(30);
    ground.site.stop();
    // Gone until a few calls have found nobody.
    let nobody = TcpListener::bind(ground.site.host()).unwrap();
    for caller in nobody.incoming().take(6) {
        drop(caller);
    }
    drop(nobody);
    ground.site.start();
    run.wait().code(0);
    ground.is_complete();
}

#[test]
fn a_site_that_stays_away_is_waited_for_and_then_everything_is_kept() {
    let ground = Ground::new(100);
    ground.site.latency(Duration::from_millis(20));
    let run = ground.crawl().args(["--outage", "2s"]).start();
    ground.site.wait_for(30);
    ground.site.stop();
    run.wait()
        .code(1)
        .says("no request gets an answer any more: all stays pending, trying again for 2.0s")
        .says("the network is gone")
        .says("to go on: ");
    let job = ground.shown();
    let figure = |name: &str| job[name].as_u64().unwrap();
    assert_eq!(figure("failed"), 0, "{job}");
    assert!(figure("done") >= 20 && figure("pending") > 0, "{job}");
    assert_eq!(figure("seen"), figure("done") + figure("pending"), "{job}");
    ground.site.start();
    ground.crawl().run().code(0).says("resuming");
    ground.is_complete();
}

#[test]
fn a_site_that_never_was_is_given_up_soon() {
    let ground = Ground::new(10);
    ground.site.stop();
    let begun = Instant::now();
    ground
        .crawl()
        .run()
        .code(1)
        .says("no start URL ever answered");
    assert!(begun.elapsed() < 2 * DEADLINE);
    assert_eq!(ground.shown()["pending"], 1);
    ground.site.start();
    ground.crawl().run().code(0).says("resuming");
    ground.is_complete();
}
