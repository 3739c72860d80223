//! CSS selectors with Scrapy's two additions: `::text` and `::attr(name)`.

use std::fmt;

use cssparser::{
    BasicParseErrorKind, CowRcStr, ParseError, ParseErrorKind, Parser as Tokens, ToCss,
};
use precomputed_hash::PrecomputedHash;
use selectors::parser::{self, ParseRelative, SelectorList, SelectorParseErrorKind};

/// What is taken of an element that a selector matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Take {
    /// Its markup, itself included.
    Markup,
    /// Each text directly in it.
    Text,
    /// An attribute, by its name in lower case.
    Attribute(String),
}

/// One or several selectors, with what is taken of whatever they match.
#[derive(Debug, Clone)]
pub struct Css {
    /// Those that take the same stand together.
    pub parts: Vec<(SelectorList<Simple>, Take)>,
}

impl Css {
    /// Reads a selector.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Css, String> {
        let mut parts: Vec<(String, Take)> = Vec::new();
        for group in groups(text)? {
            let (selector, take) = split(group)?;
            let selector = with_rows(&without_unequal(&selector));
            match parts.iter_mut().find(|(_, other)| *other == take) {
                Some((selectors, _)) => *selectors = format!("{selectors}, {selector}"),
                None => parts.push((selector, take)),
            }
        }
        let parts = parts.into_iter().map(|(selector, take)| {
            let mut tokens = Tokens::new(&selector);
            let list = SelectorList::parse(&SelectorRules, &mut tokens, ParseRelative::No);
            list.map(|list| (list, take)).map_err(|e| reason(e.kind))
        });
        Ok(Css {
            parts: parts.collect::<Result<_, _>>()?,
        })
    }

    /// True when it takes whole elements alone.
    pub fn is_of_elements(&self) -> bool {
        self.parts.iter().all(|(_, take)| *take == Take::Markup)
    }
}

/// The selectors between commas.
fn groups(text: &str) -> Result<Vec<&str>, String> {
    let mut groups = Vec::new();
    let (mut start, mut depth, mut quote, mut escaped) = (0, 0_u32, None, false);
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            _ if escaped => {
                escaped = false;
                continue;
            }
            (_, b'\\') => escaped = true,
            (Some(open), _) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'(' | b'[') => depth += 1,
            (None, b')' | b']') => depth = depth.saturating_sub(1),
            (None, b',') if depth == 0 => {
                groups.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    groups.push(&text[start..]);
    if groups.iter().any(|group| group.trim().is_empty()) {
        Err("a selector is empty".into())
    } else {
        Ok(groups)
    }
}

/// Parts one selector from what it takes. As in parsel, `p ::text` and `p *::text` are of `p` and of
/// all that is in it, `p > ::text` is `p > *::text`, and `::text` alone `*::text`.
fn split(text: &str) -> Result<(String, Take), String> {
    let text = text.trim();
    // CSS reads these names in any case.
    let lower = text.to_ascii_lowercase();
    let (selector, take) = if let Some(selector) = lower.strip_suffix("::text") {
        (&text[..selector.len()], Take::Text)
    } else if let Some((selector, name)) = lower
        .strip_suffix(')')
        .and_then(|text| text.rsplit_once("::attr("))
    {
        let (selector, name) = (&text[..selector.len()], unquoted(name.trim()));
        let is_name = |c: char| !c.is_ascii_whitespace() && !"\"'()[]{}".contains(c);
        if name.is_empty() || !name.chars().all(is_name) {
            return Err("::attr() takes the name of an attribute".into());
        }
        (selector, Take::Attribute(name.to_ascii_lowercase()))
    } else {
        (text, Take::Markup)
    };
    if take == Take::Markup {
        return Ok((selector.to_owned(), take));
    }
    let within = selector.strip_suffix('*').unwrap_or(selector);
    let around = within.trim_end();
    let is_combined = |part: &str| part.is_empty() || part.ends_with(['>', '+', '~']);
    let selector = match () {
        () if is_combined(around) => format!("{around}*"),
        () if around.len() < within.len() => format!("{around}, {around} *"),
        () => selector.to_owned(),
    };
    Ok((selector, take))
}

/// A name as a string of CSS, which parsel takes as well.
fn unquoted(name: &str) -> &str {
    let between = |quote| name.strip_prefix(quote)?.strip_suffix(quote);
    between('"').or_else(|| between('\'')).unwrap_or(name)
}

/// cssselect's `[a!=b]` in the words of CSS: `:not([a=b])`.
fn without_unequal(selector: &str) -> String {
    let mut out = String::with_capacity(selector.len());
    // Where a bracket opened, and the `!` in it, as places in `out`.
    let (mut bracket, mut unequal, mut quote, mut escaped) = (None, None, None, false);
    for c in selector.chars() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (_, '\\') => escaped = true,
            (Some(open), _) => quote = (open != c).then_some(open),
            (None, '"' | '\'') => quote = Some(c),
            (None, '[') => bracket = Some(out.len()),
            (None, '=') if out.ends_with('!') && bracket.is_some() => unequal = Some(out.len() - 1),
            (None, ']') => {
                if let (Some(bracket), Some(unequal)) = (bracket.take(), unequal.take()) {
                    out.remove(unequal);
                    out.insert_str(bracket, ":not(");
                    out.push_str("])");
                    continue;
                }
            }
            _ => {}
        }
        out.push(c);
    }
    out
}

/// `table > tr` as it is meant for trees that have no `tbody` but a written one, as parsel's:
/// `:is(table, table > tbody) > tr`.
fn with_rows(selector: &str) -> String {
    /// What is written twice for each table in a table grows no further than this.
    const MAX_BYTES: usize = 4 << 10;
    let mut out = String::with_capacity(selector.len());
    // Where the selector began that stands before a comma, and the last of its parts between
    // combinators.
    let (mut start, mut last) = (0, 0);
    let (mut depth, mut quote, mut escaped) = (0_u32, None, false);
    let is_of = |part: &str, name: &str| {
        let part = part.trim_start();
        let behind = part.get(name.len()..).and_then(|rest| rest.chars().next());
        let is_longer = |c: char| c.is_alphanumeric() || "-_|\\".contains(c);
        part.get(..name.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(name))
            && !behind.is_some_and(is_longer)
    };
    for (at, c) in selector.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (_, '\\') => escaped = true,
            (Some(open), _) => quote = (open != c).then_some(open),
            (None, '"' | '\'') => quote = Some(c),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => (start, last) = (out.len() + 1, out.len() + 1),
            (None, '>') if depth == 0 => {
                let is_rows = is_of(&out[last..], "table") && is_of(&selector[at + 1..], "tr");
                if is_rows && out.len() <= MAX_BYTES {
                    let table = out[start..].trim().to_owned();
                    out.truncate(start);
                    out.push_str(&format!(" :is({table}, {table} > tbody) "));
                }
                last = out.len() + 1;
            }
            (None, '+' | '~' | ' ' | '\t' | '\n' | '\r') if depth == 0 => {
                let behind = selector[at..].trim_start();
                // A blank before a combinator is none itself.
                if !behind.starts_with(['>', '+', '~', ',']) || c == '+' || c == '~' {
                    last = out.len() + 1;
                }
            }
            _ => {}
        }
        out.push(c);
    }
    out
}

/// What is wrong, in words.
fn reason(kind: ParseErrorKind<Wrong>) -> String {
    use SelectorParseErrorKind as Kind;
    match kind {
        ParseErrorKind::Custom(Wrong::Unknown(name)) => format!("there is no :{name} here"),
        ParseErrorKind::Custom(Wrong::Kind(kind)) => match kind {
            Kind::EmptySelector => "a selector is empty".into(),
            Kind::DanglingCombinator => "nothing follows a combinator".into(),
            Kind::ExpectedNamespace => "there are no namespaces here".into(),
            Kind::PseudoElementExpectedIdent | Kind::UnsupportedPseudoClassOrElement => {
                "there is no such pseudo-element".into()
            }
            _ => "something stands where it cannot".into(),
        },
        ParseErrorKind::Basic(BasicParseErrorKind::EndOfInput) => "it ends too early".into(),
        ParseErrorKind::Basic(_) => "something stands where it cannot".into(),
    }
}

/// What is wrong with a selector.
#[derive(Debug)]
enum Wrong {
    /// By the selector parser's word.
    Kind(SelectorParseErrorKind),
    /// A pseudo-class or pseudo-element of this name is not known.
    Unknown(String),
}

impl From<SelectorParseErrorKind> for Wrong {
    fn from(kind: SelectorParseErrorKind) -> Self {
        Wrong::Kind(kind)
    }
}

fn unknown(name: &str) -> ParseError<Wrong> {
    ParseError {
        kind: ParseErrorKind::Custom(Wrong::Unknown(name.to_owned())),
    }
}

/// What of CSS is understood.
struct SelectorRules;

impl<'i> parser::Parser<'i> for SelectorRules {
    type Impl = Simple;
    type Error = Wrong;

    fn parse_is_and_where(&self) -> bool {
        true
    }

    fn is_is_alias(&self, name: &str) -> bool {
        name.eq_ignore_ascii_case("matches")
    }

    fn parse_has(&self) -> bool {
        true
    }

    fn parse_nth_child_of(&self) -> bool {
        true
    }

    /// A bad selector inside `:is()` is an error and not left out.
    fn allow_forgiving_selectors(&self) -> bool {
        false
    }

    fn parse_non_ts_pseudo_class(
        &self,
        name: CowRcStr<'i>,
    ) -> Result<PseudoClass, ParseError<Wrong>> {
        match &*name.to_ascii_lowercase() {
            "link" | "any-link" => Ok(PseudoClass::Link),
            "checked" => Ok(PseudoClass::Checked),
            "disabled" => Ok(PseudoClass::Disabled),
            "enabled" => Ok(PseudoClass::Enabled),
            _ => Err(unknown(&name)),
        }
    }

    fn parse_non_ts_functional_pseudo_class(
        &self,
        name: CowRcStr<'i>,
        tokens: &mut Tokens<'i>,
        _after_part: bool,
    ) -> Result<PseudoClass, ParseError<Wrong>> {
        match &*name.to_ascii_lowercase() {
            "contains" => {
                let words = tokens.expect_ident_or_string()?;
                Ok(PseudoClass::Contains(words.as_ref().to_owned()))
            }
            "lang" => {
                let range = |tokens: &mut Tokens<'i>| {
                    Ok(tokens.expect_ident_or_string()?.to_ascii_lowercase())
                };
                Ok(PseudoClass::Lang(tokens.parse_comma_separated(range)?))
            }
            _ => Err(unknown(&name)),
        }
    }

    fn parse_pseudo_element(&self, name: CowRcStr<'i>) -> Result<PseudoElement, ParseError<Wrong>> {
        Err(unknown(&format!(":{name}")))
    }
}

/// The kinds of words in our selectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simple;

impl parser::SelectorImpl for Simple {
    type ExtraMatchingData<'a> = ();
    type AttrValue = Word;
    type Identifier = Word;
    type LocalName = Word;
    type NamespaceUrl = Word;
    type NamespacePrefix = Word;
    type BorrowedNamespaceUrl = Word;
    type BorrowedLocalName = Word;
    type NonTSPseudoClass = PseudoClass;
    type PseudoElement = PseudoElement;
}

/// A name or a value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word(pub Box<str>);

impl From<&str> for Word {
    fn from(text: &str) -> Word {
        Word(text.into())
    }
}

impl AsRef<str> for Word {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl ToCss for Word {
    fn to_css<W: fmt::Write>(&self, out: &mut W) -> fmt::Result {
        cssparser::serialize_identifier(&self.0, out)
    }
}

impl PrecomputedHash for Word {
    fn precomputed_hash(&self) -> u32 {
        // Only for filters of ancestors, which are not used here.
        0
    }
}

/// The pseudo-classes beside those of the tree, as cssselect has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PseudoClass {
    /// `:contains("text")`, anywhere in the element.
    Contains(String),
    /// `:lang(en, "de")`, languages in lower case: of an element in one of these, or in a kind of it.
    Lang(Vec<String>),
    /// `:link`: an `a`, `area` or `link` with `href`.
    Link,
    /// `:checked`: a box or an option that is chosen.
    Checked,
    /// `:disabled`: a form control that is, by itself or by what it is in.
    Disabled,
    /// `:enabled`: a form control that is not.
    Enabled,
}

impl parser::NonTSPseudoClass for PseudoClass {
    fn is_active_or_hover(&self) -> bool {
        false
    }

    fn is_user_action_state(&self) -> bool {
        false
    }
}

impl ToCss for PseudoClass {
    fn to_css<W: fmt::Write>(&self, out: &mut W) -> fmt::Result {
        match self {
            PseudoClass::Contains(text) => {
                out.write_str(":contains(")?;
                cssparser::serialize_string(text, out)?;
                out.write_str(")")
            }
            PseudoClass::Lang(ranges) => {
                out.write_str(":lang(")?;
                for (n, range) in ranges.iter().enumerate() {
                    out.write_str(if n == 0 { "" } else { ", " })?;
                    cssparser::serialize_string(range, out)?;
                }
                out.write_str(")")
            }
            PseudoClass::Link => out.write_str(":link"),
            PseudoClass::Checked => out.write_str(":checked"),
            PseudoClass::Disabled => out.write_str(":disabled"),
            PseudoClass::Enabled => out.write_str(":enabled"),
        }
    }
}

/// There are none but the two that were taken away before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PseudoElement {}

impl parser::PseudoElement for PseudoElement {}

impl ToCss for PseudoElement {
    fn to_css<W: fmt::Write>(&self, _: &mut W) -> fmt::Result {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_parted_from_the_selector() {
        let parts = |text: &str| {
            let css = Css::parse(text).unwrap();
            let parts = css.parts.iter();
            parts
                .map(|(list, take)| (list.to_css_string(), take.clone()))
                .collect::<Vec<_>>()
        };
        let text = |selector: &str| (selector.to_owned(), Take::Text);
        assert_eq!(parts("h1::text"), [text("h1")]);
        for selector in ["h1 ::text", "h1 *::text", "h1\n\t::text", "h1  *::text"] {
            assert_eq!(parts(selector), [text("h1, h1 *")], "{selector}");
        }
        assert_eq!(parts("h1 * ::text"), [text("h1 *, h1 * *")]);
        assert_eq!(parts("*::text"), [text("*")]);
        assert_eq!(parts("::text"), [text("*")]);
        assert_eq!(parts("ul > ::text"), [text("ul > *")]);
        assert_eq!(parts("ul>*::text"), [text("ul > *")]);
        assert_eq!(parts("a::text, b::text"), [text("a, b")]);
        assert_eq!(
            parts("a[b!='c]' ]::text, [d != \"!=\"] e"),
            [
                text("a:not([b=c\\]])"),
                (":not([d=\\!\\=]) e".to_owned(), Take::Markup)
            ]
        );
        let href = Take::Attribute("href".to_owned());
        assert_eq!(
            parts("a[title='x, y']::attr( HREF ), b"),
            [
                ("a[title=x\\,\\ y]".to_owned(), href),
                ("b".to_owned(), Take::Markup)
            ]
        );
    }

    #[test]
    fn rows_are_children_of_their_table_where_no_tbody_is_written() {
        for (css, rows) in [
            ("table > tr", ":is(table, table > tbody) > tr"),
            (
                "b, table.x[a='> tr']>tr:first-child td",
                "b, :is(table.x[a=\\>\\ tr], table.x[a=\\>\\ tr] > tbody) > tr:first-child td",
            ),
            (
                "#a > div table > tr > td",
                ":is(#a > div table, #a > div table > tbody) > tr > td",
            ),
            (
                "table > tr table > tr",
                ":is(:is(table, table > tbody) > tr table, :is(table, table > tbody) > tr table > tbody) > tr",
            ),
            ("table > tbody > tr", "table > tbody > tr"),
            ("table tr", "table tr"),
            ("table > track", "table > track"),
            ("tables > tr", "tables > tr"),
            (".table > tr", ".table > tr"),
        ] {
            let css = Css::parse(css).unwrap();
            assert_eq!(css.parts[0].0.to_css_string(), rows);
        }
    }

    #[test]
    fn what_is_taken_may_be_written_in_any_case_and_in_quotes() {
        for (css, take) in [
            ("A.B::TEXT", Take::Text),
            ("A.B::Attr(HREF)", Take::Attribute("href".into())),
            ("A.B::attr(\"href\")", Take::Attribute("href".into())),
            ("A.B::attr( 'href' )", Take::Attribute("href".into())),
        ] {
            assert_eq!(split(css), Ok(("A.B".into(), take)), "{css}");
        }
        assert!(split("a::attr(\"href)").is_err());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (bad, why) in [
            ("", "empty"),
            ("a,", "empty"),
            ("p >", "nothing follows"),
            ("p:hover", "there is no :hover here"),
            ("p::before", "there is no ::before here"),
            ("a::attr()", "name of an attribute"),
            ("a[", ""),
            ("p..x", ""),
        ] {
            let error = Css::parse(bad).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}
