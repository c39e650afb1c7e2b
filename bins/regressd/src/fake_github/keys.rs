//! RSA keys made on the spot, for the app and for the tokens of workflows.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header};
use serde::Serialize;

/// A private key, and what others may know of it.
#[derive(Clone)]
pub struct SigningKey {
    pem: String,
    encoding: EncodingKey,
    jwk: Jwk,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.jwk.common.key_id)
            .finish_non_exhaustive()
    }
}

/// A new key of 2048 bits with the name `kid`.
#[must_use]
pub fn signing_key(kid: &str) -> SigningKey {
    let pair = KeyPair::generate(KeySize::Rsa2048).expect("the system has randomness");
    let der: Pkcs8V1Der<'_> = pair.as_der().expect("a key that was made can be written");
    let text = STANDARD.encode(der.as_ref());
    let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|byte| char::from(*byte)));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    let encoding = EncodingKey::from_rsa_pem(pem.as_bytes()).expect("the key was just written as PEM");
    let mut jwk = Jwk::from_encoding_key(&encoding, Algorithm::RS256).expect("an RSA key has public parts");
    jwk.common.key_id = Some(kid.to_owned());
    SigningKey { pem, encoding, jwk }
}

impl SigningKey {
    /// The private key as GitHub hands it out.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// The public half, as a set of keys.
    #[must_use]
    pub fn jwks(&self) -> JwkSet {
        JwkSet {
            keys: vec![self.jwk.clone()],
        }
    }

    /// For checking what it signed.
    pub(super) fn decoding_key(&self) -> DecodingKey {
        DecodingKey::from_jwk(&self.jwk).expect("the public parts are of this key")
    }

    /// `claims` as a signed token.
    #[must_use]
    pub fn sign_claims(&self, claims: &impl Serialize) -> String {
        let mut header = Header::new(Algorithm::RS256);
        header.kid.clone_from(&self.jwk.common.key_id);
        jsonwebtoken::encode(&header, claims, &self.encoding).expect("claims are JSON and the key can sign")
    }
}
