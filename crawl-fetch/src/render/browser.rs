//! The browser with its tabs: begun once, begun again when it ended, and ended with us.

use std::io;
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use crawl_ckpt::mutex::{lock, unpoisoned};
use crawl_ckpt::record::ErrorKind;
use crawl_ckpt::rendering::Rendered;
use serde_json::json;
use url::Url;

use super::desk::Errands;
use super::library::Library;
use super::process::{BrowserProcess, Launch};
use super::program::Program;
use super::protocol::Connection;
use super::tab::{Control, Setback, Tab};
use super::visit::{FetchedPage, Shown, visit};
use super::weight::lighten;
use crate::failure::Failure;

/// A page that brings a tab down has another one, and then no more.
const ATTEMPTS: u32 = 2;

/// When all of the browser ends, it may be for another page: then it has so many.
const LIVES: u32 = 4;

/// So often it is looked how much memory the browser takes.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// What the browser is told.
#[derive(Debug, Clone)]
pub struct BrowserOptions {
    /// Which one.
    pub program: Program,
    /// The User-Agent that servers see.
    pub user_agent: String,
    /// Pages at once.
    pub tabs: usize,
    /// Longest time for a page.
    pub timeout: Duration,
    /// Most memory of all its processes together.
    pub memory: u64,
}

/// Renders pages. Shared by all workers.
pub struct Renderer {
    options: BrowserOptions,
    kept: Library,
    state: Mutex<Stock>,
    /// A tab is free.
    free: Condvar,
}

#[derive(Default)]
struct Stock {
    browser: Option<Arc<Browser>>,
    idle: Vec<Tab>,
    /// Tabs that are used, or about to be.
    used: usize,
}

/// A browser that was begun.
struct Browser {
    control: Arc<Control>,
    /// `None` once it was ended.
    process: Arc<Mutex<Option<BrowserProcess>>>,
}

/// A place among the tabs; the end of it gives it to the next page.
struct Lease<'r>(&'r Renderer);

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).used -= 1;
        self.0.free.notify_one();
    }
}

impl Renderer {
    /// No browser runs yet.
    pub fn new(options: BrowserOptions) -> Renderer {
        Renderer {
            options,
            kept: Library::default(),
            state: Mutex::default(),
            free: Condvar::new(),
        }
    }

    /// Begins the browser, so that it is known whether it works.
    ///
    /// # Errors
    /// Why it does not.
    pub fn begin(&self) -> Result<(), String> {
        let mut state = lock(&self.state);
        state.browser = Some(Arc::new(Browser::begin(&self.options)?));
        Ok(())
    }

    /// Renders a page. One that brings the browser down each time is told to have done so.
    ///
    /// # Errors
    /// When there is no browser to be had.
    pub fn render(&self, page: &FetchedPage<'_>, errands: Errands<'_>) -> Result<Shown, Failure> {
        let site = site_of(page.url);
        let lease = self.lease();
        let (mut deaths, mut ends) = (0, 0);
        while deaths < ATTEMPTS && ends < LIVES {
            let tab = self.tab(&site)?;
            let Some(tab) = tab else {
                ends += 1;
                continue;
            };
            let visited = visit(&tab, page, (errands, &self.kept), self.options.timeout);
            if let Ok((outcome, is_tidy)) = visited {
                if is_tidy {
                    lock(&self.state).idle.push(tab);
                }
                drop(lease);
                return Ok(outcome);
            }
            if tab.connection().is_over() {
                ends += 1;
            } else {
                deaths += 1;
            }
        }
        let why = format!("it brought the browser down {} times", deaths.max(ends));
        Ok(Shown {
            told: Rendered {
                failed: Some(why.into()),
                ..Rendered::default()
            },
            ..Shown::default()
        })
    }

    /// Waits for a place.
    fn lease(&self) -> Lease<'_> {
        let mut state = lock(&self.state);
        while state.used >= self.options.tabs {
            state = unpoisoned(self.free.wait(state));
        }
        state.used += 1;
        Lease(self)
    }

    /// A tab for the pages of a site; `None` when the browser ended meanwhile.
    fn tab(&self, site: &str) -> Result<Option<Tab>, Failure> {
        let mut state = lock(&self.state);
        let browser = match &state.browser {
            Some(browser) if !browser.control.connection.is_over() => Arc::clone(browser),
            _ => {
                state.idle.clear();
                let begun = Browser::begin(&self.options);
                let begun = begun.map_err(|why| Failure::new(ErrorKind::Io, why))?;
                Arc::clone(state.browser.insert(Arc::new(begun)))
            }
        };
        state.idle.retain(|tab| tab.is_of(&browser.control));
        let known = state.idle.iter().position(|tab| tab.site == site);
        if let Some(place) = known {
            return Ok(Some(state.idle.swap_remove(place)));
        }
        let too_many = state.used + state.idle.len() > self.options.tabs;
        let old = if too_many { state.idle.pop() } else { None };
        drop(state);
        drop(old);
        match Tab::open(&browser.control, site) {
            Ok(tab) => Ok(Some(tab)),
            Err(Setback::Refused(why)) => Err(Failure::new(
                ErrorKind::Io,
                format_args!("the browser gives no tab: {why}"),
            )),
            Err(_) => {
                browser.end();
                Ok(None)
            }
        }
    }

    /// Ends the browser, and takes away what it wrote.
    pub fn end(&self) {
        let mut state = lock(&self.state);
        state.idle.clear();
        if let Some(browser) = state.browser.take() {
            browser.end();
        }
    }
}

impl Browser {
    /// One that answers. That it was killed before it did says nothing of the next one.
    fn begin(options: &BrowserOptions) -> Result<Browser, String> {
        let mut lives = LIVES;
        loop {
            let browser = Browser::start(options)?;
            lives -= 1;
            let Err(why) = browser.control.call("Browser.getVersion", &json!({})) else {
                return Ok(browser);
            };
            let words = lock(&browser.process)
                .as_ref()
                .and_then(BrowserProcess::last_words);
            if lives == 0 || !matches!(why, Setback::Gone) {
                let name = options.program.path.display();
                let words = words.unwrap_or_else(|| "it does not answer".into());
                return Err(format!("{name} does not work: {words}"));
            }
        }
    }

    fn start(options: &BrowserOptions) -> Result<Browser, String> {
        let launch = Launch {
            program: options.program.clone(),
            user_agent: options.user_agent.clone(),
        };
        let memory = options.memory;
        let name = launch.program.path.display().to_string();
        let process = Arc::new(Mutex::new(None));
        let held = Arc::clone(&process);
        let (sender, begun) = mpsc::channel();
        // It dies with the thread that starts it, so that is one which stays. Who starts a browser waits for what this
        // thread sends.
        let run = move || {
            let started = BrowserProcess::start(&launch);
            let (process, to, from) = match started {
                Ok(started) => started,
                Err(error) => {
                    let _ = sender.send(Err(error));
                    return;
                }
            };
            *lock(&held) = Some(process);
            if let Err(error) = watch(&held, memory) {
                let _ = sender.send(Err(error));
                return;
            }
            let connection = Arc::new(Connection::new(to));
            let _ = sender.send(Ok(Arc::clone(&connection)));
            drop(sender);
            connection.hear(from);
        };
        let cannot = |e: io::Error| format!("cannot start {name}: {e}");
        let thread = thread::Builder::new().name("browser".into());
        thread.spawn(run).map_err(cannot)?;
        let begun = begun
            .recv()
            .map_err(|e| format!("cannot start {name}: {e}"))?;
        let connection = begun.map_err(cannot)?;
        let control = Control::new(connection, !options.program.has_windows);
        Ok(Browser {
            control: Arc::new(control),
            process,
        })
    }

    fn end(&self) {
        // Its end kills all of it.
        drop(lock(&self.process).take());
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.end();
    }
}

/// Keeps the browser's memory within its limit, until the browser is ended.
fn watch(process: &Arc<Mutex<Option<BrowserProcess>>>, memory: u64) -> io::Result<()> {
    let process = Arc::downgrade(process);
    let look = move || {
        while let Some(process) = process.upgrade() {
            match &*lock(&process) {
                Some(process) => lighten(process.group(), memory),
                None => return,
            }
            drop(process);
            thread::sleep(BETWEEN_LOOKS);
        }
    };
    let thread = thread::Builder::new().name("weight".into());
    thread.spawn(look)?;
    Ok(())
}

/// Pages of one site share a tab.
fn site_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}
