//! Hosts that block, the ladder of proxies, and what a human decides.

use super::*;

fn blocked(request: &Value) -> Value {
    let mut answer = page(request, &[]);
    answer["status"] = json!(403);
    answer
}

fn is_proxied(request: &Value) -> bool {
    request
        .get("proxy")
        .is_some_and(|proxy| proxy == "datacenter")
}

#[test]
fn a_host_that_blocks_is_fetched_through_the_datacenter_from_then_on() {
    let folder = Folder::new();
    let run = serve(&folder, &["--proxies", "datacenter"]);
    let done = answer_all(run, |request| {
        if is_proxied(request) {
            page(request, &["http://site.example/a", "http://site.example/b"])
        } else {
            blocked(request)
        }
    });
    let lines = done.code(0).lines();
    let requests: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(urls(&requests[..2]), [START, START]);
    assert!(requests[1..].iter().all(is_proxied));
    assert!(
        records(&folder)
            .values()
            .all(|record| record["status"] == 200)
    );
    assert_eq!(records(&folder).len(), 3);
}

#[test]
fn without_a_proxy_a_block_is_a_failed_record() {
    let folder = Folder::new();
    let nothing = answer_all(serve(&folder, &[]), blocked).code(1);
    nothing.says("nothing useful").says("--accept-empty");
    assert_eq!(stat(&folder)["pending"], 1);
    answer_all(serve(&folder, &["--accept-empty"]), blocked).code(0);
    assert_eq!(records(&folder)[START]["status"], 403);
    assert_eq!(stat(&folder)["failed"], 1);
}

#[test]
fn a_host_that_blocks_everything_is_parked_and_only_an_approval_goes_on() {
    let folder = Folder::new();
    let proxies = ["--proxies", "datacenter,residential"];
    answer_all(serve(&folder, &proxies), blocked).code(3);
    assert!(records(&folder).is_empty());
    assert_eq!(stat(&folder)["pending"], 1);
    // Without an approval nothing more is sent.
    answer_all(serve(&folder, &proxies), blocked)
        .code(3)
        .prints("");
    // What is added to a parked host waits with the rest of it.
    let added = frontier(&folder).args(["add", "--job", "job"]);
    added.stdin("http://site.example/more\n").run().code(0);
    assert_eq!(stat(&folder)["pending"], 2);
    answer_all(serve(&folder, &proxies), blocked).code(3);
    let approved = [&proxies[..], &["--proxy-type", "residential"]].concat();
    let done = answer_all(serve(&folder, &approved), |request| {
        assert_eq!(request["proxy"], "residential");
        page(request, &[])
    });
    done.code(0);
    assert_eq!(records(&folder)[START]["status"], 200);
}

#[test]
fn retry_blocked_takes_failed_records_back_and_keeps_the_others() {
    let folder = Folder::new();
    let links = ["http://site.example/a", "http://site.example/b"];
    let first = |request: &Value| match request["url"].as_str().unwrap() {
        START => page(request, &links),
        url if url.ends_with("/a") => blocked(request),
        _ => page(request, &[]),
    };
    answer_all(serve(&folder, &[]), first).code(0);
    assert_eq!(records(&folder)["http://site.example/a"]["status"], 403);
    let done = answer_all(serve(&folder, &["--retry-blocked"]), |request| {
        assert_eq!(request["url"], "http://site.example/a");
        page(request, &[])
    });
    done.code(0);
    let records = records(&folder);
    assert_eq!(records.len(), 3);
    assert!(records.values().all(|record| record["status"] == 200));
    Tool::new("crawl-frontier")
        .dir(&folder)
        .args(["stat", "--job", "job"])
        .run()
        .code(0);
    assert_eq!(
        (&stat(&folder)["done"], &stat(&folder)["failed"]),
        (&json!(3), &json!(0))
    );
    // Nothing of it is left over for the next resume.
    serve(&folder, &[]).wait().code(0).prints("");
}

#[test]
fn of_many_parked_hosts_all_are_counted_and_some_are_named() {
    let folder = Folder::new();
    let links: Vec<String> = (0..120).map(|n| format!("http://h{n}.example/")).collect();
    let links: Vec<&str> = links.iter().map(String::as_str).collect();
    let web = |request: &Value| match request["url"].as_str().unwrap() {
        START => page(request, &links),
        _ => blocked(request),
    };
    let options = ["--proxies", "datacenter,residential", "--domain", "example"];
    answer_all(serve(&folder, &options), web).code(3);
    let show = |hosts: u64| {
        let parked = stat(&folder);
        assert_eq!(
            (&parked["parked"], &parked["pending"]),
            (&json!(hosts), &json!(hosts))
        );
        let show = || {
            let tool = Tool::new("crawl-ckpt").dir(&folder);
            tool.args(["show", "--job", "job"])
        };
        let text = show().run().code(0);
        text.prints(&format!("and {} more hosts", hosts - 100));
        let json = show().arg("--json").run().code(0).text();
        let json: Value = serde_json::from_str(&json).unwrap();
        let progress = &json["progress"];
        assert_eq!(progress["parked_hosts"], hosts);
        let named = progress["parked"].as_object().unwrap();
        assert_eq!(named.len(), 100);
        let verify = Tool::new("crawl-ckpt").dir(&folder);
        verify.args(["verify", "--job", "job"]).run().code(0);
        named.keys().cloned().collect::<Vec<_>>()
    };
    let named = show(120);
    let unnamed: Vec<&&str> = links
        .iter()
        .filter(|link| !named.contains(&link.trim_end_matches('/').to_owned()))
        .collect();
    // What waits there is known without its name.
    let drop = frontier(&folder).args(["drop", "--job", "job"]);
    let list = format!("{}\n{}\n{}/\n", unnamed[0], unnamed[7], named[3]);
    drop.stdin(list).run().code(0).says("dropped 3");
    show(117);
    answer_all(serve(&folder, &options), web).code(3);
    show(117);
}
