//! Hosts that block, and proxies that cost money.

use crate::support::Forward;

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
