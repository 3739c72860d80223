//! crawl-fetch: a filter. Requests in, results out, nothing kept.
//!
//! Every line on stdin gives exactly one line on stdout, in whatever order the
//! servers answer. The library is the tool without its command line.
//!
//! # Layout
//! From the ground up; a room uses only those before it (`tests/layout.rs` looks). `http/` and
//! `page/` know nothing of each other: whoever else brings a page's bytes, `page/` understands them.
//!
//! | where | what lies there |
//! |---|---|
//! | `failure` `event` `tally` `signals` `descriptors` `sched` | why a request has no answer, what workers tell, results by what they say, the signals that pause, how many descriptors there are, the kernel's turns |
//! | `resolve` `memory` | what a link or a redirect leads to, and the memory that answers share |
//! | `http/` | gets bytes: names (`dns`), connections (`dial` `tcp` `tls`), their answers in plain form (`framing` `plain`) and their heads as they are (`heads`), ureq over them (`agent`), what its errors mean (`error`), what is kept of it (`warc`), a call with redirects, cookies and proxies (`call`), its `body`, and robots.txt (`gate`) |
//! | `page/` | understands them: [`page`] |
//! | `job` `output` `queue` | requests of lines, results out, whose turn it is |
//! | `render/` | pages whose links are made by scripts, in a browser |
//! | `parse/` | pages through a parser of the user's own |
//! | `fetch` | one request to one result |
//! | `pool` | the workers |
//! | `run` | from stdin to stdout |
//! | `cli` | the command line |

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod cli;
mod descriptors;
mod event;
mod failure;
mod fetch;
mod http;
mod job;
mod memory;
mod output;
pub mod page;
mod parse;
mod pool;
mod queue;
mod render;
mod resolve;
mod run;
mod sched;
mod signals;
mod tally;

/// The tool's name, in messages.
pub const TOOL: &str = "crawl-fetch";
