//! Articles, and what pages say of themselves.

use super::*;

/// An article with what pages say of themselves.
fn article(title: &str, by: &str, date: &str, head: &str) -> String {
    let paragraph = "The harbour was quiet in the morning, and the boats lay in a row along the \
        old stone wall, while the fishermen mended their nets and told each other, at length, \
        what the weather would be.";
    format!(
        r#"<!DOCTYPE html><html><head><title>{title} | The Daily</title>{head}</head><body>
        <nav><a href="/">Home</a> <a href="/news/1">News</a> <a href="/sport/1">Sport</a></nav>
        <article><h1>{title}</h1><p class="byline">By <a rel="author" href="/by">{by}</a></p>
        <time datetime="{date}">{date}</time>
        <p>First: {paragraph}</p><p>Second: {paragraph}</p><p>Third: {paragraph}</p></article>
        <footer>Imprint and so on</footer></body></html>"#
    )
}

fn site() -> Site {
    let site = Site::new();
    let links = "<a href=/news/1>1</a><a href=/news/2>2</a><a href=/sport/1>3</a><a href=/x>4</a>";
    site.page("/", links).page("/x", "x").page("/by", "by");
    let ld = r#"<script type="application/ld+json">{"@context": "https://schema.org",
        "@type": "NewsArticle", "headline": "Harbour wakes", "datePublished":
        "2026-03-15T08:00:00+01:00", "author": {"@type": "Person", "name": "Ann Lee"}}</script>"#;
    site.page(
        "/news/1",
        &article("Harbour wakes", "A. Lee", "2020-01-01", ld),
    );
    let og = r#"<meta property="og:title" content="Boats at rest">
        <meta name="author" content="Bob Ray">
        <meta property="article:published_time" content="2026-03-16T09:30:00Z">"#;
    site.page(
        "/news/2",
        &article("Boats at rest", "Bob Ray", "2020-01-01", og),
    );
    site.page("/sport/1", &article("Rowing", "Cy Dee", "2026-03-17", ""));
    site
}

#[track_caller]
fn check(item: &Value, title: &str, author: &str, date: &str) {
    assert_eq!(item["title"], title, "{item}");
    assert_eq!(item["author"], author, "{item}");
    assert_eq!(item["published_date"], date, "{item}");
    let content = item["content"].as_str().unwrap();
    assert!(
        content.contains("First: The harbour was quiet"),
        "{content}"
    );
    assert!(content.contains("Third: "), "{content}");
    assert!(
        !content.contains("Imprint") && !content.contains("<p>"),
        "{content}"
    );
}

#[test]
fn auto_reads_articles_and_what_they_say_of_themselves() {
    let (folder, site) = (Folder::new(), site());
    let spider = json!({
        "name": "news", "source_url": site.url("/"), "allowed_domains": ["127.0.0.1"],
        "start_urls": [site.url("/")],
        "sections": [
            {"match": ["/news/"], "extract": "auto"},
            {"match": ["/sport/"], "extract": {
                "title": "auto", "content": "auto", "published_date": "auto",
                "author": {"css": ".byline a::text", "processors": [{"type": "strip"}]},
                "kicker": {"css": ".kicker::text"}}},
            {"match": [".*"], "follow": true}
        ]
    });
    let (items, done) = crawl(&folder, &site, spider);
    check(
        &items["/news/1"],
        "Harbour wakes",
        "Ann Lee",
        "2026-03-15T08:00:00+01:00",
    );
    check(
        &items["/news/2"],
        "Boats at rest",
        "Bob Ray",
        "2026-03-16T09:30:00+00:00",
    );
    check(
        &items["/sport/1"],
        "Rowing",
        "Cy Dee",
        "2026-03-17T00:00:00",
    );
    assert_eq!(items["/"], Value::Null);
    assert_eq!(items["/x"], Value::Null);
    done.says("`kicker` empty on 1 of 1 page");
}

#[test]
fn what_pages_say_of_themselves_is_understood_in_all_forms() {
    let ld = |json: Value| format!("<script type=\"application/ld+json\">{json}</script>");
    let date = "2026-03-15T08:00:00+00:00";
    let told = |kind: &str, author: Value| {
        json!({"@type": kind, "headline": "Told",
        "datePublished": date, "author": author})
    };
    let ann = || json!({"@type": "Person", "name": "Ann Lee"});
    let in_graph = json!({"@context": "https://schema.org", "@graph": [
        {"@type": "WebSite", "name": "The Daily", "author": "no"},
        {"@type": "WebPage", "name": "Told | The Daily", "datePublished": "2020-01-01"},
        {"@type": ["Thing", "http://schema.org/NewsArticle"], "headline": "Told &amp; done",
         "datePublished": date, "author": [{"@id": "#ann"}, {"@id": "#bob"}]},
        {"@type": "Person", "@id": "#ann", "name": "Ann Lee"},
        {"@type": "Person", "@id": "#bob", "givenName": "Bob", "familyName": "Ray"}]});
    let broken =
        "<script type=application/ld+json>{\"@type\": \"Article\", \"headline\": </script>";
    let seen = "2020-01-01T00:00:00";
    let mut forms = vec![
        (ld(in_graph), "Told & done", "Ann Lee, Bob Ray", date),
        (ld(json!({"@type": "Product", "name": "Told", "releaseDate": date})), "Told", "Cy Dee", date),
        (ld(told("Article", ann())).replace("Told", "To\tld\n"), "To ld", "Ann Lee", date),
        (ld(json!({"@type": "Article", "name": "Seen", "headline": "The Daily's"})), "Seen", "Cy Dee", seen),
        (ld(told("Article", json!(["Ann Lee", ann(), "By Bob Ray"]))), "Told", "Ann Lee, Bob Ray", date),
        ("<meta property=og:title content=Told><meta property=article:author content=https://h/ann>\
          <meta name=DC.creator content='by Ann Lee'><meta name=DC.date.issued content=2026-03-15>".to_owned(),
         "Told", "Ann Lee", "2026-03-15T00:00:00"),
        ("<meta name=citation_author content='Ann Lee'><meta name=citation_author content='Bob Ray'>".to_owned(),
         "Seen", "Ann Lee, Bob Ray", seen),
        (String::new(), "Seen", "Cy Dee", seen),
    ];
    let mut alike = vec![
        ld(told("Report", json!("Ann Lee"))),
        ld(told(
            "https://schema.org/BlogPosting",
            json!({"name": ["Ann Lee"]}),
        )),
        ld(told("WebPage", ann())),
        ld(json!([[told("Article", ann())]])),
        ld(json!({"@type": "WebPage", "name": "no", "mainEntity": told("Article", ann())})),
        broken.to_owned() + &ld(told("Article", ann())),
        ld(json!({"@type": "BreadcrumbList", "name": "no"})) + &ld(told("Article", ann())),
        ld(json!({"@type": "WebPage", "headline": "no"})) + &ld(told("Article", ann())),
    ];
    for context in [
        json!("http://schema.org/"),
        json!(["https://schema.org", {"@language": "en"}]),
        json!({"@vocab": "https://schema.org/"}),
        json!({"name": "http://schema.org/name"}),
    ] {
        let mut one = told("Article", ann());
        one["@context"] = context;
        alike.push(ld(one));
    }
    forms.extend(
        alike
            .into_iter()
            .map(|head| (head, "Told", "Ann Lee", date)),
    );
    let (folder, site) = (Folder::new(), Site::new());
    let mut links = String::new();
    for (n, (head, ..)) in forms.iter().enumerate() {
        site.page(
            &format!("/a/{n}"),
            &article("Seen", "Cy Dee", "2020-01-01", head),
        );
        links += &format!("<a href=/a/{n}>{n}</a>");
    }
    site.page("/", &links);
    let spider = json!({"name": "forms", "start_urls": [site.url("/")], "sections": [
        {"match": "/a/", "extract": "auto"}]});
    let (items, _) = crawl(&folder, &site, spider);
    for (n, (head, title, author, date)) in forms.iter().enumerate() {
        let item = &items[&format!("/a/{n}")];
        let found = [&item["title"], &item["author"], &item["published_date"]];
        assert_eq!(found, [title, author, date], "{head}");
        assert!(item["content"].as_str().unwrap().contains("Third: "));
    }
}

#[test]
fn rules_alone_read_articles_by_parse_article_and_fields_by_callbacks() {
    let (folder, site) = (Folder::new(), site());
    let spider = json!({
        "name": "rules_only", "source_url": site.url("/"), "allowed_domains": ["127.0.0.1"],
        "start_urls": [site.url("/")],
        "rules": [
            {"allow": ["/news/.*"], "deny": ["/news/.*#comments"], "callback": "parse_article"},
            {"allow": ["/sport/"], "callback": "parse_sport", "follow": false},
            {"allow": ["/x"], "callback": null}
        ],
        "callbacks": {"parse_sport": {"extract": {
            "headline": {"css": "article h1::text"},
            "paragraphs": {"css": "article > p:not(.byline)", "get_all": true,
                "processors": [{"type": "count"}]},
            "text": {"css": "article .byline", "to_text": true},
            "as_markdown": {"css": "article .byline", "to_markdown": true}}}},
        "settings": {"EXTRACTOR_ORDER": ["trafilatura", "newspaper"], "ROBOTSTXT_OBEY": true}
    });
    let (items, done) = crawl(&folder, &site, spider);
    check(
        &items["/news/1"],
        "Harbour wakes",
        "Ann Lee",
        "2026-03-15T08:00:00+01:00",
    );
    let sport = json!({"headline": "Rowing", "paragraphs": 3, "text": "By Cy Dee",
        "as_markdown": "By [Cy Dee](/by)"});
    assert_eq!(items["/sport/1"], sport);
    assert_eq!(items["/x"], Value::Null);
    done.never_says("ignored").never_says("empty on");
}

#[test]
fn a_sitemap_spider_reads_every_page_that_it_names() {
    let (folder, site) = (Folder::new(), site());
    let map = format!(
        "<urlset><url><loc>{}</loc></url><url><loc>{}</loc></url></urlset>",
        site.url("/news/2"),
        site.url("/sport/1")
    );
    site.on("/sitemap.xml", move |_| {
        Answer::typed("application/xml", map.clone())
    });
    let spider = json!({
        "name": "maps", "source_url": site.url("/"), "allowed_domains": ["127.0.0.1"],
        "start_urls": [site.url("/sitemap.xml")],
        "settings": {"USE_SITEMAP": true, "EXTRACTOR_ORDER": ["custom"], "FIELDS": {
            "title": {"css": "h1", "to_text": true},
            "published_date": {"css": ".no-such-date::text"}}}
    });
    let (items, _) = crawl(&folder, &site, spider);
    let item = json!({"title": "Boats at rest", "published_date": "2026-03-16T09:30:00+00:00"});
    assert_eq!(items["/news/2"], item);
    assert_eq!(items["/sport/1"]["title"], "Rowing");
}
