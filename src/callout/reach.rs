//! Which addresses may be called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How close to us an address is; a setting of this type allows what is no closer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Anybody's, on the public internet.
    Public,
    /// This machine.
    Loopback,
    /// A network of ours.
    Private,
    /// Nobody serves an application there: metadata of a cloud, neighbours on the link, groups, examples, what is reserved.
    Never,
}

impl Reach {
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => Self::of_v6(v6),
        }
    }

    /// IANA's special-purpose registry (RFC 6890), and what clouds keep for themselves.
    fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            [127, ..] => Self::Loopback,
            // Metadata at Alibaba and Azure.
            [100, 100, 100, 200] | [168, 63, 129, 16] => Self::Never,
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Self::Private,
            // Link-local, with the metadata of most clouds.
            [0, ..] | [169, 254, ..] | [192, 0, 0, _] => Self::Never,
            [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Self::Never,
            [192, 88, 99, _] | [198, 18..=19, ..] | [224..=255, ..] => Self::Never,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        if address == Ipv6Addr::LOCALHOST {
            return Self::Loopback;
        }
        match address.segments() {
            // IPv4 within IPv6: mapped, NAT64 (RFC 6052), 6to4 (RFC 3056).
            [0, 0, 0, 0, 0, 0xffff, high, low]
            | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
            | [0x2002, high, low, ..] => Self::of_v4(joined(high, low)),
            // Metadata at AWS and Google.
            [0xfd00, 0xec2, ..] | [0xfd20, 0xce, ..] => Self::Never,
            [0xfc00..=0xfdff, ..] => Self::Private,
            // Teredo and other protocol assignments; examples.
            [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Self::Never,
            [0x2000..=0x3fff, ..] => Self::Public,
            _ => Self::Never,
        }
    }
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_are(reach: Reach, addresses: &[&str]) {
        for address in addresses {
            assert_eq!(Reach::of(address.parse().unwrap()), reach, "{address}");
        }
    }

    #[test]
    fn the_public_internet() {
        all_are(Reach::Public, &["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1"]);
        all_are(Reach::Public, &["172.32.0.1", "223.255.255.255", "168.63.129.17", "192.1.0.1"]);
        all_are(Reach::Public, &["2606:4700::1111", "2a00:1450::1", "2001:200::1", "::ffff:1.1.1.1"]);
        all_are(Reach::Public, &["64:ff9b::8.8.8.8", "2002:808:808::1"]);
    }

    #[test]
    fn this_machine() {
        all_are(Reach::Loopback, &["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"]);
        all_are(Reach::Loopback, &["64:ff9b::127.0.0.1", "2002:7f00:1::"]);
    }

    #[test]
    fn networks_of_ours() {
        all_are(Reach::Private, &["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"]);
        all_are(Reach::Private, &["100.64.0.1", "100.127.255.255", "fc00::1", "fdff::1"]);
        all_are(Reach::Private, &["::ffff:10.0.0.1", "64:ff9b::192.168.0.1", "2002:a00:1::1"]);
    }

    #[test]
    fn metadata_of_clouds() {
        all_are(Reach::Never, &["169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192"]);
        all_are(Reach::Never, &["168.63.129.16", "fd00:ec2::254", "fd20:ce::254", "fe80::a9fe:a9fe"]);
        all_are(Reach::Never, &["::ffff:169.254.169.254", "64:ff9b::169.254.169.254", "2002:a9fe:a9fe::1"]);
    }

    #[test]
    fn what_nobody_serves_at() {
        // Unspecified, link-local, multicast, broadcast, reserved.
        all_are(Reach::Never, &["0.0.0.0", "0.1.2.3", "169.254.0.1", "224.0.0.1", "239.255.255.255"]);
        all_are(Reach::Never, &["240.0.0.1", "255.255.255.255", "::", "fe80::1", "fec0::1", "ff02::1"]);
        // Documentation, benchmarks, relays.
        all_are(Reach::Never, &["192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1", "198.19.255.255"]);
        all_are(Reach::Never, &["192.88.99.1", "2001:db8::1", "3fff::1", "2001::1", "2001:10::1"]);
        // IPv4-compatible (deprecated), and NAT64 of local use.
        all_are(Reach::Never, &["::127.0.0.1", "::10.0.0.1", "64:ff9b:1::10.0.0.1", "100::1", "5f00::1"]);
        all_are(Reach::Never, &["::ffff:0.0.0.0", "::ffff:0:127.0.0.1"]);
    }

    #[test]
    fn what_is_allowed_is_no_closer() {
        assert!(Reach::Public < Reach::Loopback && Reach::Loopback < Reach::Private);
        assert!(Reach::Private < Reach::Never);
    }
}
