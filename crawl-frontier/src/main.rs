//! crawl-frontier, see the library.

use std::process::ExitCode;

use clap::Parser;
use crawl_ckpt::tool::finish;
use crawl_frontier::cli::{Args, run};

fn main() -> ExitCode {
    finish("crawl-frontier", run(Args::parse()))
}
