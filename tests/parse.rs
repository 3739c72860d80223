//! A parser of the user's own in the loop: with crawl-fetch alone, and in whole crawls
//! that are killed.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Answer, DEADLINE, Folder, Random, Running, Signal, Site, Tool, has};

/// What every parser here begins with: `result` for each line, `give` to print one back.
const PRELUDE: &str = "\
import json, os, signal, sys, time
def give(r, **more):
    print(json.dumps({'id': r['id'], **more}), flush=True)
def results():
    for line in sys.stdin:
        yield json.loads(line)
";

fn python(folder: &Folder, text: &str) -> Vec<String> {
    folder.write("parse.py", format!("{PRELUDE}{text}"));
    vec![
        "python3".into(),
        folder.join("parse.py").display().to_string(),
    ]
}

/// crawl-fetch with this parser, over these paths of the site.
fn fetch(folder: &Folder, text: &str, options: &[&str], urls: &[String]) -> support::Done {
    let argv = Value::from(python(folder, text)).to_string();
    Tool::new("crawl-fetch")
        .args(["--parse", &argv])
        .args(options)
        .stdin(urls.join("\n"))
        .run()
}

fn by_path(done: &support::Done) -> BTreeMap<String, Value> {
    let lines = done.lines();
    let records = lines.iter().map(|line| {
        let result: Value = serde_json::from_str(line).unwrap();
        let url = result["url"].as_str().unwrap();
        (url[url.rfind('/').unwrap()..].to_owned(), result)
    });
    let found: BTreeMap<_, _> = records.collect();
    assert_eq!(found.len(), lines.len(), "{done}");
    found
}

/// Pages `/0` to `/N-1`, each with its number and a link in it.
fn numbered(pages: usize) -> (Site, Vec<String>) {
    let site = Site::new();
    let mut urls = Vec::new();
    for n in 0..pages {
        site.page(
            &format!("/{n}"),
            &format!("<title>{n}</title><a href=/next>{n}</a>"),
        );
        urls.push(site.url(&format!("/{n}")));
    }
    (site, urls)
}

#[test]
fn a_parser_gives_items_links_and_meta_and_bodies_stay_inside() {
    if !has("python3") {
        return;
    }
    let (folder, (site, mut urls)) = (Folder::new(), numbered(20));
    site.on("/json", |_| Answer::typed("application/json", "{\"a\":1}"));
    site.on("/image", |_| Answer::typed("image/png", "\u{1}"));
    site.on("/away", |_| Answer::redirect("/0"));
    urls.extend(["/json", "/image", "/none", "/away"].map(|path| site.url(path)));
    urls.push(json!({"url": site.url("/meta"), "id": 5, "meta": {"k": 1}}).to_string());
    site.page("/meta", "<a href=/found>x</a>");
    let parser = "\
for r in results():
    give(r, item={'size': len(r['body'])}, links=['#top', 'sub/x', '/sub/x'], meta=[r.get('meta')])
";
    let options = ["--max-redirects", "0"];
    let found = by_path(&fetch(&folder, parser, &options, &urls).code(0).is_quiet());
    assert_eq!(found.len(), 25);
    for n in 0..20 {
        let result = &found[&format!("/{n}")];
        let size = format!("<title>{n}</title><a href=/next>{n}</a>").len();
        assert_eq!(result["item"], json!({"size": size}));
        let links = ["", "sub/x"].map(|path| site.url(&format!("/{path}")));
        assert_eq!(
            result["links"],
            json!([site.url(&format!("/{n}")), links[1]])
        );
        assert_eq!(
            (&result["body"], &result["id"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(result["title"], json!(n.to_string()));
    }
    assert_eq!(found["/json"]["item"], json!({"size": 7}));
    assert_eq!(
        (&found["/meta"]["id"], &found["/meta"]["meta"]),
        (&json!(5), &json!([{"k": 1}]))
    );
    for path in ["/image", "/none", "/0"] {
        assert!(path == "/0" || found[path]["item"].is_null(), "{path}");
    }
    assert_eq!(found["/away"]["item"], Value::Null);
    let found = by_path(&fetch(&folder, parser, &["--body"], &urls[..1]).code(0));
    assert!(
        found["/0"]["body"]
            .as_str()
            .unwrap()
            .starts_with("<title>0")
    );
}

#[test]
fn several_copies_share_the_pages_and_answer_in_any_order() {
    if !has("python3") {
        return;
    }
    let (folder, (_site, urls)) = (Folder::new(), numbered(200));
    let parser = "\
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
lock = Lock()
def work(r):
    time.sleep(int(r['title']) % 5 / 500)
    with lock:
        give(r, item=os.getpid())
pool = ThreadPoolExecutor(8)
for r in results():
    pool.submit(work, r)
";
    let done = fetch(
        &folder,
        parser,
        &["--parse-jobs", "4", "-c", "40", "--per-host", "40"],
        &urls,
    );
    let found = by_path(&done.code(0));
    assert_eq!(found.len(), 200);
    let mut pids: Vec<_> = found
        .values()
        .map(|r| r["item"].as_u64().unwrap())
        .collect();
    pids.sort_unstable();
    pids.dedup();
    assert!(pids.len() > 1, "{pids:?}");
}

#[test]
fn a_page_that_kills_or_stalls_the_parser_twice_is_set_aside_and_no_other() {
    if !has("python3") {
        return;
    }
    let (folder, (_site, urls)) = (Folder::new(), numbered(60));
    let parser = "\
for r in results():
    n = int(r['title'])
    if n == 7:
        os.kill(os.getpid(), signal.SIGSEGV)
    if n == 23:
        time.sleep(1000)
    if n == 31:
        sys.exit(3)
    if n == 40:
        print('this is no JSON', flush=True)
    if n == 41:
        r['id'] += 1000000
    give(r, item=n)
";
    // Longer than a busy machine takes to start python.
    let done = fetch(&folder, parser, &["--parse-timeout", "8s"], &urls).code(0);
    let found = by_path(&done);
    assert_eq!(found.len(), 60);
    for (path, result) in &found {
        let n: u64 = path[1..].parse().unwrap();
        let why = match n {
            7 => "was killed by signal 11, twice",
            23 => "gave no answer for 8.0s, twice",
            31 => "ended with exit code 3, twice",
            40 => "this is no JSON",
            41 => "a result of no page sent to it",
            _ => {
                assert_eq!(
                    (&result["item"], &result["error"]),
                    (&json!(n), &Value::Null)
                );
                continue;
            }
        };
        assert_eq!(result["error"]["kind"], "parse", "{n}");
        assert!(
            result["error"]["message"].as_str().unwrap().contains(why),
            "{result}"
        );
        assert_eq!(result["status"], 200);
    }
    assert_eq!(
        done.words().matches("the page is set aside").count(),
        5,
        "{done}"
    );
}

#[test]
fn a_parser_may_have_as_many_descriptors_as_whoever_started_the_crawl() {
    let folder = Folder::new();
    let (site, urls) = numbered(1);
    folder.write("parser", "#!/bin/sh\nulimit -Sn >limit\nexec cat\n");
    let limited = r#"ulimit -Sn 123 && exec crawl-fetch --parse '["sh","parser"]' "$0""#;
    let tool = Tool::program("sh").args(["-c", limited, "--allow-private"]);
    let done = tool.dir(&folder).stdin(&urls[0]).run().code(0);
    assert!(done.text().contains(r#""status":200"#), "{done}");
    assert_eq!(folder.read("limit"), "123\n");
    drop(site);
}

#[test]
fn a_parser_that_answers_twice_is_told_and_every_page_has_its_answer() {
    if !has("python3") {
        return;
    }
    let (folder, (_site, urls)) = (Folder::new(), numbered(12));
    let parser = "\
for r in results():
    give(r, item=1)
    give(r, item=2)
";
    let done = fetch(&folder, parser, &[], &urls)
        .code(0)
        .says("answered a page twice");
    assert!(by_path(&done).values().all(|result| result["item"] == 1));
}

#[test]
fn a_parser_that_ends_after_each_page_is_started_for_the_next() {
    if !has("python3") {
        return;
    }
    let (folder, (_site, urls)) = (Folder::new(), numbered(10));
    let parser = "\
for r in results():
    give(r, item=1, state=int(os.environ.get('CRAWL_STATE', 0)) + 1)
    break
";
    let done = fetch(&folder, parser, &["-c", "1"], &urls).code(0);
    let states = by_path(&done);
    let mut states: Vec<_> = states
        .values()
        .map(|r| r["state"].as_u64().unwrap())
        .collect();
    states.sort_unstable();
    assert_eq!(states, (1..=10).collect::<Vec<u64>>());
}

#[test]
fn a_parser_that_cannot_work_ends_everything_soon() {
    if !has("python3") {
        return;
    }
    let (folder, (_site, urls)) = (Folder::new(), numbered(30));
    let begun = Instant::now();
    fetch(&folder, "this is no Python\n", &[], &urls)
        .code(2)
        .says("parser: SyntaxError")
        .says("the parser does not work: python3")
        .says("ended with exit code 1 without having read a page");
    fetch(
        &folder,
        "print('Loading the model ...', flush=True)\ntime.sleep(9)\n",
        &[],
        &urls,
    )
    .code(2)
    .says("a line that is no result")
    .says("Loading the model");
    fetch(&folder, "for r in results():\n    nonsense\n", &[], &urls)
        .code(2)
        .says("NameError")
        .says("10 pages in a row were set aside");
    Tool::new("crawl-fetch")
        .args(["--parse", "[\"./no-such-program\", \"x\"]"])
        .stdin(urls.join("\n"))
        .run()
        .code(2)
        .says("cannot start the parser ./no-such-program x: No such file");
    for bad in ["parse.py", "[]", "[\"\"]", "[1]", "{}"] {
        Tool::new("crawl-fetch")
            .args(["--parse", bad])
            .run()
            .code(2);
    }
    assert!(begun.elapsed() < 3 * DEADLINE);
}

#[test]
fn what_a_parser_says_is_cleaned_and_a_state_has_a_limit() {
    if !has("python3") {
        return;
    }
    let (folder, (_site, urls)) = (Folder::new(), numbered(3));
    let parser = "\
print('\\x1b[31mred', file=sys.stderr)
for r in results():
    for n in range(1000):
        print('flood', file=sys.stderr)
    give(r, state='x' * (200000 if r['title'] == '1' else 10))
";
    let done = fetch(&folder, parser, &[], &urls).code(0);
    let words = done.words();
    assert!(words.contains("parser: \\u{1b}[31mred"), "{done}");
    assert!(
        words.lines().count() < 300 && words.contains("further lines left out"),
        "{done}"
    );
    let found = by_path(&done);
    let message = found["/1"]["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("a state of 200002 bytes, over 102400"),
        "{message}"
    );
    assert_eq!(found["/2"]["error"], Value::Null);
}

#[test]
fn a_parser_ends_with_its_input_and_dies_with_its_crawl() {
    if !has("python3") {
        return;
    }
    let (folder, (site, urls)) = (Folder::new(), numbered(3));
    let parser = "\
for r in results():
    give(r)
time.sleep(0.3)
open('ended', 'w').write('in good order')
";
    let argv = Value::from(python(&folder, parser)).to_string();
    let run = || {
        Tool::new("crawl-fetch")
            .args(["--parse", &argv])
            .dir(&folder)
    };
    run().stdin(urls.join("\n")).run().code(0);
    assert_eq!(folder.read("ended"), "in good order");

    python(
        &folder,
        "for r in results():\n    give(r, item=os.getpid())\n    time.sleep(1000)\n",
    );
    let mut run = run().start();
    run.send(&site.url("/0"));
    let result: Value = serde_json::from_str(&run.wait_lines(1)[0]).unwrap();
    run.signal(Signal::Kill);
    let stat = format!("/proc/{}/stat", result["item"]);
    let begun = Instant::now();
    while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(begun.elapsed() < DEADLINE, "the parser lives on");
        std::thread::yield_now();
    }
}

/// Whole crawls, with a spider file and a checkpoint.
mod crawl {
    use super::*;

    fn spider(folder: &Folder, site: &Site, more: Value) {
        let mut spider = json!({
            "name": "shop",
            "start_urls": [site.url("/")],
            "settings": {"ROBOTSTXT_OBEY": false},
            "parse": ["python3", "parse.py"],
        });
        for (key, value) in more.as_object().unwrap() {
            spider[key] = value.clone();
        }
        folder.write("spiders/shop.json", spider.to_string());
    }

    fn parser(folder: &Folder, text: &str) {
        folder.write("spiders/parse.py", format!("{PRELUDE}{text}"));
    }

    fn shop(folder: &Folder) -> Tool {
        Tool::new("crawl-run").arg("spiders/shop.json").dir(folder)
    }

    fn records(folder: &Folder) -> Vec<Value> {
        let files = folder.files();
        let mut outputs = files
            .iter()
            .filter(|file| file.to_string_lossy().contains("crawls/"));
        let output = outputs.next().unwrap().to_str().unwrap();
        let text = folder.read(output);
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The processes below this one, and theirs.
    fn family(pid: u32) -> Vec<u32> {
        let list = |pid: u32| {
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task"))
                .into_iter()
                .flatten();
            let lists = tasks
                .flatten()
                .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
            let pids: Vec<u32> = lists
                .flat_map(|list| {
                    list.split_whitespace()
                        .map(|pid| pid.parse().unwrap())
                        .collect::<Vec<_>>()
                })
                .collect();
            pids
        };
        let mut found = vec![pid];
        let mut at = 0;
        while at < found.len() {
            let below = list(found[at]);
            found.extend(below);
            at += 1;
        }
        found
    }

    #[test]
    fn a_parser_that_is_killed_with_the_crawl_twenty_times_counts_every_page_once() {
        if !has("python3") {
            return;
        }
        const PAGES: usize = 2000;
        let seed = Random::any_seed();
        eprintln!("seed {seed}");
        let mut random = Random(seed);
        let (folder, site) = (Folder::new(), Site::tree(PAGES, 6));
        spider(&folder, &site, json!({}));
        parser(
            &folder,
            "\
state = json.loads(os.environ.get('CRAWL_STATE', '{\"pages\": 0, \"sum\": 0}'))
for r in results():
    state['pages'] += 1
    state['sum'] += int(r['title'].split()[1])
    give(r, item={'at': state['pages']}, state=state)
",
        );
        for kills in 0..20 {
            let run: Running = shop(&folder).arg("-v").start();
            let more = 1 + random.below(160) as usize;
            let before = site.count();
            site.wait_until("pages, or the end", |log| {
                log.len() >= before + more || run.status().is_some()
            });
            if run.status().is_some() {
                panic!("it was over after {kills} kills: {}", run.so_far());
            }
            let family = family(run.pid());
            match random.below(3) {
                // The parser alone: the crawl goes on.
                0 if family.len() == 4 => {
                    support::send_signal(Signal::Kill, i64::from(family[3]));
                    let before = site.count();
                    site.wait_until("more pages, or the end", |log| {
                        log.len() > before + 5 || run.status().is_some()
                    });
                    run.signal(Signal::Kill);
                }
                // All at one moment.
                1 => family
                    .iter()
                    .for_each(|pid| support::send_signal(Signal::Kill, i64::from(*pid))),
                // The fetcher, which takes its parser along, and then crawl-run.
                _ => {
                    support::send_signal(Signal::Kill, i64::from(*family.last().unwrap()));
                    run.signal(Signal::Kill);
                }
            }
            drop(run.wait());
        }
        shop(&folder).run().code(0);
        let records = records(&folder);
        assert_eq!(records.len(), PAGES);
        let mut at: Vec<u64> = records
            .iter()
            .map(|r| r["item"]["at"].as_u64().unwrap())
            .collect();
        at.sort_unstable();
        assert_eq!(at, (1..=PAGES as u64).collect::<Vec<_>>());
        assert!(records.iter().all(|record| record["state"].is_null()));
    }

    #[test]
    fn a_parser_is_given_no_lock_and_leaves_signals_to_the_crawl() {
        if !has("python3") {
            return;
        }
        let (folder, site) = (Folder::new(), Site::tree(60, 5));
        site.latency(Duration::from_millis(40));
        spider(&folder, &site, json!({}));
        parser(
            &folder,
            "\
files = [os.path.realpath(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd')]
for r in results():
    give(r, item=files)
",
        );
        let run = shop(&folder).start();
        site.wait_for(20);
        family(run.pid())
            .iter()
            .for_each(|pid| support::send_signal(Signal::Term, i64::from(*pid)));
        run.wait().code(143).never_says("started again");
        shop(&folder).run().code(0);
        let records = records(&folder);
        assert_eq!(records.len(), 60);
        for record in records {
            let files = record["item"].as_array().unwrap();
            let is_lock = |file: &Value| file.as_str().unwrap().contains("checkpoint");
            assert!(!files.iter().any(is_lock), "{files:?}");
        }
    }

    #[test]
    fn a_spider_whose_parser_is_missing_is_refused_before_the_crawl() {
        let (folder, site) = (Folder::new(), Site::new());
        spider(&folder, &site, json!({"parse": ["./none.sh"]}));
        shop(&folder)
            .run()
            .code(2)
            .says("$.parse[0]: expected a program that is there");
        spider(&folder, &site, json!({"parse": ["no-such-program"]}));
        shop(&folder)
            .run()
            .code(2)
            .says("$.parse[0]: expected a program on PATH");
        assert_eq!(site.count(), 0);
    }

    #[test]
    fn a_check_names_the_parser_and_another_parser_is_no_other_crawl() {
        if !has("python3") {
            return;
        }
        let (folder, site) = (Folder::new(), Site::tree(100, 5));
        site.latency(Duration::from_millis(20));
        spider(&folder, &site, json!({"parse_jobs": 2}));
        parser(&folder, "for r in results():\n    give(r, item=1)\n");
        let row = "parser     python3 parse.py (in ";
        shop(&folder)
            .arg("--check")
            .run()
            .code(0)
            .prints(row)
            .prints(", 2 copies)");
        shop(&folder).args(["--max-pages", "10"]).run().code(4);
        spider(&folder, &site, json!({}));
        parser(&folder, "for r in results():\n    give(r, item=2)\n");
        shop(&folder).run().code(0);
        let items: Vec<_> = records(&folder)
            .iter()
            .map(|r| r["item"].as_u64())
            .collect();
        assert_eq!(items.len(), 100);
        assert!(items[0] == Some(1) && items[99] == Some(2));
    }

    #[test]
    fn what_lies_behind_a_page_that_was_set_aside_is_crawled() {
        if !has("python3") {
            return;
        }
        let (folder, site) = (Folder::new(), Site::tree(30, 5));
        spider(&folder, &site, json!({}));
        let text = "for r in results():\n    r['title'] == 'Page 0' and 1/0\n    give(r)\n";
        parser(&folder, text);
        shop(&folder).run().code(0).says("ZeroDivisionError");
        let records = records(&folder);
        assert_eq!(records.len(), 30);
        let bad = records
            .iter()
            .filter(|record| record["error"]["kind"] == "parse");
        assert_eq!(bad.count(), 1);
        // A parser that fails on every page is found out.
        parser(&folder, "for r in results():\n    1/0\n");
        shop(&folder)
            .run()
            .code(1)
            .says("10 pages in a row were set aside");
    }

    #[test]
    fn a_broken_parser_fails_the_crawl_and_a_mended_one_goes_on() {
        if !has("python3") {
            return;
        }
        let (folder, site) = (Folder::new(), Site::tree(100, 5));
        spider(&folder, &site, json!({}));
        parser(&folder, "import no_such_module\n");
        shop(&folder)
            .run()
            .code(1)
            .says("ModuleNotFoundError")
            .says("the parser does not work: python3 parse.py")
            .never_says("starting it again")
            .says("crawl-run spiders/shop.json");
        parser(&folder, "for r in results():\n    give(r, item=2)\n");
        shop(&folder).run().code(0);
        let records = records(&folder);
        assert_eq!(records.len(), 100);
        assert!(records.iter().all(|record| record["item"] == 2));
    }

    #[test]
    fn a_page_that_was_under_way_whenever_the_parser_was_broken_is_not_to_blame() {
        if !has("python3") {
            return;
        }
        let (folder, site) = (Folder::new(), Site::new());
        let links: String = (0..30).map(|n| format!("<a href=/{n}>")).collect();
        site.page("/", &format!("<a href=/slow>{links}"));
        site.otherwise(|asked| match asked.path.as_str() {
            "/robots.txt" => Answer::status(404),
            _ => Answer::html("a page"),
        });
        site.on("/slow", |_| {
            Answer::html("slow").after(Duration::from_secs(50))
        });
        spider(&folder, &site, json!({}));
        let broken = "for r in results():\n    if r['url'][-1] != '/': 1/0\n    give(r, item=1)\n";
        for _ in 0..4 {
            parser(&folder, broken);
            shop(&folder)
                .run()
                .code(1)
                .says("10 pages in a row were set aside");
        }
        site.page("/slow", "slow");
        parser(&folder, "for r in results():\n    give(r, item=2)\n");
        shop(&folder).run().code(0);
        let records = records(&folder);
        assert_eq!(records.len(), 32);
        for record in &records {
            assert_eq!(record["error"], json!(null), "{record}");
        }
    }

    #[test]
    fn the_pages_that_a_broken_parser_failed_on_are_parsed_once_it_is_mended() {
        if !has("python3") {
            return;
        }
        let (folder, site) = (Folder::new(), Site::tree(60, 5));
        spider(&folder, &site, json!({}));
        let broken = "for n, r in enumerate(results()):\n    if r['url'].count('/') > 3: 1/0\n    give(r, item=1)\n";
        for _ in 0..2 {
            parser(&folder, broken);
            shop(&folder)
                .run()
                .code(1)
                .says("10 pages in a row were set aside");
        }
        parser(&folder, "for r in results():\n    give(r, item=2)\n");
        shop(&folder).run().code(0);
        let records = records(&folder);
        assert_eq!(records.len(), 60);
        for record in &records {
            assert_eq!(record["error"], json!(null), "{record}");
        }
    }
}
