//! The files that options name for writing: each is another one, and none of them is what the
//! tools keep for themselves.

use std::path::{Path, PathBuf};

use crawl_ckpt::durable::{beside, parent};
use crawl_ckpt::tool::{Exit, Failure};

use crate::place::Place;

/// The files, by the option that names them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Named<'a> {
    /// `-o`
    pub output: Option<&'a Path>,
    /// `--report`
    pub report: Option<&'a Path>,
    /// `--metrics`
    pub metrics: Option<&'a Path>,
    /// `--cookies`
    pub cookies: Option<&'a Path>,
}

impl Named<'_> {
    /// Each of them is written as a whole at some time, and would take the place of another one.
    ///
    /// # Errors
    /// [`Exit::Usage`] for a file that is named twice, and for one of the checkpoint, of what is known of
    /// earlier crawls, or of the project's own.
    pub fn refuse_clashes(&self, place: &Place) -> Result<(), Failure> {
        let named = [
            ("-o", self.output),
            ("--report", self.report),
            ("--metrics", self.metrics),
            ("--cookies", self.cookies),
        ];
        let named = named
            .into_iter()
            .filter_map(|(option, path)| Some((option, path.filter(|path| *path != "-")?)));
        let refused = |why| Err(Failure::with(Exit::Usage, why));
        let mut met: Vec<(&str, PathBuf)> = Vec::new();
        for (option, path) in named {
            let (shown, file) = (path.display(), real(path));
            if let Some((other, _)) = met.iter().find(|(_, met)| *met == file) {
                return refused(format!("{other} and {option} name the same file: {shown}"));
            }
            if is_kept(&file, place) {
                let why = "that is a place of the tools' own";
                return refused(format!("cannot use {option} {shown}: {why}"));
            }
            met.push((option, file));
        }
        Ok(())
    }
}

/// Where a path leads to; what is not there yet lies in its folder.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| {
        let folder = parent(path);
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        folder.join(path.file_name().unwrap_or_default())
    })
}

/// True for what lies in the job directory or beside it by its name, in the folder of what is known
/// of earlier crawls, or has a hidden name in the project's folder.
fn is_kept(file: &Path, place: &Place) -> bool {
    let job = &place.job.dir;
    let spider = parent(job);
    let own = [job.clone(), place.job.delta_dir()];
    let beside = [".lock", ".new", ".removing", ".repaired"].map(|end| beside(job, end));
    if own
        .iter()
        .chain(&beside)
        .any(|own| file.starts_with(real(own)))
    {
        return true;
    }
    let project = real(parent(spider));
    file.strip_prefix(project).is_ok_and(|inside| {
        let first = inside.components().next();
        first.is_some_and(|first| first.as_os_str().as_encoded_bytes().starts_with(b"."))
    })
}
