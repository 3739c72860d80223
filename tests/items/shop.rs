//! Fields of a shop, by CSS and XPath.

use super::*;

const PRODUCT: &str = r#"<!DOCTYPE html><html><head><title>Widget - Shop</title></head><body>
<h1 class="product-name">
   Widget &amp; Co
</h1>
<p>was <span class="original-price">$1,499.00</span>
<p>now <span class="price"> $1,299.99 </span>
<span class=rating data-rating=4.5></span> <span class="reviews">(42 reviews)</span>
<span class="stock"> IN Stock </span>
<ul><li class=feature>WiFi<li class=feature>Bluetooth<li class=feature>GPS</ul>
<img class=product-image src="/1.jpg"><img class=product-image src=/2.jpg?a=1&amp;b=2>
<time datetime="2024-02-24">today</time>
<div class=review><span class=author>Ann</span><span class=stars data-rating=5></span><p class=text>Good.</div>
<div class=review><span class=author>Bob</span><p class=text>Bad.</div>
</body></html>"#;

fn spider(site: &Site) -> Value {
    json!({
        "name": "example_shop",
        "source_url": site.url("/"),
        "allowed_domains": ["127.0.0.1"],
        "start_urls": [site.url("/products")],
        "sections": [
            {
                "match": ["/product/[^/]+$"],
                "follow": false,
                "extract": {
                    "name": {"css": "h1.product-name::text", "processors": [{"type": "strip"}]},
                    "price": {"css": "span.price::text", "processors": [
                        {"type": "strip"},
                        {"type": "regex", "pattern": "\\$([\\d,.]+)"},
                        {"type": "replace", "old": ",", "new": ""},
                        {"type": "cast", "to": "float"}]},
                    "sale_price": {"css": "span.sale-price::text", "processors": [
                        {"type": "cast", "to": "float"},
                        {"type": "default", "default": null}]},
                    "rating": {"css": "span.rating::attr(data-rating)",
                        "processors": [{"type": "cast", "to": "float"}]},
                    "review_count": {"css": "span.reviews::text", "processors": [
                        {"type": "regex", "pattern": "(\\d+)"},
                        {"type": "cast", "to": "int"},
                        {"type": "default", "default": 0}]},
                    "availability": {"css": "span.stock::text",
                        "processors": [{"type": "strip"}, {"type": "lowercase"}]},
                    "available": {"css": "span.stock::text", "processors": [
                        {"type": "regex", "pattern": "(?i)(in) stock"},
                        {"type": "replace", "old": "IN", "new": "yes"},
                        {"type": "cast", "to": "bool"}]},
                    "features": {"css": "li.feature::text", "get_all": true},
                    "feature_line": {"css": "li.feature::text", "get_all": true,
                        "processors": [{"type": "join", "separator": ", "}]},
                    "images": {"css": "img.product-image::attr(src)", "get_all": true},
                    "listed": {"css": "time::attr(datetime)",
                        "processors": [{"type": "parse_datetime"}]},
                    "reviews": {"type": "nested_list", "selector": "div.review", "extract": {
                        "author": {"css": "span.author::text"},
                        "rating": {"css": "span.stars::attr(data-rating)",
                            "processors": [{"type": "cast", "to": "int"}]},
                        "comment": {"css": "p.text::text"}}},
                }
            },
            {"match": ["/products", "/category/"], "follow": true}
        ]
    })
}

fn site() -> Site {
    let site = Site::new();
    site.page("/products", "<a href=/product/1>1</a><a href=/about>no</a>");
    site.page("/product/1", PRODUCT);
    site
}

fn item() -> Value {
    json!({
        "name": "Widget & Co",
        "price": 1299.99,
        "sale_price": null,
        "rating": 4.5,
        "review_count": 42,
        "availability": "in stock",
        "available": true,
        "features": ["WiFi", "Bluetooth", "GPS"],
        "feature_line": "WiFi, Bluetooth, GPS",
        "images": ["/1.jpg", "/2.jpg?a=1&b=2"],
        "listed": "2024-02-24T00:00:00",
        "reviews": [
            {"author": "Ann", "rating": 5, "comment": "Good."},
            {"author": "Bob", "rating": null, "comment": "Bad."},
        ],
    })
}

#[test]
fn a_shop_gives_its_fields_with_their_types() {
    let (folder, site) = (Folder::new(), site());
    let (items, done) = crawl(&folder, &site, spider(&site));
    let want = BTreeMap::from([
        ("/products".into(), Value::Null),
        ("/product/1".into(), item()),
    ]);
    assert_eq!(items, want);
    done.says("`sale_price` empty on 1 of 1 page")
        .never_says("`price`")
        .never_says("ignored");
}

#[test]
fn xpath_finds_what_css_does() {
    let (folder, site) = (Folder::new(), site());
    let mut spider = spider(&site);
    let fields = &mut spider["sections"][0]["extract"];
    for (name, path) in [
        ("name", "//h1[@class='product-name']/text()"),
        ("price", "string(//p[2]/span[contains(@class, 'price')])"),
        ("rating", "//@data-rating"),
        (
            "available",
            "//span[starts-with(normalize-space(), 'IN')]/text()",
        ),
        ("features", "//ul/li/text()"),
        ("images", "(//img | //nothing)/@src"),
        ("listed", "//time/@datetime"),
    ] {
        let field = fields[name].as_object_mut().unwrap();
        field.remove("css");
        field.insert("xpath".to_owned(), json!(path));
    }
    let review = &mut fields["reviews"]["extract"];
    review["author"] = json!({"xpath": "./span[1]/text()"});
    review["comment"] = json!({"xpath": "p", "to_text": true});
    fields["all"] = json!({"xpath": "//p", "to_text": true});
    fields["count"] = json!({"xpath": "count(//li)"});
    fields["markup"] = json!({"xpath": "//li", "get_all": true});
    fields["after"] = json!({"type": "nested_list", "selector": "li:first-child", "extract": {
        "next": {"xpath": "following-sibling::li[1]/text()"}}});
    let mut want = item();
    want["all"] = json!("was $1,499.00 now $1,299.99 (42 reviews) IN Stock Good. Bad.");
    want["count"] = json!("3.0");
    let markup =
        ["WiFi", "Bluetooth", "GPS"].map(|name| format!("<li class=\"feature\">{name}</li>"));
    want["markup"] = json!(markup);
    want["after"] = json!([{"next": "Bluetooth"}]);
    let record = fetch(&folder, &spider, &site.url("/product/1"));
    assert_eq!(record["item"], want);
}

#[test]
fn crawl_fetch_alone_reads_the_same_file() {
    let (folder, site) = (Folder::new(), site());
    let record = fetch(&folder, &spider(&site), &site.url("/product/1"));
    assert_eq!(record["item"], item());
    let record = fetch(&folder, &spider(&site), &site.url("/products"));
    assert_eq!(record.get("item"), None);
    // An error page is no page of its kind.
    site.on("/product/2", |_| Answer::html(PRODUCT).with_status(404));
    let record = fetch(&folder, &spider(&site), &site.url("/product/2"));
    assert_eq!(record.get("item"), None);
}

#[test]
fn a_resumed_crawl_goes_on_counting_and_another_extract_is_no_other_spider() {
    let (folder, site) = (Folder::new(), Site::new());
    site.page("/", "<a href=/1>1</a><a href=/2>2</a><a href=/3>3</a>");
    for n in 1..=3 {
        site.page(&format!("/{n}"), &format!("<h1>{n}</h1><b class=x></b>"));
    }
    let spider = |css: &str| {
        let spider = json!({"name": "s", "start_urls": [site.url("/")], "sections": [
            {"match": "/[0-9]$", "extract": {"n": {"css": css}, "no": {"css": "i::text"}}}]});
        folder.write("s.json", spider.to_string());
    };
    let run = |words: &[&str]| {
        let tool = Tool::new("crawl-run").dir(&folder).arg("s.json");
        tool.args(words).run()
    };
    spider("h1::text");
    run(&["--max-pages", "2"]).code(4);
    spider("h1");
    run(&[])
        .code(0)
        .says("`no` empty on 3 of 3 pages")
        .never_says("`n` empty");
}
