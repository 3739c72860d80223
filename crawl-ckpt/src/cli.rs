//! The command line of crawl-ckpt.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::catalog::{Catalog, Found};
pub use crate::command::TOOL;
use crate::command::{self, Context, ListForm};
use crate::job::{Name, data_dir};
use crate::tool::{Exit, Failure, need_stdout, parse_age, parse_duration};

const EXAMPLES: &str = "\
Examples:
  Which crawls are not finished, and how does one go on?
    crawl-ckpt ls
    crawl-ckpt show default/site.example

  Is everything sound? Exit 65 names what is not:
    crawl-ckpt verify

  What came out of it? A page with broken links, slow pages and more:
    crawl-ckpt report default/site.example -o report.html

  Remove what nobody went on with for a week:
    crawl-ckpt rm --older-than 7d --yes

  A crawl that many machines share over a Redis: who works on it, and what stands still?
    crawl-ckpt --store redis://store.example/ show shop

  What is left of each that is paused, for a program:
    crawl-ckpt ls --json | jq -r 'select(.state == \"paused\") | [.spider, .pending] | @tsv'";

/// Looks at crawl checkpoints, checks them and cleans them up.
///
/// A checkpoint is what a production crawl keeps of itself, so that the same crawl-run command goes on
/// after a pause or a crash. It is removed by itself when the crawl is complete; a test crawl (--limit)
/// makes none. Nothing here blocks or disturbs a crawl that is running.
///
/// Exit codes: 0 fine; 1 failed; 2 usage; 65 a checkpoint is damaged; 75 a run holds it.
#[derive(Debug, Parser)]
#[command(name = TOOL, version, max_term_width = 100, after_long_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Where projects lie [default: $CRAWL_DATA_DIR, else ./data]
    ///
    /// The same directory that crawl-run was given.
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,

    /// The crawls in this store, and not those in the data directory: redis://HOST:PORT or several, as redis://USER@HOST,HOST/DB; rediss:// for TLS
    ///
    /// What crawl-run --store shares among machines. A crawl there is named PROJECT/SPIDER/ID; without ID the one
    /// that was begun last is meant. The password comes from $CRAWL_STORE_PASSWORD, and authorities to trust with
    /// rediss:// in place of the system's from the PEM file $CRAWL_STORE_CA_CERT. Looking changes nothing.
    #[arg(long, value_name = "URL", global = true)]
    store: Option<String>,

    /// How long a store that does not answer is asked again
    ///
    /// As while another node of a cluster takes the place of one that was lost. Ctrl+C ends the wait; what was asked for may
    /// have been done then, and the same command again makes sure.
    #[arg(long, value_name = "DUR", global = true, default_value = "15s", value_parser = parse_duration)]
    outage: Duration,

    /// Print errors only
    #[arg(short, long, global = true)]
    quiet: bool,

    /// Tell more
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List checkpoints, one a row
    ///
    /// The state is `paused`, `running` or `corrupt`. Pending is all that is not finished, in flight and
    /// parked URLs too; seen is all that was taken on. The age is the time since the last commit. Prints
    /// nothing when there is none. What outlives checkpoints is told on stderr with its size: batches, and
    /// what spiders know of earlier crawls; a spider that has both gets a column for it.
    Ls {
        /// Only this project's
        #[arg(value_name = "PROJECT", value_parser = Name::parse)]
        project: Option<Name>,
        #[command(flatten)]
        form: ListForm,
    },
    /// Show all that is known of one, with the command that resumes it
    Show {
        #[command(flatten)]
        which: One,
        #[command(flatten)]
        form: ListForm,
    },
    /// Show how many bytes its parts take, and what to do about a large one
    ///
    /// Without a name: everything that is kept, one a row: checkpoints, what spiders know of earlier
    /// crawls (delta), and the state of batches (`.batch`).
    Size {
        #[command(flatten)]
        which: AnyOne,
        #[command(flatten)]
        form: ListForm,
    },
    /// Read every record and check every checksum
    ///
    /// Also checks that the counts are what the records come to, and that the output is at least as
    /// long as the last commit vouches for, with as many lines; and what spiders know of pages from
    /// earlier crawls (delta). Without a name: all of them. Exit 65 when one is damaged; the file and the byte are named, and nothing is changed.
    Verify {
        #[command(flatten)]
        which: AnyOne,
        /// Save what can be proven of a damaged one into a copy beside it
        ///
        /// The copy is `checkpoint.repaired`; the checkpoint itself and the output stay as they are. Says
        /// what is lost, and how to go on with the copy. A URL that has a record in the output is never
        /// fetched again. A running one is refused with exit code 75.
        #[arg(long)]
        repair: bool,
        #[command(flatten)]
        form: ListForm,
    },
    /// Make a page to look at of what came out of a crawl
    ///
    /// It leads with what to act on: broken links and where they were found, redirects, hosts that block,
    /// fields that stay empty, pages of the same content or title, slow and large pages, what was left
    /// out. It needs nothing but itself: no network, no script. The records are those of the checkpoint's
    /// output, else of the output that was written last, also packed by gzip; lines that are no records
    /// are counted and passed over. What the crawl told of itself, in ….summary.json beside them, is in it too.
    /// Without -o the page goes to stdout.
    Report {
        /// PROJECT/SPIDER, or SPIDER for the project `default`
        #[arg(value_name = "P/S")]
        name: String,
        #[command(flatten)]
        asked: command::report::Asked,
    },
    /// Make one file of the records of several workers, each URL once
    ///
    /// The workers of a crawl that many machines share have their records in files of their own,
    /// crawls/crawl_ID.WORKER.jsonl: bring them to one machine, and name them or their directories. All is checked
    /// before the new file gets its name: a torn line, a line that is no record, and parts that a worker has not
    /// joined yet are refused. So is a URL with several records, which a crawl never makes: the files are of several
    /// crawls then, and --latest makes the newest state of them. Takes 32 bytes of disk a record beside the file
    /// when there are over 4 million, and no more memory than for these.
    Collect(command::collect::Collection),
    /// Write the partitions of a crawl in a store as job directories, with --store
    ///
    /// Each is DIR/part-NNN, a sound copy of what the store had at that moment: `crawl-ckpt show --job`, `crawl-ckpt
    /// verify --job`, `crawl-frontier stat --job`, `export` and `seen` work on it. Workers may be busy with the crawl
    /// meanwhile. The store is only read; nothing that is done to a copy comes back to it.
    Pull {
        /// PROJECT/SPIDER[/ID], or SPIDER for the project `default`
        #[arg(value_name = "CRAWL")]
        name: String,
        /// Where to; made if it is missing
        #[arg(short = 'o', long = "output", value_name = "DIR")]
        dir: PathBuf,
        /// Only this partition; may be given several times [default: all that a URL came to]
        #[arg(long = "part", value_name = "N")]
        parts: Vec<u32>,
    },
    /// Have the workers of a crawl in a store end in good order, with --store
    ///
    /// They finish the pages that are under way and end with exit code 4, and none begins until `resume`.
    /// The store keeps that over restarts of its own and of workers.
    Pause {
        /// PROJECT/SPIDER[/ID], or SPIDER for the project `default`
        #[arg(value_name = "CRAWL")]
        name: String,
    },
    /// Let workers go on with a crawl that was paused in a store, with --store
    Resume {
        /// PROJECT/SPIDER[/ID], or SPIDER for the project `default`
        #[arg(value_name = "CRAWL")]
        name: String,
    },
    /// Have what a worker finished asked again, when its records are lost, with --store
    ///
    /// A worker keeps the records of its pages on its own disk. When that is lost, this makes its URLs pending again,
    /// and the other workers fetch them. No worker may live meanwhile: `pause` stops them, `resume` lets them go on.
    /// When the disk is found again, what is on it does not count any more. A complete crawl is paused then, and goes
    /// on with workers of new names, since those of the old ones have joined their records.
    Requeue {
        /// PROJECT/SPIDER[/ID], or SPIDER for the project `default`
        #[arg(value_name = "CRAWL")]
        name: String,
        /// The worker whose records are lost
        #[arg(long, value_name = "NAME", value_parser = Name::parse)]
        worker: Name,
        /// Print what would be asked again, as requests for crawl-fetch, and change nothing
        #[arg(long)]
        print: bool,
    },
    /// Remove checkpoints
    ///
    /// Lists them and asks; where stdin is no terminal it needs --yes. The crawl starts anew after that;
    /// its output so far stays where it is. One that is running is refused with exit code 75. Only what has
    /// a manifest (job.json) or a journal in it is a checkpoint; one in which something else lies is refused.
    Rm {
        #[command(flatten)]
        which: Doomed,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct One {
    /// PROJECT/SPIDER, or SPIDER for the project `default`
    #[arg(value_name = "P/S")]
    name: Option<String>,
    /// A job directory, wherever it lies
    #[arg(long, value_name = "DIR")]
    job: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
struct AnyOne {
    /// PROJECT/SPIDER, or SPIDER for the project `default` [default: all]
    #[arg(value_name = "P/S")]
    name: Option<String>,
    /// A job directory, wherever it lies
    #[arg(long, value_name = "DIR")]
    job: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Doomed {
    /// PROJECT/SPIDER, or SPIDER for the project `default`
    #[arg(value_name = "P/S")]
    names: Vec<String>,
    /// A job directory, wherever it lies
    #[arg(long, value_name = "DIR")]
    job: Option<PathBuf>,
    /// Those whose last commit is so long ago, such as 7d; running ones are passed over
    #[arg(long, value_name = "DUR", value_parser = parse_age)]
    older_than: Option<Duration>,
    /// All of them
    #[arg(long)]
    all: bool,
}

/// Does what the command line says.
///
/// # Errors
/// What the tool ends with.
pub fn run(cli: Cli, out: &mut dyn Write) -> Result<Exit, Failure> {
    if !matches!(cli.command, Command::Rm { .. }) {
        need_stdout()?;
    }
    if let Some(url) = cli.store.clone() {
        return over_store(cli, &url, out);
    }
    if let Some(dir) = &cli.data_dir {
        // A directory that was named must be there; the default one need not be there yet.
        std::fs::read_dir(dir).map_err(|e| {
            let dir = dir.display();
            Failure::with(
                Exit::Usage,
                format_args!("cannot use --data-dir {dir}: {e}"),
            )
            .hint("crawl-ckpt ls   (looks below $CRAWL_DATA_DIR, else ./data)")
        })?;
    }
    let catalog = Catalog::new(data_dir(cli.data_dir.as_deref()));
    let mut context = Context {
        catalog,
        out,
        quiet: cli.quiet,
        verbose: cli.verbose,
    };
    let exit = match cli.command {
        Command::Ls { project, form } => command::ls::run(&mut context, project.as_ref(), form),
        Command::Show { which, form } => {
            let job = one(&context.catalog, which.name, which.job)?;
            let job = job.ok_or_else(|| Failure::with(Exit::Usage, "no checkpoint was named"))?;
            command::show::run(&mut context, job, form)
        }
        Command::Size { which, form } => {
            let job = match &which.name {
                Some(name) => Some(context.catalog.named_that_crawled(name)?),
                None => one(&context.catalog, None, which.job)?,
            };
            command::size::run(&mut context, job, form)
        }
        Command::Verify {
            which,
            repair,
            form,
        } => {
            let job = one_that_takes_space(&context.catalog, which)?;
            command::verify::run(&mut context, job, repair, form)
        }
        Command::Report { name, asked } => {
            let spider = context.catalog.spider(&name)?;
            command::report::run(&mut context, &spider, &asked)
        }
        Command::Collect(asked) => command::collect::run(&mut context, &asked),
        Command::Rm { which, yes } => {
            let which = doomed(&context.catalog, which)?;
            command::rm::run(&mut context, which, yes)
        }
        Command::Pull { .. }
        | Command::Pause { .. }
        | Command::Resume { .. }
        | Command::Requeue { .. } => {
            let message = "that is done to a crawl in a store: --store URL says in which";
            Err(Failure::with(Exit::Usage, message))
        }
    }?;
    context.out.flush().map_err(Failure::from_stdout)?;
    Ok(exit)
}

/// The same for crawls that many machines share.
#[cfg(feature = "redis")]
fn over_store(cli: Cli, url: &str, out: &mut dyn Write) -> Result<Exit, Failure> {
    use command::store::{self, StoreRoom};
    let has_job = |job: Option<PathBuf>| match job {
        None => Ok(()),
        Some(_) => Err(Failure::with(
            Exit::Usage,
            "--job names a directory; a crawl in a store is named PROJECT/SPIDER/ID",
        )),
    };
    let context = Context {
        catalog: Catalog::new(data_dir(cli.data_dir.as_deref())),
        out,
        quiet: cli.quiet,
        verbose: cli.verbose,
    };
    let mut room = StoreRoom::open(context, url, cli.outage)?;
    let exit = match cli.command {
        Command::Ls { project, form } => store::ls::run(&mut room, project.as_ref(), form),
        Command::Show { which, form } => {
            has_job(which.job)?;
            store::show::run(&mut room, &which.name.unwrap_or_default(), form)
        }
        Command::Size { which, form } => {
            has_job(which.job)?;
            store::size::run(&mut room, which.name.as_deref(), form)
        }
        Command::Verify {
            which,
            repair,
            form,
        } => {
            has_job(which.job)?;
            if repair {
                let message =
                    "--repair works on a job directory: a partition becomes one by `pull`";
                return Err(Failure::with(Exit::Usage, message));
            }
            store::verify::run(&mut room, which.name.as_deref(), form)
        }
        Command::Pull { name, dir, parts } => store::pull::run(&mut room, &name, &parts, &dir),
        Command::Requeue {
            name,
            worker,
            print,
        } => store::requeue::run(&mut room, &name, worker.as_str(), print),
        Command::Pause { name } => store::pause::pause(&mut room, &name),
        Command::Resume { name } => store::pause::resume(&mut room, &name),
        Command::Report { .. } | Command::Collect(_) => Err(Failure::with(
            Exit::Usage,
            "the records of a crawl lie with its workers and not in the store",
        )
        .hint("crawl-ckpt collect DIR... -o FILE   (makes one file of them, without --store)")),
        Command::Rm { which, yes } => {
            use store::rm::Condemned;
            has_job(which.job)?;
            let which = match which.older_than {
                Some(age) => Condemned::OlderThan(age),
                None if which.all => Condemned::All,
                None => Condemned::Named(which.names),
            };
            store::rm::run(&mut room, which, yes)
        }
    }?;
    room.context.out.flush().map_err(Failure::from_stdout)?;
    Ok(exit)
}

#[cfg(not(feature = "redis"))]
fn over_store(_: Cli, _: &str, _: &mut dyn Write) -> Result<Exit, Failure> {
    let message = "this crawl-ckpt was built without stores";
    Err(Failure::with(Exit::Usage, message))
}

fn one(
    catalog: &Catalog,
    name: Option<String>,
    job: Option<PathBuf>,
) -> Result<Option<Found>, Failure> {
    match (name, job) {
        (Some(name), _) => catalog.named(&name).map(Some),
        (None, Some(dir)) => Catalog::at(&dir).map(Some),
        (None, None) => Ok(None),
    }
}

fn one_that_takes_space(catalog: &Catalog, which: AnyOne) -> Result<Option<Found>, Failure> {
    match &which.name {
        Some(name) => catalog.named_that_takes_space(name).map(Some),
        None => one(catalog, None, which.job),
    }
}

fn doomed(catalog: &Catalog, which: Doomed) -> Result<command::rm::Which, Failure> {
    use command::rm::Which;
    if let Some(age) = which.older_than {
        return Ok(Which::OlderThan(age));
    }
    if which.all {
        return Ok(Which::All);
    }
    let mut jobs = Vec::new();
    for name in which.names {
        jobs.push(catalog.named(&name)?);
    }
    if let Some(dir) = which.job {
        jobs.push(Catalog::at(&dir)?);
    }
    Ok(Which::Named(jobs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_holds_together() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
