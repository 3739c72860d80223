//! What the web's standards say, and more than one tool must know: addresses, cookies, robots.txt.

pub mod address;
pub mod canonical;
pub mod cookies;
mod expiry;
mod jar;
pub mod netscape;
pub mod octets;
pub mod robots;
