//! Where links stand on their page, and by which rule that makes them part of the crawl.

use crawl_ckpt::record::LinkRegions;

use crate::scope::{By, Scope};

/// Where the links of a page stand.
#[derive(Debug, Clone, Copy)]
pub enum Regions<'a> {
    /// Nowhere in particular.
    Untold,
    /// As crawl-fetch found it.
    Told(&'a LinkRegions),
    /// Where an earlier crawl found them, which took each on by this rule.
    Known(&'a [Option<usize>]),
}

impl Regions<'_> {
    /// The rule for a link: its place in the list, and its canonical URL.
    pub fn by(&self, place: usize, url: &str, scope: &Scope) -> By {
        let rule = match *self {
            Regions::Untold => return By::Url,
            Regions::Told(regions) => scope.rule_for(url, |region| stands(regions, place, region)),
            Regions::Known(rules) => match rules.get(place).copied().flatten() {
                Some(rule) => Some(rule),
                None => return By::Url,
            },
        };
        rule.map_or(By::Nothing, By::Rule)
    }
}

fn stands(regions: &LinkRegions, place: usize, region: Option<usize>) -> bool {
    let Ok(place) = u32::try_from(place) else {
        return false;
    };
    match region {
        None => place < regions.usual,
        Some(rule) => {
            let links = regions.rules.get(&rule);
            links.is_some_and(|links| links.binary_search(&place).is_ok())
        }
    }
}

/// Parts links as they are known from each other: URLs, and the rules that took them on, which
/// stand behind a `#`.
pub fn known(links: Vec<String>) -> (Vec<String>, Vec<Option<usize>>) {
    let part = |mut link: String| {
        let at = link.find('#');
        let rule = at.and_then(|at| link[at + 1..].parse().ok());
        link.truncate(at.unwrap_or(link.len()));
        (link, rule)
    };
    links.into_iter().map(part).unzip()
}
