//! The answer to an Issue or a Rotate, sealed for a retry: only the request id, which is not kept, and the
//! pepper together open it.

use std::fmt;

use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::{Hkdf, InvalidLength};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::Token;
use super::id::{RequestDigest, RequestId};
use super::secret::{Pepper, PepperId, Secret};
use super::time::Timestamp;

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// A token as it was answered, and its secret, under authenticated encryption.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedAnswer {
    /// The pepper it was sealed with.
    pub pepper: PepperId,
    /// The nonce, then the ciphertext with its tag.
    pub sealed: Vec<u8>,
    /// From this instant on, exactly, it is not shown any more.
    pub expire_time: Timestamp,
}

/// Why an answer cannot be sealed.
#[derive(Debug, thiserror::Error)]
pub enum NotSealed {
    #[error("the token cannot be written as JSON: {0}")]
    Token(#[from] serde_json::Error),
    #[error("the answer is too long")]
    TooLong,
    #[error("no key can be derived: {0}")]
    Key(#[from] InvalidLength),
}

/// What is kept is not an answer to this request: it was altered, or belongs to another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the sealed answer does not open")]
pub struct NotOpened;

impl SealedAnswer {
    /// Seals an answer; `nonce` is from the entropy source, and never used twice.
    pub fn seal(
        pepper: &Pepper,
        request_id: &RequestId,
        nonce: [u8; NONCE_BYTES],
        token: &Token,
        secret: &Secret,
        expire_time: Timestamp,
    ) -> Result<SealedAnswer, NotSealed> {
        let token = serde_json::to_vec(token)?;
        let secret = secret.expose().as_bytes();
        let length = u16::try_from(secret.len()).map_err(|_| NotSealed::TooLong)?;
        // All it will ever hold: to grow would leave a copy of the secret behind.
        let capacity = size_of_val(&length) + secret.len() + token.len() + TAG_BYTES;
        let mut text = Zeroizing::new(Vec::with_capacity(capacity));
        text.extend_from_slice(&length.to_be_bytes());
        text.extend_from_slice(secret);
        text.extend_from_slice(&token);
        cipher(pepper, request_id)?
            .encrypt_in_place(&XNonce::from(nonce), &bound(request_id, expire_time), &mut *text)
            .map_err(|_| NotSealed::TooLong)?;
        Ok(SealedAnswer {
            pepper: pepper.id(),
            sealed: [&nonce[..], &text].concat(),
            expire_time,
        })
    }

    /// The token and the secret that were answered to this request.
    pub fn open(&self, pepper: &Pepper, request_id: &RequestId) -> Result<(Token, Secret), NotOpened> {
        let (nonce, text) = self.sealed.split_first_chunk::<NONCE_BYTES>().ok_or(NotOpened)?;
        let mut text = Zeroizing::new(text.to_vec());
        cipher(pepper, request_id)
            .map_err(|_| NotOpened)?
            .decrypt_in_place(
                &XNonce::from(*nonce),
                &bound(request_id, self.expire_time),
                &mut *text,
            )
            .map_err(|_| NotOpened)?;
        let (length, rest) = text.split_first_chunk().ok_or(NotOpened)?;
        let (secret, token) = rest
            .split_at_checked(u16::from_be_bytes(*length).into())
            .ok_or(NotOpened)?;
        let secret = str::from_utf8(secret).map_err(|_| NotOpened)?;
        let token = serde_json::from_slice(token).map_err(|_| NotOpened)?;
        Ok((token, Secret::new(secret.to_owned())))
    }
}

impl fmt::Debug for SealedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedAnswer")
            .field("pepper", &self.pepper)
            .field("expire_time", &self.expire_time)
            .finish_non_exhaustive()
    }
}

fn cipher(pepper: &Pepper, request_id: &RequestId) -> Result<XChaCha20Poly1305, InvalidLength> {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(&*pepper.answer_salt()), request_id.as_bytes())
        .expand(b"tokenward sealed answer v1", &mut *key)?;
    Ok(XChaCha20Poly1305::new((&*key).into()))
}

/// What an answer is good for and until when: to change either in the store is to break the seal.
fn bound(request_id: &RequestId, expire_time: Timestamp) -> [u8; 24] {
    let mut bound = [0; 24];
    bound[..16].copy_from_slice(RequestDigest::of(request_id).as_bytes());
    bound[16..].copy_from_slice(&expire_time.micros().to_be_bytes());
    bound
}

#[cfg(test)]
mod tests;
