//! TLS as this client speaks it: 1.3 only, hybrid post-quantum key exchange only, and the server known by its pinned key.
//!
//! No certificate authority is asked: the deployment file carries the SHA-256 of the server's SubjectPublicKeyInfo, the present one and
//! the next (security C19). A certificate's names and dates say nothing more, so they are not looked at; that the server holds the pinned
//! key is proven by the signature of the handshake. No resumption and no early data: each connection is bound to its session anew.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{self, kx_group};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme};
use ticrypt_api::Hash;
use ticrypt_crypto::Digest;

use crate::error::{ClientError, Result};

/// RFC 9266 §2: `tls-exporter`.
const CHANNEL_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// The provider with nothing but hybrid key exchange.
pub fn provider() -> CryptoProvider {
    CryptoProvider { kx_groups: vec![kx_group::X25519MLKEM768, kx_group::SECP256R1MLKEM768], ..aws_lc_rs::default_provider() }
}

/// The client's side for a server with one of these keys.
pub fn config(pins: &[Hash]) -> Result<ClientConfig> {
    let provider = Arc::new(provider());
    let verifier = PinVerifier { pins: pins.to_vec(), algorithms: provider.signature_verification_algorithms };
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
    let builder = builder.map_err(|e| ClientError::broken("tls 1.3 is not available in this build").because(e))?;
    let mut config = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Ok(config)
}

/// The channel value of a connection (docs/formats.md §4).
pub fn channel(connection: &rustls::ClientConnection) -> std::result::Result<[u8; 32], Error> {
    connection.export_keying_material([0; 32], CHANNEL_LABEL, None)
}

/// SHA-256 of the SubjectPublicKeyInfo of a certificate.
pub fn pin_of(certificate: &CertificateDer<'_>) -> std::result::Result<Hash, Error> {
    let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
    Ok(Hash(Digest::of(key.as_ref()).to_bytes()))
}

#[derive(Debug)]
struct PinVerifier {
    pins: Vec<Hash>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, Error> {
        if self.pins.contains(&pin_of(end_entity)?) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
