//! A page of metrics in Prometheus' text format, as node_exporter's textfile collector
//! reads it: which metrics there are, their lines, and how an earlier page is read back.

use std::collections::BTreeMap;
use std::fmt::Write;

/// One metric: its name, whether it only grows, and what it is.
#[derive(Debug)]
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
}

const fn counter(name: &'static str, help: &'static str) -> Family {
    let kind = "counter";
    Family { name, kind, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Family {
    let kind = "gauge";
    Family { name, kind, help }
}

/// All metrics, in the order of the page. Counters are those of the whole crawl, over all its
/// runs; they begin at 0 with the next crawl. Those of a worker that shares a crawl are of its run.
const FAMILIES: [Family; 28] = [
    counter("crawl_pages_total", "URLs finished, whatever their end."),
    counter("crawl_records_total", "Output records."),
    counter("crawl_responses_total", "Records by status class."),
    counter(
        "crawl_errors_total",
        "Records without a usable response, by error kind.",
    ),
    counter(
        "crawl_delta_pages_total",
        "Pages of an incremental crawl, by change.",
    ),
    counter(
        "crawl_dropped_urls_total",
        "URLs taken out of the queue by crawl-frontier drop; they count as finished, too.",
    ),
    counter(
        "crawl_cost_total",
        "What proxies cost, in what their prices are in.",
    ),
    counter("crawl_retries_total", "Further attempts made."),
    counter("crawl_fetched_bytes_total", "Bytes of decoded bodies."),
    gauge("crawl_pending_urls", "URLs that wait or are under way."),
    gauge(
        "crawl_parked_urls",
        "URLs that wait for a human's decision.",
    ),
    gauge("crawl_hosts", "Hosts with URLs taken on."),
    gauge(
        "crawl_fleet_workers",
        "Workers that share the crawl and live.",
    ),
    counter(
        "crawl_fleet_pages_total",
        "URLs that all workers of the crawl finished, whatever their end.",
    ),
    gauge(
        "crawl_fleet_pending_urls",
        "URLs that wait or are under way at any worker.",
    ),
    gauge(
        "crawl_checkpoint_bytes",
        "Size of the checkpoint; 0 when there is none.",
    ),
    gauge(
        "crawl_delta_bytes",
        "Size of what is known from earlier crawls.",
    ),
    gauge("crawl_running", "1 while a run is under way."),
    gauge(
        "crawl_run_start_timestamp_seconds",
        "When the last run began.",
    ),
    gauge(
        "crawl_run_duration_seconds",
        "How long the last run took, or takes so far.",
    ),
    gauge(
        "crawl_last_exit_code",
        "Exit code of the last run that ended.",
    ),
    gauge(
        "crawl_last_end_timestamp_seconds",
        "When the last run ended.",
    ),
    gauge(
        "crawl_last_success_timestamp_seconds",
        "When a crawl was last complete.",
    ),
    gauge("crawl_batch_sites", "Sites of a batch, by state."),
    gauge(
        "crawl_batch_running",
        "1 while a run of the batch is under way.",
    ),
    gauge(
        "crawl_batch_last_exit_code",
        "Exit code of the batch's last run that ended.",
    ),
    gauge(
        "crawl_batch_last_end_timestamp_seconds",
        "When the batch's last run ended.",
    ),
    gauge(
        "crawl_batch_last_success_timestamp_seconds",
        "When a batch was last complete.",
    ),
];

/// The labels that tell one crawl, or one batch, from the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels(String);

impl Labels {
    /// Labels with these names and values.
    pub fn new(pairs: &[(&str, &str)]) -> Labels {
        let pairs = pairs.iter().map(|(name, value)| pair(name, value));
        Labels(pairs.collect::<Vec<_>>().join(","))
    }

    fn with(&self, name: &str, value: &str) -> Labels {
        Labels(format!("{},{}", self.0, pair(name, value)))
    }

    fn covers(&self, text: &str) -> bool {
        let rest = text.strip_prefix(&self.0);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(','))
    }
}

/// Backslash, quote and line feed are all that the format escapes.
fn pair(name: &str, value: &str) -> String {
    let value = value
        .replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('\n', r"\n");
    format!("{name}=\"{value}\"")
}

/// The values on a page.
#[derive(Debug, Default, PartialEq)]
pub struct Page {
    /// By metric, then by labels.
    values: BTreeMap<usize, BTreeMap<String, f64>>,
}

impl Page {
    /// Reads a page; lines that are none of ours are left out.
    pub fn read(text: &str) -> Page {
        let mut page = Page::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((name, rest)) = line.split_once('{') else {
                continue;
            };
            let family = FAMILIES.iter().position(|family| family.name == name);
            let parts = rest.rsplit_once("} ");
            if let (Some(family), Some((labels, value))) = (family, parts)
                && let Ok(value) = value.parse()
            {
                let values = page.values.entry(family).or_default();
                values.insert(labels.to_owned(), value);
            }
        }
        page
    }

    /// Sets a metric. One that is not in the table is not on the page.
    pub fn set(&mut self, name: &str, labels: &Labels, value: f64) {
        let family = FAMILIES.iter().position(|family| family.name == name);
        debug_assert!(family.is_some(), "{name}");
        if let Some(family) = family {
            let values = self.values.entry(family).or_default();
            values.insert(labels.0.clone(), value);
        }
    }

    /// Sets a metric for each value of one more label, and forgets those that it had.
    pub fn set_by<'a>(
        &mut self,
        name: &str,
        labels: &Labels,
        label: &str,
        values: impl IntoIterator<Item = (&'a str, f64)>,
    ) {
        self.forget(name, labels);
        for (by, value) in values {
            self.set(name, &labels.with(label, by), value);
        }
    }

    /// Forgets a metric's values with these labels.
    fn forget(&mut self, name: &str, labels: &Labels) {
        for (family, values) in &mut self.values {
            if FAMILIES[*family].name == name {
                values.retain(|text, _| !labels.covers(text));
            }
        }
    }

    /// Sets a metric to 0 wherever it is: nothing of an earlier run is under way any more.
    pub fn zero(&mut self, name: &str) {
        for (family, values) in &mut self.values {
            if FAMILIES[*family].name == name {
                values.values_mut().for_each(|value| *value = 0.0);
            }
        }
    }

    /// The text of the page.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (family, values) in &self.values {
            let Family { name, kind, help } = &FAMILIES[*family];
            if values.is_empty() {
                continue;
            }
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (labels, value) in values {
                let _ = writeln!(text, "{name}{{{labels}}} {value}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_help_and_type_once_a_metric_and_is_read_back() {
        let shop = Labels::new(&[("project", "p"), ("spider", "shop")]);
        let odd = Labels::new(&[("list", "a \"b\"\\c\n} 7")]);
        let mut page = Page::default();
        page.set("crawl_pages_total", &shop, 12_345_678_901.0);
        page.set_by("crawl_errors_total", &shop, "kind", [("dns", 2.0)]);
        page.set("crawl_batch_running", &odd, 1.0);
        let want = [
            "# HELP crawl_pages_total URLs finished, whatever their end.",
            "# TYPE crawl_pages_total counter",
            "crawl_pages_total{project=\"p\",spider=\"shop\"} 12345678901",
            "# HELP crawl_errors_total Records without a usable response, by error kind.",
            "# TYPE crawl_errors_total counter",
            "crawl_errors_total{project=\"p\",spider=\"shop\",kind=\"dns\"} 2",
            "# HELP crawl_batch_running 1 while a run of the batch is under way.",
            "# TYPE crawl_batch_running gauge",
            r#"crawl_batch_running{list="a \"b\"\\c\n} 7"} 1"#,
            "",
        ];
        assert_eq!(page.text(), want.join("\n"));
        assert_eq!(Page::read(&page.text()), page);
        page.set_by("crawl_errors_total", &shop, "kind", [("tls", 1.0)]);
        page.zero("crawl_batch_running");
        assert!(!page.text().contains("dns"));
        assert!(page.text().ends_with("} 0\n"));
        let mixed = "up 1\nother{a=\"b\"} 2\ncrawl_hosts{} x\n\n# HELP\n";
        assert_eq!(Page::read(mixed), Page::default());
    }

    #[test]
    fn labels_of_one_crawl_are_not_those_of_another() {
        let shop = Labels::new(&[("spider", "shop")]);
        assert!(shop.covers("spider=\"shop\",kind=\"dns\""));
        assert!(!shop.covers("spider=\"shop2\""));
    }
}
