//! The commands of crawl-ckpt.

pub mod collect;
pub mod ls;
pub mod report;
pub mod rm;
pub mod show;
pub mod size;
#[cfg(feature = "redis")]
pub mod store;
pub mod verify;

use std::io::Write;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::catalog::{Catalog, Found};
use crate::look::Look;
use crate::tool::{Failure, say};

/// The name that goes before every message.
pub const TOOL: &str = "crawl-ckpt";

/// How the answer is printed.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ListForm {
    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

/// What a command works with.
pub(crate) struct Context<'a> {
    pub catalog: Catalog,
    pub out: &'a mut dyn Write,
    pub quiet: bool,
    pub verbose: bool,
}

impl Context<'_> {
    /// Says something that is no error.
    pub fn say(&self, message: impl std::fmt::Display) {
        if !self.quiet {
            say(TOOL, message);
        }
    }

    /// Says something that only who asked for it wants to know.
    pub fn tell(&self, message: impl std::fmt::Display) {
        if self.verbose {
            say(TOOL, message);
        }
    }

    /// Prints text for people.
    pub fn print(&mut self, text: &str) -> Result<(), Failure> {
        self.out
            .write_all(text.as_bytes())
            .map_err(Failure::from_stdout)
    }

    /// Prints one object for programs.
    pub fn print_json(&mut self, value: &Value) -> Result<(), Failure> {
        self.print(&format!("{value}\n"))
    }
}

/// The fields that every command's JSON begins with. What is not known is left out.
/// What is not finished is pending for whoever resumes: in flight or parked, too.
fn json_of(job: &Found, look: &Look) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Some((project, spider)) = &job.names {
        fields.insert("project".into(), json!(project.as_str()));
        fields.insert("spider".into(), json!(spider.as_str()));
    }
    fields.insert("state".into(), json!(look.state.as_str()));
    if let Some(counts) = look.counts() {
        fields.insert("pending".into(), json!(counts.unfinished()));
        if counts.parked > 0 {
            fields.insert("parked".into(), json!(counts.parked));
        }
        fields.insert("seen".into(), json!(counts.seen));
        fields.insert("done".into(), json!(counts.done));
        fields.insert("failed".into(), json!(counts.failed));
    }
    fields.insert("bytes".into(), json!(look.bytes));
    if let bytes @ 1.. = job.delta_bytes() {
        fields.insert("delta_bytes".into(), json!(bytes));
    }
    fields.insert("age_s".into(), json!(look.age.as_secs()));
    if let Some(proxy_type) = look.proxy_type() {
        fields.insert("proxy_type".into(), json!(proxy_type));
    }
    fields.insert("path".into(), json!(job.place.dir.to_string_lossy()));
    if let Some(trouble) = &look.trouble {
        fields.insert("trouble".into(), json!(trouble));
    }
    fields
}

/// The names of a spider that only knows pages of earlier crawls.
fn json_without_checkpoint(job: &Found) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Some((project, spider)) = &job.names {
        fields.insert("project".into(), json!(project.as_str()));
        fields.insert("spider".into(), json!(spider.as_str()));
    }
    fields.insert("bytes".into(), json!(0));
    fields.insert("delta_bytes".into(), json!(job.delta_bytes()));
    fields
}
