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
