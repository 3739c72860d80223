//! Where a settled journal has its requests, which are found by their ids: their places are no more those
//! that they had.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::entry::Entry;
use super::frame::{BatchHeader, HEADER, Mark};
use crate::codec::{Bad, Cursor};
use crate::durable::{DiskFile, read_full};
use crate::error::StoreError;
use crate::mutex::lock;

/// One request in so many has its place in memory.
const STEP: usize = 16;

/// What a batch of a settled journal is found by.
#[derive(Debug, Clone, Copy)]
struct BatchPlace {
    first_id: u64,
    at: u64,
    payload_len: usize,
}

/// The places of a batch's requests, one in [`STEP`]: ids, and where in the payload.
type Steps = Arc<[(u64, u32)]>;

/// The places of all requests.
#[derive(Debug)]
pub(super) struct SettledPlaces {
    batches: Vec<BatchPlace>,
    /// Of batches that were asked for.
    steps: Mutex<HashMap<usize, Steps>>,
}

impl SettledPlaces {
    /// Looks where the batches are, by their headers alone.
    pub fn of(file: &dyn DiskFile, path: &Path, end: &Mark) -> Result<SettledPlaces, StoreError> {
        let mut batches = Vec::new();
        let mut at = HEADER as u64;
        while at < end.bytes {
            let mut bytes = [0; HEADER];
            let got = read_full(file, &mut bytes, at).map_err(StoreError::io("read", path))?;
            let header = BatchHeader::decode(&bytes[..got])
                .filter(|header| header.total() <= end.bytes - at)
                .ok_or_else(|| StoreError::damaged(path, at, "no batch begins here"))?;
            batches.push(BatchPlace {
                first_id: header.first_id,
                at,
                payload_len: header.payload_len as usize,
            });
            at += header.total();
        }
        Ok(SettledPlaces {
            batches,
            steps: Mutex::default(),
        })
    }

    /// Where the request with this id is.
    pub fn place(
        &self,
        id: u64,
        file: &dyn DiskFile,
        path: &Path,
        buffer: &mut Vec<u8>,
    ) -> Result<u64, StoreError> {
        let absent = || StoreError::damaged(path, 0, format!("request {id} is not there"));
        let behind = self.batches.partition_point(|batch| batch.first_id <= id);
        let number = behind.checked_sub(1).ok_or_else(absent)?;
        let batch = self.batches[number];
        let steps = self.steps_of(number, batch, file, path, buffer)?;
        let behind = steps.partition_point(|(first, _)| *first <= id);
        let (first, start) = steps[behind.checked_sub(1).ok_or_else(absent)?];
        // A few requests are longer than what is read at first.
        let end = steps
            .get(behind)
            .map_or(batch.payload_len, |(_, next)| *next as usize);
        let start = start as usize;
        let payload_at = batch.at + HEADER as u64;
        read(
            file,
            path,
            payload_at + start as u64,
            end.min(batch.payload_len) - start,
            buffer,
        )?;
        let mut cursor = Cursor::new(buffer);
        let mut next_id = first;
        while !cursor.is_at_end() {
            let at = cursor.at();
            match cursor.entry(0, &mut next_id) {
                Ok(Entry::Request { id: found, .. }) if found == id => {
                    return Ok(payload_at + (start + at) as u64);
                }
                Ok(_) => {}
                Err(bad) => return Err(wrong(path, payload_at + (start + at) as u64, bad)),
            }
        }
        Err(absent())
    }

    fn steps_of(
        &self,
        number: usize,
        batch: BatchPlace,
        file: &dyn DiskFile,
        path: &Path,
        buffer: &mut Vec<u8>,
    ) -> Result<Steps, StoreError> {
        if let Some(steps) = lock(&self.steps).get(&number) {
            return Ok(steps.clone());
        }
        let payload_at = batch.at + HEADER as u64;
        read(file, path, payload_at, batch.payload_len, buffer)?;
        let mut cursor = Cursor::new(buffer);
        let (mut next_id, mut count) = (batch.first_id, 0);
        let mut steps = Vec::new();
        while !cursor.is_at_end() {
            let at = cursor.at();
            match cursor.entry(0, &mut next_id) {
                Ok(Entry::Request { id, .. }) => {
                    if count % STEP == 0 {
                        steps.push((id, at as u32));
                    }
                    count += 1;
                }
                Ok(_) => {}
                Err(bad) => return Err(wrong(path, payload_at + at as u64, bad)),
            }
        }
        let steps: Steps = steps.into();
        lock(&self.steps).insert(number, steps.clone());
        Ok(steps)
    }
}

fn read(
    file: &dyn DiskFile,
    path: &Path,
    at: u64,
    len: usize,
    buffer: &mut Vec<u8>,
) -> Result<(), StoreError> {
    buffer.resize(len, 0);
    let got = read_full(file, buffer, at).map_err(StoreError::io("read", path))?;
    if got < len {
        return Err(StoreError::damaged(
            path,
            at + got as u64,
            "the journal ends here",
        ));
    }
    Ok(())
}

fn wrong(path: &Path, at: u64, bad: Bad) -> StoreError {
    let why = match bad {
        Bad::Short(_) => "an entry is cut short",
        Bad::Wrong(why) => why,
    };
    StoreError::damaged(path, at, why)
}
