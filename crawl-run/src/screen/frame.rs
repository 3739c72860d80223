//! What a screen of a given size shows: the crawls of a batch below each other in columns, and
//! last a line that is always there.

use super::part::{Part, columns, cut, fitted, painted};

/// Columns and rows of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// How many characters a line has.
    pub columns: usize,
    /// How many lines there are.
    pub rows: usize,
}

/// What stands over the columns of a batch.
const HEADINGS: [&str; 6] = ["SPIDER", "DONE", "PENDING", "PAGES/S", "STATE", "LEFT"];
/// The columns that hold numbers, to the right.
const NUMBERS: [usize; 3] = [1, 2, 3];
/// The order in which columns give way.
const GIVE_WAY: [usize; 3] = [5, 3, 4];
/// A name has at least and at most so many columns, if it needs them.
const NAME: std::ops::RangeInclusive<usize> = 16..=60;
const GAP: usize = 2;

/// One crawl of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which.
    pub name: String,
    /// What stands in the columns behind it.
    pub cells: [Part; 5],
}

/// The lines that a terminal of this size shows. The last one keeps its place, whatever has none.
pub fn lines(rows: &[Row], last: Option<&[Part]>, size: Size, colour: bool) -> Vec<String> {
    let width = size.columns.saturating_sub(1);
    // What was said before is to be seen, too.
    let most = size.rows.saturating_sub(1).max(1);
    let room = most - usize::from(last.is_some());
    let mut lines = match rows.len() {
        0 => Vec::new(),
        all if all < room => table(rows, width, colour),
        // The heading, and how many are not shown.
        all if room > 2 => {
            let shown = room - 2;
            let mut lines = table(&rows[..shown], width, colour);
            lines.push(cut(&format!("and {} more", all - shown), width));
            lines
        }
        _ => Vec::new(),
    };
    lines.extend(last.map(|parts| fitted(parts, width, colour)));
    lines
}

fn table(rows: &[Row], width: usize, colour: bool) -> Vec<String> {
    let cell = |row: &Row, column: usize| match column {
        0 => Part::new(0, row.name.clone()),
        _ => row.cells[column - 1].clone(),
    };
    let mut widths: Vec<usize> = (0..HEADINGS.len())
        .map(|column| {
            let cells = rows.iter().map(|row| columns(&cell(row, column).text));
            cells.max().unwrap_or(0).max(HEADINGS[column].len())
        })
        .collect();
    let full = widths[0].min(*NAME.end());
    let mut shown: Vec<usize> = (0..HEADINGS.len()).collect();
    let beside = |shown: &[usize], widths: &[usize]| -> usize {
        shown[1..].iter().map(|column| widths[*column] + GAP).sum()
    };
    for column in GIVE_WAY {
        if beside(&shown, &widths) + full.min(*NAME.start()) > width {
            shown.retain(|other| *other != column);
        }
    }
    widths[0] = full.min(width.saturating_sub(beside(&shown, &widths)));
    let line = |cells: &dyn Fn(usize) -> Part| {
        let cells = shown.iter().map(|column| {
            let Part { text, tone, .. } = cells(*column);
            let text = if *column == 0 {
                shortened(&text, widths[0])
            } else {
                text
            };
            let blanks = " ".repeat(widths[*column].saturating_sub(columns(&text)));
            let text = painted(&text, tone, colour);
            if NUMBERS.contains(column) {
                blanks + &text
            } else {
                text + &blanks
            }
        });
        let line = cells.collect::<Vec<_>>().join(&" ".repeat(GAP));
        line.trim_end().to_owned()
    };
    let mut lines = vec![line(&|column| Part::new(0, HEADINGS[column]))];
    lines.extend(rows.iter().map(|row| line(&|column| cell(row, column))));
    lines
}

/// A name in at most so many columns: its begin and its end.
fn shortened(name: &str, most: usize) -> String {
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= most {
        return name.to_owned();
    }
    let end = most.saturating_sub(1) / 2;
    let begin = most.saturating_sub(1) - end;
    let (begin, end) = (&chars[..begin], &chars[chars.len() - end..]);
    format!("{}…{}", String::from_iter(begin), String::from_iter(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, done: &str, state: &str) -> Row {
        let cells = [done, "1,630", "50.0", state, "at least 2m 00s"];
        Row {
            name: name.to_owned(),
            cells: cells.map(|text| Part::new(0, text)),
        }
    }

    fn shown(rows: &[Row], columns: usize, rows_there: usize) -> Vec<String> {
        let total = [
            Part::new(2, "batch: 1 of 9 done"),
            Part::new(1, "4 running"),
        ];
        let size = Size {
            columns,
            rows: rows_there,
        };
        lines(rows, Some(&total), size, false)
    }

    fn three() -> Vec<Row> {
        vec![
            row("docs.example", "568", "running"),
            row(
                "a-very-long-host-name.example/with/a/path",
                "12,345,678",
                "",
            ),
            row("c.example", "0", "3 errors"),
        ]
    }

    #[test]
    fn the_crawls_of_a_batch_stand_in_columns() {
        assert_eq!(
            shown(&three(), 100, 24),
            [
                "SPIDER                                           DONE  PENDING  PAGES/S  STATE     LEFT",
                "docs.example                                      568    1,630     50.0  running   at least 2m 00s",
                "a-very-long-host-name.example/with/a/path  12,345,678    1,630     50.0            at least 2m 00s",
                "c.example                                           0    1,630     50.0  3 errors  at least 2m 00s",
                "batch: 1 of 9 done, 4 running",
            ]
        );
    }

    #[test]
    fn columns_give_way_to_names_and_what_is_done() {
        assert_eq!(
            shown(&three(), 60, 24)[..2],
            [
                "SPIDER                     DONE  PENDING  PAGES/S  STATE",
                "docs.example                568    1,630     50.0  running",
            ]
        );
        assert_eq!(
            shown(&three(), 40, 24)[..3],
            [
                "SPIDER                    DONE  PENDING",
                "docs.example               568    1,630",
                "a-very-lo…h/a/path  12,345,678    1,630",
            ]
        );
    }

    #[test]
    fn the_total_is_shown_in_whatever_room_there_is() {
        let rows = three();
        let last = |rows_there| {
            let lines = shown(&rows, 80, rows_there);
            (lines.len(), lines.last().cloned())
        };
        let total = Some("batch: 1 of 9 done, 4 running".to_owned());
        for (rows_there, lines) in [(24, 5), (6, 5), (5, 4), (4, 1), (2, 1), (1, 1), (0, 1)] {
            assert_eq!(last(rows_there), (lines, total.clone()), "{rows_there}");
        }
        assert_eq!(shown(&rows, 80, 5)[2], "and 2 more");
    }

    #[test]
    fn a_crawl_alone_has_no_table() {
        let size = Size {
            columns: 80,
            rows: 24,
        };
        assert_eq!(
            lines(&[], Some(&[Part::new(0, "1 done")]), size, false),
            ["1 done"]
        );
        assert!(lines(&[], None, size, false).is_empty());
    }
}
