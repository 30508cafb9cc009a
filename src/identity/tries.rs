//! What may be tried, and how often: guesses at codes, requests of clients that prove nothing. Counted in the store, so for all
//! nodes together, by keyed hashes: the table says of nobody that they tried.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::app::Ctx;
use crate::error::Result;
use crate::store::db::Conn;
use crate::store::tries;

/// How many tries of whom, in how many seconds.
pub struct Bound {
    subject: Vec<u8>,
    most: i64,
    seconds: i64,
}

impl Bound {
    /// `of` says what is counted, `whose` for whom.
    pub fn new(ctx: &Ctx, of: &str, whose: &[u8], most: i64, seconds: i64) -> Self {
        let bytes = [of.as_bytes(), b"\0", whose].concat();
        Self { subject: ctx.app.master_keys.keyed_hash(ctx.project.id, "tries", &bytes), most, seconds }
    }
}

/// Counts a try for each bound until one is passed, and then says in how many seconds to come again: whoever is stopped by
/// the first does not use up the others, and writes no rows for them.
///
/// All who count the same things name them in the same order, which is the order of the locks.
pub async fn count(conn: &Conn, ctx: &Ctx, bounds: &[Bound]) -> Result<Option<u32>> {
    for Bound { subject, most, seconds } in bounds {
        let until = ctx.now.plus_seconds(*seconds);
        let tries = tries::count(conn, ctx.project.id, ctx.now, subject, until).await?;
        if tries.failures > *most {
            let left = tries.expires_at.seconds_since(ctx.now);
            return Ok(Some(u32::try_from(left).unwrap_or(1).max(1)));
        }
    }
    Ok(None)
}

/// Counts a try, and says which one of its time it is. What is beyond the bound is for the caller to judge.
pub async fn number(conn: &Conn, ctx: &Ctx, bound: &Bound) -> Result<i64> {
    let until = ctx.now.plus_seconds(bound.seconds);
    Ok(tries::count(conn, ctx.project.id, ctx.now, &bound.subject, until).await?.failures)
}

/// Takes the try back: it was a good one.
pub async fn forgive(conn: &Conn, ctx: &Ctx, bounds: &[Bound]) -> Result<()> {
    for bound in bounds {
        tries::forgive(conn, ctx.project.id, &bound.subject).await?;
    }
    Ok(())
}

/// The networks that stand for an address, the widest first: a host has all addresses of an IPv6 /64, and a site, which
/// anybody may be, those of a /48. None for a server that does not know its peer.
pub fn networks(address: &str) -> Vec<(Width, String)> {
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => vec![(Width::Host, address.to_string())],
        Ok(IpAddr::V6(address)) => {
            let first = |bits: u32| Ipv6Addr::from_bits(address.to_bits() >> (128 - bits) << (128 - bits));
            vec![(Width::Site, first(48).to_string()), (Width::Host, first(64).to_string())]
        }
        Err(_) => Vec::new(),
    }
}

/// The network of an address, as wide as whoever rents addresses gets them: an IPv4 /24, an IPv6 /48. `None` for a server that does
/// not know its peer.
pub fn neighbourhood(address: &str) -> Option<String> {
    match address.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => Some(Ipv4Addr::from_bits(address.to_bits() >> 8 << 8).to_string()),
        IpAddr::V6(address) => Some(Ipv6Addr::from_bits(address.to_bits() >> 80 << 80).to_string()),
    }
}

/// Of how many a network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    Site,
    Host,
}

/// The bounds of all networks of an address: `most` for a host, and for a site a few times as many.
pub fn bounds_of(
    ctx: &Ctx,
    of: &str,
    whose: &[u8],
    address: &str,
    (most, seconds): (i64, i64),
) -> Vec<Bound> {
    let bound = |(width, network): (Width, String)| {
        let (name, most) = match width {
            Width::Site => ("site", most * HOSTS_OF_SITE),
            Width::Host => ("host", most),
        };
        let bytes = [whose, b"\0", network.as_bytes()].concat();
        Bound::new(ctx, &format!("{of} {name}"), &bytes, most, seconds)
    };
    networks(address).into_iter().map(bound).collect()
}

/// What a site may do, in hosts.
const HOSTS_OF_SITE: i64 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_network_whatever_its_address() {
        let of =
            |address: &str| networks(address).into_iter().map(|(_, network)| network).collect::<Vec<_>>();
        assert_eq!(of("192.0.2.7"), ["192.0.2.7"]);
        assert_eq!(of("::ffff:192.0.2.7"), ["192.0.2.7"]);
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), ["2001:db8:1::", "2001:db8:1:2::"]);
        assert_eq!(of("2001:db8:1:2:ffff::9"), of("2001:db8:1:2:3:4:5:6"));
        assert_ne!(of("2001:db8:1:3::1"), of("2001:db8:1:2::1"));
        assert!(of("").is_empty() && of("unknown").is_empty());
    }

    #[test]
    fn neighbours_are_of_one_network() {
        let of = |address| neighbourhood(address).unwrap_or_default();
        assert_eq!((of("192.0.2.7"), of("::ffff:192.0.2.9")), ("192.0.2.0".into(), "192.0.2.0".into()));
        assert_eq!((of("192.0.3.7"), of("2001:db8:1:2::7")), ("192.0.3.0".into(), "2001:db8:1::".into()));
        assert_eq!((of("2001:db8:2::1"), of("unknown")), ("2001:db8:2::".into(), String::new()));
    }
}
