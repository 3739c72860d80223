//! The browsers of a tortured crawl: one of their processes is killed, and nothing of them may be left.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::support::{Random, Signal, send_signal};

/// What a page is without its scripts.
pub const SHELL: &str = "<!doctype html><body><script>
fetch('/links' + location.pathname).then(it => it.text()).then(it => { document.body.innerHTML = it; });
</script>";

/// Those of one crawl.
#[derive(Default)]
pub struct Browsers {
    /// Process groups: only the first process of each names its directory.
    groups: Vec<i64>,
}

/// A process: its number, its group, its words.
struct Process(i64, i64, String);

fn processes() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        // One that ended meanwhile is none; nor is one that is not reaped yet.
        let words = fs::read(entry.path().join("cmdline")).ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let group = stat.rsplit_once(") ")?.1.split(' ').nth(2)?.parse().ok()?;
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        (!words.is_empty()).then_some(Process(pid, group, words))
    })
}

impl Browsers {
    /// Notes those that run now.
    pub fn note(&mut self, folder: &Path) {
        let place = folder.to_string_lossy();
        let of_crawl =
            |it: &Process| it.2.contains(&*place) && it.2.contains("--remote-debugging-pipe");
        self.groups
            .extend(processes().filter(of_crawl).map(|it| it.1));
        self.groups.sort_unstable();
        self.groups.dedup();
    }

    /// Kills the browser, or a process of it that shows pages, if there is one now.
    pub fn kill(&self, of_pages: bool, random: &mut Random) {
        let found = processes().filter(|Process(pid, group, words)| {
            let is_one = if of_pages {
                words.contains("--type=renderer")
            } else {
                pid == group
            };
            is_one && self.groups.contains(group)
        });
        let found: Vec<i64> = found.map(|it| it.0).collect();
        if !found.is_empty() {
            send_signal(Signal::Kill, *random.pick(&found));
        }
    }

    /// What is left of them after so long, for people.
    pub fn left(&self, folder: &Path, within: Duration) -> Vec<String> {
        let until = Instant::now() + within;
        loop {
            let running = processes().filter(|it| self.groups.contains(&it.1));
            let mut left: Vec<String> = running
                .map(|Process(pid, _, words)| format!("process {pid}: {words:.200}"))
                .collect();
            let files = fs::read_dir(folder).unwrap().flatten();
            let names = files.map(|file| file.file_name().to_string_lossy().into_owned());
            left.extend(names.filter(|name| name.starts_with("crawl-browser")));
            if left.is_empty() || Instant::now() > until {
                return left;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
