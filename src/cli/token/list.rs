//! `tokenward list`.

use std::process::ExitCode;

use super::super::failure::Outcome;
use super::super::{Caller, PAGE_SIZE, output, view};
use super::filter::FilterArgs;
use crate::proto::v1;

#[derive(clap::Args, Debug)]
pub(crate) struct ListArgs {
    /// Slug of the namespace whose tokens to list
    #[arg(long, value_name = "SLUG")]
    namespace: String,
    #[command(flatten)]
    filter: FilterArgs,
    /// create_time, name, expire_time or subject; with desc after it, backwards
    #[arg(long, value_name = "ORDER", default_value = "create_time")]
    order_by: String,
    /// At most so many; without it, all
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Say on stderr how many there are in all
    #[arg(long)]
    total: bool,
}

pub(crate) async fn list(args: ListArgs, caller: &Caller) -> Outcome {
    let mut client = super::client(caller).await?;
    let mut listing = caller.output.list(view::Token::HEADER);
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut request = v1::ListRequest {
        namespace: args.namespace,
        filter: Some(args.filter.filter()?),
        order_by: args.order_by,
        with_total: args.total,
        ..Default::default()
    };
    loop {
        request.page_size = i32::try_from(left).map_or(PAGE_SIZE, |left| left.min(PAGE_SIZE));
        let page = client.list(request.clone()).await?.into_inner();
        if request.with_total {
            let about = if page.total_is_exact { "" } else { "at least " };
            output::note(&format!("{about}{} in all", page.total_estimate))?;
            request.with_total = false;
        }
        let tokens: Vec<_> = page.tokens.into_iter().map(view::Token::from).collect();
        listing.page(&tokens, view::Token::row)?;
        left = left.saturating_sub(tokens.len() as u64);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() || left == 0 {
            break;
        }
    }
    listing.end("tokens")?;
    Ok(ExitCode::SUCCESS)
}
