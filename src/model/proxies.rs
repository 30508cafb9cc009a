//! Which address a request came from, when proxies stand before the server. A header that anybody can send is believed
//! only of a proxy that the operator named.

use std::net::{IpAddr, SocketAddr};

/// The proxies whose word is taken, and the header that they write. Only one of the two is read: a proxy passes the
/// other on as the client sent it.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<Network>,
    pub header: ForwardedHeader,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedHeader {
    #[default]
    XForwardedFor,
    /// RFC 7239.
    Forwarded,
}

impl ForwardedHeader {
    pub const fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

/// An address, or all that begin with the same bits; IPv4 as the IPv6 addresses that stand for it.
#[derive(Clone, Copy, Debug)]
struct Network {
    bits: u128,
    prefix: u32,
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let length = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(length);
        (prefix <= length).then(|| Self { bits: bits(address), prefix: prefix + 128 - length })
    }

    fn contains(self, address: IpAddr) -> bool {
        let different = self.bits ^ bits(address);
        different.checked_shr(128 - self.prefix).unwrap_or(0) == 0
    }
}

impl TrustedProxies {
    /// Addresses and networks (`10.0.0.0/8`); `None` when one is neither.
    pub fn parse<'a>(entries: impl IntoIterator<Item = &'a str>, header: ForwardedHeader) -> Option<Self> {
        let networks = entries.into_iter().map(Network::parse).collect::<Option<_>>()?;
        Some(Self { networks, header })
    }

    /// Whether this is one of them.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    /// The nearest address that is not a proxy of ours, from the peer backwards through the lines of the header.
    /// What cannot be read ends the walk.
    pub fn client_address(&self, peer: IpAddr, lines: &[&str]) -> IpAddr {
        let mut address = peer.to_canonical();
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            if !self.trusts(address) {
                break;
            }
            let Some(before) = self.read_hop(hop) else { break };
            address = before.to_canonical();
        }
        address
    }

    fn read_hop(&self, hop: &str) -> Option<IpAddr> {
        let node = match self.header {
            ForwardedHeader::XForwardedFor => hop.trim(),
            // `for="[2001:db8::1]:4711";proto=https` (RFC 7239, 4).
            ForwardedHeader::Forwarded => hop.split(';').find_map(|pair| {
                let (name, value) = pair.trim().split_once('=')?;
                name.eq_ignore_ascii_case("for").then(|| value.trim_matches('"'))
            })?,
        };
        let bare = node.strip_prefix('[').and_then(|node| node.strip_suffix(']')).unwrap_or(node);
        bare.parse().ok().or_else(|| node.parse::<SocketAddr>().ok().map(|address| address.ip()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(header: ForwardedHeader, trusted: &[&str], peer: &str, lines: &[&str]) -> String {
        let proxies = TrustedProxies::parse(trusted.iter().copied(), header).unwrap();
        proxies.client_address(peer.parse().unwrap(), lines).to_string()
    }

    #[test]
    fn only_the_word_of_a_named_proxy_is_taken() {
        let seen = |trusted, peer, lines| seen(ForwardedHeader::XForwardedFor, trusted, peer, lines);
        assert_eq!(seen(&[], "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(seen(&["10.0.0.0/8"], "10.1.2.3", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(seen(&["10.0.0.0/8"], "11.1.2.3", &["198.51.100.7"]), "11.1.2.3");
        // What the client itself wrote stands further left and is not reached.
        assert_eq!(seen(&["10.0.0.0/8"], "10.0.0.1", &["1.1.1.1, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(seen(&["10.0.0.0/8"], "10.0.0.1", &["1.1.1.1", "198.51.100.7, 10.0.0.2"]), "198.51.100.7");
        assert_eq!(seen(&["10.0.0.0/8"], "10.0.0.1", &["1.1.1.1, unknown"]), "10.0.0.1");
        assert_eq!(seen(&["10.0.0.1"], "::ffff:10.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(seen(&["::1", "fd00::/8"], "fd12::1", &["198.51.100.7:80"]), "198.51.100.7");
        assert_eq!(seen(&["0.0.0.0/0"], "fd12::1", &["1.1.1.1"]), "fd12::1");
    }

    #[test]
    fn the_standard_header_is_read_where_it_is_chosen() {
        let seen = |lines| seen(ForwardedHeader::Forwarded, &["10.0.0.1"], "10.0.0.1", lines);
        assert_eq!(seen(&["for=192.0.2.60;proto=http;by=203.0.113.43"]), "192.0.2.60");
        assert_eq!(seen(&["for=1.1.1.1, proto=https;For=\"[2001:db8:cafe::17]:4711\""]), "2001:db8:cafe::17");
        assert_eq!(seen(&["for=_hidden"]), "10.0.0.1");
        assert_eq!(seen(&["by=1.1.1.1"]), "10.0.0.1");
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "proxy.example", "::1/129", "1.1.1.1/-1", "1.1.1.1/"] {
            assert!(TrustedProxies::parse([bad], ForwardedHeader::default()).is_none(), "{bad}");
        }
    }
}
