//! The rules of a namespace, from messages and to them.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use super::convert;
use super::decode::Fields;
use crate::proto::v1;
use crate::proto::v1::overlap::Overlap as Shape;
use crate::token::overlap::Overlap;
use crate::token::policy::{
    AccessLog, AccessLogFull, Field, Policy, PolicyUpdate, RetiredUse, SelfManagement, UnusedAction,
};
use crate::token::text::Plan;
use crate::token::time::Span;
use crate::token::update::To;

/// Where the rules are in a request, and in a mask.
const AT: &str = "namespace.policy";
const IN_MASK: &str = "policy";

/// The rules that a message says; what is wrong with them goes to `fields`.
pub(super) fn decode(fields: &mut Fields, policy: v1::NamespacePolicy) -> Policy {
    let at = |field: &str| format!("{AT}.{field}");
    Policy {
        self_management: self_management(fields, &at("self_management"), policy.self_management),
        lifetime_default: life(fields, &at("lifetime_default"), policy.lifetime_default),
        lifetime_max: life(fields, &at("lifetime_max"), policy.lifetime_max),
        expiry_required: policy.expiry_required,
        name_required: policy.name_required,
        scope_catalogue: fields
            .scopes(&at("scope_catalogue"), policy.scope_catalogue)
            .unwrap_or_default(),
        tokens_per_subject_max: tokens_max(
            fields,
            &at("tokens_per_subject_max"),
            policy.tokens_per_subject_max,
        ),
        entitled_plans: plans(fields, &at("entitled_plans"), policy.entitled_plans),
        rotation_due_after: life(fields, &at("rotation_due_after"), policy.rotation_due_after),
        overlap_default: overlap(fields, &at("overlap_default"), policy.overlap_default),
        overlap_max: policy
            .overlap_max
            .and_then(|span| fields.overlap(&at("overlap_max"), span)),
        retired_use: retired_use(fields, &at("retired_use"), policy.retired_use),
        retired_tolerance: tolerance(fields, &at("retired_tolerance"), policy.retired_tolerance),
        rate_limit_default: fields
            .rate_limit(&at("rate_limit_default"), policy.rate_limit_default)
            .and_then(|To(limit)| limit),
        rate_limit_subject_default: fields
            .rate_limit(
                &at("rate_limit_subject_default"),
                policy.rate_limit_subject_default,
            )
            .and_then(|To(limit)| limit),
        access_log: access_log(fields, &at("access_log"), policy.access_log),
        access_log_full: access_log_full(fields, &at("access_log_full"), policy.access_log_full),
        access_log_retention: retention(fields, &at("access_log_retention"), policy.access_log_retention),
        access_log_whole_addresses: policy.access_log_whole_addresses,
        expiring_leads: leads(fields, &at("expiring_leads"), policy.expiring_leads),
        unused_after: life(fields, &at("unused_after"), policy.unused_after),
        unused_action: unused_action(fields, &at("unused_action"), policy.unused_action),
    }
}

/// The rules that a mask names, or without any mask all of them if they are set; `None`: none is to change.
pub(super) fn update(
    fields: &mut Fields,
    mask: &[String],
    policy: Option<v1::NamespacePolicy>,
) -> Option<PolicyUpdate> {
    let whole = mask.iter().any(|path| path == IN_MASK) || (mask.is_empty() && policy.is_some());
    let policy = decode(fields, policy.unwrap_or_default());
    if whole {
        return Some(PolicyUpdate::whole(policy));
    }
    let named: Vec<Field> = mask.iter().filter_map(|path| rule(path)).collect();
    (!named.is_empty()).then_some(PolicyUpdate {
        policy,
        fields: named,
    })
}

/// Whether a path of a mask is the policy, or a rule of it.
pub(super) fn is_masked(path: &str) -> bool {
    path == IN_MASK || rule(path).is_some()
}

fn rule(path: &str) -> Option<Field> {
    let name = path.strip_prefix(IN_MASK)?.strip_prefix('.')?;
    Policy::FIELDS.into_iter().find(|(field, _)| *field == name)
}

/// Something that lasts for up to a hundred years.
fn life(fields: &mut Fields, path: &str, span: Option<prost_types::Duration>) -> Option<Span> {
    fields.span(path, span?, Policy::SPAN_MIN, None)
}

fn self_management(fields: &mut Fields, path: &str, value: i32) -> SelfManagement {
    match v1::SelfManagement::try_from(value) {
        Ok(v1::SelfManagement::Unspecified | v1::SelfManagement::Off) => SelfManagement::Off,
        Ok(v1::SelfManagement::Own) => SelfManagement::Own,
        Ok(v1::SelfManagement::ByScope) => SelfManagement::ByScope,
        Err(_) => {
            fields.wrong(path, "must be a SelfManagement");
            SelfManagement::Off
        }
    }
}

fn retired_use(fields: &mut Fields, path: &str, value: i32) -> RetiredUse {
    match v1::RetiredUse::try_from(value) {
        Ok(v1::RetiredUse::Unspecified | v1::RetiredUse::Ignore) => RetiredUse::Ignore,
        Ok(v1::RetiredUse::Report) => RetiredUse::Report,
        Ok(v1::RetiredUse::Suspend) => RetiredUse::Suspend,
        Err(_) => {
            fields.wrong(path, "must be a RetiredUse");
            RetiredUse::Ignore
        }
    }
}

fn access_log(fields: &mut Fields, path: &str, value: i32) -> AccessLog {
    match v1::AccessLog::try_from(value) {
        Ok(v1::AccessLog::Unspecified | v1::AccessLog::Off) => AccessLog::Off,
        Ok(v1::AccessLog::Refusals) => AccessLog::Refusals,
        Ok(v1::AccessLog::All) => AccessLog::All,
        Err(_) => {
            fields.wrong(path, "must be an AccessLog");
            AccessLog::Off
        }
    }
}

fn unused_action(fields: &mut Fields, path: &str, value: i32) -> UnusedAction {
    match v1::UnusedAction::try_from(value) {
        Ok(v1::UnusedAction::Unspecified | v1::UnusedAction::Report) => UnusedAction::Report,
        Ok(v1::UnusedAction::Suspend) => UnusedAction::Suspend,
        Ok(v1::UnusedAction::Revoke) => UnusedAction::Revoke,
        Err(_) => {
            fields.wrong(path, "must be an UnusedAction");
            UnusedAction::Report
        }
    }
}

fn access_log_full(fields: &mut Fields, path: &str, value: i32) -> AccessLogFull {
    match v1::AccessLogFull::try_from(value) {
        Ok(v1::AccessLogFull::Unspecified | v1::AccessLogFull::Drop) => AccessLogFull::Drop,
        Ok(v1::AccessLogFull::Refuse) => AccessLogFull::Refuse,
        Err(_) => {
            fields.wrong(path, "must be an AccessLogFull");
            AccessLogFull::Drop
        }
    }
}

fn retention(fields: &mut Fields, path: &str, span: Option<prost_types::Duration>) -> Option<Span> {
    let max = Some(Policy::ACCESS_LOG_RETENTION_MAX);
    fields.span(path, span?, Policy::ACCESS_LOG_RETENTION_MIN, max)
}

fn leads(fields: &mut Fields, path: &str, leads: Vec<prost_types::Duration>) -> BTreeSet<Span> {
    if !fields.at_most(path, Policy::LEADS_MAX, leads.len()) {
        return BTreeSet::new();
    }
    let leads = leads.into_iter().enumerate();
    leads
        .filter_map(|(i, lead)| life(fields, &format!("{path}[{i}]"), Some(lead)))
        .collect()
}

fn tokens_max(fields: &mut Fields, path: &str, value: i32) -> Option<NonZeroU32> {
    let max = Policy::TOKENS_PER_SUBJECT_MAX;
    match u32::try_from(value) {
        Ok(value) if value <= max => NonZeroU32::new(value),
        _ => {
            fields.wrong(
                path,
                format_args!("must lie between 1 and {max}, or be 0 for any number"),
            );
            None
        }
    }
}

fn plans(fields: &mut Fields, path: &str, plans: Vec<String>) -> BTreeSet<Plan> {
    if !fields.at_most(path, Policy::PLANS_MAX, plans.len()) {
        return BTreeSet::new();
    }
    let plans = plans.into_iter().enumerate();
    plans
        .filter_map(|(i, plan)| fields.take(format_args!("{path}[{i}]"), Plan::try_from(plan)))
        .collect()
}

fn overlap(fields: &mut Fields, path: &str, overlap: Option<v1::Overlap>) -> Overlap {
    let Some(overlap) = overlap else {
        return Overlap::None;
    };
    let (field, span, of): (_, _, fn(Span) -> Overlap) = match overlap.overlap {
        Some(Shape::None(v1::NoOverlap {})) => return Overlap::None,
        Some(Shape::Duration(span)) => ("duration", span, Overlap::For),
        Some(Shape::FromFirstUse(span)) => ("from_first_use", span, Overlap::FromFirstUse),
        None => {
            fields.wrong(path, "must say none, duration or from_first_use");
            return Overlap::None;
        }
    };
    let span = fields.overlap(&format!("{path}.{field}"), span);
    span.map_or(Overlap::None, of)
}

fn tolerance(fields: &mut Fields, path: &str, span: Option<prost_types::Duration>) -> Span {
    let max = Some(Policy::RETIRED_TOLERANCE_MAX);
    let span = span.and_then(|span| fields.span(path, span, Duration::ZERO, max));
    span.unwrap_or_default()
}

/// The rules as a message.
pub(super) fn encode(policy: &Policy) -> v1::NamespacePolicy {
    let self_management = match policy.self_management {
        SelfManagement::Off => v1::SelfManagement::Off,
        SelfManagement::Own => v1::SelfManagement::Own,
        SelfManagement::ByScope => v1::SelfManagement::ByScope,
    };
    let retired_use = match policy.retired_use {
        RetiredUse::Ignore => v1::RetiredUse::Ignore,
        RetiredUse::Report => v1::RetiredUse::Report,
        RetiredUse::Suspend => v1::RetiredUse::Suspend,
    };
    let access_log = match policy.access_log {
        AccessLog::Off => v1::AccessLog::Off,
        AccessLog::Refusals => v1::AccessLog::Refusals,
        AccessLog::All => v1::AccessLog::All,
    };
    let access_log_full = match policy.access_log_full {
        AccessLogFull::Drop => v1::AccessLogFull::Drop,
        AccessLogFull::Refuse => v1::AccessLogFull::Refuse,
    };
    let unused_action = match policy.unused_action {
        UnusedAction::Report => v1::UnusedAction::Report,
        UnusedAction::Suspend => v1::UnusedAction::Suspend,
        UnusedAction::Revoke => v1::UnusedAction::Revoke,
    };
    let overlap = match policy.overlap_default {
        Overlap::None => Shape::None(v1::NoOverlap {}),
        Overlap::For(span) => Shape::Duration(convert::duration(span)),
        Overlap::FromFirstUse(span) => Shape::FromFirstUse(convert::duration(span)),
    };
    let tolerance = Some(policy.retired_tolerance).filter(|span| *span != Span::ZERO);
    v1::NamespacePolicy {
        self_management: self_management.into(),
        lifetime_default: policy.lifetime_default.map(convert::duration),
        lifetime_max: policy.lifetime_max.map(convert::duration),
        expiry_required: policy.expiry_required,
        name_required: policy.name_required,
        scope_catalogue: convert::scopes(&policy.scope_catalogue),
        tokens_per_subject_max: policy
            .tokens_per_subject_max
            .map_or(0, |max| convert::signed(max.get())),
        entitled_plans: policy.entitled_plans.iter().map(Plan::to_string).collect(),
        rotation_due_after: policy.rotation_due_after.map(convert::duration),
        overlap_default: Some(v1::Overlap {
            overlap: Some(overlap),
        }),
        overlap_max: policy.overlap_max.map(convert::duration),
        retired_use: retired_use.into(),
        retired_tolerance: tolerance.map(convert::duration),
        rate_limit_default: policy.rate_limit_default.map(convert::rate_limit),
        rate_limit_subject_default: policy.rate_limit_subject_default.map(convert::rate_limit),
        access_log: access_log.into(),
        access_log_full: access_log_full.into(),
        access_log_retention: policy.access_log_retention.map(convert::duration),
        access_log_whole_addresses: policy.access_log_whole_addresses,
        expiring_leads: policy
            .expiring_leads
            .iter()
            .copied()
            .map(convert::duration)
            .collect(),
        unused_after: policy.unused_after.map(convert::duration),
        unused_action: unused_action.into(),
    }
}

#[cfg(test)]
mod tests;
