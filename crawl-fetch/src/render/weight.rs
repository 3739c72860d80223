//! How much memory the processes of a browser take, and what is done when it is too much.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// A process that shows pages, and nothing else, has this in its command line.
const OF_PAGES: &[u8] = b"--type=renderer";

/// A process of a group.
struct Member {
    pid: Pid,
    bytes: u64,
    has_pages: bool,
}

/// Kills the largest process of pages when all of the group together take more than this; the
/// pages in it have another tab then.
pub fn lighten(group: u32, most: u64) {
    let members: Vec<Member> = members(group).collect();
    if members.iter().map(|member| member.bytes).sum::<u64>() <= most {
        return;
    }
    let with_pages = members.iter().filter(|member| member.has_pages);
    if let Some(largest) = with_pages.max_by_key(|member| member.bytes) {
        // It may have ended already.
        let _ = kill_process(largest.pid, Signal::KILL);
    }
}

/// The processes of a group; where there is no `/proc`, none.
fn members(group: u32) -> impl Iterator<Item = Member> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(move |entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let dir = entry.path();
        let stat = fs::read_to_string(dir.join("stat")).ok()?;
        // Behind the name, which may hold anything: state, parent, group.
        let (_, rest) = stat.rsplit_once(") ")?;
        let found: u32 = rest.split(' ').nth(2)?.parse().ok()?;
        if found != group {
            return None;
        }
        let sizes = fs::read_to_string(dir.join("statm")).ok()?;
        let mut sizes = sizes
            .split(' ')
            .skip(1)
            .map_while(|pages| pages.parse::<u64>().ok());
        let (resident, shared) = (sizes.next()?, sizes.next()?);
        let words = fs::read(dir.join("cmdline")).unwrap_or_default();
        Some(Member {
            pid: Pid::from_raw(pid)?,
            bytes: resident.saturating_sub(shared) * rustix::param::page_size() as u64,
            has_pages: words.windows(OF_PAGES.len()).any(|part| part == OF_PAGES),
        })
    })
}
