//! What is learned, absorbed and found again; and damage anywhere in it.

use std::collections::BTreeMap;

use super::*;
use crate::durable::RealDisk;
use crate::error::StoreError;
use crate::job::testing::TestPlace;

const SCOPE: ScopeHash = [1; 16];

fn fingerprint(n: u64) -> Fingerprint {
    *blake3::hash(&n.to_le_bytes())
        .as_bytes()
        .first_chunk()
        .unwrap()
}

/// One crawl: it learns these pages (number, digest), and of these that they are the same.
fn crawl(place: &TestPlace, pages: &[(u64, u8)], same: &[u64], scope: ScopeHash) {
    let job = place.create();
    let known = Known::open(&RealDisk, job.place(), scope).unwrap();
    let (mut file, mut learning) = begin(&job, &place.lock, known.as_ref(), scope).unwrap();
    for &(number, digest) in pages {
        let link = format!("http://a/{number}");
        let mut links = Vec::new();
        learning.page(&Page {
            fingerprint: fingerprint(number),
            status: 200,
            digest: Some([digest; 32]),
            links: PageLinks::encode([&link[..]], &mut links),
            ..Page::default()
        });
        if number % 7 == 0 {
            file.append(&learning.take()).unwrap();
        }
    }
    for number in same {
        learning.same(&fingerprint(*number));
    }
    file.append(&learning.take()).unwrap();
    // What no commit vouches for.
    file.append(b"torn").unwrap();
    absorb(&job, &place.lock, learning.end(), scope).unwrap();
    assert!(is_absorbed(&job).unwrap());
    absorb(&job, &place.lock, learning.end(), scope).unwrap();
    job.remove(&place.lock).unwrap();
}

fn known(place: &TestPlace, scope: ScopeHash) -> Known {
    let found = Known::open(&RealDisk, &place.place, scope).unwrap();
    found.unwrap()
}

/// Digest and missed crawls by number, found one by one, and all of them told.
fn found(place: &TestPlace, numbers: std::ops::Range<u64>) -> BTreeMap<u64, (u8, u32)> {
    let known = known(place, SCOPE);
    let mut buffer = Vec::new();
    let mut found = BTreeMap::new();
    for number in numbers {
        if let Some(page) = known.find(&fingerprint(number), &mut buffer).unwrap() {
            found.insert(number, (page.digest.unwrap()[0], page.missed));
        }
    }
    let mut pages = 0;
    known
        .tell(|_| {
            pages += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!((pages, known.pages()), (found.len() as u64, pages));
    found
}

#[test]
fn what_a_crawl_learned_is_known_to_the_next() {
    let place = TestPlace::new();
    let first: Vec<(u64, u8)> = (0..5000).map(|n| (n, 1)).collect();
    crawl(&place, &first, &[], SCOPE);
    let all = found(&place, 0..6000);
    assert_eq!(all.len(), 5000);
    assert!(all.values().all(|page| *page == (1, 0)));

    // The last word counts, and a page more than a mark.
    let same: Vec<u64> = (10..4990).chain([9998]).collect();
    crawl(&place, &[(3, 2), (3, 3), (5500, 4), (20, 5)], &same, SCOPE);
    let all = found(&place, 0..10_000);
    assert_eq!(all.len(), 5001);
    for (number, want) in [
        (3, (3, 0)),
        (20, (5, 0)),
        (5500, (4, 0)),
        (0, (1, 1)),
        (30, (1, 0)),
    ] {
        assert_eq!(all[&number], want, "{number}");
    }
}

#[test]
fn a_page_that_no_crawl_comes_by_is_forgotten_after_a_while() {
    let place = TestPlace::new();
    crawl(&place, &[(1, 1), (2, 1)], &[], SCOPE);
    for missed in 1..KEPT_CRAWLS {
        crawl(&place, &[], &[1], SCOPE);
        assert_eq!(found(&place, 0..9), [(1, (1, 0)), (2, (1, missed))].into());
    }
    crawl(&place, &[], &[1], SCOPE);
    assert_eq!(found(&place, 0..9), [(1, (1, 0))].into());
}

#[test]
fn links_hold_under_their_own_scope_alone() {
    let place = TestPlace::new();
    crawl(&place, &[(1, 1), (2, 1)], &[], SCOPE);
    let links = |scope, number| {
        let mut buffer = Vec::new();
        let page = known(&place, scope).find(&fingerprint(number), &mut buffer);
        let links = page.unwrap().unwrap().links;
        links.map(|links| links.decode().unwrap())
    };
    assert_eq!(links(SCOPE, 1).unwrap(), ["http://a/1"]);
    assert_eq!(links([2; 16], 1), None);
    crawl(&place, &[(2, 1)], &[], [2; 16]);
    assert_eq!(links([2; 16], 2).unwrap(), ["http://a/2"]);
    assert_eq!((links([2; 16], 1), links(SCOPE, 1)), (None, None));
}

#[test]
fn marks_speak_of_what_was_known_when_their_crawl_began() {
    let place = TestPlace::new();
    crawl(&place, &[(1, 1)], &[], SCOPE);
    let job = place.create();
    let (mut file, mut learning) = begin(&job, &place.lock, None, SCOPE).unwrap();
    learning.same(&fingerprint(1));
    file.append(&learning.take()).unwrap();
    absorb(&job, &place.lock, learning.end(), SCOPE).unwrap();
    assert_eq!(found(&place, 0..9), BTreeMap::new());
}

#[test]
fn no_flipped_byte_and_no_cut_of_what_is_known_goes_unnoticed() {
    let place = TestPlace::new();
    let pages: Vec<(u64, u8)> = (0..300).map(|n| (n, 1)).collect();
    crawl(&place, &pages, &[], SCOPE);
    let path = place.place.delta_dir().join(KNOWN);
    let good = std::fs::read(&path).unwrap();
    let check = || match Known::open(&RealDisk, &place.place, SCOPE)? {
        Some(known) => known.tell(|_| Ok(())),
        None => Ok(()),
    };
    assert!(good.len() > 16 << 10, "several blocks");
    check().unwrap();
    for at in (0..good.len()).step_by(5) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        std::fs::write(&path, &bad).unwrap();
        assert!(check().is_err(), "byte {at}");
        std::fs::write(&path, &good[..at]).unwrap();
        assert!(check().is_err(), "cut at {at}");
    }
}

#[test]
fn a_job_goes_on_where_its_commit_says_and_not_without_what_was_committed() {
    let place = TestPlace::new();
    let job = place.create();
    let (mut file, mut learning) = begin(&job, &place.lock, None, SCOPE).unwrap();
    learning.same(&fingerprint(1));
    file.append(&learning.take()).unwrap();
    let committed = learning.end();
    file.append(b"more").unwrap();
    let (file, learning) = resume(&job, &place.lock, committed, SCOPE).unwrap();
    assert_eq!((file.len(), learning.end()), (committed, committed));
    let damaged = |result: Result<(), StoreError>| {
        assert!(
            matches!(result, Err(StoreError::Damaged { .. })),
            "{result:?}"
        );
    };
    damaged(check(&job, committed + 1));
    let mut bytes = std::fs::read(file.path()).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(file.path(), &bytes).unwrap();
    check(&job, committed).unwrap();
    damaged(absorb(&job, &place.lock, committed, SCOPE));
    std::fs::remove_file(file.path()).unwrap();
    damaged(check(&job, committed));
}
