//! Which files are meant: those that are named, and in directories those of one crawl.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::tool::{Exit, Failure};

/// The files that are named, and those of workers in the directories that are.
///
/// # Errors
/// [`Exit::Usage`] when directories hold several crawls and none is said; parts that are not joined yet;
/// directories that cannot be read, or without a record.
pub fn files_of(named: &[PathBuf], crawl_id: Option<&str>) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let mut crawls = BTreeSet::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut found = Vec::new();
        for entry in list(path)? {
            let id = match (crawl_of(&entry), crawl_id) {
                (Some(id), None) => id,
                (Some(_), Some(wanted)) if is_of(&entry, wanted) => wanted.to_owned(),
                _ => continue,
            };
            let entry = path.join(entry);
            if entry.is_dir() {
                refuse_parts(&entry)?;
                continue;
            }
            crawls.insert(id);
            found.push(entry);
        }
        if found.is_empty() {
            let what = crawl_id.map_or(String::new(), |id| format!(" of the crawl {id}"));
            let message = format!("{} has no records{what} in it", path.display());
            return Err(Failure::new(message)
                .hint("records lie in DATA_DIR/PROJECT/SPIDER/crawls, in crawl_ID.WORKER.jsonl"));
        }
        found.sort();
        files.extend(found);
    }
    if crawls.len() > 1 {
        let last = crawls.last().cloned().unwrap_or_default();
        let some: Vec<String> = crawls.iter().rev().take(10).cloned().collect();
        let message = format!("there are several crawls: {}", some.join(", "));
        return Err(Failure::with(Exit::Usage, message)
            .hint(format_args!("the same command with --crawl-id {last}")));
    }
    Ok(files)
}

fn list(dir: &Path) -> Result<Vec<String>, Failure> {
    let failed = |e: io::Error| Failure::new(format_args!("cannot list {}: {e}", dir.display()));
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        names.extend(entry.map_err(failed)?.file_name().into_string().ok());
    }
    Ok(names)
}

/// The name behind `crawl_` without what says that it is records, or parts of them.
fn stem(name: &str) -> Option<&str> {
    let stem = name.strip_prefix("crawl_")?;
    let ends = [".jsonl", ".jsonl.gz", ".d"];
    ends.iter().find_map(|end| stem.strip_suffix(end))
}

/// The crawl that records are of: what stands before the worker.
fn crawl_of(name: &str) -> Option<String> {
    let id = stem(name)?.split('.').next()?;
    Some(id.to_owned())
}

fn is_of(name: &str, crawl_id: &str) -> bool {
    let rest = stem(name).and_then(|stem| stem.strip_prefix(crawl_id));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A worker that has not ended would be missing.
fn refuse_parts(dir: &Path) -> Result<(), Failure> {
    let is_full = |name: &String| {
        let found = fs::metadata(dir.join(name));
        name.ends_with(".jsonl") && found.is_ok_and(|file| file.len() > 0)
    };
    match list(dir)?.iter().find(|name| is_full(name)) {
        None => Ok(()),
        Some(name) => Err(Failure::new(format_args!(
            "{} is not joined yet",
            dir.join(name).display()
        ))
        .hint("when the crawl is complete, the same crawl-run command on its machine joins it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crawl_is_told_from_the_worker() {
        for (name, id) in [
            ("crawl_2026-01-02.one.jsonl", Some("2026-01-02")),
            ("crawl_2026-01-02.one.two.jsonl.gz", Some("2026-01-02")),
            ("crawl_2026-01-02.d", Some("2026-01-02")),
            ("crawl_2026-01-02.jsonl", Some("2026-01-02")),
            ("crawl_2026-01-02.one.summary.json", None),
            ("all.jsonl", None),
        ] {
            assert_eq!(crawl_of(name).as_deref(), id, "{name}");
        }
        assert!(is_of("crawl_v1.2.one.jsonl", "v1.2"));
        assert!(!is_of("crawl_v1.23.jsonl", "v1.2"));
    }
}
