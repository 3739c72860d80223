//! What expressions find, by hand and beside lxml.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;

use super::{XPath, XPathMatch};
use crate::page::extract::budget::MAX_STEPS;
use crate::page::extract::dom::{Page, ROOT, Tree};
use crate::page::extract::{full, quick};
use crate::page::marks::Marks;

const PAGE: &str = "<html n='1'><head n='2'><title n='3'>A &amp; B</title></head>\
    <body n='4' class='x y' lang='en'>top<div n='5' class='row a' id='r1'><p n='6'>one <b n='7'>two</b> three</p>\
    <p n='8' title='T'>four</p><div n='9' class='row'><a n='10' href='/u?a=1&amp;b=2'>link</a>\
    <a n='11' href='/v' class='a'> v  w\n</a></div></div><ul n='12'><li n='13'>1</li><li n='14'>2.5</li>\
    <li n='15' class='row'>x<ul n='16'><li n='17'>3</li></ul></li></ul><table n='18'><tbody n='19'>\
    <tr n='20'><td n='21'>a</td><td n='22'>7</td></tr><tr n='23'><td n='24'>b</td><td n='25'>12</td></tr>\
    </tbody></table><p n='26'></p>bottom</body></html>";

/// What an expression finds from the first element on that another finds: elements by their
/// `n`, texts and the like by what they say.
fn found(html: &str, from: &str, path: &str) -> Vec<String> {
    let mut tree = Tree::default();
    let mut source = Vec::new();
    full::parse(html, &mut tree, &mut source);
    let by_full = found_in(&tree, &source, from, path);
    if !quick::parse(html.as_bytes(), Marks::default(), &mut tree, false).is_unusual {
        assert_eq!(found_in(&tree, html.as_bytes(), from, path), by_full);
    }
    by_full
}

fn found_in(tree: &Tree, html: &[u8], from: &str, path: &str) -> Vec<String> {
    let page = Page { html, tree };
    let start = XPath::parse(from).unwrap().find(page, ROOT);
    let Some(XPathMatch::Node(start)) = start.first() else {
        panic!("{from} finds nothing");
    };
    let path = XPath::parse(path).unwrap_or_else(|why| panic!("{path}: {why}"));
    let found = path.find(page, *start).into_iter();
    let texts = found.filter_map(|found| match found {
        XPathMatch::Node(id) if page.is_element(id) => {
            page.attribute(id, "n").map(|n| format!("<{n}>"))
        }
        XPathMatch::Node(id) if page.is_text(id) => {
            let mut text = String::new();
            page.whole_text(id, &mut text);
            Some(text)
        }
        // lxml does not give the document.
        XPathMatch::Node(_) => None,
        XPathMatch::Attribute(value) => {
            Some(crate::page::extract::attributes::decoded(value).into_owned())
        }
        XPathMatch::Value(value) => Some(value),
    });
    texts.collect()
}

#[test]
fn expressions_of_spiders_find_what_they_do_in_scrapy() {
    for (path, all) in [
        ("//h1/text() | //title/text()", json!(["A & B"])),
        ("//div[@class='row']//a/@href", json!(["/u?a=1&b=2", "/v"])),
        ("//A[@HREF]", json!(["<10>", "<11>"])),
        (
            "//*[contains(concat(' ', normalize-space(@class), ' '), ' row ')]/@n",
            json!(["5", "9", "15"]),
        ),
        ("//li[last()]", json!(["<15>", "<17>"])),
        ("(//li)[last()]", json!(["<17>"])),
        ("//li[position()<3][2]", json!(["<14>"])),
        ("//td[.='b']/following-sibling::td[1]/text()", json!(["12"])),
        ("//td[text()='12']/../td[1]", json!(["<24>"])),
        ("//tr/preceding-sibling::*", json!(["<20>"])),
        ("//b/ancestor::div/@id", json!(["r1"])),
        ("//p//text()", json!(["one ", "two", " three", "four"])),
        ("//p[not(@title) and string-length(.) > 0]", json!(["<6>"])),
        ("normalize-space(//a[2])", json!(["v w"])),
        ("count(//li)", json!(["4.0"])),
        ("sum(//td[2]) div 2", json!(["9.5"])),
        ("//nothing = ''", json!(["0"])),
        (
            "boolean(//a[re:test(@href, '^/[A-U]\\?', 'i')])",
            json!(["1"]),
        ),
        ("//div[has-class('a', 'row')]", json!(["<5>"])),
        ("//*[has-class('x y')]", json!(["<4>"])),
        ("//*[has-class('y x') or has-class('')]", json!([])),
        (
            "set:difference(//li, //ul/li[@class])",
            json!(["<13>", "<14>", "<17>"]),
        ),
        (
            "set:intersection(//div | //li, //*[@class='row'])/@n",
            json!(["9", "15"]),
        ),
        ("//li[set:has-same-node(., //li[ul])]", json!(["<15>"])),
        (
            "set:distinct(//@class)",
            json!(["x y", "row a", "row", "a"]),
        ),
        ("set:leading(//li, //li[ul])", json!(["<13>", "<14>"])),
        ("set:trailing(//li, //li[ul])", json!(["<17>"])),
        ("set:leading(//p, //li)", json!([])),
        ("set:trailing(//p, //nothing)/@n", json!(["6", "8", "26"])),
        ("sum(//td)", json!(["nan"])),
        ("1 div 0", json!(["inf"])),
        (
            "substring-before(substring-after(//a/@href, 'a='), '&')",
            json!(["1"]),
        ),
        ("translate('1.234,5', '.,', ',')", json!(["1,2345"])),
        ("substring('12345', 1.5, 2.6)", json!(["234"])),
        ("string(//p[2])", json!(["four"])),
        ("id('r1 nothing')", json!(["<5>"])),
        ("-3 mod 2 + - -1", json!(["0.0"])),
        ("name(//@href)", json!(["href"])),
        ("//table/tr/td[1]/text()", json!(["a", "b"])),
        ("//table/tr[2]/@n", json!(["23"])),
        ("//table/tbody/tr[last()]/@n", json!(["23"])),
        ("count(//table/*)", json!(["1.0"])),
    ] {
        assert_eq!(json!(found(PAGE, "/", path)), all, "{path}");
    }
    assert_eq!(found(PAGE, "//div", "p[2]"), ["<8>"]);
    assert_eq!(found(PAGE, "//div", ".//a"), ["<10>", "<11>"]);
    assert_eq!(found(PAGE, "//div", "//td").len(), 4);
    assert_eq!(
        found(PAGE, "//div", "following-sibling::ul/li[1]"),
        ["<13>"]
    );
}

#[test]
fn nodes_come_in_the_order_of_pages_whose_trees_are_shuffled() {
    let html = "<b n=1><i n=2>x</b>y</i><table n=3><tr n=4><td n=5>z</td></tr><p n=6>w</table>";
    assert_eq!(found(html, "/", "//text()"), ["x", "y", "w", "z"]);
    assert_eq!(
        found(html, "/", "//*/@n"),
        ["1", "2", "2", "6", "3", "4", "5"]
    );
    assert_eq!(found(html, "/", "//td | //p | //b"), ["<1>", "<6>", "<5>"]);
}

#[test]
fn what_is_wrong_is_told() {
    for (path, why) in [
        ("", "a name is missing at the end"),
        ("//a[", "a name is missing at the end"),
        ("//a[1", "`]` is missing at the end"),
        ("//a]", "`]` stands where it cannot"),
        ("//a['x", "a quote is not closed"),
        ("//svg:path", "there are no namespaces here"),
        ("//a[$x]", "there are no variables here"),
        (
            "//processing-instruction()",
            "there is no processing-instruction() here",
        ),
        ("//a/string()", "string() stands where it cannot"),
        ("ends-with(@a, 'b')", "there is no ends-with() here"),
        ("//a[has-class(.)]", "has-class() takes texts in quotes"),
        ("//a[has-class(1)]", "has-class() takes texts in quotes"),
        ("set:difference(//a, 'b')", "set:difference() takes nodes"),
        (
            "re:match(@a, 'b')",
            "there is no re:match() here: re:test() asks for a match, a `regex` processor takes it",
        ),
        (
            "re:replace(@a, 'b', '', 'c')",
            "there is no re:replace() here: a `replace` or `regex` processor changes a text",
        ),
        ("contains(@a)", "contains() takes 2 arguments"),
        ("count('a')", "count() takes nodes"),
        ("string(//a)/b", "no nodes stand before `/`"),
        ("//a | 'b'", "`|` stands between nodes alone"),
        ("namespace::*", "there is no namespace:: here"),
        (
            "re:test(@a, @b)",
            "re:test() takes a text and a pattern in quotes",
        ),
        ("re:test(@a, '(')", "`(` is no pattern: "),
        (&"(".repeat(100), "it is nested too deeply"),
        (&"1-".repeat(100), "it is nested too deeply"),
        (&"a|".repeat(5_000), "it is too long"),
    ] {
        let told = XPath::parse(path).unwrap_err();
        let is_so = told == why || why.ends_with(": ") && told.starts_with(why);
        assert!(is_so, "{path}: {told}");
    }
}

#[test]
fn the_deepest_expression_needs_little_stack() {
    let inner = "a[b = c + d * e]".to_owned();
    let path = (0..14).fold(inner, |path, _| format!("//*[not({path})]"));
    assert!(XPath::parse(&path).is_err());
    let inner = "self::node()[1 = 2 - 3 * 4]".to_owned();
    let path = (0..7).fold(inner, |path, _| format!("self::node()[not({path})]"));
    let path = format!("{path}{}", " + 1".repeat(31));
    let thread = std::thread::Builder::new().stack_size(256 << 10);
    let found = thread.spawn(move || found(PAGE, "/", &path).len());
    assert_eq!(found.unwrap().join().unwrap(), 1);
}

#[test]
fn a_page_without_steps_left_has_nothing_more() {
    let html = "<i></i>".repeat(3_000);
    for path in [
        "//i[following-sibling::b]",
        "//i[count(preceding::i) > 5]",
        "//i[//b = .]",
        "//i/following::i/preceding::i",
    ] {
        let mut tree = Tree::default();
        quick::parse(html.as_bytes(), Marks::default(), &mut tree, false);
        let page = Page {
            html: html.as_bytes(),
            tree: &tree,
        };
        assert!(page.step(MAX_STEPS - 100_000));
        assert_eq!(XPath::parse("//i").unwrap().find(page, ROOT).len(), 3_000);
        assert_eq!(XPath::parse(path).unwrap().find(page, ROOT), [], "{path}");
        assert!(page.is_spent(), "{path}");
    }
}

#[test]
fn comments_part_texts_and_are_nodes_of_their_own() {
    let html = "<!-- no --><html><!-- no --><body><p>a<!-- b -->c</p><i><!--d--></i></html>";
    assert_eq!(found(html, "/", "//p/text()"), ["a", "c"]);
    assert_eq!(found(html, "/", "//p/node()[3]"), ["c"]);
    assert_eq!(found(html, "/", "count(//comment())"), ["2.0"]);
    assert_eq!(found(html, "/", "string(//comment()[2])"), [""]);
    assert_eq!(found(html, "/", "string(//i/comment())"), ["d"]);
    assert_eq!(found(html, "/", "string(//p)"), ["ac"]);
    assert_eq!(
        found(html, "/", "//comment()[contains(., 'b')]/../text()"),
        ["a", "c"]
    );
    assert_eq!(
        found(
            html,
            "/",
            "//i/preceding::comment()/following-sibling::text()"
        ),
        ["c"]
    );
    assert!(!XPath::parse("//comment()").unwrap().is_of_elements());
}

/// Expressions at random.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }

    fn one(&mut self, of: &[&str]) -> String {
        of[self.below(of.len())].to_owned()
    }

    fn path(&mut self, depth: usize) -> String {
        let mut path = self.one(&["", "", "/", "//", "//", ".//"]);
        for n in 0..=self.below(3) {
            if n > 0 {
                path += &self.one(&["/", "/", "//"]);
            }
            path += &self.step(depth);
        }
        path
    }

    fn step(&mut self, depth: usize) -> String {
        const AXES: [&str; 18] = [
            "",
            "",
            "",
            "",
            "",
            "",
            "child::",
            "descendant::",
            "descendant-or-self::",
            "parent::",
            "ancestor::",
            "ancestor-or-self::",
            "following::",
            "following-sibling::",
            "preceding::",
            "preceding-sibling::",
            "self::",
            "@",
        ];
        let axis = self.one(&AXES);
        let mut step = match &*axis {
            "@" => "@".to_owned() + &self.one(&["*", "class", "n", "href", "title"]),
            _ => {
                let tests = [
                    "*", "*", "p", "a", "li", "div", "td", "tr", "ul", "b", "node()", "text()",
                ];
                axis + &self.one(&tests)
            }
        };
        if depth > 0 {
            for _ in 0..self.below(3) {
                step += &format!("[{}]", self.predicate(depth - 1));
            }
        }
        step
    }

    fn predicate(&mut self, depth: usize) -> String {
        match self.below(9) {
            0 => self.one(&["1", "2", "3", "last()", "last() - 1", "position() mod 2"]),
            1 => format!(
                "position() {} {}",
                self.one(&["<", ">=", "=", "!="]),
                self.value(depth)
            ),
            2 => self.path(depth),
            3 => format!("not({})", self.predicate(depth.saturating_sub(1))),
            4 => format!(
                "{} {} {}",
                self.predicate(depth.saturating_sub(1)),
                self.one(&["and", "or"]),
                self.predicate(depth.saturating_sub(1))
            ),
            _ => format!(
                "{} {} {}",
                self.value(depth),
                self.one(&["=", "=", "!=", "<", ">", "<=", ">="]),
                self.value(depth)
            ),
        }
    }

    fn value(&mut self, depth: usize) -> String {
        let texts = [
            "'a'",
            "'row'",
            "'2'",
            "''",
            "7",
            "2.5",
            "0",
            "-1",
            "position()",
            "last()",
            "true()",
            "string()",
            "name()",
            "@class",
            "@n",
            ".",
            "..",
            "text()",
            "number()",
            "1 div 0",
        ];
        match self.below(12) {
            0 => format!("count({})", self.path(depth)),
            1 => format!("string({})", self.path(depth)),
            2 => format!("normalize-space({})", self.one(&["", ".", "@class"])),
            3 => format!(
                "substring({}, {}, {})",
                self.one(&["@class", "."]),
                self.one(&["0", "2", "1.5", "-1"]),
                self.one(&["1", "3", "2.5"])
            ),
            4 => format!(
                "string-length({}) + {}",
                self.one(&["", "@class"]),
                self.one(&["1", "@n"])
            ),
            5 => format!(
                "translate(@class, 'row', '{}')",
                self.one(&["", "x", "xyz"])
            ),
            6 => format!(
                "{}(number(@n) div 3)",
                self.one(&["floor", "ceiling", "round"])
            ),
            7 => format!(
                "{}(@class, '{}')",
                self.one(&[
                    "contains",
                    "starts-with",
                    "substring-before",
                    "substring-after"
                ]),
                self.one(&["o", "row", " ", ""])
            ),
            8 => self.path(depth),
            _ => self.one(&texts),
        }
    }
}

/// Says so where the test's own output is not shown.
fn skipped(why: &str) {
    let test = "extract::xpath::tests::random_expressions_find_what_they_find_in_lxml";
    let line = format!("\nSKIPPED: {test}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

const LXML: &str = r#"
import json, sys
try:
    from lxml import etree, html
except ImportError:
    sys.exit(42)
tree = html.document_fromstring(sys.stdin.readline())
for line in sys.stdin:
    try:
        found = tree.getroottree().xpath(json.loads(line))
    except etree.XPathEvalError:
        print("null")
        continue
    found = found if isinstance(found, list) else [found]
    texts = []
    for one in found:
        if isinstance(one, bool): texts.append(str(int(one)))
        elif isinstance(one, (str, float)): texts.append(str(one))
        else: texts.append("<%s>" % one.get("n"))
    print(json.dumps(texts))
"#;

#[test]
fn random_expressions_find_what_they_find_in_lxml() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut paths = Vec::new();
    while paths.len() < 4_000 {
        let path = match random.below(6) {
            0 => format!("{} | {}", random.path(1), random.path(1)),
            1 => random.value(2),
            2 => format!(
                "({})[{}]/{}",
                random.path(1),
                random.predicate(1),
                random.step(1)
            ),
            _ => random.path(2),
        };
        paths.push(path);
    }
    let child = Command::new("python3")
        .args(["-c", LXML])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        skipped("there is no python3");
        return;
    };
    let lines = paths.iter().map(|path| json!(path).to_string() + "\n");
    let mut text = PAGE.replace('\n', "&#10;") + "\n";
    text.extend(lines);
    let mut stdin = child.stdin.take().unwrap();
    // Without lxml it ends before it reads all.
    let feeding = std::thread::spawn(move || stdin.write_all(text.as_bytes()).is_ok());
    let output = child.wait_with_output().unwrap();
    if output.status.code() == Some(42) {
        skipped("python3 has no lxml");
        return;
    }
    assert!(feeding.join().unwrap() && output.status.success());
    let answers = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answers.lines().count(), paths.len());
    let page = PAGE.replace('\n', "&#10;");
    let mut some = 0;
    for (path, answer) in paths.iter().zip(answers.lines()) {
        // It has no places where no step was taken.
        let Some(lxml) = serde_json::from_str::<Option<Vec<String>>>(answer).unwrap() else {
            assert!(
                path.contains("position()") || path.contains("last()"),
                "{path}"
            );
            continue;
        };
        let ours = found(&page, "/", path);
        some += usize::from(!lxml.is_empty());
        let same = |text: &str| text.to_lowercase();
        let ours: Vec<String> = ours.iter().map(|text| same(text)).collect();
        let lxml: Vec<String> = lxml.iter().map(|text| same(text)).collect();
        assert_eq!(ours, lxml, "{path}");
    }
    assert!(some > 1_000, "{some} of {} find something", paths.len());
}
