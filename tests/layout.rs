//! The `# Layout` of each crate and folder that has one is true: a room uses only what stands
//! before it, in its own line or in one above.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// Words in backticks, without the marks of folders and links.
fn names(text: &str) -> Vec<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .map(|name| name.trim_end_matches('/').to_owned())
        .collect()
}

/// The lines of the table behind `# Layout`: where, and what lies there.
fn layout(text: &str) -> Option<Vec<[Vec<String>; 2]>> {
    let (_, rest) = text.split_once("//! # Layout")?;
    let table = rest.lines().filter_map(|line| line.strip_prefix("//! | "));
    let rows = table.map(|line| {
        let (place, what) = line.split_once('|').unwrap();
        [names(place), names(what)]
    });
    Some(rows.collect())
}

/// The line of a room and its place there, or the line of what a room gives the name of.
fn place_of(rows: &[[Vec<String>; 2]], name: &str) -> Option<(usize, usize)> {
    let find = |column: usize| {
        rows.iter().enumerate().find_map(|(line, row)| {
            let place = row[column].iter().position(|other| other == name)?;
            Some((line, if column == 0 { place } else { 0 }))
        })
    };
    find(0).or_else(|| find(1))
}

/// `a::{b, c::{d}}` as `a::b` and `a::c::d`.
fn paths(tree: &str) -> Vec<String> {
    let Some((prefix, inner)) = tree.split_once('{') else {
        return vec![tree.trim().to_owned()];
    };
    let inner = inner.trim_end().strip_suffix('}').unwrap();
    let mut depth = 0;
    let parts = inner.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    let parts = parts.filter(|part| !part.trim().is_empty());
    parts
        .flat_map(paths)
        .map(|path| format!("{}{path}", prefix.trim()))
        .collect()
}

/// The modules that a file uses, from the root of its crate; tests may use all.
fn uses(text: &str, module: &[String]) -> Vec<Vec<String>> {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = text.lines().filter(|line| !line.trim().starts_with("//"));
    let code: String = lines.collect::<Vec<_>>().join(" ");
    let used = code.split("use ").skip(1).filter_map(|rest| {
        let begins = ["crate::", "super::", "self::"];
        begins
            .iter()
            .any(|word| rest.starts_with(word))
            .then(|| rest.split(';').next().unwrap())
    });
    let inline = code.split("crate::").skip(1).map(|rest| {
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        format!(
            "crate::{}",
            rest[..end.unwrap_or(rest.len())].trim_end_matches(':')
        )
    });
    let all = used.flat_map(paths).chain(inline);
    all.map(|path| {
        let mut base = module.to_vec();
        for (n, word) in path.split("::").enumerate() {
            match word {
                "crate" => base.clear(),
                "super" => drop(base.pop()),
                "self" if n == 0 => {}
                word => base.push(word.to_owned()),
            }
        }
        base
    })
    .collect()
}

/// A file's module, from the root of its crate.
fn module_of(file: &Path, src: &Path) -> Vec<String> {
    let path = file.strip_prefix(src).unwrap().with_extension("");
    let words = path.iter().map(|word| word.to_str().unwrap().to_owned());
    words
        .filter(|word| word != "mod" && word != "lib")
        .collect()
}

fn sources(below: &Path) -> Vec<(PathBuf, String)> {
    let files = WalkDir::new(below).sort_by_file_name().into_iter();
    let files = files.map(|file| file.unwrap().into_path());
    let files = files.filter(|file| file.extension().is_some_and(|ext| ext == "rs"));
    files
        .map(|file| (file.clone(), std::fs::read_to_string(file).unwrap()))
        .collect()
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The sources of each member: its folder, and what is in it.
fn members() -> impl Iterator<Item = (PathBuf, Vec<(PathBuf, String)>)> {
    ["crawl-ckpt", "crawl-fetch", "crawl-frontier", "crawl-run"]
        .map(|member| {
            let src = top().join(member).join("src");
            let files = sources(&src);
            (src, files)
        })
        .into_iter()
}

#[test]
fn each_room_uses_only_what_the_layout_has_before_it() {
    let (mut tables, mut wrong) = (0, Vec::new());
    for (src, files) in members() {
        for (file, text) in &files {
            let Some(rows) = layout(text) else { continue };
            tables += 1;
            let folder = module_of(file, &src);
            let room = |path: &[String]| {
                let inside = path.strip_prefix(&*folder)?;
                inside.first().filter(|name| **name != "main").cloned()
            };
            for (user, text) in &files {
                let module = module_of(user, &src);
                // Tests may use all.
                if module.last().is_some_and(|name| name == "tests") {
                    continue;
                }
                let Some(own) = room(&module) else { continue };
                let Some(place) = place_of(&rows, &own) else {
                    wrong.push(format!(
                        "{}: no line of the layout has `{own}`",
                        file.display()
                    ));
                    continue;
                };
                for other in uses(text, &module).iter().filter_map(|path| room(path)) {
                    // A thing of the folder itself is no room.
                    if place_of(&rows, &other).is_some_and(|other| other > place) {
                        wrong.push(format!(
                            "{} uses `{other}`, which does not stand before `{own}`",
                            user.display()
                        ));
                    }
                }
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tables >= 5, "{tables}");
}

#[test]
fn what_understands_pages_knows_nothing_of_what_fetches_them() {
    let (src, files) = members().nth(1).unwrap();
    let rooms = [("page", "http"), ("http", "page")];
    for (file, text) in &files {
        let module = module_of(file, &src);
        for (room, other) in rooms {
            let is_in = |path: &[String], room: &str| path.first().is_some_and(|name| name == room);
            let crosses = uses(text, &module).iter().any(|path| is_in(path, other));
            assert!(
                !(is_in(&module, room) && crosses),
                "{} uses {other}",
                file.display()
            );
        }
    }
}

#[test]
fn no_two_types_of_a_crate_share_a_name() {
    for (src, files) in members() {
        let mut seen = BTreeMap::new();
        for (file, text) in &files {
            for line in text.lines() {
                let line = line
                    .trim_start_matches("pub ")
                    .trim_start_matches("pub(crate) ")
                    .trim_start_matches("pub(super) ");
                let kinds = ["struct ", "enum ", "trait ", "type "];
                let Some(rest) = kinds.iter().find_map(|kind| line.strip_prefix(kind)) else {
                    continue;
                };
                let name: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
                let before = seen.insert(name.clone(), file.clone());
                assert!(
                    before.is_none(),
                    "{name} in {} and {before:?} of {}",
                    file.display(),
                    src.display()
                );
            }
        }
        assert!(!seen.is_empty());
    }
}

#[test]
fn what_the_readme_for_developers_names_is_there() {
    let text = std::fs::read_to_string(top().join("scripts/README.md")).unwrap();
    let dirs = ["crawl-", "scripts/", "tests/"];
    let is_path = |name: &String| {
        let begins = dirs.iter().any(|dir| name.starts_with(dir));
        (begins || name.ends_with(".rs")) && !name.contains(' ')
    };
    let named = names(&text).into_iter().filter(is_path);
    // `a/{b,c}.rs` is two files.
    let named = named.flat_map(|name| match name.split_once('{') {
        Some((before, rest)) => {
            let (inner, behind) = rest.split_once('}').unwrap();
            let each = inner.split(',');
            each.map(|one| format!("{before}{one}{behind}")).collect()
        }
        None => vec![name],
    });
    let named: Vec<PathBuf> = named.map(PathBuf::from).collect();
    assert!(named.len() > 30, "{named:?}");
    let files: Vec<PathBuf> = members()
        .flat_map(|(_, files)| files.into_iter().map(|(file, _)| file))
        .collect();
    for path in named {
        let is_there = top().join(&path).exists() || files.iter().any(|file| file.ends_with(&path));
        assert!(is_there, "{} is not there", path.display());
    }
}
