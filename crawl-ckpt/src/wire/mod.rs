//! What travels between the tools and into spider files: records, orders, plans, and the
//! words in which a spider file is read.

pub mod capture;
pub mod control;
pub mod domain;
pub mod extraction;
pub mod generated;
pub mod handed;
pub mod keys;
pub mod limits;
pub mod lines;
pub mod node;
pub mod passed;
pub mod pattern;
pub mod plan;
pub mod price;
pub mod ranked;
pub mod record;
pub mod rendering;
pub mod text;
mod unmarked;
