//! What can be asked of a job beside serving it: a command a file.

pub mod add;
pub mod explain;
mod history;
pub mod inspect;
pub mod withdraw;
