//! Fetches what it reads: requests in, results out. See the library.

use std::process::ExitCode;

use crawl_ckpt::tool;
use crawl_fetch::{TOOL, cli::Cli, run};

fn main() -> ExitCode {
    let options = tool::parse::<Cli>().and_then(Cli::options);
    tool::finish(TOOL, options.and_then(run))
}
