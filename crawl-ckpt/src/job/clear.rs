//! Throwing a job away: its unfinished output gets another name, then the job goes.
//!
//! This takes two renames. The manifest says first that a clearing is under way, so that whoever comes
//! after a kill between them finishes it, instead of finding an output that is missing.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Job, OutputPlace};
use crate::durable::{Disk, RealDisk, parent, remove_if_there};
use crate::error::StoreError;
use crate::lock::JobLock;
use crate::summary::{CrawlSummary, summary_of};

/// A job that is being thrown away.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Clearing {
    /// The new name of its output, if that gets one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aside: Option<OutputPlace>,
    /// The new name of the directory of its WARC files, if that gets one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warc_aside: Option<OutputPlace>,
}

impl Job {
    /// Throws the job away; its output and the directory of its WARC files are renamed before. Durable when
    /// this returns.
    ///
    /// # Errors
    /// Errors of the disk. What is left undone is noted in the job as soon as anything was done.
    pub fn throw_away(
        mut self,
        lock: &JobLock,
        data_dir: &Path,
        (aside, warc_aside): (Option<&Path>, Option<&Path>),
    ) -> Result<(), StoreError> {
        let place = |path| OutputPlace::file(path, data_dir);
        let (aside, warc_aside) = (aside.map(place), warc_aside.map(place));
        self.update(lock, |manifest| {
            manifest.clearing = Some(Clearing { aside, warc_aside });
        })?;
        self.finish_clearing(lock, data_dir).map(drop)
    }

    /// Finishes what [`Job::throw_away`] began. Gives the new name of the output, if that got one.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn finish_clearing(
        self,
        lock: &JobLock,
        data_dir: &Path,
    ) -> Result<Option<PathBuf>, StoreError> {
        let output = self.manifest().output_file(data_dir);
        let aside = self.aside(data_dir);
        if let Some(output) = &output {
            let left = super::replacement(output, self.manifest());
            remove_if_there(&RealDisk, &left).map_err(StoreError::io("remove", &left))?;
        }
        if let (Some(output), Some(aside)) = (output, &aside) {
            rename_output(&output, aside).map_err(StoreError::io("rename", &output))?;
        }
        self.put_warc_aside(data_dir)?;
        self.remove(lock)?;
        Ok(aside)
    }

    /// The new name that the output has, or gets next, while the job is being thrown away.
    pub fn aside(&self, data_dir: &Path) -> Option<PathBuf> {
        let output = self.manifest().output_file(data_dir)?;
        let aside = self.manifest().clearing.as_ref()?.aside.as_ref()?;
        // Only such a name is ever given; a job that came from elsewhere may hold any other.
        aside
            .resolve(data_dir)
            .filter(|aside| is_name_of(aside, &output))
    }
}

impl Job {
    /// Gives the directory of the WARC files its new name, with whole files in it only.
    fn put_warc_aside(&self, data_dir: &Path) -> Result<(), StoreError> {
        let clearing = self.manifest().clearing.as_ref();
        let aside = clearing.and_then(|clearing| clearing.warc_aside.as_ref()?.resolve(data_dir));
        let dir = self.warc_dir(data_dir);
        let (Some(dir), Some(aside)) = (dir, aside) else {
            return Ok(());
        };
        if !is_name_of(&aside, &dir) {
            return Ok(());
        }
        // Where the journal cannot tell, they are renamed as they are.
        if let Ok(commit) = self.last_commit()
            && self
                .check_warc(&commit.clone().unwrap_or_default(), data_dir)
                .is_ok()
        {
            self.settle_warc(&commit.unwrap_or_default(), data_dir)?;
        }
        rename_aside(&dir, &aside).map_err(StoreError::io("rename", &dir))
    }
}

/// True for the name of a file, in the same folder, with `.partial` and perhaps a number behind it.
fn is_name_of(aside: &Path, output: &Path) -> bool {
    let (aside, output) = (aside.as_os_str(), output.as_os_str());
    let added = aside
        .as_encoded_bytes()
        .strip_prefix(output.as_encoded_bytes());
    added.is_some_and(|added| added.starts_with(b".partial") && !added.contains(&b'/'))
}

/// Renames an output that was not renamed yet, and the summary of its crawl, durably.
///
/// # Errors
/// Errors of the file system.
pub fn rename_output(output: &Path, aside: &Path) -> io::Result<()> {
    let summary = summary_of(output);
    // What else has its name stays there.
    if matches!(CrawlSummary::read(&summary), Ok(Some(read)) if read.is_of(output)) {
        rename_aside(&summary, &summary_of(aside))?;
    }
    rename_aside(output, aside)
}

/// Renames what was not renamed yet, durably.
///
/// # Errors
/// Errors of the file system.
pub fn rename_aside(output: &Path, aside: &Path) -> io::Result<()> {
    if is_there(output)? && !is_there(aside)? {
        RealDisk.rename(output, aside)?;
    }
    RealDisk.sync_dir(parent(aside))
}

fn is_there(path: &Path) -> io::Result<bool> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}
