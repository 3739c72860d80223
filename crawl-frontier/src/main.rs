//! crawl-frontier, see the library.

use std::process::ExitCode;

use crawl_ckpt::tool;
use crawl_frontier::cli::{TOOL, run};

fn main() -> ExitCode {
    tool::finish(TOOL, tool::parse().and_then(run))
}
