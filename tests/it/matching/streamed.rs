//! An execution that goes on for a while: how far it is is told, and it may be left and gone on with.

use std::time::Duration;

use tokenward::proto::v1;
use tokenward::proto::v1::revoke_matching_response::Event;
use tokenward::serve::Running;
use tonic::Status;

use super::{done, events, of_notes, planned, prefix, preview};
use crate::place::{Fallible, Place};
use crate::server::{Client, Outcome, hex, stop};

/// More than are revoked in one go.
const MANY: usize = 600;

/// So many tokens that one call revokes them, by and by.
pub(crate) async fn many(client: &mut Client) -> Fallible<v1::RevokeMatchingRequest> {
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let row = |number: &usize| v1::ImportRow {
        key: number.to_string(),
        name: format!("ci-{number}"),
        subject: "ada".to_owned(),
        hint: "kn_".to_owned(),
        digest: Some(v1::import_row::Digest::Sha256(format!("{number:064x}"))),
        ..Default::default()
    };
    let rows: Vec<_> = (0..MANY).collect();
    let messages = rows.chunks(200).map(|rows| rows.iter().map(row).collect());
    let start = v1::ImportStart {
        namespace: "notes".to_owned(),
        import_id: "7d444840-9dc0-41d1-b245-5ffdce74fad2".to_owned(),
        dry_run: false,
    };
    client.import(start, messages.collect()).await?;
    let request = of_notes(prefix("ci-"));
    let told = preview(client, &request).await?;
    assert_eq!(usize::try_from(told.count)?, MANY);
    Ok(planned(&request, &told))
}

/// A server that says after every go how far it is.
fn telling(place: &Place) -> Fallible<Running> {
    let mut options = place.options()?;
    options.progress_interval = Duration::ZERO;
    Ok(Running::start(options)?)
}

#[tokio::test]
async fn whoever_revokes_many_is_told_how_far_it_is() -> Outcome {
    for place in [Place::sqlite()?, Place::postgres().await?] {
        let running = telling(&place)?;
        let mut client = Client::connect(running.address()).await?;
        let request = many(&mut client).await?;
        let mut told = events(&mut client, request).await?;
        let Some(Event::Done(done)) = told.pop() else {
            return Err(format!("{told:?}").into());
        };
        assert_eq!((done.revoked, done.passed_over), (i64::try_from(MANY)?, 0));
        assert!(told.len() > 1, "{told:?}");
        let mut before = 0;
        for event in &told {
            let Event::Progress(progress) = event else {
                return Err(format!("{told:?}").into());
            };
            assert!(
                before < progress.done && progress.done < progress.total,
                "{told:?}"
            );
            assert_eq!(progress.total, done.revoked);
            before = progress.done;
        }
        stop(running).await?;
    }
    Ok(())
}

/// Who leaves stops it where it is, and whoever says the same again has the rest done: at once, while what the first
/// call had under way is still being written.
#[tokio::test]
async fn whoever_leaves_half_way_says_the_same_again() -> Outcome {
    for place in [Place::sqlite()?, Place::postgres().await?] {
        let running = telling(&place)?;
        let mut client = Client::connect(running.address()).await?;
        let request = many(&mut client).await?;
        let mut left = client.tokens.revoke_matching(request.clone()).await?.into_inner();
        let first = left.message().await?.and_then(|message| message.event);
        assert!(matches!(first, Some(Event::Progress(_))), "{first:?}");
        drop(left);
        let ended = done(&mut client, request).await?;
        assert_eq!((ended.revoked, ended.passed_over), (i64::try_from(MANY)?, 0));
        assert_eq!(revocations(&mut client).await?, MANY);
        stop(running).await?;
    }
    Ok(())
}

/// How many tokens the journal says were revoked one by one.
async fn revocations(client: &mut Client) -> Result<usize, Status> {
    let mut request = v1::ListEntriesRequest {
        page_size: 1000,
        ..Default::default()
    };
    let mut revoked = 0;
    loop {
        let page = client.audit.list_entries(request.clone()).await?.into_inner();
        let of_tokens = |entry: &&v1::Entry| entry.kind() == v1::EntryKind::TokenRevoked;
        revoked += page.entries.iter().filter(of_tokens).count();
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return Ok(revoked);
        }
    }
}
