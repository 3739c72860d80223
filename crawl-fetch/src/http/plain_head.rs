//! The head of an HTTP/1.1 answer, and the same as ureq reads it: lines that are no fields are left
//! out, names end at their colon, values have no control characters, and there are not too many.

use memchr::{memchr, memchr_iter};

/// A longer head is none, and is left to ureq, which refuses a shorter one already.
pub const MAX_HEAD: usize = 96 << 10;

/// ureq refuses more than 128 fields.
const MAX_FIELDS: usize = 120;

/// Of too many fields those that are used stay.
const USED: [&str; 14] = [
    "cf-mitigated",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "etag",
    "last-modified",
    "location",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "transfer-encoding",
];

const LENGTH: &[u8] = b"content-length";

/// What a name is made of (RFC 9110, 5.6.2).
const IN_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        table[at] = byte.is_ascii_alphanumeric();
        at += 1;
    }
    let marks = b"!#$%&'*+-.^_`|~";
    at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

const HTTP: &[u8] = b"HTTP/";

/// False when what begins so is no head at all.
pub fn may_be(head: &[u8]) -> bool {
    let seen = head.len().min(HTTP.len());
    head[..seen].eq_ignore_ascii_case(&HTTP[..seen])
}

/// True when the blank line behind the head is there.
pub fn is_whole(head: &[u8]) -> bool {
    head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n")
}

/// True for the head of an answer that says that another is to come. 101 changes the protocol
/// instead.
pub fn is_interim(head: &[u8]) -> bool {
    let status = head.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(1..));
    let status = status.map(<[u8]>::trim_ascii_start).unwrap_or_default();
    matches!(status, [b'1', a, b, ..] if a.is_ascii_digit() && b.is_ascii_digit() && (*a, *b) != (b'0', b'1'))
}

/// True as ureq sees it: HTTP/1.1, and a `Transfer-Encoding` that lists `chunked`.
pub fn is_chunked(head: &[u8]) -> bool {
    let mut plain = Vec::new();
    let head = if is_odd(head) {
        write(head, &mut plain);
        &plain
    } else {
        head
    };
    const NAME: &[u8] = b"transfer-encoding";
    !head.starts_with(b"HTTP/1.0")
        && head.split(|byte| *byte == b'\n').any(|line| {
            let names = line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME);
            names
                && line[NAME.len()..]
                    .split(|byte| matches!(byte, b',' | b':'))
                    .any(|word| word.trim_ascii().eq_ignore_ascii_case(b"chunked"))
        })
}

/// An answer begins here whose head is whole and plain, and whose body has no chunks: most are so,
/// and looked at once. False says nothing.
pub fn is_simple(answer: &[u8]) -> bool {
    let mut lines = lines(answer);
    let Some(status) = lines.next().filter(|line| !is_odd_status(line)) else {
        return false;
    };
    if is_interim(answer) {
        return false;
    }
    let mut seen = Seen::default();
    let mut length = status.len();
    let mut returns = usize::from(status.ends_with(b"\r\n"));
    for line in lines {
        length += line.len();
        returns += usize::from(line.ends_with(b"\r\n"));
        match line {
            b"\r\n" | b"\n" => return has_plain_values(&answer[..length], returns),
            // It may name a `Transfer-Encoding`.
            [b'T' | b't', ..] => return false,
            line if !is_named(line) || seen.is_too_much(line) => return false,
            _ => {}
        }
    }
    false
}

/// True when a whole head of lines that are named, of which so many end in CR LF, has nothing odd
/// in them. All lines at once: that is half the work.
fn has_plain_values(head: &[u8], returns: usize) -> bool {
    let odd = head.iter().fold(0, |odd, byte| {
        odd | u8::from(is_control(*byte) & !matches!(byte, b'\r' | b'\n'))
    });
    odd == 0 && memchr_iter(b'\r', head).count() == returns
}

/// True for a line that begins with a name and its colon, and for a length is none too long.
fn is_named(line: &[u8]) -> bool {
    let end = line.iter().position(|byte| !IN_NAME[*byte as usize]);
    let end = end.filter(|end| *end > 0 && line[*end] == b':');
    end.is_some_and(|end| !is_length(line) || !is_too_long(&line[end + 1..]))
}

/// True when ureq would refuse a head that curl reads, as far as it is there.
pub fn is_odd(head: &[u8]) -> bool {
    let mut lines = lines(head);
    let mut seen = Seen::default();
    lines.next().is_some_and(is_odd_status)
        || lines.any(|line| is_odd_field(line) || seen.is_too_much(line))
}

/// What was seen of a head.
#[derive(Default)]
struct Seen {
    fields: usize,
    has_length: bool,
}

impl Seen {
    /// True when a line is one too many, or the second length.
    fn is_too_much(&mut self, line: &[u8]) -> bool {
        let had_length = self.has_length;
        self.has_length |= is_length(line);
        self.fields += 1;
        // The blank line is counted, too.
        self.fields > MAX_FIELDS + 1 || (had_length && is_length(line))
    }
}

/// Lines with their ends; the last one may have none yet.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = head;
    std::iter::from_fn(move || {
        let end = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let line = &rest[..end];
        rest = &rest[end..];
        (!line.is_empty()).then_some(line)
    })
}

/// True for what says in other letters which HTTP it is. What is no HTTP at all stays as it is.
fn is_odd_status(line: &[u8]) -> bool {
    if !may_be(line) {
        return false;
    }
    let matches = |plain: &[u8]| {
        let seen = line.len().min(plain.len());
        line[..seen] == plain[..seen] && line.get(plain.len()) != Some(&b' ')
    };
    !matches(b"HTTP/1.1 ") && !matches(b"HTTP/1.0 ")
}

/// A line that goes on with the one before it. One that is blank otherwise is one, too.
fn is_fold(line: &[u8]) -> bool {
    matches!(line.first(), Some(b' ' | b'\t'))
}

fn is_odd_field(line: &[u8]) -> bool {
    if matches!(line, b"\r\n" | b"\n" | b"\r") {
        return false;
    }
    let name = line.iter().position(|byte| !IN_NAME[*byte as usize]);
    let Some(colon) = name else {
        // It goes on.
        return false;
    };
    if colon == 0 || line[colon] != b':' {
        return true;
    }
    let value = &line[colon + 1..];
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    // A whole line is looked at without a way out, which is faster.
    let odd = value
        .iter()
        .fold(0, |odd, byte| odd | u8::from(is_control(*byte)));
    odd != 0 || (colon == LENGTH.len() && is_length(line) && is_too_long(value))
}

fn is_control(byte: u8) -> bool {
    (byte < b' ' && byte != b'\t') | (byte == 0x7f)
}

fn is_length(line: &[u8]) -> bool {
    // Most begin otherwise.
    matches!(line.first(), Some(b'c' | b'C'))
        && line
            .get(..LENGTH.len())
            .is_some_and(|name| name.eq_ignore_ascii_case(LENGTH))
}

/// True for a number of bytes that no machine has.
fn is_too_long(value: &[u8]) -> bool {
    let digits = value.trim_ascii();
    digits.len() > 18 && digits.iter().all(u8::is_ascii_digit)
}

/// Writes a whole head as ureq reads it, folded lines in one.
pub fn write(head: &[u8], out: &mut Vec<u8>) {
    let mut lines = lines(head);
    if let Some(status) = lines.next() {
        write_status(text(status), out);
    }
    let fields = fields(lines);
    let is_used = |field: &HeaderField<'_>| USED.iter().any(|name| field.is(name.as_bytes()));
    let used = fields.iter().filter(|field| is_used(field)).count();
    let mut others = MAX_FIELDS.saturating_sub(used);
    let last_length = fields.iter().rposition(|field| field.is(LENGTH));
    for (place, field) in fields.iter().enumerate() {
        let is_used = is_used(field);
        if !is_used && others == 0 {
            continue;
        }
        others -= usize::from(!is_used);
        // Of two lengths the later one counts, as with curl.
        let is_length = field.is(LENGTH);
        if is_length && (last_length != Some(place) || is_too_long(&field.value)) {
            continue;
        }
        out.extend_from_slice(field.name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(&field.value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// A field of the head.
struct HeaderField<'h> {
    name: &'h [u8],
    value: Vec<u8>,
}

impl HeaderField<'_> {
    fn is(&self, name: &[u8]) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

fn fields<'h>(lines: impl Iterator<Item = &'h [u8]>) -> Vec<HeaderField<'h>> {
    let mut fields: Vec<HeaderField<'_>> = Vec::new();
    // A line that goes on with one that was left out is left out, too.
    let mut goes_on = false;
    for line in lines {
        let text = text(line);
        if is_fold(line) {
            let more = text.trim_ascii();
            if let Some(field) = fields.last_mut().filter(|_| goes_on && !more.is_empty()) {
                if !field.value.is_empty() {
                    field.value.push(b' ');
                }
                field.value.extend(more.iter().map(visible));
            }
            continue;
        }
        let name = memchr(b':', text).map(|colon| text[..colon].trim_ascii_end());
        let name = name.filter(|name| !name.is_empty());
        let name = name.filter(|name| name.iter().all(|byte| IN_NAME[*byte as usize]));
        goes_on = name.is_some();
        if let Some(name) = name {
            let colon = memchr(b':', text).unwrap_or(0);
            let value = text[colon + 1..].trim_ascii().iter().map(visible).collect();
            fields.push(HeaderField { name, value });
        }
    }
    fields
}

/// A NUL stays: what has one is no text, and ureq refuses it.
fn visible(byte: &u8) -> u8 {
    if is_control(*byte) && *byte != 0 {
        b' '
    } else {
        *byte
    }
}

fn text(line: &[u8]) -> &[u8] {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    text.strip_suffix(b"\r").unwrap_or(text)
}

/// `HTTP/1.1 200 OK`, whatever letters and blanks it has and whichever HTTP it says.
fn write_status(line: &[u8], out: &mut Vec<u8>) {
    if !is_odd_status(line) {
        out.extend_from_slice(line);
    } else {
        let end = memchr(b' ', line).unwrap_or(line.len());
        let (version, status) = line.split_at(end);
        let is_old = version.ends_with(b"/1.0");
        out.extend_from_slice(if is_old { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
        out.extend_from_slice(status.trim_ascii_start());
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(odd: &str, plain: &str) {
        let head = format!("{odd}\r\n");
        assert!(is_odd(head.as_bytes()), "{odd}");
        let mut out = Vec::new();
        write(head.as_bytes(), &mut out);
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out, format!("{plain}\r\n"));
        assert!(!is_odd(out.as_bytes()), "{out}");
    }

    #[test]
    fn what_is_no_field_is_left_out_and_names_end_at_their_colon() {
        check(
            "HTTP/1.1 200 OK\r\nA : b\r\nno field\r\n of two lines\r\n: c\r\nD E: f\r\nG(: h\r\ni:j\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\ni: j\r\n",
        );
        check(
            "HTTP/1.1 200 OK\r\n folded: x\r\nA: b\x01c\rd\x7f\r\n",
            "HTTP/1.1 200 OK\r\nA: b c d \r\n",
        );
    }

    #[test]
    fn the_first_line_may_be_written_in_many_ways() {
        for (odd, plain) in [
            ("HTTP/1.1  200 OK", "HTTP/1.1 200 OK"),
            ("http/1.1 200 OK", "HTTP/1.1 200 OK"),
            ("Http/1.0 200", "HTTP/1.0 200"),
            ("HTTP/2 200", "HTTP/1.1 200"),
            ("HTTP/1.2 404 No", "HTTP/1.1 404 No"),
        ] {
            check(
                &format!("{odd}\r\nA: b\r\n"),
                &format!("{plain}\r\nA: b\r\n"),
            );
        }
        for plain in [
            "HTTP/1.1 200",
            "HTTP/1.0 200 OK",
            "HT",
            "",
            "<html>",
            "ICY 200 OK",
        ] {
            assert!(!is_odd(plain.as_bytes()), "{plain}");
        }
    }

    #[test]
    fn of_two_lengths_the_later_one_counts_and_one_too_large_for_none() {
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 44\r\nA: b\r\ncontent-length: 6\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\ncontent-length: 6\r\n",
        );
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 36893488147419103232\r\n",
            "HTTP/1.1 200 OK\r\n",
        );
    }

    #[test]
    fn of_too_many_fields_those_that_are_used_stay() {
        let many: String = (0..200).map(|n| format!("X-{n}: {n}\r\n")).collect();
        let head = format!("HTTP/1.1 200 OK\r\n{many}Content-Type: text/html\r\n\r\n");
        assert!(is_odd(head.as_bytes()));
        let mut out = Vec::new();
        write(head.as_bytes(), &mut out);
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out.lines().count(), 1 + MAX_FIELDS + 1);
        assert!(out.contains("X-118: 118\r\nContent-Type: text/html\r\n\r\n"));
        assert!(!is_odd(out.as_bytes()));
    }

    #[test]
    fn plain_heads_are_plain_wherever_they_are_cut() {
        let head =
            b"HTTP/1.1 200 OK\r\nA: b\r\nEmpty:\r\nSet-Cookie: a=\xe4\tb\nX_y.z~: :c\r\n\r\n";
        for length in 0..head.len() {
            assert!(!is_odd(&head[..length]), "{length}");
            assert!(!is_simple(&head[..length]), "{length}");
        }
        assert!(is_simple(&[&head[..], b"x\n : y"].concat()));
        assert!(!is_simple(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        ));
        assert!(!is_simple(b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n"));
    }
}
