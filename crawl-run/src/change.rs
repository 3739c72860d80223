//! What changed in a spider since its checkpoint, in words.

use std::collections::HashSet;
use std::fmt::Display;

use crawl_ckpt::address::masked_url;
use crawl_ckpt::plan::{Identity, Rule, Scope};

/// More than so many changes are only counted.
const SHOWN: usize = 8;

/// Names what differs, in one line; empty when nothing does.
pub fn describe(old: &Identity, new: &Identity) -> String {
    let mut changes = Vec::new();
    lists("start URL", &old.start_urls, &new.start_urls, &mut changes);
    scopes(&old.scope, &new.scope, &mut changes);
    values("sitemaps read", &old.sitemap, &new.sitemap, &mut changes);
    let more = changes.len().saturating_sub(SHOWN);
    changes.truncate(SHOWN);
    let mut line = changes.join("; ");
    if more > 0 {
        line.push_str(&format!("; and {more} more"));
    }
    line
}

fn scopes(old: &Scope, new: &Scope, changes: &mut Vec<String>) {
    lists(
        "domain",
        &old.allowed_domains,
        &new.allowed_domains,
        changes,
    );
    lists("host", &old.allowed_hosts, &new.allowed_hosts, changes);
    for number in 1..=old.rules.len().max(new.rules.len()) {
        match (old.rules.get(number - 1), new.rules.get(number - 1)) {
            (Some(old), Some(new)) => rules(number, old, new, changes),
            (None, Some(new)) => changes.push(format!("rule {number} added: {}", summary(new))),
            (Some(old), None) => changes.push(format!("rule {number} removed: {}", summary(old))),
            (None, None) => {}
        }
    }
    for (option, old, new) in [
        ("--allow", &old.allow, &new.allow),
        ("--deny", &old.deny, &new.deny),
        ("--no-parent: below", &old.below, &new.below),
    ] {
        if old != new {
            let (old, new) = (patterns(old), patterns(new));
            changes.push(format!("{option} {old} -> {new}"));
        }
    }
    if old.deny_extensions != new.deny_extensions {
        let words = |list: &Option<Vec<String>>| match list {
            Some(list) => format!("`{}`", list.join(" ")),
            None => "the usual list".to_owned(),
        };
        let (old, new) = (words(&old.deny_extensions), words(&new.deny_extensions));
        changes.push(format!("deny_extensions: {old} -> {new}"));
    }
    limits("depth limit", old.depth_limit, new.depth_limit, changes);
    limits(
        "pages a host",
        old.max_pages_per_host,
        new.max_pages_per_host,
        changes,
    );
    values(
        "--aggressive",
        &old.aggressive_urls,
        &new.aggressive_urls,
        changes,
    );
}

fn rules(number: usize, old: &Rule, new: &Rule, changes: &mut Vec<String>) {
    for (what, old, new) in [
        ("allow", &old.allow, &new.allow),
        ("deny", &old.deny, &new.deny),
        ("restrict_css", &old.restrict_css, &new.restrict_css),
        (
            "restrict_xpaths",
            &old.restrict_xpaths,
            &new.restrict_xpaths,
        ),
        ("tags", &old.tags, &new.tags),
    ] {
        if old != new {
            let (old, new) = (patterns(old), patterns(new));
            changes.push(format!("rule {number}: {what} {old} -> {new}"));
        }
    }
    let rule = format!("rule {number}:");
    values(&format!("{rule} follow"), &old.follow, &new.follow, changes);
    values(
        &format!("{rule} priority"),
        &old.priority,
        &new.priority,
        changes,
    );
}

fn summary(rule: &Rule) -> String {
    match (rule.allow.is_empty(), rule.deny.is_empty()) {
        (false, _) => format!("allow {}", patterns(&rule.allow)),
        (true, false) => format!("deny {}", patterns(&rule.deny)),
        (true, true) => "allow everything".into(),
    }
}

fn patterns(list: &[String]) -> String {
    match list {
        [] => "nothing".into(),
        list => format!("`{}`", list.join("` `")),
    }
}

/// What one list has and the other has not; another order is no change.
fn lists(what: &str, old: &[String], new: &[String], changes: &mut Vec<String>) {
    let (before, after): (HashSet<_>, HashSet<_>) = (old.iter().collect(), new.iter().collect());
    let added = new.iter().filter(|item| !before.contains(item));
    let removed = old.iter().filter(|item| !after.contains(item));
    changes.extend(added.map(|item| format!("{what} added {}", masked_url(item))));
    changes.extend(removed.map(|item| format!("{what} removed {}", masked_url(item))));
}

fn limits<T: Display + PartialEq>(
    what: &str,
    old: Option<T>,
    new: Option<T>,
    changes: &mut Vec<String>,
) {
    let word = |limit: Option<T>| limit.map_or_else(|| "none".to_owned(), |n| n.to_string());
    values(what, &word(old), &word(new), changes);
}

fn values<T: Display + PartialEq>(what: &str, old: &T, new: &T, changes: &mut Vec<String>) {
    if old != new {
        changes.push(format!("{what} {old} -> {new}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(change: impl FnOnce(&mut Identity)) -> Identity {
        let mut identity = Identity {
            start_urls: vec!["https://a.example/".into()],
            scope: Scope {
                allowed_domains: vec!["a.example".into()],
                rules: vec![Rule {
                    allow: vec!["/a/".into()],
                    ..Rule::default()
                }],
                ..Scope::default()
            },
            sitemap: false,
        };
        change(&mut identity);
        identity
    }

    #[test]
    fn every_kind_of_change_is_named() {
        let old = identity(|_| {});
        for (change, want) in [
            (
                (|i| i.start_urls[0] = "https://b.example/".into()) as fn(&mut Identity),
                "start URL added https://b.example/; start URL removed https://a.example/",
            ),
            (
                |i| i.scope.allowed_domains.push("b.example".into()),
                "domain added b.example",
            ),
            (|i| i.scope.allowed_hosts.push("c".into()), "host added c"),
            (
                |i| i.scope.rules[0].allow[0] = "/b/".into(),
                "rule 1: allow `/a/` -> `/b/`",
            ),
            (
                |i| i.scope.rules[0].deny.push("x".into()),
                "rule 1: deny nothing -> `x`",
            ),
            (
                |i| i.scope.rules[0].restrict_css.push("main".into()),
                "rule 1: restrict_css nothing -> `main`",
            ),
            (
                |i| i.scope.rules[0].restrict_xpaths.push("//nav".into()),
                "rule 1: restrict_xpaths nothing -> `//nav`",
            ),
            (
                |i| i.scope.rules[0].tags.push("img".into()),
                "rule 1: tags nothing -> `img`",
            ),
            (
                |i| i.scope.rules[0].follow = false,
                "rule 1: follow true -> false",
            ),
            (|i| i.scope.rules[0].priority = 3, "rule 1: priority 0 -> 3"),
            (
                |i| i.scope.rules.push(Rule::default()),
                "rule 2 added: allow everything",
            ),
            (|i| i.scope.rules.clear(), "rule 1 removed: allow `/a/`"),
            (
                |i| i.scope.deny_extensions = Some(vec!["pdf".into()]),
                "deny_extensions: the usual list -> `pdf`",
            ),
            (|i| i.scope.depth_limit = Some(3), "depth limit none -> 3"),
            (|i| i.scope.allow.push("x".into()), "--allow nothing -> `x`"),
            (|i| i.scope.deny.push("x".into()), "--deny nothing -> `x`"),
            (
                |i| i.scope.below.push("https://a.example/b/".into()),
                "--no-parent: below nothing -> `https://a.example/b/`",
            ),
            (|i| i.sitemap = true, "sitemaps read false -> true"),
            (
                |i| i.scope.max_pages_per_host = Some(9),
                "pages a host none -> 9",
            ),
            (
                |i| i.scope.aggressive_urls = true,
                "--aggressive false -> true",
            ),
        ] {
            assert_eq!(describe(&old, &identity(change)), want);
        }
        assert_eq!(describe(&old, &old), "");
    }

    #[test]
    fn many_changes_are_counted() {
        let new = identity(|i| {
            let more = (0..20).map(|n| format!("https://{n}/"));
            i.start_urls.extend(more);
        });
        assert!(describe(&identity(|_| {}), &new).ends_with("; and 12 more"));
    }
}
