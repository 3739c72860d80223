//! The front door, which is the same in all tools: one line that says what is wrong with a command
//! line, and a second one with the help that tells more.

#![allow(clippy::unwrap_used)]

mod support;

use support::Tool;

/// A command line, what is said of it, and the command whose help the hint names.
const WRONG: &[(&str, &str, &str)] = &[
    ("crawl-run", "<SPIDER>", "crawl-run"),
    (
        "crawl-run --limt 3 x",
        "a similar argument exists: '--limit'",
        "crawl-run",
    ),
    (
        "crawl-run --limit 1x y",
        "expected a whole number of at least 1",
        "crawl-run",
    ),
    ("crawl-run --max-pages 0 y", "of at least 1", "crawl-run"),
    ("crawl-run --max-time soon y", "no duration", "crawl-run"),
    ("crawl-run batch", "<LIST>", "crawl-run batch"),
    ("crawl-run init", "<URL>", "crawl-run init"),
    (
        "crawl-run --allow ( x",
        "no regular expression",
        "crawl-run",
    ),
    ("crawl-run --depth -1 x", "unexpected argument", "crawl-run"),
    (
        "crawl-run --domain * x",
        "expected a host name",
        "crawl-run",
    ),
    (
        "crawl-run --domain a.b --include-sub-domains x",
        "cannot be used with",
        "crawl-run",
    ),
    ("crawl-run batch --job 3 l", "'--jobs'", "crawl-run batch"),
    (
        "crawl-run batch --jobs many l",
        "expected a whole number from 1 to 100000",
        "crawl-run batch",
    ),
    (
        "crawl-fetch --concurency 3",
        "'--concurrency'",
        "crawl-fetch",
    ),
    (
        "crawl-fetch -c 99999999999999999999",
        "from 1 to 100000",
        "crawl-fetch",
    ),
    (
        "crawl-frontier",
        "serve, add, drop, export",
        "crawl-frontier",
    ),
    ("crawl-frontier serv", "'serve'", "crawl-frontier"),
    (
        "crawl-frontier serve",
        "--job <DIR>",
        "crawl-frontier serve",
    ),
    (
        "crawl-frontier serve --job j --in-flight 1x",
        "expected a whole number from 1 to 100000",
        "crawl-frontier serve",
    ),
    (
        "crawl-frontier serve --job j --retries 1001",
        "from 0 to 1000",
        "crawl-frontier serve",
    ),
    (
        "crawl-frontier serve --job j --delay 25h",
        "expected a time from 0 to 1d",
        "crawl-frontier serve",
    ),
    ("crawl-run --delay 25h x", "from 0 to 1d", "crawl-run"),
    (
        "crawl-run batch --retries 1001 l",
        "from 0 to 1000",
        "crawl-run batch",
    ),
    (
        "crawl-fetch --timeout 0",
        "expected a time from 1ms to 1d",
        "crawl-fetch",
    ),
    (
        "crawl-fetch --max-size 2G",
        "expected a size from 0 to 1G",
        "crawl-fetch",
    ),
    (
        "crawl-fetch --max-redirects 1001",
        "from 0 to 1000",
        "crawl-fetch",
    ),
    (
        "crawl-frontier add --print",
        "unexpected argument '--print'",
        "crawl-frontier add",
    ),
    (
        "crawl-frontier add --jbo J",
        "'--job'",
        "crawl-frontier add",
    ),
    (
        "crawl-ckpt",
        "ls, show, size, verify, report, collect, pull, pause, resume, requeue, rm",
        "crawl-ckpt",
    ),
    ("crawl-ckpt lss", "'ls'", "crawl-ckpt"),
    ("crawl-ckpt show", "--job <DIR>", "crawl-ckpt show"),
    (
        "crawl-ckpt rm --older-than 7x",
        "no duration",
        "crawl-ckpt rm",
    ),
];

#[test]
fn a_command_line_that_makes_no_sense_is_one_line_and_the_help_that_tells_more() {
    for (line, says, help) in WRONG {
        let mut words = line.split(' ');
        let name = words.next().unwrap();
        let done = Tool::new(name).args(words).run().code(2);
        let lines: Vec<String> = done.words().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 2, "{line}: {lines:?}");
        assert!(lines[0].starts_with(&format!("{name}: ")), "{lines:?}");
        assert!(lines[0].contains(says), "{line}: {lines:?}");
        assert_eq!(lines[1], format!("hint: {help} --help"), "{line}");
        assert_eq!(done.text(), "", "{line}");
    }
}

#[test]
fn a_url_among_the_arguments_of_crawl_fetch_is_told_where_urls_go() {
    let done = Tool::new("crawl-fetch").arg("http://x/").run().code(2);
    done.says("unexpected argument 'http://x/'")
        .says("hint: URLs are read from stdin: echo http://x/ | crawl-fetch");
}

#[test]
fn what_is_typed_out_of_habit_is_answered_with_what_does_it_here() {
    for (line, hint) in [
        ("crawl-run crawl shop", "crawl-run SPIDER.json"),
        (
            "crawl-run https://h.example/ shop.json",
            "a start URL has a scheme",
        ),
        ("crawl-run resume", "the same command as before resumes"),
        (
            "crawl-run genspider shop shop.example",
            "crawl-run init URL",
        ),
        (
            "crawl-run https://h.example/ --resume",
            "the same command as before resumes",
        ),
        (
            "crawl-run https://h.example/ -s DEPTH_LIMIT=1",
            "crawl-run init URL",
        ),
        ("crawl-run https://h.example/ --max-depth 3", "--depth N"),
        ("crawl-run batch list.csv --threads 3", "--concurrency N"),
        (
            "crawl-frontier serve https://h.example/",
            "crawl-frontier serve --start",
        ),
        (
            "crawl-frontier add --job j https://h.example/",
            "echo https://h.example/ |",
        ),
    ] {
        let mut words = line.split(' ');
        let done = Tool::new(words.next().unwrap()).args(words).run().code(2);
        let said = done.words();
        let told = said.lines().find(|line| line.starts_with("hint: "));
        assert!(
            told.is_some_and(|told| told.contains(hint)),
            "{line}: {said}"
        );
        assert!(!said.contains("to pass '"), "{said}");
        assert!(!said.contains("without a base"), "{said}");
    }
}
