//! The acts of a crawl's life that `scripts/torture --every-operation` disturbs, and the ways in which it does.

/// The start page, and those that it leads to.
pub const PAGES: usize = 7;
/// What `more.jsonl` adds to them, with so long bodies that the job is worth to be rewritten once they are done.
pub const MORE: usize = 9;
pub const MORE_BYTES: usize = 4 << 20;
/// A pause comes after so many.
pub const PAUSED: usize = 3;

/// How an operation is disturbed (see `scripts/fault.c`), and how the act may end then: well, or with
/// the error, but never with another's (damage, a job that is held).
pub const FAULTS: [(&str, &[i32]); 9] = [
    ("kill", &[137, 0, 4]),
    ("killed", &[137, 0, 4]),
    ("alone", &[137, 0, 1, 4]),
    ("term", &[143, 0, 4]),
    ("EIO", &[0, 1, 4]),
    ("ENOSPC", &[0, 1, 4]),
    ("short", &[0, 4]),
    ("full", &[0, 1, 4]),
    // A list or a file of options that cannot be read is a wrong option.
    ("unread", &[0, 1, 2, 4]),
];

/// An act: what makes it possible, what is disturbed, and what goes on after that. URL stands for
/// the start URL, SPIDER for its spider, and `<` for a file on stdin.
pub struct Act {
    pub name: &'static str,
    pub before: &'static [&'static str],
    pub act: &'static str,
    pub after: &'static [&'static str],
    /// The records that the finished crawl has, or none when there is nothing new.
    pub records: usize,
}

const PAUSE: &str = "crawl-run URL --max-pages 3";
const RETRY: &str = "crawl-run URL --proxy-type none --on-proxy-change retry-blocked";
const ADD: &str = "crawl-frontier add --job data/default/SPIDER/checkpoint <more.jsonl";

/// Keeps pages as WARC, in files of at most two exchanges.
const KEEP: &str = "crawl-run warc.json";
const KEEP_PAUSE: &str = "crawl-run warc.json --max-pages 3";
const KEEP_NIGHT: &str = "crawl-run warc.json --delta";

const DROP: &str = "crawl-frontier drop --job data/default/SPIDER/checkpoint --pattern .";
const DEEPER: &str = "crawl-run URL --depth 9 --on-spider-change resume";

pub const LIFE: [Act; 27] = [
    Act {
        name: "new",
        before: &[],
        act: "crawl-run URL",
        after: &["crawl-run URL"],
        records: PAGES,
    },
    Act {
        name: "resume",
        before: &[PAUSE],
        act: "crawl-run URL",
        after: &["crawl-run URL"],
        records: PAGES,
    },
    Act {
        name: "pause",
        before: &[PAUSE],
        act: PAUSE,
        after: &["crawl-run URL"],
        records: PAGES,
    },
    Act {
        name: "fresh",
        before: &[PAUSE],
        act: "crawl-run URL --fresh --max-pages 3",
        after: &["crawl-run URL"],
        records: PAGES,
    },
    Act {
        name: "proxy clear",
        before: &[PAUSE],
        act: "crawl-run URL --proxy-type none --max-pages 3",
        after: &["crawl-run URL --proxy-type none"],
        records: PAGES,
    },
    Act {
        name: "retry-blocked",
        before: &[PAUSE],
        act: RETRY,
        after: &[RETRY],
        records: PAGES,
    },
    Act {
        name: "add",
        before: &[PAUSE],
        act: ADD,
        after: &[ADD, "crawl-run URL"],
        records: PAGES + MORE,
    },
    // All that is pending.
    Act {
        name: "drop",
        before: &[PAUSE],
        act: DROP,
        after: &[DROP, "crawl-run URL"],
        records: PAUSED,
    },
    Act {
        name: "compaction",
        before: &[PAUSE, ADD],
        act: "crawl-run URL --max-pages 10",
        after: &["crawl-run URL"],
        records: PAGES + MORE,
    },
    // Six of the sixteen are done, which is worth it at once with so little memory; and it takes a moment.
    Act {
        name: "settling",
        before: &["crawl-run URL --max-pages 6", ADD],
        act: "crawl-run URL --memory 64K --delay 60ms",
        after: &["crawl-run URL --memory 64K"],
        records: PAGES + MORE,
    },
    Act {
        name: "retry-failed",
        before: &["crawl-run URL"],
        act: "crawl-run URL --retry-failed",
        after: &["crawl-run URL --retry-failed"],
        records: PAGES,
    },
    Act {
        name: "retry-failed resumed",
        before: &[
            "crawl-run URL",
            "crawl-run URL --retry-failed --max-time 1ms",
        ],
        act: "crawl-run URL --retry-failed",
        after: &["crawl-run URL --retry-failed"],
        records: PAGES,
    },
    Act {
        name: "spider change",
        before: &[PAUSE],
        act: "crawl-run URL --depth 9 --on-spider-change resume --max-pages 3",
        after: &[DEEPER],
        records: PAGES,
    },
    Act {
        name: "rm",
        before: &[PAUSE],
        act: "crawl-ckpt rm default/SPIDER --yes",
        after: &["crawl-run URL"],
        records: PAGES,
    },
    Act {
        name: "delta merge",
        before: &[
            "crawl-run URL --delta",
            "crawl-run URL --delta --max-pages 3",
        ],
        act: "crawl-run URL --delta",
        after: &["crawl-run URL --delta"],
        records: 0,
    },
    Act {
        name: "reset",
        before: &[
            "crawl-run URL --delta",
            "crawl-run URL --delta --max-pages 3",
        ],
        act: "crawl-run URL --delta --reset-deltafetch",
        after: &["crawl-run URL --delta --reset-deltafetch"],
        records: PAGES,
    },
    Act {
        name: "side files",
        before: &["crawl-run URL --max-pages 3 --cookies jar.txt --metrics m.prom"],
        act: "crawl-run URL --cookies jar.txt --metrics m.prom",
        after: &["crawl-run URL --cookies jar.txt --metrics m.prom"],
        records: PAGES,
    },
    Act {
        name: "report",
        before: &[PAUSE],
        act: "crawl-run URL --report report.html",
        after: &["crawl-run URL --report report.html"],
        records: PAGES,
    },
    Act {
        name: "batch",
        before: &[],
        act: "crawl-run batch sites.csv",
        after: &["crawl-run batch sites.csv"],
        records: PAGES,
    },
    Act {
        name: "batch resumed",
        before: &["crawl-run batch sites.csv --max-time 1ms"],
        act: "crawl-run batch sites.csv",
        after: &["crawl-run batch sites.csv"],
        records: PAGES,
    },
    Act {
        name: "next night",
        before: &["crawl-run batch sites.csv"],
        act: "crawl-run batch sites.csv",
        after: &["crawl-run batch sites.csv"],
        records: PAGES,
    },
    Act {
        name: "batch anew",
        before: &["crawl-run batch sites.csv --max-time 1ms"],
        act: "crawl-run batch sites.csv --restart",
        after: &["crawl-run batch sites.csv --restart"],
        records: PAGES,
    },
    Act {
        name: "warc",
        before: &[],
        act: KEEP,
        after: &[KEEP],
        records: PAGES,
    },
    Act {
        name: "warc resumed",
        before: &[KEEP_PAUSE],
        act: KEEP,
        after: &[KEEP],
        records: PAGES,
    },
    Act {
        name: "warc fresh",
        before: &[KEEP_PAUSE],
        act: "crawl-run warc.json --fresh --max-pages 3",
        after: &[KEEP],
        records: PAGES,
    },
    Act {
        name: "warc rm",
        before: &[KEEP_PAUSE],
        act: "crawl-ckpt rm default/SPIDER --yes",
        after: &[KEEP],
        records: PAGES,
    },
    Act {
        name: "warc next night",
        before: &[KEEP_NIGHT],
        act: KEEP_NIGHT,
        after: &[KEEP_NIGHT],
        records: 0,
    },
];
