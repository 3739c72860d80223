//! EXSLT's functions of sets, as libexslt has them. Nodes come and go in the page's order.

use std::hash::Hash;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::axis::{Spent, Spot};
use super::value::text_of;
use crate::page::extract::dom::Page;

/// Those that are not among the others.
pub fn without(all: Vec<Spot>, others: &[Spot]) -> Vec<Spot> {
    let others = set(others);
    let kept = all.into_iter().filter(|spot| !others.contains(spot));
    kept.collect()
}

/// Those that are among the others.
pub fn shared(all: Vec<Spot>, others: &[Spot]) -> Vec<Spot> {
    let others = set(others);
    let kept = all.into_iter().filter(|spot| others.contains(spot));
    kept.collect()
}

/// Those before the first of the others: all when there is none, none when it is not among them.
pub fn before(mut all: Vec<Spot>, others: &[Spot]) -> Vec<Spot> {
    if let Some(first) = others.first() {
        let place = all.iter().position(|spot| spot == first);
        all.truncate(place.unwrap_or(0));
    }
    all
}

/// Those behind the first of the others, the same.
pub fn behind(mut all: Vec<Spot>, others: &[Spot]) -> Vec<Spot> {
    if let Some(first) = others.first() {
        let place = all.iter().position(|spot| spot == first);
        all.drain(..place.map_or(all.len(), |place| place + 1));
    }
    all
}

/// The first of those that have the same text. Texts are known by their digest: those of elements in
/// each other have the same bytes many times over.
pub fn distinct(page: Page<'_>, all: Vec<Spot>) -> Result<Vec<Spot>, Spent> {
    let (mut seen, mut kept) = (set(&[]), Vec::new());
    for spot in all {
        let digest = blake3::hash(text_of(page, spot)?.as_bytes());
        if seen.insert(*digest.as_bytes()) {
            kept.push(spot);
        }
    }
    Ok(kept)
}

fn set<T: Hash + Eq + Clone>(items: &[T]) -> HashSet<T, RandomState> {
    items.iter().cloned().collect()
}
