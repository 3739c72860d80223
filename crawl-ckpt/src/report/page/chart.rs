//! Records over time, and how figures spread.

use std::fmt::{Result, Write};

use super::escape::Html;
use super::table::{Bar, bars, style};
use super::words::moment;
use crate::human::count;
use crate::report::facts::Findings;
use crate::report::histogram::Octave;
use crate::report::row::Class;
use crate::report::timeline::Step;

const HEIGHT: f64 = 160.0;

/// What is shorter is no pause.
const MIN_PAUSE_MS: i64 = 2000;

/// Columns by step, stacked by class. A step in which nothing came takes no place, so that a pause
/// of days is a thin line.
pub fn over_time(out: &mut impl Write, facts: &Findings) -> Result {
    let steps = &facts.timeline;
    let (Some(first), Some(last)) = (steps.first(), steps.last()) else {
        return write!(out, "<p class=note>No record says when it was fetched.</p>");
    };
    let sum = |step: &Step| step.counts.iter().sum::<u64>();
    let most = steps.iter().map(sum).max().unwrap_or(0).max(1);
    // A site that takes a moment is no pause.
    let least = MIN_PAUSE_MS.max(facts.step_ms);
    let gap = |pair: &[Step]| pair[1].at_ms - pair[0].at_ms > least;
    let gaps = steps.windows(2).filter(|pair| gap(pair)).count();
    let width = 10 * (steps.len() + gaps);
    write!(
        out,
        "<div class=chart><div class=ymax>{} in {}</div><svg viewBox=\"0 0 {width} {HEIGHT}\" preserveAspectRatio=none role=img aria-label=\"Records over time, from {} to {}, at most {} in a step\">",
        count(most),
        step_words(facts.step_ms),
        moment(first.at_ms, "%H:%M:%S"),
        moment(last.at_ms, "%H:%M:%S"),
        count(most)
    )?;
    let mut x = 0;
    for (n, step) in steps.iter().enumerate() {
        if n > 0 && gap(&steps[n - 1..=n]) {
            let middle = x + 5;
            write!(
                out,
                "<line class=pause x1={middle} x2={middle} y1=0 y2={HEIGHT}><title>nothing from {} to {}</title></line>",
                moment(steps[n - 1].at_ms + facts.step_ms, "%Y-%m-%d %H:%M:%S"),
                moment(step.at_ms, "%Y-%m-%d %H:%M:%S")
            )?;
            x += 10;
        }
        write!(out, "<g><title>{}", moment(step.at_ms, "%Y-%m-%d %H:%M:%S"))?;
        let counts = Class::ALL.into_iter().zip(step.counts);
        let counts: Vec<_> = counts.filter(|(_, number)| *number > 0).collect();
        for (class, number) in &counts {
            write!(out, ", {} {}", count(*number), class.words().to_lowercase())?;
        }
        write!(out, "</title>")?;
        let mut top = HEIGHT;
        for (class, number) in counts {
            let height = number as f64 * HEIGHT / most as f64;
            top -= height;
            write!(
                out,
                "<rect class=\"f-{}\" x={}.5 width=9 y={top:.2} height={height:.2} />",
                style(class),
                x
            )?;
        }
        write!(out, "</g>")?;
        x += 10;
    }
    write!(
        out,
        "</svg><div class=xs><span>{}</span><span>{}</span></div></div>",
        moment(first.at_ms, "%-d %b, %H:%M:%S"),
        moment(last.at_ms + facts.step_ms, "%-d %b, %H:%M:%S UTC")
    )
}

fn step_words(ms: i64) -> String {
    match ms {
        ..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{} s", ms / 1000),
        60_000..3_600_000 => format!("{} min", ms / 60_000),
        _ => format!("{} h", ms / 3_600_000),
    }
}

/// The classes with their colours and shares.
pub fn legend(out: &mut impl Write, facts: &Findings) -> Result {
    write!(
        out,
        "<svg class=share viewBox=\"0 0 1000 10\" preserveAspectRatio=none aria-hidden=true>"
    )?;
    let mut x = 0.0;
    for of in &facts.classes {
        let width = of.count as f64 * 1000.0 / facts.records.max(1) as f64;
        if of.count > 0 {
            write!(
                out,
                "<rect class=\"f-{}\" x={x:.2} width={width:.2} height=10 />",
                style(of.class)
            )?;
        }
        x += width;
    }
    write!(out, "</svg><ul class=legend>")?;
    for of in facts.classes.iter().filter(|of| of.count > 0) {
        write!(
            out,
            "<li><svg class=dot aria-hidden=true><rect class=\"f-{}\" width=10 height=10 rx=3 /></svg>{} <b>{}</b> <small>{}</small></li>",
            style(of.class),
            of.class.words(),
            count(of.count),
            super::words::percent(of.count, facts.records)
        )?;
    }
    write!(out, "</ul>")
}

/// How numbers spread, from one power of two to the next.
pub fn spread(
    out: &mut impl Write,
    label: &str,
    octaves: &[Octave],
    whole: u64,
    words: fn(u64) -> String,
) -> Result {
    let rows: Vec<Bar<'_>> = octaves
        .iter()
        .map(|octave| {
            let name = match octave.from {
                0 | 1 => words(octave.from),
                from => format!("{} – {}", words(from), words(from.saturating_mul(2))),
            };
            (Html(&name).to_string(), octave.count, "bar")
        })
        .collect();
    bars(out, label, &rows, whole)
}
