//! The figures of several partitions, added up.

use std::collections::BTreeMap;

use crate::control::{Progress, ProxyUse};

/// Adds the figures of one more.
pub fn add_progress(sum: &mut Progress, more: Progress) {
    let (counts, of) = (&mut sum.counts, more.counts);
    counts.seen += of.seen;
    counts.pending += of.pending;
    counts.in_flight += of.in_flight;
    counts.parked += of.parked;
    counts.done += of.done;
    counts.failed += of.failed;
    sum.records += more.records;
    sum.records_run += more.records_run;
    sum.bytes += more.bytes;
    sum.hosts += more.hosts;
    sum.starts += more.starts;
    sum.retries += more.retries;
    sum.withdrawn += more.withdrawn;
    add_counts(&mut sum.by_status, more.by_status);
    add_counts(&mut sum.by_error, more.by_error);
    add_counts(&mut sum.dropped, more.dropped);
    add_uses(&mut sum.proxies, more.proxies);
    // Each host is of one partition.
    sum.costs.extend(more.costs);
    sum.parked.extend(more.parked);
    for (name, of) in more.fields {
        let field = sum.fields.entry(name).or_default();
        field.pages += of.pages;
        field.empty += of.empty;
    }
    if let Some(of) = more.rendered {
        let rendered = sum.rendered.get_or_insert_default();
        rendered.pages += of.pages;
        rendered.failed += of.failed;
        rendered.cut += of.cut;
        rendered.requests += of.requests;
        rendered.blocked += of.blocked;
        rendered.refused += of.refused;
    }
}

fn add_counts(sum: &mut BTreeMap<String, u64>, more: BTreeMap<String, u64>) {
    for (name, count) in more {
        *sum.entry(name).or_default() += count;
    }
}

fn add_uses(sum: &mut BTreeMap<String, ProxyUse>, more: BTreeMap<String, ProxyUse>) {
    for (name, of) in more {
        let used = sum.entry(name).or_default();
        used.attempts += of.attempts;
        used.successes += of.successes;
        used.bytes += of.bytes;
        used.wire_bytes += of.wire_bytes;
        used.spent += of.spent;
    }
}
