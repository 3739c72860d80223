//! One page in a tab: shown, given its time, taken as it stands.
//!
//! Its clock is virtual: it stands while a request is under way and jumps from timer to timer
//! otherwise, so nothing is waited for and whoever polls for ever comes to an end.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use crawl_ckpt::limits::RENDER_WAIT;
use crawl_ckpt::record::Request;
use crawl_ckpt::rendering::{Rendered, Rendering};
use crawl_ckpt::text::Text;
use serde_json::{Value, json};
use ureq::http::HeaderMap;
use url::Url;

use super::desk::{Desk, Errands, Runner};
use super::dom;
use super::library::Library;
use super::paused::{Given, Paused, Resource, Verdict};
use super::protocol::Message;
use super::tab::{Setback, Tab, answer};

/// The time of its own clock that a page has.
const BUDGET_MS: u64 = 3_000;

/// So much more it gets each time that something is waited for in it.
const STEP_MS: u64 = 500;

/// A page whose tasks follow one another so often without its clock moving has it moved.
const STARVATION: u32 = 100_000;

/// A picture that takes longer is of a page whose scripts do not end.
const DRAWING: Duration = Duration::from_secs(5);

/// What it gets after each picture of it.
const DRAWN_MS: [u64; 2] = [250, 16];

/// A page that is scrolled has so many rounds at most, and ends after so many without anything new.
const SCROLLED: [u32; 2] = [200, 4];

/// The same of a page whose scripts want pictures.
const DRAWN: [u32; 2] = [10, 2];

/// Workers are heard so often at most, and have ended when so many rounds brought nothing.
const WORKER_ROUNDS: u32 = 50;
const QUIET_ROUNDS: u32 = 3;
/// So long a worker has for a word.
const A_WORD: Duration = Duration::from_millis(20);

/// What a page that was cut short has for its markup.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// Stack of a thread that makes requests, as of a worker.
const STACK_BYTES: usize = 256 << 10;

/// A page as it was fetched.
pub struct FetchedPage<'p> {
    pub url: &'p Url,
    pub headers: &'p HeaderMap,
    pub body: &'p [u8],
    pub request: &'p Request<'p>,
    /// The cookies that it was asked for with.
    pub cookie: Option<&'p str>,
    pub wish: &'p Rendering,
    /// Longest markup that is taken.
    pub max_size: usize,
}

/// What became of it.
#[derive(Debug, Default)]
pub struct Shown {
    /// As it stood at the end; `None` when that is nothing to go by.
    pub markup: Option<String>,
    /// Where its relative links start from.
    pub url: Option<Url>,
    /// Where its scripts went.
    pub location: Option<Url>,
    /// Set-Cookie headers for what its scripts, and answers to them, left for its URL.
    pub set_cookie: Vec<String>,
    /// What the result says of it.
    pub told: Rendered<'static>,
}

/// A page that is shown.
struct Visit<'v> {
    tab: &'v Tab,
    page: &'v FetchedPage<'v>,
    desk: &'v Desk<'v>,
    /// Has one more thread make its requests; false when there is none to be had.
    hire: &'v dyn Fn() -> bool,
    until: Instant,
    is_shown: Cell<bool>,
    is_parsed: Cell<bool>,
    /// Something of it may go on until it is replaced by an empty page.
    is_restless: Cell<bool>,
    /// Sessions of its workers.
    workers: RefCell<Vec<String>>,
    /// So many requests came from it.
    asked: Cell<u64>,
    location: RefCell<Option<Url>>,
}

/// Renders a page in a tab; also says whether the tab is of any more use.
///
/// # Errors
/// When the page brought the tab down.
pub fn visit(
    tab: &Tab,
    page: &FetchedPage<'_>,
    (errands, kept): (Errands<'_>, &Library),
    most: Duration,
) -> Result<(Shown, bool), Setback> {
    tab.forget();
    let until = Instant::now() + most;
    let wanted = (page.request, page.wish);
    let desk = Desk::new(errands, page.url, wanted, kept, tab.connection(), until);
    thread::scope(|scope| {
        let hire = || {
            let thread = thread::Builder::new().name("errand".into());
            let spawned = thread
                .stack_size(STACK_BYTES)
                .spawn_scoped(scope, || desk.run());
            spawned.is_ok()
        };
        let visit = Visit {
            tab,
            page,
            desk: &desk,
            hire: &hire,
            until,
            is_shown: Cell::new(false),
            is_parsed: Cell::new(false),
            is_restless: Cell::new(false),
            workers: RefCell::default(),
            asked: Cell::new(0),
            location: RefCell::default(),
        };
        let outcome = visit.run();
        let is_tidy = outcome.is_ok() && visit.tidy().is_ok();
        desk.close();
        Ok((outcome?, is_tidy))
    })
}

/// What was not said in time, or was refused, is no setback.
fn while_it_lasts(said: Result<Value, Setback>) -> Result<(), Setback> {
    match said {
        Ok(_) | Err(Setback::Late | Setback::Refused(_)) => Ok(()),
        Err(setback) => Err(setback),
    }
}

impl Visit<'_> {
    fn run(&self) -> Result<Shown, Setback> {
        let mut outcome = Shown::default();
        let shown = self.load().and_then(|()| self.settle());
        let taken = shown.and_then(|()| self.take(self.until, &mut outcome));
        let location = self.location.take();
        self.is_restless
            .set(taken.is_err() || self.is_restless.get());
        match taken {
            Ok(()) => {}
            Err(Setback::Left) => outcome.location = location,
            Err(Setback::Late) => {
                self.desk.counts.cut_by("time");
                self.tab.send("Runtime.terminateExecution", &json!({}))?;
                match self.take(Instant::now() + LAST_LOOK, &mut outcome) {
                    Err(Setback::Gone) => return Err(Setback::Gone),
                    Err(_) => outcome.told.failed = Some("it did not answer in time".into()),
                    Ok(()) => {}
                }
            }
            Err(Setback::Refused(why)) => outcome.told.failed = Some(why.into()),
            Err(Setback::Gone) => return Err(Setback::Gone),
        }
        if outcome.markup.is_some() {
            outcome.set_cookie = self.new_cookies(Instant::now() + LAST_LOOK)?;
        }
        let counts = &self.desk.counts;
        outcome.told.requests = counts.requests.load(Ordering::Relaxed);
        outcome.told.blocked = counts.blocked.load(Ordering::Relaxed);
        outcome.told.refused = counts.refused.load(Ordering::Relaxed);
        outcome.told.cut = counts.cut().map(Text::from);
        Ok(outcome)
    }

    /// Shows the page, and lets its time pass.
    fn load(&self) -> Result<(), Setback> {
        if self.page.url.fragment().is_some() {
            // It would be a place within the page that was shown before.
            self.replace()?;
        }
        self.tab.send("Network.clearBrowserCookies", &json!({}))?;
        let cookies: Vec<Value> = self.cookies().collect();
        if !cookies.is_empty() {
            self.tab
                .send("Network.setCookies", &json!({"cookies": cookies}))?;
        }
        let params = json!({"url": self.page.url.as_str()});
        let asked = self.tab.send("Page.navigate", &params)?;
        loop {
            let message = self.next(self.until)?;
            if message.id == Some(asked) {
                if let Some(why) = message.result["errorText"].as_str() {
                    return Err(Setback::Refused(why.to_owned()));
                }
                answer(message)?;
            } else if self.is_shown.get() && is_main(&message) {
                self.is_parsed.set(false);
                return self.pass_all();
            } else {
                self.handle(message)?;
            }
        }
    }

    fn cookies(&self) -> impl Iterator<Item = Value> + '_ {
        let pairs = self.page.cookie.unwrap_or_default().split(';');
        let pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
        pairs.map(
            |(name, value)| json!({"name": name, "value": value, "url": self.page.url.as_str()}),
        )
    }

    /// Cookies that are there now, and that the page was not asked for with.
    fn new_cookies(&self, until: Instant) -> Result<Vec<String>, Setback> {
        let params = json!({"urls": [self.page.url.as_str()]});
        let mut told = match self.ask("Network.getCookies", &params, until) {
            Ok(told) => told,
            Err(Setback::Gone) => return Err(Setback::Gone),
            Err(_) => return Ok(Vec::new()),
        };
        let known: Vec<Value> = self.cookies().collect();
        let is_new = |cookie: &Value| {
            let same = |known: &Value| {
                known["name"] == cookie["name"] && known["value"] == cookie["value"]
            };
            !known.iter().any(same)
        };
        let cookies = told["cookies"].take();
        let cookies = cookies.as_array().into_iter().flatten();
        Ok(cookies
            .filter(|cookie| is_new(cookie))
            .filter_map(set_cookie)
            .collect())
    }

    /// Lets its time pass; that which passed before it was read does not count.
    fn pass_all(&self) -> Result<(), Setback> {
        self.pass(BUDGET_MS)?;
        if !self.is_parsed.get() {
            while !self.is_parsed.get() {
                self.pass(STEP_MS)?;
            }
            self.pass(BUDGET_MS)?;
        }
        self.hear_workers()
    }

    /// Waits until its workers have nothing more to say: the page's time does not wait for them.
    fn hear_workers(&self) -> Result<(), Setback> {
        let mut quiet = 0;
        for _ in 0..WORKER_ROUNDS {
            let sessions = self.workers.borrow().clone();
            if sessions.is_empty() || quiet == QUIET_ROUNDS {
                break;
            }
            let before = self.asked.get();
            for session in sessions {
                let params = json!({"expression": "0"});
                let connection = self.tab.connection();
                let asked = connection.send(&session, "Runtime.evaluate", &params)?;
                // One that computes, or is gone, says nothing now.
                while_it_lasts(self.hear(asked, self.soon()))?;
            }
            while self.desk.is_busy() && Instant::now() < self.until {
                while_it_lasts(self.listen(self.soon()))?;
            }
            while_it_lasts(self.listen(self.soon()))?;
            self.pass(STEP_MS)?;
            let is_quiet = self.asked.get() == before;
            quiet = if is_quiet { quiet + 1 } else { 0 };
        }
        Ok(())
    }

    fn soon(&self) -> Instant {
        (Instant::now() + A_WORD).min(self.until)
    }

    /// Does what the page wants for so long.
    fn listen(&self, until: Instant) -> Result<Value, Setback> {
        loop {
            self.handle(self.next(until)?)?;
        }
    }

    /// Lets so much of its time pass.
    fn pass(&self, ms: u64) -> Result<(), Setback> {
        let params = json!({
            "policy": "pauseIfNetworkFetchesPending",
            "budget": ms,
            "maxVirtualTimeTaskStarvationCount": STARVATION,
        });
        // What expires before this is answered is a time given before.
        self.ask("Emulation.setVirtualTimePolicy", &params, self.until)?;
        loop {
            let message = self.next(self.until)?;
            if message.method == "Emulation.virtualTimeBudgetExpired" {
                return Ok(());
            }
            self.handle(message)?;
        }
    }

    /// Waits for what the request wants, scrolls, and makes the pictures that scripts wait for.
    fn settle(&self) -> Result<(), Setback> {
        let wish = self.page.wish;
        let world = self.world(self.until)?;
        let mut draws = wish.scroll || self.wants_pictures(&world)?;
        if let Some(selector) = &wish.wait_for {
            let find = format!("{}({})", dom::FIND, json!(selector));
            let mut left = wish
                .wait_ms
                .unwrap_or(RENDER_WAIT.default.as_millis() as u64);
            while self.look(&world, &find, self.until)? != json!(true) && left > 0 {
                if draws {
                    self.draw()?;
                }
                self.pass(STEP_MS)?;
                left = left.saturating_sub(STEP_MS);
                draws = draws || self.wants_pictures(&world)?;
            }
        }
        if !draws {
            return Ok(());
        }
        let (script, [most, enough]) = if wish.scroll {
            (dom::SCROLL, SCROLLED)
        } else {
            (dom::SIZE, DRAWN)
        };
        let (mut quiet, mut seen) = (0, Value::Null);
        for _ in 0..most {
            // What is seen, and then what came of it: an observer that never saw the end of a list
            // out of sight does not see it again.
            for ms in DRAWN_MS {
                self.draw()?;
                self.pass(ms)?;
            }
            let now = self.look(&world, script, self.until)?;
            quiet = if now == seen { quiet + 1 } else { 0 };
            if quiet == enough {
                break;
            }
            seen = now;
        }
        Ok(())
    }

    fn wants_pictures(&self, world: &Value) -> Result<bool, Setback> {
        Ok(self.look(world, dom::DRAWS, self.until)? == json!(true))
    }

    /// Makes a picture of it: what loads when it is seen is seen by this alone.
    fn draw(&self) -> Result<(), Setback> {
        let (asked, turn) = self.tab.draw()?;
        let until = (Instant::now() + DRAWING).min(self.until);
        let mut made = self.hear(asked, until);
        if matches!(made, Err(Setback::Late)) {
            // Its scripts run for ever: other pages want their turn.
            self.tab.send("Runtime.terminateExecution", &json!({}))?;
            made = self.hear(asked, Instant::now() + LAST_LOOK);
        }
        drop(turn);
        match made {
            // There is nothing to be seen of it.
            Err(Setback::Refused(_)) => Ok(()),
            made => made.map(drop),
        }
    }

    /// Takes the page as it stands.
    fn take(&self, until: Instant, outcome: &mut Shown) -> Result<(), Setback> {
        let world = self.world(until)?;
        let script = format!("{}({})", dom::TAKE, self.page.max_size);
        let mut taken = self.look(&world, &script, until)?;
        let Value::String(markup) = taken["markup"].take() else {
            return Err(Setback::Refused("its markup could not be had".into()));
        };
        if taken["cut"] == json!(true) {
            self.desk.counts.cut_by("size");
        }
        outcome.markup = Some(markup);
        let url = taken["url"].as_str().and_then(|url| Url::parse(url).ok());
        outcome.url = url.map(|mut url| {
            url.set_fragment(None);
            url
        });
        outcome.url.take_if(|url| url == self.page.url);
        outcome.told.url = outcome.url.as_ref().map(|url| url.to_string().into());
        Ok(())
    }

    /// A world of our own in the page, for scripts.
    fn world(&self, until: Instant) -> Result<Value, Setback> {
        let params = json!({"frameId": self.tab.target, "worldName": "crawl"});
        let mut world = self.ask("Page.createIsolatedWorld", &params, until)?;
        Ok(world["executionContextId"].take())
    }

    /// What a script says.
    fn look(&self, world: &Value, script: &str, until: Instant) -> Result<Value, Setback> {
        let params = json!({"expression": script, "contextId": world, "returnByValue": true});
        let mut said = self.ask("Runtime.evaluate", &params, until)?;
        if let Some(why) = said["exceptionDetails"]["exception"]["description"].as_str() {
            let why = why.lines().next().unwrap_or_default();
            return Err(Setback::Refused(why.to_owned()));
        }
        Ok(said["result"]["value"].take())
    }

    /// Sends a command, and does what the page wants until it is answered.
    fn ask(&self, method: &str, params: &Value, until: Instant) -> Result<Value, Setback> {
        let asked = self.tab.send(method, params)?;
        self.hear(asked, until)
    }

    /// Does what the page wants until a command is answered.
    fn hear(&self, asked: u64, until: Instant) -> Result<Value, Setback> {
        loop {
            let message = self.next(until)?;
            if message.id == Some(asked) {
                return answer(message);
            }
            self.handle(message)?;
        }
    }

    fn next(&self, until: Instant) -> Result<Message, Setback> {
        if self.location.borrow().is_some() {
            return Err(Setback::Left);
        }
        self.tab.next(until)
    }

    /// Does what the page wants.
    fn handle(&self, message: Message) -> Result<(), Setback> {
        let connection = self.tab.connection();
        let params = &message.params;
        match &*message.method {
            "Fetch.requestPaused" => {
                if let Some(paused) = Paused::read(message) {
                    self.asked.set(self.asked.get() + 1);
                    self.answer(paused);
                }
            }
            "Page.domContentEventFired" => self.is_parsed.set(true),
            "Page.javascriptDialogOpening" => {
                let is_leave = params["type"] == "beforeunload";
                let accept = json!({"accept": is_leave});
                connection.send(&message.session, "Page.handleJavaScriptDialog", &accept)?;
            }
            // Workers, whose requests are ours to answer as well.
            "Target.attachedToTarget" => {
                self.is_restless.set(true);
                let session = params["sessionId"].as_str().unwrap_or_default();
                let auto =
                    json!({"autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true});
                connection.send(session, "Fetch.enable", &json!({}))?;
                connection.send(session, "Target.setAutoAttach", &auto)?;
                connection.send(session, "Runtime.runIfWaitingForDebugger", &json!({}))?;
                self.workers.borrow_mut().push(session.to_owned());
            }
            "Target.detachedFromTarget" => {
                let gone = params["sessionId"].as_str().unwrap_or_default();
                self.workers.borrow_mut().retain(|session| session != gone);
            }
            _ => {}
        }
        Ok(())
    }

    /// Answers a request of the page; the first is for itself.
    fn answer(&self, paused: Paused) {
        let connection = self.tab.connection();
        let is_main = paused.kind == Resource::Document && paused.frame == self.tab.target;
        if !self.is_shown.get() {
            if !is_main {
                // The page before ends with this.
                return paused.answer(connection, &Verdict::Fail("Aborted"));
            }
            self.is_shown.set(true);
            let page = Given::page(self.page.headers, self.page.body);
            return paused.answer(connection, &Verdict::Give(Arc::new(page)));
        }
        if is_main {
            paused.answer(connection, &Verdict::Fail("Aborted"));
            let is_elsewhere = paused.url.as_ref() != Some(self.page.url);
            if is_elsewhere && paused.method == "GET" {
                self.location.replace(paused.url);
            }
            return;
        }
        if self.desk.take(paused) == Runner::Wanted && !(self.hire)() {
            self.desk.have_no_runner();
        }
    }

    /// Ends the page, so that nothing of it is left in the tab: its clock stands, and with its
    /// elements and listeners gone it hears of nothing, not even of its end. Another navigation for that,
    /// to an empty page, costs a sixth of all the rendering.
    fn tidy(&self) -> Result<(), Setback> {
        if self.is_restless.get() {
            return self.replace();
        }
        let world = self.world(Instant::now() + LAST_LOOK)?;
        let params = json!({"expression": dom::END, "contextId": world});
        self.tab.send("Runtime.evaluate", &params).map(drop)
    }

    /// Shows an empty page in its place.
    fn replace(&self) -> Result<(), Setback> {
        let until = Instant::now() + LAST_LOOK;
        self.tab
            .send("Page.navigate", &json!({"url": "about:blank"}))?;
        loop {
            let message = self.tab.next(until)?;
            if is_main(&message) && message.params["frame"]["url"] == "about:blank" {
                return Ok(());
            }
            match &*message.method {
                "Fetch.requestPaused" => {
                    if let Some(paused) = Paused::read(message) {
                        paused.answer(self.tab.connection(), &Verdict::Fail("Aborted"));
                    }
                }
                _ => self.handle(message)?,
            }
        }
    }
}

/// A cookie as a server sets it.
fn set_cookie(cookie: &Value) -> Option<String> {
    let text = |name: &str| cookie[name].as_str();
    let mut header = format!("{}={}", text("name")?, text("value")?);
    header.push_str(&format!("; Path={}", text("path")?));
    if let Some(domain) = text("domain")?.strip_prefix('.') {
        header.push_str(&format!("; Domain={domain}"));
    }
    if let Some(expires) = cookie["expires"].as_f64().filter(|expires| *expires > 0.0) {
        let since = UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(expires).ok()?)?;
        header.push_str(&format!("; Expires={}", httpdate::fmt_http_date(since)));
    }
    for (key, word) in [("secure", "; Secure"), ("httpOnly", "; HttpOnly")] {
        if cookie[key] == true {
            header.push_str(word);
        }
    }
    Some(header)
}

/// True when the tab shows something else from now on.
fn is_main(message: &Message) -> bool {
    message.method == "Page.frameNavigated" && message.params["frame"]["parentId"].is_null()
}
