//! Pages that were made to keep a crawler busy: small on the wire, and quadratic or worse to
//! read for whoever looks everything up in everything. `--nocapture` shows what each took,
//! `ODD_PAGE_BYTES` makes them larger.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

use std::fmt::Write;
use std::sync::Mutex;

use crawl_ckpt::mutex::lock;

use crawl_fetch::page::extract::{Extractor, Workspace};
use crawl_fetch::page::{PageReader, Want};
use encoding_rs::UTF_8;
use url::Url;

fn times(bytes: usize, one: &str) -> String {
    one.repeat(bytes / one.len() + 1)
}

/// `one` with a number in the place of `#`.
fn numbered(bytes: usize, one: &str) -> String {
    let mut out = String::new();
    let (before, behind) = one.split_once('#').unwrap();
    let mut n = 0;
    while out.len() < bytes {
        write!(out, "{before}{n}{behind}").unwrap();
        n += 1;
    }
    out
}

/// Names, and pages of about so many bytes.
fn pages(bytes: usize) -> Vec<(String, String)> {
    let mut pages: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, page: String| pages.push((name.to_owned(), page));
    for name in [
        "div",
        "p",
        "span",
        "a",
        "b",
        "font",
        "nobr",
        "li",
        "dd",
        "ul",
        "ol",
        "dl",
        "table",
        "tr",
        "td",
        "caption",
        "colgroup",
        "select",
        "option",
        "optgroup",
        "button",
        "form",
        "object",
        "marquee",
        "applet",
        "template",
        "svg",
        "math",
        "blockquote",
        "h1",
        "ruby",
        "rt",
        "rtc",
        "frameset",
        "noscript",
        "custom-x",
        "pre",
        "section",
        "article",
        "code",
        "details",
        "center",
        "iframe",
        "textarea",
        "xmp",
        "title",
        "head",
        "body",
        "html",
        "base",
        "plaintext",
    ] {
        add(
            &format!("nested {name}"),
            times(bytes, &format!("<{name}>")),
        );
        add(
            &format!("nested {name} with text"),
            times(bytes, &format!("<{name}>x, y. ")),
        );
        add(
            &format!("nested {name}, closed by another"),
            times(bytes / 2, &format!("<{name}>")) + &times(bytes / 2, "</i></math></p>"),
        );
    }
    for (name, one) in [
        ("svg then /math", ("<svg>", "</math>")),
        ("math then /svg", ("<math>", "</svg>")),
        (
            "svg foreignobject then /g",
            ("<svg><foreignObject>", "</g>"),
        ),
        ("div then p", ("<div>", "<p>x")),
        ("b then p", ("<b>", "<p>x")),
        ("tables then text", ("<table>", "x<b>")),
        ("table tr td then text", ("<table><tr><td>", "x<b>y")),
        ("templates then tr", ("<template>", "<tr>")),
        ("select then input", ("<select><option>", "<input>")),
        ("forms", ("<form><div>", "</form>")),
        ("buttons", ("<button><div>", "<button>")),
        ("divs then /x", ("<div>", "</x>")),
        ("spans then /x", ("<span>", "</x>")),
        ("spans then /p", ("<span>", "</p>")),
        (
            "blockquotes then text",
            ("<blockquote>", "<p>words, and words\n"),
        ),
        ("lists then text", ("<ul><li>", "<p>words, and words\n")),
        ("objects then /b", ("<object><b>", "</b>")),
    ] {
        add(name, times(bytes / 2, one.0) + &times(bytes / 2, one.1));
    }
    add(
        "formatting with numbers, then p",
        numbered(bytes / 2, "<b id=#>") + &times(bytes / 2, "<p>x"),
    );
    add("formatting adopted", numbered(bytes, "<b id=#><p>x</b>"));
    add(
        "formatting adopted at once",
        numbered(bytes / 2, "<b id=#><p>") + &times(bytes / 2, "</b>"),
    );
    add("a in a", numbered(bytes, "<a href=#>x"));
    add("a in div in a", numbered(bytes, "<a href=#><div>x"));
    add(
        "a in table in a",
        numbered(bytes, "<a href=#><table><tr><td>x"),
    );
    add("foster", numbered(bytes, "<table><a href=#>x<tr>"));
    add(
        "foster texts",
        "<table>".to_owned() + &times(bytes, "x<tr>"),
    );
    add("attributes", format!("<p {}>x<p>y", numbered(bytes, "a# ")));
    add(
        "attributes of a link",
        format!("<a {} href=x>x</a>", numbered(bytes, "a# ")),
    );
    add(
        "attributes, many elements",
        times(bytes, &format!("<p {}>", numbered(60_000, "a# "))),
    );
    add("same attributes", format!("<p {}>x", times(bytes, "a=1 ")));
    add("attributes on html", numbered(bytes, "<html a#=1>"));
    add("attributes on body", numbered(bytes, "<body a#=1>"));
    add(
        "attributes on html, many elements",
        numbered(bytes / 2, "<html a#=1>") + &times(bytes / 2, "<p>x"),
    );
    add(
        "large attribute above many",
        format!(
            "<div class='{}'>{}</div>",
            times(bytes / 2, "y "),
            times(bytes / 2, "<p>x")
        ),
    );
    add(
        "many attributes above many",
        format!(
            "<div {}>{}</div>",
            numbered(bytes / 2, "a# "),
            times(bytes / 2, "<p>x")
        ),
    );
    add(
        "large href",
        format!("<a href='{}'>x</a>", times(bytes, "x/../")),
    );
    add(
        "large base",
        format!(
            "<base href='/{}/'>{}",
            times(bytes / 2, "x"),
            numbered(bytes / 2, "<a href=#>")
        ),
    );
    add(
        "large base, odd links",
        format!(
            "<base href='/{}/'>{}",
            times(bytes / 2, "x"),
            numbered(bytes / 2, "<a href=?a&#>")
        ),
    );
    add(
        "large base host",
        format!(
            "<base href='http://{}/'>{}",
            times(bytes / 2, "x."),
            numbered(bytes / 2, "<a href=?a&#>")
        ),
    );
    add(
        "base of 2000 bytes",
        format!(
            "<base href='/{}/'>{}",
            times(2000, "x"),
            numbered(bytes, "<a href=?a&#>")
        ),
    );
    add(
        "large host",
        format!("<a href='http://{}'>x</a>", times(bytes, "ü")),
    );
    add(
        "large host of labels",
        format!("<a href='http://{}'>x</a>", times(bytes, "ü.")),
    );
    add(
        "large query",
        format!("<a href='?{}'>x</a>", times(bytes, "ä&")),
    );
    add("references", times(bytes, "&"));
    add("references without end", times(bytes, "&amp&ltx"));
    add("long reference", format!("&{}", times(bytes, "a")));
    add("long number", format!("&#{};", times(bytes, "9")));
    add(
        "references in a link",
        format!("<a href='{}'>", times(bytes, "&amp")),
    );
    add(
        "references in a title",
        format!("<title>{}</title>", times(bytes, "&notin")),
    );
    add("open comments", times(bytes, "<!--"));
    add("open comments, ends", times(bytes, "<!-- -- > --!"));
    add("open declarations", times(bytes, "<!"));
    add("questions", times(bytes, "<?"));
    add("slashes", times(bytes, "</"));
    add("less", times(bytes, "<"));
    add("open tags", times(bytes, "<a "));
    add("open quotes", times(bytes, "<a b=\""));
    add("equal signs", format!("<a {}", times(bytes, "= ")));
    add(
        "blanks and equal signs",
        format!("<a{}>", times(bytes, "     =")),
    );
    add("cdata", format!("<svg>{}", times(bytes, "<![CDATA[")));
    add(
        "cdata closed",
        format!("<svg>{}", times(bytes, "<![CDATA[]]>")),
    );
    add("scripts", times(bytes, "<script><!--<script>"));
    add("scripts closed", times(bytes, "<script></script>"));
    add("titles", times(bytes, "<title>x</title>"));
    add("many names", numbered(bytes, "<x#>"));
    add(
        "long names",
        times(bytes, &format!("<{}>", times(60_000, "x"))),
    );
    add("many texts", times(bytes, "x<br>"));
    add("many comments", times(bytes, "x<!-- -->"));
    add("blank text", format!("<p>{}", times(bytes, " ")));
    add("blank lines", format!("<p>{}", times(bytes, "\n")));
    add("one word", format!("<p>{}", times(bytes, "x")));
    add("commas", format!("<p>{}", times(bytes, ", ")));
    add("br", format!("<p>{}", times(bytes, "<br>")));
    add("images", times(bytes, "<img src=x.jpg>"));
    add(
        "lazy images",
        times(
            bytes,
            "<img data-src=x.jpg class=lazy><noscript><img src=x.jpg></noscript>",
        ),
    );
    add(
        "articles",
        numbered(
            bytes,
            "<article><h1>t#</h1><p>some words, and some more words of it</p></article>",
        ),
    );
    add(
        "paragraphs",
        numbered(bytes, "<p>some words, and some more words of it #</p>"),
    );
    add(
        "links in a paragraph",
        format!("<p>{}", numbered(bytes, "<a href=#>x</a> y, ")),
    );
    add("list items", format!("<ul>{}", numbered(bytes, "<li>#, x")));
    add(
        "rows",
        format!("<table>{}", numbered(bytes, "<tr><td>#<td>x")),
    );
    add(
        "columns",
        format!("<table><tr>{}", numbered(bytes, "<td>#")),
    );
    add(
        "wide tables",
        format!(
            "<table><tr>{}<tr>{}",
            numbered(bytes / 2, "<td>#"),
            times(bytes / 2, "<tr><td>x")
        ),
    );
    add("tables", numbered(bytes, "<table><tr><td>#</table>"));
    add(
        "layout tables",
        times(bytes, "<table><tr><td>x, y<table><tr><td>"),
    );
    add("pipes", format!("<p>{}", times(bytes, "|*_`[#")));
    add(
        "bars in a title",
        format!("<title>{}</title><h1>x", times(bytes, "x | y - ")),
    );
    add(
        "words in a title",
        format!("<title>{}</title><h1>x", numbered(bytes, "# ")),
    );
    add(
        "json-ld",
        format!(
            "<script type='application/ld+json'>{}</script>",
            times(bytes, "[")
        ),
    );
    add(
        "json-ld objects",
        format!(
            "<script type='application/ld+json'>{}</script>",
            times(bytes, "{\"@graph\":[")
        ),
    );
    add(
        "json-ld article",
        format!(
            "<title>{0}</title><script type='application/ld+json'>{{\"@context\":\"https://schema.org\",\"@type\":\"Article\",\"headline\":\"{0}\",\"name\":\"y {0}\"}}</script>",
            numbered(bytes / 3, "# ")
        ),
    );
    add(
        "json-ld authors",
        format!(
            "<script type='application/ld+json'>{{\"@context\":\"https://schema.org\",\"@type\":\"Article\",\"author\":[{}]}}</script>",
            times(bytes, "{\"name\":\"x\"},")
        ),
    );
    add(
        "json-ld scripts",
        times(
            bytes,
            "<script type='application/ld+json'>{\"@context\":\"https://schema.org\"}</script>",
        ),
    );
    add(
        "meta",
        numbered(
            bytes,
            "<meta name='dc:title og:title #' property=og:title content='x#'>",
        ),
    );
    add("bylines", times(bytes, "<p class=byline>by x</p>"));
    add("times", times(bytes, "<time datetime='x'>"));
    add("date", format!("<time datetime='{}'>", times(bytes, "12 ")));
    add("headings", numbered(bytes, "<h1>x #</h1>"));
    add(
        "hidden",
        times(bytes, "<div style='display:none' aria-hidden=true>x</div>"),
    );
    add(
        "styles",
        format!("<div style='{}'>x", times(bytes, "display: ")),
    );
    add(
        "classes",
        times(
            bytes,
            "<div class='comment sidebar footer x y z'><p>x, y</div>",
        ),
    );
    pages
}

/// What reads a page, by its name.
const SPIDERS: [(&str, &str); 7] = [
    ("links", ""),
    (
        "regions",
        r#"{"rules": [{"restrict_css": ".x a, [data-x] p"}, {"tags": ["img"]}]}"#,
    ),
    (
        "selectors",
        r#"{"sections": [{"extract": {
            "a": {"css": "h1::text"}, "b": {"css": ".x p", "get_all": true},
            "c": {"css": "[data-x] p::text"}, "d": {"css": "div p:has(a)"},
            "e": {"css": "p ~ i"}, "f": {"css": "p:nth-child(3)", "get_all": true},
            "g": {"css": "*:nth-last-of-type(2)"}, "h": {"css": "p:contains('zz')"},
            "i": {"css": "p::attr(title)"}, "j": {"css": "body", "to_text": true},
            "k": {"css": "body"}
        }}]}"#,
    ),
    (
        "rows",
        r#"{"sections": [{"extract": {"r": {"type": "nested_list", "selector": "div, p, b, tr, li",
            "extract": {"a": {"css": "p::text"}, "b": {"css": "i", "to_text": true}, "c": {"css": "a::attr(href)", "get_all": true}}}}}]}"#,
    ),
    ("auto", r#"{"sections": [{"extract": "auto"}]}"#),
    (
        "markdown",
        r#"{"sections": [{"extract": {"m": {"css": "body", "to_markdown": true}}}]}"#,
    ),
    (
        "processors",
        r#"{"sections": [{"extract": {
            "a": {"css": "body", "to_text": true, "processors": [{"type": "regex", "pattern": "(x+x+)+y{2,9}$"}]},
            "b": {"css": "body", "processors": [{"type": "parse_datetime"}]},
            "c": {"css": "body", "processors": [{"type": "replace", "old": "x", "new": "yy"}, {"type": "cast", "to": "int"}]}
        }}]}"#,
    ),
];

/// Processor time that this process took so far, in seconds.
fn spent() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let ticks = |n: usize| fields[n].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

/// Processor time is that of all tests together, so one runs at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Seconds of a core that a page may take, without optimizations and with whatever a small machine
/// is slower. Without bounds some take minutes and more.
const MOST_SECONDS: f64 = 60.0;

#[test]
fn a_page_that_was_made_to_keep_us_busy_is_read_in_time() {
    let _alone = lock(&ALONE);
    let var = |name: &str| std::env::var(name).ok();
    let bytes = var("ODD_PAGE_BYTES").map_or(6_000, |text| text.parse().unwrap());
    let (one, two) = (
        var("ODD_PAGE").unwrap_or_default(),
        var("ODD_SPIDER").unwrap_or_default(),
    );
    let pages = pages(bytes);
    let pages = pages.iter().filter(|(name, _)| name.contains(&*one));
    for (spider, text) in SPIDERS.iter().filter(|(name, _)| name.contains(&*two)) {
        let extractor = (!text.is_empty()).then(|| Extractor::from_json(text).unwrap());
        for (name, page) in pages.clone() {
            eprint!("{spider}: {name}");
            let start = spent();
            let cut = read(extractor.as_ref(), page);
            let took = spent() - start;
            let slow = if took > 1.0 { " SLOW" } else { "" };
            eprintln!(": {took:.2} s{}{slow}", if cut { ", cut" } else { "" });
            assert!(took < MOST_SECONDS, "{spider}: {name}: {took:.1} s");
        }
    }
}

/// Reads a page with the stack of a worker; true when something of its item was left out.
fn read(extractor: Option<&Extractor>, page: &str) -> bool {
    let url = Url::parse("http://h.example/d/").unwrap();
    let work = || {
        let mut workspace = Workspace::default();
        let regions = extractor.and_then(Extractor::regions);
        match extractor {
            Some(extractor) if regions.is_none() => {
                let want = Want {
                    marks: true,
                    ..Want::default()
                };
                let mut reader = PageReader::default();
                let marks = reader.read(page.as_bytes(), UTF_8, &url, want).marks;
                let fields = extractor.fields(&url, false).unwrap();
                let item = fields.item(page.as_bytes(), marks, (UTF_8, &url), &mut workspace);
                item.unwrap().is_cut
            }
            _ => {
                let regions = regions.map(|regions| (regions, &mut workspace));
                let want = Want {
                    links: true,
                    regions,
                    ..Want::default()
                };
                PageReader::default().read(page.as_bytes(), UTF_8, &url, want);
                false
            }
        }
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(256 << 10);
        thread.spawn_scoped(scope, work).unwrap().join().unwrap()
    })
}

fn spider(name: &str) -> Extractor {
    let found = SPIDERS.iter().find(|(known, _)| *known == name);
    Extractor::from_json(found.unwrap().1).unwrap()
}

/// Those that took minutes, or brought the fetcher down, when they were met first.
#[test]
fn pages_that_hung_the_fetcher_or_killed_it_are_read_and_say_what_was_left_out() {
    let _alone = lock(&ALONE);
    let auto = spider("auto");
    assert!(!read(Some(&auto), &times(100_000, "<div>")));
    assert!(read(Some(&auto), &times(400_000, "<p>x</p>")));
    assert!(read(Some(&auto), &times(1_000_000, "&")));
    read(Some(&spider("selectors")), &times(3_000_000, "<template>"));
    let attributes = format!("<p {}>x", numbered(3_000_000, "a# "));
    read(Some(&spider("selectors")), &attributes);
    for depth in [314, 5_000] {
        let quotes = "<blockquote>".repeat(depth) + "words";
        read(Some(&spider("markdown")), &quotes);
    }
    let quotes = "<blockquote>".repeat(400) + &times(2_000_000, "<p>words\n");
    assert!(read(Some(&spider("markdown")), &quotes));
}
