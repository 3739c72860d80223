//! Looks at crawl checkpoints, checks them and cleans them up. See the library.

use std::io::stdout;
use std::process::ExitCode;

use crawl_ckpt::{cli, tool};

fn main() -> ExitCode {
    let result = tool::parse().and_then(|cli| cli::run(cli, &mut stdout().lock()));
    tool::finish(cli::TOOL, result)
}
