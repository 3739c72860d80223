//! What an engine promises, as its nodes say.

use ::redis::{cmd, from_redis_value};

use super::RedisDepot;
use crate::fleet::DepotError;

/// What a store promises.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Nodes that take commits.
    pub primaries: u32,
    /// `always`, `everysec`, `no`: the least of all nodes; `None`: one does not say.
    pub fsync: Option<String>,
    /// The most replicas that listen to one of them now.
    pub replicas: u32,
    /// The fewest.
    pub fewest_replicas: u32,
}

/// From the safest.
const FSYNC: [&str; 3] = ["always", "everysec", "no"];

/// True for a version before 7.0; one that is no number is of something else, which is tried.
fn is_too_old(version: &str) -> bool {
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| major < 7)
}

impl RedisDepot {
    /// Looks what the store promises.
    ///
    /// # Errors
    /// Those of the engine; [`DepotError::Refused`] when a node is too old, keeps nothing on its disk, or throws keys
    /// away when its memory is full. Replicas that do not answer are not counted.
    pub fn check(&mut self) -> Result<Held, DepotError> {
        let mut held = Held {
            primaries: 0,
            fsync: Some(FSYNC[0].to_owned()),
            replicas: 0,
            fewest_replicas: u32::MAX,
        };
        let mut lost = None;
        for (node, info) in self.nodes.ask_everyone(&cmd("INFO"))? {
            let info: String = match info {
                Ok(info) => from_redis_value(info)?,
                Err(error @ DepotError::Refused(_)) => return Err(error),
                Err(error) => {
                    lost = Some(error);
                    continue;
                }
            };
            let field = |name: &str| {
                let mut lines = info.lines();
                lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            };
            if let Some(version) = field("redis_version").filter(|version| is_too_old(version)) {
                let why = format!("{node} is a Redis {version}, and 7.0 or later is needed");
                return Err(DepotError::Refused(why));
            }
            if field("aof_enabled") != Some("1") {
                let why = format!("{node} keeps no append-only file: set appendonly yes");
                return Err(DepotError::Refused(why));
            }
            if let Some(policy) = field("maxmemory_policy").filter(|is| *is != "noeviction") {
                let why = format!(
                    "{node} throws keys away when its memory is full ({policy}): set maxmemory-policy noeviction"
                );
                return Err(DepotError::Refused(why));
            }
            if field("role") == Some("master") {
                let replicas = field("connected_slaves").and_then(|count| count.parse().ok());
                let replicas = replicas.unwrap_or(0);
                held.primaries += 1;
                held.replicas = held.replicas.max(replicas);
                held.fewest_replicas = held.fewest_replicas.min(replicas);
            }
        }
        if held.primaries == 0 {
            let none = || DepotError::Unsure("no node takes commits".into());
            return Err(lost.unwrap_or_else(none));
        }
        let mut config = cmd("CONFIG");
        config.arg("GET").arg("appendfsync");
        for (_, told) in self.nodes.ask_everyone(&config)? {
            let told = told.and_then(|pair| Ok(from_redis_value::<Vec<String>>(pair)?));
            // Many that are rented do not tell, and what does not answer is a replica that is not counted.
            let fsync = told.ok().and_then(|pair| pair.into_iter().nth(1));
            let rank = |fsync: &String| FSYNC.iter().position(|known| known == fsync);
            held.fsync = match (held.fsync, fsync) {
                (Some(a), Some(b)) => Some(if rank(&a) < rank(&b) { b } else { a }),
                _ => None,
            };
        }
        Ok(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_before_7_is_too_old_and_what_is_no_number_is_tried() {
        for version in ["6.2.14", "5.0.3"] {
            assert!(is_too_old(version), "{version}");
        }
        for version in ["7.0.15", "7.2.4", "10.1.0", "255.255.255", "unstable"] {
            assert!(!is_too_old(version), "{version}");
        }
    }
}
