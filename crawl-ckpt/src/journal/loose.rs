//! Entries outside of a batch: what one partition of a crawl tells another.

use super::entry::tag;
use super::{Entry, Stored};
use crate::codec::{Bad, Cursor, put_bytes};

/// Entries one behind the other, without header and commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loose {
    bytes: Vec<u8>,
}

impl Loose {
    /// A request that is to be taken on.
    pub fn request(&mut self, request: &Stored<'_>) {
        request.encode(&mut self.bytes);
    }

    /// A value of a key.
    pub fn set(&mut self, key: &str, value: &[u8]) {
        self.bytes.push(tag::SET);
        put_bytes(&mut self.bytes, key.as_bytes());
        put_bytes(&mut self.bytes, value);
    }

    /// The bytes of all.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Tells each entry of such bytes, in order.
    ///
    /// # Errors
    /// In words, what is wrong with them, or what `each` says.
    pub fn tell(
        bytes: &[u8],
        mut each: impl FnMut(Entry<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut cursor = Cursor::new(bytes);
        let mut next_id = 0;
        while !cursor.is_at_end() {
            let entry = cursor.entry(0, &mut next_id).map_err(words)?;
            each(entry)?;
        }
        Ok(())
    }
}

/// The id of the first request behind the payload of a batch, in which this is the first.
pub(super) fn id_after(payload: &[u8], mut id: u64) -> Result<u64, &'static str> {
    let mut cursor = Cursor::new(payload);
    while !cursor.is_at_end() {
        cursor.entry(0, &mut id).map_err(words)?;
    }
    Ok(id)
}

fn words(bad: Bad) -> &'static str {
    match bad {
        Bad::Short(_) => "an entry is cut short",
        Bad::Wrong(why) => why,
    }
}
