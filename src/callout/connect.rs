//! The connection of a call: to an address that was looked up once and found allowed.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use url::Host;

use super::places::Place;
use super::target::Target;
use super::{Fault, Reach};

/// The longest that one address of several may take.
const TIME: Duration = Duration::from_secs(2);

/// Addresses of a name that are tried.
const MOST_ADDRESSES: usize = 4;

const UNREACHABLE: Fault = Fault::Failed("the address cannot be reached");

/// Bytes in both directions, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) async fn connect(
    target: &Target,
    place: &Place,
    allowed: Reach,
    tls: &Arc<ClientConfig>,
) -> Result<Box<dyn Stream>, Fault> {
    let addresses = addresses(target, place).await?;
    check(&addresses, allowed, target.is_encrypted())?;
    let stream = reach(&addresses).await?;
    if !target.is_encrypted() {
        return Ok(Box::new(stream));
    }
    let stream = TlsConnector::from(Arc::clone(tls)).connect(server_name(&target.host)?, stream).await;
    let stream = stream.map_err(|error| {
        tracing::info!(cause = %error, "a called address could not be trusted");
        Fault::Failed("the certificate of the address is not trusted, or the encryption failed")
    })?;
    Ok(Box::new(stream))
}

/// What the name says now; nobody asks again. A look-up cannot be cut short: it keeps its place until the system gives it up,
/// when the call has long ended, so slow name servers take no more threads than there are places.
async fn addresses(target: &Target, place: &Place) -> Result<Vec<SocketAddr>, Fault> {
    let port = target.port;
    let found = match &target.host {
        Host::Ipv4(address) => vec![SocketAddr::new(IpAddr::V4(*address), port)],
        Host::Ipv6(address) => vec![SocketAddr::new(IpAddr::V6(*address), port)],
        Host::Domain(name) => {
            let (name, place) = (name.clone(), place.clone());
            let look_up = move || {
                let found = (name.as_str(), port).to_socket_addrs().map(Vec::from_iter);
                drop(place);
                found
            };
            let nowhere = Fault::Failed("the host of the address has no address");
            tokio::task::spawn_blocking(look_up).await.map_err(|_| nowhere)?.map_err(|_| nowhere)?
        }
    };
    if found.is_empty() { Err(UNREACHABLE) } else { Ok(found) }
}

/// One that is not allowed is enough to refuse: a name that leads into our network on some calls leads there.
fn check(addresses: &[SocketAddr], allowed: Reach, is_encrypted: bool) -> Result<(), Fault> {
    let reaches = || addresses.iter().map(|address| Reach::of(address.ip()));
    if reaches().any(|reach| reach > allowed) {
        return Err(Fault::Refused("the address is not one on the public internet"));
    }
    if !is_encrypted && reaches().any(|reach| reach == Reach::Public) {
        return Err(Fault::Refused("the address is not https"));
    }
    Ok(())
}

async fn reach(addresses: &[SocketAddr]) -> Result<TcpStream, Fault> {
    for address in addresses.iter().take(MOST_ADDRESSES) {
        if let Ok(Ok(stream)) = tokio::time::timeout(TIME, TcpStream::connect(address)).await {
            return Ok(stream);
        }
    }
    Err(UNREACHABLE)
}

fn server_name(host: &Host) -> Result<ServerName<'static>, Fault> {
    match host {
        Host::Ipv4(address) => Ok(ServerName::from(IpAddr::V4(*address))),
        Host::Ipv6(address) => Ok(ServerName::from(IpAddr::V6(*address))),
        Host::Domain(name) => ServerName::try_from(name.clone())
            .map_err(|_| Fault::Refused("the host of the address is not a name of a server")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(addresses: &[&str], allowed: Reach, is_encrypted: bool) -> Result<(), Fault> {
        let addresses: Vec<_> =
            addresses.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 443)).collect();
        check(&addresses, allowed, is_encrypted)
    }

    #[test]
    fn every_address_of_a_name_must_be_allowed() {
        let refused = Fault::Refused("the address is not one on the public internet");
        assert_eq!(judged(&["1.1.1.1", "2606:4700::1111"], Reach::Public, true), Ok(()));
        for closer in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::ffff:10.0.0.1", "0.0.0.0"] {
            assert_eq!(judged(&["1.1.1.1", closer], Reach::Public, true), Err(refused), "{closer}");
        }
        assert_eq!(judged(&["127.0.0.1", "::1"], Reach::Loopback, true), Ok(()));
        assert_eq!(judged(&["127.0.0.1", "10.0.0.1"], Reach::Loopback, true), Err(refused));
        assert_eq!(judged(&["10.0.0.1"], Reach::Private, true), Ok(()));
        assert_eq!(judged(&["169.254.169.254"], Reach::Private, true), Err(refused));
    }

    #[test]
    fn without_encryption_only_what_is_ours() {
        let refused = Fault::Refused("the address is not https");
        assert_eq!(judged(&["127.0.0.1"], Reach::Loopback, false), Ok(()));
        assert_eq!(judged(&["1.1.1.1"], Reach::Private, false), Err(refused));
        assert!(judged(&["127.0.0.1"], Reach::Public, false).is_err());
    }
}
