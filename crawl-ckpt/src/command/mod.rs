//! The commands of crawl-ckpt.

pub mod ls;
pub mod rm;
pub mod show;
pub mod size;
pub mod verify;

use serde_json::{Map, Value, json};

use crate::catalog::Found;
use crate::control::Counts;
use crate::look::Look;

/// What is not finished is pending for whoever resumes: in flight or parked, too.
fn unfinished(counts: &Counts) -> u64 {
    counts.pending + counts.in_flight + counts.parked
}

/// The fields that every command's JSON begins with. What is not known is left out.
fn json_of(job: &Found, look: &Look) -> Map<String, Value> {
    let mut fields = Map::new();
    if let Some((project, spider)) = &job.names {
        fields.insert("project".into(), json!(project.as_str()));
        fields.insert("spider".into(), json!(spider.as_str()));
    }
    fields.insert("state".into(), json!(look.state.as_str()));
    if let Some(counts) = look.counts() {
        fields.insert("pending".into(), json!(unfinished(&counts)));
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
