//! How every tool speaks and ends: exit codes, the error line with its hint,
//! and text from the network made safe for a terminal.

use std::fmt;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::address::masked;
use crate::{stderr, stdio};

/// The exit codes, the same in all tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Complete: nothing is pending.
    Complete = 0,
    /// Failed: the reason is on stderr.
    Failed = 1,
    /// Bad option, bad spider file, spider changed since the checkpoint.
    Usage = 2,
    /// A human must decide.
    Decide = 3,
    /// Stopped at a limit of this run with work pending.
    Stopped = 4,
    /// The job directory is damaged.
    Damaged = 65,
    /// Another run holds the job.
    Held = 75,
    /// Paused by SIGHUP.
    Hangup = 129,
    /// Paused by SIGINT (Ctrl+C).
    Interrupted = 130,
    /// The reader of stdout went away.
    PipeClosed = 141,
    /// Paused by SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// The exit for a pause by a signal number; `Failed` for signals that do not pause.
    pub fn from_signal(signal: i32) -> Exit {
        match signal {
            1 => Exit::Hangup,
            2 => Exit::Interrupted,
            15 => Exit::Terminated,
            _ => Exit::Failed,
        }
    }

    /// The exit that a child's code stands for; `None` for one that is not ours.
    pub fn from_code(code: i32) -> Option<Exit> {
        use Exit::*;
        [
            Complete,
            Failed,
            Usage,
            Decide,
            Stopped,
            Damaged,
            Held,
            Hangup,
            Interrupted,
            PipeClosed,
            Terminated,
        ]
        .into_iter()
        .find(|exit| *exit as i32 == code)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Why a tool ends early: what to print, and the exit code.
///
/// Prints as `TOOL: what happened: why`, then a `hint:` line where a command mends it.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// `what happened: why`; empty ends the tool without a word.
    pub message: String,
    /// The command that mends it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with exit code 1.
    pub fn new(message: impl fmt::Display) -> Failure {
        Failure::with(Exit::Failed, message)
    }

    /// A failure with an exit code of its own.
    pub fn with(exit: Exit, message: impl fmt::Display) -> Failure {
        Failure {
            exit,
            message: message.to_string(),
            hint: None,
        }
    }

    /// Adds the command that mends it.
    pub fn hint(mut self, hint: impl fmt::Display) -> Failure {
        self.hint = Some(hint.to_string());
        self
    }

    /// The reader of stdout went away: no word, exit 141.
    pub fn pipe_closed() -> Failure {
        Failure::with(Exit::PipeClosed, "")
    }

    /// For errors of writing to stdout: quiet when the reader went away.
    pub fn from_stdout(error: io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Failure::pipe_closed()
        } else {
            Failure::new(format_args!("cannot write to stdout: {error}"))
        }
    }
}

/// Reads the command line. `--help` and `--version` print and end with exit code 0, a command
/// line that makes no sense with [`Exit::Usage`].
///
/// # Errors
/// What [`finish`] ends the program with.
pub fn parse<Cli: clap::Parser>() -> Result<Cli, Failure> {
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
        hide_secret(&mut error);
        let tool = Cli::command();
        let mut failure = usage(&error.render().to_string(), &called(&tool));
        if let Some(meant) = swapped(&error, &tool) {
            failure.message.push_str(&format!("; {meant} exists"));
        }
        failure
    })
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

/// The option that was meant by one with two letters swapped: of short names clap finds no such.
fn swapped(error: &clap::Error, tool: &clap::Command) -> Option<String> {
    let given = error.get(ContextKind::InvalidArg)?.to_string();
    let given = given.strip_prefix("--")?;
    if error.kind() != ErrorKind::UnknownArgument || error.get(ContextKind::SuggestedArg).is_some()
    {
        return None;
    }
    let mut words = std::env::args_os().skip(1);
    let command = words
        .find_map(|word| tool.find_subcommand(word))
        .unwrap_or(tool);
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
    let mut words = std::env::args_os().skip(1);
    let command = words.find_map(|word| tool.find_subcommand(word));
    match command {
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
    for tip in lines.filter_map(|line| line.strip_prefix("tip: ")) {
        text.push_str("; ");
        text.push_str(tip);
    }
    Failure::with(Exit::Usage, text).hint(format_args!("{command} --help"))
}

/// Who prints to stdout what somebody counts on asks this before anything is done.
///
/// # Errors
/// Stdout is closed, or open for reading only.
pub fn need_stdout() -> Result<(), Failure> {
    stdio::check_stdout().map_err(Failure::from_stdout)
}

/// Who reads stdin asks this before anything is done: its end would be taken for that of all.
///
/// # Errors
/// Stdin is closed.
pub fn need_stdin() -> Result<(), Failure> {
    stdio::check_stdin().map_err(|e| Failure::new(format_args!("cannot read stdin: {e}")))
}

/// Ends `main`: prints the failure, if any, and gives the exit code once all that was said is
/// read, or nobody reads.
pub fn finish(tool: &str, result: Result<Exit, Failure>) -> ExitCode {
    let exit = match result {
        Ok(exit) => exit,
        Err(failure) => {
            if !failure.message.is_empty() {
                let mut text = format!("{tool}: {}\n", told(&failure.message));
                if let Some(hint) = &failure.hint {
                    text.push_str(&format!("hint: {}\n", told(hint)));
                }
                stderr::write(&text);
            }
            failure.exit
        }
    };
    stderr::end();
    exit.into()
}

/// Prints one line `TOOL: message` on stderr. For warnings and news.
pub fn say(tool: &str, message: impl fmt::Display) {
    stderr::write(&format!("{tool}: {}\n", told(&message.to_string())));
}

/// What is said of anything leaves here: no password in it, no control character.
pub fn told(text: &str) -> String {
    printable(&masked(text))
}

/// The text with control characters escaped, so that nothing from the network
/// moves a terminal's cursor or forges a second line.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.extend(c.escape_unicode()),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// One word as a POSIX shell reads it back; control characters in the `$'…'` form.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    if !word.chars().any(char::is_control) {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let mut out = String::from("$'");
    for c in word.chars() {
        match c {
            '\'' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let mut utf8 = [0; 4];
                for byte in c.encode_utf8(&mut utf8).bytes() {
                    out.push_str(&format!("\\{byte:03o}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// The words of a command that [`quoted`] wrote; `None` for anything else that a shell would take, such as
/// a variable, a pipe or a second command.
pub fn unquoted(command: &str) -> Option<Vec<String>> {
    let (mut words, mut rest) = (Vec::new(), command);
    loop {
        let (word, end) = first_word(rest)?;
        words.push(word);
        match rest[end..].strip_prefix(' ') {
            Some(after) => rest = after,
            None if end == rest.len() => break,
            None => return None,
        }
    }
    let again: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    (again.join(" ") == command).then_some(words)
}

/// The first word, and where it ends.
fn first_word(text: &str) -> Option<(String, usize)> {
    if let Some(inner) = text.strip_prefix("$'") {
        let (mut word, mut at) = (Vec::new(), 0);
        loop {
            match *inner.as_bytes().get(at)? {
                b'\'' => return Some((String::from_utf8(word).ok()?, at + 3)),
                b'\\' => match inner.as_bytes().get(at + 1)? {
                    b'0'..=b'3' => {
                        let octal = inner.get(at + 1..at + 4)?;
                        word.push(u8::from_str_radix(octal, 8).ok()?);
                        at += 4;
                    }
                    escaped => {
                        word.push(*escaped);
                        at += 2;
                    }
                },
                byte => {
                    word.push(byte);
                    at += 1;
                }
            }
        }
    }
    let (mut word, mut at) = (String::new(), 0);
    // `'…'` pieces, with `\'` between them.
    while let Some(inner) = text[at..].strip_prefix('\'') {
        let end = inner.find('\'')?;
        word.push_str(&inner[..end]);
        at += end + 2;
        if text[at..].starts_with("\\'") {
            word.push('\'');
            at += 2;
        }
    }
    if at == 0 {
        at = text.find(' ').unwrap_or(text.len());
        word.push_str(&text[..at]);
    }
    Some((word, at))
}

/// Reads a duration as on the command line: `90s`, `20m`, `8h`, `7d`, `500ms`, several of them in
/// a row (`1h30m`), or a bare number of seconds; fractions are allowed.
///
/// # Errors
/// Says what a duration looks like.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("'{text}' is no duration (such as 500ms, 90s, 20m, 1h30m, 8h, 7d)");
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let (mut sum, mut rest, mut last) = (0.0, text, f64::INFINITY);
    loop {
        let (number, behind) = rest.split_at(rest.find(|c| !is_number(c)).unwrap_or(rest.len()));
        let (unit, behind) = behind.split_at(behind.find(is_number).unwrap_or(behind.len()));
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "" if number.len() == text.len() => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            _ => return Err(bad()),
        };
        let number: f64 = number.parse().map_err(|_| bad())?;
        // `30m1h` and `1h1h` are slips.
        if seconds >= last {
            return Err(bad());
        }
        sum += number * seconds;
        (rest, last) = (behind, seconds);
        if rest.is_empty() {
            return Duration::try_from_secs_f64(sum).map_err(|_| bad());
        }
    }
}

/// Reads a size in bytes as on the command line: `500K`, `32M`, `1G` (powers of 1024), or a
/// bare number.
///
/// # Errors
/// Says what a size looks like.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let (number, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let bytes = number.parse::<usize>().ok();
    let bytes = bytes.and_then(|number| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| format!("'{text}' is no size (such as 500K, 32M or 1G)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        assert_eq!(parse_size("500k"), Ok(500 << 10));
        assert_eq!(parse_size("32M"), Ok(32 << 20));
        assert_eq!(parse_size("3G"), Ok(3 << 30));
        assert_eq!(parse_size("7"), Ok(7));
        for bad in ["", "G", "-1G", "1.5M", "1T", "99999999999999999999G"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_read_as_people_write_them() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("3"), Ok(Duration::from_secs(3)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(
            parse_duration("1d2h3m4.5s"),
            Ok(Duration::from_millis(93_784_500))
        );
        assert_eq!(parse_duration("1s500ms"), Ok(Duration::from_millis(1500)));
        for bad in [
            "",
            "s",
            "1x",
            "-1s",
            "1.2.3s",
            "30m1h",
            "1h1h",
            "1h30",
            "1h 30m",
            "h30m",
            "9e99d",
            "99999999999999999999999d",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

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

    #[test]
    fn words_are_quoted_only_where_a_shell_needs_it() {
        for (word, want) in [
            ("https://x.example/?a=1", "'https://x.example/?a=1'"),
            ("data/p_s", "data/p_s"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("a\nb", r"$'a\012b'"),
        ] {
            assert_eq!(quoted(word), want);
        }
    }

    #[test]
    fn a_command_that_was_quoted_is_read_back_and_nothing_else_is() {
        for words in [
            &["crawl-run", "https://x.example/?a=1&b=2", "-H", "a: b"][..],
            &["it's", "'", "''", "\\", "", "a\nb", "\u{1b}[1mü'\\", "ü ö"],
        ] {
            let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            let command = quoted.join(" ");
            assert_eq!(
                unquoted(&command).as_deref(),
                Some(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()[..]),
                "{command}"
            );
        }
        for other in [
            "crawl-run x; rm -rf /",
            "crawl-run $(id)",
            "crawl-run `id`",
            "crawl-run a | sh",
            "crawl-run  two",
            "crawl-run\nid",
            "crawl-run 'open",
            "crawl-run $'a",
            "crawl-run 'a'b",
            "crawl-run ~",
            "",
        ] {
            assert_eq!(unquoted(other), None, "{other}");
        }
    }

    #[test]
    fn terminal_escapes_and_newlines_are_shown_not_obeyed() {
        assert_eq!(
            printable("a\u{1b}[31m\nb\u{202e}"),
            "a\\u{1b}[31m\\nb\\u{202e}"
        );
    }
}
