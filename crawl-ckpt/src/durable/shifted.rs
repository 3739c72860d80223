//! A file whose first byte has another number: a journal that goes on where the one before it ended.

use std::io;
use std::path::Path;

use super::DiskFile;

/// A file in which every place is told by so many bytes more.
#[derive(Debug)]
struct Shifted {
    file: Box<dyn DiskFile>,
    by: u64,
}

/// Tells every place in a file by so many bytes more.
pub(crate) fn shifted(file: Box<dyn DiskFile>, by: u64) -> Box<dyn DiskFile> {
    if by == 0 {
        file
    } else {
        Box::new(Shifted { file, by })
    }
}

impl Shifted {
    fn place(&self, offset: u64) -> io::Result<u64> {
        let place = offset.checked_sub(self.by);
        place.ok_or_else(|| io::Error::other("this lies in an earlier journal"))
    }
}

impl DiskFile for Shifted {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(bytes, self.place(offset)?)
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<u64>> {
        let next = self.file.next_data(self.place(offset)?)?;
        Ok(next.map(|next| next + self.by))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, self.place(offset)?)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.len()? + self.by)
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.file.is_at(path)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(self.place(len)?)
    }
}
