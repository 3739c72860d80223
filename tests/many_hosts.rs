//! Hundreds of hosts in turn: each keeps its connection until its turn comes again, and where it
//! does not, its TLS session.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{HandshakeKind, ServerConfig, ServerConnection, StreamOwned};
use support::{Answer, Folder, Site, Tool};

const HOSTS: usize = 300;
const TURNS: usize = 3;

/// Requests that ask all hosts in turn. All of 127.0.0.0/8 is this machine.
fn requests(scheme: &str, port: u16) -> String {
    let hosts = (0..HOSTS * TURNS).map(|n| n % HOSTS);
    hosts
        .map(|n| format!("{scheme}://127.1.{}.{}:{port}/\n", n / 250 + 1, n % 250 + 1))
        .collect()
}

fn fetch() -> Tool {
    Tool::new("crawl-fetch").args(["-c", "4", "--per-host", "1", "--insecure", "-q"])
}

#[track_caller]
fn fetch_all(tool: Tool, scheme: &str, port: u16) {
    let done = tool.stdin(requests(scheme, port)).run().code(0);
    let good = done.lines().into_iter();
    let good = good.filter(|line| line.contains(r#""status":200"#)).count();
    assert_eq!(good, HOSTS * TURNS, "{done}");
    let words = done.words();
    let words = words.lines().filter(|line| !line.contains("--insecure"));
    assert_eq!(words.count(), 0, "{done}");
}

fn site() -> Site {
    let site = Site::at("0.0.0.0");
    site.otherwise(|_| Answer::html("<p>Here."));
    site
}

fn connections(site: &Site) -> usize {
    let log = site.log();
    let connections: HashSet<u64> = log.iter().map(|asked| asked.connection).collect();
    connections.len()
}

#[test]
fn each_host_keeps_its_connection_until_its_turn_comes_again() {
    let site = site();
    fetch_all(fetch(), "http", site.port());
    assert_eq!(connections(&site), HOSTS);
}

#[test]
fn with_few_descriptors_some_connections_are_closed_and_no_request_waits_for_one() {
    let site = site();
    let limited = r#"ulimit -n 200 && exec "$0" "$@""#;
    let tool = Tool::program("sh").args(["-c", limited, "crawl-fetch"]);
    let tool = tool.args(["-c", "4", "--per-host", "1"]);
    fetch_all(tool, "http", site.port());
    assert!((HOSTS..HOSTS * TURNS).contains(&connections(&site)));
}

/// A server that speaks TLS on all addresses and counts connections.
#[derive(Default)]
struct Secure {
    connections: AtomicUsize,
    resumed: AtomicUsize,
}

impl Secure {
    /// Nothing where there is no openssl to make the certificate.
    fn start(keeps: bool) -> Option<(Arc<Secure>, u16)> {
        if !support::has("openssl") {
            return None;
        }
        let folder = Folder::new();
        let make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
            -keyout key.pem -out cert.der -outform DER -days 9 -subj /CN=test && \
            openssl pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der";
        let make = Tool::program("sh").args(["-c", make]).dir(&folder);
        make.run().code(0);
        let certificate = CertificateDer::from(fs::read(folder.join("cert.der")).unwrap());
        let key = PrivateKeyDer::try_from(fs::read(folder.join("key.der")).unwrap()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .unwrap()
            .with_no_client_auth();
        let mut config = config.with_single_cert(vec![certificate], key).unwrap();
        config.ticketer = ring::Ticketer::new().unwrap();
        let config = Arc::new(config);
        let secure = Arc::new(Secure::default());
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::clone(&secure);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (config, shared) = (Arc::clone(&config), Arc::clone(&shared));
                let serve = thread::Builder::new().stack_size(512 << 10);
                let serve = serve.spawn(move || shared.serve(stream.unwrap(), config, keeps));
                serve.unwrap();
            }
        });
        Some((secure, port))
    }

    fn serve(&self, stream: TcpStream, config: Arc<ServerConfig>, keeps: bool) {
        self.connections.fetch_add(1, Ordering::SeqCst);
        let connection = ServerConnection::new(config).unwrap();
        let mut stream = BufReader::new(StreamOwned::new(connection, stream));
        let mut line = String::new();
        let mut is_known = false;
        while stream.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            if std::mem::take(&mut line).trim().is_empty() {
                let kind = stream.get_ref().conn.handshake_kind();
                if !std::mem::replace(&mut is_known, true) && kind == Some(HandshakeKind::Resumed) {
                    self.resumed.fetch_add(1, Ordering::SeqCst);
                }
                let how = if keeps { "keep-alive" } else { "close" };
                let answer =
                    format!("HTTP/1.1 200 OK\r\nConnection: {how}\r\nContent-Length: 2\r\n\r\nok");
                if stream.get_mut().write_all(answer.as_bytes()).is_err() || !keeps {
                    let stream = stream.get_mut();
                    stream.conn.send_close_notify();
                    // The client has all it wants, and may be gone.
                    let _ = stream.flush();
                    return;
                }
            }
        }
    }
}

#[test]
fn each_host_keeps_its_connection_over_tls_too() {
    let Some((secure, port)) = Secure::start(true) else {
        return;
    };
    fetch_all(fetch(), "https", port);
    assert_eq!(secure.connections.load(Ordering::SeqCst), HOSTS);
}

#[test]
fn a_host_that_closes_its_connections_resumes_its_tls_session() {
    let Some((secure, port)) = Secure::start(false) else {
        return;
    };
    fetch_all(fetch(), "https", port);
    assert_eq!(secure.connections.load(Ordering::SeqCst), HOSTS * TURNS);
    assert_eq!(secure.resumed.load(Ordering::SeqCst), HOSTS * (TURNS - 1));
}
