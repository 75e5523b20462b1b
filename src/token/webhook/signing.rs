//! The secrets that events are signed with, as the Standard Webhooks specification has it, and how they are kept.
//!
//! Unlike the secret of a token, this one has to be known to sign with, so it cannot be kept as a digest. It is sealed
//! under a key made of the pepper, which is not in the database.

use std::fmt;

use chacha20poly1305::{AeadInOut, KeyInit as _, XChaCha20Poly1305, XNonce};
use data_encoding::BASE64;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::EndpointId;
use crate::token::secret::{Pepper, PepperId, Secret};

const NONCE_BYTES: usize = 24;
const PREFIX: &str = "whsec_";

/// A secret that signs. Like a [`Secret`] it is never shown, but by [`SigningSecret::text`].
#[expect(missing_debug_implementations, reason = "a secret is never shown")]
pub struct SigningSecret(Zeroizing<[u8; SigningSecret::BYTES]>);

/// A signing secret under authenticated encryption.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSigning {
    pub version: u32,
    /// The pepper it is sealed with.
    pub pepper: PepperId,
    /// The nonce, then the ciphertext with its tag.
    pub sealed: Vec<u8>,
}

/// What is kept is not the secret of this endpoint and version, or was altered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the sealed signing secret does not open")]
pub struct NotOpened;

impl SigningSecret {
    pub const BYTES: usize = 32;

    /// `random` is from the entropy source.
    pub fn new(random: [u8; SigningSecret::BYTES]) -> SigningSecret {
        SigningSecret(Zeroizing::new(random))
    }

    /// The text that the receiver verifies with: `whsec_` and base64.
    pub fn text(&self) -> Secret {
        let mut text = String::with_capacity(PREFIX.len() + BASE64.encode_len(SigningSecret::BYTES));
        text.push_str(PREFIX);
        BASE64.encode_append(&*self.0, &mut text);
        Secret::new(text)
    }

    /// The signature of one message, sent at `seconds` since the epoch.
    pub fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let mut block = Zeroizing::new([0; 64]);
        block[..SigningSecret::BYTES].copy_from_slice(&*self.0);
        let mac = <Hmac<Sha256>>::new((&*block).into())
            .chain_update(format!("{id}.{seconds}."))
            .chain_update(body)
            .finalize();
        format!("v1,{}", BASE64.encode(&mac.into_bytes()))
    }

    /// Seals it as `version` of the secret of `endpoint`; `nonce` is from the entropy source, and never used twice.
    pub fn seal(
        &self,
        pepper: &Pepper,
        (endpoint, version): (EndpointId, u32),
        nonce: [u8; NONCE_BYTES],
    ) -> Result<SealedSigning, NotOpened> {
        let mut text = Zeroizing::new(Vec::with_capacity(SigningSecret::BYTES + 16));
        text.extend_from_slice(&*self.0);
        cipher(pepper)
            .encrypt_in_place(&XNonce::from(nonce), &bound(endpoint, version), &mut *text)
            .map_err(|_| NotOpened)?;
        Ok(SealedSigning {
            version,
            pepper: pepper.id(),
            sealed: [&nonce[..], &text].concat(),
        })
    }
}

impl SealedSigning {
    pub fn open(&self, pepper: &Pepper, endpoint: EndpointId) -> Result<SigningSecret, NotOpened> {
        let (nonce, text) = self.sealed.split_first_chunk::<NONCE_BYTES>().ok_or(NotOpened)?;
        let mut text = Zeroizing::new(text.to_vec());
        cipher(pepper)
            .decrypt_in_place(&XNonce::from(*nonce), &bound(endpoint, self.version), &mut *text)
            .map_err(|_| NotOpened)?;
        let bytes = text.as_slice().try_into().map_err(|_| NotOpened)?;
        Ok(SigningSecret(Zeroizing::new(bytes)))
    }
}

impl fmt::Debug for SealedSigning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedSigning")
            .field("version", &self.version)
            .field("pepper", &self.pepper)
            .finish_non_exhaustive()
    }
}

fn cipher(pepper: &Pepper) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&*pepper.webhook_key()).into())
}

/// Whose secret it is: to move one to another endpoint in the store is to break the seal.
fn bound(endpoint: EndpointId, version: u32) -> [u8; 20] {
    let mut bound = [0; 20];
    bound[..16].copy_from_slice(endpoint.as_bytes());
    bound[16..].copy_from_slice(&version.to_be_bytes());
    bound
}
