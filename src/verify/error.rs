//! Why nothing was judged: neither a yes nor a no.

use std::time::Duration;

use super::Stop;
use crate::membership::LeaseLost;
use crate::store::StoreError;

/// Why a secret could not be judged. Fail closed.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Stopped(Stop),
    #[error(transparent)]
    LeaseLost(LeaseLost),
    #[error("the change asked for was not seen here within {waited:?}")]
    Behind { waited: Duration },
    #[error("the cursor is of another journal")]
    OtherEpoch,
    #[error("too many look-ups are waiting")]
    Overloaded,
    #[error("too many look-ups of this caller are waiting")]
    CallerBusy,
    #[error("this caller asks for too many secrets that belong to no token; wait {wait:?} for the next")]
    MissesExhausted { wait: Duration },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why nothing at all is judged here.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotJudging {
    #[error(transparent)]
    Stopped(#[from] Stop),
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
}

impl From<NotJudging> for VerifyError {
    fn from(why: NotJudging) -> VerifyError {
        match why {
            NotJudging::Stopped(stop) => VerifyError::Stopped(stop),
            NotJudging::LeaseLost(lost) => VerifyError::LeaseLost(lost),
        }
    }
}

/// That a change is in force here could not be confirmed in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the change is written, but was not confirmed in force within {waited:?}")]
pub struct NotYetApplied {
    pub waited: Duration,
}
