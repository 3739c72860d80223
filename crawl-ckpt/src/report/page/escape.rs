//! Text of strangers, made safe for the page: the one way by which it gets there.

use std::fmt;

/// A text as HTML, between tags and in quoted attributes. What cannot be seen, or would turn the
/// text around, is shown by its number.
pub struct Html<'a>(pub &'a str);

impl fmt::Display for Html<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_special(*c)) {
            f.write_str(&rest[..at])?;
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => write!(f, "\\u{{{:x}}}", u32::from(c))?,
            }
            rest = &rest[at + c.len_utf8()..];
        }
        f.write_str(rest)
    }
}

fn is_special(c: char) -> bool {
    matches!(c, '&' | '<' | '>' | '"' | '\'')
        || c.is_control()
        // Marks of direction, without width, of lines and of byte order, and tags.
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A URL as a link, of http and https alone; any other is shown as text.
pub struct Link<'a>(pub &'a str);

impl fmt::Display for Link<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.0;
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        let is_web = scheme.is_some_and(|scheme| {
            scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
        });
        if !is_web {
            return write!(f, "<span class=mono>{}</span>", Html(url));
        }
        write!(f, "<a href=\"{}\" rel=\"noreferrer noopener\">", Html(url))?;
        // What all have in common stands back, and on a phone it stands aside.
        let host = url.find("://").map_or(0, |at| at + 3);
        let path = url[host..].find('/').map_or(url.len(), |at| host + at);
        let [scheme, host] = [&url[..host], &url[host..path]].map(Html);
        write!(f, "<i class=sc>{scheme}</i><i>{host}</i>")?;
        // A line that is too short ends behind a slash, and not within a word.
        for part in url[path..].split_inclusive('/') {
            write!(f, "{}<wbr>", Html(part))?;
        }
        f.write_str("</a>")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_stranger_becomes_a_tag_or_turns_around() {
        let text = Html("<b a='x' b=\"y\">&\u{202e}\u{1b}[1m\n\u{200b}ä").to_string();
        assert_eq!(
            text,
            "&lt;b a=&#39;x&#39; b=&quot;y&quot;&gt;&amp;\\u{202e}\\u{1b}[1m\\u{a}\\u{200b}ä"
        );
    }

    #[test]
    fn only_web_addresses_become_links() {
        assert!(
            Link("HTTPS://h.example/\"x")
                .to_string()
                .contains("href=\"HTTPS://h.example/&quot;x\"")
        );
        for url in [
            "javascript:alert(1)",
            "data:text/html,x",
            "javascript://h/%0aalert(1)",
            " http://h/",
            "",
        ] {
            assert!(!Link(url).to_string().contains("href"), "{url}");
        }
    }
}
