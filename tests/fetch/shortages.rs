//! Too few descriptors, threads, bytes of memory and of disk; limits a host.

use std::time::Instant;

use crate::support::peak_kib;

use super::*;

#[test]
fn with_too_few_descriptors_requests_wait_for_one_another() {
    let sites: Vec<Site> = (0..24).map(|_| Site::new()).collect();
    for site in &sites {
        site.otherwise(|_| Answer::html("x").after(Duration::from_millis(20)));
    }
    let few = |args: &[&str]| {
        let script = format!(
            "ulimit -n 16; exec {} \"$@\"",
            support::bin("crawl-fetch").display()
        );
        Tool::program("sh").args(["-c", &script, "sh"]).args(args)
    };
    let urls: Vec<String> = sites.iter().map(|site| site.url("/")).collect();
    let done = few(&["--robots"]).stdin(urls.join("\n")).run().code(0);
    let done = done.prints_lines(24).says("requests wait");
    let good = |line: &String| line.contains(r#""status":200"#);
    assert!(done.lines().iter().all(good), "{done}");
    few(&["-q"]).stdin(urls.join("\n")).run().code(0).is_quiet();
}

#[test]
fn without_a_thread_to_extract_with_a_page_waits_and_nothing_of_its_item_is_left_out() {
    if !support::has("prlimit") {
        return;
    }
    let site = Site::new();
    let words = "<p>Some words of an article, and more of them, so that it is one.</p>".repeat(30);
    site.page("/plain", "x");
    site.page(
        "/article",
        &format!("<title>t</title><article><h1>Head</h1>{words}"),
    );
    let folder = Folder::new();
    let spider = json!({"sections": [{"match": ["/article"], "extract": "auto"}]});
    let file = folder.write("spider.json", spider.to_string());
    let fetch = Tool::new("crawl-fetch").arg("--extract").arg(file);
    let mut fetch = fetch.args(["-c", "1"]).start();
    fetch.send(&site.url("/plain"));
    fetch.wait_lines(1);
    // As much memory as it has, and a little more: too little for the stack of a thread.
    let status = std::fs::read_to_string(format!("/proc/{}/status", fetch.pid())).unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kib: u64 = size
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    let pid = fetch.pid().to_string();
    let limit = |bytes: String| {
        let limit = format!("--as={bytes}:unlimited");
        let args = [&limit, "--pid", &pid];
        Tool::program("prlimit").args(args).run().code(0);
    };
    limit(((kib + (16 << 10)) << 10).to_string());
    fetch.send(&site.url("/article"));
    fetch.wait_says("no thread to extract with: requests wait");
    limit("unlimited".to_owned());
    fetch.close_stdin();
    let done = fetch.wait().code(0).prints_lines(2);
    let result: Value = serde_json::from_str(&done.lines()[1]).unwrap();
    assert_eq!(result["item_cut"], json!(null), "{done}");
    assert!(
        result["item"]["content"]
            .as_str()
            .unwrap()
            .contains("Some words"),
        "{done}"
    );
}

#[test]
fn a_file_that_outgrows_its_limit_ends_with_the_reason() {
    let site = Site::new();
    site.otherwise(|_| Answer::html(format!("<title>{}</title>", "t".repeat(900))));
    let folder = Folder::new();
    let out = folder.write("out", "");
    let tool = support::bin("crawl-fetch");
    let script = format!("ulimit -f 1; exec {} >{}", tool.display(), out.display());
    let urls: Vec<String> = (0..9).map(|n| site.url(&format!("/{n}"))).collect();
    let done = Tool::program("sh")
        .args(["-c", &script])
        .stdin(urls.join("\n"))
        .run();
    done.code(1).says("File too large");
}

#[test]
fn large_pages_share_one_budget_and_all_come() {
    let site = Site::new();
    let page = format!("<title>large</title>{}", "a".repeat(8 << 20)).into_bytes();
    site.otherwise(move |_| Answer::html(page.clone()));
    // Less than one page needs, of which 16 are 128 MiB as they come.
    let mut running = fetch()
        .args([
            "--per-host",
            "16",
            "--timeout",
            "300s",
            "--body-memory",
            "2M",
        ])
        .start();
    for n in 0..16 {
        running.send(&site.url(&format!("/{n}")));
    }
    for line in running.wait_lines(16) {
        assert!(line.contains(r#""title":"large""#), "{line}");
    }
    let most = peak_kib(running.pid()) >> 10;
    assert!((1..80).contains(&most), "{most} MiB");
    running.close_stdin();
    running.wait().code(0).prints_lines(16);
}

#[test]
fn a_limit_and_a_delay_hold_for_each_host() {
    let site = Site::new();
    site.otherwise(|_| Answer::html("x").after(Duration::from_millis(50)));
    let lines: Vec<String> = (0..6).map(|n| site.url(&format!("/{n}"))).collect();
    let started = Instant::now();
    results(fetch().args(["--per-host", "2"]), &lines);
    assert!(started.elapsed() >= Duration::from_millis(150));
    let from = site.log().len();
    results(fetch().args(["--delay", "100ms"]), &lines[..4]);
    let times: Vec<Instant> = site.log()[from..].iter().map(|asked| asked.at).collect();
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(80), "{times:?}");
    }
}
