//! Columns for people.

use crate::tool::printable;

/// A table: a heading and rows, columns as wide as their widest cell.
pub(crate) struct Table {
    /// Column headings; those that start with `>` are aligned to the right, without it.
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(columns: impl IntoIterator<Item = &'static &'static str>) -> Table {
        Table {
            columns: columns.into_iter().copied().collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; control characters are shown, not obeyed.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows
            .push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }

    /// The text; empty without rows.
    pub fn to_text(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let headings = self
            .columns
            .iter()
            .map(|c| c.trim_start_matches('>').to_owned());
        let rows = [headings.collect()]
            .into_iter()
            .chain(self.rows.iter().cloned());
        let rows: Vec<Vec<String>> = rows.collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|c| width(c).unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in &rows {
            let mut line = String::new();
            for ((cell, width), column) in row.iter().zip(&widths).zip(&self.columns) {
                line.push_str(&if column.starts_with('>') {
                    format!("{cell:>width$}  ")
                } else {
                    format!("{cell:<width$}  ")
                });
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Lines of a name and a value, the values below each other.
pub(crate) fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    facts
        .iter()
        .map(|(name, value)| format!("{name:<width$}  {}\n", printable(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["NAME", ">SIZE"]);
        assert_eq!(table.to_text(), "");
        table.row(["a".into(), "1000".into()]);
        table.row(["long\u{1b}".into(), "1".into()]);
        assert_eq!(
            table.to_text(),
            "NAME        SIZE\na           1000\nlong\\u{1b}     1\n"
        );
    }
}
