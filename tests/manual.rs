//! Man pages, completions and `--help` say all that the command lines take.
#![allow(clippy::unwrap_used)]

mod support;

use clap::{Arg, Command, CommandFactory};
use crawl_run::spider::chapters;
use support::{Done, Folder, Site, Tool, has, target_dir};

fn tools() -> [Command; 4] {
    [
        crawl_run::cli::Cli::command(),
        crawl_fetch::cli::Cli::command(),
        crawl_frontier::cli::Args::command(),
        crawl_ckpt::cli::Cli::command(),
    ]
}

/// A folder with all pages and completions, as below PREFIX/share. `cargo test` builds the program,
/// `cargo test --test manual` alone does not.
fn manual() -> Folder {
    let folder = Folder::new();
    let program = target_dir().join("examples/manual");
    Tool::program(program)
        .arg(folder.as_os_str())
        .run()
        .code(0)
        .is_quiet();
    folder
}

/// `--long`, `-s`: what is typed for an argument; nothing for one that is hidden.
fn words(arg: &Arg) -> Vec<String> {
    let long = arg.get_long().map(|long| format!("--{long}"));
    let short = arg.get_short().map(|short| format!("-{short}"));
    let shown = long.into_iter().chain(short).filter(|_| !arg.is_hide_set());
    shown.collect()
}

/// The file and its text.
fn page(folder: &Folder, name: &str) -> String {
    folder
        .read(&format!("man/man1/{name}.1"))
        .replace("\\-", "-")
}

#[track_caller]
fn names_all_of(page: &str, command: &Command) {
    let name = command.get_name();
    for arg in command.get_arguments() {
        for word in words(arg) {
            let shown = format!("\\fB{word}\\fR");
            assert!(page.contains(&shown), "{name}: no {word}");
        }
        if arg.is_positional() {
            let value = &arg.get_value_names().unwrap()[0];
            assert!(page.contains(value.as_str()), "{name}: no {value}");
        }
    }
}

#[test]
fn the_pages_name_every_option_of_every_command() {
    let folder = manual();
    for mut tool in tools() {
        tool.build();
        let name = tool.get_name().to_owned();
        let text = page(&folder, &name);
        names_all_of(&text, &tool);
        for heading in ["EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES"] {
            assert!(
                text.contains(&format!(".SH \"{heading}\""))
                    || text.contains(&format!(".SH {heading}")),
                "{name}: {heading}"
            );
        }
        for command in tool.get_subcommands().filter(|c| c.get_name() != "help") {
            let sub = format!("{name}-{}", command.get_name());
            assert!(text.contains(&format!("{sub}(1)")), "{sub}");
            names_all_of(&page(&folder, &sub), command);
        }
    }
}

#[test]
fn the_page_of_spider_files_and_the_readme_name_every_key() {
    let page = manual().read("man/man5/crawl-spider.5").replace("\\-", "-");
    for key in chapters().iter().flat_map(|chapter| &chapter.keys) {
        let shown = format!("\\fB{}\\fR ({})", key.name, key.form());
        assert!(page.contains(&shown), "no {shown}");
    }
    let chapters = chapters();
    let settings = chapters.iter().find(|chapter| chapter.key == "settings");
    let mut table = String::from("| setting | default | what it is |\n|---|---|---|\n");
    for key in &settings.unwrap().keys {
        let default = key.default().map(|default| format!("`{default}`"));
        let default = default.unwrap_or_default().replace('"', "");
        table.push_str(&format!("| `{}` | {default} | {} |\n", key.name, key.says));
    }
    let readme = include_str!("../README.md");
    assert!(
        readme.contains(&table),
        "the README has no such table:\n{table}"
    );
}

/// What is code in the README: words between backticks, and the lines of blocks.
fn code_of_the_readme() -> Vec<String> {
    let (mut code, mut running) = (Vec::new(), String::new());
    let mut inside = false;
    for line in include_str!("../README.md").lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if inside || line.starts_with("    ") {
            code.push(line.to_owned());
        } else {
            running.push_str(line);
            running.push(' ');
        }
    }
    code.extend(running.split('`').skip(1).step_by(2).map(str::to_owned));
    code
}

#[test]
fn every_option_that_the_readme_names_is_one_of_a_tool() {
    let mut known: Vec<(String, Vec<String>)> = Vec::new();
    for mut tool in tools() {
        tool.build();
        let subs = tool.get_subcommands().flat_map(Command::get_arguments);
        let options = tool.get_arguments().chain(subs).flat_map(words);
        known.push((tool.get_name().to_owned(), options.collect()));
    }
    // scripts/torture has the one, wget the other.
    let of_others = ["--every-operation", "--warc-file"];
    let mut count = 0;
    for code in code_of_the_readme() {
        // Each program of a pipe for itself.
        for command in code.split(['|', ';', '#']) {
            let tool = known
                .iter()
                .find(|(name, _)| command.contains(name.as_str()));
            if tool.is_none() && !command.starts_with("--") {
                continue;
            }
            let begin = tool.map_or(0, |(name, _)| command.find(name.as_str()).unwrap());
            for word in command[begin..].split_whitespace() {
                let name = word.split(['=', '[']).next().unwrap();
                if !name.starts_with("--") || of_others.contains(&name) {
                    continue;
                }
                let is_known = match tool {
                    Some((_, options)) => options.iter().any(|option| option == name),
                    None => known.iter().any(|(_, all)| all.iter().any(|o| o == name)),
                };
                assert!(is_known, "no tool has {name}: {code:?}");
                count += 1;
            }
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn the_pages_are_sound() {
    let folder = manual();
    let pages = folder.files().into_iter();
    let pages: Vec<_> = pages
        .filter(|file| file.extension().is_some_and(|e| e == "1" || e == "5"))
        .collect();
    assert!(pages.len() > 15, "{pages:?}");
    let sound = |done: Done| done.code(0).is_quiet();
    if has("mandoc") {
        let lint = Tool::program("mandoc").args(["-T", "lint", "-W", "warning"]);
        sound(lint.args(&pages).dir(&folder).run()).prints_just("");
    }
    if has("man") {
        for page in &pages {
            let man = Tool::program("man").args(["--warnings", "-l"]).arg(page);
            let man = man
                .env("MANPAGER", "cat")
                .env("LC_ALL", "C.UTF-8")
                .dir(&folder);
            sound(man.run()).prints("SEE ALSO");
        }
    }
}

#[test]
fn the_completions_are_scripts_that_know_every_long_option() {
    let folder = manual();
    for (shell, dir, before, after) in [
        ("bash", "bash-completion/completions", "", ""),
        ("zsh", "zsh/site-functions", "_", ""),
        ("fish", "fish/vendor_completions.d", "", ".fish"),
    ] {
        for tool in tools() {
            let name = tool.get_name();
            let file = format!("{dir}/{before}{name}{after}");
            let text = folder.read(&file);
            for arg in tool.get_arguments().filter(|arg| !arg.is_hide_set()) {
                let long = arg.get_long().unwrap_or_default();
                assert!(text.contains(long), "{file}: no {long}");
            }
            if has(shell) {
                let check = Tool::program(shell).args(["-n", &file]);
                check.dir(&folder).run().code(0).is_quiet();
            }
        }
    }
    if has("bash") {
        let ask = "source bash-completion/completions/crawl-run; COMP_WORDS=(crawl-run --max-p); \
                   COMP_CWORD=1; _crawl__run crawl-run --max-p crawl-run; echo ${COMPREPLY[@]}";
        let done = Tool::program("bash").args(["-c", ask]).dir(&folder).run();
        done.code(0)
            .prints_just("--max-pages --max-pages-per-host\n");
    }
}

#[test]
fn the_completions_of_crawl_ckpt_know_the_checkpoints() {
    const BASH: &str = "source man/bash-completion/completions/crawl-ckpt; \
        COMP_WORDS=(crawl-ckpt --data-dir kept show shop/); COMP_CWORD=4; \
        _crawl-ckpt-checkpoints crawl-ckpt shop/ show; echo ${COMPREPLY[@]}";
    const ZSH: &str = "compdef() { }; compadd() { print -l -- $@[2,-1] }; autoload is-at-least; \
        source man/zsh/site-functions/_crawl-ckpt; typeset -A opt_args; \
        opt_args[--data-dir]=kept; _crawl-ckpt-checkpoints";
    const FISH: &str = "source man/fish/vendor_completions.d/crawl-ckpt.fish; \
        complete -C 'crawl-ckpt --data-dir kept show shop/'";
    let (folder, man) = (Folder::new(), manual());
    std::os::unix::fs::symlink(&*man, folder.join("man")).unwrap();
    for name in ["a", "b"] {
        let site = Site::tree(9, 3);
        Tool::new("crawl-run")
            .dir(&folder)
            .args([
                "--data-dir",
                "kept",
                "--project",
                "shop",
                "--max-pages",
                "1",
                "-q",
            ])
            .arg(spider(&folder, name, &site.url("/")))
            .run()
            .code(4);
    }
    let tools = support::bin("crawl-ckpt");
    let path = std::env::join_paths(
        std::iter::once(tools.parent().unwrap().to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    for (shell, option, script, want) in [
        ("bash", "-c", BASH, "shop/a shop/b\n"),
        ("zsh", "-fc", ZSH, "shop/a\nshop/b\n"),
        ("fish", "-c", FISH, "shop/a\nshop/b\n"),
    ] {
        if has(shell) {
            let ask = Tool::program(shell).args([option, script]).dir(&folder);
            let ask = ask.env("PATH", path.as_ref().unwrap());
            ask.run().code(0).prints_just(want);
        }
    }
}

/// A spider file of that name.
fn spider(folder: &Folder, name: &str, url: &str) -> String {
    let file = format!("{name}.json");
    folder.write(
        &file,
        format!(r#"{{"name": "{name}", "start_urls": ["{url}"]}}"#),
    );
    file
}

#[test]
fn the_help_of_all_tools_ends_with_examples() {
    for tool in tools() {
        let name = tool.get_name();
        let long = Tool::new(name).arg("--help").run().code(0).text();
        let (_, examples) = long.split_once("\nExamples:\n").expect(name);
        assert!(
            examples.lines().any(|line| line.contains(name)),
            "{name}: {examples}"
        );
        let short = Tool::new(name).arg("-h").run().code(0).text();
        assert!(!short.contains("Examples:"), "{name}");
    }
}
