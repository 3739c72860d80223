//! Names, connections and their ends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;

#[test]
fn hosts_and_ports_that_are_not_there_are_told_apart() {
    let lines = [
        "http://no-such-name.invalid/",
        "http://127.0.0.1:1/",
        "https://127.0.0.1:1/",
    ];
    let results = results(fetch(), &lines.map(str::to_owned));
    let kinds = lines.map(|line| kind(&results[line]).to_owned());
    assert_eq!(kinds, ["dns", "connect", "connect"]);
}

/// A server that never reads what it is asked, so that its end is a reset.
fn resetting(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // The request must be there unread when the connection is dropped.
            let _ = stream.peek(&mut [0]);
            let _ = stream.write_all(answer);
        }
    });
    url
}

#[test]
fn a_reset_is_an_error_wherever_it_comes() {
    for (answer, error) in [
        (&b""[..], "connect"),
        (b"HTTP/1.1 200", "protocol"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf",
            "protocol",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<a href=half>",
            "protocol",
        ),
    ] {
        let result = result(fetch(), &json!({"url": resetting(answer)}));
        // The reset may overtake what was sent before it.
        let kind = kind(&result);
        assert!(kind == error || kind == "connect", "{answer:?}: {result}");
    }
}

/// A server that does this with each connection.
fn serving(serve: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    url
}

#[test]
fn a_kept_alive_connection_that_the_server_closed_is_no_error() {
    // Each connection answers once, promises more, and closes at the next request.
    let url = serving(|mut stream| {
        let mut buffer = [0; 4096];
        let _ = stream.read(&mut buffer);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let _ = stream.read(&mut buffer);
    });
    let lines: Vec<String> = (0..40).map(|n| format!("{url}{n}")).collect();
    let results = results(fetch().args(["-c", "4"]), &lines);
    assert!(
        results.values().all(|result| result["status"] == 200),
        "{results:?}"
    );
}

#[test]
fn a_server_that_keeps_connections_and_closes_one_without_an_answer_is_asked_once() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let url = serving(|mut stream| {
        let mut buffer = [0; 4096];
        while let Ok(bytes @ 1..) = stream.read(&mut buffer) {
            if buffer[..bytes].starts_with(b"GET /mute") {
                ASKED.fetch_add(1, Ordering::SeqCst);
                return;
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    // One after the other, so that each goes over the connection of the one before it.
    let lines = ["1", "2", "mute1", "3", "4", "mute2"].map(|path| format!("{url}{path}"));
    let results = results(fetch().args(["--per-host", "1"]), &lines);
    assert_eq!(kind(&results[&lines[2]]), "connect");
    assert_eq!(kind(&results[&lines[5]]), "connect");
    assert_eq!(ASKED.load(Ordering::SeqCst), 2);
}

#[test]
fn an_answer_that_nobody_asked_for_answers_nothing() {
    let url = serving(|mut stream| {
        let mut buffer = [0; 4096];
        while stream.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {
            let asked = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
            let forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
            let _ = stream.write_all(format!("{asked}{forged}").as_bytes());
        }
    });
    let lines: Vec<String> = (0..40).map(|n| format!("{url}{n}")).collect();
    let results = results(fetch().args(["-c", "2"]), &lines);
    assert!(
        results.values().all(|result| result["bytes"] == 2),
        "{results:?}"
    );
}

#[test]
fn a_name_that_leads_to_a_private_address_is_refused() {
    let site = Site::at("0.0.0.0");
    site.page("/", "x");
    let name = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let named = format!("http://{}:{}/", name.trim(), site.port());
    let found = result(fetch(), &json!({"url": named}));
    if kind(&found) == "dns" {
        return support::skipped("the host's own name does not resolve");
    }
    assert_eq!(kind(&found), "refused", "{found}");
    let allowed = result(fetch().arg("--allow-private"), &json!({"url": named}));
    assert_eq!(allowed["status"], 200, "{allowed}");
    let literal = json!({"url": format!("http://localhost:{}/", site.port())});
    assert_eq!(result(fetch(), &literal)["status"], 200);
}

/// An address that takes no connection and refuses none: its queue of them is full.
fn silent() -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // Listening again changes the length of the queue.
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let wait = Duration::from_millis(300);
    let taken = std::iter::from_fn(|| TcpStream::connect_timeout(&address, wait).ok());
    let taken = taken.collect();
    (listener, taken)
}

#[test]
fn hosts_that_take_no_connection_leave_their_places_to_live_ones() {
    let site = Site::new();
    site.page("/", "<title>live</title>");
    let dead: Vec<_> = (0..6).map(|_| silent()).collect();
    let mut running = fetch()
        .args(["-c", "2", "--connect-timeout", "1h", "--timeout", "1h"])
        .start();
    for (listener, _) in &dead {
        running.send(&format!("http://{}/", listener.local_addr().unwrap()));
    }
    running.send(&site.url("/"));
    assert!(running.wait_lines(1)[0].contains("live"));
    running.signal(Signal::Kill);
}
