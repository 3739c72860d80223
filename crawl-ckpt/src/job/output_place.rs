//! Where the output of a crawl goes, as a job keeps it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where the output of a crawl goes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OutputPlace {
    /// A file; a relative path is relative to the data directory, so that this can be moved.
    pub path: PathBuf,
    /// True for a stream (`-o -`), which cannot be cut back; `path` is `-` then.
    #[serde(default)]
    pub stream: bool,
}

impl OutputPlace {
    /// The place of a file: relative when it is under the data directory, else absolute.
    pub fn file(path: &Path, data_dir: &Path) -> OutputPlace {
        let full = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let (path, data_dir) = (full(path), full(data_dir));
        let path = match path.strip_prefix(&data_dir) {
            Ok(inside) => inside.to_owned(),
            Err(_) => path,
        };
        OutputPlace {
            path,
            stream: false,
        }
    }

    /// Standard output.
    pub fn stream() -> OutputPlace {
        OutputPlace {
            path: "-".into(),
            stream: true,
        }
    }

    /// The file; `None` for a stream.
    pub fn resolve(&self, data_dir: &Path) -> Option<PathBuf> {
        (!self.stream).then(|| data_dir.join(&self.path))
    }

    /// True when it lies in a directory, wherever `..` and links on the way lead, or is a stream. A job that
    /// came from elsewhere may name any file: one outside of the data directory is not touched
    /// unless the user names it too.
    pub fn is_within(&self, dir: &Path, data_dir: &Path) -> bool {
        let Some(file) = self.resolve(data_dir) else {
            return true;
        };
        match (real(&file), dir.canonicalize()) {
            (Some(file), Ok(dir)) => file.starts_with(dir),
            _ => false,
        }
    }
}

/// The path without links and `..`, also when its end is not there yet; `None` when that cannot be told.
fn real(path: &Path) -> Option<PathBuf> {
    let mut missing = Vec::new();
    let mut at = std::path::absolute(path).ok()?;
    loop {
        match at.canonicalize() {
            Ok(mut real) => {
                real.extend(missing.iter().rev());
                return Some(real);
            }
            // A link to nowhere leads somewhere once that is there.
            Err(e) if e.kind() == ErrorKind::NotFound && at.symlink_metadata().is_err() => {
                missing.push(at.file_name()?.to_owned());
                at.pop();
            }
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn output_under_the_data_directory_moves_with_it() {
        let place = OutputPlace::file(Path::new("/d/p/s/crawls/x.jsonl"), Path::new("/d"));
        assert_eq!(place.path, Path::new("p/s/crawls/x.jsonl"));
        assert_eq!(
            place.resolve(Path::new("/e")).unwrap(),
            Path::new("/e/p/s/crawls/x.jsonl")
        );
        let place = OutputPlace::file(Path::new("/other/x"), Path::new("/d"));
        assert_eq!(
            place.resolve(Path::new("/e")).unwrap(),
            Path::new("/other/x")
        );
        assert_eq!(OutputPlace::stream().resolve(Path::new("/e")), None);
    }

    #[test]
    fn no_way_out_of_the_data_directory_is_within_it() {
        let top = tempfile::tempdir().unwrap();
        let data = top.path().join("data");
        std::fs::create_dir_all(data.join("p/s/crawls")).unwrap();
        std::fs::write(top.path().join("victim"), "").unwrap();
        symlink(top.path(), data.join("p/out")).unwrap();
        symlink("../../victim", data.join("p/link")).unwrap();
        symlink("/nowhere", data.join("p/nowhere")).unwrap();
        symlink(&data, top.path().join("the data")).unwrap();
        let victim = top.path().join("victim");
        for (path, is_within) in [
            ("p/s/crawls/x.jsonl", true),
            ("p/s/none/x.jsonl", true),
            ("p/../p/s/crawls/x.jsonl", true),
            ("../data/x.jsonl", true),
            ("../victim", false),
            ("../none", false),
            ("p/../../victim", false),
            ("none/../../victim", false),
            ("p/out/victim", false),
            ("p/out/none", false),
            ("p/link", false),
            ("p/nowhere", false),
            (victim.to_str().unwrap(), false),
        ] {
            let place = OutputPlace {
                path: path.into(),
                stream: false,
            };
            for way in [&data, &top.path().join("the data")] {
                assert_eq!(place.is_within(way, way), is_within, "{path}");
            }
        }
    }
}
