//! A forward proxy on loopback: CONNECT and SOCKS5, with or without a password for
//! CONNECT, and a log of what it was asked for.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A running proxy.
pub struct Forward {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The value of Proxy-Authorization that is asked for.
    password: Option<String>,
    /// Where all tunnels lead, wherever they were meant to lead.
    leads_to: Option<String>,
    log: Mutex<Vec<String>>,
    /// Bytes of CONNECT and of its tunnels, in both directions.
    bytes: AtomicU64,
}

impl Forward {
    /// A proxy for everyone.
    pub fn new() -> Forward {
        Forward::with(Shared::default())
    }

    /// A proxy that wants this Basic password, in base64.
    pub fn with_password(base64: &str) -> Forward {
        Forward::with(Shared {
            password: Some(format!("Basic {base64}")),
            ..Shared::default()
        })
    }

    /// A proxy whose tunnels all lead to this host and port, so that names which
    /// do not exist can be fetched.
    pub fn leading_to(host: &str) -> Forward {
        Forward::with(Shared {
            leads_to: Some(host.to_owned()),
            ..Shared::default()
        })
    }

    /// The same for those who know this Basic password, in base64.
    pub fn leading_with_password(host: &str, base64: &str) -> Forward {
        Forward::with(Shared {
            password: Some(format!("Basic {base64}")),
            leads_to: Some(host.to_owned()),
            ..Shared::default()
        })
    }

    fn with(shared: Shared) -> Forward {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Forward {
            address: listener.local_addr().unwrap(),
            shared: Arc::new(shared),
        };
        let shared = Arc::clone(&proxy.shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.serve(stream));
            }
        });
        proxy
    }

    /// Its URL, with the user and password that are given.
    pub fn url(&self, credentials: &str) -> String {
        format!("http://{credentials}{}", self.address)
    }

    /// Its address as the URL of a SOCKS5 proxy that resolves names itself.
    pub fn socks_url(&self) -> String {
        format!("socks5h://{}", self.address)
    }

    /// The `host:port` of every tunnel that was asked for, with the answer's status.
    pub fn log(&self) -> Vec<String> {
        self.shared.log.lock().unwrap().clone()
    }

    /// The bytes that CONNECT and its tunnels took, in both directions.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::SeqCst)
    }
}

impl Default for Forward {
    fn default() -> Forward {
        Forward::new()
    }
}

impl Shared {
    fn serve(self: &Arc<Shared>, mut stream: TcpStream) -> io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        if reader.fill_buf()?.first() == Some(&5) {
            return self.serve_socks(stream, reader);
        }
        let mut request = String::new();
        let mut head = reader.read_line(&mut request)?;
        let mut password = None;
        loop {
            let mut line = String::new();
            head += reader.read_line(&mut line)?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("proxy-authorization") => {
                    password = Some(value.to_owned());
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut words = request.split(' ');
        let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let status = match method {
            "CONNECT" if self.password.is_none() || self.password == password => 200,
            "CONNECT" => 407,
            _ => 405,
        };
        let leads_to = self.leads_to.as_deref().unwrap_or(target);
        let server = match status {
            200 => TcpStream::connect(leads_to).ok(),
            _ => None,
        };
        let status = if status == 200 && server.is_none() {
            502
        } else {
            status
        };
        self.log.lock().unwrap().push(format!("{target} {status}"));
        let answer = format!("HTTP/1.1 {status} Status\r\n\r\n");
        self.count(head + answer.len());
        stream.write_all(answer.as_bytes())?;
        match server {
            Some(server) => self.tunnel(stream, reader, server),
            None => Ok(()),
        }
    }

    /// SOCKS5 without a password (RFC 1928).
    fn serve_socks(
        self: &Arc<Shared>,
        mut stream: TcpStream,
        mut reader: BufReader<TcpStream>,
    ) -> io::Result<()> {
        let mut take = |count: usize| -> io::Result<Vec<u8>> {
            let mut bytes = vec![0; count];
            reader.read_exact(&mut bytes)?;
            Ok(bytes)
        };
        let methods = take(2)?[1];
        take(methods.into())?;
        stream.write_all(&[5, 0])?;
        let kind = take(4)?[3];
        let host = match kind {
            1 => take(4)?
                .iter()
                .map(u8::to_string)
                .collect::<Vec<_>>()
                .join("."),
            _ => {
                let length = take(1)?[0];
                String::from_utf8(take(length.into())?).unwrap()
            }
        };
        let port = take(2)?;
        let port = u16::from_be_bytes([port[0], port[1]]);
        let target = format!("{host}:{port}");
        let server = TcpStream::connect(self.leads_to.as_deref().unwrap_or(&target));
        let reply = u8::from(server.is_err());
        self.log
            .lock()
            .unwrap()
            .push(format!("{target} socks {reply}"));
        stream.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0])?;
        self.tunnel(stream, reader, server?)
    }

    /// Passes bytes on in both ways until one side ends.
    fn tunnel(
        self: &Arc<Shared>,
        stream: TcpStream,
        reader: BufReader<TcpStream>,
        mut server: TcpStream,
    ) -> io::Result<()> {
        let (mut from, mut into) = (self.counted(server.try_clone()?), stream.try_clone()?);
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut into);
            let _ = into.shutdown(Shutdown::Both);
        });
        let _ = io::copy(&mut self.counted(reader), &mut server);
        server.shutdown(Shutdown::Both)
    }

    fn count(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::SeqCst);
    }

    fn counted<R>(self: &Arc<Shared>, from: R) -> Counted<R> {
        let shared = Arc::clone(self);
        Counted { from, shared }
    }
}

/// Counts what is read through it, before it is passed on.
struct Counted<R> {
    from: R,
    shared: Arc<Shared>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.from.read(buffer)?;
        self.shared.count(bytes);
        Ok(bytes)
    }
}
