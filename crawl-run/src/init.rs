//! `crawl-run init`: a spider file to begin with.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crawl_ckpt::address::take_userinfo;
use crawl_ckpt::keys::Key;
use crawl_ckpt::tool::{Exit, Failure, need_stdout, quoted, say};
use serde_json::{Value, json};

use crate::cli::InitArgs;
use crate::spider::{Spider, chapters, schema, shown_url};

/// Beside the spider file, for editors.
const SCHEMA_FILE: &str = "spider.schema.json";

/// What is there to be switched on, by the object that it stands in.
const OFFERED: [(&str, &[&str]); 2] = [
    ("", &["allowed_domains", "deny_extensions"]),
    (
        "settings",
        &[
            "CONCURRENT_REQUESTS_PER_DOMAIN",
            "DOWNLOAD_DELAY",
            "DEPTH_LIMIT",
            "USE_SITEMAP",
            "DELTAFETCH_ENABLED",
            "USER_AGENT",
        ],
    ),
];

/// Writes it, and its schema beside it when there is none.
///
/// # Errors
/// [`Exit::Usage`] for a URL that no crawl can begin with, and for a file that is there.
pub fn run(args: &InitArgs) -> Result<Exit, Failure> {
    if !args.url.contains("://") {
        let shown = shown_url(&args.url);
        let message = format_args!("cannot use start URL {shown}: it has no scheme");
        let failure = Failure::with(Exit::Usage, message);
        return Err(failure.hint(format_args!("crawl-run init https://{shown}")));
    }
    if let Some(word) = args.file.as_ref().and_then(|path| path.to_str())
        && word.contains("://")
    {
        let message = format_args!("cannot write {}: it is a URL", shown_url(word));
        let hint = "init takes one start URL; the file may have more of them in start_urls";
        return Err(Failure::with(Exit::Usage, message).hint(hint));
    }
    let mut spider = Spider::load(&[&args.url])?;
    // A file is copied, and shown, and kept in a repository.
    let secret = spider
        .start_urls
        .iter_mut()
        .filter_map(take_userinfo)
        .count()
        > 0;
    if secret {
        say(
            "crawl-run",
            "user name and password are left out of the file",
        );
    }
    let path = match &args.file {
        Some(path) if path.as_os_str() == "-" => {
            need_stdout()?;
            let mut out = io::stdout().lock();
            out.write_all(text(&spider).as_bytes())
                .and_then(|()| out.flush())
                .map_err(Failure::from_stdout)?;
            return Ok(Exit::Complete);
        }
        Some(path) => path.clone(),
        None => PathBuf::from(format!("{}.json", spider.name)),
    };
    create(&path, &text(&spider))?;
    let schema_path = path.with_file_name(SCHEMA_FILE);
    if !schema_path.exists() {
        create(&schema_path, &format!("{:#}\n", schema()))?;
    }
    let shown = quoted(&path.to_string_lossy());
    let next = format!("wrote {shown}; try it: crawl-run {shown} --limit 10");
    say("crawl-run", next);
    Ok(Exit::Complete)
}

fn create(path: &Path, text: &str) -> Result<(), Failure> {
    let written = File::create_new(path).and_then(|mut file| {
        let written = file.write_all(text.as_bytes());
        if written.is_err() {
            // Half a file would be in the way of the next try; more than that error there is not to say.
            let _ = fs::remove_file(path);
        }
        written
    });
    written.map_err(|error| {
        let message = format_args!("cannot write {}: {error}", path.display());
        match error.kind() {
            ErrorKind::AlreadyExists => Failure::with(Exit::Usage, message)
                .hint("crawl-run init URL FILE writes another one"),
            _ => Failure::new(message),
        }
    })
}

/// A JSON object whose comments are keys, in an order for people.
fn text(spider: &Spider) -> String {
    let hosts = spider.start_urls.iter().filter_map(|url| url.host_str());
    let hosts: Vec<&str> = hosts.collect();
    let urls: Vec<&str> = spider.start_urls.iter().map(|url| url.as_str()).collect();
    let mut lines = vec![
        pair("$schema", &json!(format!("./{SCHEMA_FILE}"))),
        comment(
            "//",
            "Keys that begin with // are comments: take the // away, and they count.",
        ),
        comment("// all", "`man crawl-spider` and the schema have all keys."),
        pair("name", &json!(spider.name.to_string())),
        pair("start_urls", &json!(urls)),
    ];
    let chapters = chapters();
    let offered = |object: &str, lines: &mut Vec<String>| {
        let names = OFFERED.iter().find(|(key, _)| *key == object);
        let keys = chapters.iter().find(|chapter| chapter.key == object);
        for name in names.map_or(&[][..], |(_, names)| names) {
            let keys = keys.map_or(&[][..], |chapter| &chapter.keys);
            if let Some(key) = keys.iter().find(|key| key.name == *name) {
                lines.extend(offer(key, &hosts));
            }
        }
    };
    offered("", &mut lines);
    let says = |key: &str| {
        let chapter = chapters.iter().find(|chapter| chapter.key == key);
        chapter.map_or("", |chapter| chapter.says)
    };
    lines.push(comment("// rules", says("rules")));
    lines.push(pair(
        "//rules",
        &json!([{"allow": ["/docs/"], "deny": ["/print/"]}]),
    ));
    lines.push(comment(
        "// sections",
        "Rules that also say what is to be extracted from the pages that match.",
    ));
    let sections = json!([{"match": ["/docs/"], "extract": {"title": {"css": "h1::text"}}}]);
    lines.push(pair("//sections", &sections));
    let mut inner = Vec::new();
    offered("settings", &mut inner);
    let inner: Vec<String> = inner.iter().map(|line| format!("    {line}")).collect();
    lines.push(format!("\"settings\": {{\n{}\n  }}", inner.join(",\n")));
    let lines: Vec<String> = lines.iter().map(|line| format!("  {line}")).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

/// What it is for, and a value that does not count yet.
fn offer(key: &Key, hosts: &[&str]) -> [String; 2] {
    let value = match key.name {
        "allowed_domains" => json!(hosts),
        _ => key.example.clone(),
    };
    let example = pair(&format!("//{}", key.name), &value);
    [comment(&format!("// {}", key.name), &key.says), example]
}

fn comment(key: &str, text: &str) -> String {
    pair(key, &json!(text))
}

fn pair(key: &str, value: &Value) -> String {
    format!("{}: {value}", json!(key))
}
