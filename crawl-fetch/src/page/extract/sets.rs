//! The sets of elements by which the HTML standard builds trees (13.2.4.2, 13.2.6).

use super::dom::Space;
use super::names::Name;

/// Many names, written short.
macro_rules! set {
    ($($(#[$doc:meta])* $name:ident: $($member:ident)*;)*) => {
        $($(#[$doc])* pub const fn $name(name: Name) -> bool {
            matches!(name, $(Name::$member)|*)
        })*
    };
}

set! {
    /// Ends the search for an element "in scope".
    bounds_scope: APPLET CAPTION HTML TABLE TD TH MARQUEE OBJECT SELECT TEMPLATE;
    /// Ends it for tables.
    bounds_table_scope: HTML TABLE TEMPLATE;
    /// Elements whose end tags are implied.
    is_implied: DD DT LI OPTION OPTGROUP P RB RP RT RTC;
    /// Headings.
    is_heading: H1 H2 H3 H4 H5 H6;
    /// What a `tr` can be in.
    is_table_body: TBODY TFOOT THEAD;
    /// What is in a row.
    is_cell: TD TH;
    /// Parts of tables, whose start tags mean nothing elsewhere.
    is_table_part: CAPTION COL COLGROUP TBODY TD TFOOT TH THEAD TR;
    /// Elements that are opened again where a block closed them.
    is_formatting: A B BIG CODE EM FONT I NOBR S SMALL STRIKE STRONG TT U;
    /// Elements that belong into the head wherever they stand.
    is_of_head: BASE BASEFONT BGSOUND LINK META NOFRAMES SCRIPT STYLE TITLE TEMPLATE;
    /// Blocks whose start tags end a paragraph.
    is_block: ADDRESS ARTICLE ASIDE BLOCKQUOTE CENTER DETAILS DIALOG DIR DIV DL FIELDSET FIGCAPTION
        FIGURE FOOTER HEADER HGROUP MAIN MENU NAV OL P SEARCH SECTION SUMMARY UL;
    /// Elements that are closed by their end tags whatever is open in them.
    is_closed_by_end: ADDRESS ARTICLE ASIDE BLOCKQUOTE BUTTON CENTER DETAILS DIALOG DIR DIV DL
        FIELDSET FIGCAPTION FIGURE FOOTER HEADER HGROUP LISTING MAIN MENU NAV OL PRE SEARCH SECTION
        SELECT SUMMARY UL;
    /// Elements whose contents are no markup.
    is_raw: IFRAME NOEMBED NOFRAMES PLAINTEXT SCRIPT STYLE TEXTAREA TITLE XMP;
    /// The category "special".
    is_special: ADDRESS APPLET AREA ARTICLE ASIDE BASE BASEFONT BGSOUND BLOCKQUOTE BODY BR BUTTON
        CAPTION CENTER COL COLGROUP DD DETAILS DIR DIV DL DT EMBED FIELDSET FIGCAPTION FIGURE FOOTER
        FORM FRAME FRAMESET H1 H2 H3 H4 H5 H6 HEAD HEADER HGROUP HR HTML IFRAME IMG INPUT LI LINK
        LISTING MAIN MARQUEE MENU META NAV NOEMBED NOFRAMES NOSCRIPT OBJECT OL P PARAM PLAINTEXT PRE
        SCRIPT SECTION SELECT SOURCE STYLE SUMMARY TABLE TBODY TD TEMPLATE TEXTAREA TFOOT TH THEAD
        TITLE TR TRACK UL WBR XMP;
    /// HTML elements that end SVG and MathML.
    breaks_out: B BIG BLOCKQUOTE BODY BR CENTER CODE DD DIV DL DT EM EMBED H1 H2 H3 H4 H5 H6 HEAD HR
        I IMG LI LISTING MENU META NOBR OL P PRE RUBY S SMALL SPAN STRONG STRIKE SUB SUP TABLE TT U
        UL VAR;
}

/// In which foreign elements HTML goes on.
pub const fn takes_html(space: Space, name: Name) -> bool {
    match space {
        Space::Html => true,
        Space::Svg => matches!(name, Name::FOREIGNOBJECT | Name::DESC | Name::TITLE),
        Space::Math => matches!(
            name,
            Name::MI | Name::MO | Name::MN | Name::MS | Name::MTEXT
        ),
    }
}
