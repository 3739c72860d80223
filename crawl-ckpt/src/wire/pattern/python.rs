//! A regular expression as Python's `re` reads it, made one that the engines here read the same way.

use std::iter::Peekable;
use std::str::Chars;

/// An expression in the words of the engines.
#[derive(Debug, PartialEq, Eq)]
pub struct Translated {
    /// The expression.
    pub text: String,
    /// Only the engine that goes back reads it as Python does.
    pub goes_back: bool,
}

/// What the flags say at a place.
#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    verbose: bool,
    ascii: bool,
}

/// What the quantifier before a place would repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Atom,
    Repeat,
}

/// Translates an expression.
///
/// # Errors
/// Why Python refuses it, where the engines would not.
pub fn translate(pattern: &str) -> Result<Translated, String> {
    let mut reader = PatternReader {
        rest: pattern.chars().peekable(),
        out: String::with_capacity(pattern.len() + 8),
        goes_back: false,
        groups: 0,
    };
    reader.expression()?;
    Ok(Translated {
        text: reader.out,
        goes_back: reader.goes_back,
    })
}

struct PatternReader<'p> {
    rest: Peekable<Chars<'p>>,
    out: String,
    goes_back: bool,
    /// Numbered groups so far.
    groups: usize,
}

impl PatternReader<'_> {
    fn expression(&mut self) -> Result<(), String> {
        let mut flags = Flags::default();
        let mut outer = Vec::new();
        let mut before = Before::Nothing;
        let mut is_start = true;
        while let Some(c) = self.rest.next() {
            let was_start = std::mem::replace(&mut is_start, false);
            match c {
                ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' if flags.verbose => continue,
                '#' if flags.verbose => {
                    while self.rest.next().is_some_and(|c| c != '\n') {}
                    continue;
                }
                '\\' => self.escape(flags)?,
                '[' => self.class(flags)?,
                '(' => {
                    let inner = self.group(flags)?;
                    match inner {
                        ParsedGroup::Opens(inner) => {
                            outer.push(flags);
                            flags = inner;
                            before = Before::Nothing;
                        }
                        ParsedGroup::Flags(found) if was_start => {
                            flags = found;
                            is_start = true;
                        }
                        ParsedGroup::Flags(_) => {
                            return Err("flags such as (?i) stand at its start".into());
                        }
                        ParsedGroup::Comment => {}
                        ParsedGroup::Whole => before = Before::Atom,
                    }
                    continue;
                }
                ')' => {
                    flags = outer.pop().unwrap_or(flags);
                    self.out.push(')');
                }
                '|' => {
                    self.out.push('|');
                    before = Before::Nothing;
                    continue;
                }
                '*' | '+' | '?' => {
                    before = self.repeat(&c.to_string(), before)?;
                    continue;
                }
                '{' => match self.counts() {
                    Some(counts) => {
                        before = self.repeat(&counts, before)?;
                        continue;
                    }
                    None => self.out.push_str("\\{"),
                },
                '.' | '^' | '$' => self.out.push(c),
                c => self.literal(c),
            }
            before = Before::Atom;
        }
        Ok(())
    }

    /// Writes a quantifier, with what makes it lazy or final.
    fn repeat(&mut self, quantifier: &str, before: Before) -> Result<Before, String> {
        match before {
            Before::Nothing => return Err("nothing to repeat".into()),
            Before::Repeat => return Err("multiple repeat".into()),
            Before::Atom => self.out.push_str(quantifier),
        }
        if let Some(mode) = self.rest.next_if(|c| matches!(c, '?' | '+')) {
            self.out.push(mode);
            self.goes_back |= mode == '+';
        }
        Ok(Before::Repeat)
    }

    /// `{2}`, `{2,}`, `{,3}`, `{2,3}` behind its brace; anything else is no quantifier.
    fn counts(&mut self) -> Option<String> {
        let mut ahead = self.rest.clone();
        let mut digits = || {
            let mut digits = String::new();
            while let Some(digit) = ahead.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            digits
        };
        let least = digits();
        let text = match ahead.next()? {
            '}' if !least.is_empty() => format!("{{{least}}}"),
            ',' => {
                let mut most = String::new();
                while let Some(digit) = ahead.next_if(char::is_ascii_digit) {
                    most.push(digit);
                }
                ahead.next_if_eq(&'}')?;
                let least = if least.is_empty() { "0" } else { &least };
                format!("{{{least},{most}}}")
            }
            _ => return None,
        };
        self.rest = ahead;
        Some(text)
    }

    fn literal(&mut self, c: char) {
        if is_special(c) {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    /// What follows a backslash outside a class.
    fn escape(&mut self, flags: Flags) -> Result<(), String> {
        let Some(&c) = self.rest.peek() else {
            return Err("a backslash at its end".into());
        };
        if c.is_ascii_digit() && c != '0' {
            return self.number();
        }
        self.rest.next();
        match c {
            'Z' => self.out.push_str("\\z"),
            'A' | 'z' => {
                self.out.push('\\');
                self.out.push(c);
            }
            'b' | 'B' if flags.ascii => {
                self.out
                    .push_str(if c == 'b' { "(?-u:\\b)" } else { "(?-u:\\B)" });
            }
            'b' | 'B' => {
                self.out.push('\\');
                self.out.push(c);
            }
            _ => match self.shared_escape(c, flags)? {
                Escaped::Char(c) => self.literal(c),
                Escaped::Class(text) => self.out.push_str(&text),
            },
        }
        Ok(())
    }

    /// `\1`: what a group matched, or a character by its octal number.
    fn number(&mut self) -> Result<(), String> {
        let mut ahead = self.rest.clone();
        let three: Vec<u32> = ahead
            .by_ref()
            .take(3)
            .map_while(|c| c.to_digit(8))
            .collect();
        if let [a, b, c] = three[..] {
            self.rest = ahead;
            let code = a * 64 + b * 8 + c;
            let c = char::from_u32(code).filter(|_| code <= 0o377);
            self.literal(c.ok_or("an octal number over \\377")?);
            return Ok(());
        }
        let mut group = String::new();
        while let Some(digit) = self.rest.next_if(|c| group.len() < 2 && c.is_ascii_digit()) {
            group.push(digit);
        }
        self.refer(&group)?;
        self.out.push_str(&format!("(?:\\{group})"));
        Ok(())
    }

    /// A group that is spoken of must stand before that.
    fn refer(&mut self, group: &str) -> Result<(), String> {
        self.goes_back = true;
        match group.parse::<usize>() {
            Ok(number) if number == 0 || number > self.groups => {
                Err(format!("no group {number} before it is referred to"))
            }
            _ => Ok(()),
        }
    }

    /// Escapes that mean the same in a class and outside.
    fn shared_escape(&mut self, c: char, flags: Flags) -> Result<Escaped, String> {
        let class = |ascii: &str| {
            Escaped::Class(if flags.ascii {
                ascii.to_owned()
            } else {
                format!("\\{c}")
            })
        };
        Ok(match c {
            'd' => class("[0-9]"),
            'D' => class("[^0-9]"),
            'w' => class("[0-9A-Za-z_]"),
            'W' => class("[^0-9A-Za-z_]"),
            's' => class("[ \\t\\n\\r\\x0b\\x0c]"),
            'S' => class("[^ \\t\\n\\r\\x0b\\x0c]"),
            // Python has none of these, and takes them for nothing else.
            'p' | 'P' => {
                let mut text = format!("\\{c}");
                if self.rest.peek() == Some(&'{') {
                    text.extend(std::iter::from_fn(|| self.rest.next_if(|c| *c != '}')));
                }
                text.extend(self.rest.next());
                Escaped::Class(text)
            }
            'a' => Escaped::Char('\u{7}'),
            'f' => Escaped::Char('\u{c}'),
            'n' => Escaped::Char('\n'),
            'r' => Escaped::Char('\r'),
            't' => Escaped::Char('\t'),
            'v' => Escaped::Char('\u{b}'),
            'x' => self.code(2)?,
            'u' => self.code(4)?,
            'U' => self.code(8)?,
            '0' => {
                let mut code = 0;
                for _ in 0..2 {
                    let Some(digit) = self.rest.peek().and_then(|c| c.to_digit(8)) else {
                        break;
                    };
                    self.rest.next();
                    code = code * 8 + digit;
                }
                Escaped::Char(char::from_u32(code).unwrap_or_default())
            }
            c if c.is_ascii_alphanumeric() => return Err(format!("\\{c} means nothing in it")),
            c => Escaped::Char(c),
        })
    }

    /// A character by so many hex digits.
    fn code(&mut self, digits: usize) -> Result<Escaped, String> {
        let text: String = self.rest.by_ref().take(digits).collect();
        let is_hex = text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
        let code = u32::from_str_radix(&text, 16).ok().filter(|_| is_hex);
        let c = code.and_then(char::from_u32);
        let what = || format!("expected {digits} hex digits of a character, found {text}");
        Ok(Escaped::Char(c.ok_or_else(what)?))
    }

    /// A class, behind its bracket. In Python a class holds no other, and has no operators.
    fn class(&mut self, flags: Flags) -> Result<(), String> {
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut is_first = true;
        loop {
            let c = self.rest.next().ok_or("a [ without its ]")?;
            if c == ']' && !is_first {
                break;
            }
            is_first = false;
            let one = self.class_part(c, flags)?;
            let mut ahead = self.rest.clone();
            let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|c| c != ']');
            match one {
                Escaped::Char(first) if is_range => {
                    self.rest.next();
                    let c = self.rest.next().unwrap_or_default();
                    let Escaped::Char(last) = self.class_part(c, flags)? else {
                        return Err("a range that ends with a class".into());
                    };
                    if last < first {
                        return Err(format!("the range {first}-{last} goes backwards"));
                    }
                    self.literal(first);
                    self.out.push('-');
                    self.literal(last);
                }
                Escaped::Class(_) if is_range => {
                    return Err("a range that begins with a class".into());
                }
                Escaped::Char(c) => self.literal(c),
                Escaped::Class(text) => self.out.push_str(&text),
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn class_part(&mut self, c: char, flags: Flags) -> Result<Escaped, String> {
        if c != '\\' {
            return Ok(Escaped::Char(c));
        }
        match self.rest.next().ok_or("a backslash at its end")? {
            'b' => Ok(Escaped::Char('\u{8}')),
            digit @ '1'..='7' => {
                let mut code = digit.to_digit(8).unwrap_or_default();
                while let Some(more) = self.rest.peek().and_then(|c| c.to_digit(8)) {
                    self.rest.next();
                    code = code * 8 + more;
                    if code > 0o37 {
                        break;
                    }
                }
                let c = char::from_u32(code).filter(|_| code <= 0o377);
                Ok(Escaped::Char(c.ok_or("an octal number over \\377")?))
            }
            c => self.shared_escape(c, flags),
        }
    }

    /// What follows an opening parenthesis.
    fn group(&mut self, flags: Flags) -> Result<ParsedGroup, String> {
        if self.rest.next_if_eq(&'?').is_none() {
            self.groups += 1;
            self.out.push('(');
            return Ok(ParsedGroup::Opens(flags));
        }
        let ahead: String = self.rest.clone().take(2).collect();
        let opens = match &*ahead {
            _ if ahead.starts_with('#') => {
                return match self.rest.find(|c| *c == ')') {
                    Some(_) => Ok(ParsedGroup::Comment),
                    None => Err("a comment without its )".into()),
                };
            }
            "P=" => return self.same_as_named(),
            "P<" | "<=" | "<!" => 2,
            _ if ahead.starts_with([':', '=', '!', '>', '<']) => 1,
            _ if ahead.starts_with('(') => return self.condition(flags),
            _ => return self.flags(flags),
        };
        self.out.push_str("(?");
        self.out.extend(self.rest.by_ref().take(opens));
        if ahead == "P<" || (opens == 1 && ahead.starts_with('<')) {
            self.groups += 1;
            let name: String = std::iter::from_fn(|| self.rest.next_if(|c| *c != '>')).collect();
            self.out.push_str(&name);
            self.out.extend(self.rest.next());
        }
        Ok(ParsedGroup::Opens(flags))
    }

    /// `(?P=name)`.
    fn same_as_named(&mut self) -> Result<ParsedGroup, String> {
        let text: String = std::iter::from_fn(|| self.rest.next_if(|c| *c != ')')).collect();
        self.rest.next().ok_or("a ( without its )")?;
        self.out.push_str(&format!("(?{text})"));
        self.goes_back = true;
        Ok(ParsedGroup::Whole)
    }

    /// `(?(1)yes|no)`, `(?(name)yes|no)`.
    fn condition(&mut self, flags: Flags) -> Result<ParsedGroup, String> {
        let text: String = std::iter::from_fn(|| self.rest.next_if(|c| *c != ')')).collect();
        self.rest.next().ok_or("a ( without its )")?;
        let group = text.trim_start_matches('(');
        self.refer(group)?;
        self.out.push_str(&match group.parse::<usize>() {
            Ok(number) => format!("(?({number})"),
            // Without these brackets it would be an expression.
            Err(_) => format!("(?(<{group}>)"),
        });
        Ok(ParsedGroup::Opens(flags))
    }

    /// `(?i)`, `(?s-i:`.
    fn flags(&mut self, mut flags: Flags) -> Result<ParsedGroup, String> {
        let mut kept = String::new();
        let mut is_on = true;
        loop {
            let c = self.rest.next().ok_or("a ( without its )")?;
            match c {
                'a' => flags.ascii = is_on,
                'u' => flags.ascii = !is_on,
                'x' => flags.verbose = is_on,
                'i' | 'm' | 's' => kept.push(c),
                '-' if is_on => {
                    is_on = false;
                    kept.push('-');
                }
                'L' => return Err("the flag L is for bytes".into()),
                ')' | ':' => {
                    let kept = kept.trim_end_matches('-');
                    if c == ':' {
                        self.out.push_str(&format!("(?{kept}:"));
                        return Ok(ParsedGroup::Opens(flags));
                    }
                    if !kept.is_empty() {
                        self.out.push_str(&format!("(?{kept})"));
                    }
                    return Ok(ParsedGroup::Flags(flags));
                }
                c => return Err(format!("(?{c} means nothing in it")),
            }
        }
    }
}

enum Escaped {
    Char(char),
    Class(String),
}

enum ParsedGroup {
    /// A group with these flags begins.
    Opens(Flags),
    /// Flags that hold from here on.
    Flags(Flags),
    Comment,
    /// A group that was read to its end.
    Whole,
}

/// What the engines want escaped, in classes or outside. A blank too: under no flag is it left out.
fn is_special(c: char) -> bool {
    c.is_ascii()
        && !c.is_ascii_alphanumeric()
        && !matches!(
            c,
            '_' | '<'
                | '>'
                | '/'
                | ' '
                | '"'
                | '\''
                | '%'
                | '@'
                | ':'
                | ';'
                | ','
                | '='
                | '!'
                | '`'
        )
        && !c.is_ascii_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pattern: &str) -> String {
        translate(pattern).unwrap().text
    }

    #[test]
    fn what_python_reads_otherwise_is_written_otherwise() {
        for (pattern, want) in [
            (r"/p\Z", r"/p\z"),
            ("/{id}", r"/\{id\}"),
            ("/x{,3}y{2,}", "/x{0,3}y{2,}"),
            (r"\<b\>\ \/\-\_", r"<b> /\-_"),
            ("[[]a", r"[\[]a"),
            ("[a&&b]", r"[a\&\&b]"),
            (r"[]\]x-]", r"[\]\]x\-]"),
            (r"[\w-]", r"[\w\-]"),
            (r"(?a)\w\b", r"[0-9A-Za-z_](?-u:\b)"),
            ("(?x) / a # comment", "/a"),
            ("(?x: a b)c d", "(?:ab)c d"),
            ("(?#note)a", "a"),
            (r"\x61\u0062\101\0", "abA\0"),
            ("(?P<y>a)(?i:b)", "(?P<y>a)(?i:b)"),
            (r"\.\*", r"\.\*"),
        ] {
            assert_eq!(text(pattern), want, "{pattern}");
        }
    }

    #[test]
    fn what_only_going_back_can_find_is_told() {
        for (pattern, want) in [
            (r"(a|b)\1", r"(a|b)(?:\1)"),
            ("(?P<q>.)x(?P=q)", "(?P<q>.)x(?P=q)"),
            ("a++b", "a++b"),
            ("(a)?(?(1)b|c)", "(a)?(?(1)b|c)"),
        ] {
            let got = translate(pattern).unwrap();
            assert_eq!((&*got.text, got.goes_back), (want, true));
        }
        assert!(!translate("(?!a)b+?").unwrap().goes_back);
    }

    #[test]
    fn what_python_refuses_is_refused() {
        for pattern in [
            "*a", "a**", "a{2}{3}", r"\q", r"a\", "[z-a]", "[a", "(?L)a", "a(?i)b", r"\xg1",
            r"[\d-z]", "|*",
        ] {
            assert!(translate(pattern).is_err(), "{pattern}");
        }
    }
}
