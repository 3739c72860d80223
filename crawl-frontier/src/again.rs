//! The failed URLs of a finished output, asked for again: a job that stands where the crawl stood
//! before it asked for them.
//!
//! The new output begins with all other records. One batch says it all, so that after a kill the job
//! is empty and this is done anew, or whole.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use crawl_ckpt::control::{Counts, Progress};
use crawl_ckpt::durable::{Append, Disk, RealDisk, parent, remove_if_there};
use crawl_ckpt::job::{Job, OUTPUT};
use crawl_ckpt::journal::{Batch, Commit, Referer, Stored};
use crawl_ckpt::lock::JobLock;
use crawl_ckpt::plan::Plan;
use crawl_ckpt::record::FetchResult;
use crawl_ckpt::report::Source;
use crawl_ckpt::tool::Failure;

use crate::class::Class;
use crate::crawl::{secrets::Secrets, tally};
use crate::keys::{GAVE_PAGE, HOST};
use crate::scope::{By, PLAIN, Scope};
use crate::url::{Fingerprinter, canonicalize_link, origin};

/// Records are written in pieces of this size.
const PIECE_BYTES: usize = 1 << 20;

/// Fills an empty job: the failed URLs of `source` are pending, all others are done.
///
/// # Errors
/// Those of the disk; a source that is no whole output of a crawl.
pub fn fill(
    job: &mut Job,
    lock: &JobLock,
    source: &Path,
    data_dir: &Path,
    now_ms: u64,
) -> Result<(), Failure> {
    let manifest = job.manifest().clone();
    let plan = manifest.plan.clone().unwrap_or_default();
    let to = manifest.output.as_ref();
    let to = to.and_then(|output| output.resolve(data_dir));
    let to =
        to.ok_or_else(|| Failure::new("what is asked for again needs a file for its records"))?;
    let failed = |e: io::Error| Failure::new(format_args!("cannot write {}: {e}", to.display()));
    RealDisk.create_dir_all(parent(&to)).map_err(failed)?;
    // Of a run that was killed here.
    remove_if_there(&RealDisk, &to).map_err(failed)?;
    let mut output = Append::create(&RealDisk, &to).map_err(failed)?;

    let end = job.replay(None, |_| Ok(()))?.mark;
    let mut writer = job.writer(lock, &end)?;
    let mut filling = Filling::new(plan, manifest.key, Batch::new(&end))?;
    let mut piece = Vec::new();
    let mut lost = Ok(());
    Source::open(source)?.each_record(|line| {
        if filling.take(line)? {
            piece.extend_from_slice(line);
        }
        if piece.len() >= PIECE_BYTES && lost.is_ok() {
            lost = output.append(&piece);
            piece.clear();
        }
        Ok(())
    })?;
    lost.map_err(failed)?;
    output.append(&piece).map_err(failed)?;
    output.sync().map_err(failed)?;
    RealDisk.sync_dir(parent(&to)).map_err(failed)?;

    let (batch, progress) = filling.done();
    let commit = Commit {
        at_ms: now_ms,
        progress,
        files: [(OUTPUT.to_owned(), output.len())].into(),
        tails: [(OUTPUT.to_owned(), output.tail().sum())].into(),
    };
    writer.append(&batch.close(&commit))?;
    Ok(())
}

/// What the records come to.
struct Filling {
    plan: Plan,
    scope: Scope,
    secrets: Secrets,
    fingerprinter: Fingerprinter,
    seen: HashSet<u128>,
    starts: HashSet<String>,
    /// Where start URLs redirect to.
    targets: HashSet<String>,
    hosts: HashMap<String, u64>,
    batch: Batch,
    progress: Progress,
    gave_page: bool,
    canonical: String,
}

impl Filling {
    fn new(plan: Plan, key: [u8; 16], batch: Batch) -> Result<Filling, Failure> {
        let scope = Scope::compile(&plan.scope, plan.allow_private).map_err(Failure::new)?;
        let mut canonical = String::new();
        let mut starts = HashSet::new();
        for url in &plan.start_urls {
            // A start URL that is no URL is told when it is taken on.
            if canonicalize_link(url, scope.form, &mut canonical).is_ok() {
                starts.insert(canonical.clone());
            }
        }
        Ok(Filling {
            secrets: Secrets::new(&plan),
            scope,
            fingerprinter: Fingerprinter::new(key),
            seen: HashSet::new(),
            starts,
            targets: HashSet::new(),
            hosts: HashMap::new(),
            batch,
            progress: Progress::default(),
            gave_page: false,
            canonical,
            plan,
        })
    }

    /// Takes a record; true when it stays as it is.
    fn take(&mut self, line: &[u8]) -> Result<bool, String> {
        let record: FetchResult<'_> =
            serde_json::from_slice(line).map_err(|e| format!("it is no record: {e}"))?;
        let mut url = std::mem::take(&mut self.canonical);
        canonicalize_link(&record.url, self.scope.form, &mut url).map_err(|e| e.to_string())?;
        let fingerprint = self.fingerprinter.get(&url);
        if !self.seen.insert(fingerprint) {
            return Err(format!("{url} has a record before"));
        }
        let stays = !record.has_failed();
        if stays {
            self.keep(&url, fingerprint, &record);
        } else if !self.starts.contains(&url) {
            self.ask_again(&url, &record);
        }
        self.canonical = url;
        Ok(stays)
    }

    fn keep(&mut self, url: &str, fingerprint: u128, record: &FetchResult<'_>) {
        self.batch.seen(&fingerprint.to_be_bytes());
        *self.hosts.entry(origin(url).to_owned()).or_default() += 1;
        let progress = &mut self.progress;
        progress.counts.seen += 1;
        progress.counts.done += 1;
        progress.starts += u64::from(record.depth == Some(0));
        progress.records += 1;
        progress.bytes += record.bytes.unwrap_or(0);
        if let Some(class) = Class::of(record) {
            class.count(progress);
        }
        tally::item(progress, record);
        self.gave_page |= record.status.is_some_and(|status| status / 100 == 2);
        if let Some(location) = &record.location
            && (self.starts.contains(url) || self.targets.contains(url))
        {
            let mut target = String::new();
            if canonicalize_link(location, self.scope.form, &mut target).is_err() {
                return;
            }
            let keys = [
                self.scope.add_host(&target),
                self.scope.add_directory(&target),
                self.secrets.follow(url, &target),
            ];
            for key in keys.into_iter().flatten() {
                self.batch.set(&key, b"1");
            }
            self.targets.insert(target);
        }
    }

    /// It waits as if its link had just been found. A start URL is taken on as such when the crawl begins.
    fn ask_again(&mut self, url: &str, record: &FetchResult<'_>) {
        let depth = record.depth.unwrap_or(0);
        let admission = self.scope.admit(url, depth, By::Url).unwrap_or(PLAIN);
        let deep = self.plan.depth_priority.saturating_mul(depth.into());
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let is_sitemap = self.plan.sitemap && depth == 0 && path.contains(".xml");
        self.batch.request(&Stored {
            url,
            depth,
            priority: admission.priority.saturating_sub(deep),
            nofollow: !admission.follow,
            redirects: 0,
            referer: record.referer.as_ref().map(|page| Referer::of(url, page)),
            extra: is_sitemap.then_some(r#"{"kind":"sitemap"}"#),
        });
        let Counts { seen, pending, .. } = &mut self.progress.counts;
        *seen += 1;
        *pending += 1;
        self.progress.starts += u64::from(depth == 0);
    }

    fn done(mut self) -> (Batch, Progress) {
        if self.gave_page {
            self.batch.set(GAVE_PAGE, b"1");
        }
        // Which hosts there are matters to this cap alone; each would be asked for its robots.txt.
        if self.plan.scope.max_pages_per_host.is_some() {
            for (origin, taken) in &self.hosts {
                let key = format!("{HOST}{origin}");
                self.batch.set(&key, taken.to_string().as_bytes());
            }
        }
        (self.batch, self.progress)
    }
}
