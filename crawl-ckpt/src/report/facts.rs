//! What a report says: the same facts for the page and for programs.

use std::collections::BTreeSet;

use serde::Serialize;

use super::against::{Earlier, Places};
use super::figures::{Figures, LISTED};
use super::histogram::{Octave, Quantiles};
use super::lines::{Shown, ShownRows, shown_url};
use super::redirects::PathEnd;
use super::repeats::{TwinGroups, Twins};
use super::row::Class;
use super::shares::{Share, Shares};
use super::source::Source;
use super::tally::Count;
use super::timeline::Step;
use crate::control::Progress;
use crate::summary::CrawlSummary;
use crate::tool::Failure;

/// Rows, and how many there are in all.
#[derive(Debug, Clone, Serialize)]
pub struct List<T> {
    pub total: u64,
    pub rows: Vec<T>,
}

impl<T> List<T> {
    fn first(mut rows: Vec<T>, most: usize) -> List<T> {
        let total = rows.len() as u64;
        rows.truncate(most);
        List { total, rows }
    }
}

/// All that is told.
#[derive(Debug, Serialize)]
pub struct Findings {
    /// What was crawled, as people call it.
    pub name: String,
    pub file: String,
    pub file_bytes: u64,
    pub records: u64,
    /// ShownRows that are no record.
    pub bad_lines: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_bad_line: Option<u64>,
    /// The file ends within a line.
    pub unfinished_line: bool,
    /// Why a packed file could not be read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub torn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Checkpoint>,
    /// What the crawl told of itself beside the records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<CrawlSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_ms: Option<i64>,
    pub classes: Vec<ClassCount>,
    pub retried: u64,
    /// Of pages.
    pub bytes: u64,
    pub statuses: List<Count>,
    pub errors: Vec<Count>,
    /// Records by depth; the last one counts all that are deeper, too.
    pub depths: Vec<(u32, u64)>,
    pub types: List<Count>,
    pub elapsed_ms: Quantiles,
    pub elapsed_octaves: Vec<Octave>,
    pub page_bytes: Quantiles,
    pub page_bytes_octaves: Vec<Octave>,
    pub step_ms: i64,
    pub timeline: Vec<Step>,
    pub broken: List<Shown>,
    /// Pages with the most broken links.
    pub linking: List<Count>,
    /// Broken URLs of which it is not known where they were found.
    pub unlinked: u64,
    pub redirects: Paths,
    pub blocking: List<HostFacts>,
    pub fields: Option<FieldFacts>,
    pub copies: Repeated,
    pub titles: Repeated,
    /// Answers that took a second or longer.
    pub slow: u64,
    pub slowest: List<Shown>,
    pub largest: List<Shown>,
    pub left_out: List<Shown>,
    pub left_out_by: Vec<Count>,
    pub hosts: List<HostFacts>,
    pub sections: List<HostFacts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Comparison>,
}

/// How many URLs ended in such a way.
#[derive(Debug, Serialize)]
pub struct ClassCount {
    pub class: Class,
    pub count: u64,
}

/// What the checkpoint knows and the records do not.
#[derive(Debug, Serialize)]
pub struct Checkpoint {
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<u64>,
    /// Links not taken on, by reason.
    pub not_taken_on: Vec<Count>,
    #[serde(flatten)]
    pub parked: ParkedHosts,
}

/// Hosts that wait for a decision.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ParkedHosts {
    /// So many URLs.
    pub parked_urls: u64,
    /// Of so many hosts.
    pub parked_hosts: u64,
    /// The largest of these, and why.
    pub parked: Vec<ParkedHost>,
}

impl Findings {
    /// Links not taken on, by reason; `None` when nobody knows any more.
    pub fn not_taken_on(&self) -> Option<Vec<Count>> {
        match (&self.checkpoint, &self.summary) {
            (Some(known), _) => Some(known.not_taken_on.clone()),
            (None, Some(summary)) => Some(not_taken_on(&summary.progress)),
            (None, None) => None,
        }
    }

    /// Hosts that wait for a decision.
    pub fn parked(&self) -> ParkedHosts {
        match (&self.checkpoint, &self.summary) {
            (Some(known), _) => known.parked.clone(),
            (None, Some(summary)) => parked(&summary.progress),
            (None, None) => ParkedHosts::default(),
        }
    }
}

/// Links not taken on, the most frequent reason first.
pub fn not_taken_on(progress: &Progress) -> Vec<Count> {
    let dropped = progress.dropped.iter();
    let mut reasons: Vec<Count> = dropped
        .map(|(name, count)| Count {
            name: name.clone(),
            count: *count,
        })
        .collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
    reasons
}

/// Hosts that wait for a decision, the largest first.
pub fn parked(progress: &Progress) -> ParkedHosts {
    let parked = progress.parked.iter();
    let mut hosts: Vec<ParkedHost> = parked
        .map(|(host, parked)| ParkedHost {
            host: host.clone(),
            urls: parked.urls,
            why: parked.why.clone(),
        })
        .collect();
    hosts.sort_by_key(|host| std::cmp::Reverse(host.urls));
    ParkedHosts {
        parked_urls: progress.counts.parked,
        parked_hosts: progress.hosts_parked(),
        parked: hosts,
    }
}

/// A host that waits for a decision.
#[derive(Debug, Clone, Serialize)]
pub struct ParkedHost {
    pub host: String,
    pub urls: u64,
    pub why: String,
}

/// Redirects, by the paths that they make.
#[derive(Debug, Serialize)]
pub struct Paths {
    pub redirects: u64,
    pub chains: u64,
    pub loops: u64,
    pub to_broken: u64,
    /// Not followed, since there were too many.
    pub passed_over: u64,
    #[serde(flatten)]
    pub paths: List<PathFacts>,
}

/// One path, from the first redirect to where it ends.
#[derive(Debug, Clone, Serialize)]
pub struct PathFacts {
    pub end: PathEnd,
    pub hops: Vec<Shown>,
}

/// A host, or a part of a site.
#[derive(Debug, Clone, Serialize)]
pub struct HostFacts {
    pub name: String,
    pub records: u64,
    /// In the order of the classes.
    pub classes: [u64; Class::ALL.len()],
    pub blocks: u64,
    pub bytes: u64,
    pub elapsed_ms: Quantiles,
}

/// The fields of the items.
#[derive(Debug, Serialize)]
pub struct FieldFacts {
    pub items: u64,
    /// Some have so many fields that not all were counted.
    pub is_cut: bool,
    /// The emptiest first: how many items have a value.
    pub filled: Vec<Count>,
}

/// Pages that have something in common.
#[derive(Debug, Serialize)]
pub struct Repeated {
    /// Pages beside the first of each group.
    pub copies: u64,
    pub wasted_bytes: u64,
    /// Pages not compared, since there were too many.
    pub passed_over: u64,
    #[serde(flatten)]
    pub groups: List<Alike>,
}

/// One group of them.
#[derive(Debug, Clone, Serialize)]
pub struct Alike {
    pub count: u64,
    pub bytes_each: u64,
    pub pages: Vec<Shown>,
}

/// What is different from the crawl before.
#[derive(Debug, Serialize)]
pub struct Comparison {
    pub file: String,
    pub records: u64,
    /// URLs of it that were not compared, since there were too many.
    pub passed_over: u64,
    pub broke: List<Shown>,
    pub mended: List<Shown>,
    pub new: List<Shown>,
    /// Absent when that cannot be known, and `gone_unknown` says why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone: Option<List<Shown>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone_unknown: Option<&'static str>,
}

/// Reads the records and says what is in them.
///
/// # Errors
/// A file cannot be read, or was changed while it was.
pub fn facts(
    name: String,
    source: &Source,
    checkpoint: Option<Checkpoint>,
    against: Option<&Source>,
) -> Result<Findings, Failure> {
    let mut before = against.map(Earlier::read).transpose()?;
    let mut figures = Figures::of(source, before.as_mut())?;
    let paths = figures.redirects.paths();
    let copies = figures.repeats.by_content(LISTED);
    let titles = figures.repeats.by_title(LISTED);
    let lists = [
        &figures.broken,
        &figures.slowest,
        &figures.largest,
        &figures.left_out_places,
    ];
    let mut places: BTreeSet<u64> = lists.into_iter().flat_map(|top| top.places()).collect();
    places.extend(paths.iter().take(LISTED).flat_map(|path| &path.places));
    let groups = copies.first.iter().chain(&titles.first);
    places.extend(groups.flat_map(|group| &group.places));
    let changed = &figures.changed;
    let lists = [&changed.broke, &changed.mended, &changed.new];
    places.extend(lists.into_iter().flat_map(|list| &list.first));
    let lines = ShownRows::read(source, &places)?;

    let top = |top: &super::top::Top| List {
        total: top.offered(),
        rows: lines.at(&top.places()),
    };
    let count = |end| paths.iter().filter(|path| path.end == end).count() as u64;
    let hosts = shared(&figures.hosts);
    let mut blocking: Vec<HostFacts> = hosts
        .iter()
        .filter(|host| host.blocks > 0)
        .cloned()
        .collect();
    blocking.sort_by_key(|host| std::cmp::Reverse(host.blocks));
    let is_pending = checkpoint
        .as_ref()
        .is_some_and(|known| known.pending != Some(0));
    let against = match (against, &before) {
        (Some(file), Some(before)) => Some(compared(file, before, &figures, &lines, is_pending)?),
        _ => None,
    };
    Ok(Findings {
        name,
        file: source.path().display().to_string(),
        file_bytes: source.bytes(),
        records: figures.records,
        bad_lines: figures.bad_lines,
        first_bad_line: figures.first_bad_line,
        unfinished_line: figures.flaws.is_unfinished,
        torn: figures.flaws.torn.clone(),
        checkpoint,
        summary: None,
        first_ms: figures.first_ms,
        last_ms: figures.last_ms,
        classes: Class::ALL
            .into_iter()
            .map(|class| ClassCount {
                class,
                count: figures.classes[class as usize],
            })
            .collect(),
        retried: figures.retried,
        bytes: figures.bytes,
        statuses: List::first(by_status(&figures), 30),
        errors: figures.errors.sorted(),
        depths: figures
            .depths
            .iter()
            .map(|(depth, count)| (*depth, *count))
            .collect(),
        types: List::first(figures.types.sorted(), 20),
        elapsed_ms: figures.times.quantiles(),
        elapsed_octaves: figures.times.octaves(),
        page_bytes: figures.sizes.quantiles(),
        page_bytes_octaves: figures.sizes.octaves(),
        step_ms: figures.timeline.step_ms(),
        timeline: figures.timeline.steps(),
        broken: top(&figures.broken),
        linking: linking(&figures),
        unlinked: figures.unlinked,
        redirects: Paths {
            redirects: figures.classes[Class::Redirect as usize],
            chains: paths
                .iter()
                .filter(|path| path.end != PathEnd::Loop && path.places.len() > 1)
                .count() as u64,
            loops: count(PathEnd::Loop),
            to_broken: count(PathEnd::Broken),
            passed_over: figures.redirects.passed_over(),
            paths: List {
                total: paths.len() as u64,
                rows: paths
                    .iter()
                    .take(LISTED)
                    .map(|path| PathFacts {
                        end: path.end,
                        hops: lines.at(&path.places),
                    })
                    .collect(),
            },
        },
        blocking: List::first(blocking, LISTED),
        fields: fields(&figures),
        copies: repeated(&copies, figures.repeats.passed_over(), &lines),
        titles: repeated(&titles, figures.repeats.passed_over(), &lines),
        slow: figures.slow,
        slowest: top(&figures.slowest),
        largest: top(&figures.largest),
        left_out: top(&figures.left_out_places),
        left_out_by: figures.left_out.sorted(),
        hosts: List::first(hosts, LISTED),
        sections: List::first(shared(&figures.sections), LISTED),
        against,
    })
}

fn by_status(figures: &Figures) -> Vec<Count> {
    let statuses = figures.statuses.iter();
    let mut statuses: Vec<Count> = statuses
        .map(|(status, count)| Count {
            name: status.to_string(),
            count: *count,
        })
        .collect();
    statuses.sort_by_key(|status| std::cmp::Reverse(status.count));
    statuses
}

fn linking(figures: &Figures) -> List<Count> {
    let mut pages = List::first(figures.linking.sorted(), LISTED);
    for page in &mut pages.rows {
        page.name = shown_url(&page.name);
    }
    pages
}

fn shared(shares: &Shares) -> Vec<HostFacts> {
    let facts = |name: &str, share: &Share| HostFacts {
        name: name.to_owned(),
        records: share.records,
        classes: share.classes,
        blocks: share.blocks,
        bytes: share.bytes,
        elapsed_ms: share.times.quantiles(),
    };
    let mut all: Vec<HostFacts> = shares
        .sorted()
        .into_iter()
        .map(|(name, share)| facts(name, share))
        .collect();
    if shares.others.records > 0 {
        all.insert(0, facts("others", &shares.others));
    }
    all
}

fn fields(figures: &Figures) -> Option<FieldFacts> {
    let counts = figures.fields.filled.iter();
    let mut filled: Vec<Count> = counts
        .map(|(name, count)| Count {
            name: name.clone(),
            count: *count,
        })
        .collect();
    filled.sort_by(|a, b| a.count.cmp(&b.count).then_with(|| a.name.cmp(&b.name)));
    (figures.fields.items > 0).then_some(FieldFacts {
        items: figures.fields.items,
        is_cut: figures.fields.is_cut,
        filled,
    })
}

fn repeated(groups: &TwinGroups, passed_over: u64, lines: &ShownRows) -> Repeated {
    let alike = |twins: &Twins| Alike {
        count: twins.count,
        bytes_each: twins.bytes,
        pages: lines.at(&twins.places),
    };
    Repeated {
        copies: groups.copies,
        wasted_bytes: groups.wasted_bytes,
        passed_over,
        groups: List {
            total: groups.total,
            rows: groups.first.iter().map(alike).collect(),
        },
    }
}

fn compared(
    file: &Source,
    before: &Earlier,
    figures: &Figures,
    lines: &ShownRows,
    is_pending: bool,
) -> Result<Comparison, Failure> {
    let list = |places: &Places, lines: &ShownRows| List {
        total: places.total,
        rows: lines.at(&places.first),
    };
    let changed = &figures.changed;
    let gone_unknown = if figures.is_incremental {
        Some("an incremental crawl makes no record of a page that did not change")
    } else if is_pending {
        Some("the crawl is not complete")
    } else {
        None
    };
    let gone = match gone_unknown {
        Some(_) => None,
        None => {
            let places = changed.gone.first.iter().copied().collect();
            Some(list(&changed.gone, &ShownRows::read(file, &places)?))
        }
    };
    Ok(Comparison {
        file: file.path().display().to_string(),
        records: before.records,
        passed_over: before.passed_over(),
        broke: list(&changed.broke, lines),
        mended: list(&changed.mended, lines),
        new: list(&changed.new, lines),
        gone,
        gone_unknown,
    })
}
