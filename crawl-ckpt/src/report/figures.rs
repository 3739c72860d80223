//! All that one pass over the records counts, in bounded memory: what is shown of single records
//! is kept as their places in the file.

use std::collections::BTreeMap;

use super::against::{Changed, Earlier};
use super::fields::FieldCounts;
use super::histogram::Histogram;
use super::redirects::Redirects;
use super::repeats::Repeats;
use super::row::{Class, Row, hash, media_type, parts, url_hash};
use super::shares::Shares;
use super::source::{Flaws, Source};
use super::tally::NameCounts;
use super::timeline::Timeline;
use super::top::Top;
use crate::tool::Failure;

/// Rows of a list.
pub const LISTED: usize = 100;

/// Rows of the list that people work through.
pub const BROKEN_LISTED: usize = 500;

/// Answers that took so long and longer are called slow.
pub const SLOW_MS: u64 = 1000;

/// Deeper pages are counted here.
pub const MAX_DEPTH: u32 = 64;

/// The counts.
pub struct Figures {
    pub records: u64,
    pub classes: [u64; Class::ALL.len()],
    pub retried: u64,
    pub bytes: u64,
    /// ShownRows that are no record, and the number of the first.
    pub bad_lines: u64,
    pub first_bad_line: Option<u64>,
    pub flaws: Flaws,
    pub first_ms: Option<i64>,
    pub last_ms: Option<i64>,
    pub statuses: BTreeMap<u16, u64>,
    pub errors: NameCounts,
    pub depths: BTreeMap<u32, u64>,
    pub types: NameCounts,
    pub times: Histogram,
    pub sizes: Histogram,
    pub timeline: Timeline,
    pub hosts: Shares,
    pub sections: Shares,
    pub broken: Top,
    pub linking: NameCounts,
    pub unlinked: u64,
    pub redirects: Redirects,
    pub slow: u64,
    pub slowest: Top,
    pub largest: Top,
    pub repeats: Repeats,
    pub fields: FieldCounts,
    pub left_out: NameCounts,
    pub left_out_places: Top,
    pub is_incremental: bool,
    pub changed: Changed,
}

impl Figures {
    fn new() -> Figures {
        Figures {
            records: 0,
            classes: [0; Class::ALL.len()],
            retried: 0,
            bytes: 0,
            bad_lines: 0,
            first_bad_line: None,
            flaws: Flaws::default(),
            first_ms: None,
            last_ms: None,
            statuses: BTreeMap::new(),
            errors: NameCounts::default(),
            depths: BTreeMap::new(),
            types: NameCounts::default(),
            times: Histogram::default(),
            sizes: Histogram::default(),
            timeline: Timeline::default(),
            hosts: Shares::default(),
            sections: Shares::default(),
            broken: Top::new(BROKEN_LISTED),
            linking: NameCounts::default(),
            unlinked: 0,
            redirects: Redirects::default(),
            slow: 0,
            slowest: Top::new(LISTED),
            largest: Top::new(LISTED),
            repeats: Repeats::default(),
            fields: FieldCounts::default(),
            left_out: NameCounts::default(),
            left_out_places: Top::new(LISTED),
            is_incremental: false,
            changed: Changed::default(),
        }
    }

    /// Counts all records of a file, and compares them with those of the crawl before.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn of(source: &Source, mut before: Option<&mut Earlier>) -> Result<Figures, Failure> {
        let mut figures = Figures::new();
        let mut line_number = 0;
        figures.flaws = source.each_line(|place, line| {
            line_number += 1;
            match line.and_then(|line| serde_json::from_slice::<Row<'_>>(line).ok()) {
                Some(row) => {
                    let url = url_hash(&row.url);
                    figures.add(&row, url, place);
                    if let Some(before) = &mut before {
                        before.compare(&mut figures.changed, &row, url, place);
                    }
                }
                None => {
                    figures.bad_lines += 1;
                    figures.first_bad_line.get_or_insert(line_number);
                }
            }
        })?;
        if let Some(before) = before {
            before.gone(&mut figures.changed);
        }
        Ok(figures)
    }

    fn add(&mut self, row: &Row<'_>, url: u64, place: u64) {
        let class = row.class();
        self.records += 1;
        self.classes[class as usize] += 1;
        self.retried += u64::from(row.attempts.is_some_and(|attempts| attempts > 1));
        self.is_incremental |= row.delta.is_some();
        if let Some(status) = row.status {
            *self.statuses.entry(status).or_default() += 1;
        }
        if let Some(depth) = row.depth {
            *self.depths.entry(depth.min(MAX_DEPTH)).or_default() += 1;
        }
        if let Some((host, section)) = parts(&row.url) {
            self.hosts.add(host, row);
            self.sections.add(&format!("{host}{section}"), row);
        }
        self.add_time(row, class, place);
        match class {
            Class::Success => self.add_page(row, place),
            Class::Redirect => {
                if let Some(target) = &row.location {
                    self.redirects.add(url, url_hash(target), place);
                }
            }
            Class::LeftOut => {
                self.left_out.add(&row.outcome());
                self.left_out_places.offer(0, place);
            }
            _ => {}
        }
        if class.is_broken() {
            self.add_broken(row, url, place);
        }
    }

    fn add_time(&mut self, row: &Row<'_>, class: Class, place: u64) {
        if let Some(at) = row.milliseconds() {
            self.timeline.add(at, class);
            self.first_ms = Some(self.first_ms.map_or(at, |first| first.min(at)));
            self.last_ms = Some(self.last_ms.map_or(at, |last| last.max(at)));
        }
        if let Some(time) = row.elapsed_ms {
            self.times.add(time);
            self.slow += u64::from(time >= SLOW_MS);
            self.slowest.offer(time, place);
        }
    }

    fn add_page(&mut self, row: &Row<'_>, place: u64) {
        let bytes = row.bytes.unwrap_or(0);
        if row.bytes.is_some() {
            self.bytes = self.bytes.saturating_add(bytes);
            self.sizes.add(bytes);
            self.largest.offer(bytes, place);
        }
        if let Some(content_type) = &row.content_type {
            self.types.add(&media_type(content_type));
        }
        let title = row.title.as_deref().filter(|title| !title.is_empty());
        let content = row.digest.as_deref().map(hash);
        self.repeats.add(content, title.map(hash), place, bytes);
        if let Some(item) = row.item {
            self.fields.add(item);
        }
    }

    fn add_broken(&mut self, row: &Row<'_>, url: u64, place: u64) {
        if let Some(error) = &row.error {
            self.errors.add(error.kind.as_str());
        }
        // What lies near a start page is seen by most.
        let depth = row.depth.unwrap_or(u32::MAX);
        self.broken.offer(u64::from(u32::MAX - depth), place);
        self.redirects.add_broken(url);
        match &row.referer {
            Some(page) => self.linking.add(page),
            None => self.unlinked += 1,
        }
    }
}
