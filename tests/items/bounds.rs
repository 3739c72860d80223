//! Pages that are too deep, too large or too slow to read.

use super::*;

const DEEP: usize = 100_000;

#[track_caller]
fn item_of(html: String, extract: Value) -> Value {
    let (folder, site) = (Folder::new(), Site::new());
    site.page("/", &html);
    let spider = json!({"sections": [{"extract": extract}]});
    fetch(&folder, &spider, &site.url("/"))
}

#[test]
fn a_page_of_a_hundred_thousand_nested_elements_is_read() {
    let html = format!("<p id=top>{}deep<b>er</b>", "<div>".repeat(DEEP));
    let record = item_of(
        html,
        json!({
            "divs": {"css": "div", "get_all": true, "processors": [{"type": "count"}]},
            "deep": {"css": "div div div::text"},
            "all": {"css": "body", "to_text": true},
            "markup": {"css": "body"},
            "holds": {"css": "div:has(b)", "get_all": true, "processors": [{"type": "count"}]},
        }),
    );
    let item = &record["item"];
    assert_eq!(item["divs"], DEEP);
    assert_eq!(item["deep"], "deep");
    assert_eq!(item["all"], "deep er");
    // What is nested deeper than 512 elements stands side by side, as in Chrome.
    assert_eq!(item["holds"], 509);
    assert!(item["markup"].as_str().unwrap().ends_with("</div></body>"));
}

#[test]
fn a_deep_page_that_overlaps_takes_no_longer() {
    let overlapping = "<b id=1><p>x</b>y<table>z".to_owned();
    for open in ["<div>", "<b>", "<table><td>", "<svg><g>", "<p><i>"] {
        let html = overlapping.clone() + &open.repeat(50_000) + "<h1>end";
        let record = item_of(html, json!({"end": {"css": "h1", "to_text": true}}));
        assert_eq!(record["item"]["end"], "end", "{open}");
    }
}

#[test]
fn a_page_of_five_megabytes_gives_its_whole_item_by_css_and_xpath() {
    const COUNT: usize = 25_000;
    let products = (1..=COUNT).map(|n| {
        format!(
            "<div class=\"product row\" id=\"p{n}\"><span class=\"name\">Product {n} of the \
             catalogue</span><a href=\"/products/{n}.html\" title=\"More of it\">more</a>\
             <span class=\"price\" data-cents=\"{n}99\">$ {n}.99</span><p>Some <b>words</b></p></div>\n"
        )
    });
    let products: String = products.collect();
    assert!(products.len() > 5_000_000);
    let html = format!("<h1>All</h1>{products}<a rel=next href=/page/2>next</a>");
    let count = json!([{"type": "count"}]);
    let record = item_of(
        html,
        json!({
            "title": {"css": "h1::text"},
            "first": {"css": "div.product > .name::text"},
            "last": {"xpath": "//div[has-class('product')][last()]/span[@class='name']/text()"},
            "products": {"xpath": "count(//div[contains(@class, 'product')])"},
            "prices": {"css": ".product .price::attr(data-cents)", "get_all": true, "processors": count},
            "links": {"xpath": "//a[@title]/@href", "get_all": true, "processors": count},
            "dearest": {"css": "div.product:nth-last-of-type(1) > .price::text"},
            "one": {"xpath": "//div[span[contains(., 'Product 24000 ')]]/a/@href"},
            "behind": {"xpath": "//div[@id='p12000']/following-sibling::div[1]/@id"},
            "next": {"css": "a[rel=next]::attr(href)"},
        }),
    );
    assert_eq!(record["item_cut"], Value::Null, "{record}");
    let last = format!("Product {COUNT} of the catalogue");
    assert_eq!(
        record["item"],
        json!({
            "title": "All", "first": "Product 1 of the catalogue", "last": last,
            "products": "25000.0", "prices": COUNT, "links": COUNT,
            "dearest": format!("$ {COUNT}.99"), "one": "/products/24000.html",
            "behind": "p12001", "next": "/page/2",
        })
    );
}

#[test]
fn an_item_is_cut_before_it_is_too_large_and_says_so() {
    let html = format!("<h1>t</h1><p>{}</p>", "word ".repeat(1_200_000));
    let extract = json!({"a": {"css": "h1::text"}, "b": {"css": "p::text"}});
    let record = item_of(html, extract);
    assert_eq!(record["item"], json!({"a": "t", "b": null}));
    assert_eq!(record["item_cut"], true);
}
#[test]
fn selectors_that_would_take_minutes_are_ended_and_say_so() {
    let html = format!(
        "<h1>t</h1>{}{}",
        "<div>".repeat(500),
        "word ".repeat(1_000_000)
    );
    let record = item_of(
        html,
        json!({"first": {"css": "h1::text"}, "slow": {"css": "div:contains('none')"}}),
    );
    assert_eq!(record["item"], json!({"first": "t", "slow": null}));
    assert_eq!(record["item_cut"], true);
}
