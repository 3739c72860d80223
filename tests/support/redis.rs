//! A Redis of a test's own.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{DEADLINE, Folder, has};

/// A server that keeps what it is told, in a folder of its own. Ended when dropped.
pub struct Redis {
    child: Child,
    port: u16,
    folder: Folder,
    options: Vec<String>,
}

fn spawn(port: u16, folder: &Folder, options: &[String]) -> Child {
    let child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--dir"])
        .arg(&**folder)
        .args(options)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < DEADLINE, "redis-server does not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    child
}

impl Redis {
    /// Starts one; `None`, and a word of it, when it is not installed.
    pub fn start(options: &[&str]) -> Option<Redis> {
        if !has("redis-server") {
            return None;
        }
        let folder = Folder::new();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let port = port.unwrap().port();
        let options: Vec<String> = options.iter().map(|word| (*word).to_owned()).collect();
        Some(Redis {
            child: spawn(port, &folder, &options),
            port,
            folder,
            options,
        })
    }

    /// Kills it, and starts it again after what `meanwhile` does.
    pub fn kill_and_start_again(&mut self, meanwhile: impl FnOnce()) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        meanwhile();
        self.child = spawn(self.port, &self.folder, &self.options);
    }

    /// One that syncs each write.
    pub fn durable() -> Option<Redis> {
        Redis::start(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// What `redis-cli` says to a command.
    pub fn ask(&self, words: &[&str]) -> String {
        let port = self.port.to_string();
        let mut asking = Command::new("redis-cli");
        let output = asking.args(["-p", &port]).args(words).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
