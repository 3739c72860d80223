//! The facts as a page that needs nothing but itself: no request leaves it, and without its script
//! all is there to read.

mod acts;
mod chart;
mod escape;
mod runs;
mod spreads;
mod table;
mod words;

use std::fmt::{Result, Write};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use self::escape::Html;
use self::words::{counted, moment, percent, time};
use super::facts::Findings;
use super::figures::SLOW_MS;
use super::row::Class;
use crate::human::{bytes, count};
use crate::summary::RunState;

const STYLE: &str = include_str!("style.css");
const DAY_MS: i64 = 86_400_000;
/// A crawl that took less is told to the second.
const QUICK_MS: i64 = 600_000;
const SCRIPT: &str = include_str!("script.js");

/// Writes the page.
///
/// # Errors
/// Those of the writer.
pub fn write_page(out: &mut impl Write, facts: &Findings) -> Result {
    writeln!(
        out,
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width,initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=referrer content=no-referrer><meta name=generator content=\"crawl-ckpt {}\"><title>{}: crawl report</title>\n\
         <style>{STYLE}</style></head><body><a class=skip href=\"#main\">To the findings</a>",
        source_of(STYLE),
        source_of(SCRIPT),
        env!("CARGO_PKG_VERSION"),
        Html(&facts.name)
    )?;
    head(out, facts)?;
    write!(
        out,
        "<nav aria-label=\"Parts of this page\"><div class=wrap>"
    )?;
    let against = facts.against.is_some();
    for (id, name) in [
        ("against", "Since the last crawl"),
        ("broken", "Broken"),
        ("redirects", "Redirects"),
        ("blocking", "Blocked"),
        ("fields", "Fields"),
        ("copies", "Copies"),
        ("slow", "Slow and large"),
        ("left", "Left out"),
        ("time", "Over time"),
        ("answers", "Answers"),
        ("hosts", "Hosts"),
        ("runs", "Runs"),
    ] {
        let is_there = match id {
            "against" => against,
            "blocking" => acts::has_blocks(facts),
            "fields" => facts.fields.is_some(),
            "runs" => facts.summary.is_some(),
            _ => true,
        };
        if is_there {
            write!(out, "<a href=\"#{id}\">{name}</a>")?;
        }
    }
    writeln!(out, "</div></nav>\n<main class=wrap id=main>")?;
    findings(out, facts)?;
    acts::write(out, facts)?;
    spreads::write(out, facts)?;
    if let Some(summary) = &facts.summary {
        runs::write(out, summary)?;
    }
    about(out, facts)?;
    writeln!(out, "</main>\n<script>{SCRIPT}</script></body></html>")
}

/// What a policy calls a style or script that stands in the page.
fn source_of(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}

fn of(facts: &Findings, class: Class) -> u64 {
    facts.classes[class as usize].count
}

fn head(out: &mut impl Write, facts: &Findings) -> Result {
    let (state, style, more) = state(facts);
    write!(
        out,
        "<header><div class=wrap><div class=top><div><p class=sub>Crawl report</p><h1>{}</h1><p class=\"sub mono\">{}</p></div>\
         <div class=right><span class=\"state {style}\">{}</span>",
        Html(&facts.name),
        Html(&facts.file),
        Html(state)
    )?;
    if !more.is_empty() {
        write!(out, "<p class=sub>{}</p>", Html(&more))?;
    }
    if let (Some(first), Some(last)) = (facts.first_ms, facts.last_ms) {
        let is_one_day = first.div_euclid(DAY_MS) == last.div_euclid(DAY_MS);
        let (from, to) = match last - first {
            ..QUICK_MS if is_one_day => ("%-d %b %Y, %H:%M:%S", "%H:%M:%S UTC"),
            _ if is_one_day => ("%-d %b %Y, %H:%M", "%H:%M UTC"),
            _ => ("%-d %b %Y, %H:%M", "%-d %b %Y, %H:%M UTC"),
        };
        write!(
            out,
            "<p class=sub>{} – {}</p>",
            moment(first, from),
            moment(last, to)
        )?;
    }
    write!(out, "</div></div>\n<div class=kpis>")?;
    let left_out = of(facts, Class::LeftOut);
    let well = of(facts, Class::Success) + of(facts, Class::Redirect);
    let asked = facts.records - left_out;
    kpi(
        out,
        "",
        &count(facts.records),
        "URLs finished",
        &format!("{} asked", count(asked)),
    )?;
    kpi(
        out,
        "",
        &percent(well, asked),
        "answered well",
        "2xx and 3xx",
    )?;
    let bad = if facts.broken.total > 0 { "bad" } else { "" };
    let retried = format!("{} tried again", count(facts.retried));
    kpi(out, bad, &count(facts.broken.total), "broken", &retried)?;
    let times = facts.elapsed_ms;
    let (median, p95) = match times.count {
        0 => ("–".to_owned(), "no times".to_owned()),
        _ => (
            time(times.median),
            format!("95 % within {}", time(times.p95)),
        ),
    };
    kpi(out, "", &median, "median answer", &p95)?;
    let median = format!("median {}", bytes(facts.page_bytes.median));
    kpi(out, "", &bytes(facts.bytes), "of pages", &median)?;
    let hosts = if facts.hosts.total == 1 {
        "host"
    } else {
        "hosts"
    };
    let parts = counted(facts.sections.total, "part", "parts");
    kpi(
        out,
        "",
        &count(facts.hosts.total),
        hosts,
        &format!("in {parts}"),
    )?;
    writeln!(out, "</div></div></header>")
}

fn kpi(out: &mut impl Write, class: &str, figure: &str, name: &str, more: &str) -> Result {
    write!(
        out,
        "<div class=\"kpi {class}\"><b>{}</b><span>{name}</span><em>{}</em></div>",
        Html(figure),
        Html(more)
    )
}

/// The state of the crawl in a word, how it looks, and what else there is to say.
fn state(facts: &Findings) -> (&str, &'static str, String) {
    let pending = |pending| format!("{} pending", counted(pending, "URL is", "URLs are"));
    if let Some(known) = &facts.checkpoint {
        return match known.state {
            "corrupt" => ("checkpoint damaged", "bad", String::new()),
            state => (
                state,
                "warn",
                known.pending.map(pending).unwrap_or_default(),
            ),
        };
    }
    match &facts.summary {
        None => (
            "no checkpoint",
            "",
            "complete, or its checkpoint was removed".to_owned(),
        ),
        Some(summary) if summary.state == RunState::Complete => ("complete", "ok", String::new()),
        Some(summary) => {
            let left = pending(summary.progress.counts.unfinished());
            let how = summary.state.as_str();
            (
                "unfinished",
                "warn",
                format!("{how}, {left}; its checkpoint is gone"),
            )
        }
    }
}

/// One thing to look at: how bad it is, where it leads, how many, of what, and what else.
type Card = (&'static str, &'static str, u64, String, String);

fn findings(out: &mut impl Write, facts: &Findings) -> Result {
    let mut found: Vec<Card> = Vec::new();
    let mut add = |class, id, number: u64, one: &str, many: &str, more: String| {
        if number > 0 {
            let words = if number == 1 { one } else { many };
            found.push((class, id, number, words.to_owned(), more));
        }
    };
    if let Some(against) = &facts.against {
        let mended = format!("{} mended", count(against.mended.total));
        add(
            "bad",
            "against",
            against.broke.total,
            "page broke",
            "pages broke",
            mended,
        );
    }
    let linking = match facts.linking.total {
        0 => String::new(),
        total => format!("{} there", counted(total, "page links", "pages link")),
    };
    add(
        "bad",
        "broken",
        facts.broken.total,
        "broken page",
        "broken pages",
        linking,
    );
    let paths = &facts.redirects;
    add(
        "bad",
        "redirects",
        paths.loops,
        "redirect loop",
        "redirect loops",
        String::new(),
    );
    add(
        "bad",
        "redirects",
        paths.to_broken,
        "redirect to a broken page",
        "redirects to broken pages",
        String::new(),
    );
    let redirects = format!("of {}", counted(paths.redirects, "redirect", "redirects"));
    add(
        "warn",
        "redirects",
        paths.chains,
        "redirect chain",
        "redirect chains",
        redirects,
    );
    let waiting = facts.parked().parked_urls;
    let blocks: u64 = facts.blocking.rows.iter().map(|host| host.blocks).sum();
    let (style, more) = match waiting {
        0 => (
            "warn",
            counted(blocks, "answer was a block", "answers were blocks"),
        ),
        _ => (
            "bad",
            format!(
                "{} for a decision",
                counted(waiting, "URL waits", "URLs wait")
            ),
        ),
    };
    add(
        style,
        "blocking",
        facts.blocking.total,
        "host blocks",
        "hosts block",
        more,
    );
    if let Some(fields) = &facts.fields {
        let empty = fields
            .filled
            .iter()
            .filter(|field| field.count * 2 < fields.items);
        let worst = fields.filled.first().map_or(String::new(), |field| {
            let missing = percent(fields.items - field.count, fields.items);
            format!("“{}” on {missing} of items", field.name)
        });
        add(
            "warn",
            "fields",
            empty.count() as u64,
            "field mostly empty",
            "fields mostly empty",
            worst,
        );
    }
    let wasted = format!(
        "{} fetched more than once",
        bytes(facts.copies.wasted_bytes)
    );
    add(
        "",
        "copies",
        facts.copies.copies,
        "copy of another page",
        "copies of other pages",
        wasted,
    );
    let titles = &facts.titles.groups;
    let sharing: u64 = facts.titles.copies + titles.total;
    let sharing = format!("{} share them", counted(sharing, "page", "pages"));
    add(
        "",
        "titles",
        titles.total,
        "title on several pages",
        "titles on several pages",
        sharing,
    );
    let slowest = format!("slowest {}", time(facts.elapsed_ms.max));
    let over = format!("took {} or longer", time(SLOW_MS));
    add(
        "warn",
        "slow",
        facts.slow,
        &format!("answer {over}"),
        &format!("answers {over}"),
        slowest,
    );
    let left_out = of(facts, Class::LeftOut);
    let share = format!("{} of all", percent(left_out, facts.records));
    add(
        "",
        "left",
        left_out,
        "URL not asked",
        "URLs not asked",
        share,
    );
    add(
        "bad",
        "about",
        facts.bad_lines,
        "line is no record",
        "lines are no records",
        String::new(),
    );
    if found.is_empty() {
        let well = match facts.records {
            0 => "There is no record in this file.",
            _ => "Nothing stands out: no broken page, no chain, no block, no copy.",
        };
        return writeln!(out, "<p class=fine>{well}</p>");
    }
    write!(out, "<section class=att aria-label=\"What to look at\">")?;
    for (class, id, number, words, more) in found {
        write!(
            out,
            "<a class=\"al {class}\" href=\"#{id}\"><b>{}</b>{}<small>{}</small></a>",
            count(number),
            Html(&words),
            Html(&more)
        )?;
    }
    writeln!(out, "</section>")
}

fn about(out: &mut impl Write, facts: &Findings) -> Result {
    write!(
        out,
        "<footer id=about><p>{} in {}, {}. Times are UTC.</p>",
        counted(facts.records, "record", "records"),
        Html(&facts.file),
        bytes(facts.file_bytes)
    )?;
    if let Some(line) = facts.first_bad_line {
        write!(
            out,
            "<p>{} passed over, first line {}.</p>",
            counted(
                facts.bad_lines,
                "line that is no record was",
                "lines that are no records were"
            ),
            count(line)
        )?;
    }
    if facts.unfinished_line {
        write!(
            out,
            "<p>The file ends within a line, as it does while a crawl writes.</p>"
        )?;
    }
    if let Some(torn) = &facts.torn {
        write!(out, "<p>The file ends early: {}.</p>", Html(torn))?;
    }
    writeln!(
        out,
        "<p>Made by crawl-ckpt report {}.</p></footer>",
        env!("CARGO_PKG_VERSION")
    )
}
