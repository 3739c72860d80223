//! TLS for ureq, with a word for each thing that can be wrong with a certificate, and trust in a
//! certificate that is named and stands at the server at the same time.
//!
//! ureq's own connector takes no other verifier, and rustls alone refuses what
//! `openssl req -x509` makes, as everybody does for a server of their own: it is marked as a CA.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct,
    RootCertStore, SignatureScheme, StreamOwned,
};
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport, TransportAdapter,
};

use crate::http::window::Window;

/// What rustls says of a CA's certificate that stands at a server.
const CA_AT_SERVER: &str = "CaUsedAsEndEntity";

/// Of so many hosts sessions are kept, of which a new connection needs no whole handshake; each
/// takes some kilobytes.
const SESSION_HOSTS: usize = 10_000;

/// rustls keeps so many sessions of a host, and counts by them.
const TICKETS: usize = 8;

/// So many names of a certificate are told.
const MAX_NAMES: usize = 3;

/// Certificates that are trusted.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Any certificate, unchecked.
    All,
    /// Those that these have signed. Those that were named by the user count themselves too.
    Roots {
        /// In DER.
        certificates: Vec<CertificateDer<'static>>,
        /// They are the user's own, and not the system's.
        named: bool,
    },
}

/// How TLS is spoken.
///
/// # Errors
/// When none of the certificates can be used.
pub fn config(trust: Trust) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        Trust::All => Arc::new(Unchecked(Arc::clone(&provider))),
        Trust::Roots {
            certificates,
            named,
        } => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates.iter().cloned());
            let builder =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            let web = builder.build().map_err(|e| e.to_string())?;
            let named = if named { certificates } else { Vec::new() };
            Arc::new(Checked { web, named })
        }
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .map_err(|e| e.to_string())?;
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(SESSION_HOSTS * TICKETS);
    Ok(Arc::new(config))
}

/// Signed by one of the roots, or one of the named certificates itself.
#[derive(Debug)]
struct Checked {
    web: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Checked {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let checked = (self.web).verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match checked {
            // Its dates were looked at before.
            Err(error) if is_ca_at_server(&error) && self.named.contains(end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.web.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.web.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.web.supported_verify_schemes()
    }
}

fn is_ca_at_server(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidCertificate(CertificateError::Other(other))
        if format!("{other:?}").contains(CA_AT_SERVER))
}

/// `--insecure`: the certificate may be any, but its key must be the one in use.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Puts TLS on a connection, where its URL wants that.
#[derive(Debug, Clone)]
pub struct Tls(pub Option<Arc<ClientConfig>>);

impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, Stream>;

    fn connect(
        &self,
        details: &ConnectionDetails,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let config = self.0.as_ref().ok_or(Error::TlsRequired)?;
        let host = details.uri.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Error::Tls("the host's name is none that a certificate can have"))?;
        let mut connection = ClientConnection::new(Arc::clone(config), name)?;
        let mut socket =
            TransportAdapter::new(transport.boxed(), Arc::clone(&details.current_time));
        socket.set_timeout(details.timeout);
        connection
            .complete_io(&mut socket)
            .map_err(|e| match e.kind() {
                io::ErrorKind::UnexpectedEof => Error::Tls(
                    "the server ended the connection before TLS began (is it plain http?)",
                ),
                _ => e.into(),
            })?;
        Ok(Some(Either::B(Stream {
            buffers: Window::default(),
            stream: StreamOwned::new(connection, socket),
        })))
    }
}

/// A connection with TLS.
pub struct Stream {
    buffers: Window,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for Stream {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.get_mut().set_timeout(timeout);
        let output = &self.buffers.output()[..amount];
        self.stream.write_all(output)?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.get_mut().set_timeout(timeout);
        let input = self.buffers.input_append_buf();
        let amount = self.stream.read(input)?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.buffers.rest();
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

/// What went wrong, in words by which a user can act.
pub fn words(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(error) => certificate_words(error),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server wants a client certificate".to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            "the server speaks no version of TLS that is safe (1.2 or 1.3)".to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::UnrecognisedName) => {
            "the server has no TLS for this host name".to_owned()
        }
        rustls::Error::AlertReceived(alert) => {
            format!("the server broke TLS off: {}", plain(alert))
        }
        rustls::Error::InvalidMessage(_) => {
            "the server does not speak TLS on this port (is it plain http?)".to_owned()
        }
        rustls::Error::PeerIncompatible(why) => {
            format!("TLS with the server is impossible: {}", plain(why))
        }
        rustls::Error::PeerMisbehaved(why) => {
            format!("the server breaks the rules of TLS: {}", plain(why))
        }
        other => format!("TLS failed: {}", plain(other)),
    }
}

fn certificate_words(error: &CertificateError) -> String {
    match error {
        CertificateError::Expired => "the certificate has expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the certificate has expired, on {}", date(*not_after))
        }
        CertificateError::NotValidYet => "the certificate is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!(
                "the certificate is not valid yet, but from {} on",
                date(*not_before)
            )
        }
        CertificateError::UnknownIssuer => "the certificate was issued by no authority that is \
            trusted here (it may be self-signed, or an intermediate certificate is missing)"
            .to_owned(),
        CertificateError::NotValidForName => "the certificate is for another host".to_owned(),
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let names: Vec<&str> = presented.iter().map(|name| bare_name(name)).collect();
            let more = if names.len() > MAX_NAMES {
                " and others"
            } else {
                ""
            };
            let names = names[..names.len().min(MAX_NAMES)].join(", ");
            let names = if names.is_empty() {
                "(none)".to_owned()
            } else {
                names
            };
            format!(
                "the certificate is for the host {names}{more}, not for {}",
                expected.to_str()
            )
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the certificate is not for the use at a server".to_owned()
        }
        CertificateError::Revoked => "the certificate is revoked".to_owned(),
        CertificateError::BadEncoding => "the certificate is broken".to_owned(),
        CertificateError::BadSignature => "the certificate's signature is wrong".to_owned(),
        CertificateError::Other(other) if format!("{other:?}").contains(CA_AT_SERVER) => {
            "the certificate is self-signed, or an authority's own, and not trusted here".to_owned()
        }
        other => format!("the certificate cannot be used: {}", plain(other)),
    }
}

/// `DnsName("a.example")` and the like.
fn bare_name(name: &str) -> &str {
    let inner = name.split_once('(').map_or(name, |(_, inner)| inner);
    inner.trim_end_matches(')').trim_matches('"')
}

fn date(at: UnixTime) -> String {
    let time = i64::try_from(at.as_secs()).ok();
    let time = time.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(
        || "a day far away".to_owned(),
        |time| time.to_zoned(TimeZone::UTC).date().to_string(),
    )
}

/// The name of a library's value as words: `NoCipherSuitesInCommon` is "no cipher suites in common".
fn plain(value: &impl fmt::Debug) -> String {
    let mut out = String::new();
    let mut was_lower = false;
    for c in format!("{value:?}").chars() {
        if c.is_ascii_uppercase() && was_lower {
            out.push(' ');
        }
        was_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
        match c {
            c if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') => {
                out.push(c.to_ascii_lowercase());
            }
            _ if out.ends_with(' ') => {}
            _ => out.push(' '),
        }
    }
    out.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_in_words() {
        use rustls::{InvalidMessage, OtherError, PeerIncompatible};
        let seconds = |s| UnixTime::since_unix_epoch(std::time::Duration::from_secs(s));
        let certificate = rustls::Error::InvalidCertificate;
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let other = OtherError(Arc::new(io::Error::other("SomeOddThing")));
        for (error, said) in [
            (
                certificate(CertificateError::ExpiredContext {
                    time: seconds(1_700_000_000),
                    not_after: seconds(1_580_515_200),
                }),
                "the certificate has expired, on 2020-02-01",
            ),
            (
                certificate(CertificateError::NotValidForNameContext {
                    expected: name,
                    presented: vec!["DnsName(\"a.example\")".into(), "IpAddress(::1)".into()],
                }),
                "the certificate is for the host a.example, ::1, not for 127.0.0.1",
            ),
            (
                rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType),
                "the server does not speak TLS on this port (is it plain http?)",
            ),
            (
                rustls::Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
                "TLS with the server is impossible: no cipher suites in common",
            ),
            (
                rustls::Error::AlertReceived(AlertDescription::HandshakeFailure),
                "the server broke TLS off: handshake failure",
            ),
        ] {
            assert_eq!(words(&error), said);
        }
        let said = words(&certificate(CertificateError::Other(other)));
        assert!(said.contains("some odd thing"), "{said}");
    }
}
