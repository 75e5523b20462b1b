//! The rules of a namespace as they are shown: as they are given.

use comfy_table::Cell;
use serde::Serialize;

use super::super::output::text;
use super::super::view::{self, span};
use crate::proto::v1;
use crate::proto::v1::overlap::Overlap as Shape;

/// The rules as they are printed: the API's fields, spelt as the flags take them. What is off is left out.
#[derive(Serialize, Default, Debug)]
pub(in crate::cli) struct Policy {
    pub self_management: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime_default: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime_max: Option<String>,
    pub expiry_required: bool,
    pub name_required: bool,
    pub scope_catalogue: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_subject_max: Option<i32>,
    pub entitled_plans: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation_due_after: Option<String>,
    pub overlap_default: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap_max: Option<String>,
    pub retired_use: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_tolerance: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_default: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit_subject_default: Option<String>,
    pub access_log: &'static str,
    pub access_log_full: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_log_retention: Option<String>,
    pub access_log_whole_addresses: bool,
    pub expiring_leads: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unused_after: Option<String>,
    pub unused_action: &'static str,
}

impl From<v1::NamespacePolicy> for Policy {
    fn from(policy: v1::NamespacePolicy) -> Policy {
        Policy {
            self_management: match policy.self_management() {
                v1::SelfManagement::Unspecified | v1::SelfManagement::Off => "off",
                v1::SelfManagement::Own => "own",
                v1::SelfManagement::ByScope => "by-scope",
            },
            retired_use: match policy.retired_use() {
                v1::RetiredUse::Unspecified | v1::RetiredUse::Ignore => "ignore",
                v1::RetiredUse::Report => "report",
                v1::RetiredUse::Suspend => "suspend",
            },
            access_log: match policy.access_log() {
                v1::AccessLog::Unspecified | v1::AccessLog::Off => "off",
                v1::AccessLog::Refusals => "refusals",
                v1::AccessLog::All => "all",
            },
            access_log_full: match policy.access_log_full() {
                v1::AccessLogFull::Unspecified | v1::AccessLogFull::Drop => "drop",
                v1::AccessLogFull::Refuse => "refuse",
            },
            access_log_retention: policy.access_log_retention.map(span),
            access_log_whole_addresses: policy.access_log_whole_addresses,
            unused_action: match policy.unused_action() {
                v1::UnusedAction::Unspecified | v1::UnusedAction::Report => "report",
                v1::UnusedAction::Suspend => "suspend",
                v1::UnusedAction::Revoke => "revoke",
            },
            lifetime_default: policy.lifetime_default.map(span),
            lifetime_max: policy.lifetime_max.map(span),
            expiry_required: policy.expiry_required,
            name_required: policy.name_required,
            scope_catalogue: policy.scope_catalogue,
            tokens_per_subject_max: Some(policy.tokens_per_subject_max).filter(|max| *max > 0),
            entitled_plans: policy.entitled_plans,
            rotation_due_after: policy.rotation_due_after.map(span),
            overlap_default: match policy.overlap_default.and_then(|it| it.overlap) {
                Some(Shape::Duration(it)) => span(it),
                Some(Shape::FromFirstUse(it)) => format!("first-use:{}", span(it)),
                Some(Shape::None(_)) | None => "none".to_owned(),
            },
            overlap_max: policy.overlap_max.map(span),
            retired_tolerance: policy.retired_tolerance.map(span),
            rate_limit_default: policy.rate_limit_default.map(view::rate_limit),
            rate_limit_subject_default: policy.rate_limit_subject_default.map(view::rate_limit),
            expiring_leads: policy.expiring_leads.into_iter().map(span).collect(),
            unused_after: policy.unused_after.map(span),
        }
    }
}

impl Policy {
    /// The rules that are not off, a line each.
    pub(in crate::cli) fn facts(&self) -> Vec<(&'static str, Cell)> {
        let yes = |on: bool| if on { "yes" } else { "" }.to_owned();
        let told = |span: &Option<String>| span.clone().unwrap_or_default();
        let rules = [
            ("lifetime default", told(&self.lifetime_default)),
            ("lifetime max", told(&self.lifetime_max)),
            ("expiry required", yes(self.expiry_required)),
            ("name required", yes(self.name_required)),
            ("scope catalogue", self.scope_catalogue.join(" ")),
            (
                "tokens per subject max",
                self.tokens_per_subject_max
                    .map(|max| max.to_string())
                    .unwrap_or_default(),
            ),
            ("entitled plans", self.entitled_plans.join(", ")),
            ("rotation due after", told(&self.rotation_due_after)),
            ("overlap default", self.overlap_default.replace("none", "")),
            ("overlap max", told(&self.overlap_max)),
            ("retired use", self.retired_use.replace("ignore", "")),
            ("retired tolerance", told(&self.retired_tolerance)),
            ("rate limit default", told(&self.rate_limit_default)),
            (
                "rate limit subject default",
                told(&self.rate_limit_subject_default),
            ),
            ("access log", self.access_log.replace("off", "")),
            ("access log full", self.access_log_full.replace("drop", "")),
            ("access log retention", told(&self.access_log_retention)),
            ("access log whole addresses", yes(self.access_log_whole_addresses)),
            ("expiring leads", self.expiring_leads.join(", ")),
            ("unused after", told(&self.unused_after)),
            ("unused action", self.unused_action.replace("report", "")),
        ];
        let own = [("self management", self.self_management.to_owned())];
        own.into_iter()
            .chain(rules)
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name, text(&value)))
            .collect()
    }
}
