//! Names of elements as small numbers: those of HTML always the same, any other as
//! it is met in a page.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::page::lex::ends_name;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Name(pub u16);

impl Name {
    /// That of what is no element.
    pub const NONE: Name = Name(u16::MAX);
}

/// Gives the known names their numbers.
macro_rules! names {
    ($($constant:ident $text:literal)*) => {
        #[allow(dead_code, non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(u16)]
        enum Number { $($constant),* }

        #[allow(dead_code, missing_docs)]
        impl Name {
            $(pub const $constant: Name = Name(Number::$constant as u16);)*
        }

        /// The texts of the known names, by their numbers.
        pub const KNOWN: &[&str] = &[$($text),*];
    };
}

names! {
    A "a" ADDRESS "address" APPLET "applet" AREA "area" ARTICLE "article" ASIDE "aside"
    B "b" BASE "base" BASEFONT "basefont" BGSOUND "bgsound" BIG "big" BLOCKQUOTE "blockquote"
    BODY "body" BR "br" BUTTON "button" CAPTION "caption" CENTER "center" CODE "code" COL "col"
    COLGROUP "colgroup" DD "dd" DETAILS "details" DIALOG "dialog" DIR "dir" DIV "div" DL "dl"
    DT "dt" EM "em" EMBED "embed" FIELDSET "fieldset" FIGCAPTION "figcaption" FIGURE "figure"
    FONT "font" FOOTER "footer" FORM "form" FRAME "frame" FRAMESET "frameset" H1 "h1" H2 "h2"
    H3 "h3" H4 "h4" H5 "h5" H6 "h6" HEAD "head" HEADER "header" HGROUP "hgroup" HR "hr"
    HTML "html" I "i" IFRAME "iframe" IMAGE "image" IMG "img" INPUT "input" KEYGEN "keygen"
    LI "li" LINK "link" LISTING "listing" MAIN "main" MARQUEE "marquee" MATH "math" MENU "menu"
    META "meta" NAV "nav" NOBR "nobr" NOEMBED "noembed" NOFRAMES "noframes" NOSCRIPT "noscript"
    OBJECT "object" OL "ol" OPTGROUP "optgroup" OPTION "option" P "p" PARAM "param"
    PLAINTEXT "plaintext" PRE "pre" RB "rb" RP "rp" RT "rt" RTC "rtc" RUBY "ruby" S "s"
    SCRIPT "script" SEARCH "search" SECTION "section" SELECT "select" SMALL "small"
    SOURCE "source" SPAN "span" STRIKE "strike" STRONG "strong" STYLE "style" SUB "sub"
    SUMMARY "summary" SUP "sup" SVG "svg" TABLE "table" TBODY "tbody" TD "td"
    TEMPLATE "template" TEXTAREA "textarea" TFOOT "tfoot" TH "th" THEAD "thead" TITLE "title"
    TR "tr" TRACK "track" TT "tt" U "u" UL "ul" VAR "var" WBR "wbr" XMP "xmp"
    FOREIGNOBJECT "foreignobject" DESC "desc" MI "mi" MO "mo" MN "mn" MS "ms" MTEXT "mtext"
    MGLYPH "mglyph" MALIGNMARK "malignmark" ANNOTATION_XML "annotation-xml"
}

/// Names up to this are read without memory of their own: all that are known, and most that pages make.
const SHORT_BYTES: usize = 32;

/// The known names of at most seven bytes, which nearly all are, by these bytes as a number. Behind
/// the bytes of each stands its own number, so that all of them lie in few lines of the
/// processor's cache.
static SHORT: Short = Short::new();

struct Short {
    slots: [u64; SLOTS],
}

const SLOTS: usize = 512;

/// Longest name in it.
const LONGEST_SHORT: usize = 7;

const _: () = assert!(KNOWN.len() <= 1 << 8);

impl Short {
    const fn new() -> Short {
        let mut slots = [0; SLOTS];
        let mut number = 0;
        while number < KNOWN.len() {
            let text = KNOWN[number].as_bytes();
            if text.len() <= LONGEST_SHORT {
                let (mut key, mut i) = (0, 0);
                while i < text.len() {
                    key = key << 8 | text[i] as u64;
                    i += 1;
                }
                let mut slot = Short::slot(key);
                while slots[slot] != 0 {
                    slot = (slot + 1) % SLOTS;
                }
                slots[slot] = key << 8 | number as u64;
            }
            number += 1;
        }
        Short { slots }
    }

    const fn slot(key: u64) -> usize {
        (key.wrapping_mul(0xdb8f_8475_72db_786f) >> 55) as usize
    }

    #[inline]
    fn find(&self, key: u64) -> Option<Name> {
        let mut slot = Short::slot(key);
        loop {
            match self.slots[slot] {
                0 => return None,
                found if found >> 8 == key => return Some(Name((found & 0xff) as u16)),
                _ => slot = (slot + 1) % SLOTS,
            }
        }
    }
}

/// The bytes of a name of at most seven, all in lower case, as a number, and where it ends; `None`
/// for any other. They are looked at all at once, since the length of the next name is hard to guess.
#[inline(always)]
fn short(html: &[u8], at: usize) -> Option<(u64, usize)> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let word = u64::from_le_bytes(*html.get(at..)?.first_chunk()?);
    // What ends a name is below `0`, or `>`. Bits above the first that is found mean nothing.
    let below = word.wrapping_sub(ONES * u64::from(b'0')) & !word;
    let close = word ^ (ONES * u64::from(b'>'));
    let close = close.wrapping_sub(ONES) & !close;
    let length = ((below | close) & (ONES << 7)).trailing_zeros() / 8;
    if !(1..8).contains(&length) || !ends_name((word >> (8 * length)) as u8) {
        return None;
    }
    let name = word << (64 - 8 * length);
    let lower = (ONES << 5) << (64 - 8 * length);
    (name & lower == lower).then(|| (name.swap_bytes(), at + length as usize))
}

#[inline]
fn lower(byte: u8) -> u8 {
    byte | u8::from(byte.is_ascii_uppercase()) << 5
}

/// The names of a page.
#[derive(Debug)]
pub struct Names {
    table: HashTable<u16>,
    hasher: RandomState,
    own: Vec<Box<str>>,
}

/// Names are kept for the next page up to so many.
const KEEP_OWN: usize = 1000;

/// Further names of a page get no number of their own but share the last one.
const MOST: usize = u16::MAX as usize;

impl Default for Names {
    fn default() -> Names {
        let mut names = Names {
            table: HashTable::with_capacity(2 * KNOWN.len()),
            hasher: RandomState::default(),
            own: Vec::new(),
        };
        for number in 0..KNOWN.len() {
            names.enter(number as u16);
        }
        names
    }
}

impl Names {
    /// Forgets the names of earlier pages, when there are so many that they are none.
    pub fn clear(&mut self) {
        if self.own.len() > KEEP_OWN {
            *self = Names::default();
        }
    }

    /// The text of a name, in lower case.
    pub fn text(&self, name: Name) -> &str {
        let number = usize::from(name.0);
        KNOWN
            .get(number)
            .copied()
            .unwrap_or_else(|| &self.own[number - KNOWN.len()])
    }

    /// The name at `at`, and where it ends.
    #[inline]
    pub fn read(&mut self, html: &[u8], at: usize) -> (Name, usize) {
        if let Some((key, end)) = short(html, at)
            && let Some(name) = SHORT.find(key)
        {
            return (name, end);
        }
        let mut key = 0;
        let mut end = at;
        while let Some(&byte) = html.get(end) {
            if ends_name(byte) {
                break;
            }
            key = key << 8 | u64::from(lower(byte));
            end += 1;
        }
        if end - at <= LONGEST_SHORT
            && let Some(name) = SHORT.find(key)
        {
            return (name, end);
        }
        (self.name(&html[at..end]), end)
    }

    /// The name that is written so, in any case.
    pub fn name(&mut self, written: &[u8]) -> Name {
        let mut buffer = [0; SHORT_BYTES];
        if let Some(lower) = buffer.get_mut(..written.len()) {
            lower.copy_from_slice(written);
            lower.make_ascii_lowercase();
            if let Some(name) = self.find(lower) {
                return name;
            }
        }
        let lower = String::from_utf8_lossy(written).replace('\0', "\u{fffd}");
        let lower = lower.to_ascii_lowercase();
        if let Some(name) = self.find(lower.as_bytes()) {
            return name;
        }
        let number = KNOWN.len() + self.own.len();
        if number >= MOST {
            return Name((MOST - 1) as u16);
        }
        self.own.push(lower.into());
        self.enter(number as u16);
        Name(number as u16)
    }

    /// The name of this text, if some element of the page may have it.
    pub fn known(&self, lower: &str) -> Option<Name> {
        self.find(lower.as_bytes())
    }

    fn find(&self, lower: &[u8]) -> Option<Name> {
        if lower.len() <= LONGEST_SHORT {
            let key = lower
                .iter()
                .fold(0, |key, byte| key << 8 | u64::from(*byte));
            if let Some(name) = SHORT.find(key) {
                return Some(name);
            }
        }
        let hash = self.hasher.hash_one(lower);
        let same = |number: &u16| self.text(Name(*number)).as_bytes() == lower;
        self.table.find(hash, same).map(|number| Name(*number))
    }

    fn enter(&mut self, number: u16) {
        let hash = self.hasher.hash_one(self.text(Name(number)).as_bytes());
        let Names {
            table, hasher, own, ..
        } = self;
        let text = |number: u16| match KNOWN.get(usize::from(number)) {
            Some(text) => text.as_bytes(),
            None => own[usize::from(number) - KNOWN.len()].as_bytes(),
        };
        table.insert_unique(hash, number, |other| hasher.hash_one(text(*other)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_wherever_it_stands_and_whatever_ends_it() {
        let own = [
            "x",
            "a-b",
            "h7",
            "o:p",
            "spans",
            "foreign-object",
            "ä",
            "a\u{1}",
            "b.",
        ];
        let mut names = Names::default();
        for name in KNOWN.iter().chain(&own) {
            for written in [(*name).to_owned(), name.to_ascii_uppercase()] {
                for behind in [
                    "",
                    ">",
                    " ",
                    "/>",
                    "\n",
                    "\t",
                    "\r",
                    "\x0c",
                    " class=x>text",
                    ">text of it",
                ] {
                    let html = format!("<{written}{behind}");
                    let (read, end) = names.read(html.as_bytes(), 1);
                    assert_eq!((names.text(read), end), (*name, 1 + name.len()), "{html:?}");
                }
            }
        }
    }
}
