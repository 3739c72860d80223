//! Starts a crawl and maps how it ended to the exit code. See the library.

use std::process::ExitCode;

use crawl_ckpt::tool;
use crawl_run::{cli::Cli, habits, run};

fn main() -> ExitCode {
    let result =
        tool::parse_hinting::<Cli>(habits::of_option).and_then(|cli| run(cli, std::env::args_os()));
    tool::finish("crawl-run", result)
}
