//! AuditService.ListAccess and AuditService.EraseAccess.

use uuid::Uuid;

use super::decode::Fields;
use super::page::{self, ListKey};
use super::usage::verdict;
use super::{Api, Problem, convert, guard};
use crate::proto::v1;
use crate::store::access::{AccessOf, AccessPlace, Holder, Walk};
use crate::store::{READ_MAX, SWEEP_MAX};
use crate::token::access::{AccessId, AccessRecord};
use crate::token::caller::Caller;
use crate::token::id::TokenId;
use crate::token::permission::Right;
use crate::token::text::{Actor, Subject};
use crate::token::time::Timestamp;
use crate::token::usage::Outcome;

/// So many times it is told to forget, for one call.
const SWEEPS_MAX: u32 = 100;
/// Verdicts that one request may name.
const VERDICTS_MAX: usize = 16;

/// What is wanted of the records on the way.
struct Wanted {
    /// Where the way is that of a token.
    subject: Option<Subject>,
    caller: Option<Actor>,
    /// None: all.
    outcomes: Vec<Outcome>,
}

impl Wanted {
    /// How many records are to be read at once to find so many.
    fn reads(&self, limit: usize) -> u32 {
        let takes_all = self.subject.is_none() && self.caller.is_none() && self.outcomes.is_empty();
        // One more says whether there is a next page.
        let enough = u32::try_from(limit + 1).unwrap_or(READ_MAX);
        if takes_all { enough.min(READ_MAX) } else { READ_MAX }
    }

    fn matches(&self, record: &AccessRecord) -> bool {
        let details = &record.details;
        (self.subject.is_none() || self.subject == record.subject)
            && (self.caller.is_none() || self.caller == details.caller)
            && (self.outcomes.is_empty() || self.outcomes.contains(&details.outcome))
    }
}

pub(super) async fn list_access(
    api: &Api,
    caller: &Caller,
    request: v1::ListAccessRequest,
) -> Result<v1::ListAccessResponse, Problem> {
    let mut fields = Fields::default();
    let arguments = arguments(&request);
    let arguments: Vec<&[u8]> = arguments.iter().map(Vec::as_slice).collect();
    let list = ListKey::of(api.authority.opaque_key(), &arguments);
    let limit = page::size(&mut fields, request.page_size) as usize;
    let outcomes = outcomes(&mut fields, &request.verdicts);
    let namespace = fields.slug("namespace", request.namespace);
    let token_id = fields.optional("token_id", request.token_id.as_str(), TokenId::parse);
    let subject = fields.optional("subject", request.subject, Subject::try_from);
    let asked_by = fields.optional("caller", request.caller, Actor::try_from);
    let mut instant = |path, instant: Option<prost_types::Timestamp>| {
        instant.and_then(|instant| fields.timestamp(path, instant))
    };
    let from = instant("time_after", request.time_after).unwrap_or(Timestamp::MIN);
    let before = instant("time_before", request.time_before).unwrap_or(Timestamp::MAX);
    let Some(namespace) = namespace else {
        return Err(fields.problem());
    };
    fields.check()?;
    guard::named(caller, Right::UsageRead, &namespace)?;
    let wanted = Wanted {
        subject: subject.clone().filter(|_| token_id.is_some()),
        caller: asked_by,
        outcomes,
    };
    let of = AccessOf {
        namespace,
        holder: holder(token_id, subject),
    };
    let batch = wanted.reads(limit);
    let read = |before| {
        let walk = Walk {
            of: of.clone(),
            from,
            before,
            limit: batch,
        };
        async move {
            let found = api.store.access(walk).await?.into_iter();
            Ok(found.map(|record| (AccessPlace::of(&record), record)).collect())
        }
    };
    let start = list.position(&request.page_token, place)?;
    let start = start.unwrap_or(AccessPlace::before(before));
    let (records, next) =
        page::filtered(limit, (start, batch), read, |record| wanted.matches(record)).await?;
    Ok(v1::ListAccessResponse {
        records: records.into_iter().map(shown).collect(),
        next_page_token: next.map(|place| list.token(&bytes(place))).unwrap_or_default(),
    })
}

pub(super) async fn erase_access(
    api: &Api,
    caller: &Caller,
    request: v1::EraseAccessRequest,
) -> Result<v1::EraseAccessResponse, Problem> {
    let mut fields = Fields::default();
    let namespace = fields.slug("namespace", request.namespace);
    let token_id = fields.optional("token_id", request.token_id.as_str(), TokenId::parse);
    if !request.token_id.is_empty() && !request.subject.is_empty() {
        fields.wrong("subject", "must not be set together with token_id");
    }
    if request.token_id.is_empty() && request.subject.is_empty() && request.time_before.is_none() {
        fields.wrong("time_before", "must be set where neither token_id nor subject is");
    }
    let subject = fields.optional("subject", request.subject, Subject::try_from);
    let before = request
        .time_before
        .and_then(|instant| fields.timestamp("time_before", instant));
    let Some(namespace) = namespace else {
        return Err(fields.problem());
    };
    fields.check()?;
    guard::named(caller, Right::UsageErase, &namespace)?;
    let of = AccessOf {
        namespace,
        holder: holder(token_id, subject),
    };
    let until = before.unwrap_or_else(|| api.clock.now());
    let mut erased = 0;
    let mut is_done = false;
    for _ in 0..SWEEPS_MAX {
        let some = api.store.erase_access(of.clone(), until).await?;
        erased += some;
        is_done = some < u64::from(SWEEP_MAX);
        if is_done {
            break;
        }
    }
    tracing::info!(actor = %caller.actor(), namespace = %of.namespace, records = erased, "records of calls were erased");
    Ok(v1::EraseAccessResponse {
        erased_count: convert::count(erased),
        is_done,
    })
}

/// Which way there is to what is asked for: a token has fewer calls than its subject.
fn holder(token_id: Option<TokenId>, subject: Option<Subject>) -> Option<Holder> {
    let subject = subject.map(Holder::Subject);
    token_id.map(Holder::Token).or(subject)
}

fn outcomes(fields: &mut Fields, asked: &[i32]) -> Vec<Outcome> {
    let known = |asked: i32| {
        Outcome::ALL
            .into_iter()
            .find(|outcome| verdict(*outcome) as i32 == asked)
    };
    let wrong = "is no verdict that a call comes to";
    fields.known("verdicts", (asked, VERDICTS_MAX), known, wrong)
}

/// What tells a list with these filters from others.
fn arguments(request: &v1::ListAccessRequest) -> Vec<Vec<u8>> {
    let verdicts: Vec<_> = request.verdicts.iter().map(i32::to_string).collect();
    vec![
        b"ListAccess".to_vec(),
        request.namespace.clone().into_bytes(),
        request.token_id.clone().into_bytes(),
        request.subject.clone().into_bytes(),
        request.caller.clone().into_bytes(),
        verdicts.join(" ").into_bytes(),
        page::instant(request.time_after),
        page::instant(request.time_before),
    ]
}

fn bytes(place: AccessPlace) -> Vec<u8> {
    [&place.time.micros().to_be_bytes()[..], place.id.as_bytes()].concat()
}

/// A position that is none: a page token of another list.
struct NoPlace;

fn place(bytes: &[u8]) -> Result<AccessPlace, NoPlace> {
    let (time, id) = bytes.split_at_checked(8).ok_or(NoPlace)?;
    let time = i64::from_be_bytes(time.try_into().map_err(|_| NoPlace)?);
    Ok(AccessPlace {
        time: Timestamp::from_micros(time).map_err(|_| NoPlace)?,
        id: AccessId::from_bytes(id.try_into().map_err(|_| NoPlace)?),
    })
}

fn shown(record: AccessRecord) -> v1::AccessRecord {
    let details = record.details;
    let address = details.address.map(|network| {
        if network.prefix_len() == network.max_prefix_len() {
            network.addr().to_string()
        } else {
            network.to_string()
        }
    });
    v1::AccessRecord {
        id: Uuid::from_bytes(*record.id.as_bytes()).to_string(),
        time: Some(convert::timestamp(record.time)),
        namespace: record.namespace.to_string(),
        token_id: record.token_id.map(|id| id.to_string()).unwrap_or_default(),
        subject: record.subject.map(Subject::into).unwrap_or_default(),
        caller: details.caller.map(Actor::into).unwrap_or_default(),
        verdict: verdict(details.outcome).into(),
        client_address: address.unwrap_or_default(),
        method: details.method.into(),
        path: details.path.into(),
        user_agent: details.user_agent.into(),
    }
}
