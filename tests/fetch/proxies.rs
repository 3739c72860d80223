//! Proxies, by name and from the environment.

use std::io::Write;
use std::net::TcpStream;
use std::thread;

use crate::support::Forward;

use super::*;

#[test]
fn proxies_are_asked_to_connect_and_a_wrong_name_goes_nowhere() {
    let site = Site::new();
    site.page("/", "x");
    let proxy = Forward::leading_to(&site.host());
    let locked = Forward::with_password("dXNlcjpwYTpzcw==");
    let tool = || {
        fetch()
            .env("DATACENTER_PROXY_URL", proxy.url(""))
            .env("LOCKED_PROXY_URL", locked.url("user:pa%3Ass@"))
            .env("WRONG_PROXY_URL", locked.url("user:secret@"))
    };
    let through = |name: &str, url: &str| result(tool(), &json!({"url": url, "proxy": name}));
    let far = through("datacenter", "http://far.invalid/");
    assert_eq!(
        (far["status"].as_u64(), far["proxy"].as_str()),
        (Some(200), Some("datacenter"))
    );
    assert_eq!(proxy.log(), ["far.invalid:80 200"]);
    assert_eq!(through("locked", &site.url("/"))["status"], 200);
    let wrong = through("wrong", &site.url("/"));
    assert_eq!(kind(&wrong), "proxy");
    assert!(!wrong.to_string().contains("secret"));
    let words = "the proxy wants a user name and a password, or others (407)";
    assert_eq!(wrong["error"]["message"], words);
    let asked = site.log().len();
    for name in ["residential", "", "Direct"] {
        assert_eq!(kind(&through(name, &site.url("/"))), "proxy", "{name}");
    }
    assert_eq!(site.log().len(), asked, "nothing went direct");
    assert_eq!(through("direct", &site.url("/"))["proxy"], "direct");
}

#[test]
fn a_proxy_with_a_port_that_is_none_is_refused() {
    // Without the check it was asked at port 80.
    for url in ["http://h:port", "h:port", "http://user:pa#ss@h:81"] {
        let done = fetch().args(["--proxy", url]).run().code(2);
        done.says("no http, https or socks5 URL")
            .never_says("pa#ss");
    }
}

#[test]
fn a_socks5h_proxy_resolves_the_names() {
    let site = Site::new();
    site.page("/", "x");
    let proxy = Forward::leading_to(&site.host());
    let tool = || fetch().args(["--proxy", &proxy.socks_url()]);
    let far = result(tool(), &json!({"url": "http://far.invalid:81/"}));
    assert_eq!(far["status"], 200, "{far}");
    assert_eq!(proxy.log(), ["far.invalid:81 socks 0"]);
    let here = fetch().args(["--proxy", &proxy.socks_url().replace("socks5h", "socks5")]);
    assert_eq!(
        kind(&result(here, &json!({"url": "http://far.invalid:81/"}))),
        "dns"
    );
    let dead = fetch().args(["--proxy", "socks5://127.0.0.1:1"]);
    assert_eq!(kind(&result(dead, &json!({"url": site.url("/")}))), "proxy");
}

#[test]
fn a_proxy_that_answers_without_end_is_left_in_time() {
    let proxy = Site::new();
    proxy.on("far.invalid:80", |_| {
        Answer::by_hand(|mut stream: &TcpStream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nX: ")?;
            loop {
                thread::sleep(Duration::from_millis(20));
                stream.write_all(b"x")?;
            }
        })
    });
    let tool = fetch().args(["--proxy", &proxy.url(""), "--connect-timeout", "1s"]);
    let late = result(tool, &json!({"url": "http://far.invalid/"}));
    assert_eq!(kind(&late), "timeout", "{late}");
}

#[test]
fn the_environment_names_a_proxy_as_for_curl() {
    let site = Site::new();
    site.page("/", "x");
    let proxy = Forward::leading_to(&site.host());
    let one = |tool: Tool, url: &str| result(tool, &json!({"url": url}));
    let far = "http://far.invalid/";
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY"] {
        assert_eq!(
            one(fetch().env(name, proxy.url("u:p@")), far)["status"],
            200,
            "{name}"
        );
    }
    let shown = one(fetch().args(["--proxy", &proxy.url("u:p@")]), far);
    assert!(!shown["proxy"].as_str().unwrap().contains("u:p"), "{shown}");
    let except = fetch()
        .env("HTTP_PROXY", proxy.url(""))
        .env("NO_PROXY", "invalid");
    assert_eq!(kind(&one(except, far)), "dns");
    let named = fetch().env("HTTP_PROXY", proxy.url(""));
    let direct = json!({"url": site.url("/"), "proxy": "direct"});
    assert_eq!(result(named, &direct)["proxy"], "direct");
    fetch().args(["--proxy", "gopher://x"]).run().code(2);
}
