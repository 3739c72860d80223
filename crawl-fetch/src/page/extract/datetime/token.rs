//! A text cut into numbers, times, and the words of one language.

use jiff::civil::Time;
use jiff::tz::Offset;

use super::language::{Meaning, Words};
use super::zones;

/// Longer phrases than this, in characters, are in no language.
const LONGEST: usize = 40;

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DateToken<'a> {
    /// Digits; `is_ordinal` with `th` and the like behind them.
    Number {
        /// As written.
        digits: &'a str,
        /// It counts, so it is no year.
        is_ordinal: bool,
    },
    /// `18:11`, `18:11:07.250`.
    Clock(Time),
    /// A distance from UTC, by number or name.
    Zone(Offset),
    /// Whatever it means.
    Word(&'a [Meaning]),
    /// A mark between others.
    Mark(char),
}

impl DateToken<'_> {
    /// True when the word may mean this.
    pub fn may_be(&self, meaning: Meaning) -> bool {
        matches!(self, DateToken::Word(meanings) if meanings.contains(&meaning))
    }

    /// The number, when it is one.
    pub fn number(&self) -> Option<i64> {
        match self {
            DateToken::Number { digits, .. } => digits.parse().ok(),
            _ => None,
        }
    }
}

/// Why a text is none of a language's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Miss {
    /// It has a word that the language lacks.
    Word,
    /// No language can read it: it has a time that does not exist.
    Time,
}

/// Cuts a plain text.
///
/// # Errors
/// Where it cannot be all read.
pub fn tokens<'a>(text: &'a str, words: &'a Words) -> Result<Vec<DateToken<'a>>, Miss> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let (token, bytes) = if c == ' ' {
            at += 1;
            continue;
        } else if let Some((word, bytes)) = phrase(rest, words) {
            (DateToken::Word(word), bytes)
        } else if c.is_ascii_digit() {
            number(rest)?
        } else if let Some(zone) = offset(&text[..at], rest, &tokens) {
            zone
        } else if c.is_alphabetic() {
            let end = rest
                .find(|c: char| !c.is_alphabetic())
                .unwrap_or(rest.len());
            match (&rest[..end], tokens.last()) {
                // "2024-03-05t18:11"
                ("t", Some(DateToken::Number { .. })) => (DateToken::Mark('t'), 1),
                // "2024t"
                (name, _) if has_time(&tokens) => (
                    DateToken::Zone(zones::by_name(name).ok_or(Miss::Word)?),
                    end,
                ),
                _ => return Err(Miss::Word),
            }
        } else if ",.-/;()[]|@_'\":·•*~".contains(c) {
            (DateToken::Mark(c), c.len_utf8())
        } else {
            return Err(Miss::Word);
        };
        tokens.push(token);
        at += bytes;
    }
    Ok(tokens)
}

/// The longest phrase that a text begins with.
fn phrase<'a>(text: &str, words: &'a Words) -> Option<(&'a [Meaning], usize)> {
    let ends = text.char_indices().map(|(at, c)| (at + c.len_utf8(), c));
    let mut ends: Vec<(usize, char)> = ends.take(LONGEST).collect();
    while let Some((end, last)) = ends.pop() {
        let next = text[end..].chars().next();
        let goes_on = match next {
            Some(next) if last.is_ascii_digit() => next.is_ascii_digit(),
            Some(next) => {
                is_letter(last) && is_letter(next) && !(is_unspaced(last) || is_unspaced(next))
            }
            None => false,
        };
        if goes_on || last == ' ' {
            continue;
        }
        if let Some(meanings) = words.get(&text[..end]) {
            return Some((meanings, end));
        }
    }
    None
}

/// True for letters, and the vowel signs of Indian scripts.
fn is_letter(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '\u{900}'..='\u{dff}')
}

/// True for a letter of a script that has no blanks between words.
fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c), 0x0e00..=0x0fff | 0x1000..=0x11ff | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x3400..=0x9fff | 0xac00..=0xd7a3)
}

fn digits(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_digit());
    &text[..end.unwrap_or(text.len())]
}

/// A time of the day, or a number.
fn number(text: &str) -> Result<(DateToken<'_>, usize), Miss> {
    let first = digits(text);
    let rest = &text[first.len()..];
    if let Some(rest) = rest.strip_prefix(':')
        && rest.starts_with(|c: char| c.is_ascii_digit())
    {
        return clock(text, first);
    }
    let end = rest
        .find(|c: char| !c.is_alphabetic())
        .unwrap_or(rest.len());
    let is_ordinal = matches!(
        &rest[..end],
        "st" | "nd"
            | "rd"
            | "th"
            | "er"
            | "ere"
            | "e"
            | "o"
            | "a"
            | "eme"
            | "ste"
            | "de"
            | "-го"
            | "го"
    );
    let bytes = first.len() + if is_ordinal { end } else { 0 };
    Ok((
        DateToken::Number {
            digits: first,
            is_ordinal,
        },
        bytes,
    ))
}

/// `18:11`, with seconds and their parts.
fn clock<'a>(text: &'a str, hour: &str) -> Result<(DateToken<'a>, usize), Miss> {
    let mut at = hour.len();
    let mut parts = [0i8; 2];
    let mut count = 0;
    while let Some(rest) = text[at..].strip_prefix(':') {
        let part = digits(rest);
        if part.is_empty() {
            break;
        }
        *parts.get_mut(count).ok_or(Miss::Time)? = part.parse().map_err(|_| Miss::Time)?;
        count += 1;
        at += 1 + part.len();
    }
    let mut nanoseconds = 0;
    if count == 2
        && let Some(rest) = text[at..].strip_prefix(['.', ','])
    {
        let part = digits(rest);
        // "10:00:00,2021" has the year there.
        if !part.is_empty() && part.len() != 4 {
            let nine: String = part.chars().chain("000000000".chars()).take(9).collect();
            nanoseconds = nine.parse().map_err(|_| Miss::Time)?;
            at += 1 + part.len();
        }
    }
    let hour = hour.parse().map_err(|_| Miss::Time)?;
    let time = Time::new(hour, parts[0], parts[1], nanoseconds).map_err(|_| Miss::Time)?;
    Ok((DateToken::Clock(time), at))
}

/// `+0100`, `-05:00`, `+2` behind a time or the name of UTC, which it then replaces.
fn offset(
    before: &str,
    text: &str,
    tokens: &[DateToken<'_>],
) -> Option<(DateToken<'static>, usize)> {
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let hours = digits(&text[1..]);
    let behind = &text[1 + hours.len()..];
    let (hours, minutes, bytes) = match (hours.len(), behind.strip_prefix(':').map(digits)) {
        (1 | 2, Some(minutes)) if minutes.len() == 2 => (hours, minutes, hours.len() + 4),
        (4, None) => (&hours[..2], &hours[2..], 5),
        (1 | 2, None) => (hours, "0", 1 + hours.len()),
        _ => return None,
    };
    let last = tokens.last()?;
    let is_after_zone = matches!(last, DateToken::Zone(_));
    // "10:00-11:00" is from ten to eleven.
    let is_range = sign < 0
        && !before.ends_with(' ')
        && matches!(last, DateToken::Clock(time) if time.second() == 0);
    if !(is_after_zone || has_time(tokens))
        || (is_range && !is_after_zone && behind.starts_with(':'))
    {
        return None;
    }
    let seconds = sign * (hours.parse::<i32>().ok()? * 60 + minutes.parse::<i32>().ok()?) * 60;
    Some((DateToken::Zone(Offset::from_seconds(seconds).ok()?), bytes))
}

/// True when a time stands at the end, or before its half of the day.
fn has_time(tokens: &[DateToken<'_>]) -> bool {
    tokens.iter().any(|token| match token {
        DateToken::Clock(_) => true,
        DateToken::Word(meanings) => meanings
            .iter()
            .any(|m| matches!(m, Meaning::Am | Meaning::Pm)),
        _ => false,
    })
}
