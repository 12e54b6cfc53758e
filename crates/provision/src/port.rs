//! Free TCP ports on 127.0.0.1.

use crate::error::{Attempt, Result};
use std::net::{Ipv4Addr, TcpListener};

/// Whether a server could listen on 127.0.0.1:`port` now.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// `wanted` when it is free, else a port that the kernel picks.
pub fn pick(wanted: Option<u16>) -> Result<u16> {
    if let Some(port) = wanted.filter(|port| is_free(*port)) {
        return Ok(port);
    }
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).attempt(|| "cannot find a free port".into())?;
    Ok(listener
        .local_addr()
        .attempt(|| "cannot read the free port".into())?
        .port())
}
