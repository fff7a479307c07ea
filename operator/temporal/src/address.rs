//! Where the operator may connect to. An address comes from an object that a tenant wrote; the operator must not become the
//! tenant's way to the node, to the cloud's metadata service or to itself. What counts is the resolved IP, at each connect.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Why an address is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is not an address.
    #[error("address {address:?} is not host:port or [v6]:port")]
    Malformed {
        /// As configured, cut.
        address: String,
    },
    /// It leads where the operator does not go.
    #[error("the address leads to a {kind} address, where the operator does not connect to")]
    NotAllowed {
        /// What kind of address that is.
        kind: Forbidden,
    },
}

/// Kinds of addresses that are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// 127.0.0.0/8, `::1`.
    Loopback,
    /// 169.254.0.0/16, `fe80::/10`.
    LinkLocal,
    /// A cloud's metadata service.
    Metadata,
    /// `0.0.0.0/8`, `::`.
    Unspecified,
    /// Multicast and broadcast.
    Multicast,
    /// One that this operator was told to keep away from.
    Denied,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "loopback",
            Self::LinkLocal => "link-local",
            Self::Metadata => "metadata service",
            Self::Unspecified => "unspecified",
            Self::Multicast => "multicast",
            Self::Denied => "forbidden",
        })
    }
}

/// Which resolved addresses are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Loopback is fine: for an operator outside a cluster, and tests. Everything else stays refused.
    pub allow_loopback: bool,
    /// More addresses to refuse, such as the API server's.
    pub denied: Vec<IpAddr>,
}

/// Metadata services of clouds outside the link-local ranges.
const METADATA: [IpAddr; 3] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

impl AddressPolicy {
    /// Refuses `ip` if it is of a forbidden kind, also when it is an IPv4 address in IPv6 clothes.
    pub fn check(&self, ip: IpAddr) -> Result<(), AddressError> {
        let ip = unwrapped(ip);
        let kind = if self.denied.iter().any(|denied| unwrapped(*denied) == ip) {
            Forbidden::Denied
        } else if METADATA.contains(&ip) {
            Forbidden::Metadata
        } else if ip.is_loopback() {
            if self.allow_loopback {
                return Ok(());
            }
            Forbidden::Loopback
        } else if ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
            Forbidden::Multicast
        } else {
            match ip {
                IpAddr::V4(v4) if v4.octets()[0] == 0 => Forbidden::Unspecified,
                IpAddr::V4(v4) if v4.is_link_local() => Forbidden::LinkLocal,
                IpAddr::V6(v6) if v6.is_unspecified() => Forbidden::Unspecified,
                IpAddr::V6(v6) if v6.is_unicast_link_local() => Forbidden::LinkLocal,
                IpAddr::V4(_) | IpAddr::V6(_) => return Ok(()),
            }
        };
        Err(AddressError::NotAllowed { kind })
    }

    /// Refuses a name of which any address is forbidden: a name that leads to both is not a mistake.
    pub(crate) fn check_all(&self, addresses: &[SocketAddr]) -> Result<(), AddressError> {
        addresses.iter().try_for_each(|address| self.check(address.ip()))
    }
}

/// The IPv4 address inside an IPv6 one: mapped, compatible, NAT64 (`64:ff9b::/96`), 6to4 (`2002::/16`).
fn unwrapped(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let v4 = |high: u16, low: u16| IpAddr::V4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match v6.segments() {
        // `::` and `::1` are themselves.
        [0, 0, 0, 0, 0, 0, 0, _] => ip,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            v4(high, low)
        }
        _ => ip,
    }
}

/// A parsed address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPort {
    /// Host without brackets.
    pub(crate) host: String,
    /// Port, not 0.
    pub(crate) port: u16,
}

impl HostPort {
    /// From `host:port` or `[v6]:port`.
    pub(crate) fn parse(address: &str) -> Result<Self, AddressError> {
        let parsed = || {
            let (host, port) = address.rsplit_once(':')?;
            let port = port.parse().ok().filter(|port| *port != 0)?;
            let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
                Some(v6) => v6.parse::<Ipv6Addr>().ok()?.to_string(),
                None if is_name(host) => host.to_owned(),
                None => return None,
            };
            Some(Self { host, port })
        };
        parsed().ok_or_else(|| AddressError::Malformed {
            address: address.chars().take(64).collect(),
        })
    }

    /// As it stands in a URI.
    pub(crate) fn authority(&self) -> String {
        let Self { host, port } = self;
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }
}

/// A DNS name or IPv4 address: nothing that could mean something else in a URI.
fn is_name(host: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !host.is_empty() && host.len() <= 253 && host.chars().all(fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(policy: &AddressPolicy, ip: &str) -> Option<Forbidden> {
        match policy.check(ip.parse().unwrap()) {
            Err(AddressError::NotAllowed { kind }) => Some(kind),
            Ok(()) => None,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn addresses_inside_the_node_or_the_cloud_are_refused_in_any_clothes() {
        let policy = AddressPolicy {
            allow_loopback: false,
            denied: vec!["10.0.0.1".parse().unwrap()],
        };
        for (ip, kind) in [
            ("127.0.0.1", Forbidden::Loopback),
            ("127.8.9.1", Forbidden::Loopback),
            ("::1", Forbidden::Loopback),
            ("::ffff:127.0.0.1", Forbidden::Loopback),
            ("64:ff9b::7f00:1", Forbidden::Loopback),
            ("2002:7f00:1::", Forbidden::Loopback),
            ("169.254.169.254", Forbidden::LinkLocal),
            ("::ffff:169.254.169.254", Forbidden::LinkLocal),
            ("64:ff9b::a9fe:a9fe", Forbidden::LinkLocal),
            ("fe80::1", Forbidden::LinkLocal),
            ("fd00:ec2::254", Forbidden::Metadata),
            ("100.100.100.200", Forbidden::Metadata),
            ("0.0.0.0", Forbidden::Unspecified),
            ("0.1.2.3", Forbidden::Unspecified),
            ("::", Forbidden::Unspecified),
            ("224.0.0.1", Forbidden::Multicast),
            ("ff02::1", Forbidden::Multicast),
            ("255.255.255.255", Forbidden::Multicast),
            ("10.0.0.1", Forbidden::Denied),
            ("::ffff:10.0.0.1", Forbidden::Denied),
        ] {
            assert_eq!(refused(&policy, ip), Some(kind), "{ip}");
        }
        for ip in ["10.0.0.2", "192.168.1.1", "8.8.8.8", "2001:db8::1", "fd12::1"] {
            assert_eq!(refused(&policy, ip), None, "{ip}");
        }
    }

    #[test]
    fn the_flag_opens_loopback_and_nothing_else() {
        let policy = AddressPolicy {
            allow_loopback: true,
            denied: Vec::new(),
        };
        assert_eq!(refused(&policy, "127.0.0.1"), None);
        assert_eq!(refused(&policy, "::1"), None);
        assert_eq!(refused(&policy, "169.254.169.254"), Some(Forbidden::LinkLocal));
        assert_eq!(refused(&policy, "0.0.0.0"), Some(Forbidden::Unspecified));
    }

    #[test]
    fn one_forbidden_address_refuses_the_whole_name() {
        let addresses = ["8.8.8.8:7233".parse().unwrap(), "127.0.0.1:7233".parse().unwrap()];
        assert!(AddressPolicy::default().check_all(&addresses).is_err());
        assert!(AddressPolicy::default().check_all(&addresses[..1]).is_ok());
    }

    #[test]
    fn addresses_are_a_host_and_a_port_and_nothing_else() {
        for (address, host, authority) in [
            (
                "temporal.default.svc:7233",
                "temporal.default.svc",
                "temporal.default.svc:7233",
            ),
            ("10.1.2.3:1", "10.1.2.3", "10.1.2.3:1"),
            ("[2001:db8::1]:7233", "2001:db8::1", "[2001:db8::1]:7233"),
        ] {
            let parsed = HostPort::parse(address).unwrap();
            assert_eq!((parsed.host.as_str(), parsed.authority().as_str()), (host, authority));
        }
        for address in [
            "",
            ":",
            "host",
            "host:",
            ":7233",
            "host:0",
            "host:65536",
            "host:+1 ",
            "a b:1",
            "user@host:1",
            "host/x:1",
            "http://host:1",
            "2001:db8::1:7233",
            "[nonsense]:1",
            "[127.0.0.1]:1",
            "host?x:1",
            "höst:1",
        ] {
            assert!(
                matches!(HostPort::parse(address), Err(AddressError::Malformed { .. })),
                "{address}"
            );
        }
    }
}
