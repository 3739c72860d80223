//! Sites that let only those in who are logged in.

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

/// A site that sends whoever has no cookie to where one is set, from there to another place, and then back. Pages
/// below `/adult` ask for one more.
fn walled() -> Site {
    let site = Site::new();
    site.on("/robots.txt", |_| Answer::status(404));
    site.on("/check", |_| {
        Answer::redirect("/checked").header("Set-Cookie", "seen=1; Path=/")
    });
    site.on("/checked", |_| Answer::redirect("/"));
    site.otherwise(|asked| {
        let has = |name: &str| {
            asked
                .header("cookie")
                .is_some_and(|cookie| cookie.contains(name))
        };
        if let Some(page) = asked.path.strip_prefix("/age?for=") {
            Answer::redirect(page).header("Set-Cookie", "age=18; Path=/")
        } else if !has("seen=1") {
            Answer::redirect("/check")
        } else if asked.path.starts_with("/adult") && !has("age=18") {
            Answer::redirect(&format!("/age?for={}", asked.path))
        } else {
            let links = (0..9).map(|n| format!("<a href=/adult/{n}>"));
            Answer::html(links.collect::<String>())
        }
    });
    site
}

#[test]
fn a_page_that_a_redirect_with_a_cookie_leads_back_to_is_asked_for_again() {
    let (folder, site) = (Folder::new(), walled());
    spider(&folder, &site, json!({}), json!({}));
    // The start URL gives a page within one run of one record.
    shop(&folder).args(["--max-pages", "1"]).run().code(4);
    shop(&folder).run().code(0);
    let records = records(&folder);
    let status = |path: &str| records[&site.url(path)]["status"].clone();
    assert_eq!(status("/"), 200);
    assert_eq!(
        (status("/check"), status("/checked")),
        (json!(302), json!(302))
    );
    for n in 0..9 {
        assert_eq!(status(&format!("/adult/{n}")), 200);
    }
    assert_eq!(site.hits("/"), 2);
}

#[test]
fn who_leads_in_a_circle_with_cookies_that_do_not_count_is_left_in_the_end() {
    let (folder, site) = (Folder::new(), Site::new());
    site.on("/robots.txt", |_| Answer::status(404));
    let count = std::sync::atomic::AtomicU32::new(0);
    site.otherwise(move |asked| match asked.path.as_str() {
        "/" => {
            let n = count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Answer::redirect(&format!("/check?{n}"))
        }
        _ => Answer::redirect("/").header("Set-Cookie", "a=1; Domain=other.example"),
    });
    spider(&folder, &site, json!({}), json!({}));
    shop(&folder).run().code(1).says("lead in a circle");
    assert_eq!(site.hits("/"), 11);
    let test = shop(&folder).args(["--limit", "1", "-q"]).run().code(0);
    assert_eq!(test.text().lines().count(), 1);
}

#[test]
fn a_page_behind_a_cookie_is_the_same_page_in_the_next_nights() {
    let (folder, site) = (Folder::new(), walled());
    spider(&folder, &site, json!({}), json!({}));
    let night = || shop(&folder).arg("--delta").run().code(0);
    night().says("new 21, changed 0, unchanged 0");
    night().says("new 0, changed 0, unchanged 21");
    night().says("new 0, changed 0, unchanged 21");
}
