//! Signals, and readers that go away.

use crate::support::DEADLINE;

use super::*;

#[test]
fn the_first_signal_lets_requests_end_and_the_second_does_not() {
    let site = Site::new();
    site.otherwise(|_| Answer::html("x").after(Duration::from_secs(2)));
    let mut running = fetch().args(["-c", "1"]).start();
    running.send(&site.url("/1"));
    running.send(&site.url("/2"));
    site.wait_for(1);
    running.signal(Signal::Int);
    assert!(running.ends_within(DEADLINE));
    running.wait().code(130).prints_lines(1).is_quiet();

    let mut running = fetch().args(["-c", "1"]).start();
    site.on("/long", |_| {
        Answer::html("x").after(Duration::from_secs(30))
    });
    let asked = site.log().len();
    running.send(&site.url("/long"));
    site.wait_for(asked + 1);
    running.signal(Signal::Term);
    running.signal(Signal::Term);
    // The second may be merged with the first while that is on its way.
    while !running.ends_within(Duration::from_millis(200)) {
        running.signal(Signal::Term);
    }
    running.wait().code(143).prints_lines(0);
}

#[test]
fn an_ignored_signal_stays_ignored() {
    let site = Site::new();
    site.on("/", |_| Answer::html("x").after(Duration::from_secs(1)));
    let script = "trap '' INT TERM HUP; exec crawl-fetch";
    let mut running = Tool::program("sh").args(["-c", script]).start();
    running.send(&site.url("/"));
    site.wait_for(1);
    for signal in [Signal::Int, Signal::Int, Signal::Term, Signal::Hup] {
        running.signal(signal);
    }
    running.wait().code(0).prints_lines(1);
}

#[test]
fn a_reader_that_goes_away_ends_it_at_once() {
    let site = Site::new();
    site.on("/", |_| Answer::html("x").after(Duration::from_secs(30)));
    let script = format!(
        "{{ echo {}; sleep 20; }} | {{ crawl-fetch; echo $? >&2; }} | sleep 1",
        site.url("/")
    );
    let running = Tool::program("sh").args(["-c", &script]).start();
    running.wait_says("141");
}
