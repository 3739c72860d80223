//! The words of an XPath expression (XPath 1.0, 3.7).

/// A word.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// A number.
    Number(f64),
    /// A text in quotes.
    Text(String),
    /// A name, with its prefix.
    Name(String),
    /// A sign, or a name that stands for one: `and`, `or`, `div`, `mod`, and `times` for the `*`
    /// that multiplies.
    Sign(&'static str),
}

/// Signs, the longer first.
const SIGNS: [&str; 23] = [
    "//", "..", "::", "!=", "<=", ">=", "/", ".", "@", "(", ")", "[", "]", ",", "|", "+", "-", "=",
    "<", ">", "*", "$", ":",
];

/// Names that are operators behind an operand.
const OPERATORS: [&str; 4] = ["and", "or", "div", "mod"];

/// Longest expression, in words.
const MOST: usize = 2_000;

/// Parts an expression into words.
///
/// # Errors
/// Says what is no word.
pub fn words(text: &str) -> Result<Vec<Token>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, length) = match first {
            '"' | '\'' => {
                let end = rest[1..].find(first).ok_or("a quote is not closed")?;
                (Token::Text(rest[1..=end].to_owned()), end + 2)
            }
            '0'..='9' => number(rest)?,
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => number(rest)?,
            _ if begins_name(first) => {
                let end = name_end(rest);
                let name = &rest[..end];
                let operator = OPERATORS.into_iter().find(|known| *known == name);
                match operator.filter(|_| words.last().is_some_and(ends_operand)) {
                    Some(operator) => (Token::Sign(operator), end),
                    None => (Token::Name(name.to_owned()), end),
                }
            }
            _ => {
                let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
                let sign = sign.ok_or_else(|| format!("`{first}` means nothing"))?;
                let times = sign == "*" && words.last().is_some_and(ends_operand);
                (Token::Sign(if times { "times" } else { sign }), sign.len())
            }
        };
        words.push(word);
        if words.len() > MOST {
            return Err("it is too long".into());
        }
        rest = rest[length..].trim_start();
    }
    Ok(words)
}

fn number(text: &str) -> Result<(Token, usize), String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let digits = &text[..end.unwrap_or(text.len())];
    let number = digits
        .parse()
        .map_err(|_| format!("`{digits}` is no number"))?;
    Ok((Token::Number(number), digits.len()))
}

/// True when an operator may follow.
fn ends_operand(word: &Token) -> bool {
    match word {
        Token::Sign(sign) => matches!(*sign, ")" | "]" | "." | ".." | "*"),
        _ => true,
    }
}

fn begins_name(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn name_end(text: &str) -> usize {
    let ends = |c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-' | '.' | '\u{b7}');
    let end = text.find(ends).unwrap_or(text.len());
    match text[end..].strip_prefix(':') {
        Some(local) if local.starts_with(begins_name) => {
            end + 1 + local.find(ends).unwrap_or(local.len())
        }
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_names_are_operators_behind_operands() {
        let signs = |text: &str| {
            let words = words(text).unwrap().into_iter();
            words
                .filter_map(|word| match word {
                    Token::Sign(sign) => Some(sign),
                    _ => None,
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(signs("* * *"), ["*", "times", "*"]);
        assert_eq!(signs("div div mod"), ["div"]);
        assert_eq!(signs("//*[@*]/and"), ["//", "*", "[", "@", "*", "]", "/"]);
        assert_eq!(signs("a::b and c:d"), ["::", "and"]);
    }

    #[test]
    fn names_have_hyphens_and_numbers_points() {
        let name = |text: &str| Token::Name(text.to_owned());
        assert_eq!(
            words("data-x.y -.5 'a\"b' é"),
            Ok(vec![
                name("data-x.y"),
                Token::Sign("-"),
                Token::Number(0.5),
                Token::Text("a\"b".to_owned()),
                name("é"),
            ])
        );
        for bad in ["'a", "a ! b", "#", "1.2.3"] {
            assert!(words(bad).is_err(), "{bad}");
        }
    }
}
