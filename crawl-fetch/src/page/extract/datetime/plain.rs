//! The form in which texts are compared with the words of languages.

use icu_normalizer::DecomposingNormalizerBorrowed;

/// The zeros of digits that are not ASCII: Arabic, Persian, the scripts of India, Thai …
const ZEROS: [char; 18] = [
    '٠', '۰', '߀', '०', '০', '੦', '૦', '୦', '௦', '౦', '೦', '൦', '๐', '໐', '༠', '၀', '០', '᠐',
];

/// Small letters without marks, ASCII digits, single blanks; a dot only between or behind digits.
/// What `scripts/languages` calls `plain`.
pub fn plain(text: &str) -> String {
    let lower = text.to_lowercase();
    let text = if lower.is_ascii() {
        lower
    } else {
        let shown: String = lower.chars().filter(|c| !is_invisible(*c)).collect();
        let apart = DecomposingNormalizerBorrowed::new_nfkd().normalize(&shown);
        apart.chars().filter(|c| !is_mark(*c)).map(simple).collect()
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let c = match c {
            '.' if !out.ends_with(|c: char| c.is_ascii_digit()) => ' ',
            c if c.is_whitespace() => ' ',
            c => c,
        };
        if c != ' ' || !(out.is_empty() || out.ends_with(' ')) {
            out.push(c);
        }
    }
    out.truncate(out.trim_end().len());
    out
}

/// Accents, and the points of Hebrew and Arabic; the vowels of other scripts are letters.
fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{591}'..='\u{5c7}' | '\u{64b}'..='\u{65f}'
        | '\u{670}' | '\u{6d6}'..='\u{6dc}' | '\u{6df}'..='\u{6e8}' | '\u{6ea}'..='\u{6ed}')
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn simple(c: char) -> char {
    match c {
        '’' | '‘' | 'ʼ' | '`' | '´' | 'ʹ' => '\'',
        '–' | '—' | '−' | '‐' | '‑' => '-',
        '，' | '、' | '،' => ',',
        _ => match ZEROS
            .iter()
            .find(|zero| (**zero..=digit(**zero, 9)).contains(&c))
        {
            Some(zero) => digit('0', u32::from(c) - u32::from(*zero)),
            None => c,
        },
    }
}

fn digit(zero: char, value: u32) -> char {
    char::from_u32(u32::from(zero) + value).unwrap_or(zero)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_without_marks_case_and_odd_digits() {
        for (text, want) in [
            ("5. MÄRZ\u{a0}2024", "5. marz 2024"),
            ("6:11 p.m., Dec. 5", "6:11 p m , dec 5"),
            ("٢٠ أكتوبر ٢٠١٤", "20 اكتوبر 2014"),
            ("１０月", "10月"),
            ("dd\u{200f}/MM", "dd/mm"),
            ("01.02.2024", "01.02.2024"),
        ] {
            assert_eq!(plain(text), want);
        }
    }
}
