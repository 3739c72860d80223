//! Commands as a shell reads them: words are quoted, and what was quoted is read back.

/// One word as a POSIX shell reads it back; control characters in the `$'…'` form.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    if !word.chars().any(char::is_control) {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let mut out = String::from("$'");
    for c in word.chars() {
        match c {
            '\'' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let mut utf8 = [0; 4];
                for byte in c.encode_utf8(&mut utf8).bytes() {
                    out.push_str(&format!("\\{byte:03o}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// The words of a command that [`quoted`] wrote; `None` for anything else that a shell would take, such as
/// a variable, a pipe or a second command.
pub fn unquoted(command: &str) -> Option<Vec<String>> {
    let (mut words, mut rest) = (Vec::new(), command);
    loop {
        let (word, end) = first_word(rest)?;
        words.push(word);
        match rest[end..].strip_prefix(' ') {
            Some(after) => rest = after,
            None if end == rest.len() => break,
            None => return None,
        }
    }
    let again: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    (again.join(" ") == command).then_some(words)
}

/// The first word, and where it ends.
fn first_word(text: &str) -> Option<(String, usize)> {
    if let Some(inner) = text.strip_prefix("$'") {
        let (mut word, mut at) = (Vec::new(), 0);
        loop {
            match *inner.as_bytes().get(at)? {
                b'\'' => return Some((String::from_utf8(word).ok()?, at + 3)),
                b'\\' => match inner.as_bytes().get(at + 1)? {
                    b'0'..=b'3' => {
                        let octal = inner.get(at + 1..at + 4)?;
                        word.push(u8::from_str_radix(octal, 8).ok()?);
                        at += 4;
                    }
                    escaped => {
                        word.push(*escaped);
                        at += 2;
                    }
                },
                byte => {
                    word.push(byte);
                    at += 1;
                }
            }
        }
    }
    let (mut word, mut at) = (String::new(), 0);
    // `'…'` pieces, with `\'` between them.
    while let Some(inner) = text[at..].strip_prefix('\'') {
        let end = inner.find('\'')?;
        word.push_str(&inner[..end]);
        at += end + 2;
        if text[at..].starts_with("\\'") {
            word.push('\'');
            at += 2;
        }
    }
    if at == 0 {
        at = text.find(' ').unwrap_or(text.len());
        word.push_str(&text[..at]);
    }
    Some((word, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_only_where_a_shell_needs_it() {
        for (word, want) in [
            ("https://x.example/?a=1", "'https://x.example/?a=1'"),
            ("data/p_s", "data/p_s"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("a\nb", r"$'a\012b'"),
        ] {
            assert_eq!(quoted(word), want);
        }
    }

    #[test]
    fn a_command_that_was_quoted_is_read_back_and_nothing_else_is() {
        for words in [
            &["crawl-run", "https://x.example/?a=1&b=2", "-H", "a: b"][..],
            &["it's", "'", "''", "\\", "", "a\nb", "\u{1b}[1mü'\\", "ü ö"],
        ] {
            let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            let command = quoted.join(" ");
            assert_eq!(
                unquoted(&command).as_deref(),
                Some(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()[..]),
                "{command}"
            );
        }
        for other in [
            "crawl-run x; rm -rf /",
            "crawl-run $(id)",
            "crawl-run `id`",
            "crawl-run a | sh",
            "crawl-run  two",
            "crawl-run\nid",
            "crawl-run 'open",
            "crawl-run $'a",
            "crawl-run 'a'b",
            "crawl-run ~",
            "",
        ] {
            assert_eq!(unquoted(other), None, "{other}");
        }
    }
}
