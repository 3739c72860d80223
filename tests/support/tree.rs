//! A site of generated pages, the same for the same numbers.

use super::Random;
use super::http::Answer;

/// `pages` pages, each reachable from page 0 at `/`: a tree, with links across
/// it and back, so that most links lead to what was seen already.
#[derive(Debug, Clone, Copy)]
pub struct Tree {
    pub pages: usize,
    pub links_per_page: usize,
}

impl Tree {
    /// The path of page `n`.
    pub fn path(n: usize) -> String {
        match n {
            0 => "/".to_owned(),
            n => format!("/{}/page-{n}.html", n % 10),
        }
    }

    /// The paths of all pages.
    pub fn paths(&self) -> Vec<String> {
        (0..self.pages).map(Tree::path).collect()
    }

    /// The page at this path, if it is one.
    pub fn answer(&self, path: &str) -> Option<Answer> {
        let number = path.rsplit_once("page-").and_then(|(_, rest)| {
            let digits = rest.strip_suffix(".html")?;
            digits.parse().ok()
        });
        let number: usize = if path == "/" { 0 } else { number? };
        (number < self.pages && Tree::path(number) == path).then(|| Answer::html(self.page(number)))
    }

    /// The HTML of page `n`: its children in the tree, then links across.
    pub fn page(&self, n: usize) -> String {
        let children = (self.links_per_page / 2).max(1);
        let first = n * children + 1;
        let mut random = Random(n as u64);
        let mut links: Vec<usize> = (first..first + children)
            .filter(|n| *n < self.pages)
            .collect();
        while links.len() < self.links_per_page {
            links.push(random.below(self.pages as u64) as usize);
        }
        let mut html = format!("<!doctype html><title>Page {n}</title><h1>Page {n}</h1>\n<ul>\n");
        for link in links {
            html.push_str(&format!(
                "<li><a href=\"{}\">to {link}</a>\n",
                Tree::path(link)
            ));
        }
        html.push_str("</ul>\n");
        for _ in 0..8 {
            html.push_str(&format!("<p>Words {:016x} of this page.\n", random.next()));
        }
        html
    }
}
