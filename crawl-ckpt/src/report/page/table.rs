//! Tables, and what all of them say of rows that are not shown.

use std::fmt::{Result, Write};

use super::escape::{Html, Link};
use super::words::{counted, percent, time};
use crate::human::{bytes, count};
use crate::report::lines::Shown;
use crate::report::row::Class;
use crate::report::tally::Count;

/// The class of a column of figures; it also sorts by number.
pub const NUM: &str = "num";

/// The class of a column of URLs.
pub const WIDE: &str = "wide";

/// A table; `rows` writes its rows.
pub fn table<W: Write>(
    out: &mut W,
    label: &str,
    columns: &[(&str, &str)],
    rows: impl FnOnce(&mut W) -> Result,
) -> Result {
    write!(
        out,
        "<div class=tw tabindex=0 role=region aria-label=\"{label}\"><table class=sort><thead><tr>"
    )?;
    for (name, class) in columns {
        write!(out, "<th scope=col class=\"{class}\">{name}</th>")?;
    }
    write!(out, "</tr></thead><tbody>")?;
    rows(out)?;
    write!(out, "</tbody></table></div>")
}

/// Says how many of a list are not there.
pub fn not_shown(out: &mut impl Write, total: u64, shown: usize) -> Result {
    match total.saturating_sub(shown as u64) {
        0 => Ok(()),
        hidden => write!(
            out,
            "<p class=note>{} not shown here.</p>",
            counted(hidden, "more is", "more are")
        ),
    }
}

/// A cell with a number that sorting goes by.
pub fn number(out: &mut impl Write, value: u64, shown: &str) -> Result {
    write!(out, "<td class=num data-v={value}>{}</td>", Html(shown))
}

/// The name of a class in the style.
pub fn style(class: Class) -> &'static str {
    match class {
        Class::Success => "ok",
        Class::Redirect => "redir",
        Class::Blocked => "block",
        Class::ClientError => "client",
        Class::ServerError => "server",
        Class::NoAnswer => "error",
        Class::LeftOut => "left",
    }
}

/// The class of a status by its code.
pub fn style_of_status(status: &str) -> &'static str {
    match status.as_bytes().first() {
        Some(b'2') => "ok",
        Some(b'3') => "redir",
        Some(b'4') => "client",
        Some(b'5') => "server",
        _ => "error",
    }
}

/// A small label that says how a URL ended.
pub fn badge(out: &mut impl Write, line: &Shown) -> Result {
    write!(
        out,
        "<b class=\"st s-{}\">{}</b>",
        style(line.class),
        Html(&line.outcome)
    )
}

/// A bar of a part of the largest.
pub fn bar(out: &mut impl Write, part: u64, largest: u64, style: &str) -> Result {
    let width = part as f64 * 100.0 / largest.max(1) as f64;
    let width = if part > 0 { width.max(0.7) } else { width };
    write!(
        out,
        "<svg class=bar aria-hidden=true><rect class=back width=\"100%\" height=\"100%\" rx=4 /><rect class=\"f-{style}\" width=\"{width:.2}%\" height=\"100%\" rx=4 /></svg>"
    )
}

/// One row of [`bars`]: its name as HTML, how many, and its colour.
pub type Bar<'a> = (String, u64, &'a str);

/// Counts as bars, with their share of `whole`.
pub fn bars(out: &mut impl Write, label: &str, rows: &[Bar<'_>], whole: u64) -> Result {
    let largest = rows.iter().map(|row| row.1).max().unwrap_or(0);
    write!(out, "<table class=bars aria-label=\"{label}\"><tbody>")?;
    for (name, number, style) in rows {
        write!(out, "<tr><th scope=row>{name}</th><td class=bt>")?;
        bar(out, *number, largest, style)?;
        write!(
            out,
            "</td><td class=num>{}</td><td class=\"num dim\">{}</td></tr>",
            count(*number),
            percent(*number, whole)
        )?;
    }
    write!(out, "</tbody></table>")
}

/// Records of one kind: how they ended, their URL, and what else is said of them.
pub fn records(out: &mut impl Write, label: &str, lines: &[Shown], with: &[With]) -> Result {
    let mut columns = vec![("Answer", ""), ("URL", WIDE)];
    columns.extend(with.iter().map(|with| with.column()));
    table(out, label, &columns, |out| {
        for line in lines {
            write!(out, "<tr><td>")?;
            badge(out, line)?;
            write!(out, "</td><td class=wide>{}", Link(&line.url))?;
            if let Some(message) = line
                .message
                .as_deref()
                .filter(|message| !message.is_empty())
            {
                write!(out, "<small class=why>{}</small>", Html(message))?;
            }
            write!(out, "</td>")?;
            for with in with {
                with.cell(out, line)?;
            }
            write!(out, "</tr>")?;
        }
        Ok(())
    })
}

/// A further column of [`records`].
#[derive(Debug, Clone, Copy)]
pub enum With {
    FoundOn,
    Depth,
    Size,
    Time,
}

impl With {
    fn column(self) -> (&'static str, &'static str) {
        match self {
            With::FoundOn => ("Found on", WIDE),
            With::Depth => ("Depth", NUM),
            With::Size => ("Size", NUM),
            With::Time => ("Time", NUM),
        }
    }

    fn cell(self, out: &mut impl Write, line: &Shown) -> Result {
        let (value, shown) = match self {
            With::FoundOn => {
                return match &line.referer {
                    Some(page) => write!(out, "<td class=wide>{}</td>", Link(page)),
                    None if line.depth == Some(0) => {
                        write!(
                            out,
                            "<td class=\"wide dim\">a start URL, or in a sitemap</td>"
                        )
                    }
                    None => write!(out, "<td class=\"wide dim\">not known</td>"),
                };
            }
            With::Depth => (line.depth.map(u64::from), count as fn(u64) -> String),
            With::Size => (line.bytes, bytes as fn(u64) -> String),
            With::Time => (line.elapsed_ms, time as fn(u64) -> String),
        };
        match value {
            Some(value) => number(out, value, &shown(value)),
            None => write!(out, "<td class=num data-v=-1>–</td>"),
        }
    }
}

/// Names with how often they came.
pub fn named(counts: &[Count], style: &'static str) -> Vec<Bar<'static>> {
    let bars = counts.iter();
    bars.map(|count| (Html(&count.name).to_string(), count.count, style))
        .collect()
}
