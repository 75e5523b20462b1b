//! `tokenward list`.

use std::process::ExitCode;

use super::super::failure::Outcome;
use super::super::{Caller, PAGE_SIZE, view};
use crate::proto::v1;

#[derive(clap::Args, Debug)]
pub(crate) struct ListArgs {
    /// Slug of the namespace whose tokens to list
    #[arg(long, value_name = "SLUG")]
    namespace: String,
    /// Only tokens in this state
    #[arg(long)]
    state: Option<State>,
    /// At most so many; without it, all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum State {
    Active,
    Suspended,
    Revoked,
    Expired,
}

impl From<State> for v1::TokenState {
    fn from(state: State) -> v1::TokenState {
        match state {
            State::Active => v1::TokenState::Active,
            State::Suspended => v1::TokenState::Suspended,
            State::Revoked => v1::TokenState::Revoked,
            State::Expired => v1::TokenState::Expired,
        }
    }
}

pub(crate) async fn list(args: ListArgs, caller: &Caller) -> Outcome {
    let mut client = super::client(caller).await?;
    let mut listing = caller.output.list(view::Token::HEADER);
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut page_token = String::new();
    loop {
        let request = v1::ListRequest {
            namespace: args.namespace.clone(),
            page_size: i32::try_from(left).map_or(PAGE_SIZE, |left| left.min(PAGE_SIZE)),
            page_token,
            state: args
                .state
                .map_or(v1::TokenState::Unspecified, v1::TokenState::from)
                .into(),
        };
        let page = client.list(request).await?.into_inner();
        let tokens: Vec<_> = page.tokens.into_iter().map(view::Token::from).collect();
        listing.page(&tokens, view::Token::row)?;
        left = left.saturating_sub(tokens.len() as u64);
        page_token = page.next_page_token;
        if page_token.is_empty() || left == 0 {
            break;
        }
    }
    listing.end("tokens")?;
    Ok(ExitCode::SUCCESS)
}
