//! Arbitrary policies.

use proptest::collection::btree_set;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use std::num::NonZeroU32;

use super::super::overlap::Overlap;
use super::super::policy::{AccessLog, AccessLogFull, Policy, RetiredUse, SelfManagement, UnusedAction};
use super::{any_rate_limit, any_scopes, any_span, any_text};

/// Rules that need not go together.
pub(crate) fn any_policy() -> impl Strategy<Value = Policy> {
    let self_management = select(vec![
        SelfManagement::Off,
        SelfManagement::Own,
        SelfManagement::ByScope,
    ]);
    let spans = (
        option::of(any_span()),
        option::of(any_span()),
        option::of(any_span()),
        option::of(any_span()),
        any_span(),
    );
    let overlap = prop_oneof![
        Just(Overlap::None),
        any_span().prop_map(Overlap::For),
        any_span().prop_map(Overlap::FromFirstUse),
    ];
    let retired_use = select(vec![RetiredUse::Ignore, RetiredUse::Report, RetiredUse::Suspend]);
    let issuing = (
        any::<(bool, bool)>(),
        any_scopes(),
        option::of(any::<NonZeroU32>()),
        btree_set(any_text(1, 63), 0..3),
    );
    let using = (
        overlap,
        retired_use,
        option::of(any_rate_limit()),
        option::of(any_rate_limit()),
    );
    let logging = (
        select(vec![AccessLog::Off, AccessLog::Refusals, AccessLog::All]),
        select(vec![AccessLogFull::Drop, AccessLogFull::Refuse]),
        option::of(any_span()),
        any::<bool>(),
    );
    let actions = vec![UnusedAction::Report, UnusedAction::Suspend, UnusedAction::Revoke];
    let living = (
        btree_set(any_span(), 0..4),
        option::of(any_span()),
        select(actions),
    );
    let rest = (using.boxed(), logging.boxed(), living.boxed());
    (self_management.boxed(), spans.boxed(), issuing.boxed(), rest.boxed())
        .prop_map(|(self_management, spans, issuing, (using, logging, living))| Policy {
        self_management,
        lifetime_default: spans.0,
        lifetime_max: spans.1,
        expiry_required: issuing.0.0,
        name_required: issuing.0.1,
        scope_catalogue: issuing.1,
        tokens_per_subject_max: issuing.2,
        entitled_plans: issuing.3,
        rotation_due_after: spans.2,
        overlap_default: using.0,
        overlap_max: spans.3,
        retired_use: using.1,
        retired_tolerance: spans.4,
        rate_limit_default: using.2,
        rate_limit_subject_default: using.3,
        access_log: logging.0,
        access_log_full: logging.1,
        access_log_retention: logging.2,
        access_log_whole_addresses: logging.3,
        expiring_leads: living.0,
        unused_after: living.1,
        unused_action: living.2,
    })
        // So many generators in one are more than a stack takes.
        .boxed()
}
