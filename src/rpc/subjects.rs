//! SubjectService.

use super::decode::Fields;
use super::page::{self, ListKey};
use super::{Api, Problem, ask, convert, guard};
use crate::authority::SubjectName;
use crate::proto::v1;
use crate::proto::v1::revoke_issued_request::Target;
use crate::token::caller::Caller;
use crate::token::permission::Right;
use crate::token::text::{Plan, Reason, Subject};
use crate::token::update::To;

/// In a mask.
const PLAN: &str = "plan";

pub(super) async fn get_subject(
    api: &Api,
    caller: &Caller,
    request: v1::GetSubjectRequest,
) -> Result<v1::GetSubjectResponse, Problem> {
    let mut fields = Fields::default();
    let Some(name) = name(&mut fields, "", request.namespace, request.subject) else {
        return Err(fields.problem());
    };
    guard::named(caller, Right::SubjectsList, &name.0)?;
    let standing = api.authority.subject(&name).await?;
    Ok(v1::GetSubjectResponse {
        subject: Some(convert::subject(&name, standing.as_ref())),
    })
}

pub(super) async fn list_subjects(
    api: &Api,
    caller: &Caller,
    request: v1::ListSubjectsRequest,
) -> Result<v1::ListSubjectsResponse, Problem> {
    let mut fields = Fields::default();
    let size = page::size(&mut fields, request.page_size);
    let Some(namespace) = fields.slug("namespace", request.namespace) else {
        return Err(fields.problem());
    };
    fields.check()?;
    guard::named(caller, Right::SubjectsList, &namespace)?;
    let asked = namespace.to_string();
    let arguments = [&b"ListSubjects"[..], asked.as_bytes()];
    let list = ListKey::of(api.authority.opaque_key(), &arguments);
    let subject = |bytes: &[u8]| Subject::try_from(String::from_utf8_lossy(bytes).into_owned());
    let after = list.position(&request.page_token, subject)?;
    let (standings, next) = api.authority.subjects(namespace, after, size).await?;
    let subjects = standings.iter().map(|standing| {
        let name = (standing.namespace.clone(), standing.subject.clone());
        convert::subject(&name, Some(standing))
    });
    Ok(v1::ListSubjectsResponse {
        subjects: subjects.collect(),
        next_page_token: next
            .map(|last| list.token(last.as_str().as_bytes()))
            .unwrap_or_default(),
    })
}

pub(super) async fn update_subject(
    api: &Api,
    caller: &Caller,
    request: v1::UpdateSubjectRequest,
) -> Result<v1::UpdateSubjectResponse, Problem> {
    let mut fields = Fields::default();
    let ask = ask(caller, &mut fields, &request.request_id);
    let subject = request.subject.unwrap_or_default();
    // Named or not, the plan is set: there is nothing else.
    fields.mask(request.update_mask, |path| path == PLAN, PLAN);
    let plan = fields.optional("subject.plan", subject.plan, Plan::try_from);
    let Some(name) = name(&mut fields, "subject.", subject.namespace, subject.subject) else {
        return Err(fields.problem());
    };
    fields.check()?;
    guard::named(caller, Right::SubjectsManage, &name.0)?;
    let etag = Some(subject.etag).filter(|etag| !etag.is_empty());
    let updated = api.authority.set_plan(&ask, name.clone(), etag, plan).await?;
    Ok(v1::UpdateSubjectResponse {
        subject: Some(convert::subject(&name, updated.record.as_ref())),
        cursor: updated.cursor.to_string(),
    })
}

pub(super) async fn suspend_subject(
    api: &Api,
    caller: &Caller,
    request: v1::SuspendSubjectRequest,
) -> Result<v1::SuspendSubjectResponse, Problem> {
    let mut fields = Fields::default();
    let ask = ask(caller, &mut fields, &request.request_id);
    let reason = fields.take("reason", Reason::try_from(request.reason));
    let name = name(&mut fields, "", request.namespace, request.subject);
    let (Some(name), Some(reason)) = (name, reason) else {
        return Err(fields.problem());
    };
    fields.check()?;
    guard::named(caller, Right::SubjectsManage, &name.0)?;
    let suspended = api.authority.suspend_subject(&ask, name.clone(), reason).await?;
    // Also when it was suspended before: whoever did so may have died before it was in force.
    let reached = api.in_force(suspended.cursor).await?;
    Ok(v1::SuspendSubjectResponse {
        subject: Some(convert::subject(&name, suspended.record.as_ref())),
        cursor: suspended.cursor.to_string(),
        propagation: convert::propagation(reached).into(),
    })
}

pub(super) async fn resume_subject(
    api: &Api,
    caller: &Caller,
    request: v1::ResumeSubjectRequest,
) -> Result<v1::ResumeSubjectResponse, Problem> {
    let mut fields = Fields::default();
    let ask = ask(caller, &mut fields, &request.request_id);
    let Some(name) = name(&mut fields, "", request.namespace, request.subject) else {
        return Err(fields.problem());
    };
    fields.check()?;
    guard::named(caller, Right::SubjectsManage, &name.0)?;
    let resumed = api.authority.resume_subject(&ask, name.clone()).await?;
    let reached = api.in_force(resumed.cursor).await?;
    Ok(v1::ResumeSubjectResponse {
        subject: Some(convert::subject(&name, resumed.record.as_ref())),
        cursor: resumed.cursor.to_string(),
        propagation: convert::propagation(reached).into(),
    })
}

pub(super) async fn set_rate_limit(
    api: &Api,
    caller: &Caller,
    request: v1::SetRateLimitRequest,
) -> Result<v1::SetRateLimitResponse, Problem> {
    let mut fields = Fields::default();
    let ask = ask(caller, &mut fields, &request.request_id);
    let rate_limit = fields.rate_limit("rate_limit", request.rate_limit);
    let name = name(&mut fields, "", request.namespace, request.subject);
    let (Some(name), Some(To(rate_limit))) = (name, rate_limit) else {
        return Err(fields.problem());
    };
    fields.check()?;
    guard::named(caller, Right::SubjectsManage, &name.0)?;
    let etag = Some(request.etag).filter(|etag| !etag.is_empty());
    let set = api
        .authority
        .set_rate_limit(&ask, name.clone(), etag, rate_limit)
        .await?;
    let reached = api.in_force(set.cursor).await?;
    Ok(v1::SetRateLimitResponse {
        subject: Some(convert::subject(&name, set.record.as_ref())),
        cursor: set.cursor.to_string(),
        propagation: convert::propagation(reached).into(),
    })
}

pub(super) async fn revoke_issued(
    api: &Api,
    caller: &Caller,
    request: v1::RevokeIssuedRequest,
) -> Result<v1::RevokeIssuedResponse, Problem> {
    let mut fields = Fields::default();
    let ask = ask(caller, &mut fields, &request.request_id);
    let namespace = fields.slug("namespace", request.namespace);
    let reason = fields.take("reason", Reason::try_from(request.reason));
    let subject = match request.target {
        Some(Target::Subject(subject)) => fields.take("subject", Subject::try_from(subject)).map(Some),
        Some(Target::WholeNamespace(true)) => Some(None),
        Some(Target::WholeNamespace(false)) => {
            fields.wrong("whole_namespace", "must be true, or subject be set instead");
            None
        }
        None => {
            fields.wrong(
                "target",
                "must be subject or whole_namespace: nothing said is not all",
            );
            None
        }
    };
    let (Some(namespace), Some(reason), Some(subject)) = (namespace, reason, subject) else {
        return Err(fields.problem());
    };
    fields.check()?;
    guard::named(caller, Right::SubjectsManage, &namespace)?;
    let revoked = if let Some(subject) = subject {
        let name = (namespace, subject);
        api.authority.revoke_issued(&ask, name, reason).await?
    } else {
        // It is a change to the namespace, and to all that was ever issued in it.
        guard::check(guard::Needs::Right(Right::NamespacesManage), caller)?;
        api.authority
            .revoke_issued_in_namespace(&ask, namespace, reason)
            .await?
    };
    let reached = api.in_force(revoked.cursor).await?;
    Ok(v1::RevokeIssuedResponse {
        not_before_time: Some(convert::timestamp(revoked.record.time)),
        cursor: revoked.cursor.to_string(),
        propagation: convert::propagation(reached).into(),
    })
}

fn name(fields: &mut Fields, at: &str, namespace: String, subject: String) -> Option<SubjectName> {
    let namespace = fields.slug(&format!("{at}namespace"), namespace);
    let subject = fields.take(format_args!("{at}subject"), Subject::try_from(subject));
    namespace.zip(subject)
}
