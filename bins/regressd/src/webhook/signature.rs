//! `X-Hub-Signature-256`: the HMAC-SHA256 of the raw body under a secret that GitHub and we share.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The header that carries it.
pub(super) const HEADER: &str = "x-hub-signature-256";
/// The header of old, which is not enough.
pub(super) const OLD_HEADER: &str = "x-hub-signature";

/// Why a body is not taken for GitHub's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No signature at all.
    #[error("the X-Hub-Signature-256 header is missing; set a secret in the webhook's settings on GitHub")]
    Missing,
    /// Only the one made with SHA-1.
    #[error("only the SHA-1 signature is there, which is not accepted; X-Hub-Signature-256 is needed")]
    OnlySha1,
    /// Not `sha256=` and 64 hexadecimal digits.
    #[error("X-Hub-Signature-256 is not of the form sha256=<64 hexadecimal digits>")]
    Malformed,
    /// Made with another secret, or of another body.
    #[error("the signature does not fit the body; is the webhook's secret the one regressd was given?")]
    Wrong,
}

/// The value of the header for `body` under `key`.
#[must_use]
pub fn sign_body(key: &[u8], body: &[u8]) -> String {
    format!("sha256={}", hex::encode(mac(key, body).finalize().into_bytes()))
}

/// Whether `header` signs `body` under one of `keys`; there are two while a secret is being replaced. The comparison
/// takes as long for a wrong signature as for a right one.
///
/// # Errors
/// When the header is missing, malformed, or made with a key that is not among ours.
pub fn verify_signature(keys: &[Vec<u8>], header: Option<&str>, body: &[u8]) -> Result<(), SignatureError> {
    let header = header.ok_or(SignatureError::Missing)?;
    let digits = header.strip_prefix("sha256=").ok_or(SignatureError::Malformed)?;
    let mut given = [0; 32];
    hex::decode_to_slice(digits, &mut given).map_err(|_| SignatureError::Malformed)?;
    let fits = keys.iter().fold(false, |fits, key| {
        mac(key, body).verify_slice(&given).is_ok() | fits
    });
    if fits { Ok(()) } else { Err(SignatureError::Wrong) }
}

fn mac(key: &[u8], body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector of GitHub's documentation, "Validating webhook deliveries".
    const SECRET: &[u8] = b"It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn keys() -> Vec<Vec<u8>> {
        vec![b"the next one".to_vec(), SECRET.to_vec()]
    }

    #[test]
    fn the_documented_vector() {
        assert_eq!(sign_body(SECRET, BODY), SIGNATURE);
        assert_eq!(verify_signature(&keys(), Some(SIGNATURE), BODY), Ok(()));
        assert_eq!(
            verify_signature(
                &keys(),
                Some(&SIGNATURE.to_uppercase().replace("SHA", "sha")),
                BODY
            ),
            Ok(())
        );
    }

    #[test]
    fn nothing_else_passes() {
        let wrong = |header: Option<&str>, body: &[u8]| verify_signature(&keys(), header, body).unwrap_err();
        assert_eq!(wrong(None, BODY), SignatureError::Missing);
        assert_eq!(wrong(Some(SIGNATURE), b"Hello, World?"), SignatureError::Wrong);
        assert_eq!(
            wrong(Some(&sign_body(b"another", BODY)), BODY),
            SignatureError::Wrong
        );
        assert_eq!(wrong(Some("sha1=757107ea"), BODY), SignatureError::Malformed);
        assert_eq!(wrong(Some(&SIGNATURE[..70]), BODY), SignatureError::Malformed);
        assert_eq!(
            wrong(Some(&format!("{SIGNATURE}00")), BODY),
            SignatureError::Malformed
        );
        assert_eq!(wrong(Some("sha256=zz"), BODY), SignatureError::Malformed);
        assert_eq!(
            verify_signature(&[], Some(SIGNATURE), BODY),
            Err(SignatureError::Wrong)
        );
    }
}
