//! Octets as text that can stand in a record: UTF-8 as it is, and every other byte as one
//! character of a private range (U+F780 to U+F7FF, as in WHATWG's x-user-defined), so that a
//! cookie in Latin-1 goes back to its server byte for byte.

use std::borrow::Cow;

/// The character of byte 0x80 is this one.
const FIRST: u32 = 0xf780;

/// Any bytes as text.
pub fn to_text(bytes: &[u8]) -> Cow<'_, str> {
    // The private characters themselves are taken for their bytes, else they would not come back.
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.chars().any(is_private)
    {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(2 * bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_private(c) {
                out.extend(c.encode_utf8(&mut [0; 4]).bytes().map(private));
            } else {
                out.push(c);
            }
        }
        out.extend(chunk.invalid().iter().copied().map(private));
    }
    Cow::Owned(out)
}

/// The bytes that the text stands for.
pub fn to_bytes(text: &str) -> Cow<'_, [u8]> {
    if !text.chars().any(is_private) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        if is_private(c) {
            out.push((u32::from(c) - FIRST + 0x80) as u8);
        } else {
            out.extend(c.encode_utf8(&mut [0; 4]).bytes());
        }
    }
    Cow::Owned(out)
}

fn is_private(c: char) -> bool {
    (FIRST..FIRST + 0x80).contains(&u32::from(c))
}

fn private(byte: u8) -> char {
    char::from_u32(FIRST + u32::from(byte) - 0x80).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).collect();
        for bytes in [
            &all[..],
            "grün \u{f7fc}".as_bytes(),
            b"gr\xfcn",
            b"\xef\x9f",
        ] {
            assert_eq!(&*to_bytes(&to_text(bytes)), bytes);
        }
        assert_eq!(to_text("grün".as_bytes()), "grün");
        assert_eq!(to_text(b"gr\xfcn"), "gr\u{f7fc}n");
    }
}
