//! What a spider's crawls left in its folder `crawls`, finished or not: outputs, summaries, WARC files.

use std::fs;
use std::path::Path;

use crate::look::bytes_in;

/// How many there are, and how large they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Crawls {
    /// Outputs, packed ones and such that were put aside as well.
    pub outputs: u64,
    /// Bytes of these.
    pub output_bytes: u64,
    /// Bytes of the summaries beside them.
    pub summary_bytes: u64,
    /// Bytes of WARC files.
    pub warc_bytes: u64,
}

impl Crawls {
    /// Of this folder; nothing when it is not there.
    pub fn within(dir: &Path) -> Crawls {
        let mut crawls = Crawls::default();
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if metadata.is_dir() && name.contains("-warc") {
                crawls.warc_bytes += bytes_in(&entry.path());
            } else if metadata.is_file() && name.contains(".summary.json") {
                crawls.summary_bytes += metadata.len();
            } else if metadata.is_file() && name.contains(".jsonl") {
                crawls.add_output(metadata.len());
            }
        }
        crawls
    }

    /// Counts an output that lies elsewhere.
    pub fn add_output(&mut self, bytes: u64) {
        self.outputs += 1;
        self.output_bytes += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_summaries_and_warc_files_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: usize| {
            let file = dir.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, vec![b'x'; bytes]).unwrap();
        };
        write("crawl_2026-01-01.jsonl", 10);
        write("crawl_2026-01-01.summary.json", 1000);
        write("crawl_2026-01-02.jsonl.gz", 5);
        write("crawl_2026-01-03.jsonl.partial", 2);
        write("crawl_2026-01-03.summary.json.partial", 100);
        write("crawl_2026-01-01-warc/a.warc.gz", 7);
        write("notes.txt", 3);
        let crawls = Crawls::within(dir.path());
        let wanted = Crawls {
            outputs: 3,
            output_bytes: 17,
            summary_bytes: 1100,
            warc_bytes: 7,
        };
        assert_eq!(crawls, wanted);
        assert_eq!(Crawls::within(&dir.path().join("none")), Crawls::default());
    }
}
