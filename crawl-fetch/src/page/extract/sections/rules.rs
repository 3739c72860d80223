//! `rules` and their `callbacks`, for which `sections` are the newer words.

use crawl_ckpt::node::{Complaint, Node};

use super::articles::article;
use super::field::{Field, Reader};

/// A callback's name, and what it extracts.
type Callback<'a> = (&'a str, Option<Vec<Field>>);

impl Reader {
    /// `callbacks`: their names, and what they extract.
    pub(super) fn callbacks<'a>(
        &mut self,
        node: &Node<'a>,
    ) -> Result<Vec<Callback<'a>>, Complaint> {
        let mut callbacks = Vec::new();
        for (name, node) in node.object()?.all() {
            let mut keys = node.object()?;
            // It carries a row's fields to another page, so `extract` is of a row: without it
            // every item would be another one.
            if let Some(node) = keys.get("iterate") {
                return Err(node.complaint(
                    "items of two pages are not supported; `nested_list` makes a list of a page's rows, \
                     `parse` may do the rest",
                ));
            }
            let extract = match keys.get("extract") {
                Some(node) => Some(self.fields(&node, 0)?),
                None => None,
            };
            self.ignored.extend(keys.unknown());
            callbacks.push((name, extract));
        }
        Ok(callbacks)
    }

    /// What the callback of a rule extracts.
    pub(super) fn called(
        &mut self,
        node: &Node<'_>,
        callbacks: Option<&[Callback<'_>]>,
        articles: Option<&Vec<Field>>,
    ) -> Result<Option<Vec<Field>>, Complaint> {
        let name = node.string("the name of a callback")?;
        let own = callbacks.unwrap_or_default().iter();
        if let Some((_, extract)) = own.clone().find(|(known, _)| *known == name) {
            return Ok(extract.clone());
        }
        if name == "parse_article" {
            return Ok(Some(articles.cloned().unwrap_or_else(article)));
        }
        match callbacks {
            None => {
                // A method in Python.
                self.ignored.push(node.path().to_owned());
                Ok(None)
            }
            Some(callbacks) => {
                let names = callbacks.iter().map(|(name, _)| *name);
                let names: Vec<&str> = ["parse_article"].into_iter().chain(names).collect();
                Err(node.expected(names.join(" or ")))
            }
        }
    }
}
