//! Feeds the frontier for `scripts/bench`.
//!
//!     feed urls COUNT HOSTS           prints COUNT different URLs of 78 bytes, over the hosts in turn
//!     feed offered BEFORE COUNT HOSTS prints COUNT of them as links are found: a fifth follows on the first BEFORE,
//!                                     the others are some of the two million before each
//!     feed answers COUNT              a fetcher that answers the first COUNT requests at once with
//!                                     an empty page, and takes the rest without an answer
//!     feed seen COUNT BYTES DIR       puts COUNT fingerprints into the set of what was seen alone, which has
//!                                     half of so much memory, in a job made in DIR
//!     feed links COUNT HOSTS SHARE GATE
//!                                     a fetcher whose every page has COUNT links that nobody saw before, SHARE of
//!                                     a hundred to other hosts; it answers once the file GATE is there
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crawl_ckpt::durable::RealDisk;
use crawl_ckpt::job::{Job, JobPlace, Manifest};
use crawl_ckpt::lock::JobLock;
use crawl_frontier::seen::{Seen, SeenRoom, Watch};

/// So many of the newest links are offered again and again.
const RECENT: u64 = 2_000_000;
/// As many fingerprints as a page may have links.
const PAGE: u64 = 4096;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize| words[n].parse::<u64>().unwrap();
    let done = match words[0].as_str() {
        "urls" => urls(0..number(1), number(2)),
        "offered" => {
            let (before, count) = (number(1), number(2));
            urls((0..count).map(|n| offered(before, n)), number(3))
        }
        "answers" => answers(number(1)),
        "seen" => {
            seen(number(1), number(2), &words[3]);
            Ok(())
        }
        "links" => links(number(1), number(2), number(3), Path::new(&words[4])),
        _ => panic!("feed urls | offered | answers | seen | links"),
    };
    // A reader that has enough is no failure.
    if let Err(error) = done {
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "{error}");
    }
}

fn offered(before: u64, n: u64) -> u64 {
    let newest = before + n / 5;
    match n % 5 {
        0 => newest,
        _ => newest - 1 - (mix(n) >> 20) % RECENT.min(newest),
    }
}

fn mix(n: u64) -> u64 {
    n.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// A number that shows nothing of where it comes from, and no other one has: SplitMix64.
fn strew(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}

fn urls(numbers: impl Iterator<Item = u64>, hosts: u64) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    for n in numbers {
        // Neighbours are of different hosts, as they are when many pages' links come in.
        let host = mix(n) >> 20;
        let (host, mark) = (host % hosts, n.wrapping_mul(0x2545_f491_4f6c_dd1d));
        writeln!(
            out,
            "https://www.host-{host:06}.example/sections/{n:010}/page-{mark:016x}.html"
        )?;
    }
    out.flush()
}

/// What comes in, and how long nothing did.
struct Timed<R> {
    from: R,
    last: Option<Instant>,
    longest: Duration,
}

impl<R: Read> Read for Timed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.from.read(buffer)?;
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            self.longest = self.longest.max(now - last);
        }
        Ok(got)
    }
}

fn answers(count: u64) -> io::Result<()> {
    let requests = Timed {
        from: io::stdin().lock(),
        last: None,
        longest: Duration::ZERO,
    };
    let mut requests = BufReader::with_capacity(1 << 16, requests);
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut line = String::new();
    let mut answered = 0;
    while requests.read_line(&mut line)? > 0 {
        if answered < count {
            let id = field(&line, "\"id\":", ',');
            let url = field(&line, "\"url\":\"", '"');
            writeln!(
                out,
                "{{\"url\":\"{url}\",\"id\":{id},\"status\":200,\"content_type\":\"text/html\",\"bytes\":0}}"
            )?;
            answered += 1;
            if answered == count {
                out.flush()?;
                let longest = requests.get_ref().longest.as_millis();
                eprintln!("answered {answered}, longest wait {longest} ms");
            }
        }
        line.clear();
        // All that is there was taken: whoever waits for answers shall have them.
        if requests.buffer().is_empty() {
            out.flush()?;
        }
    }
    Ok(())
}

fn links(count: u64, hosts: u64, share: u64, gate: &Path) -> io::Result<()> {
    let mut requests = BufReader::with_capacity(1 << 16, io::stdin().lock());
    let mut out = BufWriter::with_capacity(1 << 18, io::stdout().lock());
    let mut line = String::new();
    let mut is_open = false;
    while requests.read_line(&mut line)? > 0 {
        while !is_open {
            is_open = gate.exists();
            sleep(Duration::from_millis(1));
        }
        let url = field(&line, "\"url\":\"", '"');
        write!(
            out,
            "{{\"url\":\"{url}\",\"id\":{},\"status\":200,\"content_type\":\"text/html\",\"bytes\":0,\"links\":[",
            field(&line, "\"id\":", ',')
        )?;
        let host: u64 = field(url, "/www.host-", '.').parse().unwrap();
        // A start URL has none: its links are as much its own as those of others are theirs.
        let page = url.rsplit_once("page-").map_or(host, |(_, page)| {
            u64::from_str_radix(page.trim_end_matches(".html"), 16).unwrap()
        });
        for n in 0..count {
            let mark = mixed(page ^ (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let is_away = n * 100 < share * count;
            let host = if is_away { mark % hosts } else { host };
            let comma = if n == 0 { "" } else { "," };
            write!(
                out,
                "{comma}\"https://www.host-{host:06}.example/sections/{n:010}/page-{mark:016x}.html\""
            )?;
        }
        out.write_all(b"]}\n")?;
        line.clear();
        if requests.buffer().is_empty() {
            out.flush()?;
        }
    }
    out.flush()
}

/// Other numbers for other numbers, all over the place (splitmix64).
fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

fn field<'a>(line: &'a str, name: &str, end: char) -> &'a str {
    let start = line.find(name).unwrap() + name.len();
    let rest = &line[start..];
    rest.split([end, '}']).next().unwrap()
}

/// Nobody is in a hurry.
struct Leisurely;

impl Watch for Leisurely {
    fn tell(&mut self, note: String) {
        eprintln!("{note}");
    }

    fn tell_of_tidying(&mut self) {}

    fn is_in_a_hurry(&mut self) -> bool {
        false
    }
}

fn seen(count: u64, memory_bytes: u64, dir: &str) {
    let place = JobPlace::at(dir.as_ref());
    let lock = JobLock::acquire(&place).unwrap();
    let manifest = Manifest::new("feed").unwrap();
    let mut job = Job::create(Arc::new(RealDisk), &place, &lock, manifest).unwrap();
    let mut set = Seen::empty(SeenRoom::within(memory_bytes, &mut job).unwrap());
    let start = Instant::now();
    for first in (0..count).step_by(PAGE as usize) {
        let page = first..count.min(first + PAGE);
        let page = page.map(|n| u128::from(strew(n)) << 64 | u128::from(strew(n + count)));
        for fingerprint in page.clone() {
            set.touch(fingerprint);
        }
        for fingerprint in page {
            assert!(set.insert(fingerprint));
        }
        set.tend();
        set.check().unwrap();
    }
    set.come_to_rest(&mut Leisurely);
    set.check().unwrap();
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("took {seconds:.3} s");
}
