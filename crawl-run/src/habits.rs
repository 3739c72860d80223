//! What users of other crawlers type, and what does it here.

/// First words that are commands elsewhere.
const WORDS: &[(&[&str], &str)] = &[
    (
        &["crawl", "runspider", "start", "run"],
        "the spider file, or a start URL, stands alone: crawl-run SPIDER.json",
    ),
    (
        &["resume", "continue"],
        "the same command as before resumes; crawl-ckpt ls lists what can be",
    ),
    (
        &[
            "list", "ls", "show", "status", "rm", "verify", "size", "report",
        ],
        "crawl-ckpt ls lists checkpoints; crawl-ckpt --help",
    ),
    (
        &["shell", "fetch", "view"],
        "to look at a page: echo URL | crawl-fetch --body; to try a spider: crawl-run SPIDER.json --limit 1",
    ),
    (&["parse"], "echo URL | crawl-fetch --extract SPIDER.json"),
    (&["check"], "crawl-run SPIDER.json --check"),
    (
        &["genspider", "startproject", "new"],
        "crawl-run init URL writes a spider file",
    ),
    (
        &["settings"],
        "man crawl-spider has all settings, and so has crawl-run --print-schema",
    ),
    (&["help"], "crawl-run --help, or crawl-run batch --help"),
    (&["version"], "crawl-run --version"),
    (
        &["batch", "init"],
        "a command comes first: crawl-run batch, or crawl-run init",
    ),
];

/// Options of other tools.
const OPTIONS: &[(&[&str], &str)] = &[
    (
        &["--resume", "--continue", "--jobdir"],
        "no option is needed: the same command as before resumes",
    ),
    (
        &["-s", "--set", "--settings", "-a"],
        "settings stand in a spider file: crawl-run init URL writes one, and man crawl-spider has all of them",
    ),
    (
        &["-O", "--overwrite-output", "--overwrite"],
        "each crawl has a new file; -o FILE names it, and --fresh begins anew",
    ),
    (
        &["-t", "--output-format", "--format", "--csv"],
        "records are JSON lines; a table of them: jq -r '[.url, .status, .title] | @csv' FILE",
    ),
    (
        &[
            "-L",
            "--loglevel",
            "--log-level",
            "--nolog",
            "--debug",
            "--silent",
        ],
        "-v says more, -q nothing but errors",
    ),
    (
        &["--logfile", "--log-file", "--log"],
        "what is said goes to stderr: crawl-run SPIDER 2>>FILE; --log-format json is for programs",
    ),
    (
        &["--max-depth", "--level", "-l", "--depth-limit"],
        "--depth N follows links so deep",
    ),
    (
        &["--threads", "--workers", "--jobs", "-j"],
        "--concurrency N, and --per-host N; several crawls at once: crawl-run batch LIST --jobs N",
    ),
    (
        &["--dry-run", "-n", "--test"],
        "--check prints what would be done; --limit N tries it on N pages",
    ),
    (
        &["--ignore-robots", "--no-robots", "--robots"],
        "robots.txt is obeyed; \"ROBOTSTXT_OBEY\": false in the settings of a spider file says otherwise",
    ),
    (
        &["-r", "--recursive", "-m", "--mirror"],
        "a start URL is crawled with all of its host; --no-parent and --depth N say less",
    ),
    (
        &["-w", "--wait", "--rate", "--rate-limit"],
        "--delay DUR is the least time between two requests to a host",
    ),
    (&["--exclude", "--reject"], "--deny REGEX"),
    (&["--include", "--accept"], "--allow REGEX"),
    (
        &["--proxy"],
        "proxies come from the environment, DATACENTER_PROXY_URL and the like; --proxy-type NAME takes one",
    ),
    (
        &["--timeout", "--retries", "--tries"],
        "DOWNLOAD_TIMEOUT and RETRY_TIMES stand in the settings of a spider file: crawl-run init URL writes one",
    ),
    (
        &["--js", "--javascript", "--headless", "--browser"],
        "--render has pages built by a browser",
    ),
    (
        &["-i", "--input-file", "--url", "--urls", "-u"],
        "start URLs are arguments, and - reads them from stdin: crawl-run - <FILE",
    ),
];

/// What does here what such a first word does elsewhere.
pub fn of_word(word: &str) -> Option<&'static str> {
    find(WORDS, word)
}

/// What does here what such an option does elsewhere.
pub fn of_option(option: &str) -> Option<&'static str> {
    find(OPTIONS, option)
}

fn find(table: &[(&[&str], &'static str)], name: &str) -> Option<&'static str> {
    let found = table.iter().find(|(names, _)| names.contains(&name));
    found.map(|(_, hint)| *hint)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn options(command: &clap::Command) -> Vec<String> {
        let named = command.get_arguments().flat_map(|arg| {
            let long = arg.get_long().map(|long| format!("--{long}"));
            let short = arg.get_short().map(|short| format!("-{short}"));
            long.into_iter().chain(short)
        });
        named.chain(["--help".into(), "--version".into()]).collect()
    }

    #[test]
    fn what_is_typed_out_of_habit_is_no_option_and_what_is_said_of_it_is_one() {
        let tool = Cli::command();
        let own = options(&tool);
        let batch = options(tool.find_subcommand("batch").unwrap());
        for (names, hint) in OPTIONS {
            for name in *names {
                assert!(!own.iter().any(|option| option == name), "{name}");
            }
            let words = hint.split([' ', ';', ',', ':']);
            for word in words.filter(|word| word.starts_with("--")) {
                let is_one = own.iter().chain(&batch).any(|option| option == word);
                assert!(is_one, "{word}");
            }
        }
    }
}
