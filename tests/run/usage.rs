//! The command line, and what it refuses.

use super::*;

#[test]
fn options_that_make_no_sense_are_one_line_and_exit_2() {
    let folder = Folder::new();
    for words in [
        &["--no-such-option", "http://127.0.0.1:1/"][..],
        &[],
        &["--limit", "0", "http://127.0.0.1:1/"],
        &["--limit", "x", "http://127.0.0.1:1/"],
        &["--max-time", "soon", "http://127.0.0.1:1/"],
        &["--limit", "3", "--fresh", "http://127.0.0.1:1/"],
        &["--header", "no colon", "http://127.0.0.1:1/"],
        &["--project", "../../etc", "http://127.0.0.1:1/"],
        &["--project", "", "http://127.0.0.1:1/"],
        &["--proxy-type", "residential", "http://127.0.0.1:1/"],
        &["ftp://127.0.0.1/"],
        &["http://"],
        &["no-such.json"],
    ] {
        let done = crawl_run(&folder).args(words).run().code(2);
        let words = done.words();
        assert!(words.starts_with("crawl-run: "), "{done}");
        assert!(words.lines().count() <= 2, "{done}");
    }
    assert!(folder.files().is_empty());
}

#[test]
fn help_and_version_are_no_failure() {
    let folder = Folder::new();
    for word in ["-h", "--help", "-V"] {
        crawl_run(&folder)
            .arg(word)
            .run()
            .code(0)
            .prints("crawl-run")
            .is_quiet();
    }
}

#[test]
fn a_spider_whose_name_would_leave_the_data_directory_is_refused() {
    let folder = Folder::new();
    for (n, name) in ["../../etc", "", "/etc", "a/b", &"x".repeat(300)]
        .iter()
        .enumerate()
    {
        let text = format!(r#"{{"name": "{name}", "start_urls": ["http://127.0.0.1:1/"]}}"#);
        let file = folder.write(&format!("{n}.json"), text);
        crawl_run(&folder)
            .arg(file)
            .run()
            .code(2)
            .says("$.name: expected ");
    }
    assert_eq!(folder.files().len(), 5);
}

#[test]
fn a_check_prints_what_would_be_done_and_does_nothing() {
    let folder = Folder::new();
    let text =
        r#"{"name": "shop", "start_urls": ["http://127.0.0.1:1/"], "rules": [{"allow": "/p/"}]}"#;
    folder.write("shop.json", text);
    crawl_run(&folder)
        .args(["--check", "shop.json"])
        .run()
        .code(0)
        .prints("crawl      default/shop\n")
        .prints("rule       1: `/p/`\n")
        .prints("checkpoint data/default/shop/checkpoint: none, a new crawl begins\n")
        .is_quiet();
    crawl_run(&folder)
        .args(["--check", "shop.json", "--warc", "-o", "all.jsonl"])
        .run()
        .code(0)
        .prints("output     all.jsonl\nwarc       all-warc\n");
    folder.write("shop.json", text.replace("\"/p/\"", "7"));
    let done = crawl_run(&folder).args(["--check", "shop.json"]).run();
    done.code(2)
        .says("$.rules[0].allow: expected a regular expression, found 7");
    assert_eq!(folder.files().len(), 1);
}

#[test]
fn the_schema_of_spider_files_is_json() {
    let folder = Folder::new();
    let done = crawl_run(&folder).arg("--print-schema").run().code(0);
    let schema: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(schema["title"], "Spider");
}

#[test]
fn an_unknown_proxy_is_named_with_those_that_are_configured() {
    let folder = Folder::new();
    crawl_run(&folder)
        .args(["--proxy-type", "residential", "http://127.0.0.1:1/"])
        .env("DATACENTER_PROXY_URL", "http://user:secret@127.0.0.1:1")
        .run()
        .code(2)
        .says("'residential' is not configured; configured: datacenter")
        .never_says("secret");
}

#[test]
fn a_missing_tool_is_a_clear_error() {
    let folder = Folder::new();
    crawl_run(&folder)
        .arg("http://127.0.0.1:1/")
        .env("CRAWL_FRONTIER", "cat")
        .env("CRAWL_FETCH", "/nowhere/crawl-fetch")
        .run()
        .code(1)
        .says("cannot find crawl-fetch: $CRAWL_FETCH is /nowhere/crawl-fetch");
    assert!(folder.files().is_empty());
}

#[test]
fn a_spider_that_is_no_word_is_refused_in_words_of_its_own() {
    let folder = Folder::new();
    for words in [&[""][..], &[" "], &["", "http://127.0.0.1:1/"]] {
        let done = crawl_run(&folder).args(words).run().code(2);
        done.says("cannot use spider '': it is empty")
            .says("hint: a start URL or a spider file goes there");
    }
    let name = OsStr::from_bytes(b"caf\xe9.json");
    let done = crawl_run(&folder)
        .args([OsStr::new("-q"), name])
        .run()
        .code(2);
    done.says("crawl-run: argument 2 is not UTF-8")
        .says("hint: a file with such a name gets another one");
    assert!(folder.files().is_empty());
}

#[test]
fn a_test_crawl_that_cannot_write_does_not_say_that_it_keeps_anything() {
    let (folder, site) = (Folder::new(), Site::tree(3, 2));
    // As on a full disk: a file may not grow.
    let script = format!(
        "ulimit -f 0; exec {} {} --limit 3 -o out.jsonl",
        support::bin("crawl-run").display(),
        site.url("/")
    );
    let done = Tool::program("sh").dir(&folder).args(["-c", &script]).run();
    done.code(1)
        .says("cannot write out.jsonl")
        .says("hint: make room, then give the same command again: a test crawl begins anew")
        .never_says("nothing is lost");
}

#[test]
fn a_file_that_two_options_name_is_refused_before_anything_is_lost() {
    let (folder, site) = (Folder::new(), Site::tree(3, 2));
    folder.write("cookies.txt", "127.0.0.1\tFALSE\t/\tFALSE\t0\tk\tv\n");
    let spider = format!("data/default/127.0.0.1-{}", site.port());
    let (pages, lock) = (
        format!("{spider}/delta/pages"),
        format!("{spider}/checkpoint.lock"),
    );
    for (words, why) in [
        (
            &["-o", "x", "--report", "./x"][..],
            "-o and --report name the same file",
        ),
        (
            &["-o", "x", "--metrics", "x"],
            "-o and --metrics name the same file",
        ),
        (
            &["--metrics", "cookies.txt", "--cookies", "cookies.txt"],
            "--metrics and --cookies name",
        ),
        (&["-o", &pages, "--delta"], "a place of the tools' own"),
        (&["--metrics", &lock], "a place of the tools' own"),
        (&["-o", "data/default/.hosts"], "a place of the tools' own"),
    ] {
        let tool = crawl_run(&folder).arg(site.url("/")).args(words);
        tool.run().code(2).says(why);
    }
    assert!(site.paths().is_empty());
    assert_eq!(folder.files().len(), 1);
}

#[test]
fn files_of_cookies_in_another_form_are_refused_and_stay_as_they_are() {
    let (folder, site) = (Folder::new(), Site::tree(3, 2));
    for text in [
        r#"[{"name": "k", "value": "v"}]"#,
        "k=v; a=b\n",
        "dear diary\n",
    ] {
        folder.write("cookies.txt", text);
        let tool = crawl_run(&folder).arg(site.url("/"));
        let refused = tool.args(["--cookies", "cookies.txt", "-q"]).run().code(2);
        refused.says("cannot read cookies.txt: no line of it is a cookie");
        assert_eq!(folder.read("cookies.txt"), text);
    }
    assert!(site.paths().is_empty());
}

#[test]
fn files_that_are_not_utf_8_are_told_so() {
    let folder = Folder::new();
    for word in ["s.json", "batch"] {
        let run = || {
            let words = ["batch", "list", "s.json"].into_iter();
            crawl_run(&folder).args(words.filter(|w| (*w == "s.json") == (word == "s.json")))
        };
        for (bytes, why) in [
            (&b"\xff\xfeh\0"[..], "it is UTF-16: write it as UTF-8"),
            (b"a\n\xfc\n", "line 2 is not UTF-8"),
        ] {
            for name in ["s.json", "list"] {
                folder.write(name, bytes);
            }
            run().run().code(2).says(why);
        }
    }
}
