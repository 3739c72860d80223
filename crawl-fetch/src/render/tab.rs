//! A place for a page: a tab in a browser context of its own, so that pages of two sites share no
//! cookies, no storage and no process.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crawl_ckpt::mutex::lock;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use super::dom;
use super::protocol::{Connection, Message};

/// A command that is answered by the browser itself, whatever its pages do.
const PATIENCE: Duration = Duration::from_secs(20);

/// So much later each picture is made than the one before, as pages see it.
const BETWEEN_PICTURES: Duration = Duration::from_millis(250);

/// Why a page could not be rendered.
#[derive(Debug)]
pub enum Setback {
    /// The browser or the page's process ended.
    Gone,
    /// It took too long.
    Late,
    /// Its scripts went elsewhere.
    Left,
    /// The browser will not.
    Refused(String),
}

impl From<io::Error> for Setback {
    fn from(_: io::Error) -> Setback {
        Setback::Gone
    }
}

/// The browser itself, beside its tabs.
pub struct Control {
    pub connection: Arc<Connection>,
    /// Answers to commands to the browser itself; one command at a time.
    heard: Mutex<Receiver<Message>>,
    /// It makes pictures of its pages when it is told to, and never otherwise.
    draws_when_told: bool,
    /// How far the clock of pictures is ahead of ours.
    pictures: Mutex<Duration>,
}

impl Control {
    /// Of a browser that just began.
    pub fn new(connection: Arc<Connection>, draws_when_told: bool) -> Control {
        let heard = Mutex::new(connection.listen(""));
        Control {
            connection,
            heard,
            draws_when_told,
            pictures: Mutex::default(),
        }
    }

    /// Sends a command to the browser itself, and waits for the answer.
    ///
    /// # Errors
    /// When it does not come, or is no good one.
    pub fn call(&self, method: &str, params: &Value) -> Result<Value, Setback> {
        let heard = lock(&self.heard);
        let until = Instant::now() + PATIENCE;
        let id = self.connection.send("", method, params)?;
        loop {
            let message = receive(&heard, until)?;
            if message.id == Some(id) {
                return answer(message);
            }
        }
    }
}

/// A tab.
pub struct Tab {
    control: Arc<Control>,
    context: String,
    /// Its number, and that of its page's own frame.
    pub target: String,
    pub session: String,
    heard: Receiver<Message>,
    /// Whose pages it had.
    pub site: String,
}

impl Tab {
    /// Opens one for the pages of a site.
    ///
    /// # Errors
    /// When the browser gives none.
    pub fn open(control: &Arc<Control>, site: &str) -> Result<Tab, Setback> {
        let text = |answer: Value, name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let context = control.call(
            "Target.createBrowserContext",
            &json!({"disposeOnDetach": true}),
        )?;
        let context = text(context, "browserContextId");
        let params = json!({
            "url": "about:blank",
            "browserContextId": context,
            "enableBeginFrameControl": control.draws_when_told,
        });
        let target = text(control.call("Target.createTarget", &params)?, "targetId");
        let params = json!({"targetId": target, "flatten": true});
        let session = text(control.call("Target.attachToTarget", &params)?, "sessionId");
        let tab = Tab {
            heard: control.connection.listen(&session),
            control: Arc::clone(control),
            context,
            target,
            session,
            site: site.to_owned(),
        };
        let until = Instant::now() + PATIENCE;
        let params = json!({"behavior": "deny", "browserContextId": tab.context});
        control.call("Browser.setDownloadBehavior", &params)?;
        let auto = json!({"autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true});
        for (method, params) in [
            ("Page.enable", json!({})),
            ("Fetch.enable", json!({"patterns": [{"urlPattern": "*"}]})),
            ("Network.setBypassServiceWorker", json!({"bypass": true})),
            ("Target.setAutoAttach", auto),
            ("Inspector.enable", json!({})),
            (
                "Page.addScriptToEvaluateOnNewDocument",
                json!({"source": dom::BEGIN, "worldName": "crawl"}),
            ),
            (
                "Page.addScriptToEvaluateOnNewDocument",
                json!({"source": dom::WATCH}),
            ),
        ] {
            tab.call(method, &params, until)?;
        }
        Ok(tab)
    }

    /// Sends a command to its page; gives its number.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn send(&self, method: &str, params: &Value) -> Result<u64, Setback> {
        Ok(self
            .control
            .connection
            .send(&self.session, method, params)?)
    }

    /// Has a picture made of its page; gives the number of the command, and a turn to be kept until
    /// its answer: two at once, even of two tabs, are one too many for the browser.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn draw(&self) -> Result<(u64, impl Drop + '_), Setback> {
        let mut ahead = lock(&self.control.pictures);
        if !self.control.draws_when_told {
            // With windows it makes pictures when it likes, and at once when somebody wants to have
            // one; of a tab behind another it makes none.
            self.send("Page.bringToFront", &json!({}))?;
            let pixel = json!({"x": 0, "y": 0, "width": 1, "height": 1, "scale": 1});
            let params = json!({"format": "jpeg", "optimizeForSpeed": true, "clip": pixel});
            return Ok((self.send("Page.captureScreenshot", &params)?, ahead));
        }
        // What moves on the page moves by their clock: a second is over after a few of them.
        *ahead += BETWEEN_PICTURES;
        let now = clock_gettime(ClockId::Monotonic);
        let now = Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32);
        let ticks = (now + *ahead).as_secs_f64() * 1e3;
        let params = json!({"noDisplayUpdates": true, "frameTimeTicks": ticks});
        Ok((
            self.send("HeadlessExperimental.beginFrame", &params)?,
            ahead,
        ))
    }

    /// Sends a command that is answered whatever the page does.
    fn call(&self, method: &str, params: &Value, until: Instant) -> Result<Value, Setback> {
        let id = self.send(method, params)?;
        loop {
            let message = self.next(until)?;
            if message.id == Some(id) {
                return answer(message);
            }
        }
    }

    /// What is said of it next.
    ///
    /// # Errors
    /// When its process ended, or nothing came in time.
    pub fn next(&self, until: Instant) -> Result<Message, Setback> {
        let message = receive(&self.heard, until)?;
        match &*message.method {
            "Inspector.targetCrashed" => Err(Setback::Gone),
            "Inspector.detached" if message.session == self.session => Err(Setback::Gone),
            _ => Ok(message),
        }
    }

    /// Forgets what was said of a page before.
    pub fn forget(&self) {
        while self.heard.try_recv().is_ok() {}
    }

    /// The pipes of its browser.
    pub fn connection(&self) -> &Connection {
        &self.control.connection
    }

    /// True when it is a tab of this browser.
    pub fn is_of(&self, control: &Arc<Control>) -> bool {
        Arc::ptr_eq(&self.control, control)
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        let connection = &self.control.connection;
        connection.forget(&self.session);
        // A page that hangs does not close; its process can be ended all the same. What is
        // refused here ends with the browser.
        let _ = connection.send(&self.session, "Page.crash", &json!({}));
        let _ = connection.send("", "Target.closeTarget", &json!({"targetId": self.target}));
        let params = json!({"browserContextId": self.context});
        let _ = connection.send("", "Target.disposeBrowserContext", &params);
    }
}

fn receive(heard: &Receiver<Message>, until: Instant) -> Result<Message, Setback> {
    let left = until.saturating_duration_since(Instant::now());
    heard.recv_timeout(left).map_err(|error| match error {
        RecvTimeoutError::Timeout => Setback::Late,
        RecvTimeoutError::Disconnected => Setback::Gone,
    })
}

/// What an answer holds.
///
/// # Errors
/// When the command failed.
pub fn answer(message: Message) -> Result<Value, Setback> {
    match message.error {
        Some(error) => Err(Setback::Refused(error["message"].to_string())),
        None => Ok(message.result),
    }
}
