//! The README is true: its sessions are run and their output compared, its files are
//! used, its lines for cron and systemd are started.
//!
//! In a `console` block a line `$ COMMAND` is run; the lines below it must be among what
//! it prints, numbers, sizes and times aside. `^C` sends SIGINT to all of the command's
//! processes while pages are under way, `Killed` SIGKILL. `https://docs.example` is a
//! site of generated pages on loopback.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use crawl_run::spider::Spider;
use support::{Done, Folder, Random, Redis, Signal, Site, Tool, has, skipped};

const README: &str = include_str!("../README.md");

/// A fenced block: its language, the name of the file that it is, its lines.
struct Block {
    language: String,
    file: Option<String>,
    lines: Vec<String>,
}

fn blocks() -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut inside, mut file) = (false, None);
    for line in README.lines() {
        if let Some(language) = line.strip_prefix("```") {
            inside = !inside;
            if inside {
                blocks.push(Block {
                    language: language.to_owned(),
                    file: file.take(),
                    lines: Vec::new(),
                });
            }
        } else if inside {
            blocks.last_mut().unwrap().lines.push(line.to_owned());
        } else if let Some(rest) = line.strip_prefix("<!-- file: ") {
            file = rest.strip_suffix(" -->").map(str::to_owned);
        }
    }
    blocks
}

fn of_language(language: &str) -> Vec<Block> {
    let mut blocks = blocks();
    blocks.retain(|block| block.language == language);
    assert!(!blocks.is_empty(), "no {language} block");
    blocks
}

fn site() -> Site {
    let site = Site::tree(300, 8);
    site.latency(Duration::from_millis(10));
    site
}

/// A folder with the README's files in it.
fn folder(site: &Site) -> Folder {
    let folder = Folder::new();
    for block in blocks() {
        if let Some(name) = &block.file {
            folder.write(name, local(&block.lines.join("\n"), site));
        }
    }
    folder
}

/// The text with the site on loopback in the place of the example, and back.
fn local(text: &str, site: &Site) -> String {
    text.replace("https://docs.example", &site.url(""))
        .replace("docs.example", &site.host().replace(':', "-"))
}

fn general(text: &str, site: &Site) -> String {
    text.replace(&site.url(""), "https://docs.example")
        .replace(&site.host().replace(':', "-"), "docs.example")
}

/// The line with every number, with its unit, as `#`, and blanks as one.
fn shape(line: &str) -> String {
    let words = line.split_whitespace().map(|word| {
        let mut out = String::new();
        for c in word.chars() {
            match c {
                '0'..='9' if out.ends_with('#') => {}
                '0'..='9' => out.push('#'),
                '.' | ',' | '-' if out.ends_with('#') => {}
                c => out.push(c),
            }
        }
        // 0.9s, 12ms, 1m 02s
        let plain = out.trim_end_matches(['s', 'm', 'h']);
        if plain == "#" { plain.to_owned() } else { out }
    });
    let mut shapes: Vec<String> = words.collect();
    // 70 MiB, 15 KiB: a number with another unit.
    for unit in ["B", "KiB", "MiB", "GiB"] {
        shapes.retain(|word| word.trim_end_matches(',') != unit);
    }
    shapes.dedup();
    shapes.join(" ")
}

/// Runs a session, in one folder.
fn run_session(block: &Block, folder: &Folder, site: &Site) {
    let mut lines = block.lines.iter().peekable();
    let mut last_exit = 0;
    while let Some(line) = lines.next() {
        let command = line.strip_prefix("$ ").expect(line);
        let mut shown = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
            shown.push(line.as_str());
        }
        if command == "echo $?" {
            assert_eq!(shown, [last_exit.to_string()], "{line}");
            continue;
        }
        let done = run_command(command, &shown, folder, site);
        last_exit = done.exit();
        let exit_is_shown = lines.peek().is_some_and(|next| *next == "$ echo $?");
        let right = match () {
            () if shown.contains(&"^C") => 130,
            () if shown.contains(&"Killed") => 137,
            () if command.contains("--max-pages") => 4,
            () => 0,
        };
        assert!(exit_is_shown || last_exit == right, "not {right}:\n{done}");
        compare(&shown, &done, site);
    }
}

fn run_command(command: &str, shown: &[&str], folder: &Folder, site: &Site) -> Done {
    let before = site.count();
    let run = Tool::program("bash")
        .args(["-o", "pipefail", "-c", &local(command, site)])
        .dir(folder)
        .start();
    let signal = match () {
        () if shown.contains(&"^C") => Some(Signal::Int),
        () if shown.contains(&"Killed") => Some(Signal::Kill),
        () => None,
    };
    if let Some(signal) = signal {
        site.wait_for(before + 60);
        run.signal_group(signal);
    }
    run.wait()
}

/// Each line that is shown is among those that were printed.
fn compare(shown: &[&str], done: &Done, site: &Site) {
    let printed = general(&format!("{}\n{}", done.text(), done.words()), site);
    let printed: Vec<_> = printed.lines().map(shape).collect();
    for line in shown.iter().filter(|line| !["^C", "Killed"].contains(line)) {
        assert!(
            printed.contains(&shape(line)),
            "the README shows {line:?} ({:?}), printed were {printed:#?}\n{done}",
            shape(line)
        );
    }
}

#[test]
fn every_session_of_the_readme_runs_and_prints_what_it_shows() {
    for block in of_language("console") {
        let needs_jq = block.lines.iter().any(|line| line.contains("jq"));
        if needs_jq && !has("jq") {
            continue;
        }
        let site = site();
        run_session(&block, &folder(&site), &site);
    }
}

/// What the commands for many machines leave behind, ended when dropped.
struct Machines<'a> {
    folder: &'a Folder,
    redis: u16,
}

impl Drop for Machines<'_> {
    fn drop(&mut self) {
        // What was not begun cannot be ended.
        let end = format!(
            "redis-cli -p {} shutdown nosave; scripts/cluster stop",
            self.redis
        );
        let tool = Tool::program("bash").args(["-c", &end]).dir(self.folder);
        drop(tool.run());
    }
}

/// A port that is free at all addresses of `scripts/cluster`, for clients and for the nodes themselves.
fn cluster_port() -> u16 {
    let mut random = Random(Random::any_seed());
    let is_free = |port: u16| {
        let at =
            |node: u8, port: u16| TcpListener::bind((&*format!("127.0.0.1{node}"), port)).is_ok();
        (1..=6).all(|node| at(node, port) && at(node, port + 10_000))
    };
    let mut ports = (0..1000).map(|_| 6000 + random.below(3800) as u16);
    ports.find(|port| is_free(*port)).expect("no free ports")
}

/// The spider of the section on many machines.
fn shop(folder: &Folder, site: &Site) {
    let spider = r#"{"name": "shop", "start_urls": ["https://docs.example/"]}"#;
    folder.write("shop.json", local(spider, site));
}

#[test]
fn the_commands_for_many_machines_run_in_their_order() {
    if !has("redis-server") || !has("redis-cli") {
        skipped("no redis-server");
        return;
    }
    let (site, folder) = (site(), Folder::new());
    shop(&folder, &site);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts");
    std::os::unix::fs::symlink(scripts, folder.join("scripts")).unwrap();
    let redis = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let (redis, cluster) = (redis.unwrap().port(), cluster_port());
    let here = |line: &str| {
        let begun = format!(
            "scripts/cluster start --until {} --port",
            std::process::id()
        );
        let line = line
            .replace(
                "redis-server",
                &format!("redis-server --port {redis} --dir ."),
            )
            .replace("redis://127.0.0.1/", &format!("redis://127.0.0.1:{redis}/"))
            .replace("scripts/cluster start", &format!("{begun} {cluster}"))
            .replace(":7100/", &format!(":{cluster}/"));
        // A frontier that is done leaves the other end of its loop.
        let line = format!("{}; exit ${{PIPESTATUS[0]}}", local(&line, &site));
        Tool::program("bash").args(["-c", &line]).dir(&folder)
    };
    let _machines = Machines {
        folder: &folder,
        redis,
    };
    let mut workers = Vec::new();
    for line in of_language("machines")
        .iter()
        .flat_map(|block| &block.lines)
    {
        // Workers of one crawl work at the same time.
        if line.starts_with("crawl-run") {
            workers.push(here(line).start());
            continue;
        }
        for worker in workers.drain(..) {
            worker.wait().code(0).says("complete after");
        }
        here(line).run().code(0);
    }
    assert!(workers.is_empty());
    let all = folder.read("shop.jsonl");
    assert_eq!(all.lines().count(), 300);
    for made in ["shop.summary.json", "shop.html"] {
        assert!(folder.join(made).is_file(), "{made}");
    }
    assert_eq!(folder.read("docs.jsonl").lines().count(), 300);
}

#[test]
fn each_command_for_a_store_that_the_table_names_is_there() {
    let Some(redis) = Redis::durable() else {
        return;
    };
    let (site, folder) = (site(), Folder::new());
    shop(&folder, &site);
    let worker = "shop.json --worker two --data-dir two --max-pages 100 --store";
    Tool::new("crawl-run")
        .dir(&folder)
        .args(worker.split(' '))
        .arg(redis.url())
        .run()
        .code(4);
    let (_, table) = README
        .split_once("| `crawl-ckpt --store URL …` | does |")
        .unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with("| "));
    let cells = rows.map(|row| row[2..].split_once(" |").unwrap().0);
    let commands: Vec<&str> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    assert!(commands.contains(&"rm shop"), "{commands:?}");
    for command in commands {
        let command = match command {
            "rm shop" => "rm shop --yes".to_owned(),
            command => command.replace("DIR", "copy"),
        };
        Tool::new("crawl-ckpt")
            .dir(&folder)
            .args(["--store", &redis.url()])
            .args(command.split(' '))
            .run()
            .code(0);
    }
}

#[test]
fn the_crontab_line_runs() {
    for block in of_language("crontab") {
        for line in &block.lines {
            let command = line.splitn(6, ' ').nth(5).unwrap().trim();
            let site = site();
            let folder = folder(&site);
            let command = command.replace("/srv/crawl", folder.to_str().unwrap());
            Tool::program("sh")
                .args(["-c", &local(&command, &site)])
                .run()
                .code(0)
                .prints_just("")
                .is_quiet();
            let made = folder.files().into_iter().filter(|f| f.starts_with("data"));
            // The lock, the output, its summary.
            assert_eq!(made.count(), 3, "{:?}", folder.files());
        }
    }
}

#[test]
fn the_systemd_units_are_sound_and_their_command_runs() {
    let units = of_language("ini");
    let setting = |name: &str| {
        let lines = units.iter().flat_map(|unit| &unit.lines);
        let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        values.next().unwrap().to_owned()
    };
    let site = site();
    let folder = folder(&site);
    let command = setting("ExecStart");
    let command = local(command.strip_prefix("/usr/local/bin/").unwrap(), &site);
    Tool::program("sh")
        .args(["-c", &command])
        .dir(&folder)
        .run()
        .code(0);

    if !has("systemd-analyze") {
        return;
    }
    for (name, unit) in ["crawl-docs.service", "crawl-docs.timer"]
        .iter()
        .zip(&units)
    {
        let text = unit.lines.join("\n");
        let here = support::bin("crawl-run");
        let text = text.replace("/usr/local/bin/crawl-run", here.to_str().unwrap());
        folder.write(name, text.replace("/srv/crawl", folder.to_str().unwrap()));
    }
    let done = Tool::program("systemd-analyze")
        .args([
            "verify",
            "--man=no",
            "./crawl-docs.service",
            "./crawl-docs.timer",
        ])
        .dir(&folder)
        .run();
    assert!(!done.words().contains("crawl-docs"), "{done}");
}

#[test]
fn proxies_and_their_prices_are_taken_as_they_are_shown() {
    let site = site();
    let lines: Vec<String> = of_language("sh")
        .into_iter()
        .flat_map(|block| block.lines)
        .collect();
    let folder = folder(&site);
    // Nothing blocks here, so that none of these proxies is asked for anything.
    Tool::program("bash")
        .args(["-ec", &local(&lines.join("\n"), &site)])
        .dir(&folder)
        .run()
        .code(0)
        .says("complete after")
        .never_says("password");
}

#[test]
fn the_spider_of_pages_that_scripts_make_is_sound() {
    if !has("chromium-headless-shell") {
        return;
    }
    let mut spiders = of_language("json").into_iter();
    let spider = spiders.find(|block| block.lines.iter().any(|line| line.contains("wait_for")));
    let folder = Folder::new();
    folder.write("app.json", spider.unwrap().lines.join("\n"));
    Tool::new("crawl-run")
        .args(["--check", "--no-sandbox", "app.json"])
        .dir(&folder)
        .run()
        .code(0)
        .prints("/product/")
        .never_says("ignored");
}

/// Words between backticks in running text.
fn inline_code() -> Vec<String> {
    let mut inside = false;
    let text: Vec<&str> = README
        .lines()
        .filter(|line| {
            let fence = line.starts_with("```");
            inside ^= fence;
            !inside && !fence
        })
        .collect();
    let text = text.join(" ");
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn keys_of_spider_files_in_running_text_are_taken_somewhere() {
    // The first is of records; the others stand in fields, which crawl-fetch reads.
    let elsewhere = ["item_cut", "type", "languages"];
    let folder = Folder::new();
    let is_taken = |keys: &str| {
        let spider = format!(r#"{{"name": "n", "start_urls": ["http://h.example/"], {keys}}}"#);
        folder.write("n.json", spider);
        let path = folder.join("n.json");
        let spider = Spider::load(&[path.to_str().unwrap()]);
        spider.is_ok_and(|spider| spider.ignored.is_empty())
    };
    let mut count = 0;
    for code in inline_code() {
        let key = code.split('"').nth(1).unwrap_or_default();
        let places: &[&str] = match code.chars().next() {
            Some('"') if code.contains("\": ") && !elsewhere.contains(&key) => &[
                "$",
                r#""parse": ["cat"], $"#,
                r#""rules": [{$}]"#,
                r#""sections": [{"match": "/", $}]"#,
                r#""settings": {$}"#,
                r#""settings": {"GENERATED_URLS": [{"template": "http://h.example/{n}", "variables": {"n": [1]}, $}]}"#,
            ],
            Some('{') => &[r#""render": $"#, r#""warc": $"#],
            _ => continue,
        };
        let mut places = places.iter().map(|place| place.replace('$', &code));
        assert!(places.any(|keys| is_taken(&keys)), "{code}");
        count += 1;
    }
    assert!(count > 10, "{count}");
}

#[test]
fn every_file_that_the_readme_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for rest in README.split("scripts/").skip(1) {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.');
        let name = rest[..end.unwrap_or(rest.len())].trim_end_matches('.');
        assert!(root.join("scripts").join(name).is_file(), "scripts/{name}");
    }
    for link in README.split("](").skip(1) {
        let target = link.split(')').next().unwrap();
        if let Some(part) = target.strip_prefix('#') {
            let headings = README.lines().filter(|line| line.starts_with('#'));
            let mut anchors = headings.map(|line| {
                line.trim_start_matches(['#', ' '])
                    .to_lowercase()
                    .replace(' ', "-")
            });
            assert!(anchors.any(|anchor| anchor == part), "{target}");
        } else if !target.starts_with("http") {
            assert!(fs::exists(root.join(target)).unwrap(), "{target}");
        }
    }
}
