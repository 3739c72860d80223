//! Fetches what it reads: requests in, results out. See the library.

use std::process::ExitCode;

use crawl_ckpt::tool;
use crawl_fetch::{TOOL, cli::Cli};

fn main() -> ExitCode {
    tool::finish(TOOL, tool::parse::<Cli>().and_then(Cli::run))
}
