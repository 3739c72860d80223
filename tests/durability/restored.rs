//! What is read of a job, from its image and from its journals.

use std::collections::BTreeMap;
use std::io::Read;

use crawl_ckpt::image::Image;
use crawl_ckpt::job::Job;
use crawl_ckpt::journal::{Entry, Mark};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::model::{State, url_of};

/// What was read of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    pub state: State,
    pub ids: BTreeMap<u64, u64>,
    pub files: BTreeMap<String, u64>,
}

/// Reads a job: from its image when there is one, and always from the start as well, to the same end.
pub fn restore(job: &Job) -> Result<(Restored, Mark), Error> {
    let mut from_image = None;
    if let Some(mut image) = Image::open(job)? {
        let mark = *image.mark();
        let mut body = Vec::new();
        image.read_to_end(&mut body)?;
        image.finish()?;
        let base: Restored = serde_json::from_slice(&body)?;
        from_image = Some(restore_from(job, base, Some(&mark))?);
    }
    let restored = restore_from(job, Restored::default(), None)?;
    match from_image {
        Some(other) if other != restored => {
            Err(format!("image {other:?}, journal {restored:?}").into())
        }
        _ => Ok(restored),
    }
}

fn restore_from(job: &Job, base: Restored, from: Option<&Mark>) -> Result<(Restored, Mark), Error> {
    let Restored {
        mut state,
        ids,
        mut files,
    } = base;
    let mut urls: BTreeMap<u64, u64> = ids.into_iter().map(|(url, id)| (id, url)).collect();
    let mut places = BTreeMap::new();
    let replayed = job.replay(from, |entry| {
        let url = |urls: &BTreeMap<u64, u64>, id: u64| {
            urls.get(&id).copied().ok_or(format!("no request {id}"))
        };
        match entry {
            Entry::Request { id, at, request } => {
                places.insert(id, at);
                let number: u64 = request.url.rsplit('/').next().unwrap().parse().unwrap();
                urls.insert(id, number);
                state.pending.insert(number);
            }
            Entry::Seen { fingerprint } => {
                state
                    .finished
                    .insert(u128::from_be_bytes(fingerprint) as u64);
            }
            Entry::Done { id, .. } => {
                let number = url(&urls, id)?;
                urls.remove(&id);
                state.pending.remove(&number);
                state.deferred.remove(&number);
                state.finished.insert(number);
            }
            Entry::Defer { id, due_ms, .. } => {
                state.deferred.insert(url(&urls, id)?, due_ms);
            }
            Entry::Set { key, value } => {
                state.values.insert(key.to_owned(), value.to_owned());
            }
            Entry::Unset { key } => {
                state.values.remove(key);
            }
            Entry::Ids { .. } | Entry::Commit(_) => {}
        }
        Ok(())
    })?;
    if let Some(commit) = &replayed.commit {
        state.commit = commit.at_ms;
        files.clone_from(&commit.files);
    }
    let restored = Restored {
        state,
        ids: urls.into_iter().map(|(id, url)| (url, id)).collect(),
        files,
    };
    let (reader, mut buffer) = (job.reader()?, Vec::new());
    for (url, id) in &restored.ids {
        // Those that an image told have the place that they had, or none any more.
        let at = places.get(id).copied().unwrap_or(0);
        if from.is_none() && reader.request_at(*id, at, &mut buffer)?.url != url_of(*url) {
            return Err(format!("request {id} is another one when it is read alone").into());
        }
    }
    Ok((restored, replayed.mark))
}
