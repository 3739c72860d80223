//! Which node of a cluster has which keys.

use ::redis::{Value, from_redis_value_ref};

use crate::fleet::NodeAddress;

/// A cluster's keys are in so many slots.
const SLOTS: u16 = 16_384;

/// The primaries, and what they have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotMap {
    /// First and last slot, and the primary of these.
    ranges: Vec<(u16, u16, NodeAddress)>,
    replicas: Vec<NodeAddress>,
}

impl SlotMap {
    /// One node that has all.
    pub fn of_one(node: NodeAddress) -> SlotMap {
        SlotMap {
            ranges: vec![(0, SLOTS - 1, node)],
            replicas: Vec::new(),
        }
    }

    /// Reads the answer to CLUSTER SLOTS that the node `told_by` gave, who need not know its own name.
    pub fn read(answer: &Value, told_by: &NodeAddress) -> Option<SlotMap> {
        let mut map = SlotMap::default();
        for range in from_redis_value_ref::<Vec<Vec<Value>>>(answer).ok()? {
            let first = from_redis_value_ref(range.first()?).ok()?;
            let last = from_redis_value_ref(range.get(1)?).ok()?;
            let mut nodes = range.iter().skip(2).map(|node| read_node(node, told_by));
            map.ranges.push((first, last, nodes.next()??));
            map.replicas.extend(nodes.flatten());
        }
        map.replicas.sort();
        map.replicas.dedup();
        (!map.ranges.is_empty()).then_some(map)
    }

    /// The primary that has a slot; `None` when the cluster lost it.
    pub fn primary(&self, slot: u16) -> Option<&NodeAddress> {
        let ranges = self.ranges.iter();
        let mut ranges = ranges.filter(|(first, last, _)| (*first..=*last).contains(&slot));
        ranges.next().map(|(.., node)| node)
    }

    /// All primaries, each once.
    pub fn primaries(&self) -> Vec<&NodeAddress> {
        let mut nodes: Vec<&NodeAddress> = self.ranges.iter().map(|(.., node)| node).collect();
        nodes.sort();
        nodes.dedup();
        nodes
    }

    /// All replicas.
    pub fn replicas(&self) -> &[NodeAddress] {
        &self.replicas
    }
}

fn read_node(node: &Value, told_by: &NodeAddress) -> Option<NodeAddress> {
    let node: Vec<Value> = from_redis_value_ref(node).ok()?;
    let host: Option<String> = from_redis_value_ref(node.first()?).ok()?;
    let port = from_redis_value_ref(node.get(1)?).ok()?;
    let host = match host.as_deref() {
        None | Some("" | "?") => told_by.host.clone(),
        Some(host) if host.contains(':') => format!("[{host}]"),
        Some(host) => host.to_owned(),
    };
    Some(NodeAddress { host, port })
}

/// The slot of a key: that of what stands in its first braces, if anything does.
pub fn slot_of(key: &[u8]) -> u16 {
    let open = key.iter().position(|byte| *byte == b'{').map(|at| at + 1);
    let hashed = open.and_then(|open| {
        let len = key[open..].iter().position(|byte| *byte == b'}')?;
        (len > 0).then(|| &key[open..open + len])
    });
    crc16(hashed.unwrap_or(key)) % SLOTS
}

/// CRC-16/XMODEM, as the cluster's specification has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |mut crc: u16, byte| {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            let carry = crc & 0x8000 != 0;
            crc <<= 1;
            if carry {
                crc ^= 0x1021;
            }
        }
        crc
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot_of(b"foo"), 12_182);
        assert_eq!(slot_of(b"{foo}:bar"), slot_of(b"foo"));
        assert_eq!(slot_of(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(slot_of(b"foo{{bar}}zap"), slot_of(b"{bar"));
    }

    #[test]
    fn a_map_names_primaries_and_replicas_and_who_does_not_know_its_own_name() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let node = |host, port| Value::Array(vec![host, Value::Int(port), text("id")]);
        let range = |first, last, nodes: [Value; 2]| {
            let mut range = vec![Value::Int(first), Value::Int(last)];
            range.extend(nodes);
            Value::Array(range)
        };
        let answer = Value::Array(vec![
            range(0, 99, [node(text(""), 7001), node(text("b"), 7002)]),
            range(
                100,
                16_383,
                [node(text("::1"), 7003), node(Value::Nil, 7004)],
            ),
        ]);
        let at = |host: &str, port| {
            let host = host.to_owned();
            NodeAddress { host, port }
        };
        let map = SlotMap::read(&answer, &at("me", 7001)).unwrap();
        assert_eq!(map.primary(99), Some(&at("me", 7001)));
        assert_eq!(map.primary(100), Some(&at("[::1]", 7003)));
        assert_eq!(map.primaries().len(), 2);
        assert_eq!(map.replicas(), [at("b", 7002), at("me", 7004)]);
        assert_eq!(SlotMap::read(&Value::Array(Vec::new()), &at("me", 1)), None);
    }
}
