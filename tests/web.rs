//! The web as it is, crawled with crawl-run: a site on which every path misbehaves,
//! hosts that block, proxies that cost money, traps and cookies.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use support::hostile::{self, CASES, Ends};
use support::{Answer, Done, Folder, Forward, Site, Tool};

/// crawl-run in the folder, on its `shop.json`.
fn shop(folder: &Folder) -> Tool {
    Tool::new("crawl-run").dir(folder).arg("shop.json")
}

/// Writes `shop.json`, which starts at the site's front page and never waits.
fn spider(folder: &Folder, site: &Site, settings: Value, more: Value) {
    let mut all = json!({"RETRY_TIMES": 0, "AUTOTHROTTLE_ENABLED": false});
    merge(&mut all, settings);
    let mut spider = json!({"name": "shop", "start_urls": [site.url("/")], "settings": all});
    merge(&mut spider, more);
    folder.write("shop.json", spider.to_string());
}

fn merge(into: &mut Value, from: Value) {
    let Value::Object(from) = from else { return };
    into.as_object_mut().unwrap().extend(from);
}

/// The output files that end so, in the order of their names.
fn outputs(folder: &Folder, end: &str) -> Vec<PathBuf> {
    let files = folder.files().into_iter();
    let files = files.filter(|path| path.to_string_lossy().ends_with(end));
    files.map(|path| folder.join(path)).collect()
}

/// The records of the one output file, by URL; no URL has two.
#[track_caller]
fn records(folder: &Folder) -> HashMap<String, Value> {
    let files = outputs(folder, ".jsonl");
    assert_eq!(files.len(), 1, "{files:?}");
    let text = fs::read_to_string(&files[0]).unwrap();
    let mut records = HashMap::new();
    for line in text.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let url = record["url"].as_str().unwrap().to_owned();
        let earlier = records.insert(url, record);
        assert!(earlier.is_none(), "two records: {line}");
    }
    records
}

fn kind(record: &Value) -> &str {
    record["error"]["kind"].as_str().unwrap_or("none")
}

mod hostile_site {
    use super::*;

    /// The most memory that a process ever had, in KiB.
    fn peak_kib(pid: u32) -> u64 {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = peak.and_then(|peak| peak.split_whitespace().next()?.parse().ok());
        number.unwrap_or(0)
    }

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
}

mod proxies {
    use super::*;

    const SECRET: &str = "s3cret-w0rd";
    /// `user:s3cret-w0rd` as a proxy is told it.
    const SECRET_BASE64: &str = "dXNlcjpzM2NyZXQtdzByZA==";

    /// A site as three ways see it: direct, and through two proxies. Each connection
    /// serves one request, so that a proxy's log has a line for each.
    struct World {
        folder: Folder,
        direct: Site,
        datacenter: Site,
        residential: Site,
        cheap: Forward,
        costly: Forward,
    }

    fn page(links: &[&str]) -> Answer {
        let links = links.iter().map(|link| format!("<a href={link}>"));
        Answer::html(links.collect::<String>()).header("Connection", "close")
    }

    fn block() -> Answer {
        Answer::html("no")
            .with_status(403)
            .header("Connection", "close")
    }

    const LINKS: [&str; 8] = ["/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8"];

    impl World {
        /// Everybody serves all pages.
        fn new() -> World {
            let sites = [Site::new(), Site::new(), Site::new()];
            for site in &sites {
                site.on("/", |_| page(&LINKS));
                site.on("/robots.txt", |_| {
                    Answer::status(404).header("Connection", "close")
                });
                site.otherwise(|_| page(&[]));
            }
            let [direct, datacenter, residential] = sites;
            let folder = Folder::new();
            spider(&folder, &direct, json!({}), json!({}));
            World {
                cheap: Forward::leading_with_password(&datacenter.host(), SECRET_BASE64),
                costly: Forward::leading_with_password(&residential.host(), SECRET_BASE64),
                folder,
                direct,
                datacenter,
                residential,
            }
        }

        fn with_env(&self, tool: Tool) -> Tool {
            let credentials = format!("user:{SECRET}@");
            tool.dir(&self.folder)
                .env("DATACENTER_PROXY_URL", self.cheap.url(&credentials))
                .env("RESIDENTIAL_PROXY_URL", self.costly.url(&credentials))
        }

        /// Runs a command; no password is in anything that it wrote.
        #[track_caller]
        fn run(&self, tool: Tool) -> Done {
            let done = self.with_env(tool).run();
            let files = self.folder.files().into_iter();
            let written = files.map(|path| fs::read(self.folder.join(path)).unwrap());
            for bytes in written.chain([done.stdout.clone(), done.stderr.clone()]) {
                for secret in [SECRET, SECRET_BASE64] {
                    let told = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
                    assert!(!told, "a password was told:\n{done}");
                }
            }
            done
        }

        /// The front page is there for everybody, all else for none but the costly proxy.
        fn block_the_rest(&self) {
            self.direct.otherwise(|_| block());
            self.datacenter.otherwise(|_| block());
        }

        fn forget(&self) {
            for site in [&self.direct, &self.datacenter, &self.residential] {
                site.clear_log();
            }
        }
    }

    /// The pages that were asked for, sorted.
    fn pages(site: &Site) -> Vec<String> {
        let mut pages = site.paths();
        pages.retain(|path| path != "/robots.txt");
        pages.sort();
        pages
    }

    /// What a summary says of a proxy: successes and attempts.
    #[track_caller]
    fn told(done: &Done, proxy: &str) -> (usize, usize) {
        let words = done.words();
        let start = format!("proxy      {proxy}: ");
        let line = words
            .lines()
            .find_map(|line| line.trim().strip_prefix(&*start));
        let line = line.unwrap_or_else(|| panic!("nothing of {proxy}:\n{done}"));
        let numbers: Vec<usize> = line.split(' ').filter_map(|w| w.parse().ok()).collect();
        (numbers[0], numbers[1])
    }

    /// The command of exit 3 that has (or has not) this word.
    #[track_caller]
    fn command(done: &Done, cheaper: bool) -> String {
        let words = done.words();
        let mut commands = words.lines().filter(|line| line.contains("--proxy-type"));
        let wanted = commands.find(|line| line.contains("retry-blocked") == cheaper);
        let command = wanted.unwrap_or_else(|| panic!("no command:\n{done}"));
        command.trim().to_owned()
    }

    fn shell(command: &str) -> Tool {
        Tool::program("sh").args(["-c", command])
    }

    #[test]
    fn a_host_that_blocks_is_crawled_through_the_datacenter_and_the_figures_agree() {
        let world = World::new();
        world.direct.on("/", |_| block());
        world.direct.otherwise(|_| block());
        let done = world.run(shop(&world.folder)).code(0);
        let records = records(&world.folder);
        assert_eq!(records.len(), 9, "{done}");
        for record in records.values() {
            assert_eq!(
                (&record["status"], &record["proxy"]),
                (&json!(200), &json!("datacenter"))
            );
        }
        assert_eq!(pages(&world.direct), ["/"]);
        let asked = world.cheap.log().len();
        assert_eq!(world.datacenter.count(), asked);
        assert_eq!(told(&done, "datacenter"), (asked, asked), "{done}");
        let direct = world.direct.count();
        assert_eq!(told(&done, "direct"), (direct - 1, direct), "{done}");
        assert!(world.costly.log().is_empty());
    }

    #[test]
    fn what_a_crawl_learned_of_a_host_holds_for_the_next_ones_until_a_week_is_over() {
        let world = World::new();
        world.direct.on("/", |_| block());
        world.direct.otherwise(|_| block());
        world.run(shop(&world.folder)).code(0);

        let told = "through datacenter: status 403, as an earlier crawl learned";
        world.forget();
        let part = shop(&world.folder).args(["--max-pages", "3"]);
        world.run(part).code(4).says(&format!("is fetched {told}"));
        let front = world.direct.url("/");
        let explained = world.run(shop(&world.folder).args(["--explain", &front]));
        assert!(explained.text().contains(told), "{explained}");
        world.run(shop(&world.folder)).code(0);
        assert_eq!(world.direct.count(), 0);

        // A test crawl asks as if it were the first, and another project has its own.
        world
            .run(shop(&world.folder).args(["--limit", "3"]))
            .code(0);
        world
            .run(shop(&world.folder).args(["--project", "other"]))
            .code(0);
        assert_eq!(pages(&world.direct), ["/", "/"]);

        let known = "data/default/.hosts";
        let mut text: Value = serde_json::from_str(&world.folder.read(known)).unwrap();
        for host in text["hosts"].as_object_mut().unwrap().values_mut() {
            let learned = host["learned_s"].as_u64().unwrap();
            host["learned_s"] = json!(learned - 7 * 24 * 60 * 60);
        }
        world.folder.write(known, text.to_string());
        world.forget();
        world.run(shop(&world.folder)).code(0);
        assert_eq!(pages(&world.direct), ["/"]);
        let text: Value = serde_json::from_str(&world.folder.read(known)).unwrap();
        assert_eq!(text["hosts"].as_object().unwrap().len(), 1);

        // It is no more than advice.
        world.folder.write(known, "no JSON");
        world
            .run(shop(&world.folder))
            .code(0)
            .says("what is known of hosts is left");
    }

    #[test]
    fn a_robots_txt_that_was_blocked_does_not_rule_what_comes_through_a_proxy() {
        for status in [403, 503] {
            let world = World::new();
            let refuse = move |_: &_| block().with_status(status);
            world.direct.on("/robots.txt", refuse);
            world.direct.on("/", |_| block());
            world.direct.otherwise(|_| block());
            world.datacenter.on("/robots.txt", |_| {
                Answer::text("User-agent: *\nDisallow: /5").header("Connection", "close")
            });
            let stop = ["--max-pages", "1"];
            world.run(shop(&world.folder).args(stop)).code(4);
            let done = world.run(shop(&world.folder)).code(0);
            let records = records(&world.folder);
            assert_eq!(records.len(), 9, "{done}");
            for (url, record) in &records {
                let forbidden = url.ends_with("/5");
                let want = if forbidden { json!(null) } else { json!(200) };
                assert_eq!(record["status"], want, "{status}: {record}");
                assert_eq!(kind(record) == "robots", forbidden);
            }
            assert_eq!(world.datacenter.hits("/5"), 0);
            assert_eq!(world.datacenter.hits("/robots.txt"), 1);
            assert_eq!(world.direct.hits("/robots.txt"), 1);
            let before = if status == 403 { vec!["/"] } else { vec![] };
            assert_eq!(pages(&world.direct), before, "{status}");
        }
    }

    #[test]
    fn a_host_that_blocks_both_waits_for_an_approval_that_fetches_only_what_waits() {
        let world = World::new();
        world.block_the_rest();
        let done = world.run(shop(&world.folder)).code(3);
        let done = done
            .says("8 URLs wait for a decision on 1 host")
            .says("status 403");
        assert!(world.costly.log().is_empty(), "nobody approved it");
        assert!(
            world
                .folder
                .join("data/default/shop/checkpoint/job.json")
                .is_file()
        );
        assert_eq!(records(&world.folder).len(), 1);
        assert_eq!(
            told(&done, "datacenter").1,
            world.cheap.log().len(),
            "{done}"
        );
        // The same command again asks for nothing.
        world.forget();
        world.run(shop(&world.folder)).code(3);
        assert_eq!(
            pages(&world.direct).len() + pages(&world.datacenter).len(),
            0
        );

        let approval = command(&done, true);
        assert!(approval.contains("--proxy-type residential"), "{approval}");
        let done = world.run(shell(&approval)).code(0);
        assert_eq!(pages(&world.residential), LINKS, "{done}");
        assert_eq!(world.direct.count() + world.datacenter.count(), 0, "{done}");
        let records = records(&world.folder);
        assert_eq!(records.len(), 9);
        assert_eq!(records[&world.direct.url("/")]["proxy"], "direct");
        assert_eq!(records[&world.direct.url("/5")]["proxy"], "residential");
        assert_eq!(
            told(&done, "residential").1,
            world.costly.log().len(),
            "{done}"
        );
        assert!(!world.folder.join("data/default/shop/checkpoint").exists());
    }

    #[test]
    fn an_approval_for_everything_begins_anew() {
        let world = World::new();
        world.block_the_rest();
        let done = world.run(shop(&world.folder)).code(3);
        world.forget();
        let done = world.run(shell(&command(&done, false))).code(0);
        let done = done.says("proxy type changed: auto -> residential");
        done.says("checkpoint cleared: every URL is retried");
        let all: Vec<&str> = ["/"].into_iter().chain(LINKS).collect();
        assert_eq!(pages(&world.residential), all);
        assert_eq!(world.direct.count() + world.datacenter.count(), 0);
        assert_eq!(records(&world.folder).len(), 9);
        assert_eq!(outputs(&world.folder, ".jsonl.partial").len(), 1);
    }

    #[test]
    fn nothing_goes_direct_when_a_proxy_was_asked_for_and_is_not_there() {
        let world = World::new();
        let tool = world
            .with_env(shop(&world.folder))
            .env(
                "RESIDENTIAL_PROXY_URL",
                format!("http://user:{SECRET}@127.0.0.1:1"),
            )
            .args(["-v", "--proxy-type", "residential"]);
        let done = tool.run().code(1).never_says(SECRET);
        assert_eq!(world.direct.count() + world.datacenter.count(), 0, "{done}");
        let wrong = world
            .with_env(shop(&world.folder))
            .env(
                "RESIDENTIAL_PROXY_URL",
                world.costly.url("user:wrong-w0rd@"),
            )
            .args(["-v", "--proxy-type", "residential"]);
        let done = wrong.run().never_says("wrong-w0rd");
        assert_ne!(done.exit(), 0, "{done}");
        let asked = [&world.direct, &world.datacenter, &world.residential].map(Site::count);
        assert_eq!(asked, [0; 3], "{done}");
    }

    #[test]
    fn a_name_that_is_not_configured_is_a_usage_error() {
        let world = World::new();
        let done = world.run(shop(&world.folder).args(["--proxy-type", "isp"]));
        done.code(2).says("configured: datacenter, residential");
        assert_eq!(world.direct.count(), 0);
    }

    /// One page waits for the outcome of the others, and the last of them fails: nobody
    /// else will tell whether the page or the host is blocked.
    #[test]
    fn a_refused_page_is_not_forgotten_when_the_last_other_one_fails() {
        let world = World::new();
        for site in [&world.direct, &world.datacenter] {
            site.on("/", |_| page(&["/refused", "/slow"]));
            site.on("/refused", |_| block());
        }
        world.direct.on("/slow", |_| block());
        let slow = || Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
        world
            .datacenter
            .on("/slow", move |_| slow().after(Duration::from_millis(500)));
        let done = world.run(shop(&world.folder)).code(3);
        let records = records(&world.folder);
        assert_eq!(kind(&records[&world.direct.url("/slow")]), "protocol");
        done.says("1 URL wait");
        assert_eq!(world.datacenter.hits("/refused"), 5);
    }
}

mod traps {
    use super::*;

    #[test]
    fn a_host_has_its_share_of_pages_and_the_rest_is_counted_by_reason() {
        let (folder, site) = (Folder::new(), Site::tree(200, 5));
        spider(&folder, &site, json!({}), json!({}));
        let tool = shop(&folder).args(["--max-pages-per-host", "30"]);
        tool.run().code(0).says("host_pages ");
        assert_eq!(records(&folder).len(), 30);
    }

    #[test]
    fn each_url_that_a_cap_kept_out_is_listed_once_on_request() {
        let (folder, site) = (Folder::new(), Site::new());
        site.page(
            "/",
            "<a href=/1><a href=/a/a/a/a/a/a><a href=http://other.example/>",
        );
        let links = "<a href=/2><a href=/a/a/a/a/a/a><a href=/deep><a href=/x.zip>";
        for path in ["/1", "/2"] {
            site.page(path, links);
        }
        spider(&folder, &site, json!({"DEPTH_LIMIT": 1}), json!({}));
        let run = |flag: &str| shop(&folder).args([flag, "--limit", "9"]).run().code(0);
        let done = run("-v");
        let words = done.words();
        let mut told: Vec<&str> = words
            .lines()
            .filter_map(|line| Some(line.split_once(" left out: ")?.1))
            .collect();
        told.sort_unstable();
        let trap = "a trap: a stands in its path 6 times, at most 3";
        let deep = "at depth 2 it is too deep, at most 1";
        let want = [
            format!("{}: {deep}", site.url("/2")),
            format!("{}: {trap}", site.url("/a/a/a/a/a/a")),
            format!("{}: {deep}", site.url("/deep")),
            format!("{}: {deep}", site.url("/x.zip")),
        ];
        assert_eq!(told, want, "{done}");
        run("-q").is_quiet();
    }

    #[test]
    fn the_share_of_a_host_outlives_a_resume() {
        let (folder, site) = (Folder::new(), Site::tree(200, 5));
        spider(&folder, &site, json!({}), json!({}));
        let run = || shop(&folder).args(["--max-pages-per-host", "30"]);
        run().args(["--max-pages", "10"]).run().code(4);
        run().run().code(0);
        assert_eq!(records(&folder).len(), 30);
    }
}

mod cookies {
    use super::*;

    /// Pages for those who are logged in; all others are sent to the login, which sends
    /// them back with a session.
    fn members_only() -> Site {
        let site = Site::new();
        site.on("/login", |_| {
            Answer::redirect("/home").header("Set-Cookie", "session=abc; Path=/; HttpOnly")
        });
        site.on("/", |_| Answer::redirect("/login"));
        site.on("/robots.txt", |_| Answer::status(404));
        site.otherwise(|asked| {
            let session = asked.header("cookie") == Some("session=abc");
            match (session, asked.path.as_str()) {
                (false, _) => Answer::status(401),
                (true, "/home") => {
                    let links = (0..20).map(|n| format!("<a href=/{n}>"));
                    Answer::html(links.collect::<String>())
                }
                (true, _) => Answer::html("a page"),
            }
        });
        site
    }

    #[test]
    fn a_session_that_a_login_set_is_kept_over_a_resume() {
        let (folder, site) = (Folder::new(), members_only());
        spider(&folder, &site, json!({}), json!({}));
        shop(&folder).args(["--max-pages", "8"]).run().code(4);
        shop(&folder).run().code(0);
        let records = records(&folder);
        assert_eq!(records.len(), 23);
        let refused = records.values().filter(|record| record["status"] == 401);
        assert_eq!(refused.count(), 0);
        assert_eq!(site.hits("/login"), 1);
    }

    #[test]
    fn a_file_of_cookies_opens_the_door_and_is_kept_over_a_resume() {
        let (folder, site) = (Folder::new(), members_only());
        let more = json!({"start_urls": [site.url("/home")]});
        spider(&folder, &site, json!({}), more);
        let text = "127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tabc\nnonsense\n";
        folder.write("cookies.txt", text);
        let run = || shop(&folder).args(["--cookies", "cookies.txt"]);
        let done = run().args(["-v", "--max-pages", "8"]).run().code(4);
        done.says("cookies.txt: line 2 is no cookie")
            .never_says("abc");
        shop(&folder).run().code(0);
        let records = records(&folder);
        assert_eq!(records.len(), 21);
        assert!(records.values().all(|record| record["status"] == 200));
        assert_eq!(site.hits("/login"), 0);
        assert_eq!(folder.read("cookies.txt"), text);
        shop(&folder)
            .args(["--cookies", "none"])
            .run()
            .code(2)
            .says("cannot read none: ");
    }

    #[test]
    fn a_run_that_is_killed_when_all_is_complete_loses_no_cookie() {
        let (folder, site) = (Folder::new(), members_only());
        spider(&folder, &site, json!({}), json!({}));
        folder.write("cookies.txt", "");
        let real = support::bin("crawl-frontier");
        let script = format!("#!/bin/sh\n{} \"$@\"\nkill -9 $PPID\n", real.display());
        let frontier = folder.write("frontier", script);
        Tool::program("chmod")
            .args(["+x", "frontier"])
            .dir(&folder)
            .run()
            .code(0);
        let run = || shop(&folder).args(["--cookies", "cookies.txt"]);
        let killed = run().env("CRAWL_FRONTIER", frontier).run();
        assert_eq!(killed.signal(), Some(9), "{killed}");
        assert_eq!(folder.read("cookies.txt"), "");
        run()
            .run()
            .code(0)
            .says("its checkpoint was left, and is removed now");
        assert!(folder.read("cookies.txt").contains("\tsession\tabc\n"));
    }

    #[test]
    fn what_a_login_set_is_in_the_file_at_the_end_of_each_run() {
        use std::os::unix::fs::PermissionsExt;
        let (folder, site) = (Folder::new(), members_only());
        spider(&folder, &site, json!({}), json!({}));
        let old = "# of mine\nother.example\tFALSE\t/\tFALSE\t0\ta\tb\n";
        let file = folder.write("cookies.txt", old);
        let run = || shop(&folder).args(["--cookies", "cookies.txt"]);
        let test = ["--limit", "3", "-q"];
        run().args(test).run().code(0);
        assert_eq!(folder.read("cookies.txt"), old);
        run().args(["--max-pages", "8"]).run().code(4);
        let new = format!("{old}#HttpOnly_127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tabc\n");
        assert_eq!(folder.read("cookies.txt"), new);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        run().run().code(0);
        assert_eq!(folder.read("cookies.txt"), new);
        assert!(
            records(&folder)
                .values()
                .all(|record| record["status"] != 401)
        );
        // The next crawl is let in by the file, and so is crawl-fetch.
        spider(
            &folder,
            &site,
            json!({}),
            json!({"start_urls": [site.url("/home")], "name": "b"}),
        );
        site.clear_log();
        run().run().code(0);
        assert_eq!(site.hits("/login"), 0);
        folder.write("empty.txt", "");
        for (file, status) in [("cookies.txt", "200"), ("empty.txt", "401")] {
            let fetch = Tool::new("crawl-fetch").dir(&folder);
            fetch
                .args(["--cookies", file])
                .stdin(site.url("/5"))
                .run()
                .code(0)
                .prints(&format!("\"status\":{status}"));
        }
        let fetch = Tool::new("crawl-fetch").dir(&folder);
        let fetch = fetch.args(["--cookies", "empty.txt"]);
        fetch.stdin(site.url("/")).run().code(0).prints("/home");
        let line = "#HttpOnly_127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tabc\n";
        assert_eq!(
            folder.read("empty.txt"),
            format!("# Netscape HTTP Cookie File\n{line}")
        );
    }
}

mod explained {
    use super::*;

    #[track_caller]
    fn explain(folder: &Folder, url: &str) -> Done {
        shop(folder).args(["--explain", url]).run().code(0)
    }

    #[test]
    fn a_url_is_judged_as_the_crawl_would_and_nothing_is_fetched() {
        let (folder, site) = (Folder::new(), Site::new());
        let rules =
            json!([{"allow": "/shop/", "deny": "draft"}, {"allow": "/list", "follow": false}]);
        spider(
            &folder,
            &site,
            json!({"DEPTH_LIMIT": 3}),
            json!({"rules": rules}),
        );
        for (path, verdict) in [
            ("/", "belongs to the crawl: it is a start URL"),
            ("/shop/%7e1#x", "belongs to the crawl by rule 1"),
            (
                "/list",
                "belongs to the crawl by rule 2, its links are not followed",
            ),
            ("/shop/draft", "left out: rule 1 denies it"),
            ("/other", "left out: no rule allows it"),
            (
                "/shop/x.pdf",
                "left out: its name says that it is no page: x.pdf",
            ),
            (
                "/shop/a/a/a/a",
                "left out: a trap: a stands in its path 4 times, at most 3",
            ),
        ] {
            let done = explain(&folder, &site.url(path));
            done.prints(&format!("verdict    {verdict}\n")).is_quiet();
        }
        explain(&folder, &site.url("/shop/%7e1#x")).prints(&site.url("/shop/%7E1\n"));
        explain(&folder, "http://elsewhere.example/")
            .prints("elsewhere.example is not of this crawl");
        let wrong = shop(&folder).args(["--explain", "nonsense"]).run();
        wrong.code(2).says("'nonsense': ");
        assert_eq!((site.count(), folder.files().len()), (0, 1));
    }

    #[test]
    fn a_checkpoint_tells_where_a_url_was_found_and_what_became_of_it() {
        let (folder, site) = (Folder::new(), Site::new());
        site.page("/", "<a href=/gone><a href=/private><a href=/later>");
        site.on("/robots.txt", |_| {
            Answer::text("User-agent: *\nDisallow: /private\n")
        });
        spider(&folder, &site, json!({}), json!({}));
        shop(&folder)
            .args(["-c", "1", "--max-pages", "3"])
            .run()
            .code(4);
        let found = format!("seen       at depth 1, found on {}\n", site.url("/"));
        explain(&folder, &site.url("/"))
            .prints("seen       at depth 0, as a start URL\n")
            .prints("state      finished: status 200\n");
        explain(&folder, &site.url("/gone"))
            .prints(&found)
            .prints("state      finished: status 404\n");
        explain(&folder, &site.url("/private"))
            .prints("robots     disallowed by line 2 of robots.txt\n")
            .prints("state      finished: robots: ");
        explain(&folder, &site.url("/later"))
            .prints(&found)
            .prints("robots     allowed\n")
            .prints("state      pending\n");
        explain(&folder, &site.url("/never")).prints("seen       no\n");
    }
}
