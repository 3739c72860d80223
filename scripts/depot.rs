//! How long a store takes for a lease, for a commit and for a round of renewals, for `scripts/bench fleet`.
//!
//!     depot URL COUNT COPIES    claims COUNT partitions, then commits COUNT batches of 4 KB to one of them, each
//!                               when the one before is durable, and then renews the first 64 all at once, COUNT
//!                               times; prints a line of JSON, in milliseconds
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::time::Instant;

use crawl_ckpt::control::Counts;
use crawl_ckpt::fleet::{Claim, Depot, Fate, RedisDepot, StoreUrl, Wanted, Written};

/// A page's worth of a journal.
const BATCH: usize = 4096;
/// Partitions of one worker.
const OWNED: usize = 64;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (count, copies) = (words[1].parse().unwrap(), words[2].parse().unwrap());
    let url = StoreUrl::parse(&words[0], None).unwrap();
    let crawl_id = format!("latency-{}", std::process::id());
    let mut depot = RedisDepot::new(&url, "bench/latency", &crawl_id, count, copies);
    let mut epochs = Vec::new();
    let claims = timed(count, |part| {
        let claim = depot.claim(part, "depot", None).unwrap();
        let Claim::Ours { epoch, .. } = claim else {
            panic!("partition {part} is another's");
        };
        epochs.push(epoch);
    });
    // What compresses as a journal does not at all.
    let mut mark = 1_u64;
    let bytes: Vec<u8> = (0..BATCH)
        .map(|_| {
            mark = mark.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (mark >> 56) as u8
        })
        .collect();
    let commits = timed(count, |n| {
        let (sum, prev) = (format!("{n:032x}"), format!("{:032x}", n.wrapping_sub(1)));
        let written = Written {
            epoch: epochs[0],
            seq: u64::from(n) + 1,
            sum: &sum,
            prev: &prev,
            bytes: &bytes,
            output: None,
            counts: Counts::default(),
        };
        assert_eq!(depot.commit(0, &written).unwrap(), Fate::Durable);
    });
    let heard = BTreeMap::new();
    let wanted = (0..).zip(&epochs).take(OWNED).map(|(part, epoch)| Wanted {
        part,
        epoch: *epoch,
        heard: &heard,
    });
    let wanted: Vec<Wanted<'_>> = wanted.collect();
    let polls = timed(count, |_| {
        for letters in depot.poll(&wanted) {
            assert!(letters.unwrap().is_some());
        }
    });
    println!("{{\"claim\":{claims},\"commit\":{commits},\"poll\":{polls}}}");
}

/// Median, 99th of a hundred, and the worst.
fn timed(count: u32, mut act: impl FnMut(u32)) -> String {
    let mut times: Vec<f64> = (0..count)
        .map(|n| {
            let begun = Instant::now();
            act(n);
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let at = |hundredth: usize| times[(times.len() - 1) * hundredth / 100];
    format!(
        "{{\"median\":{:.3},\"p99\":{:.3},\"worst\":{:.3}}}",
        at(50),
        at(99),
        at(100)
    )
}
