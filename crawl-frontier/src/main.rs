//! crawl-frontier, see the library.

use std::process::ExitCode;

use crawl_ckpt::tool::{self, ScarceMemory};
use crawl_frontier::cli::{TOOL, run};

#[global_allocator]
static MEMORY: ScarceMemory = ScarceMemory {
    tool: TOOL,
    hint: "nothing that was committed is lost: the same command with less to remember at once, such as --memory 500M, goes on",
};

fn main() -> ExitCode {
    tool::finish(TOOL, tool::parse().and_then(run))
}
