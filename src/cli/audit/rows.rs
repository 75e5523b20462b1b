//! Whether the rows of a store file are what its entries made of them.

use super::found::{Report, Stop, progress};
use crate::journal::audit::{Finding, StandingReplay, TokenReplay, Whole as _, WholeReplay, subject, token};
use crate::journal::{Entry, Revision};
use crate::store::sqlite::Snapshot;
use crate::token::id::TokenId;
use crate::token::namespace::Namespace;
use crate::token::webhook::Endpoint;

/// What the entries made of the records that are few.
#[derive(Default, Debug)]
pub(super) struct Replays {
    namespaces: WholeReplay<Namespace>,
    endpoints: WholeReplay<Endpoint>,
}

impl Replays {
    pub(super) fn apply(&mut self, entry: &Entry) {
        self.namespaces.apply(entry);
        self.endpoints.apply(entry);
    }
}

/// Compares every row.
pub(super) async fn compare(
    snapshot: &mut Snapshot,
    replays: &Replays,
    oldest: Revision,
    report: &mut Report,
) -> Result<(), Stop> {
    let rows = snapshot
        .namespaces()
        .await?
        .map_err(|why| Finding::RowUnreadable {
            record: "namespaces".to_owned(),
            why: why.to_string(),
        })?;
    replays.namespaces.agrees(&rows, oldest)?;
    let rows = snapshot.endpoints().await?;
    let rows = rows.map_err(|(id, why)| Finding::RowUnreadable {
        record: Endpoint::name(&id),
        why: why.to_string(),
    })?;
    replays.endpoints.agrees(&rows, oldest)?;
    report.endpoints = rows.len() as u64;
    compare_subjects(snapshot, oldest, report).await?;
    if let Some((id, revision)) = snapshot.lost_token().await? {
        let record = token(id);
        return Err(Finding::RowMissing { record, revision }.into());
    }
    let progress = progress("tokens", 0);
    let mut after = None;
    loop {
        let ids = snapshot.token_ids(after).await?;
        let Some(last) = ids.last() else { break };
        after = Some(*last);
        for id in ids {
            if compare_token(snapshot, id, oldest).await? {
                report.tokens += 1;
            } else {
                report.tokens_not_rebuilt += 1;
            }
            progress.inc(1);
        }
    }
    progress.finish_and_clear();
    Ok(())
}

/// Whether every subject's row is what its entries made of it.
async fn compare_subjects(
    snapshot: &mut Snapshot,
    oldest: Revision,
    report: &mut Report,
) -> Result<(), Stop> {
    if let Some((namespace, name, revision)) = snapshot.lost_subject().await? {
        let record = subject(&namespace, &name);
        return Err(Finding::RowMissing { record, revision }.into());
    }
    let mut after = None;
    loop {
        let rows = snapshot.standings(after).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = Some((last.namespace.clone(), last.subject.clone()));
        for row in rows {
            let mut replay = StandingReplay::of(row.namespace.clone(), row.subject.clone());
            let mut read = Revision::ZERO;
            loop {
                let entries = snapshot
                    .entries_of_subject((&row.namespace, &row.subject), read)
                    .await?;
                let Some(last) = entries.last() else { break };
                read = last.revision;
                for entry in &entries {
                    replay.apply(entry, oldest)?;
                }
            }
            let standing = row.standing.map_err(|why| Finding::RowUnreadable {
                record: replay.name(),
                why: why.to_string(),
            })?;
            report.subjects += u64::from(replay.agrees(&standing, oldest)?);
        }
    }
}

/// Whether a token's row is what its entries made of it; `false`: they are not kept.
async fn compare_token(snapshot: &mut Snapshot, id: TokenId, oldest: Revision) -> Result<bool, Stop> {
    let mut replay = TokenReplay::of(id);
    let mut after = Revision::ZERO;
    loop {
        let entries = snapshot.entries_of(id, after).await?;
        let Some(last) = entries.last() else { break };
        after = last.revision;
        for entry in &entries {
            replay.apply(entry, oldest)?;
        }
    }
    let row = snapshot.token(id).await?.map_err(|why| Finding::RowUnreadable {
        record: token(id),
        why: why.to_string(),
    })?;
    Ok(replay.agrees(&row, oldest)?)
}
