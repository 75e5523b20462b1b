//! ImportService.Import.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::decode::Fields;
use super::{Api, Problem, guard};
use crate::authority::{Import, Imported, ROWS_MAX};
use crate::proto::v1;
use crate::proto::v1::import_row::Digest;
use crate::token::Withdrawal;
use crate::token::caller::Caller;
use crate::token::id::ImportId;
use crate::token::import::{ImportedDigest, Row, RowRefused};
use crate::token::permission::Right;
use crate::token::text::{ImportKey, Name, Reason, Subject};

/// How long a client may send nothing, or leave an answer untaken: an import holds one of a few places.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Answers that wait to be taken.
const ANSWERS_MAX: usize = 4;

/// What a client is told of its rows. Dropped, it ends the import once what was begun is written.
pub(super) type Answers = ReceiverStream<Result<v1::ImportResponse, Status>>;

/// Answers at once, so that the deadline of a call is over before the rows begin.
pub(super) fn import(api: &Api, caller: Arc<Caller>, requests: Streaming<v1::ImportRequest>) -> Answers {
    let (answers, told) = mpsc::channel(ANSWERS_MAX);
    let api = api.clone();
    tokio::spawn(async move {
        let Err(status) = take_all(&api, &caller, requests, &answers).await else {
            return;
        };
        // Whoever asked may have left.
        let _ = answers.send(Err(status)).await;
    });
    ReceiverStream::new(told)
}

async fn take_all(
    api: &Api,
    caller: &Caller,
    mut requests: Streaming<v1::ImportRequest>,
    answers: &mpsc::Sender<Result<v1::ImportResponse, Status>>,
) -> Result<(), Status> {
    let Some(first) = next(&mut requests).await? else {
        return Err(start_wanted().into());
    };
    let under_way = begin(api, caller, first).await?;
    while let Some(message) = next(&mut requests).await? {
        guard::recognised_still(api, caller).await?;
        let answer = take(api, caller, &under_way, message).await?;
        let told = timeout(IDLE_MAX, answers.send(Ok(answer))).await;
        if told.map_err(|_| idle())?.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

async fn next(requests: &mut Streaming<v1::ImportRequest>) -> Result<Option<v1::ImportRequest>, Status> {
    timeout(IDLE_MAX, requests.message()).await.map_err(|_| idle())?
}

fn idle() -> Status {
    Problem::DeadlineExceeded { allowed: IDLE_MAX }.into()
}

async fn begin(api: &Api, caller: &Caller, message: v1::ImportRequest) -> Result<Import, Problem> {
    let mut fields = Fields::default();
    let Some(start) = message.start.filter(|_| message.rows.is_empty()) else {
        return Err(start_wanted());
    };
    let namespace = fields.slug("start.namespace", start.namespace);
    if let Some(namespace) = &namespace {
        guard::named(caller, Right::TokensImport, namespace)?;
    }
    let id = fields.take("start.import_id", ImportId::parse(&start.import_id));
    match (namespace, id) {
        (Some(namespace), Some(id)) => Ok(api.authority.begin_import(&namespace, id, start.dry_run).await?),
        _ => Err(fields.problem()),
    }
}

fn start_wanted() -> Problem {
    let mut fields = Fields::default();
    fields.wrong("start", "must be in the first message, and nothing else");
    fields.problem()
}

async fn take(
    api: &Api,
    caller: &Caller,
    under_way: &Import,
    message: v1::ImportRequest,
) -> Result<v1::ImportResponse, Problem> {
    let mut fields = Fields::default();
    let count = message.rows.len();
    if message.start.is_some() {
        fields.wrong("start", "must be in the first message only");
    }
    if !(1..=ROWS_MAX).contains(&count) {
        fields.wrong(
            "rows",
            format_args!("must have 1 to {ROWS_MAX} elements, not {count}"),
        );
    }
    fields.check()?;
    let rows = message.rows.into_iter().map(decode).collect();
    let mut answer = v1::ImportResponse::default();
    for (index, imported) in api
        .authority
        .import(caller, under_way, rows)
        .await?
        .into_iter()
        .enumerate()
    {
        match imported {
            Imported::Now => answer.imported += 1,
            Imported::Before => answer.already_there += 1,
            Imported::Refused(refused) => answer.refused.push(v1::RefusedRow {
                index: i32::try_from(index).unwrap_or(i32::MAX),
                reason: refused.to_string(),
            }),
        }
    }
    Ok(answer)
}

fn decode(row: v1::ImportRow) -> Result<Row, RowRefused> {
    let mut fields = Fields::default();
    let key = fields.take("key", ImportKey::try_from(row.key));
    let name = fields.take("name", Name::try_from(row.name));
    let subject = fields.take("subject", Subject::try_from(row.subject));
    let scopes = fields.scopes("scopes", row.scopes);
    let labels = fields.labels(row.labels);
    let digest = digest(&mut fields, row.digest);
    let mut instant = |path, instant: Option<_>| instant.map(|instant| fields.timestamp(path, instant));
    let create_time = instant("create_time", row.create_time).flatten();
    let expire_time = instant("expire_time", row.expire_time).flatten();
    let suspension = withdrawal(&mut fields, "suspend", row.suspend_time, row.suspend_reason);
    let revocation = withdrawal(&mut fields, "revoke", row.revoke_time, row.revoke_reason);
    if let Some((path, what)) = fields.first() {
        return Err(RowRefused::Field(path, what));
    }
    match (key, name, subject, scopes, labels, digest) {
        (Some(key), Some(name), Some(subject), Some(scopes), Some(labels), Some(digest)) => Ok(Row {
            key,
            name,
            subject,
            scopes,
            labels,
            digest,
            beginning: row.hint,
            create_time,
            expire_time,
            suspension,
            revocation,
        }),
        _ => Err(RowRefused::Field("digest".to_owned(), WANTED.to_owned())),
    }
}

const WANTED: &str = "must be given, as sha256, sha512 or phc";

fn digest(fields: &mut Fields, digest: Option<Digest>) -> Option<ImportedDigest> {
    match digest {
        Some(Digest::Sha256(text)) => fields.take("sha256", ImportedDigest::sha256(&text)),
        Some(Digest::Sha512(text)) => fields.take("sha512", ImportedDigest::sha512(&text)),
        Some(Digest::Phc(text)) => fields.take("phc", ImportedDigest::phc(text)),
        None => {
            fields.wrong("digest", WANTED);
            None
        }
    }
}

fn withdrawal(
    fields: &mut Fields,
    what: &str,
    time: Option<prost_types::Timestamp>,
    reason: String,
) -> Option<Withdrawal> {
    let path = format!("{what}_reason");
    let Some(time) = time else {
        if !reason.is_empty() {
            fields.wrong(path, format_args!("must come with {what}_time"));
        }
        return None;
    };
    let time = fields.timestamp(&format!("{what}_time"), time);
    let reason = fields.take(path, Reason::try_from(reason));
    Some(Withdrawal {
        time: time?,
        reason: reason?,
    })
}
