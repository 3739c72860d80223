//! Certificates: which are taken, and what is said of the others, by crawl-fetch alone and in a
//! crawl. openssl makes them and serves them.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};
use support::{Folder, Forward, Running, Tool};

/// As everybody makes one for a server of their own: it is its own issuer.
const OWN: &str = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 9 \
    -subj /CN=test -addext subjectAltName=IP:127.0.0.1";

/// One that an authority of ours issued, for NAME, from START to END.
const ISSUED: &str = r#"set -e
new="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
openssl req -x509 $new -keyout ca.key -out ca.pem -days 9 -subj /CN=authority
openssl req $new -keyout key.pem -out asked.csr -subj /CN=test
printf 'subjectAltName=NAME\nbasicConstraints=CA:FALSE\n' >ext
printf '%s\n' '[ca]' default_ca=x '[x]' database=index serial=serial new_certs_dir=. \
    default_md=sha256 policy=p '[p]' commonName=supplied >config
: >index
echo 01 >serial
openssl ca -batch -config config -cert ca.pem -keyfile ca.key -in asked.csr -out cert.pem \
    -extfile ext -notext -startdate START -enddate END"#;

/// A server with the certificate in `cert.pem`.
struct Secure {
    url: String,
    folder: Folder,
    _server: Running,
}

impl Secure {
    /// Nothing where there is no openssl.
    fn start(make: &str) -> Option<Secure> {
        support::has("openssl").then(|| {
            let folder = Folder::new();
            Tool::program("sh")
                .args(["-c", make])
                .dir(&folder)
                .run()
                .code(0);
            let port = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            let serve = format!(
                "exec openssl s_server -accept 127.0.0.1:{port} -cert cert.pem -key key.pem -www"
            );
            let server = Tool::program("sh")
                .args(["-c", &serve])
                .dir(&folder)
                .start();
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                assert!(server.status().is_none(), "{}", server.so_far());
                thread::yield_now();
            }
            let url = format!("https://127.0.0.1:{port}/");
            Secure {
                url,
                folder,
                _server: server,
            }
        })
    }

    fn issued(name: &str, start: &str, end: &str) -> Option<Secure> {
        let make = ISSUED
            .replace("NAME", name)
            .replace("START", start)
            .replace("END", end);
        Secure::start(&make)
    }
}

fn fetch() -> Tool {
    Tool::new("crawl-fetch")
}

#[track_caller]
fn result(tool: Tool, url: &str) -> Value {
    let done = tool.stdin(url).run();
    serde_json::from_str(&done.text()).unwrap()
}

/// What is said of a certificate, by crawl-fetch alone; a crawl says the same.
#[track_caller]
fn said(url: &str, authority: Option<&Secure>) -> String {
    let named = |tool: Tool| match authority {
        Some(server) => tool.arg("--ca-cert").arg(server.folder.join("ca.pem")),
        None => tool,
    };
    let alone = result(named(fetch()), url);
    assert_eq!(alone["error"]["kind"], "tls", "{alone}");
    let said = alone["error"]["message"].as_str().unwrap().to_owned();
    let folder = Folder::new();
    let settings = json!({"RETRY_TIMES": 0, "ROBOTSTXT_OBEY": false});
    let spider = json!({"name": "s", "start_urls": [url], "settings": settings});
    folder.write("s.json", spider.to_string());
    let tool = Tool::new("crawl-run").arg("s.json").dir(&folder);
    named(tool).run().code(1).says(&said);
    said
}

#[test]
fn what_is_wrong_with_a_certificate_is_told_in_words() {
    let here = "IP:127.0.0.1";
    let (past, now, future) = ("20200101000000Z", "20200201000000Z", "20491231000000Z");
    for (name, start, end, words) in [
        (
            here,
            past,
            now,
            "the certificate has expired, on 2020-02-01",
        ),
        (
            here,
            "20400101000000Z",
            future,
            "the certificate is not valid yet, but from 2040-01-01 on",
        ),
        (
            "DNS:a.example,DNS:b.example",
            past,
            future,
            "the certificate is for the host a.example, b.example, not for 127.0.0.1",
        ),
    ] {
        let Some(server) = Secure::issued(name, start, end) else {
            return;
        };
        let said = said(&server.url, Some(&server));
        assert!(said.contains(words), "{said}");
    }
    let Some(server) = Secure::issued(here, past, future) else {
        return;
    };
    let unknown = said(&server.url, None);
    assert!(
        unknown.contains("issued by no authority that is trusted here"),
        "{unknown}"
    );
    let authority = server.folder.join("ca.pem");
    let good = result(fetch().arg("--ca-cert").arg(authority), &server.url);
    assert_eq!(good["status"], 200, "{good}");
}

#[test]
fn a_port_without_tls_is_told_from_one_with_it() {
    for (answer, words) in [
        (
            "HTTP/1.1 400 Bad Request\r\n\r\n",
            "does not speak TLS on this port",
        ),
        ("", "ended the connection before TLS began"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                // The greeting is read first: what is left unread resets the connection.
                let mut hello = [0; 16 << 10];
                assert!(stream.read(&mut hello).unwrap() > 0);
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        let said = said(&format!("https://127.0.0.1:{port}/"), None);
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_crawl_takes_the_certificate_that_openssl_makes_where_it_is_named() {
    let Some(server) = Secure::start(OWN) else {
        return;
    };
    let folder = Folder::new();
    let crawl = || Tool::new("crawl-run").arg(&server.url).dir(&folder);
    let done = crawl()
        .arg("--ca-cert")
        .arg(server.folder.join("cert.pem"))
        .run();
    done.code(0).says("status     2xx 1");
    let missing = crawl().args(["--ca-cert", "/no/such/file"]).run();
    missing.code(2).says("/no/such/file");
}

#[test]
fn certificates_are_checked_unless_told_otherwise() {
    let Some(server) = Secure::start(OWN) else {
        return;
    };
    let refused = result(fetch(), &server.url);
    assert_eq!(refused["error"]["kind"], "tls", "{refused}");
    let said = refused["error"]["message"].as_str().unwrap();
    assert!(said.starts_with("the certificate "), "{said}");
    let cert = server.folder.join("cert.pem");
    assert_eq!(
        result(fetch().arg("--ca-cert").arg(&cert), &server.url)["status"],
        200
    );
    assert_eq!(
        result(fetch().env("SSL_CERT_FILE", &cert), &server.url)["status"],
        200
    );
    let open = fetch().arg("--insecure").stdin(&server.url).run().code(0);
    open.says("WARNING").prints("\"status\":200");
    fetch()
        .args(["--ca-cert", "/no/such/file"])
        .run()
        .code(2)
        .says("/no/such/file");
    let proxy = Forward::new();
    let tool = fetch()
        .arg("--ca-cert")
        .arg(&cert)
        .args(["--proxy", &proxy.url("")]);
    assert_eq!(result(tool, &server.url)["status"], 200);
    assert_eq!(proxy.log().len(), 1);
}
