//! The web as it is: a site on which every path misbehaves in its own way, and
//! how a request for it must end. One table, so that the fetcher's tests and the
//! crawl's tests mean the same.
//!
//! The expected ends hold for a body cap of 1 MiB, time limits of about two
//! seconds, and redirects that are not followed.

use std::io::{self, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Answer, Asked, Site};

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// With an answer of this status.
    Status(u16),
    /// With an error of this kind.
    Error(&'static str),
}

use Ends::{Error, Status};

/// One behaviour.
pub struct Case {
    /// Path and query.
    pub path: &'static str,
    /// How a request for it ends.
    pub ends: Ends,
    answer: fn(&Asked) -> Answer,
}

const fn case(path: &'static str, ends: Ends, answer: fn(&Asked) -> Answer) -> Case {
    Case { path, ends, answer }
}

/// A site with all behaviours; its front page links to every one of them.
pub fn site() -> Site {
    let site = Site::new();
    install(&site);
    site
}

/// Puts all behaviours on a site.
pub fn install(site: &Site) {
    for case in CASES {
        site.on(case.path, case.answer);
    }
    site.on("/", |_| Answer::html(front_page()));
    site.otherwise(trap);
}

fn front_page() -> String {
    let link = |case: &Case| format!("<a href=\"{0}\">{0}</a>\n", case.path);
    let links: String = CASES.iter().map(link).collect();
    format!("<!doctype html><title>Hostile</title>\n{links}")
}

/// Every behaviour.
pub const CASES: &[Case] = &[
    // Redirects.
    case("/redirect/301", Status(301), |_| to("/ok", 301)),
    case("/redirect/302", Status(302), |_| to("/ok", 302)),
    case("/redirect/303", Status(303), |_| to("/ok", 303)),
    case("/redirect/307", Status(307), |_| to("/ok", 307)),
    case("/redirect/308", Status(308), |_| to("/ok", 308)),
    case("/redirect/relative", Status(302), |_| to("../ok#part", 302)),
    case("/redirect/loop-a", Status(302), |_| {
        to("/redirect/loop-b", 302)
    }),
    case("/redirect/loop-b", Status(302), |_| {
        to("/redirect/loop-a", 302)
    }),
    case("/redirect/self", Status(302), |_| to("/redirect/self", 302)),
    case("/redirect/cookie-wall", Status(302), cookie_wall),
    case("/redirect/grows", Status(302), |a| {
        to(&format!("{}/x", a.path), 302)
    }),
    case("/redirect/chain?n=0", Status(302), |_| {
        to("/redirect/chain?n=1", 302)
    }),
    case("/redirect/private", Status(302), |_| {
        to("http://169.254.169.254/latest/", 302)
    }),
    case("/redirect/bytes", Status(302), |_| {
        raw("HTTP/1.1 302 Found\r\nLocation: /\u{e4}\r\nContent-Length: 0\r\n\r\n")
    }),
    case("/redirect/no-location", Error("redirect"), |_| {
        Answer::status(302)
    }),
    case("/redirect/mailto", Error("redirect"), |_| {
        to("mailto:nobody@example.com", 302)
    }),
    case("/redirect/no-url", Error("redirect"), |_| {
        to("http://[", 302)
    }),
    // Overload and refusal.
    case("/429/seconds", Status(429), |_| wait(429, "1")),
    case("/429/date", Status(429), |_| wait(429, &http_date(2))),
    case("/429/hours", Status(429), |_| wait(429, "7200")),
    case("/503/seconds", Status(503), |_| wait(503, "1")),
    case("/503/date", Status(503), |_| wait(503, &http_date(2))),
    case("/503/nonsense", Status(503), |_| wait(503, "later")),
    case("/403", Status(403), |_| Answer::html("no").with_status(403)),
    case("/404", Status(404), |_| {
        Answer::html("<a href='x/y'>x").with_status(404)
    }),
    case("/408", Status(408), |_| Answer::status(408)),
    case("/410", Status(410), |_| Answer::status(410)),
    case("/500", Status(500), |_| {
        Answer::html("oops").with_status(500)
    }),
    case("/status/204", Status(204), |_| Answer::status(204)),
    case("/status/999", Status(999), |_| Answer::status(999)),
    // Connections that end too early.
    case("/close/before", Error("connect"), |_| raw("")),
    case("/close/in-status", Error("protocol"), |_| raw("HTTP/1.1 2")),
    case("/close/in-headers", Error("protocol"), |_| {
        raw("HTTP/1.1 200 OK\r\nContent-Type: text/h")
    }),
    case("/close/in-body", Error("protocol"), |_| {
        raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n<a href=half>")
    }),
    case("/close/in-chunk", Error("protocol"), |_| {
        chunked("20\r\n<a href=half>")
    }),
    case("/close/between-chunks", Error("protocol"), |_| {
        chunked("3\r\nabc\r\n")
    }),
    // Lengths.
    case("/length/too-short", Status(200), |_| {
        raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n0123456789")
    }),
    case("/length/negative", Error("protocol"), |_| {
        raw("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n01234")
    }),
    case("/length/words", Error("protocol"), |_| {
        raw("HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n01234")
    }),
    case("/length/two", Status(200), |_| {
        raw("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\n012345678")
    }),
    case("/length/huge", Error("too_large"), |_| {
        raw("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n01234")
    }),
    case("/length/and-chunks", Status(200), |_| {
        raw(
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        )
    }),
    case("/length/none", Status(200), |_| {
        raw("HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<title>none</title>")
    }),
    // Chunks.
    case("/chunks/good", Status(200), |_| {
        chunked("4\r\n<b>a\r\n6;x=y\r\n</b>bc\r\n0\r\nTrailer: x\r\n\r\n")
    }),
    case("/chunks/no-number", Error("protocol"), |_| {
        chunked("xyz\r\nabc\r\n0\r\n\r\n")
    }),
    case("/chunks/negative", Error("protocol"), |_| {
        chunked("-3\r\nabc\r\n0\r\n\r\n")
    }),
    case("/chunks/no-end", Error("protocol"), |_| {
        chunked("3\r\nabcdef\r\n0\r\n\r\n")
    }),
    case("/chunks/overflow", Error("protocol"), |_| {
        chunked("fffffffffffffffffffff\r\nabc\r\n0\r\n\r\n")
    }),
    case("/chunks/endless", Error("too_large"), |_| {
        flood(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "5\r\nabcde\r\n",
        )
    }),
    // Time and size.
    case("/endless", Error("too_large"), |_| {
        flood(
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n",
            "<a href=x>",
        )
    }),
    case("/silent", Error("timeout"), |_| drip("", "")),
    case("/drip/headers", Error("timeout"), |_| {
        drip("HTTP/1.1 200 OK\r\nX: ", "x")
    }),
    case("/drip/body", Error("timeout"), |_| {
        drip("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", "x")
    }),
    case("/drip/chunks", Error("timeout"), |_| {
        drip(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "1\r\nx\r\n",
        )
    }),
    case("/page/over-the-cap", Error("too_large"), |_| {
        Answer::html(vec![b'x'; (1 << 20) + 1])
    }),
    case("/page/at-the-cap", Status(200), |_| {
        Answer::html(vec![b'x'; 1 << 20])
    }),
    // Headers.
    case("/header/10-mb", Error("too_large"), |_| {
        raw(&format!(
            "HTTP/1.1 200 OK\r\nX: {}\r\n\r\n",
            "x".repeat(10 << 20)
        ))
    }),
    case("/header/100000", Error("too_large"), |_| {
        raw(&format!(
            "HTTP/1.1 200 OK\r\n{}\r\n",
            "X: y\r\n".repeat(100_000)
        ))
    }),
    case("/header/endless", Error("too_large"), |_| {
        flood("HTTP/1.1 200 OK\r\n", "X: yyyyyyyyyyyyyyyyyyyyyyyyyy\r\n")
    }),
    case("/header/nul", Error("protocol"), |_| {
        raw("HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n")
    }),
    case("/header/no-colon", Status(200), |_| {
        raw("HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n")
    }),
    case("/header/200", Status(200), |_| {
        let many = "X: y\r\n".repeat(200);
        raw(&format!(
            "HTTP/1.1 200 OK\r\n{many}Content-Length: 2\r\n\r\nok"
        ))
    }),
    case("/header/bytes", Status(200), |_| {
        raw("HTTP/1.1 200 OK\r\nETag: \"\u{e4}\"\r\nContent-Length: 0\r\n\r\n")
    }),
    case("/header/newlines", Status(200), |_| {
        raw("HTTP/1.1 200 OK\nContent-Length: 2\n\nok")
    }),
    case("/header/interim", Status(200), |_| {
        raw(
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        )
    }),
    case("/header/garbage", Error("protocol"), |_| {
        raw("\x16\x03\x01\x02\0\x01\0\x01nonsense\r\n\r\n")
    }),
    case("/header/http-0.9", Error("protocol"), |_| {
        raw("<html>no header at all</html>\r\n\r\n")
    }),
    // Content codings.
    case("/gzip/good", Status(200), |_| {
        coded("gzip", gzip(PAGE.as_bytes()))
    }),
    case("/gzip/twice", Status(200), |_| {
        coded("gzip, gzip", gzip(&gzip(PAGE.as_bytes())))
    }),
    case("/gzip/and-tail", Status(200), |_| {
        coded("gzip", [gzip(PAGE.as_bytes()), b"tail".to_vec()].concat())
    }),
    case("/gzip/empty", Status(200), |_| coded("gzip", Vec::new())),
    case("/gzip/bomb", Error("too_large"), |_| {
        coded("gzip", bomb(100 << 20))
    }),
    case("/gzip/cut", Error("protocol"), |_| {
        coded("gzip", gzip(PAGE.as_bytes())[..40].to_vec())
    }),
    case("/gzip/broken", Error("protocol"), |_| {
        coded("gzip", broken(gzip(PAGE.as_bytes())))
    }),
    case("/gzip/none", Error("protocol"), |_| coded("gzip", PAGE)),
    case("/zstd/good", Status(200), |_| {
        coded("zstd", zstd(PAGE.as_bytes()))
    }),
    case("/zstd/in-gzip", Status(200), |_| {
        coded("zstd, gzip", gzip(&zstd(PAGE.as_bytes())))
    }),
    case("/zstd/bomb", Error("too_large"), |_| {
        coded("zstd", zstd_bomb(100 << 20))
    }),
    case("/zstd/cut", Error("protocol"), |_| {
        coded("zstd", zstd(PAGE.as_bytes())[..40].to_vec())
    }),
    case("/zstd/none", Error("protocol"), |_| coded("zstd", PAGE)),
    case("/coding/nonsense", Status(200), |_| coded("utf-8", PAGE)),
    // Encodings. Each page's title is `Grüße`, `Привет` or `日本`, and it links to /ok.
    case("/charset/utf-8", Status(200), |_| {
        text("text/html; charset=utf-8", titled("Grüße"))
    }),
    case("/charset/latin1", Status(200), |_| {
        text("text/html; charset=ISO-8859-1", latin1("Grüße"))
    }),
    case("/charset/meta", Status(200), |_| {
        text(
            "text/html",
            [&b"<meta charset=windows-1252>"[..], &latin1("Grüße")].concat(),
        )
    }),
    case("/charset/none-utf-8", Status(200), |_| {
        text("text/html", titled("Grüße"))
    }),
    case("/charset/none-latin1", Status(200), |_| {
        text("text/html", latin1("Grüße"))
    }),
    case("/charset/unknown", Status(200), |_| {
        text("text/html; charset=klingon", titled("Grüße"))
    }),
    case("/charset/bom", Status(200), |_| {
        text(
            "text/html; charset=koi8-r",
            [&b"\xef\xbb\xbf"[..], &titled("Grüße")].concat(),
        )
    }),
    case("/charset/utf-16le", Status(200), |_| {
        text("text/html", utf16("Grüße", u16::to_le_bytes))
    }),
    case("/charset/utf-16be", Status(200), |_| {
        text("text/html", utf16("Grüße", u16::to_be_bytes))
    }),
    case("/charset/koi8-r", Status(200), |_| {
        text(
            "text/html; charset=koi8-r",
            page_with(b"\xf0\xd2\xc9\xd7\xc5\xd4"),
        )
    }),
    case("/charset/shift_jis", Status(200), |_| {
        text(
            "text/html; charset=shift_jis",
            page_with(b"\x93\xfa\x96\x7b"),
        )
    }),
    case("/charset/gbk", Status(200), |_| {
        text("text/html; charset=gbk", page_with(b"\xc8\xd5\xb1\xbe"))
    }),
    case("/charset/euc-jp", Status(200), |_| {
        text("text/html; charset=euc-jp", page_with(b"\xc6\xfc\xcb\xdc"))
    }),
    case("/charset/iso-2022-jp", Status(200), |_| {
        text(
            "text/html; charset=iso-2022-jp",
            page_with(b"\x1b$BF|K\\\x1b(B"),
        )
    }),
    case("/charset/broken", Status(200), |_| {
        text("text/html; charset=utf-8", page_with(b"\xff\xfe\x80"))
    }),
    // Types.
    case("/type/none", Status(200), |_| {
        Answer::status(200).body(PAGE)
    }),
    case("/type/none-binary", Status(200), |_| {
        Answer::status(200).body(&b"\x89PNG\r\n\x1a\n\0\0<a href=x>"[..])
    }),
    case("/type/image", Status(200), |_| {
        Answer::typed("image/png", PAGE)
    }),
    case("/type/nonsense", Status(200), |_| {
        Answer::typed(";;;", PAGE)
    }),
    case("/type/plain", Status(200), |_| Answer::text(PAGE)),
    // Pages.
    case("/ok", Status(200), |_| Answer::html(PAGE)),
    case("/page/empty", Status(200), |_| Answer::html("")),
    case("/page/nul", Status(200), |_| {
        Answer::html("\0<title>\0N\0</title>\0<a\0 href=no><a href='/o\0k'><a href=/ok>")
    }),
    case("/page/deep", Status(200), |_| {
        Answer::html("<div>".repeat(100_000))
    }),
    case("/page/unclosed", Status(200), |_| {
        Answer::html("<a href='".repeat(50_000))
    }),
    case("/page/comments", Status(200), |_| {
        Answer::html("<!--".repeat(100_000))
    }),
    case("/page/lone-tags", Status(200), |_| {
        Answer::html("<a =".repeat(100_000))
    }),
    case("/page/strange-links", Status(200), strange_links),
    case("/page/utf-8-url/%C3%A4", Status(200), |_| {
        Answer::html(PAGE)
    }),
    // Traps: each page leads to further ones without end.
    case("/trap/calendar?day=1", Status(200), trap),
    case("/trap/deep/", Status(200), trap),
    case("/trap/session/0", Status(200), trap),
    // Cookies.
    case("/cookie/set", Status(200), |_| {
        Answer::html(PAGE)
            .header("Set-Cookie", "a=b; Path=/")
            .header("Set-Cookie", "c=d; Max-Age=60")
    }),
    case("/cookie/evil", Status(200), evil_cookies),
    case("/cookie/wanted", Status(200), |a| {
        Answer::html(format!(
            "<title>{}</title>",
            a.header("cookie").unwrap_or("none")
        ))
    }),
    // Asking again.
    case("/conditional/etag", Status(200), conditional),
    case("/conditional/date", Status(200), conditional),
    // Blocks that look like pages.
    case("/challenge/cloudflare", Status(200), |_| {
        Answer::html("<title>Just a moment...</title><script>window._cf_chl_opt={}</script>")
    }),
    case("/challenge/header", Status(200), |_| {
        Answer::html("<title>x</title>").header("cf-mitigated", "challenge")
    }),
    case("/challenge/captcha", Status(200), |_| {
        Answer::html("<title>Robot Check</title><div class=g-recaptcha></div>")
    }),
    // robots.txt files, to be asked for as such.
    case("/robots/plain", Status(200), |_| {
        Answer::text("User-agent: *\nDisallow: /private\n")
    }),
    case("/robots/html", Status(200), |_| Answer::html(PAGE)),
    case("/robots/huge", Status(200), |_| {
        Answer::text("Disallow: /x\n".repeat(80_000))
    }),
    // Sitemaps, to be asked for as such.
    case("/sitemap/pages.xml", Status(200), |_| {
        Answer::typed(
            "application/xml",
            "<urlset><url><loc>/ok</loc><lastmod>2026-01-02</lastmod></url></urlset>",
        )
    }),
    case("/sitemap/index.xml", Status(200), |_| {
        Answer::typed(
            "application/xml",
            "<sitemapindex><sitemap><loc>/sitemap/pages.xml</loc></sitemap></sitemapindex>",
        )
    }),
    case("/sitemap/pages.xml.gz", Status(200), |_| {
        Answer::typed(
            "application/gzip",
            gzip(b"<urlset><url><loc>/ok</loc></url></urlset>"),
        )
    }),
    case("/sitemap/lines.txt", Status(200), |_| {
        Answer::text("http://127.0.0.1:1/a\n\nnonsense\nhttp://127.0.0.1:1/b\n")
    }),
    case("/sitemap/broken.xml", Status(200), |_| {
        Answer::typed(
            "text/xml",
            "<urlset><url><loc>/ok</loc></url><url><loc>/half",
        )
    }),
    case("/sitemap/bomb.xml.gz", Status(200), |_| {
        Answer::typed("application/gzip", bomb(100 << 20))
    }),
];

const PAGE: &str =
    "<!doctype html><title>A page</title><p>Some words. <a href=\"/ok\">ok</a></p>\n";

fn raw(text: &str) -> Answer {
    // Characters up to U+00FF stand for bytes, so that any byte can be written.
    Answer::raw(latin1_bytes(text))
}

fn latin1_bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| c as u8).collect()
}

fn to(location: &str, status: u16) -> Answer {
    Answer::redirect(location).with_status(status)
}

fn wait(status: u16, retry_after: &str) -> Answer {
    Answer::html("wait")
        .with_status(status)
        .header("Retry-After", retry_after)
}

fn text(content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
    Answer::typed(content_type, body)
}

fn coded(coding: &str, body: impl Into<Vec<u8>>) -> Answer {
    Answer::html(body).header("Content-Encoding", coding)
}

/// A frame of zstd whose one block is the content as it is.
fn zstd(content: &[u8]) -> Vec<u8> {
    let size = content.len() as u32;
    let block = (size << 3 | 1).to_le_bytes();
    let head = [0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    [&head[..], &size.to_le_bytes(), &block[..3], content].concat()
}

/// A frame of zstd with blocks of zeros, four bytes for 128 KiB.
fn zstd_bomb(bytes: usize) -> Vec<u8> {
    let head = [0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3];
    let block = ((128 << 10) << 3 | 2_u32).to_le_bytes();
    [&head[..], &block.repeat(bytes / (128 << 10)), &[1, 0, 0]].concat()
}

fn chunked(body: &str) -> Answer {
    raw(&format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/html\r\n\r\n{body}"
    ))
}

/// Sends the same without end, as fast as it goes.
fn flood(start: &'static str, again: &'static str) -> Answer {
    Answer::by_hand(move |mut stream: &TcpStream| {
        stream.write_all(start.as_bytes())?;
        let block = again.repeat(4000);
        loop {
            stream.write_all(block.as_bytes())?;
        }
    })
}

/// Sends a little again and again, for longer than anyone waits.
fn drip(start: &'static str, again: &'static str) -> Answer {
    Answer::by_hand(move |mut stream: &TcpStream| -> io::Result<()> {
        stream.write_all(start.as_bytes())?;
        for _ in 0..200 {
            thread::sleep(Duration::from_millis(100));
            stream.write_all(again.as_bytes())?;
            // An empty write tells nothing, so the other side's end is looked for.
            if again.is_empty() && gone(stream) {
                break;
            }
        }
        Ok(())
    })
}

fn gone(stream: &TcpStream) -> bool {
    let _ = stream.set_nonblocking(true);
    let end = matches!(stream.peek(&mut [0]), Ok(0));
    let _ = stream.set_nonblocking(false);
    end
}

fn cookie_wall(asked: &Asked) -> Answer {
    match asked.header("cookie") {
        Some(cookie) if cookie.contains("wall=1") => Answer::html(PAGE),
        _ => to(&asked.path, 302).header("Set-Cookie", "wall=1; Path=/"),
    }
}

fn evil_cookies(_: &Asked) -> Answer {
    let mut answer = Answer::html(PAGE)
        .header("Set-Cookie", "super=1; Domain=com")
        .header("Set-Cookie", "other=1; Domain=example.org")
        .header("Set-Cookie", "nothing")
        .header("Set-Cookie", "=; ;;=")
        .header("Set-Cookie", &format!("long={}", "x".repeat(20_000)))
        .header(
            "Set-Cookie",
            "date=1; Expires=Wed, 99 Foo 9999 99:99:99 GMT",
        );
    for n in 0..50 {
        answer = answer.header("Set-Cookie", &format!("many{n}={n}"));
    }
    answer
}

fn conditional(asked: &Asked) -> Answer {
    let same = asked.header("if-none-match") == Some("\"v1\"")
        || asked.header("if-modified-since") == Some("Thu, 01 Jan 2026 00:00:00 GMT");
    let answer = if same {
        Answer::status(304)
    } else {
        Answer::html(PAGE)
    };
    answer
        .header("ETag", "\"v1\"")
        .header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
}

fn strange_links(_: &Asked) -> Answer {
    Answer::html(
        "<a href='javascript:void(0)'><a href='mailto:a@b'><a href='tel:1'><a href='http://['>\
         <a href='data:text/html,x'><a href='http://user:pw@127.0.0.1:1/'><a href='//'>\
         <a href='ftp://127.0.0.1/'><a href='http:ok'><a href='/\u{202e}x'><a href='?\u{0}'>\
         <a href='http://127.1/'><a href='\n/o\tk#x'><a href='http://10.0.0.1/'>",
    )
}

/// A trap's next page, or 404.
fn trap(asked: &Asked) -> Answer {
    let path = asked.path.as_str();
    let page =
        |link: String| Answer::html(format!("<title>{path}</title><a href=\"{link}\">on</a>"));
    if let Some(day) = path.strip_prefix("/trap/calendar?day=") {
        let day: u64 = day.parse().unwrap_or(0);
        page(format!("/trap/calendar?day={}", day + 1))
    } else if path.starts_with("/trap/deep/") {
        page(format!("{path}a/"))
    } else if let Some(id) = path.strip_prefix("/trap/session/") {
        let id: u64 = id.parse().unwrap_or(0);
        page(format!(
            "/trap/session/{}",
            id.wrapping_mul(6364136223846793005) + 1
        ))
    } else if let Some(n) = path.strip_prefix("/redirect/chain?n=") {
        match n.parse::<u32>() {
            Ok(n) if n < 15 => to(&format!("/redirect/chain?n={}", n + 1), 302),
            _ => Answer::html(PAGE),
        }
    } else if path.starts_with("/redirect/grows/") {
        to(&format!("{path}/x"), 302)
    } else {
        Answer::status(404)
    }
}

fn titled(title: &str) -> Vec<u8> {
    page_with(title.as_bytes())
}

fn page_with(title: &[u8]) -> Vec<u8> {
    [b"<title>", title, b"</title><a href=/ok>ok</a>"].concat()
}

fn latin1(title: &str) -> Vec<u8> {
    page_with(&latin1_bytes(title))
}

fn utf16(title: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let page = String::from_utf8(titled(title)).unwrap();
    let marked = format!("\u{feff}{page}");
    marked.encode_utf16().flat_map(bytes).collect()
}

/// A gzip file of stored blocks.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut file = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    let mut blocks = bytes.chunks(0xffff).peekable();
    if bytes.is_empty() {
        file.extend([1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        file.push(u8::from(blocks.peek().is_none()));
        file.extend(length.to_le_bytes());
        file.extend((!length).to_le_bytes());
        file.extend(block);
    }
    file.extend(crc32(bytes).to_le_bytes());
    file.extend((bytes.len() as u32).to_le_bytes());
    file
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(!0, |crc: u32, byte| {
        (0..8).fold(crc ^ u32::from(*byte), step)
    })
}

/// A gzip file with another checksum than it should have.
fn broken(mut file: Vec<u8>) -> Vec<u8> {
    let at = file.len() - 6;
    file[at] ^= 0xff;
    file
}

/// A gzip file that unpacks to so many zeros, 158 times as long as it is: a
/// literal and then nothing but "258 times the byte before".
fn bomb(length: usize) -> Vec<u8> {
    let mut file = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    let (mut bits, mut count) = (0_u64, 0);
    let mut put = |value: u64, width: u32| {
        bits |= value << count;
        count += width;
        while count >= 8 {
            file.push(bits as u8);
            bits >>= 8;
            count -= 8;
        }
    };
    put(0b011, 3);
    put(0b0000_1100, 8);
    for _ in 0..length / 258 {
        put(0b1010_0011, 8);
        put(0, 5);
    }
    put(0, 7);
    put(0, 7);
    file
}

/// This time, so many seconds on, as HTTP writes it.
pub fn http_date(in_seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seconds = now.as_secs() + in_seconds;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][(days % 7) as usize];
    // Days since 1 March 0000 make leap years easy (Howard Hinnant's algorithm).
    let since = days + 719_468;
    let (era, day_of_era) = (since / 146_097, since % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = (shifted + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    let name = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ][month as usize];
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{weekday}, {day:02} {name} {year} {hour:02}:{minute:02}:{second:02} GMT")
}
