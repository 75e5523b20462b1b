//! What whoever asked for a token is told when the rules of its namespace do not let it be issued.

use tonic::Status;
use tonic_types::FieldViolation;

use super::{Reason, VIOLATIONS_MAX};
use crate::token::id::Slug;
use crate::token::issuing::{self, NotIssued};
use crate::token::text::Plan;

pub(super) fn status(namespace: &Slug, why: &NotIssued) -> Status {
    let namespace = ("namespace", namespace.to_string());
    match why {
        NotIssued::Breaches(breaches) => {
            let told = &breaches[..breaches.len().min(VIOLATIONS_MAX)];
            let violations = told
                .iter()
                .map(|breach| FieldViolation::new(breach.field(issuing::END), breach.to_string()))
                .collect();
            let message = NotIssued::Breaches(told.to_vec()).to_string();
            Reason::PolicyViolated.with(message, &[namespace], violations)
        }
        NotIssued::NotEntitled { plan } => {
            let plan = plan.as_ref().map(Plan::to_string).unwrap_or_default();
            Reason::NotEntitled.with(why.to_string(), &[namespace, ("plan", plan)], Vec::new())
        }
        NotIssued::TooMany { max } => {
            let limit = ("limit", max.to_string());
            Reason::TooManyTokens.with(why.to_string(), &[namespace, limit], Vec::new())
        }
        NotIssued::SubjectSuspended => {
            Reason::SubjectSuspended.with(why.to_string(), &[namespace], Vec::new())
        }
    }
}
