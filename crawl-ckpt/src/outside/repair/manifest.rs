//! The manifest of a damaged job, mended where that can be.

use std::path::Path;

use serde::Deserialize;

use super::journals::{chain, generations, journal};
use crate::durable::{Disk, RealDisk};
use crate::error::StoreError;
use crate::job::{JobPlace, MANIFEST, Manifest, OutputPlace};
use crate::journal::key_of;
use crate::tool::{Exit, Failure};

/// What became of the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mended {
    /// The manifest is sound.
    Sound,
    /// One byte was wrong; the checksum proves which.
    OneByte,
    /// The checksum of the manifest is wrong and its text can be read: it is taken as it is, and should be looked at.
    Unproven,
    /// The manifest is lost; a journal tells the key, and nothing tells what is crawled.
    Lost,
}

impl Mended {
    /// In words, for what is not sound.
    pub fn in_words(self) -> Option<&'static str> {
        match self {
            Mended::Sound => None,
            Mended::OneByte => Some("job.json had one wrong byte, which is right again"),
            Mended::Unproven => {
                Some("job.json is taken as it can be read, which its checksum does not bear out")
            }
            Mended::Lost => Some("job.json is lost, and with it what is crawled and where to"),
        }
    }
}

/// The manifest of a job, or the best that can be had.
///
/// # Errors
/// The manifest is lost, and no journal has a sound header.
pub fn mend(disk: &dyn Disk, place: &JobPlace) -> Result<(Manifest, Mended), Failure> {
    let path = place.dir.join(MANIFEST);
    let bytes = disk.read(&path).unwrap_or_default();
    match Manifest::from_bytes(&bytes, &path) {
        Ok(manifest) => return Ok((manifest, Mended::Sound)),
        Err(error @ StoreError::Unknown { .. }) => return Err(error.into()),
        Err(_) => {}
    }
    if let Some(manifest) = with_one_byte(&bytes, &path) {
        return Ok((manifest, Mended::OneByte));
    }
    let line = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let text = String::from_utf8_lossy(line);
    if let Ok(manifest) = serde_json::from_str::<Manifest>(&text)
        && key_of(disk, &journal(place, manifest.generation)) == Some(manifest.key)
    {
        return Ok((manifest, Mended::Unproven));
    }
    let generations = generations(disk, place);
    let key_of = |generation: &u64| key_of(disk, &journal(place, *generation));
    if let Some(key) = generations.iter().rev().find_map(key_of) {
        let mut manifest = Manifest::new("crawl-ckpt verify --repair").map_err(Failure::new)?;
        manifest.key = key;
        (manifest.generation, manifest.before) = chain(disk, place, key, &generations);
        return Ok((manifest, Mended::Lost));
    }
    let dir = place.dir.display();
    Err(Failure::with(
        Exit::Damaged,
        format_args!(
            "{dir}: neither the manifest nor a journal tells the job's key: nothing can be proven"
        ),
    ))
}

/// Where a manifest that is another version's says that records go.
pub fn output_alone(place: &JobPlace) -> Option<OutputPlace> {
    #[derive(Deserialize)]
    struct Part {
        output: OutputPlace,
    }
    let bytes = RealDisk.read(&place.dir.join(MANIFEST)).ok()?;
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    let part: Part = serde_json::from_slice(line).ok()?;
    Some(part.output)
}

/// Tries every other value of every byte. The checksum is of the first line, so a wrong byte in it is
/// found for certain; one in the checksum itself leaves all its other digits right.
fn with_one_byte(bytes: &[u8], path: &Path) -> Option<Manifest> {
    let end = bytes.len().checked_sub(SUM_LINE)?;
    let (line, sum) = bytes.split_at(end);
    let line = line
        .strip_suffix(b"\n")
        .unwrap_or(&line[..line.len().checked_sub(1)?]);
    let sum_line = |line: &[u8]| format!("blake3:{}\n", blake3::hash(line).to_hex()).into_bytes();
    let rebuilt = |line: &[u8]| {
        let whole = [line, b"\n", &sum_line(line)].concat();
        Manifest::from_bytes(&whole, path).ok()
    };
    let wrong = sum_line(line)
        .iter()
        .zip(sum)
        .filter(|(a, b)| a != b)
        .count();
    if wrong <= 1 {
        return rebuilt(line);
    }
    if line.len() > MAX_TRIED_BYTES {
        return None;
    }
    let mut line = line.to_vec();
    for at in 0..line.len() {
        let was = line[at];
        for value in 0..=u8::MAX {
            line[at] = value;
            if sum_line(&line) == sum {
                return rebuilt(&line);
            }
        }
        line[at] = was;
    }
    None
}

/// Trying takes the square of the length: some seconds for this one.
const MAX_TRIED_BYTES: usize = 16 << 10;

/// `blake3:`, 64 digits and a newline.
const SUM_LINE: usize = 7 + 64 + 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::testing::TestPlace;

    #[test]
    fn any_one_wrong_byte_of_a_manifest_is_put_right() {
        let place = TestPlace::new();
        let job = place.create();
        let path = job.place().dir.join(MANIFEST);
        let good = std::fs::read(&path).unwrap();
        for at in (0..good.len())
            .step_by(13)
            .chain([good.len() - SUM_LINE - 1, good.len() - 1])
        {
            let mut bad = good.clone();
            bad[at] ^= 0x11;
            std::fs::write(&path, &bad).unwrap();
            let (manifest, mended) = mend(&RealDisk, job.place()).unwrap();
            assert_eq!(
                (&manifest, mended),
                (job.manifest(), Mended::OneByte),
                "byte {at}"
            );
        }
    }

    #[test]
    fn a_lost_manifest_leaves_the_key_that_the_journal_knows() {
        let place = TestPlace::new();
        let job = place.create();
        std::fs::remove_file(job.place().dir.join(MANIFEST)).unwrap();
        let (manifest, mended) = mend(&RealDisk, job.place()).unwrap();
        assert_eq!((manifest.key, mended), (job.manifest().key, Mended::Lost));
        std::fs::remove_file(job.journal_path()).unwrap();
        assert!(mend(&RealDisk, job.place()).is_err());
    }
}
