//! What lies in a job directory, and what of it is ours: only that is ever removed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use super::manifest;
use super::spool::{SPOOL, remove_spool, spool_file};
use super::{IMAGE, JOURNAL, LEARNED, MANIFEST, REMOVED};
use crate::durable::{Disk, is_no_dir, read_full, remove_if_there};
use crate::journal;
use crate::parts::KINDS;

/// The names in a directory.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Of files that a job has, in the order in which they are removed: what shows that
    /// it is ours goes last.
    ours: Vec<String>,
    /// A file name that a job never has.
    pub foreign: Option<OsString>,
}

impl Contents {
    /// Looks into a directory; `None` when there is none.
    pub fn of(disk: &dyn Disk, dir: &Path) -> io::Result<Option<Contents>> {
        let names = match disk.list(dir) {
            Ok(names) => names,
            Err(e) if is_no_dir(&e) => return Ok(None),
            Err(e) => return Err(e),
        };
        let mut contents = Contents::default();
        for name in names {
            match name.to_str().filter(|name| rank(name).is_some()) {
                Some(SPOOL) => match foreign_in_spool(disk, &dir.join(SPOOL))? {
                    None => contents.ours.push(SPOOL.to_owned()),
                    foreign => contents.foreign = foreign,
                },
                Some(ours) if !disk.is_dir(&dir.join(ours))? => contents.ours.push(ours.to_owned()),
                // The root of a volume.
                _ if name == OsStr::new("lost+found") => {}
                _ => contents.foreign = Some(name),
            }
        }
        contents.ours.sort_by_key(|name| (rank(name), name.clone()));
        if !contents.is_signed(disk, dir)? {
            // They have names of ours, and are somebody else's.
            let ours = std::mem::take(&mut contents.ours).into_iter().next();
            contents.foreign = contents.foreign.or(ours.map(OsString::from));
        }
        Ok(Some(contents))
    }

    /// One file begins as a manifest or a journal of ours does.
    fn is_signed(&self, disk: &dyn Disk, dir: &Path) -> io::Result<bool> {
        for name in self.ours.iter().rev().filter(|name| rank(name) > Some(0)) {
            if is_ours(disk, dir, name)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A manifest or a journal lies here, or what is left of one: the directory is ours.
    pub fn shows_a_job(&self) -> bool {
        self.ours.iter().any(|name| rank(name) > Some(0))
    }

    /// Nothing at all lies here.
    pub fn is_empty(&self) -> bool {
        self.ours.is_empty() && self.foreign.is_none()
    }

    pub fn has(&self, name: &str) -> bool {
        self.ours.iter().any(|ours| ours == name)
    }

    /// The journals, whatever their generation.
    pub fn journals(&self) -> impl Iterator<Item = &str> {
        let names = self.ours.iter().map(String::as_str);
        names.filter(|name| is_journal(name))
    }

    /// Removes what is ours. What is left after a power cut shows a job still, and the word that the
    /// job is removed stays for as long as anything of it does.
    pub fn remove(&self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        let mut before = None;
        for name in &self.ours {
            let rank = rank(name);
            if before == Some(Some(0)) && rank != Some(0) || rank == Some(3) {
                disk.sync_dir(dir)?;
            }
            if name == SPOOL {
                remove_spool(disk, &dir.join(name))?;
            } else {
                remove_if_there(disk, &dir.join(name))?;
            }
            before = Some(rank);
        }
        Ok(())
    }
}

/// What lies in a spool directory and is no spool file; the directory itself when it is none.
fn foreign_in_spool(disk: &dyn Disk, dir: &Path) -> io::Result<Option<OsString>> {
    if !disk.is_dir(dir)? {
        return Ok(Some(SPOOL.into()));
    }
    let names = disk.list(dir)?.into_iter();
    let mut foreign = names.filter(|name| name.to_str().and_then(spool_file).is_none());
    Ok(foreign
        .next()
        .map(|name| Path::new(SPOOL).join(name).into()))
}

/// True for a file that begins as ours do, or is what a power cut may leave of one: nothing, a
/// part of its begin, zeros, or bytes that are no text in a journal's header or in a replacement
/// that was not renamed yet. What is no file is for whoever reads it to tell.
fn is_ours(disk: &dyn Disk, dir: &Path, name: &str) -> io::Result<bool> {
    let sign: &[u8] = if is_journal(name) {
        &journal::SIGN
    } else {
        manifest::SIGN
    };
    let mut begin = [0; journal::HEADER + 1];
    let read = disk
        .open_read(&dir.join(name))
        .and_then(|file| read_full(&*file, &mut begin, 0));
    let begin = match read {
        Ok(count) => &begin[..count],
        // It is no regular file, or was removed since it was listed.
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::NotFound
            ) =>
        {
            return Ok(true);
        }
        Err(e) => return Err(e),
    };
    // No text has a byte that is zero.
    let is_utf8 = str::from_utf8(begin).map_or_else(|e| e.error_len().is_none(), |_| true);
    let is_text = is_utf8 && !begin.contains(&0);
    let is_torn = if is_journal(name) {
        !is_text && begin.len() <= journal::HEADER
    } else {
        !is_text && name.ends_with(".tmp")
    };
    Ok(begin.starts_with(sign)
        || sign.starts_with(begin)
        || begin.iter().all(|byte| *byte == 0)
        || is_torn)
}

/// `journal-<number>`.
pub(super) fn is_journal(name: &str) -> bool {
    let number = name.strip_prefix(JOURNAL);
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// The place of a file of ours in the order of removal; `None` for any other. From 1 on, it
/// shows that the directory is ours.
fn rank(name: &str) -> Option<u8> {
    let file = name.strip_suffix(".tmp").unwrap_or(name);
    match name {
        name if name == REMOVED => Some(3),
        _ if file == MANIFEST => Some(2),
        name if is_journal(name) => Some(1),
        _ if file == IMAGE || name == LEARNED || name == SPOOL => Some(0),
        _ if KINDS.iter().any(|kind| kind.number_of(file).is_some()) => Some(0),
        _ => None,
    }
}
