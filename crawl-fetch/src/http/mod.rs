//! Gets the bytes.
//!
//! # Layout
//! From the ground up; a room uses only those before it (`tests/layout.rs` looks).
//!
//! | where | what lies there |
//! |---|---|
//! | `stall` `traffic` `buffer` `window` `plain_head` `framing` `heads` | workers that wait for a host, bytes on the network, memory for bodies and connections, heads and chunks as ureq reads them, heads as they travelled |
//! | `proxy` `cookies` `header` | ways, jars, what requests and answers say |
//! | `coding` `dial` `tls` `redirect` | content codings, the race for an address, TLS, where redirects lead |
//! | `dns` | names, looked up once for many |
//! | `tcp` | connections, and a note of what happened on this thread's |
//! | `plain` `error` | answers in plain form, and what ureq's errors mean |
//! | `idle` | connections that wait for the next request |
//! | `agent` | all of the ureq set-up |
//! | `body` `warc/` `call` | a body, exchanges as WARC, and a call with all that belongs to it |
//! | `gate` | robots.txt |

pub mod agent;
pub mod body;
pub mod buffer;
pub mod call;
pub mod coding;
pub mod cookies;
pub mod dial;
pub mod dns;
pub mod error;
pub mod framing;
pub mod gate;
pub mod header;
pub mod heads;
pub mod idle;
pub mod plain;
pub mod plain_head;
pub mod proxy;
pub mod redirect;
pub mod stall;
pub mod tcp;
pub mod tls;
pub mod traffic;
pub mod warc;
pub mod window;
