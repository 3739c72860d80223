//! Renders pages whose links are made by scripts: a browser without any network builds the page
//! that was fetched, and all that the page asks for beside itself is asked for by our own caller,
//! by the rules of every request.
//!
//! # Layout
//! From the ground up; a room uses only those before it (`tests/layout.rs` looks).
//!
//! | where | what lies there |
//! |---|---|
//! | `program` | which browser there is |
//! | `process` | one that runs: its pipes, its group, its directory |
//! | `weight` | the memory that it takes |
//! | `protocol` | commands and events on its pipes |
//! | `dom` | the script that takes the page as it stands |
//! | `tab` | a place for a page |
//! | `paused` | what a page asks for, and the answers to it |
//! | `library` | scripts and styles that were asked for already |
//! | `desk` | decides on each of these requests, and makes them |
//! | `visit` | one page in a tab, from its bytes to its end |
//! | `browser` | the browser with its tabs, begun again after a crash |

mod browser;
mod desk;
mod dom;
mod library;
mod paused;
mod process;
mod program;
mod protocol;
mod tab;
mod visit;
mod weight;

pub use browser::{BrowserOptions, Renderer};
pub use desk::Errands;
pub use program::Program;
pub use visit::FetchedPage;
