//! The address that a request counts for.
//!
//! `X-Forwarded-For` is what a client says of itself, unless a proxy has written it. So it is read from its end, where the
//! nearest proxy has added to it, and only as far as the proxies go that the administrator has named.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// The header that proxies write the address of their client into.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The part of an IPv6 address that its owner cannot choose, in bits: a connection is given a whole network.
const NETWORK_BITS: u32 = 64;

/// The proxies whose word counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Proxies by their addresses or networks, such as `10.0.0.7` or `fd00::/8`; empty ones do not count.
    ///
    /// # Errors
    /// Fails when one is neither, and names it.
    pub fn parse(proxies: &[String]) -> anyhow::Result<Self> {
        let given = proxies.iter().map(|proxy| proxy.trim()).filter(|proxy| !proxy.is_empty());
        let parsed = given.map(|proxy| {
            let network = proxy.parse::<IpNet>().or_else(|_| proxy.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| {
                anyhow::anyhow!("{proxy:?} is neither an IP address nor a network such as 10.0.0.0/8")
            })
        });
        Ok(Self(parsed.collect::<anyhow::Result<_>>()?))
    }

    /// The address of the client whose request came from `peer`.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let hops = headers.get_all(FORWARDED_FOR).into_iter().rev();
        let hops = hops.flat_map(|value| value.to_str().unwrap_or("?").rsplit(','));
        for hop in hops {
            if !self.trusts(client) {
                break;
            }
            // what a proxy has not understood it has not checked: nothing before it counts either
            let Some(address) = address(hop) else { break };
            client = address;
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// What is counted as one client: an IPv4 address, or an IPv6 network of 64 bits.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mask = u128::MAX << (u128::BITS - NETWORK_BITS);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
        v4 => v4,
    }
}

/// One entry of the header. Some proxies add the port.
fn address(hop: &str) -> Option<IpAddr> {
    let hop = hop.trim();
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().ok().or_else(|| Some(hop.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(proxies: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let proxies: Vec<_> = proxies.iter().map(ToString::to_string).collect();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        Proxies::parse(&proxies).unwrap().client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn without_trusted_proxies_the_header_does_not_count() {
        assert_eq!(client(&[], "10.0.0.1", &["1.1.1.1"]), "10.0.0.1");
        assert_eq!(client(&["10.0.0.0/8"], "11.0.0.1", &["1.1.1.1"]), "11.0.0.1");
    }

    #[test]
    fn the_last_address_that_no_trusted_proxy_has_is_the_clients() {
        let proxies = ["10.0.0.0/8", "fd00::1"];
        for (forwarded, expected) in [
            (&["1.1.1.1"][..], "1.1.1.1"),
            // what the client has made up stands before
            (&["9.9.9.9, 1.1.1.1"], "1.1.1.1"),
            (&["9.9.9.9", "1.1.1.1, 10.2.0.1"], "1.1.1.1"),
            (&["9.9.9.9, 1.1.1.1,10.2.0.1 , fd00::1"], "1.1.1.1"),
            (&["1.1.1.1:4711"], "1.1.1.1"),
            (&["[2001:db8::5]:4711"], "2001:db8::5"),
            (&["[2001:db8::5]"], "2001:db8::5"),
            (&["::ffff:1.1.1.1"], "1.1.1.1"),
            // all of them are proxies: the farthest of them
            (&["10.9.9.9"], "10.9.9.9"),
            (&[], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            (&["1.1.1.1, unknown"], "10.0.0.1"),
            (&["1.1.1.1, unknown, 10.2.0.1"], "10.2.0.1"),
            (&["1.1.1.1,"], "10.0.0.1"),
        ] {
            assert_eq!(client(&proxies, "10.0.0.1", forwarded), expected, "{forwarded:?}");
            assert_eq!(client(&proxies, "::ffff:10.0.0.1", forwarded), expected, "{forwarded:?}");
        }
    }

    #[test]
    fn an_ipv6_network_is_one_client() {
        let of = |address: &str| network(address.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:1.2.3.4"), "1.2.3.4");
        assert_eq!(of("1.2.3.4"), "1.2.3.4");
    }

    #[test]
    fn only_addresses_and_networks_are_proxies() {
        assert_eq!(Proxies::parse(&[String::new()]).unwrap(), Proxies::default());
        for wrong in ["10.0.0.0/33", "proxy.example", "10.0.0", "*", "10.0.0.1/8/8"] {
            assert!(Proxies::parse(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
