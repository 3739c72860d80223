//! A journal whose truth lies elsewhere: in a store that many machines share. The file is a copy then,
//! which nobody syncs and which is made anew when it is wanted.

use super::chain::follow;
use super::frame::HEADER;
use super::{ClosedBatch, Mark, Writer};
use crate::error::StoreError;

impl Writer {
    /// Writes a batch without a sync, and gives its bytes, which are to become durable elsewhere.
    ///
    /// # Errors
    /// As [`Writer::append`].
    pub fn append_copied(&mut self, batch: &ClosedBatch) -> Result<(Mark, Vec<u8>), StoreError> {
        self.check_next(batch)?;
        let (header, end) = batch.header(&self.end, 0, &self.salt);
        let bytes = [&header[..], batch.payload()].concat();
        self.put_copy(&bytes, end)?;
        Ok((end, bytes))
    }

    /// Takes a batch that became durable elsewhere.
    ///
    /// # Errors
    /// Damage, when it is no sound batch, or not the next one; those of the disk.
    pub fn append_bytes(&mut self, bytes: &[u8]) -> Result<Mark, StoreError> {
        self.check_usable()?;
        let end = self.end;
        let damaged = |why| StoreError::damaged(&self.path, end.bytes, why);
        let header = follow(bytes, &end, &self.salt).map_err(damaged)?;
        let next_id = super::loose::id_after(&bytes[HEADER..], header.first_id).map_err(damaged)?;
        let end = Mark {
            bytes: end.bytes + bytes.len() as u64,
            seq: header.seq,
            next_id,
            sum: header.sum,
        };
        self.put_copy(bytes, end)?;
        Ok(end)
    }

    fn put_copy(&mut self, bytes: &[u8], end: Mark) -> Result<(), StoreError> {
        let written = self.file.write_at(bytes, self.end.bytes);
        self.checked("write", written)?;
        self.end = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Batch, Chain, Commit, JournalFile, Stored, create};
    use crate::durable::RealDisk;

    fn writer(path: &Path) -> super::Writer {
        let journal = JournalFile {
            disk: &RealDisk,
            path: path.to_owned(),
            generation: 1,
            key: [7; 16],
            begin: None,
            sealed: None,
        };
        create(&journal, 0).unwrap()
    }

    #[test]
    fn a_journal_copied_batch_by_batch_is_the_same_file_and_takes_no_wrong_batch() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("1"), dir.path().join("2"));
        let (mut from, mut to) = (writer(&one), writer(&two));
        let mut blobs = Vec::new();
        for n in 0..3 {
            let mut batch = Batch::new(&from.end());
            for m in 0..=n {
                let url = format!("http://a.example/{n}/{m}");
                batch.request(&Stored {
                    url: &url,
                    ..Stored::default()
                });
            }
            batch.set("a", b"b");
            let (mark, bytes) = from
                .append_copied(&batch.close(&Commit::default()))
                .unwrap();
            assert_eq!(mark, from.end());
            blobs.push(bytes);
        }
        assert!(to.append_bytes(&blobs[1]).is_err(), "one was left out");
        let mut bad = blobs[0].clone();
        *bad.last_mut().unwrap() ^= 1;
        assert!(to.append_bytes(&bad).is_err(), "one bit is another");
        for blob in &blobs {
            to.append_bytes(blob).unwrap();
        }
        assert!(to.append_bytes(&blobs[2]).is_err(), "taken twice");
        assert_eq!(to.end(), from.end());
        let mut chain = Chain::new([7; 16]);
        assert!(chain.take(&blobs[1], |_| Ok(())).is_err());
        for blob in &blobs {
            chain.take(blob, |_| Ok(())).unwrap();
        }
        assert_eq!(chain.end(), from.end());
        assert_eq!(std::fs::read(one).unwrap(), std::fs::read(two).unwrap());
    }
}
