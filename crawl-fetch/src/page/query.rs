//! Queries of links, in the encoding of the page that they stand on.

use std::borrow::Cow;

use encoding_rs::{BIG5, EncoderResult, Encoding, GB18030, GBK, SHIFT_JIS};

/// A query is encoded as the page is (URL standard, "encoding override"). A character that the
/// encoding lacks becomes a numeric reference, escaped so that its `&` begins no parameter; and
/// the second byte of one is escaped where it looks like a brace or a bar, which some servers
/// refuse.
pub fn encoder(encoding: &'static Encoding) -> impl Fn(&str) -> Cow<'_, [u8]> {
    move |query| {
        let (encoded, _, lacks) = encoding.encode(query);
        if query.is_ascii() || !(lacks || has_ascii_trails(encoding)) {
            return encoded;
        }
        Cow::Owned(escaped(encoding, query))
    }
}

fn has_ascii_trails(encoding: &'static Encoding) -> bool {
    [SHIFT_JIS, GBK, GB18030, BIG5].contains(&encoding)
}

fn escaped(encoding: &'static Encoding, query: &str) -> Vec<u8> {
    let mut encoder = encoding.new_encoder();
    let mut out = Vec::with_capacity(4 * query.len());
    let escapes = has_ascii_trails(encoding);
    for (at, c) in query.char_indices() {
        let next = at + c.len_utf8();
        let mut rest = &query[at..next];
        loop {
            let start = out.len();
            out.reserve(32);
            let last = next == query.len();
            let (result, read) =
                encoder.encode_from_utf8_to_vec_without_replacement(rest, &mut out, last);
            rest = &rest[read..];
            if escapes && !c.is_ascii() {
                escape_trails(&mut out, start);
            }
            match result {
                EncoderResult::InputEmpty => break,
                EncoderResult::OutputFull => {}
                EncoderResult::Unmappable(c) => {
                    out.extend(format!("%26%23{}%3B", u32::from(c)).bytes());
                }
            }
        }
    }
    out
}

/// Escapes what is ASCII but no letter or digit in the bytes from `start` on.
fn escape_trails(out: &mut Vec<u8>, start: usize) {
    let is_odd = |byte: &u8| byte.is_ascii() && !byte.is_ascii_alphanumeric();
    if !out[start..].iter().any(is_odd) {
        return;
    }
    for byte in out.split_off(start) {
        if is_odd(&byte) {
            out.extend(format!("%{byte:02X}").bytes());
        } else {
            out.push(byte);
        }
    }
}
