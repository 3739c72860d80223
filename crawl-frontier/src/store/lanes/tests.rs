//! Lanes and schedule together, as a crawl uses them.

use std::sync::Arc;

use crawl_ckpt::durable::RealDisk;

use super::*;
use crate::schedule::Gate;
use crate::store::memory::Memory;
use crate::store::seen::Seen;

fn ticket(n: u64) -> Ticket {
    Ticket {
        id: n,
        at: n * 1000,
    }
}

fn sent(queue: &mut Memory, now_ms: u64) -> Option<Ticket> {
    let (host, ticket) = queue.next(now_ms)?;
    queue.schedule.sent(host, now_ms);
    Some(ticket)
}

fn drain(queue: &mut Memory, now_ms: u64) -> Vec<u64> {
    std::iter::from_fn(|| sent(queue, now_ms))
        .map(|ticket| ticket.id)
        .collect()
}

#[test]
fn hosts_take_turns_and_each_is_first_come_first_served() {
    let mut queue = Memory::new(9, Seen::new());
    let (a, b) = (
        queue.schedule.host_of("http://a", Gate::Open),
        queue.schedule.host_of("http://b", Gate::Open),
    );
    for at in [10, 11, 12] {
        queue.push(a, ticket(at), 0);
    }
    queue.push(b, ticket(20), 0);
    assert_eq!(queue.schedule.host_of("http://a", Gate::Open), a);
    assert_eq!(drain(&mut queue, 0), [10, 20, 11, 12]);
    assert_eq!(queue.pending(), 0);
}

#[test]
fn a_higher_priority_goes_first() {
    let mut queue = Memory::new(9, Seen::new());
    let a = queue.schedule.host_of("http://a", Gate::Open);
    for (at, priority) in [(1, 0), (2, -5), (3, 7), (4, 7), (5, 0)] {
        queue.push(a, ticket(at), priority);
    }
    let ids = queue.lanes.of(a).into_iter().map(|(_, ticket)| ticket.id);
    assert_eq!(ids.collect::<Vec<_>>(), [3, 4, 1, 5, 2]);
    assert_eq!(drain(&mut queue, 0), [3, 4, 1, 5, 2]);
}

#[test]
fn a_host_has_no_more_in_flight_than_its_window() {
    let mut queue = Memory::new(2, Seen::new());
    let a = queue.schedule.host_of("http://a", Gate::Open);
    (0..5).for_each(|at| queue.push(a, ticket(at), 0));
    assert_eq!(drain(&mut queue, 0), [0, 1]);
    queue.schedule.answered(a);
    assert_eq!(drain(&mut queue, 0), [2]);
}

#[test]
fn a_delay_holds_one_host_and_no_other() {
    let mut queue = Memory::new(9, Seen::new());
    let (a, b) = (
        queue.schedule.host_of("http://a", Gate::Open),
        queue.schedule.host_of("http://b", Gate::Open),
    );
    queue.schedule.change(a, |host| host.delay_ms = 100);
    (0..3).for_each(|at| queue.push(a, ticket(at), 0));
    (10..13).for_each(|at| queue.push(b, ticket(at), 0));
    assert_eq!(drain(&mut queue, 1000), [0, 10, 11, 12]);
    assert_eq!(queue.schedule.next_due_ms(), Some(1100));
    assert!(drain(&mut queue, 1099).is_empty());
    assert_eq!(drain(&mut queue, 1100), [1]);
}

#[test]
fn a_deferred_request_comes_back_in_time_and_first() {
    let mut queue = Memory::new(9, Seen::new());
    let a = queue.schedule.host_of("http://a", Gate::Open);
    queue.push(a, ticket(1), 3);
    queue.schedule.defer(a, ticket(9), 500);
    assert_eq!(queue.pending(), 2);
    assert_eq!(queue.schedule.next_due_ms(), Some(500));
    queue.push(a, ticket(2), 3);
    assert_eq!(drain(&mut queue, 500), [9, 1, 2]);
}

#[test]
fn a_shut_host_waits_until_its_gate_opens() {
    let mut queue = Memory::new(9, Seen::new());
    let a = queue.schedule.host_of("http://a", Gate::Shut);
    queue.push(a, ticket(1), 0);
    assert!(drain(&mut queue, 5).is_empty());
    queue.schedule.change(a, |host| host.gate = Gate::Open);
    assert_eq!(drain(&mut queue, 5), [1]);
}

#[test]
fn requests_that_arrive_together_end_up_as_if_they_had_come_one_by_one() {
    let (mut plain, mut bulk) = (Memory::new(9, Seen::new()), Memory::new(9, Seen::new()));
    for queue in [&mut plain, &mut bulk] {
        for origin in ["http://a", "http://b", "http://c"] {
            let id = queue.schedule.host_of(origin, Gate::Open);
            queue.push(id, ticket(u64::from(id.0)), 0);
            queue.push(id, ticket(10 + u64::from(id.0)), 5);
        }
        assert!(sent(queue, 0).is_some());
    }
    for n in 100..200_u64 {
        let (host, priority) = (HostId((n % 3) as u32), [0, 0, 5, -1][n as usize % 4]);
        bulk.arrive(host, (n, n * 1000), priority);
        match n % 10 {
            3 => {}
            4 => plain.schedule.defer(host, ticket(n), 900),
            _ => plain.push(host, ticket(n), priority),
        }
    }
    assert_eq!(bulk.pending(), 5 + 100);
    bulk.settle(|schedule, host, ticket| {
        if ticket.id % 10 == 4 {
            schedule.defer(host, ticket, 900);
        }
        !matches!(ticket.id % 10, 3 | 4)
    });
    assert_eq!(bulk.pending(), plain.pending());
    let taken: u64 = bulk.schedule.hosts().map(|(_, host)| host.taken).sum();
    assert_eq!(taken, 100, "whatever became of them");
    for now_ms in [0, 900] {
        let mut drained = Vec::new();
        for queue in [&mut plain, &mut bulk] {
            (0..3).for_each(|id| queue.schedule.change(HostId(id), |host| host.in_flight = 0));
            (0..3).for_each(|id| queue.schedule.change(HostId(id), |host| host.window = 999));
            drained.push(drain(queue, now_ms));
        }
        assert!(
            !drained[0].is_empty() && drained[0] == drained[1],
            "{drained:?}"
        );
    }
}

#[test]
fn freed_nodes_are_used_again() {
    let mut queue = Memory::new(u32::MAX, Seen::new());
    let a = queue.schedule.host_of("http://a", Gate::Open);
    for at in 0..1000 {
        queue.push(
            a,
            Ticket {
                id: at << 30,
                at: at << 33,
            },
            0,
        );
        queue.push(a, ticket(at), 0);
        assert!(sent(&mut queue, 0).is_some());
    }
    assert!(queue.lanes.nodes.len() <= 1001);
    assert_eq!(drain(&mut queue, 0).len(), 1000);
}

#[test]
fn what_is_not_sent_costs_its_host_no_turn() {
    let mut queue = Memory::new(1, Seen::new());
    let a = queue.schedule.host_of("http://a", Gate::Open);
    queue.schedule.change(a, |host| host.delay_ms = 1000);
    (0..4).for_each(|at| queue.push(a, ticket(at), 0));
    for id in [0, 1] {
        assert_eq!(queue.next(5).unwrap().1.id, id);
        queue.schedule.skipped(a);
    }
    assert_eq!(sent(&mut queue, 5).unwrap().id, 2);
    queue.schedule.answered(a);
    assert!(queue.next(5).is_none());
    assert_eq!(queue.schedule.next_due_ms(), Some(1005));
}

/// A stream of numbers that look random, from a seed.
fn numbers(mut seed: u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    }
}

#[test]
fn with_little_room_what_waits_goes_in_the_same_order_as_with_much() {
    let dir = tempfile::tempdir().unwrap();
    // Few have a priority, all have one of three, or each has its own.
    let few: fn(u64) -> i64 = |n| [5, -5, 0][(n % 20).min(2) as usize];
    let three: fn(u64) -> i64 = |n| n as i64 % 3 - 1;
    let own: fn(u64) -> i64 = |n| n as i64 - 500_000;
    for (seed, hosts, priority_of) in [
        (1, 1, few),
        (2, 7, few),
        (3, 500, few),
        (4, 5_000, few),
        (5, 1, three),
        (6, 7, own),
        (7, 90, three),
        (8, 500, own),
    ] {
        let mut number = numbers(seed);
        let mut plain = Memory::new(u32::MAX, Seen::new());
        let room = LanesRoom {
            most: 300,
            ..LanesRoom::new(Arc::new(RealDisk), dir.path().to_owned(), 0)
        };
        let lanes = Lanes::within(Some(room));
        let mut small = Memory {
            lanes,
            ..Memory::new(u32::MAX, Seen::new())
        };
        for n in 0..hosts {
            for queue in [&mut plain, &mut small] {
                queue.schedule.host_of(&format!("http://{n}"), Gate::Open);
            }
        }
        let mut id = 0;
        let (mut sent_before, mut most, mut ranked_aside) = (Vec::new(), 0, 0);
        for step in 0..200 {
            for _ in 0..number(400) {
                let host = HostId(number(hosts) as u32);
                let priority = priority_of(number(1_000_000));
                id += 1;
                for queue in [&mut plain, &mut small] {
                    match step % 3 {
                        0 => queue.arrive(host, (id, id << 13), priority),
                        _ => queue.push(host, Ticket { id, at: id << 13 }, priority),
                    }
                }
            }
            let lost = number(50);
            for queue in [&mut plain, &mut small] {
                queue.settle(|_, _, ticket| ticket.id % 50 != lost);
                if step % 40 == 39 {
                    queue.sweep(|_, _, ticket| ticket.id % 7 != 3);
                }
            }
            most = most.max(small.lanes.nodes.len());
            ranked_aside += u32::from(small.lanes.ranks.has_aside());
            if step == 150 {
                small.lanes.sweep_at_hand(|_, _| true);
            }
            let taken = if step < 120 { number(200) } else { number(900) };
            for _ in 0..taken {
                let (one, other) = (sent(&mut plain, 0), sent(&mut small, 0));
                assert_eq!(one, other, "seed {seed} step {step}");
                // Some come back, and go first then.
                sent_before.extend(one.filter(|ticket| ticket.id % 10 == 1));
            }
            if let Some(ticket) = sent_before.pop() {
                let host = HostId(number(hosts) as u32);
                plain.push(host, ticket, i64::MAX);
                small.push(host, ticket, i64::MAX);
            }
            if step % 20 == 0 {
                for host in plain.schedule.ids() {
                    let of = |queue: &Memory| queue.lanes.of(host);
                    assert_eq!(of(&plain), of(&small), "seed {seed} step {step} {host:?}");
                }
            }
        }
        assert!(small.lanes.has_aside());
        assert!(ranked_aside > 20, "{ranked_aside}");
        assert_eq!(drain(&mut plain, 0), drain(&mut small, 0));
        assert_eq!(small.pending(), 0);
        small.lanes.check().unwrap();
        assert!(plain.lanes.nodes.len() > most, "{most}");
    }
    assert_eq!(
        std::fs::read_dir(dir.path()).unwrap().count(),
        0,
        "no name is left"
    );
}
