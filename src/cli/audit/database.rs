//! `tokenward audit verify --database postgres://…`: the links and columns of the journal in a database, read past every
//! server.

use super::super::failure::Failure;
use super::found::{Report, progress};
use super::kept::{Kept, KeptArgs};
use crate::journal::Revision;
use crate::journal::audit::{Chain, Finding};
use crate::store::postgres::{PostgresOptions, Snapshot};
use crate::store::{Head, StoreError};

pub(super) async fn report(options: &PostgresOptions, args: &KeptArgs) -> Result<Report, Failure> {
    if options.password_in_url() {
        let wrong = Failure::usage("the password in --database can be seen by every user of this machine");
        return Err(wrong.but("leave it out, and set PGPASSWORD or a .pgpass file"));
    }
    let unread = |error: StoreError| {
        let cause = error.cause().unwrap_or_else(|| error.to_string());
        Failure::new(format_args!("{options} cannot be read: {cause}"))
    };
    let mut snapshot = Snapshot::open(options).await.map_err(Failure::new)?;
    let mut head = snapshot.head().await.map_err(unread)?;
    if !args.trimmed {
        // The database cannot tell who took away its beginning.
        head.oldest = Revision::new(1);
    }
    let mut report = Report::of(&head);
    let mut walk = Walk {
        chain: Chain::from(head.oldest),
        kept: args.read()?,
    };
    let progress = progress("entries", head.revision.get());
    let mut after = Revision::ZERO;
    let found = loop {
        let rows = snapshot.rows(after).await.map_err(unread)?;
        let Some(last) = rows.last() else {
            break walk.end(&head);
        };
        after = last.revision;
        let mut rows = rows.iter();
        if let Err(finding) = rows.try_for_each(|row| walk.take(row, &mut report)) {
            break Err(finding);
        }
        progress.set_position(after.get());
    };
    progress.finish_and_clear();
    report.agreed_with(&walk.kept);
    report.found(found);
    Ok(report)
}

/// A walk from the oldest entry to the head.
struct Walk {
    chain: Chain,
    kept: Kept,
}

impl Walk {
    fn take(&mut self, row: &crate::journal::audit::Row, report: &mut Report) -> Result<(), Finding> {
        let entry = self.chain.follow(row)?;
        self.kept.take(&entry)?;
        report.entries += 1;
        Ok(())
    }

    fn end(&mut self, head: &Head) -> Result<(), Finding> {
        self.chain.ends_at(head.revision, head.link)?;
        self.kept.end(head.oldest, head.revision)
    }
}
