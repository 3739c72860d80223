//! What the journals of partitions begin with, once they were rewritten. A base lies beside the log under one of two
//! keys, those of even and of odd numbers: the next one is written under the other.

use super::{RedisDepot, call, fate_of, scripts};
use crate::fleet::{Base, DepotError, Fate, Written};
use crate::hex;

/// What is told of a base in the state of its partition; nothing when there is none.
pub(super) fn read(text: &[u8]) -> Result<Option<Base>, DepotError> {
    if text.is_empty() {
        return Ok(None);
    }
    let base = serde_json::from_slice(text);
    base.map(Some).map_err(|error| {
        DepotError::Refused(format!("it has a base that is not understood: {error}"))
    })
}

impl RedisDepot {
    pub(super) fn base_key(&self, part: u32, number: u64) -> String {
        self.key(part, ["base:0", "base:1"][(number % 2) as usize])
    }

    pub(super) fn build_base(
        &mut self,
        part: u32,
        number: u64,
        batch: &Written<'_>,
    ) -> Result<Fate, DepotError> {
        let keys = [self.key(part, "l"), self.base_key(part, number)];
        let mut build = call(scripts::BUILD, &[&keys[0], &keys[1]]);
        build
            .arg(batch.epoch)
            .arg(number)
            .arg(batch.seq)
            .arg(batch.sum)
            .arg(batch.prev)
            .arg(RedisDepot::pack_batch(batch.bytes));
        let fate: String = self.ask_durably(&build)?;
        Ok(fate_of(&fate))
    }

    pub(super) fn switch_base(
        &mut self,
        part: u32,
        epoch: u64,
        base: &Base,
    ) -> Result<Fate, DepotError> {
        let keys = [
            self.key(part, "l"),
            self.base_key(part, base.number),
            self.base_key(part, base.number + 1),
            self.key(part, "log"),
        ];
        let mut switch = call(scripts::SWITCH, &[&keys[0], &keys[1], &keys[2], &keys[3]]);
        // Three numbers and two checksums; that always becomes JSON.
        let text = serde_json::to_string(base).unwrap_or_default();
        switch
            .arg(epoch)
            .arg(base.number)
            .arg(base.end.seq)
            .arg(hex::encode(&base.end.sum))
            .arg(text)
            .arg(base.stands_for.seq);
        let fate: String = self.ask_durably(&switch)?;
        Ok(fate_of(&fate))
    }
}
