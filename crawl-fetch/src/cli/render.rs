//! The options that have pages rendered.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use crawl_ckpt::limits::{self, count, size, spelled_size, spelled_time, time};
use crawl_ckpt::node::Node;
use crawl_ckpt::rendering::Renderings;
use crawl_ckpt::robots::product_token;
use crawl_ckpt::tool::{Exit, Failure};

use crate::fetch::RenderOptions;
use crate::http::gate::Gate;
use crate::render::{BrowserOptions, Program, Renderer};

#[derive(Debug, Args)]
pub struct RenderArgs {
    /// Render pages in a browser: links that scripts make are links
    ///
    /// Pages are fetched as ever; those of status 200 and type HTML are then shown to a browser, and
    /// links, title, items and body are those of the page as its scripts left it. The browser has
    /// no network: what a page asks for is asked for by this tool, by its rules. Requests may say
    /// `"render": false`, or how. The browser is $CRAWL_BROWSER, chromium-headless-shell or
    /// chromium; it is not run as root.
    #[arg(long)]
    render: bool,

    /// Render those pages that this spider file says
    ///
    /// Its `render`, that of its rules and sections, and the settings BROWSER_ENABLED,
    /// INFINITE_SCROLL, CF_WAIT_SELECTOR and CF_WAIT_TIMEOUT. With --render the pages of which it
    /// says nothing as well.
    #[arg(long, value_name = "FILE")]
    render_by: Option<PathBuf>,

    /// Pages in the browser at once
    #[arg(long, value_name = "N", default_value_t = limits::RENDER_TABS.default, value_parser = count(limits::RENDER_TABS.within))]
    render_tabs: u32,

    /// Longest time for a page in the browser
    ///
    /// A page that takes longer is taken as it stands then.
    #[arg(long, value_name = "DUR", default_value = spelled_time(limits::RENDER_TIMEOUT.default), value_parser = time(limits::RENDER_TIMEOUT.within))]
    render_timeout: Duration,

    /// Memory for the browser
    ///
    /// For all its processes together. When they have more, the largest one that shows pages ends;
    /// its pages are rendered once more in another, and then are as they were sent. Takes K, M and
    /// G, powers of 1024.
    #[arg(long, value_name = "SIZE", default_value = spelled_size(limits::RENDER_MEMORY.default), value_parser = size(limits::RENDER_MEMORY.within))]
    render_memory: usize,

    /// Obey robots.txt also for what pages ask for
    ///
    /// For scripts, styles and data; with --robots they are asked for by it anyway.
    #[arg(long)]
    render_robots: bool,

    /// Let pages ask private addresses that are not their own
    ///
    /// Otherwise a page asks a private address, or localhost, only at its own scheme, name and port.
    #[arg(long)]
    render_private: bool,

    /// Run the browser without its sandbox
    ///
    /// As root there is no other way. A page that breaks out of the browser then has all that the
    /// user of this tool has.
    #[arg(long)]
    no_sandbox: bool,
}

impl RenderArgs {
    /// What renders pages, if anything is to.
    ///
    /// # Errors
    /// When there is no browser, or it does not work.
    pub fn options(&self, user_agent: &str) -> Result<Option<RenderOptions>, Failure> {
        let mut which = match &self.render_by {
            Some(path) => read(path)?,
            None => Renderings::default(),
        };
        if self.render {
            which.every.get_or_insert_default();
        }
        if which.is_none() {
            return Ok(None);
        }
        let renderer = Renderer::new(BrowserOptions {
            program: Program::find(self.no_sandbox)?,
            user_agent: user_agent.to_owned(),
            tabs: self.render_tabs as usize,
            timeout: self.render_timeout,
            memory: self.render_memory as u64,
        });
        let begun = renderer.begin();
        begun.map_err(|why| Failure::with(Exit::Usage, why))?;
        Ok(Some(RenderOptions {
            renderer: Arc::new(renderer),
            gate: (self.render_robots || which.robots)
                .then(|| Gate::new(product_token(user_agent))),
            which,
            allow_private: self.render_private,
        }))
    }
}

/// Which pages a spider file has rendered.
fn read(path: &Path) -> Result<Renderings, Failure> {
    let read = || {
        let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
        let text = text.trim_start_matches('\u{feff}');
        let value = serde_json::from_str(text).map_err(|e| format!("not JSON: {e}"))?;
        let fields = Node::root(&value).object();
        let which = fields.and_then(|mut fields| Renderings::read(&mut fields));
        which.map_err(|e| e.to_string())
    };
    read().map_err(|why: String| {
        let path = path.display();
        Failure::with(Exit::Usage, format_args!("cannot use {path}: {why}"))
    })
}
