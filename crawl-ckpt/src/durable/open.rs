//! The one door to files that lie where others can put something: in a job directory, beside it, in
//! its output's folder. A directory that came from elsewhere may hold a FIFO, a device or a link under
//! the name of a file of ours; opening it must neither wait nor lead away.

use std::fs::{File, FileType, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Whether the last name of a path may be a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// A link is refused: a file of ours is never one.
    Refused,
    /// A link is followed: the file is the user's own, such as an output.
    Followed,
}

/// Opens a file that is there, for reading, or for reading and writing. Never waits.
///
/// # Errors
/// Errors of the file system. What is no regular file is [`io::ErrorKind::InvalidData`].
pub fn open_file(path: &Path, write: bool, links: Links) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(write);
    through(&mut options, path, links)
}

/// Opens a directory that is there, to lock or to sync it.
///
/// # Errors
/// Errors of the file system; what is no directory is an error too.
pub(crate) fn open_dir(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::NONBLOCK | OFlags::DIRECTORY).bits() as i32)
        .open(path)
}

/// Opens the file with these options, so that it neither waits nor is anything but a file.
pub(crate) fn through(options: &mut OpenOptions, path: &Path, links: Links) -> io::Result<File> {
    let no_follow = match links {
        Links::Refused => OFlags::NOFOLLOW,
        Links::Followed => OFlags::empty(),
    };
    options.custom_flags((OFlags::NONBLOCK | no_follow).bits() as i32);
    let file = options
        .open(path)
        .map_err(|error| no_file(path, links).unwrap_or(error))?;
    let found = file.metadata()?.file_type();
    if !found.is_file() {
        return Err(is_no_file(found));
    }
    // Of a file nothing ever waits for this; whoever gets the descriptor shall find the usual.
    rustix::fs::fcntl_setfl(
        file.as_fd(),
        rustix::fs::fcntl_getfl(&file)? - OFlags::NONBLOCK,
    )?;
    Ok(file)
}

/// What is there instead, when that is why it could not be opened.
fn no_file(path: &Path, links: Links) -> Option<io::Error> {
    let metadata = match links {
        Links::Refused => path.symlink_metadata(),
        Links::Followed => path.metadata(),
    };
    let found = metadata.ok()?.file_type();
    (!found.is_file()).then(|| is_no_file(found))
}

fn is_no_file(found: FileType) -> io::Error {
    let what = match found {
        found if found.is_symlink() => "a symbolic link",
        found if found.is_dir() => "a directory",
        found if found.is_fifo() => "a FIFO",
        found if found.is_socket() => "a socket",
        _ => "a device",
    };
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("it is {what} and not a file"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    #[test]
    fn nothing_but_a_file_comes_through() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("file"), "x").unwrap();
        std::fs::create_dir(at("dir")).unwrap();
        symlink(at("file"), at("link")).unwrap();
        symlink(at("fifo"), at("link to a FIFO")).unwrap();
        let _listener = UnixListener::bind(at("socket")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("fifo"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        for write in [false, true] {
            for links in [Links::Refused, Links::Followed] {
                assert!(open_file(&at("file"), write, links).is_ok());
                for (name, what) in [
                    ("dir", "a directory"),
                    ("fifo", "a FIFO"),
                    ("socket", "a socket"),
                    ("/dev/null", "a device"),
                ] {
                    let error = open_file(&at(name), write, links).unwrap_err();
                    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{name}: {error}");
                    assert!(error.to_string().contains(what), "{name}: {error}");
                }
            }
            assert!(open_file(&at("link"), write, Links::Followed).is_ok());
            for link in ["link", "link to a FIFO"] {
                let error = open_file(&at(link), write, Links::Refused).unwrap_err();
                assert!(error.to_string().contains("a symbolic link"), "{error}");
            }
            assert!(open_file(&at("link to a FIFO"), write, Links::Followed).is_err());
            let missing = open_file(&at("none"), write, Links::Refused).unwrap_err();
            assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        }
    }
}
