//! What is made of a run that is over: a report to look at, a summary for programs. Neither
//! changes how the run ended.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crawl_ckpt::look::Look;
use crawl_ckpt::report::{MadeReport, PageFile};
use crawl_ckpt::tool::{Exit, Failure, need_stdout};

use crate::cli::AfterArgs;
use crate::ended::Ended;
use crate::place::{Output, Place};
use crate::stage::Event;
use crate::view::View;

/// A signal is heard within this time.
const TICK: Duration = Duration::from_millis(50);

/// What is to be made.
#[derive(Debug)]
pub struct Afterwards {
    report: Option<PageFile>,
    json: bool,
}

impl Afterwards {
    /// Looks at the options before anything else is done. `chosen` is what `-o` names.
    ///
    /// # Errors
    /// [`Exit::Usage`] for a report that has no file of records to read or no file to go to, and for a summary
    /// that would stand among the records.
    pub fn new(
        args: &AfterArgs,
        chosen: Option<&Path>,
        is_test: bool,
    ) -> Result<Afterwards, Failure> {
        let streams = match chosen {
            Some(path) => path == Path::new("-"),
            None => is_test,
        };
        let option = match (&args.report, args.json) {
            (_, true) => Some("--json prints to stdout"),
            (Some(_), false) => Some("--report reads the file of records"),
            (None, false) => None,
        };
        if let Some(option) = option.filter(|_| streams) {
            let message = format_args!("{option}, and the records go to stdout");
            return Err(Failure::with(Exit::Usage, message).hint("-o FILE puts them into a file"));
        }
        if args.json {
            need_stdout()?;
        }
        Ok(Afterwards {
            report: args.report.as_deref().map(PageFile::new).transpose()?,
            json: args.json,
        })
    }

    /// Makes it. A second signal leaves the report.
    ///
    /// # Errors
    /// Of a complete crawl: stdout, which the summary goes to.
    pub fn make(
        &self,
        ended: &Ended,
        place: &Place,
        events: &Receiver<Event>,
        view: &View,
    ) -> Result<(), Failure> {
        if let (Some(to), Output::File(file)) = (&self.report, &ended.output)
            && file.is_file()
        {
            match made(to.clone(), file.clone(), place.clone(), events) {
                Some(Ok(lines)) => lines.iter().for_each(|line| view.say(line)),
                Some(Err(failure)) => {
                    view.error(format_args!("crawl-run: no report: {}", failure.message));
                }
                None => view.warn("the report is left: a signal came"),
            }
        }
        if self.json {
            let printed = ended.summary.to_line().map_err(Failure::new);
            let printed = printed.and_then(|line| crate::print(&line));
            // What is to be told of another end is told by its exit code.
            if ended.outcome.exit() == Exit::Complete {
                printed?;
            }
        }
        Ok(())
    }
}

/// A report takes seconds for a million records: a signal ends the wait for it, and with it this process.
fn made(
    to: PageFile,
    file: PathBuf,
    place: Place,
    events: &Receiver<Event>,
) -> Option<Result<Vec<String>, Failure>> {
    let (sender, results) = mpsc::channel();
    let make = move || {
        let look = Look::at(&place.job);
        let report = MadeReport::of(place.title(), &file, look.as_ref(), None)?;
        let mut lines = report.notes.clone();
        lines.push(format!("report {}", to.write(&report)?));
        Ok(lines)
    };
    let begun = thread::Builder::new().name("report".into());
    // Nobody waits for it any more.
    let begun = begun.spawn(move || drop(sender.send(make())));
    if let Err(error) = begun {
        return Some(Err(Failure::new(format_args!("no thread: {error}"))));
    }
    loop {
        match results.recv_timeout(TICK) {
            Ok(result) => return Some(result),
            Err(RecvTimeoutError::Disconnected) => {
                return Some(Err(Failure::new("it broke off")));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if events
            .try_iter()
            .any(|event| matches!(event, Event::Signal(_)))
        {
            return None;
        }
    }
}
