//! What to act on.

use std::fmt::{Result, Write};

use super::escape::{Html, Link};
use super::table::{
    Bar, NUM, WIDE, With, badge, bar, bars, named, not_shown, number, records, table,
};
use super::words::{counted, left_out as left_out_words, percent};
use crate::human::{bytes, count};
use crate::report::facts::{Alike, Comparison, FieldFacts, Findings, List, Repeated};
use crate::report::figures::LISTED;
use crate::report::lines::Shown;
use crate::report::redirects::PathEnd;

/// Writes all of it.
pub fn write(out: &mut impl Write, facts: &Findings) -> Result {
    if let Some(against) = &facts.against {
        compared(out, against)?;
    }
    broken(out, facts)?;
    redirects(out, facts)?;
    if has_blocks(facts) {
        blocking(out, facts)?;
    }
    if let Some(items) = &facts.fields {
        fields(out, items)?;
    }
    let wasted = bytes(facts.copies.wasted_bytes);
    let words = format!("Pages of the very same content; {wasted} fetched more than once.");
    repeated(out, ("copies", "Copies"), &words, &facts.copies, true)?;
    let words = "Pages of different content that search results show under one title.";
    repeated(out, ("titles", "Same title"), words, &facts.titles, false)?;
    write!(out, "<div class=two id=slow>")?;
    let with = [With::Time];
    listed(
        out,
        "",
        "Slowest answers",
        &facts.slowest,
        "No record has a time.",
        &with,
    )?;
    let with = [With::Size];
    listed(
        out,
        "",
        "Largest pages",
        &facts.largest,
        "No record has a size.",
        &with,
    )?;
    writeln!(out, "</div>")?;
    left_out(out, facts)
}

/// True when a host blocks, or is parked since it did.
pub fn has_blocks(facts: &Findings) -> bool {
    facts.blocking.total > 0 || facts.parked().parked_hosts > 0
}

/// Begins a section; its words are not those of strangers.
pub fn begin(out: &mut impl Write, id: &str, title: &str, words: &str) -> Result {
    let id = if id.is_empty() {
        String::new()
    } else {
        format!(" id={id}")
    };
    write!(
        out,
        "<section class=card{id}><div class=hd><h2>{title}</h2>"
    )?;
    if !words.is_empty() {
        write!(out, "<p>{words}</p>")?;
    }
    write!(out, "</div>")
}

/// Ends it.
pub fn end(out: &mut impl Write) -> Result {
    writeln!(out, "</section>")
}

fn listed(
    out: &mut impl Write,
    id: &str,
    title: &str,
    list: &List<Shown>,
    none: &str,
    with: &[With],
) -> Result {
    begin(out, id, title, &count(list.total))?;
    if list.rows.is_empty() {
        write!(out, "<p class=note>{none}</p>")?;
    } else {
        records(out, title, &list.rows, with)?;
        not_shown(out, list.total, list.rows.len())?;
    }
    end(out)
}

fn compared(out: &mut impl Write, against: &Comparison) -> Result {
    let records_before = counted(against.records, "record", "records");
    let words = format!("Against {records_before} in {}", Html(&against.file));
    begin(out, "against", "Since the crawl before", &words)?;
    if against.passed_over > 0 {
        write!(
            out,
            "<p class=note>{} of it not compared: there are too many. New pages are not told.</p>",
            counted(against.passed_over, "URL was", "URLs were")
        )?;
    }
    end(out)?;
    let lists = [
        (
            "Broke",
            &against.broke,
            "Nothing that was well is broken now.",
        ),
        (
            "Mended",
            &against.mended,
            "Nothing that was broken is well now.",
        ),
        ("New", &against.new, "No URL is new."),
    ];
    for (title, list, none) in lists {
        listed(out, "", title, list, none, &[With::FoundOn])?;
    }
    match (&against.gone, against.gone_unknown) {
        (Some(gone), _) => listed(
            out,
            "",
            "Not there any more",
            gone,
            "Every URL came again.",
            &[With::Depth],
        ),
        (None, why) => {
            begin(out, "", "Not there any more", "")?;
            let why = why.unwrap_or_default();
            write!(out, "<p class=note>Cannot be said: {why}.</p>")?;
            end(out)
        }
    }
}

fn broken(out: &mut impl Write, facts: &Findings) -> Result {
    let list = &facts.broken;
    let words = match list.total {
        0 => "Every page that was asked for could be had.".to_owned(),
        total => format!(
            "{} not be had; those nearest to a start page first, each with the page that it was found on first.",
            counted(total, "URL could", "URLs could")
        ),
    };
    begin(out, "broken", "Broken pages", &words)?;
    if list.total > 0 {
        records(
            out,
            "Broken pages",
            &list.rows,
            &[With::FoundOn, With::Depth],
        )?;
        not_shown(out, list.total, list.rows.len())?;
    }
    end(out)?;
    if facts.linking.total == 0 {
        return Ok(());
    }
    begin(
        out,
        "",
        "Pages to mend",
        "Where broken URLs were found first: most of them on one page are mended at once.",
    )?;
    table(
        out,
        "Pages to mend",
        &[("Page", WIDE), ("Broken URLs", NUM)],
        |out| {
            for page in &facts.linking.rows {
                write!(out, "<tr><td class=wide>{}</td>", Link(&page.name))?;
                number(out, page.count, &count(page.count))?;
                write!(out, "</tr>")?;
            }
            Ok(())
        },
    )?;
    not_shown(out, facts.linking.total, facts.linking.rows.len())?;
    if facts.unlinked > 0 {
        let urls = counted(facts.unlinked, "broken URL", "broken URLs");
        write!(
            out,
            "<p class=note>Of {urls} it is not known where: a start URL, one of a sitemap, or an output of an earlier version.</p>"
        )?;
    }
    end(out)
}

fn redirects(out: &mut impl Write, facts: &Findings) -> Result {
    let paths = &facts.redirects;
    let words = match paths.redirects {
        0 => "None.".to_owned(),
        redirects => format!(
            "{}, {}, {}, {} at broken pages. A link could lead to the end at once.",
            counted(redirects, "redirect", "redirects"),
            counted(paths.chains, "chain", "chains"),
            counted(paths.loops, "loop", "loops"),
            counted(paths.to_broken, "ends", "end")
        ),
    };
    begin(out, "redirects", "Redirects", &words)?;
    if paths.paths.total > 0 {
        let columns = [
            ("From", WIDE),
            ("To", WIDE),
            ("Found on", WIDE),
            ("Steps", NUM),
            ("End", ""),
        ];
        table(out, "Redirects", &columns, |out| {
            for path in &paths.paths.rows {
                let Some(first) = path.hops.first() else {
                    continue;
                };
                write!(
                    out,
                    "<tr><td class=wide>{}</td><td class=wide>",
                    Link(&first.url)
                )?;
                for hop in &path.hops {
                    write!(out, "<span class=hop>")?;
                    badge(out, hop)?;
                    write!(
                        out,
                        " {}</span>",
                        Link(hop.location.as_deref().unwrap_or_default())
                    )?;
                }
                write!(out, "</td><td class=wide>")?;
                if let Some(page) = &first.referer {
                    write!(out, "{}", Link(page))?;
                }
                write!(out, "</td>")?;
                let steps = path.hops.len() as u64;
                number(out, steps, &count(steps))?;
                let end = match path.end {
                    PathEnd::Loop => "<b class=\"st s-server\">loop</b>",
                    PathEnd::Broken => "<b class=\"st s-client\">broken</b>",
                    PathEnd::Sound => "",
                };
                write!(out, "<td>{end}</td></tr>")?;
            }
            Ok(())
        })?;
        not_shown(out, paths.paths.total, paths.paths.rows.len())?;
    }
    if paths.passed_over > 0 {
        let redirects = counted(paths.passed_over, "redirect was", "redirects were");
        write!(
            out,
            "<p class=note>{redirects} not followed: there are too many.</p>"
        )?;
    }
    end(out)
}

fn blocking(out: &mut impl Write, facts: &Findings) -> Result {
    let words = "Answers 403 and 429, and pages that only say that they are for people.";
    begin(out, "blocking", "Hosts that block", words)?;
    let columns = [("Host", WIDE), ("Blocks", NUM), ("Of", NUM), ("Share", NUM)];
    if facts.blocking.total > 0 {
        table(out, "Hosts that block", &columns, |out| {
            for host in &facts.blocking.rows {
                write!(out, "<tr><td class=\"wide mono\">{}</td>", Html(&host.name))?;
                number(out, host.blocks, &count(host.blocks))?;
                number(out, host.records, &count(host.records))?;
                number(
                    out,
                    host.blocks * 1000 / host.records.max(1),
                    &percent(host.blocks, host.records),
                )?;
                write!(out, "</tr>")?;
            }
            Ok(())
        })?;
        not_shown(out, facts.blocking.total, facts.blocking.rows.len())?;
    }
    let parked = facts.parked();
    for host in parked.parked.iter().take(LISTED) {
        write!(
            out,
            "<p class=note><b class=mono>{}</b>: {} for a decision; {}</p>",
            Html(&host.host),
            counted(host.urls, "URL waits", "URLs wait"),
            Html(&host.why)
        )?;
    }
    not_shown(out, parked.parked_hosts, parked.parked.len().min(LISTED))?;
    end(out)
}

fn fields(out: &mut impl Write, fields: &FieldFacts) -> Result {
    let words = format!(
        "How many of {} have a value, the emptiest first.",
        counted(fields.items, "item", "items")
    );
    begin(out, "fields", "Fields of the items", &words)?;
    table(
        out,
        "Fields",
        &[
            ("Field", WIDE),
            ("Filled", "barc"),
            ("Items", NUM),
            ("Share", NUM),
        ],
        |out| {
            for field in &fields.filled {
                write!(
                    out,
                    "<tr><td class=\"wide mono\">{}</td><td class=barc data-v={}>",
                    Html(&field.name),
                    field.count
                )?;
                bar(out, field.count, fields.items, "ok")?;
                write!(out, "</td>")?;
                number(out, field.count, &count(field.count))?;
                number(out, field.count, &percent(field.count, fields.items))?;
                write!(out, "</tr>")?;
            }
            Ok(())
        },
    )?;
    if fields.is_cut {
        write!(
            out,
            "<p class=note>There are more fields than are counted.</p>"
        )?;
    }
    end(out)
}

fn repeated(
    out: &mut impl Write,
    (id, title): (&str, &str),
    words: &str,
    repeated: &Repeated,
    sizes: bool,
) -> Result {
    let groups = &repeated.groups;
    begin(
        out,
        id,
        title,
        if groups.total > 0 { words } else { "None." },
    )?;
    if groups.total > 0 {
        let pages = if sizes { "Content" } else { "Title" };
        let mut columns = vec![(pages, WIDE), ("Pages", NUM)];
        if sizes {
            columns.push(("Size of one", NUM));
        }
        table(out, title, &columns, |out| {
            for group in &groups.rows {
                alike(out, group)?;
                number(out, group.count, &count(group.count))?;
                if sizes {
                    number(out, group.bytes_each, &bytes(group.bytes_each))?;
                }
                write!(out, "</tr>")?;
            }
            Ok(())
        })?;
        not_shown(out, groups.total, groups.rows.len())?;
    }
    if repeated.passed_over > 0 {
        let pages = counted(repeated.passed_over, "page was", "pages were");
        write!(
            out,
            "<p class=note>{pages} not compared: there are too many.</p>"
        )?;
    }
    end(out)
}

fn alike(out: &mut impl Write, group: &Alike) -> Result {
    let title = group.pages.first().and_then(|page| page.title.as_deref());
    write!(
        out,
        "<tr><td class=wide><b>{}</b>",
        Html(title.unwrap_or("no title"))
    )?;
    for page in &group.pages {
        write!(out, "<span class=hop>{}</span>", Link(&page.url))?;
    }
    let hidden = group.count.saturating_sub(group.pages.len() as u64);
    if hidden > 0 {
        write!(out, "<small>and {} more</small>", count(hidden))?;
    }
    write!(out, "</td>")
}

fn left_out(out: &mut impl Write, facts: &Findings) -> Result {
    let words = "URLs of the crawl that were not asked for, and links that were not taken on.";
    begin(out, "left", "Left out", words)?;
    let list = &facts.left_out;
    if list.total > 0 {
        bars(
            out,
            "Not asked, by reason",
            &named(&facts.left_out_by, "left"),
            list.total,
        )?;
        records(out, "Not asked", &list.rows, &[With::FoundOn])?;
        not_shown(out, list.total, list.rows.len())?;
    }
    match facts.not_taken_on() {
        Some(not_taken_on) if !not_taken_on.is_empty() => {
            let sum = not_taken_on.iter().map(|reason| reason.count).sum();
            write!(out, "<h3>Links not taken on</h3>")?;
            let rows: Vec<Bar<'_>> = not_taken_on
                .iter()
                .map(|of| (Html(left_out_words(&of.name)).to_string(), of.count, "left"))
                .collect();
            bars(out, "Links not taken on, by reason", &rows, sum)?;
        }
        Some(_) => {}
        None => write!(
            out,
            "<p class=note>What rules and caps kept out of the crawl is not known: neither its checkpoint is there nor its summary.</p>"
        )?,
    }
    end(out)
}
