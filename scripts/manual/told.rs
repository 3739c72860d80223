//! What the manual says of a tool beside its options.

type Entries = &'static [(&'static str, &'static str)];

/// The sections of its page, in their order.
pub fn sections(tool: &str) -> [(&'static str, Entries); 3] {
    let (status, environment, files): (Entries, Entries, Entries) = match tool {
        "crawl-run" => (RUN_STATUS, RUN_ENVIRONMENT, RUN_FILES),
        "crawl-fetch" => (FETCH_STATUS, FETCH_ENVIRONMENT, FETCH_FILES),
        "crawl-frontier" => (FRONTIER_STATUS, FRONTIER_ENVIRONMENT, JOB_FILES),
        _ => (CKPT_STATUS, CKPT_ENVIRONMENT, JOB_FILES),
    };
    [
        ("EXIT STATUS", status),
        ("ENVIRONMENT", environment),
        ("FILES", files),
    ]
}

const RUN_STATUS: Entries = &[
    (
        "0",
        "Complete: nothing is pending, and the checkpoint is removed. After any other status it is kept.",
    ),
    (
        "1",
        "Failed, or no start URL gave a page: the reason is on stderr.",
    ),
    (
        "2",
        "A bad option or spider file, or a spider that changed since the checkpoint.",
    ),
    (
        "3",
        "A human must decide: some hosts block everything but a costlier proxy.",
    ),
    (
        "4",
        "Stopped at --max-time, --max-pages or --max-cost with work pending, or by a pause of the crawl in a store.",
    ),
    (
        "65",
        "The checkpoint is damaged, or a store lost a part of the crawl: the place is named, and nothing was changed.",
    ),
    (
        "75",
        "Another run holds the checkpoint, or a worker of the same name is alive.",
    ),
    (
        "130, 143, 129",
        "Paused by SIGINT (Ctrl+C), SIGTERM, SIGHUP.",
    ),
    ("141", "The reader of stdout went away."),
];

const RUN_ENVIRONMENT: Entries = &[
    (
        "CRAWL_DATA_DIR",
        "Where checkpoints and output lie, when --data-dir does not say it.",
    ),
    (
        "NAME_PROXY_URL",
        "A proxy by its name, such as DATACENTER_PROXY_URL or RESIDENTIAL_PROXY_URL: an http, https or socks5 URL with its credentials.",
    ),
    (
        "NAME_PROXY_PRICE",
        "What that proxy costs: 8.50/GB, 0.001/request, or 8.50/GB+0.001/request, in whatever money.",
    ),
    (
        "CRAWL_STORE_PASSWORD",
        "The password of the store that many machines share, when it does not stand in the URL of --store.",
    ),
    (
        "CRAWL_STORE_CA_CERT",
        "A PEM file with the certificates by which that of a store at rediss:// is trusted, in place of the system's.",
    ),
    (
        "CRAWL_FETCH, CRAWL_FRONTIER",
        "Programs to start in place of crawl-fetch and crawl-frontier, which else are looked for beside crawl-run and then on PATH.",
    ),
    (
        "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY",
        "As curl has them; not with --proxy-type none.",
    ),
    (
        "SSL_CERT_FILE",
        "Certificates to trust in place of the system's.",
    ),
    ("NO_COLOR", "When set, nothing is coloured."),
];

const RUN_FILES: Entries = &[
    (
        "DATA_DIR/PROJECT/SPIDER/checkpoint",
        "The job directory of a crawl that is not complete. Its lock is checkpoint.lock beside it.",
    ),
    (
        "DATA_DIR/PROJECT/SPIDER/crawls/crawl_YYYY-MM-DD.jsonl",
        "Output records, one JSON object a line.",
    ),
    (
        "DATA_DIR/PROJECT/SPIDER/crawls/crawl_ID.WORKER.jsonl",
        "The same of a worker with --store; until the crawl is complete in parts below crawl_ID.d.",
    ),
    (
        "DATA_DIR/PROJECT/SPIDER/crawls/crawl_YYYY-MM-DD.summary.json",
        "What the crawl knew and the records do not say; replaced at the end of each run.",
    ),
    (
        "DATA_DIR/PROJECT/SPIDER/crawls/crawl_YYYY-MM-DD-warc",
        "WARC files of the pages themselves, with --warc.",
    ),
    (
        "DATA_DIR/PROJECT/SPIDER/delta",
        "What is known of pages between crawls, with --delta.",
    ),
    ("DATA_DIR/PROJECT/.batch", "How far batches are."),
];

const FETCH_STATUS: Entries = &[
    ("0", "Every line was a request, whatever the servers said."),
    (
        "1",
        "Some lines were no requests, or the tool failed: the reason is on stderr.",
    ),
    ("2", "A bad option or spider file."),
    (
        "130, 143, 129",
        "Ended by SIGINT (Ctrl+C), SIGTERM, SIGHUP.",
    ),
    ("141", "The reader of stdout went away."),
];

const FETCH_ENVIRONMENT: Entries = &[
    (
        "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY",
        "As curl has them, but a proxy is always asked to CONNECT.",
    ),
    (
        "SSL_CERT_FILE",
        "Certificates to trust in place of the system's.",
    ),
];

const FETCH_FILES: Entries = &[(
    "cookies.txt",
    "What --cookies names, in the form of curl and wget; read at the start and written back at the end.",
)];

const FRONTIER_STATUS: Entries = &[
    ("0", "Done; of serve: nothing is pending."),
    ("1", "Failed: the reason is on stderr."),
    ("2", "A bad option, or a crawl that the job is not of."),
    ("3", "Hosts wait for a costlier proxy."),
    (
        "4",
        "Stopped at --max-time or --max-pages with work pending.",
    ),
    (
        "65",
        "The job directory is damaged: the place is named, and nothing was changed.",
    ),
    ("75", "Another process holds the job."),
    (
        "130, 143, 129",
        "Paused by SIGINT (Ctrl+C), SIGTERM, SIGHUP.",
    ),
    ("141", "The reader of stdout went away."),
];

const FRONTIER_ENVIRONMENT: Entries = &[(
    "CRAWL_DATA_DIR",
    "What the output's place is kept relative to, when --data-dir does not say it.",
)];

const CKPT_STATUS: Entries = &[
    ("0", "Done."),
    ("1", "Failed: the reason is on stderr."),
    ("2", "A bad option, or nothing was said to a question."),
    (
        "65",
        "A checkpoint, a partition in a store, or a file of records is damaged: the place is named, and nothing was changed.",
    ),
    (
        "75",
        "A running crawl holds the checkpoint, or a worker of the crawl in the store lives.",
    ),
    ("141", "The reader of stdout went away."),
];

const CKPT_ENVIRONMENT: Entries = &[
    (
        "CRAWL_DATA_DIR",
        "Where checkpoints lie, when --data-dir does not say it.",
    ),
    (
        "CRAWL_STORE_PASSWORD",
        "The password of the store, when it does not stand in the URL of --store.",
    ),
    (
        "CRAWL_STORE_CA_CERT",
        "A PEM file with the certificates by which that of a store at rediss:// is trusted, in place of the system's.",
    ),
];

const JOB_FILES: Entries = &[
    (
        "DATA_DIR/PROJECT/SPIDER/checkpoint",
        "A job directory: job.json, its manifest, the journal, and an image of what the journal says.",
    ),
    (
        "DATA_DIR/PROJECT/SPIDER/checkpoint.lock",
        "Its lock, which is never removed.",
    ),
];
