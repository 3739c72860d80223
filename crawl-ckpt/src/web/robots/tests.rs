use super::*;

fn may(robots: &str, agent: &str, url: &str) -> bool {
    allowed(robots, agent, url).allowed
}

fn check(robots: &str, agent: &str, cases: &[(&str, bool)]) {
    for (path, want) in cases {
        let url = format!("http://foo.bar{path}");
        assert_eq!(may(robots, agent, &url), *want, "{path} in {robots:?}");
    }
}

// The cases of Google's robots_test.cc, by their names there; those where the
// RFC decides otherwise stand in a test of their own below.

#[test]
fn google_only_test() {
    let robots = "user-agent: FooBot\ndisallow: /\n";
    assert!(may("", "FooBot", ""));
    assert!(may(robots, "", ""));
    assert!(!may(robots, "FooBot", ""));
    assert!(may("", "", ""));
}

#[test]
fn google_line_syntax() {
    let url = "http://foo.bar/x/y";
    assert!(!may("user-agent: FooBot\ndisallow: /\n", "FooBot", url));
    assert!(may("foo: FooBot\nbar: /\n", "FooBot", url));
    assert!(!may("user-agent FooBot\ndisallow /\n", "FooBot", url));
    assert!(!may("user-agent: FooBot\ndisallow: /\r\n", "FooBot", url));
    assert!(!may("user-agent: FooBot\rdisallow: /", "FooBot", url));
    assert!(!may(
        "\u{feff}user-agent: FooBot\ndisallow: /",
        "FooBot",
        url
    ));
    assert!(!may("user-agent: a # b\n  disallow : / # c", "a", url));
    assert!(!may("useragent: FooBot\ndisalow: /", "FooBot", url));
}

#[test]
fn google_line_syntax_groups() {
    let robots = "allow: /foo/bar/\n\nuser-agent: FooBot\ndisallow: /\nallow: /x/\n\
        user-agent: BarBot\ndisallow: /\nallow: /y/\n\n\nallow: /w/\nuser-agent: BazBot\n\n\
        user-agent: FooBot\nallow: /z/\ndisallow: /\n";
    let foo = [("/x/b", true), ("/z/d", true), ("/y/c", false)];
    check(robots, "FooBot", &foo);
    let bar = [("/y/c", true), ("/w/a", true), ("/z/d", false)];
    check(robots, "BarBot", &bar);
    check(robots, "BazBot", &[("/z/d", true), ("/foo/bar/", false)]);
}

#[test]
fn google_groups_with_other_rules() {
    for other in [
        "Sitemap: https://foo.bar/sitemap",
        "Invalid-Unknown-Line: unknown",
        "Crawl-delay: 5",
    ] {
        let robots = format!("User-agent: BarBot\n{other}\nUser-agent: *\nDisallow: /\n");
        assert!(!may(&robots, "FooBot", "http://foo.bar/"));
        assert!(!may(&robots, "BarBot", "http://foo.bar/"));
        let robots = format!("User-agent: FooBot\n{other}\nUser-agent: *\nDisallow: /\n");
        assert!(!may(&robots, "FooBot", "http://foo.bar/"));
    }
}

#[test]
fn google_names_in_any_case() {
    for name in [
        "USER-AGENT: FooBot\nALLOW: /x/\nDISALLOW: /\n",
        "uSeR-aGeNt: FOOBOT\nAlLoW: /x/\ndIsAlLoW: /\n",
    ] {
        check(name, "foobot", &[("/x/y", true), ("/a/b", false)]);
    }
}

#[test]
fn google_user_agent_value() {
    let robots = "User-Agent: *\nDisallow: /\nUser-Agent: Foo Bar\nAllow: /x/\nDisallow: /\n";
    check(robots, "Foo", &[("/x/y", true), ("/x", false)]);
    assert!(!may(robots, "Foo Bar", "http://foo.bar/x/y"));
    let versions = "User-agent: foo/2.1\nDisallow: /";
    assert!(!may(versions, "foo", "http://foo.bar/"));
    assert!(!may(
        "User-agent: * baz\nDisallow: /",
        "x",
        "http://foo.bar/"
    ));
    assert!(may("User-agent: *baz\nDisallow: /", "x", "http://foo.bar/"));
}

#[test]
fn google_global_groups() {
    let global = "user-agent: *\nallow: /\nuser-agent: FooBot\ndisallow: /\n";
    assert!(!may(global, "FooBot", "http://foo.bar/x/y"));
    assert!(may(global, "BarBot", "http://foo.bar/x/y"));
    let only = "user-agent: FooBot\nallow: /\nuser-agent: BarBot\ndisallow: /\n";
    assert!(may(only, "QuxBot", "http://foo.bar/x/y"));
    let empty = "user-agent: FooBot\n\nuser-agent: *\n\nuser-agent: BarBot\nallow:\n";
    assert!(may(empty, "FooBot", "http://foo.bar/"));
}

#[test]
fn google_path_in_its_own_case() {
    check(
        "user-agent: FooBot\ndisallow: /X/\n",
        "FooBot",
        &[("/x/y", true), ("/X/y", false)],
    );
}

#[test]
fn google_longest_match() {
    for (rules, path, want) in [
        (
            "disallow: /x/page.html\nallow: /x/\n",
            "/x/page.html",
            false,
        ),
        ("allow: /x/page.html\ndisallow: /x/\n", "/x/page.html", true),
        ("allow: /x/page.html\ndisallow: /x/\n", "/x/", false),
        ("disallow: \nallow: \n", "/x/page.html", true),
        ("disallow: /\nallow: /\n", "/x/page.html", true),
        ("disallow: /x\nallow: /x/\n", "/x", false),
        ("disallow: /x\nallow: /x/\n", "/x/", true),
        (
            "disallow: /x/page.html\nallow: /x/page.html\n",
            "/x/page.html",
            true,
        ),
        ("allow: /page\ndisallow: /*.html\n", "/page.html", false),
        ("allow: /page\ndisallow: /*.html\n", "/page", true),
        ("allow: /x/page.\ndisallow: /*.html\n", "/x/page.html", true),
        ("allow: /x/page.\ndisallow: /*.html\n", "/x/y.html", false),
    ] {
        let robots = format!("user-agent: FooBot\n{rules}");
        check(&robots, "FooBot", &[(path, want)]);
    }
    let both = "User-agent: *\nDisallow: /x/page.html\nUser-agent: FooBot\nAllow: /x/\n";
    check(both, "FooBot", &[("/x/page.html", true)]);
}

#[test]
fn google_encoding() {
    let robots =
        "User-agent: FooBot\nDisallow: /\nAllow: /foo/bar?qux=taz&baz=http://foo.bar?tar&par\n";
    check(
        robots,
        "FooBot",
        &[("/foo/bar?qux=taz&baz=http://foo.bar?tar&par", true)],
    );
    let robots = "User-agent: FooBot\nDisallow: /\nAllow: /foo/bar/ツ\n";
    check(
        robots,
        "FooBot",
        &[("/foo/bar/%E3%83%84", true), ("/foo/bar/ツ", true)],
    );
    let robots = "User-agent: FooBot\nDisallow: /\nAllow: /foo/bar/%e3%83%84\n";
    check(
        robots,
        "FooBot",
        &[("/foo/bar/%E3%83%84", true), ("/foo/bar/ツ", true)],
    );
    let robots = "User-agent: FooBot\nDisallow: /\nAllow: /foo/bar/%62%61%7A\n";
    check(robots, "FooBot", &[("/foo/bar/%62%61%7A", true)]);
}

#[test]
fn google_special_characters() {
    let robots = "User-agent: FooBot\nDisallow: /foo/bar/quz\nAllow: /foo/*/qux\n";
    let cases = [
        ("/foo/bar/quz", false),
        ("/foo/quz", true),
        ("/foo//quz", true),
        ("/foo/bax/quz", true),
    ];
    check(robots, "FooBot", &cases);
    let robots = "User-agent: FooBot\nDisallow: /foo/bar$\nAllow: /foo/bar/qux\n";
    let cases = [
        ("/foo/bar", false),
        ("/foo/bar/qux", true),
        ("/foo/bar/", true),
        ("/foo/bar/baz", true),
    ];
    check(robots, "FooBot", &cases);
    let robots = "User-agent: FooBot\n# Disallow: /\nDisallow: /foo/quz#qux\nAllow: /\n";
    check(robots, "FooBot", &[("/foo/bar", true), ("/foo/quz", false)]);
}

#[test]
fn google_documentation() {
    for (pattern, matching, other) in [
        (
            "/fish",
            &[
                "/fish",
                "/fish.html",
                "/fish/salmon.html",
                "/fishheads",
                "/fish.php?id=anything",
            ][..],
            &["/Fish.asp", "/catfish", "/?id=fish"][..],
        ),
        (
            "/fish*",
            &["/fish", "/fish.html", "/fishheads/yummy.html"],
            &["/Fish.asp", "/catfish"],
        ),
        (
            "/fish/",
            &["/fish/", "/fish/salmon", "/fish/?salmon"],
            &["/fish", "/fish.html", "/animals/fish/"],
        ),
        (
            "/*.php",
            &[
                "/filename.php",
                "/folder/filename.php?parameters",
                "/folder/any.php.file.html",
                "/filename.php/",
            ],
            &["/", "/windows.PHP"],
        ),
        (
            "/*.php$",
            &["/filename.php", "/folder/filename.php"],
            &[
                "/filename.php?parameters",
                "/filename.php/",
                "/filename.php5",
                "/",
            ],
        ),
        (
            "/fish*.php",
            &["/fish.php", "/fishheads/catfish.php?parameters"],
            &["/Fish.PHP"],
        ),
    ] {
        let robots = format!("user-agent: FooBot\ndisallow: /\nallow: {pattern}\n");
        for path in matching {
            check(&robots, "FooBot", &[(path, true)]);
        }
        for path in other {
            check(&robots, "FooBot", &[(path, false)]);
        }
    }
    for (rules, path, want) in [
        ("allow: /p\ndisallow: /\n", "/page", true),
        ("allow: /folder\ndisallow: /folder\n", "/folder/page", true),
        ("allow: /page\ndisallow: /*.htm\n", "/page.htm", false),
        ("allow: /$\ndisallow: /\n", "/", true),
        ("allow: /$\ndisallow: /\n", "/page.html", false),
    ] {
        check(
            &format!("user-agent: FooBot\n{rules}"),
            "FooBot",
            &[(path, want)],
        );
    }
}

#[test]
fn the_rfc_decides_where_google_differs() {
    // RFC 9309, 2.2.2 and 2.2.3.
    let robots = "User-agent: *\nDisallow: /\nAllow: /foo/bar/%62%61%7A\n";
    check(robots, "FooBot", &[("/foo/bar/baz", true)]);
    let robots = "User-agent: *\nDisallow: /path/file-with-a-%2A.html\nDisallow: /path/foo-%24\n";
    let cases = [
        ("/path/file-with-a-*.html", false),
        ("/path/file-with-a-x.html", true),
        ("/path/foo-$", false),
    ];
    check(robots, "FooBot", &cases);
    let robots = "User-agent: *\nDisallow: /\nAllow: /x/index.html\n";
    check(robots, "FooBot", &[("/x/", false)]);
    check(
        "User-agent: *\nDisallow: /\n",
        "FooBot",
        &[("/robots.txt", true)],
    );
}

#[test]
fn lines_wishes_and_sitemaps_are_told() {
    let text = "Sitemap: http://a/1.xml\nUser-agent: x\nCrawl-delay: 2.5\nDisallow: /p\n\
        Sitemap:http://a/2.xml\nCrawl-delay: 9\nUser-agent: *\nCrawl-delay: x\nDisallow: /q$r*\n";
    let robots = Robots::parse(text, "x");
    assert_eq!(robots.crawl_delay(), Some(Duration::from_millis(2500)));
    assert_eq!(robots.sitemaps(), ["http://a/1.xml", "http://a/2.xml"]);
    assert_eq!(robots.verdict("http://a/p").line, Some(4));
    assert_eq!(robots.verdict("http://a/q").line, None);
    let robots = Robots::parse(text, "y");
    assert_eq!(robots.crawl_delay(), None);
    assert_eq!(robots.verdict("http://a/q$r?z").line, Some(9));
}

#[test]
fn hostile_patterns_take_no_time() {
    let pattern = "/".to_owned() + &"a*".repeat(5_000) + "b$";
    let robots = format!(
        "User-agent: *\nDisallow: {pattern}\nDisallow: {}\n",
        "*".repeat(9_000)
    );
    let url = format!("http://a/{}", "a".repeat(20_000));
    let started = std::time::Instant::now();
    assert!(!may(&robots, "x", &url));
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn the_token_is_the_first_word() {
    assert_eq!(product_token("crawl-fetch/0.1.0 (+x)"), "crawl-fetch");
    assert_eq!(product_token("Mozilla x"), "Mozilla");
    assert_eq!(product_token("bot42"), "bot42");
    assert!(!may("User-agent: Bot42\nDisallow: /", "bot42", "http://a/"));
}

#[test]
fn a_file_is_read_up_to_its_last_whole_line_that_fits() {
    let rule = "Disallow: /private\n";
    let head = "User-agent: *\n";
    let filler = "#".repeat(MAX_BYTES - head.len() - "\nDisallow: /".len());
    let text = format!("{head}{filler}\n{rule}{rule}");
    assert!(may(&text, "x", "http://a/open"));
    assert!(may(&text[..MAX_BYTES], "x", "http://a/open"));
    assert!(may(&format!("\u{feff}{text}"), "x", "http://a/open"));
    let whole = whole_lines(&text.as_bytes()[..MAX_BYTES]);
    assert!(whole.ends_with(b"#"), "{}", whole.len());
    let shorter = format!("{head}{}\n{rule}x", &filler[rule.len()..]);
    assert!(!may(&shorter, "x", "http://a/private"));
    let sitemaps = Robots::parse(&"Sitemap: http://a/s\n".repeat(2_000), "x");
    assert_eq!(sitemaps.sitemaps().len(), MAX_SITEMAPS);
}

#[test]
fn characters_that_urls_escape_are_the_same_raw_and_escaped() {
    for character in [
        "[", "]", "\\", "\"", "'", "<", ">", "^", "`", "{", "|", "}", " ", "é",
    ] {
        let escaped: String = character.bytes().map(|b| format!("%{b:02X}")).collect();
        for (rule, path) in [
            (character, character),
            (character, &escaped),
            (&escaped, character),
            (&escaped, &escaped),
        ] {
            let robots = format!("User-agent: *\nDisallow: /a{rule}b\n");
            let (path, other) = (format!("/a{path}b"), format!("/a{path}c"));
            check(
                &robots,
                "FooBot",
                &[(path.as_str(), false), (other.as_str(), true)],
            );
        }
    }
}
