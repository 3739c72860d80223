//! The command line, and what is wrong with it: one line and a hint in place of clap's page.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{Exit, Failure, need_stdout, quoted};

/// Reads the command line. `--help` and `--version` print and end with exit code 0, a command
/// line that makes no sense with [`Exit::Usage`].
///
/// # Errors
/// What [`finish`](super::finish) ends the program with.
pub fn parse<Cli: clap::Parser>() -> Result<Cli, Failure> {
    parse_hinting(|_| None)
}

/// The same, with hints for options that users of other tools may type.
///
/// # Errors
/// As [`parse`].
pub fn parse_hinting<Cli: clap::Parser>(
    habit: fn(&str) -> Option<&'static str>,
) -> Result<Cli, Failure> {
    // A file that outgrows its limit (`ulimit -f`) fails with its reason then, and does not kill.
    let unread = Arc::default();
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, unread)
        .map_err(|e| Failure::new(format_args!("cannot handle signals: {e}")))?;
    Cli::try_parse().map_err(|mut error| {
        if !error.use_stderr() {
            let printed = need_stdout().and_then(|()| error.print().map_err(Failure::from_stdout));
            return printed.err().unwrap_or(Failure::with(Exit::Complete, ""));
        }
        if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return without_command(&Cli::command());
        }
        if error.kind() == ErrorKind::InvalidUtf8 {
            return not_utf8(std::env::args_os());
        }
        hide_secret(&mut error);
        let tool = Cli::command();
        let unknown = error.get(ContextKind::InvalidArg).map(ToString::to_string);
        let unknown = unknown.filter(|_| error.kind() == ErrorKind::UnknownArgument);
        if let Some(option) = unknown
            && let Some(hint) = habit(&option)
        {
            let message = format!("unexpected argument '{option}' found");
            return Failure::with(Exit::Usage, message).hint(hint);
        }
        let mut failure = usage(&error.render().to_string(), &called(&tool));
        if let Some(meant) = swapped(&error, &tool) {
            failure.message.push_str(&format!("; {meant} exists"));
        }
        match unasked(&error, &tool) {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })
}

/// Names the place of a word that is no text, since the word may be a secret.
fn not_utf8(mut words: impl Iterator<Item = OsString>) -> Failure {
    let place = words.position(|word| word.to_str().is_none()).unwrap_or(0);
    let message = format!("argument {place} is not UTF-8");
    Failure::with(Exit::Usage, message)
        .hint("a file with such a name gets another one: ln -s FILE NAME, then NAME in its place")
}

/// A header that is none may have a password in it all the same.
fn hide_secret(error: &mut clap::Error) {
    let option = error.get(ContextKind::InvalidArg).map(ToString::to_string);
    if option.is_some_and(|option| option.starts_with("--header")) {
        let hidden = ContextValue::String("***".to_owned());
        // What stood there is what is hidden.
        let _ = error.insert(ContextKind::InvalidValue, hidden);
    }
}

/// Where a URL or a file goes that stands on the command line of a filter.
fn unasked(error: &clap::Error, tool: &clap::Command) -> Option<String> {
    let given = error.get(ContextKind::InvalidArg)?.to_string();
    let command = subcommand(tool).unwrap_or(tool);
    let is_filter = command.get_positionals().next().is_none();
    // What a password stands in is not repeated.
    if !is_filter || given.contains('@') {
        return None;
    }
    let is_url = given.starts_with("http://") || given.starts_with("https://");
    let (called, word) = (called(tool), quoted(&given));
    let takes_starts = command
        .get_arguments()
        .any(|arg| arg.get_long() == Some("start"));
    match is_url {
        true if takes_starts => Some(format!("{called} --start {word}")),
        true => Some(format!("URLs are read from stdin: echo {word} | {called}")),
        false if Path::new(&given).is_file() => {
            Some(format!("it reads from stdin: {called} <{word}"))
        }
        false => None,
    }
}

fn subcommand(tool: &clap::Command) -> Option<&clap::Command> {
    let mut words = std::env::args_os().skip(1);
    words.find_map(|word| tool.find_subcommand(word))
}

/// The option that was meant by one with two letters swapped: of short names clap finds no such.
fn swapped(error: &clap::Error, tool: &clap::Command) -> Option<String> {
    let given = error.get(ContextKind::InvalidArg)?.to_string();
    let given = given.strip_prefix("--")?;
    if error.kind() != ErrorKind::UnknownArgument || error.get(ContextKind::SuggestedArg).is_some()
    {
        return None;
    }
    let command = subcommand(tool).unwrap_or(tool);
    let is_meant = |name: &&str| {
        (1..given.len()).any(|at| {
            let mut swapped = given.as_bytes().to_vec();
            swapped.swap(at - 1, at);
            swapped == name.as_bytes()
        })
    };
    let mut names = command.get_arguments().filter_map(clap::Arg::get_long);
    names.find(is_meant).map(|name| format!("'--{name}'"))
}

/// A tool of several commands that was called without one.
fn without_command(tool: &clap::Command) -> Failure {
    let commands = tool.get_subcommands().filter(|one| !one.is_hide_set());
    let names: Vec<&str> = commands.map(clap::Command::get_name).collect();
    let message = format!("a command is missing; there are: {}", names.join(", "));
    Failure::with(Exit::Usage, message).hint(format_args!("{} --help", tool.get_name()))
}

/// The command that was called, `crawl-run batch`, whose help tells more.
fn called(tool: &clap::Command) -> String {
    match subcommand(tool) {
        Some(command) => format!("{} {}", tool.get_name(), command.get_name()),
        None => tool.get_name().to_owned(),
    }
}

/// One line and a hint out of clap's page: what is wrong stands in its first paragraph, what may
/// have been meant behind `tip:`.
fn usage(page: &str, command: &str) -> Failure {
    let lines = page
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty());
    let text = lines.collect::<Vec<_>>().join(" ");
    let mut text = text.strip_prefix("error: ").unwrap_or(&text).to_owned();
    // In the words of whoever wrote the number, not of the parser that failed on it.
    for parser in [
        "invalid digit found in string",
        "cannot parse integer from empty string",
        "number too large to fit in target type",
        "number too small to fit in target type",
    ] {
        text = text.replace(parser, "it is no whole number that fits here");
    }
    let lines = page.lines().map(str::trim);
    // How to pass such a word as a value is no help to anybody who meant an option.
    let tips = lines.filter_map(|line| line.strip_prefix("tip: "));
    for tip in tips.filter(|tip| !tip.starts_with("to pass '")) {
        text.push_str("; ");
        text.push_str(tip);
    }
    Failure::with(Exit::Usage, text).hint(format_args!("{command} --help"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_error_is_one_line_and_a_hint() {
        let page =
            "error: the following required arguments were not provided:\n  <URL>\n\nUsage: x";
        let failure = usage(page, "x");
        assert_eq!(failure.exit, Exit::Usage);
        let want = "the following required arguments were not provided: <URL>";
        assert_eq!(failure.message, want);
        assert_eq!(failure.hint.as_deref(), Some("x --help"));
    }

    #[test]
    fn a_usage_error_says_what_may_have_been_meant_in_plain_words() {
        let page = "error: unexpected argument '--limt' found\n\n  \
                    tip: a similar argument exists: '--limit'\n\n\
                    Usage: x batch --jobs <N> <LIST>\n\nFor more information, try '--help'.";
        let failure = usage(page, "x batch");
        let want = "unexpected argument '--limt' found; a similar argument exists: '--limit'";
        assert_eq!(failure.message, want);
        assert_eq!(failure.hint.as_deref(), Some("x batch --help"));
        let page = "error: invalid value '1x' for '--jobs <N>': invalid digit found in string\n";
        let want = "invalid value '1x' for '--jobs <N>': it is no whole number that fits here";
        assert_eq!(usage(page, "x").message, want);
    }
}
