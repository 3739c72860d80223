//! Which browser there is, as whom it runs, and what is left of it.

use super::*;

/// A fetcher whose browser shows a page that asked for something.
fn under_way(folder: &Folder, site: &Site) -> Running {
    site.page("/", "<script>fetch('/wait')</script>");
    site.page("/wait", "x");
    let mut running = renderer(folder).start();
    running.send(&site.url("/"));
    site.wait_for(2);
    running
}

#[test]
fn nothing_of_the_browser_outlives_a_kill() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    let running = under_way(&folder, &site);
    assert!(!is_empty(&folder));
    let processes = browser_processes(&folder);
    let shows_pages = |words: &str| words.contains("--type=renderer");
    assert!(
        processes.iter().any(|(_, words)| shows_pages(words)),
        "{processes:?}"
    );
    running.signal(Signal::Kill);
    running.wait();
    wait_until_gone(&processes);
    let until = std::time::Instant::now() + support::DEADLINE;
    while !is_empty(&folder) {
        assert!(std::time::Instant::now() < until);
        thread::yield_now();
    }
}

#[test]
fn what_a_killed_reaper_left_goes_with_the_next_browser() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    let running = under_way(&folder, &site);
    let processes = browser_processes(&folder);
    let ps = Tool::program("ps").args(["-eo", "pid,args"]).run().text();
    let place = folder.to_string_lossy();
    let mut lines = ps.lines().filter(|line| line.contains(&*place));
    let reaper = lines.find(|line| line.contains("read -r group")).unwrap();
    let pid = reaper.split_whitespace().next().unwrap();
    support::send_signal(Signal::Kill, pid.parse().unwrap());
    running.signal(Signal::Kill);
    running.wait();
    wait_until_gone(&processes);
    // Nobody was there to take it away; one that was made just now may be about to be used.
    render(&folder, &site, &["/"]);
    assert!(!is_empty(&folder));
    let left = std::fs::read_dir(&*folder).unwrap().flatten();
    let lock = left.map(|it| it.path().join("lock")).find(|it| it.exists());
    let touch = Tool::program("touch").args(["-d", "2 minutes ago"]);
    touch.arg(lock.unwrap()).run().code(0);
    render(&folder, &site, &["/"]);
    assert!(is_empty(&folder));
}

#[test]
fn without_a_browser_the_line_that_installs_one_is_told() {
    let folder = Folder::new();
    let tool = || {
        let tool = Tool::new("crawl-fetch").args(["--render", "--no-sandbox"]);
        tool.env("PATH", &*folder).stdin("")
    };
    tool()
        .run()
        .code(2)
        .says("apt install chromium-headless-shell");
    tool()
        .env("CRAWL_BROWSER", "/no/such")
        .run()
        .code(2)
        .says("$CRAWL_BROWSER");
    let broken = folder.write("browser", "#!/bin/sh\necho broken here >&2\nexit 1\n");
    Tool::program("chmod").arg("+x").arg(&broken).run().code(0);
    let tool = Tool::new("crawl-fetch").args(["--render", "--no-sandbox"]);
    let tool = tool.env("TMPDIR", &*folder).env("CRAWL_BROWSER", &broken);
    tool.stdin("")
        .run()
        .code(2)
        .says("does not work: broken here");
    assert!(is_empty(&folder));
}

#[test]
fn root_is_told_how_to_do_without_a_sandbox() {
    if !is_root() {
        return support::skipped("it is not run as root");
    }
    let tool = Tool::new("crawl-fetch").arg("--render").stdin("");
    tool.run().code(2).says("--no-sandbox");
    let folder = Folder::new();
    let tool = Tool::new("crawl-run")
        .args(["http://127.0.0.1:9/", "--render"])
        .dir(&folder);
    tool.run().code(2).says("--no-sandbox");
    assert!(folder.files().is_empty());
}

#[test]
fn an_ordinary_user_has_the_sandbox() {
    if !has_browser() {
        return;
    }
    let (folder, site) = (Folder::new(), Site::new());
    site.page("/", "<a href=/x>x</a><script>fetch('/wait')</script>");
    site.page("/wait", "x");
    let bin = support::bin("crawl-fetch");
    let mut tool = Tool::program(&bin);
    if is_root() {
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let ordinary = || Tool::program("setpriv").args(nobody);
        Tool::program("chmod")
            .arg("777")
            .arg(&*folder)
            .run()
            .code(0);
        let can = has("setpriv") && {
            let sees = ordinary().args(["sh", "-c", "test -x \"$1\" && test -w \"$2\"", "sh"]);
            sees.arg(&bin).arg(&*folder).run().exit() == 0
        };
        if !can {
            return support::skipped("nobody cannot run what was built here");
        }
        tool = ordinary().arg(&bin);
    }
    let tool = tool
        .arg("--render")
        .env("TMPDIR", folder.as_os_str())
        .env("HOME", folder.as_os_str());
    let mut running = tool.start();
    running.send(&site.url("/"));
    site.wait_for(2);
    let pages = browser_processes(&folder);
    let mut pages = pages
        .iter()
        .filter(|(_, words)| words.contains("--type=renderer"));
    assert!(pages.clone().count() > 0);
    // Gone meanwhile is none without.
    assert!(pages.all(|(pid, _)| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
        status.is_ok_and(|status| status.contains("Seccomp:\t2"))
    }));
    let done = running.wait().code(0);
    let result = &by_path(&done)["/"];
    assert_eq!(links(result), ["/x"], "{result}");
    assert_eq!(result["render"].get("failed"), None, "{result}");
    assert!(is_empty(&folder));
}
