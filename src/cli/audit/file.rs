//! `tokenward audit verify --database FILE`: links, columns and rows of a store file.

use std::path::Path;

use super::super::failure::Failure;
use super::found::{Report, Stop, progress};
use super::kept::{Kept, KeptArgs};
use super::rows::{self, Replays};
use crate::journal::Revision;
use crate::journal::audit::Chain;
use crate::store::sqlite::Snapshot;
use crate::store::{Head, StoreError};

/// Reads a store file, which a server may have open.
pub(super) async fn report(database: &Path, args: &KeptArgs) -> Result<Report, Failure> {
    let unread = |error: StoreError| {
        let cause = match &error {
            StoreError::Unavailable(source) => source.to_string(),
            StoreError::Corrupt { .. } | StoreError::Forked { .. } => error.to_string(),
        };
        Failure::new(format_args!("{} cannot be read: {cause}", database.display()))
            .but("name the file of a store with --database")
    };
    let mut snapshot = Snapshot::open(database).await.map_err(Failure::new)?;
    let mut head = snapshot.head().await.map_err(unread)?;
    if !args.trimmed {
        // The file cannot tell who took away its beginning.
        head.oldest = Revision::new(1);
    }
    let mut report = Report::of(&head);
    let mut kept = args.read()?;
    let found = audit(&mut snapshot, &head, &mut kept, &mut report).await;
    report.agreed_with(&kept);
    match found {
        Ok(()) => report.intact = true,
        Err(Stop::Found(finding)) => report.finding = Some(finding.to_string()),
        Err(Stop::Store(error)) => return Err(unread(error)),
    }
    Ok(report)
}

async fn audit(
    snapshot: &mut Snapshot,
    head: &Head,
    kept: &mut Kept,
    report: &mut Report,
) -> Result<(), Stop> {
    let replays = walk(snapshot, head, kept, report).await?;
    rows::compare(snapshot, &replays, head.oldest, report).await
}

/// Follows the links from the oldest entry to the head.
async fn walk(
    snapshot: &mut Snapshot,
    head: &Head,
    kept: &mut Kept,
    report: &mut Report,
) -> Result<Replays, Stop> {
    let progress = progress("entries", head.revision.get());
    progress.set_position(head.oldest.get().saturating_sub(1));
    let mut chain = Chain::from(head.oldest);
    let mut replays = Replays::default();
    let mut after = Revision::ZERO;
    loop {
        let rows = snapshot.rows(after).await?;
        let Some(last) = rows.last() else { break };
        after = last.revision;
        for row in &rows {
            let entry = chain.follow(row)?;
            kept.take(&entry)?;
            replays.apply(&entry);
            report.entries += 1;
        }
        progress.set_position(after.get());
    }
    chain.ends_at(head.revision, head.link)?;
    kept.end(head.oldest, head.revision)?;
    progress.finish_and_clear();
    Ok(replays)
}
