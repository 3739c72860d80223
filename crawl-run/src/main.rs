//! Starts a crawl and maps how it ended to the exit code. See the library.

use std::process::ExitCode;

use crawl_ckpt::tool;
use crawl_run::{cli::Cli, run};

fn main() -> ExitCode {
    let result = tool::parse::<Cli>().and_then(|cli| run(cli, std::env::args_os()));
    tool::finish("crawl-run", result)
}
