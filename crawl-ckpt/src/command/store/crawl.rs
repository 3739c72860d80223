//! A look at the crawls of a store, beside workers that may be busy with them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::StoreRoom;
use super::living::{Crew, watch};
use crate::control::Progress;
use crate::fleet::{
    Course, CrawlName, Depot, Glance, KeyBytes, LEASE_MS, Rest, SharedJob, add_progress,
};
use crate::journal::Commit;
use crate::tool::Failure;

/// A worker of which nothing moves for so long is called silent: the others take its partitions then.
const SILENCE: Duration = Duration::from_millis(LEASE_MS);

/// A crawl in a store.
#[derive(Debug)]
pub struct SharedLook {
    pub name: CrawlName,
    pub job: SharedJob,
    pub course: Course,
    pub crew: Crew,
    pub parts: Vec<PartLook>,
    /// What it takes; `None` when the engine does not tell.
    pub bytes: Option<KeyBytes>,
}

/// One of its partitions.
#[derive(Debug)]
pub struct PartLook {
    pub number: usize,
    pub glance: Glance,
    /// Its last commit.
    pub commit: Option<Commit>,
    /// What is wrong with that.
    pub trouble: Option<String>,
    /// Its owner renewed it while we looked.
    is_renewed: bool,
}

/// Looks at crawls. One that is not understood is told of and left out.
pub fn look_at(
    room: &mut StoreRoom<'_>,
    names: Vec<CrawlName>,
) -> Result<Vec<SharedLook>, Failure> {
    let mut looks = Vec::new();
    for name in names {
        let job = match room.turn_to(&name) {
            Ok(Some(job)) => job,
            // Somebody removed it meanwhile.
            Ok(None) => continue,
            Err(failure) => {
                room.context.say(failure.message);
                continue;
            }
        };
        let course = room.depot.course()?;
        let mut crew = Crew::of(room, &name)?;
        if matches!(course, Course::Over(_)) {
            // What a killed worker left behind.
            crew.workers.clear();
        }
        let parts = room.depot.glance()?;
        looks.push((name, job, course, crew, parts));
    }
    let mut crews: Vec<Crew> = looks.iter().map(|(.., crew, _)| crew.clone()).collect();
    watch(room, &mut crews, SILENCE)?;
    let mut done = Vec::new();
    for ((name, job, course, _, before), mut crew) in looks.into_iter().zip(crews) {
        room.depot.turn_to(&name);
        room.depot.set_parts(job.parts);
        let glances = room.depot.glance()?;
        let commits = room.depot.last_commits()?;
        crew.look_at_parts(&before, &glances);
        let parts = glances.into_iter().zip(commits).zip(before).enumerate();
        let parts = parts.map(|(number, ((glance, commit), before))| {
            let (commit, trouble) = match commit {
                Some(Ok(commit)) => (Some(commit), None),
                Some(Err(why)) => (None, Some(why)),
                None => (None, None),
            };
            PartLook {
                number,
                is_renewed: glance.view.beat != before.view.beat,
                glance,
                commit,
                trouble,
            }
        });
        done.push(SharedLook {
            parts: parts.collect(),
            bytes: room.depot.key_bytes(),
            name,
            job,
            course,
            crew,
        });
    }
    Ok(done)
}

impl SharedLook {
    /// The word for how it is.
    pub fn state(&self) -> &'static str {
        if self.trouble().is_some() {
            return "corrupt";
        }
        match self.course {
            Course::Over(rest) => rest.as_str(),
            Course::Paused => "paused",
            Course::Running if self.crew.living() > 0 => "running",
            Course::Running if self.is_parked() => "parked",
            Course::Running => "idle",
        }
    }

    /// What is wrong with it.
    pub fn trouble(&self) -> Option<String> {
        self.parts.iter().find_map(|part| {
            let why = part.trouble.as_ref()?;
            Some(format!("partition {:03}: {why}", part.number))
        })
    }

    /// Nothing is left to do without a human's decision.
    fn is_parked(&self) -> bool {
        let mut rests = self.parts.iter().map(|part| part.glance.view.rests());
        let is_parked = rests.clone().any(|rest| rest == Some(Rest::Parked));
        is_parked && rests.all(|rest| rest.is_some())
    }

    /// The figures of all partitions.
    pub fn progress(&self) -> Progress {
        let mut sum = Progress::default();
        for part in &self.parts {
            if let Some(commit) = &part.commit {
                add_progress(&mut sum, commit.progress.clone());
            }
        }
        sum
    }

    /// Since its last commit; `None` when there is none.
    pub fn age(&self) -> Option<Duration> {
        let commits = self.parts.iter().filter_map(|part| part.commit.as_ref());
        let at_ms = commits.map(|commit| commit.at_ms).max()?;
        let at = UNIX_EPOCH + Duration::from_millis(at_ms);
        // One of a clock that is ahead was now.
        Some(SystemTime::now().duration_since(at).unwrap_or_default())
    }

    /// The fields that every command's JSON begins with. What is not known is left out.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut fields = json_of_name(&self.name);
        let counts = self.progress().counts;
        let workers = self.crew.living();
        for (name, value) in [
            ("state", json!(self.state())),
            ("workers", json!(workers)),
            ("pending", json!(counts.unfinished())),
            ("seen", json!(counts.seen)),
            ("done", json!(counts.done)),
            ("failed", json!(counts.failed)),
        ] {
            fields.insert(name.into(), value);
        }
        if let Some(bytes) = self.bytes {
            fields.insert("bytes".into(), json!(bytes.sum()));
        }
        if let Some(age) = self.age() {
            fields.insert("age_s".into(), json!(age.as_secs()));
        }
        if let Some(trouble) = self.trouble() {
            fields.insert("trouble".into(), json!(trouble));
        }
        fields
    }
}

impl PartLook {
    /// The word for how it is. `crew`: who works on the crawl.
    pub fn state(&self, crew: &Crew) -> &'static str {
        let view = &self.glance.view;
        match view.rests() {
            _ if self.trouble.is_some() => "corrupt",
            Some(Rest::Complete) if view.seq == 0 => "empty",
            Some(rest) => rest.as_str(),
            None if view.owner.is_empty() => "free",
            None if self.is_renewed || crew.lives(&view.owner) => "running",
            None => "silent",
        }
    }
}

/// What names a crawl, for programs.
pub fn json_of_name(name: &CrawlName) -> Map<String, Value> {
    let mut fields = Map::new();
    let (project, spider) = name.spider.split_once('/').unwrap_or_default();
    for (key, value) in [
        ("project", project),
        ("spider", spider),
        ("crawl_id", &name.crawl_id),
    ] {
        fields.insert(key.into(), json!(value));
    }
    fields
}
