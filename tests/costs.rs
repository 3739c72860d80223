//! What proxies cost: told as their own log has it, kept over resumes, and never more than the cap.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use serde_json::Value;
use support::{Answer, Folder, Forward, Site, Tool};

const PAGES: usize = 120;
const PRICE: &str = "40/GB + 0.0001/request";

/// A site, a proxy in front of it that has a price, and a folder.
struct Priced {
    site: Site,
    proxy: Forward,
    folder: Folder,
}

impl Priced {
    fn new() -> Priced {
        Priced {
            site: Site::tree(PAGES, 4),
            proxy: Forward::new(),
            folder: Folder::new(),
        }
    }

    fn run(&self, words: &[&str]) -> Tool {
        Tool::new("crawl-run")
            .dir(&self.folder)
            .env("PAID_PROXY_URL", self.proxy.url(""))
            .env("PAID_PROXY_PRICE", PRICE)
            .args([&self.site.url("/"), "--allow-private", "-o", "out.jsonl"])
            .args(["--proxy-type", "paid"])
            .args(words)
    }

    /// What the last run told for programs.
    fn told(&self) -> Value {
        let text = self.folder.read("out.summary.json");
        let told: Value = serde_json::from_str(&text).unwrap();
        told["proxies"]["paid"].clone()
    }

    fn spent(&self) -> u64 {
        self.told()["spent"].as_u64().unwrap()
    }

    /// What the proxy would put on the bill, in billionths.
    fn bill(&self) -> u64 {
        self.site.count() as u64 * 100_000 + self.proxy.bytes() * 40
    }
}

#[test]
fn what_is_told_is_what_the_proxy_has_in_its_log() {
    let priced = Priced::new();
    priced.run(&[]).run().code(0).says("  cost       0.0");
    let told = priced.told();
    assert_eq!(
        told["attempts"].as_u64().unwrap(),
        priced.site.count() as u64
    );
    assert_eq!(told["wire_bytes"].as_u64().unwrap(), priced.proxy.bytes());
    assert_eq!(priced.spent(), priced.bill());
}

#[test]
fn a_crawl_stops_before_its_cap_and_goes_on_with_a_higher_one() {
    let whole = Priced::new();
    whole.run(&[]).run().code(0);
    let all = whole.spent();

    let priced = Priced::new();
    let half = all / 2;
    let cap = format!("0.{half:09}");
    let capped = ["--max-cost", &cap];
    priced
        .run(&capped)
        .run()
        .code(4)
        .says("a higher --max-cost goes on");
    let spent = priced.spent();
    assert!(spent > half / 2 && spent <= half, "{spent} of {half}");
    assert_eq!(spent, priced.bill());

    // What was spent is not forgotten: nothing is left of the cap.
    let again = priced.site.count();
    priced.run(&capped).run().code(4);
    assert!(priced.bill() <= half, "{} of {half}", priced.bill());
    assert!(priced.site.count() <= again + 3);

    priced.run(&["--max-cost", "1"]).run().code(0);
    assert_eq!(priced.spent(), priced.bill());
    assert_eq!(priced.folder.read("out.jsonl").lines().count(), PAGES);
}

#[test]
fn hosts_that_wait_are_told_with_what_the_costlier_proxy_would_cost() {
    let (site, folder, proxy) = (Site::new(), Folder::new(), Forward::new());
    site.otherwise(|asked| match asked.path.as_str() {
        "/robots.txt" => Answer::status(404),
        _ => Answer::status(403),
    });
    let urls: Vec<String> = (0..8).map(|n| site.url(&format!("/{n}"))).collect();
    Tool::new("crawl-run")
        .dir(&folder)
        .env("DATACENTER_PROXY_URL", proxy.url(""))
        .env("RESIDENTIAL_PROXY_URL", proxy.url(""))
        .env("RESIDENTIAL_PROXY_PRICE", "0.5/request")
        .args(&urls)
        .args(["-o", "out.jsonl"])
        .run()
        .code(3)
        .says("(8 URLs, about 4.00):");
}

#[test]
fn a_cap_without_a_price_is_refused() {
    let folder = Folder::new();
    let run = |price| {
        Tool::new("crawl-run")
            .dir(&folder)
            .args(["http://127.0.0.1:1/", "--max-cost", "5"])
            .env("PAID_PROXY_PRICE", price)
            .run()
            .code(2)
    };
    run("").says("no proxy has a price");
    run("8 EUR").says("PAID_PROXY_PRICE");
}

#[test]
fn each_crawl_of_a_batch_has_the_cap_for_itself() {
    let priced = Priced::new();
    priced.folder.write("sites.txt", priced.site.url("/"));
    let batch = |cap| {
        Tool::new("crawl-run")
            .dir(&priced.folder)
            .env("PAID_PROXY_URL", priced.proxy.url(""))
            .env("PAID_PROXY_PRICE", PRICE)
            .args(["batch", "sites.txt", "--allow-private"])
            .args(["--proxy-type", "paid", "--max-cost", cap])
            .run()
    };
    batch("0.01").code(4);
    let spent = priced.bill();
    assert!(spent > 0 && spent <= 10_000_000, "{spent}");
    batch("1").code(0);
    assert!(priced.bill() > 10_000_000);
}
