//! Gets the bytes.

pub mod agent;
pub mod body;
pub mod call;
mod coding;
pub mod cookies;
pub mod dial;
pub mod dns;
pub mod error;
mod framing;
pub mod gate;
pub mod header;
mod plain;
pub mod proxy;
pub mod redirect;
pub mod stall;
pub mod tcp;
pub(crate) mod tls;
