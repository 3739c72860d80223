//! The command that was typed, to be shown again with a change: what resumes a
//! crawl, or approves what it waits for.

use std::borrow::Cow;
use std::ffi::OsString;

use crawl_ckpt::address::{masked, masked_url};
use crawl_ckpt::tool::quoted;

/// The words of a command line, its program first.
#[derive(Debug, Clone)]
pub struct CommandLine {
    words: Vec<String>,
}

/// Options that throw the checkpoint away: no hint repeats them.
const THROW_AWAY: [&str; 2] = ["--fresh", "--reset-deltafetch"];

impl CommandLine {
    /// Keeps the words of this process, without the options that would throw the checkpoint away.
    pub fn new(words: impl IntoIterator<Item = OsString>) -> CommandLine {
        let words = words
            .into_iter()
            .map(|word| word.to_string_lossy().into_owned())
            .filter(|word| !THROW_AWAY.contains(&word.as_str()))
            .collect();
        CommandLine { words }
    }

    /// The same command with an option set to a value, in place of any value that it has.
    pub fn with(&self, option: &str, value: &str) -> CommandLine {
        let mut command_line = self.without(option);
        command_line.insert([option, value]);
        command_line
    }

    /// The same command with a flag.
    pub fn with_flag(&self, flag: &str) -> CommandLine {
        let mut command_line = self.without_flag(flag);
        command_line.insert([flag]);
        command_line
    }

    /// The same command without a flag.
    pub fn without_flag(&self, flag: &str) -> CommandLine {
        let mut command_line = self.clone();
        command_line.words.retain(|word| word != flag);
        command_line
    }

    /// The program, as it was called.
    pub fn program(&self) -> String {
        self.words.first().cloned().unwrap_or_default()
    }

    /// The same command without an option and its value.
    pub fn without(&self, option: &str) -> CommandLine {
        let joined = format!("{option}=");
        let mut words = Vec::with_capacity(self.words.len());
        let mut skip = false;
        for word in &self.words {
            if std::mem::take(&mut skip) || word.starts_with(&joined) {
                continue;
            }
            if word == option {
                skip = true;
                continue;
            }
            words.push(word.clone());
        }
        CommandLine { words }
    }

    /// Puts words right behind the program, where no `--` can be before them.
    fn insert<const N: usize>(&mut self, words: [&str; N]) {
        let at = self.words.len().min(1);
        self.words.splice(at..at, words.map(str::to_owned));
    }
}

impl std::fmt::Display for CommandLine {
    /// The command, quoted for a shell, with credentials masked.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut is_header = false;
        for (i, word) in self.words.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            let shown = if std::mem::take(&mut is_header) {
                harmless_header(word).into()
            } else {
                match header_in(word) {
                    Some((option, "")) if !option.ends_with('=') => {
                        is_header = true;
                        Cow::Borrowed(word.as_str())
                    }
                    Some((option, header)) => format!("{option}{}", harmless_header(header)).into(),
                    None => masked_url(word),
                }
            };
            f.write_str(&quoted(&shown))?;
        }
        Ok(())
    }
}

/// The option that gives a header, and what of it stands in the same word.
fn header_in(word: &str) -> Option<(&str, &str)> {
    if word == "--header" {
        return Some((word, ""));
    }
    if word.starts_with("--") {
        let at = "--header=".len();
        return word.starts_with("--header=").then(|| word.split_at(at));
    }
    // Flags may stand before it in one word: -qH.
    let flags = word.strip_prefix('-')?;
    let at = flags.find('H')?;
    let is_flags = flags[..at].chars().all(|flag| "qv".contains(flag));
    is_flags.then(|| word.split_at(at + 2))
}

/// Headers whose values everybody may see. Of all others nobody knows what they prove.
const HARMLESS: [&str; 14] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-type",
    "dnt",
    "if-modified-since",
    "if-none-match",
    "pragma",
    "range",
    "te",
    "upgrade-insecure-requests",
    "user-agent",
];

/// A header without what it may prove.
fn harmless_header(header: &str) -> String {
    match header.split_once(':') {
        Some((name, _)) if HARMLESS.contains(&name.trim().to_ascii_lowercase().as_str()) => {
            masked(header).into_owned()
        }
        Some((name, _)) => format!("{name}: ***"),
        None => "***".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command_line(words: &[&str]) -> CommandLine {
        CommandLine::new(words.iter().map(OsString::from))
    }

    #[test]
    fn words_are_quoted_only_where_a_shell_needs_it() {
        let command_line = command_line(&[
            "crawl-run",
            "https://x.example/?a=1&b=2",
            "--fresh",
            "it's",
            "",
            "a\nb",
        ]);
        assert_eq!(
            command_line.to_string(),
            r"crawl-run 'https://x.example/?a=1&b=2' 'it'\''s' '' $'a\012b'"
        );
    }

    #[test]
    fn credentials_are_masked() {
        let command_line = command_line(&[
            "run",
            "https://me:pw@h/x",
            "-H",
            "X-Api-Key: 1",
            "-H",
            "Accept-Language: de",
            "-HX-Pass:1",
            "-qH",
            "My: 1",
            "--header=Accept: x",
            "--header=Session: 1",
            "-H",
            "1",
            "--header",
            "Cookie: a",
            "s.json",
        ]);
        let want = "run 'https://***@h/x' -H 'X-Api-Key: ***' -H 'Accept-Language: de' \
            '-HX-Pass: ***' -qH 'My: ***' '--header=Accept: x' '--header=Session: ***' -H '***' \
            --header 'Cookie: ***' s.json";
        assert_eq!(command_line.to_string(), want);
    }

    #[test]
    fn an_option_is_replaced_in_both_of_its_forms() {
        for words in [
            &["run", "--proxy-type", "auto", "s.json"][..],
            &["run", "s.json", "--proxy-type=auto"],
            &["run", "s.json"],
        ] {
            assert_eq!(
                command_line(words)
                    .with("--proxy-type", "residential")
                    .to_string(),
                "run --proxy-type residential s.json"
            );
        }
    }
}
