//! What is found of a job after a stop, beside what the model allows, and going on with it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crawl_ckpt::delta::{self, LEARNED};
use crawl_ckpt::durable::sim::{SimDisk, Unsynced};
use crawl_ckpt::durable::{Append, Disk};
use crawl_ckpt::job::Job;
use crawl_ckpt::journal::{Batch, Commit, Mark};

use crate::Error;
use crate::life::{Ground, SCOPE, learn};
use crate::model::{Model, State, url_of};
use crate::restored::restore;

/// What a job learned, by number: nothing but what the commit vouches for.
fn learned(job: &Job, commit: &Commit) -> Result<BTreeMap<u64, u64>, Error> {
    let mut learned = BTreeMap::new();
    delta::tell_learned(job, commit, |entry| {
        let delta::PageEntry::Page(page) = entry else {
            panic!("nobody learned {entry:?}");
        };
        let number = u128::from_be_bytes(page.fingerprint) as u64;
        let links = page.links.unwrap().decode().unwrap();
        assert_eq!(links, [url_of(number)]);
        learned.insert(number, u64::from(page.missed));
    })?;
    Ok(learned)
}

/// What is found on a disk after a stop: the number of the commit, or `None` without a job. It must be
/// one that the model allows.
pub fn found(
    disk: &SimDisk,
    ground: &Ground,
    model: &Model,
) -> Result<Option<(Job, Mark, State)>, Error> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let Some(job) = Job::open(shared, &ground.place)? else {
        return if model.acknowledged.is_none() || model.is_removing {
            Ok(None)
        } else {
            Err("the job is gone".into())
        };
    };
    let tag: u64 = job.manifest().proxy_type.parse().unwrap_or(0);
    if !(model.tag.0..=model.tag.1).contains(&tag) {
        return Err(format!("the manifest has tag {tag} and not one of {:?}", model.tag).into());
    }
    let (restored, end) = restore(&job)?;
    let commit = restored.state.commit;
    if commit < model.acknowledged.unwrap_or(0) {
        let acknowledged = model.acknowledged;
        return Err(
            format!("commit {commit} is the last, {acknowledged:?} was acknowledged").into(),
        );
    }
    let last = job.last_commit()?;
    if last.as_ref().map_or(0, |commit| commit.at_ms) != commit {
        return Err("the last commit is another seen from the end".into());
    }
    let allowed = model
        .states
        .get(commit as usize)
        .ok_or("a commit from nowhere")?;
    let mut output = Append::open(disk, &ground.output)?;
    // Before the first commit there is nothing, and perhaps no file of it.
    output.cut_to(restored.files.get("output").copied().unwrap_or(0))?;
    let state = State {
        output: String::from_utf8(disk.read(&ground.output)?)?,
        learned: learned(&job, &last.unwrap_or_default())?,
        ..restored.state
    };
    if state != **allowed {
        return Err(format!("found {state:?}, allowed {allowed:?}").into());
    }
    Ok(Some((job, end, state)))
}

/// Goes on with what is found: opens it, commits once more, seals it. What is acknowledged on the
/// way must survive the next power cut.
pub fn go_on(disk: &SimDisk, ground: &Ground, model: &Arc<Mutex<Model>>) -> Result<(), Error> {
    let before = model.lock().unwrap().clone();
    let Some((mut job, end, mut state)) = found(disk, ground, &before)? else {
        return Ok(());
    };
    let last = job.last_commit()?;
    let learned_bytes = last.and_then(|commit| commit.files.get(LEARNED).copied());
    let mut writer = job.writer(&ground.lock, &end)?;
    let commit = state.commit;
    {
        let mut model = model.lock().unwrap();
        model.acknowledged = Some(commit);
        model.states.truncate(commit as usize + 1);
        state.commit += 1;
        state.values.insert("again".into(), vec![1]);
        state.learned.insert(u64::MAX, commit + 1);
        model.states.push(Arc::new(state.clone()));
    }
    let mut batch = Batch::new(&end);
    batch.set("again", &[1]);
    let (mut pages, mut learning) = match learned_bytes {
        Some(bytes) => delta::resume(&job, &ground.lock, bytes, SCOPE)?,
        None => delta::begin(&job, &ground.lock, None, SCOPE)?,
    };
    learn(&mut learning, u64::MAX, commit + 1);
    pages.append(&learning.take())?;
    pages.sync()?;
    writer.append(&batch.close(&state.to_commit(learning.end())))?;
    model.lock().unwrap().acknowledged = Some(commit + 1);
    job.seal(&ground.lock, &writer.end())?;
    disk.power_cut(Unsynced::Lost);
    let model = model.lock().unwrap().clone();
    match found(disk, ground, &model)? {
        Some((job, ..)) if job.manifest().sealed.is_some() => Ok(()),
        _ => Err("the seal is gone".into()),
    }
}
