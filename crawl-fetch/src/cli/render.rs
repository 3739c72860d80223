//! The options that have pages rendered.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use crawl_ckpt::limits::{self, count, spelled_time, time};
use crawl_ckpt::rendering::Rendering;
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

    /// Pages in the browser at once
    #[arg(long, value_name = "N", default_value_t = limits::RENDER_TABS.default, value_parser = count(limits::RENDER_TABS.within), requires = "render")]
    render_tabs: u32,

    /// Longest time for a page in the browser
    ///
    /// A page that takes longer is taken as it stands then.
    #[arg(long, value_name = "DUR", default_value = spelled_time(limits::RENDER_TIMEOUT.default), value_parser = time(limits::RENDER_TIMEOUT.within), requires = "render")]
    render_timeout: Duration,

    /// Obey robots.txt also for what pages ask for
    ///
    /// For scripts, styles and data; with --robots they are asked for by it anyway.
    #[arg(long, requires = "render")]
    render_robots: bool,

    /// Run the browser without its sandbox
    ///
    /// As root there is no other way. A page that breaks out of the browser then has all that the
    /// user of this tool has.
    #[arg(long, requires = "render")]
    no_sandbox: bool,
}

impl RenderArgs {
    /// What renders pages, if anything is to.
    ///
    /// # Errors
    /// When there is no browser, or it does not work.
    pub fn options(
        &self,
        user_agent: &str,
        allow_private: bool,
    ) -> Result<Option<RenderOptions>, Failure> {
        if !self.render {
            return Ok(None);
        }
        let renderer = Renderer::new(BrowserOptions {
            program: Program::find(self.no_sandbox)?,
            user_agent: user_agent.to_owned(),
            tabs: self.render_tabs as usize,
            timeout: self.render_timeout,
        });
        let begun = renderer.begin();
        begun.map_err(|why| Failure::with(Exit::Usage, why))?;
        Ok(Some(RenderOptions {
            renderer: Arc::new(renderer),
            every: Some(Rendering::default()),
            gate: self
                .render_robots
                .then(|| Gate::new(product_token(user_agent))),
            allow_private,
        }))
    }
}
