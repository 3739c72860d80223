//! robots.txt of a host comes first and decides.

use super::*;

fn robots(request: &Value, text: &str) -> Value {
    json!({"url": request["url"], "id": request["id"], "status": 200, "robots": text})
}

#[test]
fn robots_txt_comes_first_and_decides() {
    let folder = Folder::new();
    let mut run = serve(&folder, &["--robots", "-A", "ours/1.0"]);
    let first = requests(&run, 1);
    assert_eq!(first[0]["url"], "http://site.example/robots.txt");
    assert_eq!(first[0]["kind"], "robots");
    send(
        &mut run,
        &robots(&first[0], "User-agent: ours\nDisallow: /secret\n"),
    );
    let all = requests(&run, 2);
    assert_eq!(all[1]["url"], START);
    send(
        &mut run,
        &page(
            &all[1],
            &["http://site.example/secret/x", "http://site.example/open"],
        ),
    );
    let all = requests(&run, 3);
    assert_eq!(all[2]["url"], "http://site.example/open");
    run.signal(Signal::Kill);
    run.wait();
    // What was learned before the kill may or may not be committed; a resume asks again then.
    let run = serve(&folder, &["--robots", "-A", "ours/1.0"]);
    answer_all(run, |request| {
        assert_ne!(request["url"], "http://site.example/secret/x");
        if request["kind"] == "robots" {
            robots(request, "User-agent: ours\nDisallow: /secret\n")
        } else {
            page(request, &["http://site.example/secret/x"])
        }
    })
    .code(0);
    let record = &records(&folder)["http://site.example/secret/x"];
    assert_eq!(record["error"]["kind"], "robots");
    assert_eq!(
        record["error"]["message"],
        "disallowed by line 2 of robots.txt"
    );
}

#[test]
fn what_robots_txt_disallows_costs_no_turn_of_the_delay() {
    let folder = Folder::new();
    let mut run = serve(&folder, &["--robots", "--delay", "1s"]);
    let first = requests(&run, 1);
    send(
        &mut run,
        &robots(&first[0], "User-agent: *\nDisallow: /no\n"),
    );
    let all = requests(&run, 2);
    let mut links: Vec<String> = (0..500).map(|n| format!("{START}no/{n}")).collect();
    links.push(format!("{START}yes"));
    let links: Vec<&str> = links.iter().map(String::as_str).collect();
    let begun = std::time::Instant::now();
    send(&mut run, &page(&all[1], &links));
    let all = requests(&run, 3);
    // One delay, and not 501 of them.
    assert!(begun.elapsed().as_secs() < 100);
    send(&mut run, &page(&all[2], &[]));
    run.wait().code(0);
    assert_eq!(records(&folder).len(), 502);
}

#[test]
fn a_missing_robots_txt_allows_and_a_broken_one_forbids() {
    let folder = Folder::new();
    let options = [
        "--robots",
        "--retries",
        "0",
        "--start",
        "http://down.example/",
    ];
    let mut run = serve(&folder, &options);
    let first = requests(&run, 2);
    let status = |request: &Value, status: u16| json!({"url": request["url"], "id": request["id"], "status": status});
    send(&mut run, &status(&first[0], 404));
    send(&mut run, &status(&first[1], 500));
    let all = requests(&run, 3);
    assert_eq!(all[2]["url"], START);
    send(&mut run, &page(&all[2], &[]));
    run.wait().code(0);
    let record = &records(&folder)["http://down.example/"];
    assert_eq!(record["error"]["kind"], "robots");
    assert_eq!(record["error"]["message"], "no robots.txt: status 500");
}
