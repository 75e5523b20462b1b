//! `tokenward audit list`: entries of the journal, by what is known of them.

use std::process::ExitCode;

use super::super::failure::{Failure, Outcome};
use super::super::{Caller, PAGE_SIZE, view};
use super::{instant, live};
use crate::journal::Kind;
use crate::proto::v1;

#[derive(clap::Args, Default, Debug)]
pub(crate) struct ListArgs {
    /// Only entries of the namespace with this slug
    #[arg(long, value_name = "SLUG", default_value = "", hide_default_value = true)]
    namespace: String,
    /// Only entries of the token with this id
    #[arg(long, value_name = "TOKEN_ID", default_value = "", hide_default_value = true)]
    token: String,
    /// Only entries of this subject and of its tokens
    #[arg(
        long,
        value_name = "SUBJECT",
        default_value = "",
        hide_default_value = true,
        requires = "namespace"
    )]
    subject: String,
    /// Only what this actor did, such as token:ID, a name in a certificate, or tokenward for the program itself
    #[arg(long, value_name = "ACTOR", default_value = "", hide_default_value = true)]
    actor: String,
    /// Only this kind, such as token.revoked; may be given more than once
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<Kind>,
    /// Only what was done at this instant or later, as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Only what was done before this instant
    #[arg(long, value_name = "TIME")]
    before: Option<jiff::Timestamp>,
    /// Only the change made with this request id
    #[arg(long, value_name = "UUID", default_value = "", hide_default_value = true)]
    request_id: String,
    /// Only entries after this revision
    #[arg(long, value_name = "REVISION", conflicts_with_all = ["from", "before"])]
    after: Option<u32>,
    /// At most so many; without it, all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

impl ListArgs {
    /// Those of one token.
    pub(super) fn of_token(namespace: &str, token_id: &str) -> ListArgs {
        ListArgs {
            namespace: namespace.to_owned(),
            token: token_id.to_owned(),
            ..ListArgs::default()
        }
    }
}

fn kind(text: &str) -> Result<Kind, String> {
    let named = Kind::ALL.into_iter().find(|kind| kind.as_str() == text);
    named.ok_or_else(|| {
        let all: Vec<_> = Kind::ALL.into_iter().map(Kind::as_str).collect();
        format!("must be one of {}", all.join(", "))
    })
}

/// As the wire names it.
fn wire(kind: Kind) -> i32 {
    let name = format!(
        "ENTRY_KIND_{}",
        kind.as_str().replace('.', "_").to_ascii_uppercase()
    );
    v1::EntryKind::from_str_name(&name).map_or(0, Into::into)
}

pub(super) async fn run(args: ListArgs, caller: &Caller) -> Outcome {
    let mut listing = caller.output.list(view::Entry::HEADER);
    each_page(&args, caller, |entries| {
        Ok(listing.page(&entries, view::Entry::row)?)
    })
    .await?;
    listing.end("entries")?;
    Ok(ExitCode::SUCCESS)
}

/// Hands over the entries that are meant, a page at a time.
pub(super) async fn each_page(
    args: &ListArgs,
    caller: &Caller,
    mut take: impl FnMut(Vec<view::Entry>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut client = live::client(caller).await?;
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut page_token = String::new();
    loop {
        let request = v1::ListEntriesRequest {
            page_size: i32::try_from(left).map_or(PAGE_SIZE, |left| left.min(PAGE_SIZE)),
            page_token,
            namespace: args.namespace.clone(),
            token_id: args.token.clone(),
            subject: args.subject.clone(),
            actor: args.actor.clone(),
            kinds: args.kind.iter().copied().map(wire).collect(),
            time_after: instant(args.from),
            time_before: instant(args.before),
            request_id: args.request_id.clone(),
            after_revision: args.after.map_or(0, i64::from),
        };
        let page = client.list_entries(request).await?.into_inner();
        left = left.saturating_sub(page.entries.len() as u64);
        take(page.entries.into_iter().map(view::Entry::from).collect())?;
        page_token = page.next_page_token;
        if page_token.is_empty() || left == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_taken_as_it_is_shown_and_known_to_the_wire() {
        for named in Kind::ALL {
            assert_eq!(kind(named.as_str()), Ok(named));
            assert_ne!(wire(named), 0, "{}", named.as_str());
        }
        assert!(kind("token").is_err());
    }
}
