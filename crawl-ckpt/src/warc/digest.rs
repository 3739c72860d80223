//! Digests as WARC files have them.

use sha1::{Digest, Sha1};

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// SHA-1 over all parts, as `sha1:` and 32 characters of base32 (RFC 4648).
pub fn sha1(parts: &[&[u8]]) -> String {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    written(hash)
}

/// What was hashed, as it is written.
pub(super) fn written(hash: Sha1) -> String {
    let mut text = String::with_capacity("sha1:".len() + 32);
    text.push_str("sha1:");
    // Five bytes are eight characters, and twenty have no rest.
    for five in hash.finalize().chunks_exact(5) {
        let bits = five
            .iter()
            .fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        let digit = |n: u64| char::from(BASE32[(bits >> (35 - 5 * n) & 31) as usize]);
        text.extend((0..8).map(digit));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_other_tools() {
        // As warcio has them.
        assert_eq!(sha1(&[]), "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ");
        let parts: [&[u8]; 3] = [b"ab", b"", b"c"];
        assert_eq!(sha1(&parts), "sha1:VGMT4NSHA2AWVOR6EVYXQUGCNSONBWE5");
    }
}
