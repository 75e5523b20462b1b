//! The kinds of changes, and how each is spelt.

use crate::token::lifecycle::Notice;

/// The kind of a change, for filters and tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    NamespaceCreated,
    NamespaceUpdated,
    TokenIssued,
    TokenRotated,
    TokenRevoked,
    TokenSuspended,
    TokenResumed,
    TokenRedigested,
    TokenImported,
    TokenUpdated,
    TokenFirstUsed,
    TokenRetiredSecretUsed,
    SubjectPlanSet,
    SubjectSuspended,
    SubjectResumed,
    SubjectIssuedRevoked,
    NamespaceIssuedRevoked,
    SubjectRateLimitSet,
    WebhookCreated,
    WebhookUpdated,
    WebhookSecretRotated,
    WebhookPaused,
    WebhookDeleted,
    TokenExpiring,
    TokenRotationDue,
    TokenUnused,
}

impl Kind {
    pub const ALL: [Kind; 26] = [
        Kind::NamespaceCreated,
        Kind::NamespaceUpdated,
        Kind::TokenIssued,
        Kind::TokenRotated,
        Kind::TokenRevoked,
        Kind::TokenSuspended,
        Kind::TokenResumed,
        Kind::TokenRedigested,
        Kind::TokenImported,
        Kind::TokenUpdated,
        Kind::TokenFirstUsed,
        Kind::TokenRetiredSecretUsed,
        Kind::SubjectPlanSet,
        Kind::SubjectSuspended,
        Kind::SubjectResumed,
        Kind::SubjectIssuedRevoked,
        Kind::NamespaceIssuedRevoked,
        Kind::SubjectRateLimitSet,
        Kind::WebhookCreated,
        Kind::WebhookUpdated,
        Kind::WebhookSecretRotated,
        Kind::WebhookPaused,
        Kind::WebhookDeleted,
        Kind::TokenExpiring,
        Kind::TokenRotationDue,
        Kind::TokenUnused,
    ];

    pub(super) fn of_notice(notice: &Notice) -> Kind {
        match notice {
            Notice::Expiring { .. } => Kind::TokenExpiring,
            Notice::RotationDue { .. } => Kind::TokenRotationDue,
            Notice::Unused { .. } => Kind::TokenUnused,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::NamespaceCreated => "namespace.created",
            Kind::NamespaceUpdated => "namespace.updated",
            Kind::TokenIssued => "token.issued",
            Kind::TokenRotated => "token.rotated",
            Kind::TokenRevoked => "token.revoked",
            Kind::TokenSuspended => "token.suspended",
            Kind::TokenResumed => "token.resumed",
            Kind::TokenRedigested => "token.redigested",
            Kind::TokenImported => "token.imported",
            Kind::TokenUpdated => "token.updated",
            Kind::TokenFirstUsed => "token.first_used",
            Kind::TokenRetiredSecretUsed => "token.retired_secret_used",
            Kind::SubjectPlanSet => "subject.plan_set",
            Kind::SubjectSuspended => "subject.suspended",
            Kind::SubjectResumed => "subject.resumed",
            Kind::SubjectIssuedRevoked => "subject.issued_revoked",
            Kind::NamespaceIssuedRevoked => "namespace.issued_revoked",
            Kind::SubjectRateLimitSet => "subject.rate_limit_set",
            Kind::WebhookCreated => "webhook.created",
            Kind::WebhookUpdated => "webhook.updated",
            Kind::WebhookSecretRotated => "webhook.secret_rotated",
            Kind::WebhookPaused => "webhook.paused",
            Kind::WebhookDeleted => "webhook.deleted",
            Kind::TokenExpiring => "token.expiring",
            Kind::TokenRotationDue => "token.rotation_due",
            Kind::TokenUnused => "token.unused",
        }
    }
}
