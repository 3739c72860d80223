//! What proxies cost: told as their own log has it, kept over resumes, and never more than the cap.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::time::Duration;

use serde_json::Value;
use support::{Answer, Folder, Forward, Signal, Site, Tool};

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
        .says("checkpoint kept, 8 URLs pending (8 parked)")
        .says("(8 URLs, about 4.00):");
    // All that tell of it agree.
    let ckpt = |words: &[&str]| {
        Tool::new("crawl-ckpt")
            .dir(&folder)
            .args(words)
            .run()
            .code(0)
    };
    let list = ckpt(&["ls"]).lines();
    assert!(list[0].contains("PENDING  PARKED  SEEN"), "{list:#?}");
    assert_eq!(
        list[1].split_whitespace().collect::<Vec<_>>()[3..6],
        ["8", "8", "8"]
    );
    let row: Value = serde_json::from_str(&ckpt(&["ls", "--json"]).text()).unwrap();
    assert_eq!((&row["pending"], &row["parked"]), (&8.into(), &8.into()));
    let name = format!("default/{}", row["spider"].as_str().unwrap());
    let shown = ckpt(&["show", &name])
        .prints("8 (8 parked)")
        .prints(" --on-proxy-change retry-blocked --proxy-type residential");
    assert!(!shown.text().contains("resume with"));
    let row: Value = serde_json::from_str(&ckpt(&["show", &name, "--json"]).text()).unwrap();
    assert_eq!((&row["pending"], &row["parked"]), (&8.into(), &8.into()));
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

/// Sites behind one proxy that has a price, in one batch.
struct PricedBatch {
    sites: Vec<Site>,
    proxy: Forward,
    folder: Folder,
}

impl PricedBatch {
    fn new(pages: &[usize]) -> PricedBatch {
        let sites: Vec<Site> = pages.iter().map(|pages| Site::tree(*pages, 4)).collect();
        let folder = Folder::new();
        let list: Vec<String> = sites.iter().map(|site| site.url("/")).collect();
        folder.write("sites.txt", list.join("\n"));
        PricedBatch {
            sites,
            proxy: Forward::new(),
            folder,
        }
    }

    fn run(&self, cap: u64) -> Tool {
        let cap = format!("{}.{:09}", cap / 1_000_000_000, cap % 1_000_000_000);
        Tool::new("crawl-run")
            .dir(&self.folder)
            .env("PAID_PROXY_URL", self.proxy.url(""))
            .env("PAID_PROXY_PRICE", PRICE)
            .args(["batch", "sites.txt", "--allow-private", "--jobs", "2"])
            .args(["--proxy-type", "paid", "--max-cost", &cap])
    }

    /// What the batch says of what it spent.
    fn told(&self) -> u64 {
        let status = Tool::new("crawl-run")
            .dir(&self.folder)
            .args(["batch", "sites.txt", "--status", "--json"])
            .run();
        let lines = status.lines();
        let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line));
        let spent = lines.map(|line| line.unwrap()["spent"].as_u64().unwrap_or(0));
        spent.sum()
    }

    fn asked(&self) -> usize {
        self.sites.iter().map(Site::count).sum()
    }

    fn bill(&self) -> u64 {
        self.asked() as u64 * 100_000 + self.proxy.bytes() * 40
    }
}

/// What a batch of such sites costs without a cap that is felt.
fn bill_of(pages: &[usize]) -> u64 {
    let whole = PricedBatch::new(pages);
    whole.run(1_000_000_000_000).run().code(0).says("; cost ");
    whole.bill()
}

#[test]
fn all_crawls_of_a_batch_together_cost_no_more_than_its_cap() {
    let pages = [80, 60, 40];
    let half = bill_of(&pages) / 2;
    let batch = PricedBatch::new(&pages);
    batch.run(half).run().code(4).says(" left; cost 0.0");
    let spent = batch.bill();
    assert!(spent > half / 2 && spent <= half, "{spent} of {half}");
    // The next run knows what this one spent.
    batch.run(half).run().code(4);
    assert!(batch.bill() <= half, "{} of {half}", batch.bill());
    batch.run(3 * half).run().code(0);
    assert!(batch.bill() <= 3 * half);
    // Another night has its own money.
    batch.run(3 * half).run().code(0);
}

#[test]
fn what_a_killed_run_of_a_batch_spent_is_counted() {
    let pages = [80, 80];
    let half = bill_of(&pages) / 2;
    let batch = PricedBatch::new(&pages);
    for site in &batch.sites {
        site.latency(Duration::from_millis(100));
    }
    let run = batch.run(half).start();
    while batch.told() == 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    run.signal_group(Signal::Kill);
    run.wait();
    // What came after the last commits, nobody but the proxy knows of.
    let (bill, told) = (batch.bill(), batch.told());
    assert!(told > 0 && told <= bill);
    batch.run(half).run().code(4);
    assert!(batch.told() <= half && batch.told() > told);
    assert!(
        batch.bill() <= half + (bill - told),
        "{} of {half}",
        batch.bill()
    );
}

#[test]
fn a_site_that_needs_more_than_its_share_gets_what_others_did_not_need() {
    let pages = [120, 2];
    let bill = bill_of(&pages);
    let batch = PricedBatch::new(&pages);
    // A half would not do.
    let done = batch.run(bill * 3 / 2).run().code(0);
    done.says("goes on").says("batch: 2 of 2 done; cost ");
    assert!(batch.bill() <= bill * 3 / 2);
}
