//! How it went: over time, by answer, by host.

use std::fmt::{Result, Write};

use super::acts::{begin, end};
use super::chart::{legend, over_time, spread};
use super::escape::Html;
use super::table::{Bar, NUM, WIDE, bars, named, not_shown, number, style, style_of_status, table};
use super::words::{percent, time};
use crate::human::{bytes, count};
use crate::report::facts::{Findings, HostFacts, List};
use crate::report::figures::MAX_DEPTH;
use crate::report::histogram::Quantiles;
use crate::report::row::Class;

/// Writes all of it.
pub fn write(out: &mut impl Write, facts: &Findings) -> Result {
    begin(
        out,
        "time",
        "Over time",
        "Records by when they were fetched; a dotted line is a pause.",
    )?;
    over_time(out, facts)?;
    legend(out, facts)?;
    end(out)?;
    write!(out, "<div class=two id=answers>")?;
    answers(out, facts)?;
    begin(out, "", "Depth", "Links followed from a start URL.")?;
    let rows: Vec<Bar<'_>> = facts
        .depths
        .iter()
        .map(|(depth, count)| {
            let name = match *depth {
                0 => "0, start".to_owned(),
                MAX_DEPTH => format!("{MAX_DEPTH} and more"),
                depth => depth.to_string(),
            };
            (name, *count, "bar")
        })
        .collect();
    bars(out, "Depth", &rows, facts.records)?;
    write!(out, "<h3>Content</h3>")?;
    let pages = facts.classes[Class::Success as usize].count;
    bars(out, "Content", &named(&facts.types.rows, "bar"), pages)?;
    not_shown(out, facts.types.total, facts.types.rows.len())?;
    end(out)?;
    write!(out, "</div>\n<div class=two>")?;
    begin(
        out,
        "",
        "Time to answer",
        "From the first byte sent to the last one read.",
    )?;
    quantiles(out, facts.elapsed_ms, time)?;
    spread(
        out,
        "Time to answer",
        &facts.elapsed_octaves,
        facts.elapsed_ms.count,
        time,
    )?;
    end(out)?;
    begin(out, "", "Size of pages", "Decoded bodies of pages.")?;
    quantiles(out, facts.page_bytes, bytes)?;
    spread(
        out,
        "Size of pages",
        &facts.page_bytes_octaves,
        facts.page_bytes.count,
        bytes,
    )?;
    end(out)?;
    writeln!(out, "</div>")?;
    shares(out, "hosts", "Hosts", &facts.hosts)?;
    shares(out, "parts", "Parts of the site", &facts.sections)
}

fn answers(out: &mut impl Write, facts: &Findings) -> Result {
    begin(out, "", "Answers", "What servers said.")?;
    let rows: Vec<Bar<'_>> = facts
        .statuses
        .rows
        .iter()
        .map(|status| {
            let style = style_of_status(&status.name);
            let name = format!("<b class=\"st s-{style}\">{}</b>", Html(&status.name));
            (name, status.count, style)
        })
        .collect();
    bars(out, "Answers", &rows, facts.records)?;
    not_shown(out, facts.statuses.total, facts.statuses.rows.len())?;
    if !facts.errors.is_empty() {
        write!(out, "<h3>No usable answer</h3>")?;
        bars(
            out,
            "No usable answer",
            &named(&facts.errors, "error"),
            facts.records,
        )?;
    }
    end(out)
}

fn quantiles(out: &mut impl Write, of: Quantiles, words: fn(u64) -> String) -> Result {
    if of.count == 0 {
        return Ok(());
    }
    write!(
        out,
        "<p class=note>Half within {}, 95 % within {}, 99 % within {}, at most {}.</p>",
        words(of.median),
        words(of.p95),
        words(of.p99),
        words(of.max)
    )
}

fn shares(out: &mut impl Write, id: &str, title: &str, list: &List<HostFacts>) -> Result {
    begin(out, id, title, &count(list.total))?;
    let columns = [
        ("Name", WIDE),
        ("URLs", NUM),
        ("Answers", "barc"),
        ("Well", NUM),
        ("Median", NUM),
        ("95 %", NUM),
        ("Data", NUM),
    ];
    table(out, title, &columns, |out| {
        for host in &list.rows {
            share(out, host)?;
        }
        Ok(())
    })?;
    not_shown(out, list.total, list.rows.len())?;
    end(out)
}

fn share(out: &mut impl Write, host: &HostFacts) -> Result {
    let well = host.classes[Class::Success as usize] + host.classes[Class::Redirect as usize];
    write!(out, "<tr><td class=\"wide mono\">{}</td>", Html(&host.name))?;
    number(out, host.records, &count(host.records))?;
    write!(
        out,
        "<td class=barc data-v={well}><svg class=share viewBox=\"0 0 1000 10\" preserveAspectRatio=none role=img><title>"
    )?;
    let classes = Class::ALL.into_iter().zip(host.classes);
    let classes: Vec<_> = classes.filter(|(_, count)| *count > 0).collect();
    for (n, (class, number)) in classes.iter().enumerate() {
        let comma = if n > 0 { ", " } else { "" };
        write!(out, "{comma}{}: {}", class.words(), count(*number))?;
    }
    write!(out, "</title>")?;
    let mut x = 0.0;
    for (class, count) in classes {
        let width = count as f64 * 1000.0 / host.records.max(1) as f64;
        let style = style(class);
        write!(
            out,
            "<rect class=\"f-{style}\" x={x:.2} width={width:.2} height=10 />"
        )?;
        x += width;
    }
    write!(out, "</svg></td>")?;
    let asked = host.records - host.classes[Class::LeftOut as usize];
    number(out, well * 10_000 / asked.max(1), &percent(well, asked))?;
    let times = host.elapsed_ms;
    for value in [times.median, times.p95] {
        match times.count {
            0 => write!(out, "<td class=num data-v=-1>–</td>")?,
            _ => number(out, value, &time(value))?,
        }
    }
    number(out, host.bytes, &bytes(host.bytes))?;
    write!(out, "</tr>")
}
