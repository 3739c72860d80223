//! A Redis of a test's own.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{DEADLINE, Folder, has, skipped};

/// A server that keeps what it is told, in a folder of its own. Ended when dropped.
pub struct Redis {
    child: Child,
    port: u16,
    folder: Folder,
    options: Vec<String>,
    is_secure: bool,
}

/// A certificate for localhost that an authority of its own issued.
const CERTIFICATE: &str = r#"set -e
new="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
openssl req -x509 $new -keyout ca.key -out ca.pem -days 9 -subj /CN=authority
openssl req $new -keyout key.pem -out asked.csr -subj /CN=test
printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n' >ext
openssl x509 -req -in asked.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -extfile ext -out cert.pem"#;

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

/// True where a Redis can speak TLS; else says what is missing.
pub(super) fn can_speak_tls() -> bool {
    if !has("redis-server") || !has("openssl") {
        return false;
    }
    // It names the first option that it does not know.
    let known = ["--tls-port", "0", "--no-such-option", "0"];
    let told = Command::new("redis-server").args(known).output().unwrap();
    let told = String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned();
    let can = told.contains("no-such-option");
    if !can {
        skipped("redis-server was built without TLS");
    }
    can
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Redis {
    /// Starts one; `None`, and a word of it, when it is not installed.
    pub fn start(options: &[&str]) -> Option<Redis> {
        if !has("redis-server") {
            return None;
        }
        let options = options.iter().map(|word| (*word).to_owned()).collect();
        Some(Redis::at(free_port(), Folder::new(), options, false))
    }

    fn at(port: u16, folder: Folder, options: Vec<String>, is_secure: bool) -> Redis {
        Redis {
            child: spawn(port, &folder, &options),
            port,
            folder,
            options,
            is_secure,
        }
    }

    /// One that speaks TLS alone, under a certificate for localhost; `None`, and a word of it, where that cannot be.
    pub fn secure() -> Option<Redis> {
        if !can_speak_tls() {
            return None;
        }
        let (port, folder) = (free_port(), Folder::new());
        let made = Command::new("sh")
            .args(["-c", CERTIFICATE])
            .current_dir(&*folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let file = |name: &str| folder.join(name).display().to_string();
        let options = format!(
            "--port 0 --tls-port {port} --tls-auth-clients no --appendonly yes --appendfsync always"
        );
        let options = options.split(' ').map(str::to_owned);
        let files = ["cert", "key", "ca-cert"].map(|what| format!("--tls-{what}-file"));
        let names = ["cert.pem", "key.pem", "ca.pem"].map(file);
        let files = files
            .into_iter()
            .zip(names)
            .flat_map(|(name, file)| [name, file]);
        let options = options.chain(files).collect();
        Some(Redis::at(port, folder, options, true))
    }

    /// By whom the certificate of a secure one was issued.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Where it is, or would be under another scheme, user or name of this host.
    pub fn url_as(&self, before_port: &str) -> String {
        format!("{before_port}:{}/", self.port)
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
        asking.args(["-p", &port]);
        if self.is_secure {
            asking.args(["-h", "localhost", "--tls", "--cacert"]);
            asking.arg(self.authority());
        }
        let output = asking.args(words).output().unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
