//! Man pages and shell completions of all tools, made of their command lines.
//!
//!     manual DIR
//!
//! Writes DIR/man/man1/*.1, a page for each tool and each of its commands, DIR/man/man5/crawl-spider.5, which
//! is made of the tables by which spider files are read, and below DIR
//! bash-completion/completions, zsh/site-functions and fish/vendor_completions.d: the
//! folders of PREFIX/share, where scripts/install puts them.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[path = "manual/checkpoints.rs"]
mod checkpoints;
#[path = "manual/spider.rs"]
mod spider;
#[path = "manual/told.rs"]
mod told;

use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use jiff::Timestamp;

fn main() -> io::Result<()> {
    let dir = std::env::args_os().nth(1).map(PathBuf::from);
    let dir = dir.ok_or_else(|| io::Error::other("usage: manual DIR"))?;
    let tools = [
        crawl_run::cli::Cli::command(),
        crawl_fetch::cli::Cli::command(),
        crawl_frontier::cli::Args::command(),
        crawl_ckpt::cli::Cli::command(),
    ];
    let names: Vec<String> = tools
        .iter()
        .map(|tool| tool.get_name().to_owned())
        .collect();
    for tool in tools {
        complete(tool.clone(), &dir)?;
        let mut tool = tool.disable_help_subcommand(true);
        tool.build();
        let man = dir.join("man/man1");
        fs::create_dir_all(&man)?;
        let pages = tool.get_subcommands().map(page_name);
        let pages: Vec<String> = pages.map(|page| format!("{page}(1)")).collect();
        for command in tool
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
        {
            let tool = tool.get_name();
            page(command.clone(), tool, &[format!("{tool}(1)")], &man)?;
        }
        let others = names
            .iter()
            .filter(|name| *name != tool.get_name())
            .map(|name| format!("{name}(1)"));
        let spider = ["crawl-spider(5)".to_owned()];
        let see_also: Vec<String> = pages.into_iter().chain(others).chain(spider).collect();
        page(tool.clone(), tool.get_name(), &see_also, &man)?;
    }
    let man = dir.join("man/man5");
    fs::create_dir_all(&man)?;
    write("crawl-spider", 5, spider::page, &man)
}

fn complete(mut tool: Command, dir: &Path) -> io::Result<()> {
    for (shell, folder) in [
        (Shell::Bash, "bash-completion/completions"),
        (Shell::Zsh, "zsh/site-functions"),
        (Shell::Fish, "fish/vendor_completions.d"),
    ] {
        let folder = dir.join(folder);
        fs::create_dir_all(&folder)?;
        let name = tool.get_name().to_owned();
        let path = generate_to(shell, &mut tool, &name, &folder)?;
        if name == "crawl-ckpt" {
            let script = fs::read_to_string(&path)?;
            fs::write(&path, checkpoints::completed(shell, &script))?;
        }
        // bash-completion looks for a file of the tool's own name.
        if shell == Shell::Bash {
            fs::rename(path, folder.join(name))?;
        }
    }
    Ok(())
}

/// `crawl-run-batch`: what a page is called, and what its command is.
fn page_name(command: &Command) -> String {
    let name = command.get_display_name();
    name.unwrap_or_else(|| command.get_name()).to_owned()
}

fn page(command: Command, tool: &str, see_also: &[String], dir: &Path) -> io::Result<()> {
    let name = page_name(&command);
    let examples = command.get_after_long_help().map(ToString::to_string);
    let usage = command.clone().render_usage().to_string();
    let has_commands = command.has_subcommands();
    let man = Man::new(command);
    let text = |mut out: &mut Vec<u8>| {
        man.render_name_section(&mut out)?;
        as_it_is("SYNOPSIS", usage.trim_start_matches("Usage: "), out)?;
        man.render_description_section(&mut out)?;
        man.render_options_section(&mut out)?;
        if has_commands {
            man.render_subcommands_section(&mut out)?;
        }
        for (heading, entries) in told::sections(tool) {
            list(heading, entries, out)?;
        }
        if let Some(examples) = &examples {
            as_it_is("EXAMPLES", examples.trim_start_matches("Examples:\n"), out)?;
        }
        see(see_also, out)
    };
    write(&name, 1, text, dir)
}

/// Writes a page of a section of the manual.
fn write(
    name: &str,
    section: u8,
    text: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    dir: &Path,
) -> io::Result<()> {
    let mut out = Vec::new();
    writeln!(
        out,
        r#".TH {} {section} {} "crawl tools {}" "Crawl tools""#,
        name.to_uppercase(),
        date(),
        env!("CARGO_PKG_VERSION")
    )?;
    text(&mut out)?;
    // Two breaks around an empty line are one too many for mandoc's lint.
    let text = String::from_utf8_lossy(&out).replace(".br\n\n.br\n", "\n");
    fs::write(dir.join(format!("{name}.{section}")), text)
}

/// A section of names and what is said of each.
fn list(heading: &str, entries: &[(&str, &str)], out: &mut impl Write) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    for (name, says) in entries {
        roff.control("TP", []);
        roff.text([bold(*name)]);
        roff.text([roman(*says)]);
    }
    roff.to_writer(out)
}

/// Of the pages; that of the source where a packager says so.
fn date() -> String {
    let epoch = std::env::var("SOURCE_DATE_EPOCH").ok();
    let epoch = epoch.and_then(|seconds| seconds.parse().ok());
    let at = epoch.and_then(|seconds| Timestamp::from_second(seconds).ok());
    at.unwrap_or_else(Timestamp::now)
        .strftime("%Y-%m-%d")
        .to_string()
}

/// A section whose lines stay as they are.
fn as_it_is(heading: &str, text: &str, out: &mut impl Write) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    roff.control("nf", []);
    for line in text.lines() {
        roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    roff.control("fi", []);
    roff.to_writer(out)
}

fn see(names: &[String], out: &mut impl Write) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    let mut words = Vec::new();
    for (n, name) in names.iter().enumerate() {
        let comma = if n > 0 { ", " } else { "" };
        let (page, section) = name.split_at(name.find('(').unwrap_or(name.len()));
        words.extend([roman(comma), bold(page), roman(section)]);
    }
    roff.text(words);
    roff.to_writer(out)
}
