//! Gets the bytes.

pub mod agent;
pub mod body;
pub mod call;
mod coding;
pub mod cookies;
pub mod dial;
pub mod dns;
pub mod error;
pub mod framing;
pub mod gate;
pub mod header;
pub mod heads;
pub mod plain;
pub mod plain_head;
pub mod proxy;
pub mod redirect;
pub mod stall;
pub mod tcp;
pub mod tls;
pub mod warc;
