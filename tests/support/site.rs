//! A web site on loopback that does as the test says and notes what was asked.

use std::collections::HashMap;
use std::io::BufReader;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::thread;
use std::time::Duration;

use super::http::{Answer, Asked};
use super::{DEADLINE, Random, Tree};

type Handler = Arc<dyn Fn(&Asked) -> Answer + Send + Sync>;

/// A running site. Paths are matched as sent, query included; what no handler
/// was set for is 404, `/robots.txt` too. Dropped, it stops.
pub struct Site {
    address: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<Arc<AtomicBool>>>,
}

#[derive(Default)]
struct Shared {
    handlers: RwLock<HashMap<String, Handler>>,
    otherwise: RwLock<Option<Handler>>,
    latency: RwLock<Duration>,
    log: Mutex<Vec<Asked>>,
    arrived: Condvar,
    connections: AtomicU64,
    open: Mutex<HashMap<u64, Arc<TcpStream>>>,
}

impl Site {
    /// An empty site on 127.0.0.1, on a port of its own.
    pub fn new() -> Site {
        Site::at("127.0.0.1")
    }

    /// An empty site on another loopback address, or on all with `0.0.0.0`.
    pub fn at(ip: &str) -> Site {
        // Below the range of outgoing connections, so that nobody takes the port
        // while the site is stopped.
        let mut random = Random(Random::any_seed());
        let listener = (0..1000)
            .find_map(|_| TcpListener::bind((ip, 20_000 + random.below(12_000) as u16)).ok())
            .expect("no free port");
        Site::on_listener(listener)
    }

    /// An empty site on this port.
    pub fn at_port(ip: &str, port: u16) -> Site {
        Site::on_listener(TcpListener::bind((ip, port)).unwrap())
    }

    fn on_listener(listener: TcpListener) -> Site {
        let site = Site {
            address: listener.local_addr().unwrap(),
            shared: Arc::default(),
            listening: Mutex::default(),
        };
        site.listen(listener);
        site
    }

    /// A site of generated pages, all reachable from `/`.
    pub fn tree(pages: usize, links_per_page: usize) -> Site {
        let tree = Tree {
            pages,
            links_per_page,
        };
        let site = Site::new();
        site.otherwise(move |asked| {
            tree.answer(&asked.path)
                .unwrap_or_else(|| Answer::status(404))
        });
        site
    }

    /// A site that serves the files of a folder.
    pub fn folder(root: impl AsRef<Path>) -> Site {
        let site = Site::new();
        site.serve_folder(root);
        site
    }

    /// Serves the files of a folder where no handler is set.
    pub fn serve_folder(&self, root: impl AsRef<Path>) {
        let root = root.as_ref().to_path_buf();
        self.otherwise(move |asked| Answer::file(&root, &asked.path));
    }

    /// The absolute URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.host())
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Serves this page at the path.
    pub fn page(&self, path: &str, html: &str) -> &Site {
        let html = html.to_owned();
        self.on(path, move |_| Answer::html(html.as_str()))
    }

    /// Answers the path by a handler, from now on.
    pub fn on(
        &self,
        path: &str,
        handler: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> &Site {
        let mut handlers = self.shared.handlers.write().unwrap();
        handlers.insert(path.to_owned(), Arc::new(handler));
        drop(handlers);
        self
    }

    /// Answers every path that has no handler of its own.
    pub fn otherwise(&self, handler: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> &Site {
        *self.shared.otherwise.write().unwrap() = Some(Arc::new(handler));
        self
    }

    /// Waits so long before every answer, from now on.
    pub fn latency(&self, latency: Duration) -> &Site {
        *self.shared.latency.write().unwrap() = latency;
        self
    }

    /// All that was asked, in the order in which it arrived.
    pub fn log(&self) -> Vec<Asked> {
        self.shared.log.lock().unwrap().clone()
    }

    /// The paths that were asked for, in that order.
    pub fn paths(&self) -> Vec<String> {
        let log = self.shared.log.lock().unwrap();
        log.iter().map(|asked| asked.path.clone()).collect()
    }

    /// How many requests arrived.
    pub fn count(&self) -> usize {
        self.shared.log.lock().unwrap().len()
    }

    /// How often this path was asked for.
    pub fn hits(&self, path: &str) -> usize {
        let log = self.shared.log.lock().unwrap();
        log.iter().filter(|asked| asked.path == path).count()
    }

    /// How often each path was asked for.
    pub fn tally(&self) -> HashMap<String, usize> {
        let mut tally = HashMap::new();
        for path in self.paths() {
            *tally.entry(path).or_insert(0) += 1;
        }
        tally
    }

    /// Forgets what was asked.
    pub fn clear_log(&self) {
        self.shared.log.lock().unwrap().clear();
    }

    /// Waits until this many requests arrived.
    #[track_caller]
    pub fn wait_for(&self, count: usize) {
        self.wait_until(&format!("{count} requests"), |log| log.len() >= count);
    }

    /// Waits until this path was asked for.
    #[track_caller]
    pub fn wait_for_path(&self, path: &str) {
        self.wait_until(&format!("a request for {path}"), |log| {
            log.iter().any(|asked| asked.path == path)
        });
    }

    /// Waits until the log is as it should be.
    #[track_caller]
    pub fn wait_until(&self, what: &str, met: impl Fn(&[Asked]) -> bool) {
        let log = self.shared.log.lock().unwrap();
        let (log, _) = self
            .shared
            .arrived
            .wait_timeout_while(log, DEADLINE, |log| !met(log))
            .unwrap();
        let (ok, count) = (met(&log), log.len());
        drop(log);
        assert!(ok, "the site waited for {what}; {count} requests arrived");
    }

    /// Goes away: no new connection is taken, and those open are cut.
    pub fn stop(&self) {
        let Some(stopped) = self.listening.lock().unwrap().take() else {
            return;
        };
        stopped.store(true, Ordering::SeqCst);
        // The listening thread wakes on a last connection, sees it, and closes
        // the port; only then is the next connection refused.
        while TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok() {
            thread::yield_now();
        }
        for (_, stream) in self.shared.open.lock().unwrap().drain() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Comes back on the same port.
    pub fn start(&self) {
        self.listen(TcpListener::bind(self.address).unwrap());
    }

    fn listen(&self, listener: TcpListener) {
        let stopped = Arc::new(AtomicBool::new(false));
        *self.listening.lock().unwrap() = Some(Arc::clone(&stopped));
        let shared = Arc::clone(&self.shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    let (shared, stopped) = (Arc::clone(&shared), Arc::clone(&stopped));
                    let serve = thread::Builder::new().stack_size(128 << 10);
                    let _ = serve.spawn(move || shared.serve(stream, &stopped));
                }
            }
        });
    }
}

impl Default for Site {
    fn default() -> Site {
        Site::new()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// One connection, to its end.
    fn serve(&self, stream: TcpStream, stopped: &AtomicBool) {
        let number = self.connections.fetch_add(1, Ordering::SeqCst) + 1;
        let _ = stream.set_nodelay(true);
        let stream = Arc::new(stream);
        let mut open = self.open.lock().unwrap();
        open.insert(number, Arc::clone(&stream));
        drop(open);
        let mut reader = BufReader::new(&*stream);
        // A site that stopped meanwhile did not know of this connection yet.
        while !stopped.load(Ordering::SeqCst)
            && let Ok(Some(asked)) = Asked::read(&mut reader, number)
        {
            let mut log = self.log.lock().unwrap();
            log.push(asked.clone());
            drop(log);
            self.arrived.notify_all();
            let answer = self.answer(&asked);
            let delay = answer.delay + *self.latency.read().unwrap();
            if !delay.is_zero() {
                thread::sleep(delay);
            }
            if !answer.write(&asked, &stream).unwrap_or(false) {
                break;
            }
        }
        self.open.lock().unwrap().remove(&number);
    }

    fn answer(&self, asked: &Asked) -> Answer {
        let handler = self.handlers.read().unwrap().get(&asked.path).cloned();
        let handler = handler.or_else(|| self.otherwise.read().unwrap().clone());
        match handler {
            Some(handler) => handler(asked),
            None => Answer::status(404),
        }
    }
}
