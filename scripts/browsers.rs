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

/// A process that was started for the crawl in this folder, and its words.
fn processes(folder: &Path) -> Vec<(i64, String)> {
    let place = folder.to_string_lossy().into_owned();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let found = entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        // One that ended meanwhile, or is another user's, is none.
        let text = |name| fs::read(entry.path().join(name)).ok();
        let words = String::from_utf8_lossy(&text("cmdline")?).replace('\0', " ");
        let all = String::from_utf8_lossy(&text("environ")?).into_owned();
        (!words.is_empty() && all.contains(&place)).then_some((pid, words))
    });
    found.collect()
}

/// Kills the browser, or a process of it that shows pages, if there is one now.
pub fn kill(folder: &Path, of_pages: bool, random: &mut Random) {
    let mut found = processes(folder);
    found.retain(|(_, words)| {
        let is_browser = words.contains("--remote-debugging-pipe") && !words.contains("--type=");
        is_browser && !of_pages || of_pages && words.contains("--type=renderer")
    });
    if !found.is_empty() {
        send_signal(Signal::Kill, random.pick(&found).0);
    }
}

/// What is left of them after so long, for people.
pub fn left(folder: &Path, within: Duration) -> Vec<String> {
    let until = Instant::now() + within;
    loop {
        let running = processes(folder);
        let mut left: Vec<String> = running
            .into_iter()
            .map(|(pid, words)| format!("process {pid}: {words:.200}"))
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
