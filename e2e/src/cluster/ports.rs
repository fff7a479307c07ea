//! Which loopback ports Prometheus and Temporal's UI get: their usual ones, or the next free ones. Chosen once per life of
//! the cluster, so that a second `up` keeps the URLs.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use super::config::Ports;
use super::error::{Error, Result};
use super::layout::Layout;

/// The ports of this cluster; `None` before its first `up`.
pub fn stored(layout: &Layout) -> Option<Ports> {
    let text = fs::read_to_string(layout.run("ports")).ok()?;
    let (prometheus, ui) = text.trim().split_once(' ')?;
    Some(Ports {
        prometheus: prometheus.parse().ok()?,
        ui: ui.parse().ok()?,
    })
}

/// The stored ports, or free ones that are stored now.
pub(super) fn choose(layout: &Layout) -> Result<Ports> {
    if let Some(ports) = stored(layout) {
        return Ok(ports);
    }
    let ports = Ports {
        prometheus: free_from(9090)?,
        ui: free_from(8233)?,
    };
    let file = layout.run("ports");
    fs::write(&file, format!("{} {}\n", ports.prometheus, ports.ui)).map_err(Error::file("write", file))?;
    Ok(ports)
}

fn free_from(first: u16) -> Result<u16> {
    (first..first + 100)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .ok_or_else(|| {
            Error::Refused(format!(
                "no port from {first} to {} is free on the loopback",
                first + 99
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_skipped() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        let port = taken.local_addr().expect("address").port();
        assert!(free_from(port.min(60000)).expect("free") != port || port > 60000);
    }
}
