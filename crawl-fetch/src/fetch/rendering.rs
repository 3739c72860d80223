//! Pages that are rendered before they are read.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::{Arc, Mutex};

use crawl_ckpt::address::masked;
use crawl_ckpt::mutex::lock;
use crawl_ckpt::record::{FetchResult, Kind, Request};
use crawl_ckpt::rendering::{Rendered, Rendering, Renderings, Wish};
use encoding_rs::UTF_8;
use ureq::http::header::SET_COOKIE;
use ureq::http::{HeaderMap, HeaderValue};
use url::Url;

use super::{Fetcher, Received, digest};
use crate::failure::Failure;
use crate::http::gate::Gate;
use crate::page::challenge;
use crate::page::charset::Media;
use crate::render::{Errands, FetchedPage, Renderer};

/// How pages are rendered.
pub struct RenderOptions {
    /// The browser.
    pub renderer: Arc<Renderer>,
    /// Which pages are rendered whose requests do not say.
    pub which: Renderings,
    /// Is asked for what pages ask for.
    pub gate: Option<Gate>,
    /// Pages may ask private addresses that are not their own.
    pub allow_private: bool,
}

impl Fetcher {
    /// How the page of a request is rendered, if it is to be and there is a browser.
    pub(super) fn wish<'w>(&'w self, request: &'w Request<'_>) -> Option<Cow<'w, Rendering>> {
        let rendering = self.rendering.as_ref()?;
        match &request.render {
            Some(wish) => wish.rendering(),
            None => {
                let is_start = request.depth == Some(0);
                let usual = rendering.which.of(&request.url, is_start);
                usual.map(Cow::Borrowed)
            }
        }
    }

    /// Has a page rendered, if it is one to be: it is read as its scripts left it then.
    pub(super) fn render<'b>(
        &self,
        request: &Request<'_>,
        received: Received<'b>,
        markup: &'b mut Option<String>,
        result: &mut FetchResult<'_>,
    ) -> Result<Received<'b>, Failure> {
        let Some(rendering) = &self.rendering else {
            if request.render.as_ref().and_then(Wish::rendering).is_some() {
                let failed = Some("crawl-fetch runs without --render".into());
                result.render = Some(Rendered {
                    failed,
                    ..Rendered::default()
                });
            }
            return Ok(received);
        };
        let is_page = request.kind == Kind::Page
            && request
                .method
                .as_deref()
                .is_none_or(|method| method == "GET")
            && result.status == Some(200)
            && received.media == Media::Html
            && challenge::of(&received.headers, received.bytes, None, 0).is_none();
        let Some(wish) = self.wish(request).filter(|_| is_page) else {
            return Ok(received);
        };
        let jar = self.caller.cookies.header(&received.url);
        let page = FetchedPage {
            url: &received.url,
            headers: &received.headers,
            body: received.bytes,
            request,
            cookie: jar.as_deref().or(request.cookie.as_deref()),
            wish: &wish,
            max_size: self.options.max_size,
        };
        let kept = Mutex::default();
        let errands = Errands {
            caller: &self.caller,
            gate: rendering.gate.as_ref().or(self.robots.as_ref()),
            allow_private: rendering.allow_private,
            kept: &kept,
        };
        let rendered = rendering.renderer.render(&page, errands);
        // They are there with the page and not before: else a page that is fetched again has them twice.
        if let Some(spooled) = &mut result.spool {
            spooled.others.extend(std::mem::take(&mut *lock(&kept)));
        }
        let rendered = rendered?;
        let mut told = rendered.told;
        self.take_cookies(rendered.set_cookie, &received.url, result);
        result.location = rendered
            .location
            .map(|url| masked(url.as_str()).into_owned().into());
        let Some(text) = rendered.markup else {
            result.render = Some(told);
            return Ok(received);
        };
        let text = markup.insert(text);
        told.digest = Some(digest(text.as_bytes()).into());
        result.render = Some(told);
        result.bytes = Some(received.bytes.len() as u64);
        result.digest = Some(digest(received.bytes).into());
        Ok(Received {
            bytes: text.as_bytes(),
            media: Media::Html,
            encoding: OnceCell::from(UTF_8),
            headers: received.headers,
            url: rendered.url.unwrap_or(received.url),
        })
    }

    /// Takes the cookies that a rendered page has, beside those that came with it.
    fn take_cookies(&self, cookies: Vec<String>, url: &Url, result: &mut FetchResult<'_>) {
        let pair = |header: &str| header.split(';').next().map(|pair| pair.trim().to_owned());
        let known: Vec<_> = result
            .set_cookie
            .iter()
            .map(|header| pair(header))
            .collect();
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            if known.contains(&pair(&cookie)) {
                continue;
            }
            if let Ok(value) = HeaderValue::from_str(&cookie) {
                headers.append(SET_COOKIE, value);
                result.set_cookie.push(cookie.into());
            }
        }
        self.caller.cookies.take(url, &headers);
    }
}
