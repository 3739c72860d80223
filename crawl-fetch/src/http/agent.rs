//! All of the ureq set-up, with the caps that nobody chooses; those of options are in
//! [`crawl_ckpt::limits`], those of bodies and plain TCP beside the code that keeps them.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::BuildHasher;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use crawl_ckpt::mutex::unpoisoned;
use crawl_ckpt::record::ErrorKind;
use foldhash::fast::RandomState;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use ureq::config::Config;
use ureq::tls::{PemItem, parse_pem};
use ureq::unversioned::transport::{
    ConnectProxyConnector, ConnectionDetails, Connector, SocksConnector, Transport,
};
use ureq::{Agent, Error, Proxy};
use url::Url;

use crate::failure::{Failure, is_shortage};
use crate::http::coding;
use crate::http::dns::{NameCache, RouteResolver};
use crate::http::error::Staged;
use crate::http::heads::Tap;
use crate::http::idle::{Destination, Idle};
use crate::http::plain::Plain;
use crate::http::proxy::Way;
use crate::http::tcp::{self, Tcp};
use crate::http::tls::{self, Tls, Trust};
use crate::http::window;

/// Headers of an answer beyond this are an error; ureq also takes 128 at most.
pub const MAX_HEADER_BYTES: usize = 64 << 10;

/// What a SOCKS connection reads into; others have buffers of our own, see [`window`].
const SOCKS_BUFFER_BYTES: usize = 16 << 10;

/// Of at most so many hosts a route remembers that they keep connections.
const MAX_KEEPING: usize = 100_000;

/// What agents are made with.
#[derive(Debug, Clone)]
pub struct AgentOptions {
    /// The User-Agent header.
    pub user_agent: String,
    /// For resolving, connecting and handshakes.
    pub connect_timeout: Duration,
    /// For all of one request, its body included.
    pub timeout: Duration,
    /// Names may lead to private addresses.
    pub allow_private: bool,
    /// Certificates are not checked.
    pub insecure: bool,
    /// The only certificates that are trusted, instead of the system's.
    pub ca_cert: Option<PathBuf>,
    /// Requests at once, over all hosts.
    pub concurrency: usize,
    /// Requests at once to one host.
    pub per_host: usize,
    /// Heads are kept as they travel.
    pub keeps_heads: bool,
}

/// Agents by route, made when they are first needed.
pub struct Agents {
    options: AgentOptions,
    names: Arc<NameCache>,
    idle: Arc<Idle>,
    routes: RwLock<HashMap<(Way, bool), Arc<Route>>>,
    tls: OnceLock<Arc<ClientConfig>>,
}

/// One way to servers, with or without TLS.
pub struct Route {
    agent: Agent,
    /// Hosts that answered more than one request over a connection.
    keeping: RwLock<HashSet<u64>>,
    hasher: RandomState,
}

/// A host, on its way.
pub struct HostAgent<'r> {
    /// The agent that asks it.
    pub agent: &'r Agent,
    route: &'r Route,
    hash: u64,
}

impl Route {
    pub fn host(&self, url: &Url) -> HostAgent<'_> {
        let hash = self.hasher.hash_one((url.host_str(), url.port()));
        HostAgent {
            agent: &self.agent,
            route: self,
            hash,
        }
    }
}

impl HostAgent<'_> {
    /// True when it answered more than one request over a connection, as not all do that
    /// promise to.
    pub fn keeps(&self) -> bool {
        let keeping = self.route.keeping.read();
        unpoisoned(keeping).contains(&self.hash)
    }

    /// It did.
    pub fn note_kept(&self) {
        if self.keeps() {
            return;
        }
        let keeping = self.route.keeping.write();
        let mut keeping = unpoisoned(keeping);
        if keeping.len() >= MAX_KEEPING {
            keeping.clear();
        }
        keeping.insert(self.hash);
    }
}

impl Agents {
    /// No agent is made yet.
    pub fn new(options: AgentOptions) -> Agents {
        let idle = Idle::new(options.per_host, options.concurrency);
        Agents {
            options,
            names: Arc::default(),
            idle,
            routes: RwLock::default(),
            tls: OnceLock::new(),
        }
    }

    /// The route to a URL.
    ///
    /// # Errors
    /// When the proxy's URL is none, or no certificates can be read.
    pub fn route(&self, way: &Way, url: &Url) -> Result<Arc<Route>, Failure> {
        let secure = url.scheme() == "https" || needs_tls(way);
        let key = (way.clone(), secure);
        let routes = unpoisoned(self.routes.read());
        if let Some(route) = routes.get(&key) {
            return Ok(Arc::clone(route));
        }
        drop(routes);
        let mut routes = unpoisoned(self.routes.write());
        let number = routes.len();
        // Another worker may have been quicker.
        Ok(match routes.entry(key) {
            Entry::Occupied(route) => Arc::clone(route.get()),
            Entry::Vacant(place) => {
                Arc::clone(place.insert(Arc::new(self.new_route(way, secure, number)?)))
            }
        })
    }

    /// Closes the connections that are kept for later: this machine has no more descriptors or
    /// ports. Those under way are closed when they end.
    pub fn forget_idle(&self) {
        self.idle.clear();
    }

    /// Looks whether a way can be used at all.
    ///
    /// # Errors
    /// When the proxy's URL is none, or no certificates can be read.
    pub fn check(&self, way: &Way) -> Result<(), Failure> {
        self.new_route(way, needs_tls(way), 0).map(drop)
    }

    /// Looks whether the certificates to trust are there.
    ///
    /// # Errors
    /// When they are not.
    pub fn check_certificates(&self) -> Result<(), Failure> {
        self.tls().map(drop)
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, Failure> {
        if let Some(tls) = self.tls.get() {
            return Ok(Arc::clone(tls));
        }
        // What fails for want of a descriptor goes well another time.
        let trust = if self.options.insecure {
            Trust::All
        } else {
            roots(self.options.ca_cert.as_deref())?
        };
        let tls = tls::config(trust).map_err(|e| Failure::new(ErrorKind::Tls, e))?;
        Ok(Arc::clone(self.tls.get_or_init(|| tls)))
    }

    fn new_route(&self, way: &Way, secure: bool, number: usize) -> Result<Route, Failure> {
        let options = &self.options;
        let proxy = match way {
            Way::Direct => None,
            Way::Through(url) => Some(proxy_of(url).ok_or_else(|| {
                let why = "the proxy's URL is no http, https or socks5 URL";
                Failure::new(ErrorKind::Proxy, why)
            })?),
        };
        let tls = if secure { Some(self.tls()?) } else { None };
        let config = |proxy, output| {
            Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .allow_non_standard_methods(true)
                .proxy(proxy)
                .user_agent(&options.user_agent)
                .accept("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
                .accept_encoding(coding::OFFERED)
                .timeout_global(Some(options.timeout))
                .timeout_resolve(Some(options.connect_timeout))
                .timeout_connect(Some(options.connect_timeout))
                .max_response_header_size(MAX_HEADER_BYTES)
                .input_buffer_size(SOCKS_BUFFER_BYTES)
                .output_buffer_size(output)
                .max_idle_connections(0)
                .build()
        };
        let end = Boxed {
            keeps_heads: options.keeps_heads,
            is_proxied: proxy.is_some(),
        };
        let dialer = Dialer {
            chain: chain(&self.names, tls, end),
            idle: Arc::clone(&self.idle),
            route: number,
            is_proxied: proxy.is_some(),
            wide: config(proxy.clone(), window::MAX_OUTPUT_BYTES),
            wide_to_proxy: config(None, window::MAX_OUTPUT_BYTES),
        };
        let config = config(proxy.clone(), window::OUTPUT_BYTES);
        let proxy_host = proxy.as_ref().map(|proxy| proxy.host().to_owned());
        let names = RouteResolver {
            names: Arc::clone(&self.names),
            allow_private: options.allow_private,
            proxy_host,
        };
        Ok(Route {
            agent: Agent::with_parts(config, dialer, names),
            keeping: RwLock::default(),
            hasher: RandomState::default(),
        })
    }
}

fn needs_tls(way: &Way) -> bool {
    matches!(way, Way::Through(url) if url.starts_with("https:"))
}

/// A proxy by its URL, which may lack the scheme, as for curl.
fn proxy_of(text: &str) -> Option<Proxy> {
    let url = if text.contains("://") {
        Url::parse(text)
    } else {
        Url::parse(&format!("http://{text}"))
    };
    url.ok().and_then(|_| Proxy::new(text).ok())
}

/// The certificates to trust: those of a file, or the system's, which
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` replace.
fn roots(file: Option<&std::path::Path>) -> Result<Trust, Failure> {
    let failure = |why: fmt::Arguments<'_>| Failure::new(ErrorKind::Tls, why);
    let certificates = match file {
        Some(path) => {
            let pem = std::fs::read(path).map_err(|e| Failure {
                is_shortage: is_shortage(&e),
                ..failure(format_args!("cannot read {}: {e}", path.display()))
            })?;
            let items = parse_pem(&pem).filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate.der().to_vec().into()),
                _ => None,
            });
            items.collect::<Vec<CertificateDer<'static>>>()
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            let short = found.errors.iter().find_map(|error| match &error.kind {
                rustls_native_certs::ErrorKind::Io { inner, .. } => Some(inner),
                _ => None,
            });
            if let Some(short) = short.filter(|error| is_shortage(error)) {
                return Err(Failure::shortage(short));
            }
            found.certs
        }
    };
    if certificates.is_empty() {
        return Err(match file {
            Some(path) => failure(format_args!(
                "{}: no certificate (PEM) in it",
                path.display()
            )),
            None => failure(format_args!("no certificates to trust were found")),
        });
    }
    let named = file.is_some() || std::env::var_os("SSL_CERT_FILE").is_some();
    Ok(Trust::Roots {
        certificates,
        named,
    })
}

/// Makes connections.
#[derive(Debug, Clone)]
struct Dialer {
    chain: Arc<dyn Connector<(), Out = Box<dyn Transport>>>,
    /// Where connections wait for the next request.
    idle: Arc<Idle>,
    route: usize,
    is_proxied: bool,
    /// For a request with a line that a usual buffer cannot hold.
    wide: Config,
    /// The same for the way to the proxy.
    wide_to_proxy: Config,
}

/// Through SOCKS, through CONNECT, or straight, then TLS.
fn chain(
    names: &Arc<NameCache>,
    tls: Option<Arc<ClientConfig>>,
    end: Boxed,
) -> Arc<dyn Connector<(), Out = Box<dyn Transport>>> {
    let names = Arc::clone(names);
    let chain =
        ().chain(Stage(ErrorKind::Proxy, SocksConnector::default()))
            .chain(Stage(ErrorKind::Proxy, ConnectProxyConnector::default()))
            .chain(Stage(ErrorKind::Connect, Tcp { names }))
            .chain(Stage(ErrorKind::Tls, Tls(tls)))
            .chain(end);
    Arc::new(chain)
}

impl Dialer {
    /// Where a connection leads; a way to the proxy alone leads nowhere yet.
    fn place(&self, details: &ConnectionDetails) -> Option<Destination> {
        if self.is_proxied && details.config.proxy().is_none() {
            return None;
        }
        Some(Destination {
            route: self.route,
            secure: details.needs_tls(),
            authority: details.uri.authority()?.clone(),
        })
    }
}

impl Connector<()> for Dialer {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        let place = self.place(details);
        if let Some(place) = place.as_ref().filter(|_| !tcp::note().anew)
            && let Some(kept) = self.idle.take(place)
        {
            return Ok(Some(Box::new(kept)));
        }
        tcp::note_dialed();
        let _making = tcp::Making::begin(details.timeout);
        let config = match (window::is_wide(), details.config.proxy()) {
            (false, _) => details.config,
            (true, Some(_)) => &self.wide,
            (true, None) => &self.wide_to_proxy,
        };
        let details = ConnectionDetails {
            uri: details.uri,
            addrs: details.addrs.clone(),
            config,
            request_level: details.request_level,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        let transport = self.chain.connect(&details, chained)?;
        tcp::note_dialed();
        let lend = |transport| match place {
            Some(place) => Box::new(self.idle.lend(place, transport)),
            None => transport,
        };
        Ok(transport.map(lend))
    }
}

/// A connector whose failures are of one kind.
#[derive(Debug)]
struct Stage<C>(ErrorKind, C);

impl<In: Transport, C: Connector<In>> Connector<In> for Stage<C> {
    type Out = C::Out;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let result = self.1.connect(details, chained);
        result.map_err(|error| Staged::wrap(self.0, error))
    }
}

/// The end of the chain: one type for every transport, and answers in plain form.
#[derive(Debug)]
struct Boxed {
    keeps_heads: bool,
    is_proxied: bool,
}

impl<In: Transport> Connector<In> for Boxed {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        // What goes to the proxy itself is no page, and carries its password.
        let is_to_proxy = self.is_proxied && details.config.proxy().is_none();
        let keeps_heads = self.keeps_heads && !is_to_proxy;
        Ok(chained.map(|transport| {
            if keeps_heads {
                Box::new(Plain::new(Tap::new(transport, !self.is_proxied)))
            } else {
                Box::new(Plain::new(transport)) as Self::Out
            }
        }))
    }
}
