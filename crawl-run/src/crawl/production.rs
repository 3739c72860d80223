//! A production crawl: begun or resumed, and what becomes of its checkpoint.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crawl_ckpt::control::{Begin, EndReason, KnownHost, Progress};
use crawl_ckpt::cookies::merged;
use crawl_ckpt::durable::RealDisk;
use crawl_ckpt::error::StoreError;
use crawl_ckpt::human::counted;
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::tool::{Exit, Failure};
use crawl_ckpt::{delta, job, netscape};

use super::{Completed, Crawl, Events, conduct};
use crate::acquire::acquire;
use crate::checkpoint::{self, Complete, Decision, Resume};
use crate::conduct::Ending;
use crate::ended::Ended;
use crate::known_hosts::KnownHosts;
use crate::metrics::Metrics;
use crate::outcome::{Outcome, Purpose, judge};
use crate::place::Output;
use crate::summary;
use crate::tools;
use crate::view::View;

/// What a run begins with.
type Begun = (Begin, Output, Option<PathBuf>);

impl Crawl<'_> {
    /// A production crawl: new, or resumed from its checkpoint, which is gone when the crawl is
    /// complete and kept in every other case. `metrics` hears of it from when its lock is held.
    ///
    /// # Errors
    /// What ends it before it begins: [`Exit::Held`] when another run has it, [`Exit::Usage`]
    /// when the spider changed, [`Exit::Damaged`].
    pub fn production(
        &self,
        completed: Completed<'_>,
        metrics: Option<&Arc<Metrics>>,
        events: Events<'_>,
        view: &mut View,
    ) -> Result<Ended, Failure> {
        let lock = acquire(&self.place.job)?;
        let Some(series) = metrics.map(|metrics| metrics.begin(&self.place)) else {
            return self.held(&lock, completed, events, view);
        };
        view.watch(series.clone());
        let result = self.held(&lock, completed, events, view);
        series.end(&result);
        result
    }

    fn held(
        &self,
        lock: &JobLock,
        completed: Completed<'_>,
        events: Events<'_>,
        view: &mut View,
    ) -> Result<Ended, Failure> {
        let (mut begin, output, warc) = match self.settle(lock, view)? {
            Decision::New => match self.begin_new(view)? {
                Ok(begun) => begun,
                Err(ended) => return Ok(*ended),
            },
            Decision::Clear(clear) => {
                // All that can be refused is refused before anything is gone.
                let output = self.new_output(clear.leaves())?;
                self.new_warc(&output, clear.leaves_warc())?;
                tools::try_options(&self.tools.fetch, &self.fetch_args, &self.hidden)?;
                if self.plan.delta && !clear.forgets() {
                    delta::verify_known(&RealDisk, &self.place.job)?;
                }
                self.source()?;
                clear.perform(&self.place, lock, view)?;
                match self.begin_new(view)? {
                    Ok(begun) => begun,
                    Err(ended) => return Ok(*ended),
                }
            }
            Decision::Resume(resume) => {
                let retry_failed = self.source_of_resume(&resume)?;
                let output = self.resumed_output(&resume)?;
                let warc = self.resumed_warc(&resume, &output)?;
                view.say(resume.line(&self.place.title()));
                let before = checkpoint::committed(&self.place.job);
                let before = before.map_or(0, |progress| progress.spent());
                let begin = Begin {
                    max_cost: self.most_cost(before),
                    adopt_plan: resume.adopt_plan,
                    retry_blocked: resume.retry_blocked,
                    retry_failed,
                    ..self.begin()
                };
                (begin, output, warc)
            }
            Decision::Complete(complete) => {
                let mut ended = self.was_complete(*complete);
                if let Some(name) = self.publish(lock)? {
                    Self::rename(&mut ended, name);
                }
                self.write_summary(&ended, view);
                completed(&ended.progress)?;
                // The run that completed it was killed before it came to that.
                if let Some(text) = &self.cookies {
                    let cookies = checkpoint::changed_cookies(&self.place, text)?;
                    self.write_cookies(&cookies, view);
                }
                job::remove(&RealDisk, &self.place.job, lock)?;
                self.tell_of_earlier(&ended.progress, view);
                return Ok(ended);
            }
        };
        let launch = self.launch(Some(lock), &output, warc.as_ref())?;
        begin.hosts = self.known_hosts(view);
        let mut ending = conduct(&launch, begin, events, view)?;
        // A frontier that failed has told of more than it could keep.
        if ending.reason.is_none()
            && let Some(committed) = checkpoint::committed(&self.place.job)
        {
            ending.take_back_to(committed);
        }
        // Before the checkpoint goes, which has it too.
        self.keep_learned(&ending, view);
        let mut outcome = judge(&ending, Purpose::Production);
        if let Outcome::Failed { hint, .. } = &mut outcome
            && ending.reason == Some(EndReason::NothingUseful)
        {
            let accept = self.command_line.with_flag("--accept-empty");
            *hint = Some(format!(
                "{}   (asks again), or {accept}   (takes that for the result)",
                self.command_line
            ));
        }
        if outcome == Outcome::Complete
            && let Err(failure) = checkpoint::check_complete(&self.place)
        {
            outcome = stays(failure);
        }
        let mut name = None;
        if outcome == Outcome::Complete {
            match self.publish(lock) {
                Ok(published) => name = published,
                Err(failure) => outcome = stays(failure),
            }
        }
        let mut ended = self.ended(outcome, ending, (output, warc));
        if let Some(name) = name {
            Self::rename(&mut ended, name);
        }
        // Of a damaged job nothing is changed.
        if ended.outcome.exit() != Exit::Damaged {
            self.write_summary(&ended, view);
        }
        if ended.outcome == Outcome::Complete {
            let removed = completed(&ended.progress)
                .and_then(|()| Ok(self.remove_checkpoint(&ended.progress, lock)?));
            if let Err(failure) = removed {
                ended.outcome = stays(failure);
            }
        } else if ended.outcome.exit() != Exit::Damaged {
            checkpoint::note_command(&self.place.job, lock, &self.command_line);
        }
        self.tell(&ended, view);
        Ok(ended)
    }

    fn remove_checkpoint(&self, progress: &Progress, lock: &JobLock) -> Result<(), StoreError> {
        let place = &self.place.job;
        match self.leavings {
            Some(leavings) => leavings.remove(place, progress.counts.seen, lock),
            None => job::remove(&RealDisk, place, lock),
        }
    }

    /// A crawl that begins; or how it ended before, when there is nothing to ask again for.
    fn begin_new(&self, view: &View) -> Result<Result<Begun, Box<Ended>>, Failure> {
        let source = self.source()?;
        if let Some(source) = source.as_ref().filter(|source| source.failed > 0) {
            self.tell_of_source(source, view);
        } else if let Some(source) = source {
            return Ok(Err(Box::new(self.nothing_failed(source, view))));
        }
        let output = self.new_output(None)?;
        let warc = self.new_warc(&output, None)?;
        if source.is_none() {
            view.say(format_args!("new crawl of {}", self.subject(view)));
        }
        let begin = Begin {
            retry_failed: source.map(|source| source.file),
            ..self.begin()
        };
        Ok(Ok((begin, output, warc)))
    }

    /// What earlier crawls of the project learned of hosts.
    pub(super) fn known_hosts(&self, view: &View) -> BTreeMap<String, KnownHost> {
        KnownHosts::of(&self.place).read().unwrap_or_else(|why| {
            view.warn(format_args!("what is known of hosts is left: {why}"));
            BTreeMap::new()
        })
    }

    /// Keeps what this run learned beside its records: of hosts, and cookies.
    pub(super) fn keep_learned(&self, ending: &Ending, view: &View) {
        if let Err(why) = KnownHosts::of(&self.place).merge(&ending.hosts) {
            view.warn(format_args!("what was learned of hosts is not kept: {why}"));
        }
        self.write_cookies(&ending.cookies, view);
    }

    /// Brings `--cookies FILE` up to date.
    fn write_cookies(&self, changes: &BTreeMap<String, String>, view: &View) {
        let Some(path) = &self.args.fetch.cookies else {
            return;
        };
        if let Err(error) = netscape::update(path, |text| merged(text, changes)) {
            let path = path.display();
            view.error(format_args!("crawl-run: cannot write {path}: {error}"));
        }
    }

    fn settle(&self, lock: &JobLock, view: &View) -> Result<Decision, Failure> {
        let args = &self.args.checkpoint;
        checkpoint::settle(
            &self.place,
            lock,
            &self.plan,
            args,
            self.chosen().as_deref(),
            &self.command_line,
            view,
        )
    }

    fn resumed_output(&self, resume: &Resume) -> Result<Output, Failure> {
        // A job that was filled by hand has no output yet.
        let Some(began) = &resume.manifest.output else {
            return self.new_output(None);
        };
        let chosen = self.chosen();
        let chosen = chosen.as_deref();
        let output = self
            .place
            .resumed_output(chosen, began)
            .map_err(|failure| {
                let fresh = self.command_line.with_flag("--fresh");
                failure.hint(format_args!("to begin anew: {fresh}"))
            })?;
        self.place
            .refuse_unmeant(began, chosen, &self.command_line)?;
        Ok(output)
    }

    /// Where those of a crawl go on that is resumed: whether there are any stays as it began.
    fn resumed_warc(&self, resume: &Resume, output: &Output) -> Result<Option<PathBuf>, Failure> {
        let manifest = &resume.manifest;
        if manifest.output.is_none() && manifest.plan.is_none() {
            return self.new_warc(output, None);
        }
        let chosen = self.chosen();
        self.place
            .refuse_unmeant_warc(manifest, chosen.as_deref())?;
        Ok(manifest.warc_dir(&self.place.data_dir))
    }

    /// What an earlier run came to, of which only the removal of the checkpoint was left.
    fn was_complete(&self, complete: Complete) -> Ended {
        let Complete { manifest, progress } = complete;
        let warc = manifest.warc_dir(&self.place.data_dir);
        let began = manifest.output.unwrap_or_default();
        let output = began.resolve(&self.place.data_dir);
        let output = output.map_or(Output::Stdout, Output::File);
        Ended {
            summary: self.summarize(None, &progress, &output, warc.as_deref()),
            outcome: Outcome::Complete,
            is_costly: false,
            progress,
            records_run: 0,
            elapsed: Duration::ZERO,
            output,
            warc,
        }
    }

    fn tell_of_earlier(&self, progress: &Progress, view: &View) {
        let mut figures = counted(progress.records, "record");
        if let Some(delta) = &progress.delta {
            figures.push_str(&format!("; {}", summary::compared(delta)));
        }
        view.say(format_args!(
            "the last run of {} was complete ({figures}); its checkpoint was left, and is removed now",
            self.place.title()
        ));
    }
}

/// A complete crawl whose checkpoint could not be removed.
fn stays(failure: Failure) -> Outcome {
    Outcome::Failed {
        exit: failure.exit,
        why: format!(
            "the crawl is complete, but its checkpoint stays: {}",
            failure.message
        ),
        hint: failure.hint,
    }
}
