//! Digests as WARC files have them.

use sha1::{Digest, Sha1};

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

const SHA1: &str = "sha1:";

/// Bytes of a SHA-1.
pub const SHA1_BYTES: usize = 20;

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
    sha1_text(&hash.finalize().into())
}

/// A SHA-1 as [`sha1()`] writes it.
pub fn sha1_text(bytes: &[u8; SHA1_BYTES]) -> String {
    let mut text = String::with_capacity(SHA1.len() + 32);
    text.push_str(SHA1);
    // Five bytes are eight characters, and twenty have no rest.
    for five in bytes.chunks_exact(5) {
        let bits = five
            .iter()
            .fold(0, |bits, byte| bits << 8 | u64::from(*byte));
        let digit = |n: u64| char::from(BASE32[(bits >> (35 - 5 * n) & 31) as usize]);
        text.extend((0..8).map(digit));
    }
    text
}

/// The bytes of a SHA-1 that [`sha1()`] wrote; `None` for any other text.
pub fn sha1_bytes(text: &str) -> Option<[u8; SHA1_BYTES]> {
    let digits = text.strip_prefix(SHA1)?.as_bytes();
    let mut bytes = [0; SHA1_BYTES];
    if digits.len() != 32 {
        return None;
    }
    for (eight, five) in digits.chunks_exact(8).zip(bytes.chunks_exact_mut(5)) {
        let bits = eight.iter().try_fold(0_u64, |bits, digit| {
            let value = BASE32.iter().position(|known| known == digit)?;
            Some(bits << 5 | value as u64)
        })?;
        five.copy_from_slice(&bits.to_be_bytes()[3..]);
    }
    Some(bytes)
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

    #[test]
    fn a_digest_reads_back_and_no_other_text_does() {
        for text in [sha1(&[]), sha1(&[b"abc"])] {
            assert_eq!(sha1_text(&sha1_bytes(&text).unwrap()), text);
        }
        for other in [
            "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBY",
            "sha1:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBY1",
            "sha1:3i42h3s6nnfq2msvx7xzkyayscx5qbyj",
            "md5:3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ",
        ] {
            assert_eq!(sha1_bytes(other), None, "{other}");
        }
    }
}
