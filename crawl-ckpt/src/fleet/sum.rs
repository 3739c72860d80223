//! The figures of several partitions, added up, and what came to one since.

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
    sum.parked_hosts = sum.hosts_parked() + more.hosts_parked();
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

/// Leaves of the figures what came since `before`: what was finished, and how. What is not finished stays.
pub fn take_off(progress: &mut Progress, before: &Progress) {
    let (counts, of) = (&mut progress.counts, before.counts);
    counts.seen -= (of.done + of.failed).min(counts.seen);
    for (now, before) in [
        (&mut counts.done, of.done),
        (&mut counts.failed, of.failed),
        (&mut progress.records, before.records),
        (&mut progress.bytes, before.bytes),
        (&mut progress.starts, before.starts),
        (&mut progress.retries, before.retries),
        (&mut progress.withdrawn, before.withdrawn),
    ] {
        *now = now.saturating_sub(before);
    }
    for (now, before) in [
        (&mut progress.by_status, &before.by_status),
        (&mut progress.by_error, &before.by_error),
        (&mut progress.dropped, &before.dropped),
    ] {
        now.retain(|name, count| {
            *count -= before.get(name).copied().unwrap_or(0).min(*count);
            *count > 0
        });
    }
    take_off_uses(&mut progress.proxies, &before.proxies);
    take_off_uses(&mut progress.costs, &before.costs);
    progress.fields.retain(|name, field| {
        let of = before.fields.get(name).copied().unwrap_or_default();
        field.pages -= of.pages.min(field.pages);
        field.empty -= of.empty.min(field.empty);
        field.pages > 0
    });
    if let (Some(rendered), Some(of)) = (&mut progress.rendered, before.rendered) {
        for (now, before) in [
            (&mut rendered.pages, of.pages),
            (&mut rendered.failed, of.failed),
            (&mut rendered.cut, of.cut),
            (&mut rendered.requests, of.requests),
            (&mut rendered.blocked, of.blocked),
            (&mut rendered.refused, of.refused),
        ] {
            *now = now.saturating_sub(before);
        }
    }
}

fn take_off_uses(uses: &mut BTreeMap<String, ProxyUse>, before: &BTreeMap<String, ProxyUse>) {
    uses.retain(|name, used| {
        let of = before.get(name).copied().unwrap_or_default();
        for (now, before) in [
            (&mut used.attempts, of.attempts),
            (&mut used.successes, of.successes),
            (&mut used.bytes, of.bytes),
            (&mut used.wire_bytes, of.wire_bytes),
            (&mut used.spent, of.spent),
        ] {
            *now = now.saturating_sub(before);
        }
        used.attempts > 0
    });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Counts;

    fn after(done: u64, failed: u64, pending: u64) -> Progress {
        Progress {
            counts: Counts {
                seen: done + failed + pending,
                done,
                failed,
                pending,
                ..Counts::default()
            },
            records: done + failed,
            by_status: [("2xx".to_owned(), done)].into(),
            by_error: [("dns".to_owned(), failed)].into(),
            ..Progress::default()
        }
    }

    #[test]
    fn what_came_since_adds_up_and_has_all_that_is_not_finished() {
        let (before, now) = (after(10, 2, 7), after(15, 2, 4));
        let mut since = now.clone();
        take_off(&mut since, &before);
        assert!(since.counts.balances(), "{:?}", since.counts);
        assert_eq!((since.counts.done, since.counts.pending), (5, 4));
        assert_eq!(since.records, 5);
        assert_eq!(since.by_status, [("2xx".to_owned(), 5)].into());
        assert!(since.by_error.is_empty(), "none failed since");
        let mut all = before.clone();
        all.counts.pending = 0;
        all.counts.seen -= 7;
        add_progress(&mut all, since);
        assert_eq!(all, now);
    }
}
