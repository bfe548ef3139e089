//! To which addresses events may go: whoever names a webhook must not reach what only the operator's network does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;
use url::{Host, Url};

/// Looks names up, and leaves private addresses out. The connection goes to what was looked up here: a name that leads
/// elsewhere a moment later does not matter.
pub struct Resolver {
    /// Whether private addresses are allowed.
    pub private_addresses: bool,
}

/// A name that leads to private addresses alone.
#[derive(Debug, Error)]
#[error("the name leads to a private address")]
pub struct NoPublicAddress;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let private_addresses = self.private_addresses;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> =
                found.filter(|address| private_addresses || is_public(address.ip())).collect();
            if allowed.is_empty() {
                return Err(NoPublicAddress.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Whether a URL names a private address in digits, which is not looked up.
pub fn is_private_literal(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => !is_public(address.into()),
        Some(Host::Ipv6(address)) => !is_public(address.into()),
        _ => false,
    }
}

/// As much of a URL as is told: path and query may be secrets.
pub fn shown(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// What is told of a private address.
pub fn refusal(host: &str) -> String {
    format!(
        "{host} leads to a private address, which the administrator does not allow (the chart's webhooks.privateAddresses)"
    )
}

/// Whether an address is one of the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = matches!(
        (a, b, c),
        // this network; carrier-grade NAT; protocol assignments; relays of 6to4; benchmarks; reserved
        (0 | 240.., _, _) | (100, 64..=127, _) | (192, 0, 0) | (192, 88, 99) | (198, 18 | 19, _)
    );
    !(is_special
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let [a, b, ..] = address.segments();
    match (a, b) {
        // 6to4 leads to an IPv4 address
        (0x2002, _) => {
            let [_, _, first, second, third, fourth, ..] = address.octets();
            is_public_v4(Ipv4Addr::new(first, second, third, fourth))
        }
        // protocol assignments (Teredo among them), documentation
        (0x2001, ..=0x1ff | 0xdb8) | (0x3fff, ..=0xfff) => false,
        // what is assigned to be routed
        (0x2000..=0x3fff, _) => true,
        // NAT64 leads to an IPv4 address
        (0x64, 0xff9b) => {
            let [.., first, second, third, fourth] = address.octets();
            address.segments()[2..6] == [0; 4] && is_public_v4(Ipv4Addr::new(first, second, third, fourth))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_private_and_special_networks_are_not_public() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "192.0.0.8",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001:db8::1",
            "2001::1",
            "fec0::1",
            "64:ff9b:1::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in
            ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]
        {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_private_address_in_any_notation_is_known_and_no_path_is_told() {
        for url in [
            "http://127.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://[::1]/",
            "http://[::ffff:a00:1]/",
        ] {
            assert!(is_private_literal(&url.parse().unwrap()), "{url}");
        }
        let url: Url = "https://hooks.example.org:8443/secret?token=1".parse().unwrap();
        assert!(!is_private_literal(&url));
        assert_eq!(shown(&url), "https://hooks.example.org:8443");
    }
}
