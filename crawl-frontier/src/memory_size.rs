//! How much memory there is.

use std::fs;
use std::path::Path;

/// What a run may take of it when nobody says: a quarter of the machine's, or of what its cgroup may have.
pub fn default_bytes() -> u64 {
    let machine = rustix::system::sysinfo();
    let machine = u64::from(machine.mem_unit) * machine.totalram;
    of_cgroup().unwrap_or(machine).min(machine) / 4
}

/// The least limit of the process's cgroup and those around it (cgroup v2).
fn of_cgroup() -> Option<u64> {
    let cgroups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = cgroups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    least_limit(&root.join(own), root)
}

fn least_limit(own: &Path, root: &Path) -> Option<u64> {
    let above = own.ancestors().take_while(|dir| dir.starts_with(root));
    let limit = |dir: &Path| fs::read_to_string(dir.join("memory.max")).ok();
    above
        .filter_map(limit)
        .filter_map(|text| text.trim().parse().ok())
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_limit_of_all_groups_around_counts() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("a/b");
        fs::create_dir_all(&own).unwrap();
        assert_eq!(least_limit(&own, dir.path()), None);
        fs::write(own.join("memory.max"), "max\n").unwrap();
        fs::write(dir.path().join("a/memory.max"), "4096\n").unwrap();
        fs::write(dir.path().join("memory.max"), "8192\n").unwrap();
        assert_eq!(least_limit(&own, dir.path()), Some(4096));
    }
}
