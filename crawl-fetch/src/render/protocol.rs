//! Commands and events on the pipes of a browser: JSON objects, each ended by a NUL.
//!
//! A crate with all commands of this protocol as types takes 110 others along and breaks with
//! each version of the browser; what is needed here is a dozen commands.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use crawl_ckpt::mutex::lock;
use serde::Deserialize;
use serde_json::{Value, json};

/// A longer message is none of a page's that we asked for.
const MAX_MESSAGE_BYTES: usize = 512 << 20;

/// What the browser says.
#[derive(Debug, Deserialize)]
pub struct Message {
    /// Of an answer: which command it is of.
    pub id: Option<u64>,
    /// Of an event: its name.
    #[serde(default)]
    pub method: String,
    /// Of an event.
    #[serde(default)]
    pub params: Value,
    /// Of an answer.
    #[serde(default)]
    pub result: Value,
    /// Of an answer to a command that failed.
    pub error: Option<Value>,
    /// Whose it is; empty: the browser's own.
    #[serde(default, rename = "sessionId")]
    pub session: String,
}

/// The pipes of a browser.
pub struct Connection {
    to: Mutex<File>,
    next: AtomicU64,
    /// Who hears what of which session; `None` when the browser is gone.
    listeners: Mutex<Option<HashMap<String, Sender<Message>>>>,
}

impl Connection {
    /// Nobody listens yet.
    pub fn new(to: File) -> Connection {
        Connection {
            to: Mutex::new(to),
            next: AtomicU64::new(0),
            listeners: Mutex::new(Some(HashMap::new())),
        }
    }

    /// Sends a command; gives its number.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn send(&self, session: &str, method: &str, params: &Value) -> io::Result<u64> {
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let mut command = json!({"id": id, "method": method, "params": params});
        if !session.is_empty() {
            command["sessionId"] = session.into();
        }
        let mut bytes = serde_json::to_vec(&command)?;
        bytes.push(0);
        lock(&self.to).write_all(&bytes)?;
        Ok(id)
    }

    /// Whoever has the other end hears what is said of this session, and of those that begin in it.
    pub fn listen(&self, session: &str) -> Receiver<Message> {
        let (sender, receiver) = channel();
        // When the browser is gone, the receiver finds that out at once.
        if let Some(listeners) = &mut *lock(&self.listeners) {
            listeners.insert(session.to_owned(), sender);
        }
        receiver
    }

    /// The browser is gone.
    pub fn is_over(&self) -> bool {
        lock(&self.listeners).is_none()
    }

    /// Nobody listens to this session any more.
    pub fn forget(&self, session: &str) {
        if let Some(listeners) = &mut *lock(&self.listeners) {
            listeners.remove(session);
        }
    }

    /// Hands on what the browser says until it ends.
    pub fn hear(&self, from: File) {
        let mut from = BufReader::with_capacity(64 << 10, from);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            match from.read_until(0, &mut bytes) {
                Ok(1..) if bytes.len() <= MAX_MESSAGE_BYTES => {}
                // Its end, however it came, is seen by those that listen.
                _ => break,
            }
            if bytes.last() == Some(&0) {
                bytes.pop();
            }
            // What cannot be read is no answer; whoever waits for one has a time limit.
            if let Ok(message) = serde_json::from_slice::<Message>(&bytes) {
                self.hand_on(message);
            }
            bytes.shrink_to(1 << 20);
        }
        *lock(&self.listeners) = None;
    }

    fn hand_on(&self, message: Message) {
        let mut listeners = lock(&self.listeners);
        let Some(listeners) = &mut *listeners else {
            return;
        };
        let Some(sender) = listeners.get(&message.session).cloned() else {
            return;
        };
        let session = message.params["sessionId"].as_str();
        match (&*message.method, session) {
            ("Target.attachedToTarget", Some(session)) if !message.session.is_empty() => {
                listeners.insert(session.to_owned(), sender.clone());
            }
            ("Target.detachedFromTarget", Some(session)) => {
                listeners.remove(session);
            }
            _ => {}
        }
        // Somebody who does not listen any more misses nothing.
        let _ = sender.send(message);
    }
}
