//! Where on a page links stand: the `restrict_css`, `restrict_xpaths` and `tags` of a spider's rules.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use crawl_ckpt::node::{Complaint, Node};
use crawl_ckpt::ranked::{self, ranked};

use super::build::{Workspace, build};
use super::css::Css;
use super::dom::{Id, NONE, Page, ROOT};
use super::element::Matcher;
use super::sections::selector::{css, xpath};
use super::xpath::{XPath, XPathMatch};
use crate::page::marks::Mark;

/// Elements whose links a region holds when nothing else is said: Scrapy's.
const USUAL_TAGS: [&str; 2] = ["a", "area"];

/// Elements that name what they show in `src`.
const WITH_SRC: [&str; 10] = [
    "audio", "embed", "frame", "iframe", "img", "input", "script", "source", "track", "video",
];

/// The regions of all rules that have one, by the rule's place in the order in which they decide.
#[derive(Debug, Default)]
pub struct Regions(BTreeMap<usize, Region>);

/// Where a rule wants links to stand.
#[derive(Debug)]
struct Region {
    /// In elements that one of these matches, which may be the link itself; none: anywhere.
    within: Vec<Css>,
    /// Or in those that one of these finds.
    paths: Vec<XPath>,
    /// Names of elements that links are taken of.
    tags: Vec<String>,
}

impl Regions {
    /// Reads the rules and sections of a spider file.
    ///
    /// # Errors
    /// Names the place of a bad selector.
    pub fn read(root: &Node<'_>) -> Result<Regions, Complaint> {
        let mut regions = BTreeMap::new();
        for (place, rule) in ranked(&mut root.object()?)?.into_iter().enumerate() {
            if !rule.region.is_everywhere() {
                regions.insert(place, Region::compile(rule.region)?);
            }
        }
        Ok(Regions(regions))
    }

    /// True when no rule asks where a link stands.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives what stands in each region as a link to `add`, which tells its number. The numbers
    /// of each region come back, ascending, by the place of the rule.
    pub fn find(
        &self,
        html: &[u8],
        marks: &[Mark],
        workspace: &mut Workspace,
        mut add: impl FnMut(&str) -> Option<u32>,
    ) -> BTreeMap<usize, Vec<u32>> {
        let Workspace { tree, source, .. } = workspace;
        let html: Cow<'_, str> = String::from_utf8_lossy(html);
        let marks = match html {
            Cow::Borrowed(_) => marks,
            Cow::Owned(_) => &[],
        };
        let page = Page {
            html: build(&html, marks, tree, source),
            tree,
        };
        let regions = self.0.iter();
        let numbers = regions.map(|(place, region)| {
            let mut numbers = Vec::new();
            region.walk(page, |link| numbers.extend(add(link)));
            numbers.sort_unstable();
            numbers.dedup();
            (*place, numbers)
        });
        numbers.collect()
    }
}

impl Region {
    fn compile(region: ranked::Region) -> Result<Region, Complaint> {
        let mut within = Vec::new();
        for kept in &region.css {
            let css = css(&kept.node())?;
            if !css.is_of_elements() {
                return Err(kept.node().expected("a CSS selector of elements"));
            }
            within.push(css);
        }
        let mut paths = Vec::new();
        for kept in &region.xpaths {
            let path = xpath(&kept.node())?;
            if !path.is_of_elements() {
                return Err(kept.node().expected("an XPath expression of elements"));
            }
            paths.push(path);
        }
        let tags = if region.tags.is_empty() {
            USUAL_TAGS.map(str::to_owned).to_vec()
        } else {
            region.tags
        };
        Ok(Region {
            within,
            paths,
            tags,
        })
    }

    /// Tells of each link in it, as it is written and decoded, in document order.
    fn walk(&self, page: Page<'_>, mut tell: impl FnMut(&str)) {
        let lists = self.within.iter().flat_map(|css| &css.parts);
        let mut matchers: Vec<_> = lists
            .map(|(list, _)| Matcher::new(list, page, ROOT))
            .collect();
        let paths = self.paths.iter().flat_map(|path| path.find(page, ROOT));
        let found: HashSet<Id> = paths
            .filter_map(|found| match found {
                XPathMatch::Node(id) => Some(id),
                _ => None,
            })
            .collect();
        let mut is_within =
            |id: Id| found.contains(&id) || matchers.iter_mut().any(|matcher| matcher.matches(id));
        // The document itself may be what an expression finds.
        let everywhere = self.within.is_empty() && self.paths.is_empty() || found.contains(&ROOT);
        let mut at = page.following(ROOT, ROOT);
        // Behind the region that `at` is in; regions within it change nothing.
        let mut end = None;
        while at != NONE {
            if end == Some(at) {
                end = None;
            }
            if page.is_element(at) {
                if end.is_none() && !everywhere && is_within(at) {
                    end = Some(page.behind(at, ROOT));
                }
                if everywhere || end.is_some() {
                    self.tell_links(page, at, &mut tell);
                }
            }
            at = page.following(at, ROOT);
        }
    }

    fn tell_links(&self, page: Page<'_>, id: Id, tell: &mut impl FnMut(&str)) {
        let name = page.name(id);
        if !self.tags.iter().any(|tag| tag == name) {
            return;
        }
        let source = WITH_SRC.contains(&name).then_some("src");
        for attribute in ["href"].into_iter().chain(source) {
            if let Some(link) = page.attribute(id, attribute) {
                tell(&link);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// The links in the region of a rule, as they are written.
    #[track_caller]
    fn links(rule: Value, html: &str) -> Vec<String> {
        let value = json!({"rules": [{}, rule]});
        let regions = Regions::read(&Node::root(&value)).unwrap();
        let mut links = Vec::new();
        let numbers = regions.find(html.as_bytes(), &[], &mut Workspace::default(), |link| {
            links.push(link.to_owned());
            Some(links.len() as u32 - 1)
        });
        assert_eq!(numbers.len(), 1);
        assert_eq!(numbers[&1].len(), links.len());
        links
    }

    const PAGE: &str = "<!DOCTYPE html><link rel=next href=next><nav><a href=n1></a></nav>\
        <main><div class=x><a href='m1&amp;'></a><main><area href=m2></main><img src=i></div>\
        <template><a href=t></a></template></main><a href=out></a>\
        <footer><p><a class=more href=f1></a></footer>";

    #[test]
    fn links_stand_in_elements_that_match_or_are_those() {
        assert_eq!(links(json!({"restrict_css": "main"}), PAGE), ["m1&", "m2"]);
        let two = json!({"restrict_css": ["nav", "footer p, .x"]});
        assert_eq!(links(two, PAGE), ["n1", "m1&", "m2", "f1"]);
        assert_eq!(links(json!({"restrict_css": "a.more"}), PAGE), ["f1"]);
        assert_eq!(links(json!({"restrict_css": "aside"}), PAGE).len(), 0);
    }

    #[test]
    fn a_region_may_end_where_the_next_begins() {
        let html = "<p class=x><a href=1></a><p><a href=2></a><p class=x><a href=3></a>\
            <p class=x><a href=4></a>";
        assert_eq!(links(json!({"restrict_css": ".x"}), html), ["1", "3", "4"]);
    }

    #[test]
    fn tags_choose_elements() {
        let region = json!({"restrict_css": "main", "tags": ["IMG"]});
        assert_eq!(links(region, PAGE), ["i"]);
        assert_eq!(
            links(json!({"tags": ["link", "area"]}), PAGE),
            ["next", "m2"]
        );
    }

    #[test]
    fn expressions_choose_regions_as_selectors_do() {
        let region = |path: Value| json!({"restrict_xpaths": path});
        assert_eq!(links(region(json!("//main")), PAGE), ["m1&", "m2"]);
        let two = json!(["//nav", "//*[@class='more'] | //p"]);
        assert_eq!(links(region(two), PAGE), ["n1", "f1"]);
        let both = json!({"restrict_xpaths": "//footer", "restrict_css": "nav", "tags": "a"});
        assert_eq!(links(both, PAGE), ["n1", "f1"]);
        assert_eq!(links(region(json!("//aside")), PAGE).len(), 0);
        assert_eq!(links(region(json!("/")), PAGE).len(), 5);
    }

    #[test]
    fn a_bad_selector_is_named() {
        for (rule, path) in [
            (json!({"restrict_css": "p["}), "$.rules[0].restrict_css"),
            (
                json!({"restrict_css": ["p", "a::text"]}),
                "$.rules[0].restrict_css[1]",
            ),
            (json!({"tags": [5]}), "$.rules[0].tags[0]"),
            (
                json!({"restrict_xpaths": "//a["}),
                "$.rules[0].restrict_xpaths",
            ),
            (
                json!({"restrict_xpaths": ["//a", "//a/@href"]}),
                "$.rules[0].restrict_xpaths[1]",
            ),
        ] {
            let value = json!({"rules": [rule]});
            assert_eq!(Regions::read(&Node::root(&value)).unwrap_err().path, path);
        }
    }
}
