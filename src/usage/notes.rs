//! All that takes note of a judged call.

use std::sync::Arc;

use super::Recorder;
use super::access::{Call, Log, Place};
use crate::token::Token;
use crate::token::caller::Caller;
use crate::token::context::Context;
use crate::token::time::Timestamp;
use crate::token::usage::{Outcome, Use};

/// What takes note of judged calls.
#[derive(Clone, Debug)]
pub struct Notes {
    pub recorder: Arc<Recorder>,
    pub access: Arc<Log>,
}

/// A call that was judged.
#[derive(Debug)]
pub struct JudgedCall<'c> {
    pub time: Timestamp,
    pub outcome: Outcome,
    pub token: Option<&'c Arc<Token>>,
    /// Which of its secrets was presented.
    pub secret_version: Option<u32>,
    /// Who asked; `None`: the token was presented to this service itself.
    pub caller: Option<&'c Arc<Caller>>,
    pub context: Context,
}

impl Notes {
    /// Takes note of a call, on record at this place if it is wanted there.
    pub fn note(&self, place: Place, judged: JudgedCall<'_>) {
        let JudgedCall {
            time,
            outcome,
            token,
            secret_version,
            caller,
            context,
        } = judged;
        if place.wants(outcome) {
            place.note(Call {
                time,
                outcome,
                token: token.cloned(),
                caller: caller.cloned(),
                context: context.clone(),
            });
        }
        if let (Some(token), Some(secret_version)) = (token, secret_version) {
            self.recorder.note(Use {
                token_id: token.id,
                secret_version,
                outcome,
                time,
                caller: caller.cloned(),
                context,
            });
        }
    }
}
