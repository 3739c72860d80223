//! Starts a crawl and maps how it ended to the exit code. See the library.

use std::process::ExitCode;

use clap::Parser;
use crawl_ckpt::tool;
use crawl_run::{cli::Cli, crawl};

fn main() -> ExitCode {
    let cli = Cli::parse();
    tool::finish("crawl-run", crawl::run(&cli.crawl, std::env::args_os()))
}
