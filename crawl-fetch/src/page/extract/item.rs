//! From a page to the values of a field.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::article::Article;
use super::budget::MAX_ITEM_BYTES;
use super::dom::{Id, Page};
use super::processor::{PageTime, is_empty};
use super::sections::{Field, Source};
use super::select::{elements, selected};

/// A page that is being read for an item.
pub struct ItemReader<'r, 'p> {
    page: Page<'p>,
    article: &'r mut Article<'p>,
    page_time: PageTime,
    /// Bytes of text that the item may still take.
    left: usize,
}

impl<'r, 'p> ItemReader<'r, 'p> {
    /// Begins to read a page.
    pub fn new(page: Page<'p>, article: &'r mut Article<'p>, now: Timestamp) -> Self {
        ItemReader {
            page,
            article,
            page_time: PageTime::new(now),
            left: MAX_ITEM_BYTES,
        }
    }

    /// The fields of an item or of a row, `null` for one without a value.
    pub fn item(&mut self, fields: &[Field], scope: Id) -> Map<String, Value> {
        let field = |field: &Field| (field.name.clone(), self.value(field, scope));
        fields.iter().map(field).collect()
    }

    /// True when something was left out: the item is as large as one may be, or its selectors
    /// and expressions took as many steps as they may.
    pub fn is_cut(&self) -> bool {
        self.left == 0 || self.page.tree.budget.is_cut() || self.page_time.is_spent()
    }

    /// True when this machine had not enough for it.
    pub fn is_short(&self) -> bool {
        self.page.tree.budget.is_short()
    }

    fn value(&mut self, field: &Field, scope: Id) -> Value {
        let mut value = match &field.source {
            Source::Auto(core) => self.article.value(*core),
            Source::Select(selector, how) => selected(self.page, selector, *how, scope, self.left),
            Source::Rows(selector, fields) => {
                let rows = elements(self.page, selector, scope);
                rows.into_iter()
                    .map(|row| Value::Object(self.item(fields, row)))
                    .collect()
            }
        };
        for processor in &field.processors {
            value = processor.apply(value, &self.page_time);
        }
        if let (Some(core), true) = (field.fallback, is_empty(&value)) {
            value = self.article.value(core);
        }
        self.allow(value)
    }

    /// Counts a value's text; leaves it out when the item would be too large.
    fn allow(&mut self, value: Value) -> Value {
        let size = size_of(&value);
        match self.left.checked_sub(size) {
            Some(left) => {
                self.left = left;
                value
            }
            None => {
                self.left = 0;
                Value::Null
            }
        }
    }
}

/// About how many bytes a value takes in a line.
fn size_of(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 2,
        Value::Array(items) => items.iter().map(size_of).sum::<usize>() + items.len() + 2,
        // Its fields were counted when they were made.
        Value::Object(_) => 2,
        _ => 8,
    }
}
