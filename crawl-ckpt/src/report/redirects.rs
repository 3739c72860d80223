//! Where redirects lead in the end. Each is a record of its own, in any order.

use std::collections::{HashMap, HashSet};

use serde::Serialize;

/// So many are followed.
const MAX_REDIRECTS: usize = 200_000;

/// So many broken pages are known when a redirect is followed.
const MAX_BROKEN: usize = 1_000_000;

/// A path is told up to so many redirects.
const MAX_HOPS: usize = 20;

/// Redirects by the hash of their URL: where they stand, and the hash of where they lead.
#[derive(Debug, Default)]
pub struct Redirects {
    hops: HashMap<u64, (u64, u64)>,
    broken: HashSet<u64>,
    passed_over: u64,
}

/// How a path ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PathEnd {
    /// It comes back to itself.
    Loop,
    /// At a page that is broken.
    Broken,
    /// Nothing is known against where it ends.
    Sound,
}

/// A redirect that no other one leads to, and those that follow.
#[derive(Debug)]
pub struct Hops {
    /// Where the redirects stand, first to last.
    pub places: Vec<u64>,
    pub end: PathEnd,
}

impl Redirects {
    pub fn add(&mut self, url: u64, target: u64, place: u64) {
        if self.hops.len() < MAX_REDIRECTS {
            self.hops.insert(url, (place, target));
        } else {
            self.passed_over += 1;
        }
    }

    pub fn add_broken(&mut self, url: u64) {
        if self.broken.len() < MAX_BROKEN {
            self.broken.insert(url);
        }
    }

    /// So many were not followed.
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }

    /// All paths: loops first, then those to broken pages, then the longest.
    pub fn paths(&self) -> Vec<Hops> {
        let targets: HashSet<u64> = self.hops.values().map(|(_, target)| *target).collect();
        let mut walked = HashSet::new();
        let heads = self.hops.keys().filter(|url| !targets.contains(*url));
        let mut paths: Vec<Hops> = heads.map(|url| self.walk(*url, &mut walked)).collect();
        // What no head leads to goes round, and is told from where it stands first.
        let mut rings: Vec<(u64, u64)> = self.hops.iter().map(|(url, hop)| (hop.0, *url)).collect();
        rings.retain(|(_, url)| !walked.contains(url));
        rings.sort_unstable();
        for (_, url) in rings {
            if !walked.contains(&url) {
                let path = self.walk(url, &mut walked);
                if path.end == PathEnd::Loop {
                    paths.push(path);
                }
            }
        }
        paths.sort_by_key(|path| {
            (
                path.end,
                std::cmp::Reverse(path.places.len()),
                path.places[0],
            )
        });
        paths
    }

    fn walk(&self, head: u64, walked: &mut HashSet<u64>) -> Hops {
        let (mut url, mut places) = (head, Vec::new());
        let mut own = HashSet::new();
        let end = loop {
            let Some((place, target)) = self.hops.get(&url) else {
                break if self.broken.contains(&url) {
                    PathEnd::Broken
                } else {
                    PathEnd::Sound
                };
            };
            if !own.insert(url) {
                break PathEnd::Loop;
            }
            walked.insert(url);
            places.push(*place);
            if places.len() == MAX_HOPS {
                break PathEnd::Sound;
            }
            url = *target;
        };
        Hops { places, end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_followed_to_their_end_and_loops_are_found() {
        let mut redirects = Redirects::default();
        // 1 > 2 > 3; 4 > broken 5; 6 > 7 > 6; 8 > 6.
        for (place, (url, target)) in [
            (1, 2),
            (2, 3),
            (4, 5),
            (6, 7),
            (7, 6),
            (10, 11),
            (11, 10),
            (8, 6),
        ]
        .into_iter()
        .enumerate()
        {
            redirects.add(url, target, place as u64);
        }
        redirects.add_broken(5);
        let paths = redirects.paths();
        let told: Vec<_> = paths
            .iter()
            .map(|path| (path.end, path.places.as_slice()))
            .collect();
        assert_eq!(
            told,
            [
                (PathEnd::Loop, &[7, 3, 4][..]),
                (PathEnd::Loop, &[5, 6]),
                (PathEnd::Broken, &[2]),
                (PathEnd::Sound, &[0, 1])
            ]
        );
    }
}
