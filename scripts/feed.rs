//! Feeds the frontier for `scripts/bench`.
//!
//!     feed urls COUNT HOSTS     prints COUNT different URLs of 78 bytes, over the hosts in turn
//!     feed answers COUNT        a fetcher that answers the first COUNT requests at once with
//!                               an empty page, and takes the rest without an answer
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::io::{self, BufRead, BufReader, BufWriter, Write};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |n: usize| words[n].parse::<u64>().unwrap();
    let done = match words[0].as_str() {
        "urls" => urls(number(1), number(2)),
        "answers" => answers(number(1)),
        _ => panic!("feed urls COUNT HOSTS | feed answers COUNT"),
    };
    // A reader that has enough is no failure.
    if let Err(error) = done {
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "{error}");
    }
}

fn urls(count: u64, hosts: u64) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    for n in 0..count {
        // Neighbours are of different hosts, as they are when many pages' links come in.
        let host = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let (host, mark) = (host % hosts, n.wrapping_mul(0x2545_f491_4f6c_dd1d));
        writeln!(
            out,
            "https://www.host-{host:06}.example/sections/{n:010}/page-{mark:016x}.html"
        )?;
    }
    out.flush()
}

fn answers(count: u64) -> io::Result<()> {
    let mut requests = BufReader::with_capacity(1 << 16, io::stdin().lock());
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
                eprintln!("answered {answered}");
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

fn field<'a>(line: &'a str, name: &str, end: char) -> &'a str {
    let start = line.find(name).unwrap() + name.len();
    let rest = &line[start..];
    rest.split([end, '}']).next().unwrap()
}
