//! A site on which every path misbehaves.

use crate::support::hostile::{self, CASES, Ends};
use crate::support::peak_kib;

use super::*;

/// How a crawl's record differs from what crawl-fetch alone would say, and why.
fn in_a_crawl(path: &str, ends: Ends) -> Ends {
    match path {
        // The frontier sends the cookie, and the wall opens.
        "/redirect/cookie-wall" => Ends::Status(200),
        // It would never end.
        "/redirect/self" => Ends::Error("redirect"),
        _ => ends,
    }
}

#[test]
fn a_crawl_of_it_ends_by_itself_with_one_right_record_a_url() {
    let (folder, site) = (Folder::new(), hostile::site());
    let settings = json!({
        "DOWNLOAD_TIMEOUT": 2, "DOWNLOAD_MAXSIZE": 1 << 20, "DEPTH_LIMIT": 6, "RETRY_TIMES": 1, "AUTOTHROTTLE_ENABLED": true,
        "CONCURRENT_REQUESTS": 16, "CONCURRENT_REQUESTS_PER_DOMAIN": 16,
    });
    spider(&folder, &site, settings, json!({"deny_extensions": []}));
    let run = shop(&folder).args(["--body-memory", "128M"]).start();
    let (mut peaks, mut looks) = (HashMap::new(), 0);
    while !run.ends_within(Duration::from_millis(20)) {
        // So often that it is a quarter of an hour, without the time that this test stood still.
        looks += 1;
        assert!(looks < 45_000, "{}", run.so_far());
        for pid in run.children().into_iter().chain([run.pid()]) {
            let peak = peaks.entry(pid).or_insert(0);
            *peak = peak_kib(pid).max(*peak);
        }
    }
    let done = run.wait().code(0);
    let peak_mib = peaks.values().sum::<u64>() / 1024;
    assert!(peak_mib < 300, "{peak_mib} MiB");
    let records = records(&folder);
    let mut wrong = Vec::new();
    for case in CASES {
        let record = &records[&site.url(case.path)];
        let ends = in_a_crawl(case.path, case.ends);
        let right = match ends {
            Ends::Status(status) => record["status"] == status && kind(record) == "none",
            Ends::Error(error) => kind(record) == error,
        };
        if !right {
            wrong.push(format!("{} {ends:?}: {record}", case.path));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for path in site.paths().iter().filter(|path| *path != "/robots.txt") {
        let url = site.url(path);
        assert!(records.contains_key(&url), "{url} has no record");
    }
    let over = &records[&site.url("/redirect/chain?n=10")];
    assert_eq!(kind(over), "redirect", "{over}");
    let challenge = &records[&site.url("/challenge/cloudflare")];
    assert!(challenge["blocked"].is_string(), "{challenge}");
    // What the traps led to is told by its reason.
    done.says("trap ").says("depth ");
}
