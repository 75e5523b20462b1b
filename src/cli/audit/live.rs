//! `tokenward audit verify` without a file: the links of the journal as a server hands it out, whatever its store.

use super::super::connect::{ANSWER_BYTES_MAX, Wire};
use super::super::failure::Failure;
use super::super::{Caller, PAGE_SIZE};
use super::found::{Report, progress};
use super::kept::{Kept, KeptArgs};
use crate::journal::Revision;
use crate::journal::audit::{Chain, Finding};
use crate::journal::cursor::Cursor;
use crate::journal::link::Link;
use crate::proto::v1;
use crate::proto::v1::audit_service_client::AuditServiceClient;
use crate::store::Head;

pub(super) type Client = AuditServiceClient<Wire>;

pub(super) async fn client(caller: &Caller) -> Result<Client, Failure> {
    let client = AuditServiceClient::new(caller.connect().await?);
    Ok(client.max_decoding_message_size(ANSWER_BYTES_MAX))
}

/// The link of this entry, as the server tells it.
pub(super) async fn link_of(client: &mut Client, revision: Revision) -> Result<Link, Failure> {
    let request = v1::ListEntriesRequest {
        page_size: 1,
        after_revision: i64::try_from(revision.get()).unwrap_or(i64::MAX) - 1,
        ..Default::default()
    };
    let page = client.list_entries(request).await?.into_inner();
    let entry = page
        .entries
        .first()
        .filter(|entry| u64::try_from(entry.revision) == Ok(revision.get()));
    let entry = entry.ok_or_else(|| Failure::new(format_args!("the server has no revision {revision}")))?;
    Link::from_bytes(&entry.link).map_err(Failure::new)
}

pub(super) async fn report(args: &KeptArgs, caller: &Caller) -> Result<Report, Failure> {
    let mut client = client(caller).await?;
    // The head first: what comes after it is for the next time.
    let told = client.get_head(v1::GetHeadRequest {}).await?.into_inner();
    let head = head(&told, args.trimmed)?;
    let mut report = Report::of(&head);
    let progress = progress("entries", head.revision.get());
    let mut walk = Walk {
        chain: Chain::from(head.oldest),
        head,
        kept: args.read()?,
    };
    let mut page_token = String::new();
    let found = loop {
        let request = v1::ListEntriesRequest {
            page_size: PAGE_SIZE,
            page_token,
            ..Default::default()
        };
        let page = client.list_entries(request).await?.into_inner();
        if let Err(finding) = walk.take(page.entries, &mut report) {
            break Err(finding);
        }
        progress.set_position(report.entries);
        page_token = page.next_page_token;
        if page_token.is_empty() || walk.is_over(&report) {
            break walk.end();
        }
    };
    progress.finish_and_clear();
    report.agreed_with(&walk.kept);
    report.found(found);
    Ok(report)
}

/// A walk from the oldest entry to the head that was told at its beginning.
struct Walk {
    chain: Chain,
    head: Head,
    kept: Kept,
}

impl Walk {
    fn take(&mut self, entries: Vec<v1::Entry>, report: &mut Report) -> Result<(), Finding> {
        for entry in entries {
            let revision = Revision::new(u64::try_from(entry.revision).unwrap_or_default());
            if revision > self.head.revision {
                break;
            }
            let entry = self.chain.follow_body(revision, entry.body, &entry.link)?;
            self.kept.take(&entry)?;
            report.entries += 1;
        }
        Ok(())
    }

    fn is_over(&self, report: &Report) -> bool {
        self.head.oldest.get() + report.entries > self.head.revision.get()
    }

    fn end(&mut self) -> Result<(), Finding> {
        self.chain.ends_at(self.head.revision, self.head.link)?;
        self.kept.end(self.head.oldest, self.head.revision)
    }
}

pub(super) fn head(told: &v1::GetHeadResponse, trimmed: bool) -> Result<Head, Failure> {
    let unread = || Failure::new("the server told no head that this program understands");
    let cursor = Cursor::parse(&told.cursor).map_err(|_| unread())?;
    let link = Link::from_bytes(&told.link).map_err(|_| unread())?;
    let oldest = u64::try_from(told.oldest_revision).map_err(|_| unread())?;
    Ok(Head {
        epoch: cursor.epoch,
        revision: cursor.revision,
        link,
        // A server cannot tell who took away the beginning.
        oldest: if trimmed {
            Revision::new(oldest)
        } else {
            Revision::new(1)
        },
    })
}
