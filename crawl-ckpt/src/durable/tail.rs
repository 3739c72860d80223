//! The last bytes of a file that grows: by them it is known again.
//!
//! A length alone does not tell a file from another that somebody put in its place.

use std::io;

use super::{DiskFile, read_full};

/// So many bytes are looked at.
const TAIL_BYTES: usize = 4 << 10;

/// The last bytes of a file up to some length; fewer when there are no more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tail(Vec<u8>);

impl Tail {
    /// Of the first `len` bytes of a file.
    ///
    /// # Errors
    /// Errors of the file; one that is shorter is `UnexpectedEof`.
    pub fn read(file: &dyn DiskFile, len: u64) -> io::Result<Tail> {
        let mut bytes = vec![0; TAIL_BYTES.min(usize::try_from(len).unwrap_or(TAIL_BYTES))];
        let start = len - bytes.len() as u64;
        let filled = read_full(file, &mut bytes, start)?;
        if filled == bytes.len() {
            Ok(Tail(bytes))
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// Goes on with what is appended.
    pub fn push(&mut self, bytes: &[u8]) {
        let new = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
        let old = self.0.len().min(TAIL_BYTES - new.len());
        self.0.drain(..self.0.len() - old);
        self.0.extend_from_slice(new);
    }

    /// What a commit keeps of it: 32 hex digits, the first half of the BLAKE3 of the bytes.
    pub fn sum(&self) -> String {
        blake3::hash(&self.0).to_hex()[..32].to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::{Append, Disk, RealDisk};

    #[test]
    fn what_is_appended_and_what_is_read_have_the_same_tail() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let mut out = Append::create(&RealDisk, &path).unwrap();
        let mut tail = Tail::default();
        for (n, size) in [0, 1, 700, 4095, 4096, 4097, 3, 9000]
            .into_iter()
            .enumerate()
        {
            let bytes = vec![n as u8; size];
            out.append(&bytes).unwrap();
            tail.push(&bytes);
            let file = RealDisk.open_read(&path).unwrap();
            assert_eq!(Tail::read(&*file, out.len()).unwrap(), tail, "{size}");
        }
        let file = RealDisk.open_read(&path).unwrap();
        assert!(Tail::read(&*file, out.len() + 1).is_err());
    }
}
