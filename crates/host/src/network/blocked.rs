//! IP networks, and those that no component may reach.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// An IP network in CIDR notation; a bare address is a network of one.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Network {
    address: IpAddr,
    prefix: u8,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Network {
    /// Parses CIDR notation or a bare address.
    pub fn parse(text: &str) -> Result<Self, ()> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|p| *p <= most).ok_or(())?,
            None => most,
        };
        Ok(Self { address, prefix })
    }

    /// Whether `ip` belongs to the network; one of the other family never does.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let (network, ip, width) = match (self.address, ip) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
            _ => return false,
        };
        // Shifting out all bits would overflow.
        self.prefix == 0 || (network ^ ip) >> (width - self.prefix) == 0
    }
}

/// Networks no component may reach, whatever it is allowed otherwise.
#[derive(Clone, Default)]
pub(crate) struct BlockedNetworks {
    networks: Vec<Network>,
    private: bool,
}

impl BlockedNetworks {
    /// Adds a network in CIDR notation, or all that are not public by the word `private`.
    pub fn add(&mut self, network: &str) -> Result<(), String> {
        if network == "private" {
            self.private = true;
        } else {
            let network = Network::parse(network)
                .map_err(|()| format!("{network:?} is neither an IP network nor \"private\""))?;
            self.networks.push(network);
        }
        Ok(())
    }

    /// Whether `ip` is off limits. An IPv4 address inside an IPv6 one counts as itself.
    pub fn blocks(&self, ip: IpAddr) -> bool {
        if self.private && is_private(ip) || self.networks.iter().any(|n| n.contains(ip)) {
            return true;
        }
        match ip {
            IpAddr::V6(v6) => v6.to_ipv4().is_some_and(|v4| self.blocks(IpAddr::V4(v4))),
            IpAddr::V4(_) => false,
        }
    }
}

fn is_private(ip: IpAddr) -> bool {
    const V4: [&str; 15] = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "240.0.0.0/4",
        "255.255.255.255/32",
    ];
    let within = |networks: &[&str]| {
        networks
            .iter()
            .any(|n| Network::parse(n).is_ok_and(|n| n.contains(ip)))
    };
    match ip {
        IpAddr::V4(v4) => v4 == Ipv4Addr::UNSPECIFIED || within(&V4),
        // Only 2000::/3 is handed out for public use; documentation is inside it.
        IpAddr::V6(v6) => v6 == Ipv6Addr::UNSPECIFIED || within(&["2001:db8::/32"]) || !within(&["2000::/3"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocked_networks() {
        let mut blocked = BlockedNetworks::default();
        assert!(!blocked.blocks("127.0.0.1".parse().unwrap()));
        blocked.add("123.123.0.0/16").unwrap();
        for (ip, expected) in [
            ("123.123.1.1", true),
            ("::ffff:123.123.1.1", true),
            ("123.124.1.1", false),
        ] {
            assert_eq!(blocked.blocks(ip.parse().unwrap()), expected, "{ip}");
        }
        blocked.add("private").unwrap();
        for ip in [
            "0.0.0.0",
            "10.1.1.1",
            "127.0.0.1",
            "169.254.169.254",
            "::1",
            "::ffff:10.0.0.1",
            "fc00::1",
        ] {
            assert!(blocked.blocks(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["8.8.8.8", "2600::beef"] {
            assert!(!blocked.blocks(ip.parse().unwrap()), "{ip}");
        }
    }

    proptest! {
        /// A network holds exactly the addresses that share its prefix.
        #[test]
        fn networks_hold_their_prefix(a: u32, b: u32, prefix in 0u8..=32) {
            let network = Network { address: Ipv4Addr::from_bits(a).into(), prefix };
            let mask = if prefix == 0 { 0 } else { u32::MAX << (32 - prefix) };
            prop_assert_eq!(network.contains(Ipv4Addr::from_bits(b).into()), a & mask == b & mask);
        }
    }
}
