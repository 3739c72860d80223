//! A crawl of what failed in a finished one: how it begins, goes on, and gets its name.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crawl_ckpt::control::Progress;
use crawl_ckpt::durable::{RealDisk, remove_if_there};
use crawl_ckpt::human::counted;
use crawl_ckpt::job::{Job, JobPlace, OutputPlace, UNFINISHED};
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::summary::summary_of;
use crawl_ckpt::tool::{Exit, Failure};
use jiff::Zoned;

use super::Crawl;
use crate::checkpoint::Resume;
use crate::ended::Ended;
use crate::outcome::Outcome;
use crate::place::Output;
use crate::retry::Source;
use crate::view::View;

/// So many names are tried for one file.
const MOST_NAMES: u32 = 100;

impl Crawl<'_> {
    /// What a new crawl asks again for; `None` for any other crawl.
    ///
    /// # Errors
    /// [`Exit::Usage`] when there is no output to read.
    pub(super) fn source(&self) -> Result<Option<Source>, Failure> {
        let (Some(named), Some(spider)) = (&self.args.checkpoint.retry_failed, &self.place.retries)
        else {
            return Ok(None);
        };
        let production = JobPlace::of_spider(&self.place.data_dir, &self.place.project, spider);
        let production = Job::open(Arc::new(RealDisk), &production)?;
        Source::find(Path::new(named), &self.place, production.as_ref()).map(Some)
    }

    /// What a crawl asks again for that goes on.
    ///
    /// # Errors
    /// [`Exit::Usage`] for a checkpoint of another crawl.
    pub(super) fn source_of_resume(&self, resume: &Resume) -> Result<Option<PathBuf>, Failure> {
        let data_dir = &self.place.data_dir;
        let began = resume.manifest.retries.as_ref();
        let named = self.args.checkpoint.retry_failed.as_deref();
        let named = named.filter(|named| !named.is_empty());
        let named = named.map(|named| OutputPlace::file(Path::new(named), data_dir));
        let is_other = match (began, &named) {
            (began, None) => began.is_some() != self.place.retries.is_some(),
            (began, named) => began != named.as_ref(),
        };
        if is_other {
            let of = match began.and_then(|began| began.resolve(data_dir)) {
                Some(file) => format!("asks again for what failed in {}", file.display()),
                None => "is a crawl of its own".to_owned(),
            };
            let message = format!("the checkpoint of {} {of}", self.place.title());
            let fresh = self.command_line.with_flag("--fresh");
            return Err(
                Failure::with(Exit::Usage, message).hint(format_args!("to begin anew: {fresh}"))
            );
        }
        Ok(began.and_then(|began| began.resolve(data_dir)))
    }

    /// Says what is begun.
    pub(super) fn tell_of_source(&self, source: &Source, view: &View) {
        view.say(format_args!(
            "asking again for {} of {} in {}",
            counted(source.failed, "failed URL"),
            counted(source.records, "record"),
            source.file.display()
        ));
    }

    /// Nothing has failed, so there is nothing to do.
    pub(super) fn nothing_failed(&self, source: Source, view: &View) -> Ended {
        view.say(format_args!(
            "none of {} in {} has failed: nothing to ask again for",
            counted(source.records, "record"),
            source.file.display()
        ));
        let (progress, output) = (Progress::default(), Output::File(source.file));
        Ended {
            summary: self.summarize(None, &progress, &output, None),
            outcome: Outcome::Complete,
            is_costly: false,
            progress,
            records_run: 0,
            elapsed: std::time::Duration::ZERO,
            output,
            warc: None,
        }
    }

    /// Gives the output of a complete crawl its name, if it has another one yet. Gives that name.
    ///
    /// # Errors
    /// Errors of the disk; [`Exit::Usage`] when the file of `-o` is there by now.
    pub(super) fn publish(&self, lock: &JobLock) -> Result<Option<PathBuf>, Failure> {
        let data_dir = &self.place.data_dir;
        let Some(mut job) = Job::open(Arc::new(RealDisk), &self.place.job)? else {
            return Ok(None);
        };
        let output = job.manifest().output.as_ref();
        let output = output.and_then(|output| output.resolve(data_dir));
        let Some(output) = output.filter(|_| job.manifest().retries.is_some()) else {
            return Ok(None);
        };
        if job.manifest().unfinished.is_some() && job.finish_publishing(data_dir)? {
            return Ok(Some(output));
        }
        let mut name: PathBuf = match output.to_string_lossy().strip_suffix(UNFINISHED) {
            Some(name) => name.into(),
            None => output.clone(),
        };
        for _ in 0..MOST_NAMES {
            if job.publish(lock, data_dir, &name)? {
                return Ok(Some(name));
            }
            let chosen = self.args.output.output.as_deref();
            let today = Zoned::now().date();
            if let Output::File(file) = self.place.new_output(chosen, None, today)? {
                name = file;
            }
        }
        Err(Failure::new(format_args!(
            "cannot find a name for {}",
            output.display()
        )))
    }

    /// The crawl ended with this output, whatever it was called before.
    pub(super) fn rename(ended: &mut Ended, name: PathBuf) {
        if let Output::File(before) = &ended.output
            && *before != name
        {
            // What it told of the runs before is in the new one.
            let _ = remove_if_there(&RealDisk, &summary_of(before));
        }
        let file = name.file_name();
        ended.summary.output = file.map(|file| file.to_string_lossy().into_owned());
        ended.output = Output::File(name);
    }
}
