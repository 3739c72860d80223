//! `--metrics FILE`: the figures of a crawl, or of all crawls of a batch, for Prometheus.
//!
//! The file is replaced as a whole, every 15 s and at the end. What an earlier run wrote
//! stays until a crawl has something newer, so that a failed run does not take away
//! when the last success was. A file that cannot be written is told once and ends nothing.

mod page;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crawl_ckpt::control::Progress;
use crawl_ckpt::durable::{RealDisk, publish};
use crawl_ckpt::look::bytes_in;
use crawl_ckpt::mutex::lock;
use crawl_ckpt::tool::{Exit, Failure};

use crate::cli::MetricsArgs;
use crate::ended::Ended;
use crate::place::Place;
use crate::view::{View, Watch};
use page::{Labels, Page};

/// How often the file is written.
const BETWEEN_WRITES: Duration = Duration::from_secs(15);

/// A metrics file, written by this process alone.
#[derive(Debug)]
pub struct Metrics {
    file: PathBuf,
    view: View,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    page: Page,
    due: Instant,
    failed: bool,
}

impl MetricsArgs {
    /// The file that is to be written, if any; `view` is that of the run.
    pub fn open(&self, view: &View) -> Option<Arc<Metrics>> {
        let file = self.metrics.as_ref()?;
        Some(Metrics::new(file, view.beside()))
    }
}

impl Metrics {
    /// The metrics in `file`, beginning with what an earlier run left there. `view` is for the
    /// warning when it cannot be written.
    fn new(file: &Path, view: View) -> Arc<Metrics> {
        let old = target(file).and_then(fs::read_to_string);
        let mut page = Page::read(&old.unwrap_or_default());
        page.zero("crawl_running");
        page.zero("crawl_batch_running");
        let state = State {
            page,
            due: Instant::now(),
            failed: false,
        };
        Arc::new(Metrics {
            file: file.to_owned(),
            view,
            state: Mutex::new(state),
        })
    }

    /// A crawl begins, which this process holds the lock of.
    pub fn begin(self: &Arc<Metrics>, place: &Place) -> Series {
        let (project, spider) = (place.project.as_str(), place.spider.as_str());
        let series = Series {
            metrics: Arc::clone(self),
            labels: Labels::new(&[("project", project), ("spider", spider)]),
            checkpoint: place.job.dir.clone(),
            delta: place.job.delta_dir(),
            begun: Instant::now(),
        };
        let mut state = self.state();
        let page = &mut state.page;
        page.set("crawl_running", &series.labels, 1.0);
        page.set("crawl_run_start_timestamp_seconds", &series.labels, now());
        series.measure(page);
        series
    }

    /// Counts the sites of a batch by state.
    pub fn batch<'a>(
        &self,
        list: &Path,
        project: &str,
        states: impl IntoIterator<Item = (&'a str, u64)>,
    ) {
        let labels = batch_labels(list, project);
        let states = states.into_iter().map(|(state, n)| (state, n as f64));
        let mut state = self.state();
        let page = &mut state.page;
        page.set("crawl_batch_running", &labels, 1.0);
        page.set_by("crawl_batch_sites", &labels, "state", states);
    }

    /// The run of a batch ends.
    pub fn end_batch(&self, list: &Path, project: &str, exit: Exit) {
        let labels = batch_labels(list, project);
        let mut state = self.state();
        let page = &mut state.page;
        page.set("crawl_batch_running", &labels, 0.0);
        page.set("crawl_batch_last_exit_code", &labels, exit as u8 as f64);
        page.set("crawl_batch_last_end_timestamp_seconds", &labels, now());
        if exit == Exit::Complete {
            page.set("crawl_batch_last_success_timestamp_seconds", &labels, now());
        }
        self.write(&mut state);
    }

    fn write(&self, state: &mut State) {
        state.due = Instant::now() + BETWEEN_WRITES;
        let written = target(&self.file)
            .and_then(|file| publish(&RealDisk, &file, state.page.text().as_bytes()));
        match written {
            Err(e) if !std::mem::replace(&mut state.failed, true) => {
                let file = self.file.display();
                self.view.warn(format_args!("cannot write {file}: {e}"));
            }
            Err(_) => {}
            Ok(()) => state.failed = false,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// The metrics of one crawl.
#[derive(Debug, Clone)]
pub struct Series {
    metrics: Arc<Metrics>,
    labels: Labels,
    checkpoint: PathBuf,
    delta: PathBuf,
    begun: Instant,
}

impl Series {
    /// The run ends.
    pub fn end(&self, result: &Result<Ended, Failure>) {
        let exit = match result {
            Ok(ended) => {
                self.update(&ended.progress, Instant::now());
                ended.outcome.exit()
            }
            Err(failure) => failure.exit,
        };
        let mut state = self.metrics.state();
        let page = &mut state.page;
        self.measure(page);
        page.set("crawl_running", &self.labels, 0.0);
        page.set("crawl_last_exit_code", &self.labels, exit as u8 as f64);
        page.set("crawl_last_end_timestamp_seconds", &self.labels, now());
        if exit == Exit::Complete {
            page.set("crawl_last_success_timestamp_seconds", &self.labels, now());
        }
        self.metrics.write(&mut state);
    }

    /// What is found on the disk and the clock.
    fn measure(&self, page: &mut Page) {
        for (name, dir) in [
            ("crawl_checkpoint_bytes", &self.checkpoint),
            ("crawl_delta_bytes", &self.delta),
        ] {
            page.set(name, &self.labels, bytes_in(dir) as f64);
        }
        let seconds = self.begun.elapsed().as_millis() as f64 / 1000.0;
        page.set("crawl_run_duration_seconds", &self.labels, seconds);
    }
}

impl Watch for Series {
    fn update(&self, progress: &Progress, _: Instant) {
        let counts = &progress.counts;
        let mut state = self.metrics.state();
        let page = &mut state.page;
        for (name, value) in [
            ("crawl_pages_total", counts.done + counts.failed),
            ("crawl_records_total", progress.records),
            ("crawl_dropped_urls_total", progress.withdrawn),
            ("crawl_retries_total", progress.retries),
            ("crawl_fetched_bytes_total", progress.bytes),
            ("crawl_pending_urls", counts.pending + counts.in_flight),
            ("crawl_parked_urls", counts.parked),
            ("crawl_hosts", progress.hosts),
        ] {
            page.set(name, &self.labels, value as f64);
        }
        for (name, value) in progress.fleet.iter().flat_map(|fleet| {
            [
                ("crawl_fleet_workers", fleet.workers),
                ("crawl_fleet_pages_total", fleet.done + fleet.failed),
                ("crawl_fleet_pending_urls", fleet.pending),
            ]
        }) {
            page.set(name, &self.labels, value as f64);
        }
        let spent: u64 = progress.proxies.values().map(|used| used.spent).sum();
        page.set("crawl_cost_total", &self.labels, spent as f64 / 1e9);
        let mut by_class = BTreeMap::new();
        for (status, number) in &progress.by_status {
            let class = format!("{}xx", &status[..status.len().min(1)]);
            *by_class.entry(class).or_default() += number;
        }
        for (name, label, tally) in [
            ("crawl_responses_total", "class", &by_class),
            ("crawl_errors_total", "kind", &progress.by_error),
        ] {
            let values = tally.iter().map(|(by, n)| (by.as_str(), *n as f64));
            page.set_by(name, &self.labels, label, values);
        }
        let delta = progress.delta.map(|delta| {
            [
                ("new", delta.new as f64),
                ("changed", delta.changed as f64),
                ("unchanged", delta.unchanged as f64),
                ("gone", delta.gone as f64),
            ]
        });
        let delta = delta.into_iter().flatten();
        page.set_by("crawl_delta_pages_total", &self.labels, "change", delta);
    }

    fn tick(&self, now: Instant) {
        let mut state = self.metrics.state();
        if now >= state.due {
            self.measure(&mut state.page);
            self.metrics.write(&mut state);
        }
    }
}

/// Every page begins with it.
const BEGIN: &[u8] = b"# HELP crawl_";

/// The file that is replaced: where links lead to, and never a device or a pipe, for what
/// is renamed over `/dev/stdout` takes its place. Nor a file of something else, whose name was a slip.
fn target(file: &Path) -> io::Result<PathBuf> {
    if matches!(file.symlink_metadata(), Err(e) if e.kind() == io::ErrorKind::NotFound) {
        return Ok(file.to_owned());
    }
    let target = file.canonicalize()?;
    if !target.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let (mut begin, limit) = (Vec::new(), BEGIN.len() as u64);
    fs::File::open(&target)?
        .take(limit)
        .read_to_end(&mut begin)?;
    if begin.is_empty() || begin == BEGIN {
        Ok(target)
    } else {
        Err(io::Error::other(
            "it holds something else than metrics of crawls",
        ))
    }
}

fn batch_labels(list: &Path, project: &str) -> Labels {
    Labels::new(&[("project", project), ("list", &list.to_string_lossy())])
}

fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0.0, |now| now.as_secs() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{LogFormat, PlaceArgs, VerbosityArgs};
    use crawl_ckpt::control::{Counts, Delta, ProxyUse};
    use crawl_ckpt::job::Name;

    fn quiet() -> View {
        let verbosity = VerbosityArgs {
            quiet: true,
            log_format: LogFormat::Text,
            verbose: false,
        };
        View::plain(verbosity, None)
    }

    #[test]
    fn a_link_stays_and_what_is_no_file_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "").unwrap();
        for (link, to) in [("link", "file"), ("device", "/dev/null"), ("gone", "no/x")] {
            std::os::unix::fs::symlink(to, at(link)).unwrap();
            Metrics::new(&at(link), quiet()).end_batch(&at("l"), "p", Exit::Complete);
            assert!(at(link).is_symlink(), "{link}");
        }
        assert!(fs::read_to_string(at("file")).unwrap().contains("p"));
        Metrics::new(&at("new"), quiet()).end_batch(&at("l"), "p", Exit::Complete);
        assert!(at("new").is_file());
    }

    #[test]
    fn the_file_is_written_every_15_seconds_and_has_what_changed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("crawl.prom");
        let args = PlaceArgs {
            project: None,
            data_dir: Some(dir.path().to_owned()),
        };
        let place = Place::new(&args, &Name::parse("shop").unwrap()).unwrap();
        let series = Metrics::new(&file, quiet()).begin(&place);
        let begun = Instant::now();
        let text = || fs::read_to_string(&file).unwrap();
        series.tick(begun);
        assert!(text().contains("crawl_running{project=\"default\",spider=\"shop\"} 1\n"));
        let paid = ProxyUse {
            spent: 1_250_000_000,
            ..ProxyUse::default()
        };
        let progress = Progress {
            counts: Counts {
                pending: 2,
                in_flight: 1,
                parked: 4,
                ..Counts::default()
            },
            delta: Some(Delta {
                new: 1,
                changed: 2,
                unchanged: 3,
                gone: 0,
            }),
            withdrawn: 5,
            proxies: [("paid".to_owned(), paid)].into(),
            ..Progress::default()
        };
        series.update(&progress, begun);
        series.tick(begun + Duration::from_secs(10));
        assert!(!text().contains("crawl_pending_urls"));
        series.tick(begun + Duration::from_secs(16));
        for line in [
            "crawl_pending_urls{project=\"default\",spider=\"shop\"} 3",
            "crawl_parked_urls{project=\"default\",spider=\"shop\"} 4",
            "crawl_dropped_urls_total{project=\"default\",spider=\"shop\"} 5",
            "crawl_cost_total{project=\"default\",spider=\"shop\"} 1.25",
            "crawl_delta_pages_total{project=\"default\",spider=\"shop\",change=\"unchanged\"} 3",
            "crawl_delta_pages_total{project=\"default\",spider=\"shop\",change=\"gone\"} 0",
        ] {
            assert!(text().lines().any(|l| l == line), "{line}: {}", text());
        }
    }
}
