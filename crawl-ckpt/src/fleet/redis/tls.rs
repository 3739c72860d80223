//! TLS to a store: by whom its certificate is trusted, and what is said where that fails.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, io};

use ::redis::{Client, RedisError, TlsCertificates};
use rustls::pki_types::ServerName;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, ContentType, RootCertStore,
};

use crate::fleet::{DepotError, NodeAddress};

/// A PEM file with the certificates to trust, in place of the system's: a store often has an authority of its
/// own, and the sites that are crawled are another matter.
const CA_CERT: &str = "CRAWL_STORE_CA_CERT";

/// What is said where a store is named by the wrong scheme.
const WITHOUT: &str = "it does not speak TLS on this port: a store without TLS is named redis://";
const WITH: &str = "it speaks TLS on this port: a store with TLS is named rediss://";

/// What every certificate in such a file begins with.
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// The client for this URL of a node, not connected yet.
pub fn client(url: &str) -> Result<Client, DepotError> {
    let file = env::var_os(CA_CERT).filter(|_| is_tls(url));
    let Some(file) = file else {
        return Ok(Client::open(url)?);
    };
    let refused = |why: String| {
        let file = file.to_string_lossy();
        DepotError::Refused(format!("${CA_CERT}: {file}: {why}"))
    };
    let pem = fs::read(&file).map_err(|error| refused(error.to_string()))?;
    if !pem.windows(BEGIN.len()).any(|bytes| bytes == BEGIN) {
        return Err(refused("no certificate (PEM) in it".to_owned()));
    }
    let trusted = TlsCertificates {
        client_tls: None,
        root_cert: Some(pem),
    };
    Client::build_with_tls(url, trusted).map_err(|error| refused(error.to_string()))
}

fn is_tls(url: &str) -> bool {
    url.starts_with("rediss:")
}

/// Why a node that does not begin to speak never will: it answers who speaks as the other scheme does. One that
/// is gone, or stands still, answers nobody, and so nothing is said of it.
pub fn wrong_scheme(url: &str, node: &NodeAddress, within: Duration) -> Option<&'static str> {
    let (greeting, why) = if is_tls(url) {
        (b"PING\r\n".to_vec(), WITHOUT)
    } else {
        (hello()?, WITH)
    };
    let is_answer = |first: u8| match first {
        b'+' | b'-' => why == WITHOUT,
        first => {
            let kind = ContentType::from(first);
            why == WITH && matches!(kind, ContentType::Handshake | ContentType::Alert)
        }
    };
    let NodeAddress { host, port } = node;
    let addresses = format!("{host}:{port}").to_socket_addrs().ok()?;
    let mut told = addresses.filter_map(|at| first_answer(at, &greeting, within).ok());
    told.any(is_answer).then_some(why)
}

/// What TLS begins with.
fn hello() -> Option<Vec<u8>> {
    let nobody = RootCertStore::empty();
    let config = ClientConfig::builder()
        .with_root_certificates(nobody)
        .with_no_client_auth();
    let name = ServerName::try_from("store").ok()?;
    let mut begun = ClientConnection::new(Arc::new(config), name).ok()?;
    let mut greeting = Vec::new();
    begun.write_tls(&mut greeting).ok()?;
    Some(greeting)
}

/// The first byte that is answered to this.
fn first_answer(at: SocketAddr, greeting: &[u8], within: Duration) -> io::Result<u8> {
    let mut stream = TcpStream::connect_timeout(&at, within)?;
    stream.set_read_timeout(Some(within))?;
    stream.set_write_timeout(Some(within))?;
    stream.write_all(greeting)?;
    let mut first = [0];
    stream.read_exact(&mut first)?;
    Ok(first[0])
}

/// What is wrong with TLS and does not become right by asking again.
pub fn refusal(error: &RedisError) -> Option<String> {
    let cause = error.source()?;
    let cause = match cause.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        Some(shared) => shared.as_ref() as &(dyn Error + 'static),
        None => cause,
    };
    let inside = match cause.downcast_ref::<io::Error>() {
        Some(error) => error.get_ref()? as &(dyn Error + 'static),
        None => cause,
    };
    if let Some(error) = inside.downcast_ref::<rustls::Error>() {
        return words(error);
    }
    // The system's certificates, or those of $SSL_CERT_FILE, cannot be read; or the host is no name.
    (error.is_io_error() && !cause.is::<io::Error>()).then(|| error.to_string())
}

fn words(error: &rustls::Error) -> Option<String> {
    let words = match error {
        rustls::Error::InvalidCertificate(error) => certificate_words(error),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it wants a certificate of ours, and these tools send none: set tls-auth-clients no, \
             and use a password"
                .to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)
        | rustls::Error::PeerIncompatible(_) => {
            format!("no version of TLS that is safe (1.2 or 1.3) is spoken there: {error}")
        }
        rustls::Error::InvalidMessage(_) => WITHOUT.to_owned(),
        _ => return None,
    };
    Some(words)
}

fn certificate_words(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => format!(
            "its certificate was issued by no authority that is trusted here: name yours, as a PEM \
             file, in ${CA_CERT}"
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "its certificate is for another host: name one that is among the certificate's \
                 alternative names ({error})"
            )
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("its certificate has expired ({error})")
        }
        other => format!("its certificate cannot be used ({other})"),
    }
}
