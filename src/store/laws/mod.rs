//! The contract of a store as laws: each written once, and held against every store.
//!
//! A new law is one line in `every_law!`; a new store is one line in `store_laws!`, and it may skip a law
//! only with a reason. Every law begins with the namespace `notes`, at revision 1.

mod access;
mod answers;
mod budgets;
mod commits;
mod evidence;
mod history;
mod identity;
mod journal;
mod reads;
mod roll;
mod selection;
mod states;
mod subjects;
mod usage;
mod webhooks;

use std::future::{Ready, ready};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::runtime::Handle;

use super::Store;
use super::database::Database;
use super::memory::MemoryStore;
use super::postgres::{PostgresOptions, PostgresStore, migrate};
use super::samples::{
    Answer, EPOCH, all_entries, all_of, change, found_notes, listed_after, read, rotation, write,
};
use super::spawned::Spawned;
use super::sqlite::SqliteStore;
use crate::token::samples::pepper;

type Law = Answer<()>;

macro_rules! every_law {
    ($open:path) => {
        stamp! { $open;
            commits::drafts_get_dense_revisions_in_order_under_concurrency,
            commits::what_a_commit_returns_is_observable_at_once,
            commits::a_stale_guard_writes_nothing,
            commits::a_repeated_request_gets_its_first_entry,
            commits::a_request_repeated_in_one_batch_gets_its_first_entry,
            commits::of_two_drafts_for_one_token_in_a_batch_one_wins,
            commits::of_concurrent_drafts_for_one_token_one_wins,
            commits::a_conflict_leaves_no_gap_and_spares_its_neighbours,
            commits::an_empty_batch_writes_nothing,
            commits::namespaces_are_guarded_by_the_newest_change_to_any,
            commits::the_hint_reaches_what_was_committed,
            commits::every_change_to_a_token_is_read_back,
            journal::links_chain_from_the_start,
            journal::the_journal_rebuilds_every_token,
            journal::what_was_read_never_changes,
            journal::entries_are_filtered_and_paged,
            journal::beyond_the_head_is_nothing,
            journal::trim_forgets_only_what_is_below,
            reads::strangers_are_absent,
            reads::digests_are_answered_in_the_order_asked,
            reads::a_retired_secret_is_found_and_a_forgotten_one_is_not,
            reads::a_redigested_secret_is_found_by_its_new_digest_alone,
            reads::what_has_to_be_tried_is_found_by_its_beginning,
            reads::a_look_is_the_state_at_its_fence,
            reads::pages_neither_repeat_nor_skip,
            reads::a_listing_keeps_to_its_namespace,
            selection::pages_in_every_order_are_what_the_filter_lets_through,
            selection::counts_are_of_what_the_filter_lets_through,
            selection::what_is_named_by_id_is_found_wherever_it_is,
            selection::a_filter_that_matches_nothing_comes_to_an_end,
            states::what_is_asked_for_by_state_is_what_is_shown_in_it,
            answers::an_answer_is_what_was_given,
            answers::an_answer_is_there_with_its_entry_or_not_at_all,
            answers::a_sweep_forgets_what_has_expired_and_nothing_else,
            answers::a_sweep_takes_so_many_the_oldest_first,
            identity::text_survives,
            identity::names_are_compared_byte_for_byte,
            identity::instants_are_exact,
            identity::neighbouring_digests_are_different,
            subjects::what_is_said_of_a_subject_is_kept_as_it_was_said,
            subjects::standings_are_answered_in_the_order_asked,
            subjects::a_token_is_found_with_what_is_said_of_its_subject,
            subjects::a_subject_is_guarded_by_its_last_change,
            subjects::tokens_that_count_are_those_that_can_be_used,
            subjects::there_are_no_more_tokens_than_there_is_room_for,
            subjects::the_newest_token_is_told_by_its_id,
            subjects::a_namespace_keeps_its_rules_and_its_not_before,
            access::a_record_is_read_as_it_was_kept,
            access::a_record_that_is_sent_again_is_there_once,
            access::a_walk_goes_from_newest_to_oldest_and_misses_none,
            access::a_walk_keeps_to_its_token_subject_and_time,
            access::what_is_forgotten_is_what_was_meant,
            access::so_many_records_are_forgotten_at_once,
            access::tending_forgets_nothing_young,
            access::the_journal_has_no_part_in_access_logs,
            usage::uses_add_up,
            usage::a_flush_is_added_once_however_often_it_is_sent,
            usage::recorders_that_see_the_same_tokens_lose_nothing,
            usage::what_is_erased_is_from_where_and_nothing_else,
            usage::since_when_uses_are_recorded_is_said_once,
            roll::who_joins_has_acknowledged_nothing,
            roll::an_id_joins_once,
            roll::a_renewal_is_heard_and_answers_with_the_head,
            roll::a_member_is_removed_only_as_it_was_seen,
            roll::who_was_removed_is_told_and_joins_as_another,
            roll::the_roll_leaves_the_journal_alone,
            roll::the_news_are_the_journal,
            budgets::what_servers_take_adds_up,
            budgets::a_report_that_comes_again_counts_once,
            budgets::who_only_asks_takes_nothing,
            budgets::reports_that_cross_all_count,
            budgets::budgets_that_are_whole_are_swept_and_made_anew,
            budgets::a_sweep_of_budgets_takes_so_many,
            webhooks::an_endpoint_is_what_was_written,
            webhooks::a_namespace_is_believed_whatever_becomes_of_its_endpoints,
            webhooks::an_endpoint_is_guarded_by_its_last_change,
            webhooks::a_namespace_has_room_for_so_many_endpoints,
            webhooks::a_rotation_keeps_the_secret_before_and_no_older_one,
            webhooks::an_endpoint_moves_from_where_it_is_by_whoever_has_the_duty,
            webhooks::deliveries_are_listed_newest_first_and_swept,
            webhooks::what_is_deleted_leaves_nothing_behind,
            webhooks::one_has_a_duty_until_it_ends_or_is_left,
            history::a_search_finds_what_is_wanted_page_by_page_and_no_more,
            history::a_search_that_finds_little_comes_back_before_it_has_read_all,
            history::the_entries_of_a_subject_are_those_of_its_tokens_too_however_many,
            history::the_entry_before_is_of_the_namespace_itself,
            history::which_requests_were_written_is_told_of_each,
            evidence::refused_calls_are_read_as_they_were_kept,
            evidence::a_sweep_lets_the_oldest_refused_calls_go,
            evidence::the_first_checkpoint_of_a_revision_stands,
            evidence::no_more_checkpoints_are_kept_than_told,
        }
    };
}

/// One test a law, in the module of a store.
macro_rules! stamp {
    ($open:path; $($subject:ident::$law:ident,)*) => {
        const LAWS: &[&str] = &[$(stringify!($law)),*];

        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $law() -> super::Law {
                if SKIPPED.contains(&stringify!($law)) {
                    return Ok(());
                }
                let (store, _kept_until_the_end) = $open().await?;
                super::found_notes(&store).await?;
                super::$subject::$law(store).await
            }
        )*

        #[test]
        fn only_laws_are_skipped() {
            for law in SKIPPED {
                assert!(LAWS.contains(law) && !WHY.is_empty(), "{law}");
            }
        }
    };
}

macro_rules! store_laws {
    ($($store:ident => $open:path $(, skip $($law:ident)*: $reason:literal)?;)*) => {
        $(
            mod $store {
                const SKIPPED: &[&str] = &[$($(stringify!($law)),*)?];
                const WHY: &str = concat!($($reason)?);

                every_law!($open);
            }
        )*
    };
}

store_laws! {
    memory => super::in_memory;
    sqlite => super::in_sqlite, skip
        who_joins_has_acknowledged_nothing an_id_joins_once a_renewal_is_heard_and_answers_with_the_head
        a_member_is_removed_only_as_it_was_seen who_was_removed_is_told_and_joins_as_another
        the_roll_leaves_the_journal_alone the_news_are_the_journal what_servers_take_adds_up
        a_report_that_comes_again_counts_once who_only_asks_takes_nothing reports_that_cross_all_count
        budgets_that_are_whole_are_swept_and_made_anew a_sweep_of_budgets_takes_so_many: "one process owns the file, so there is no roll";
    postgres => super::in_postgres;
    postgres_without_notify => super::in_postgres_without_notify;
    spawned => super::in_a_task;
}

/// A store, and what must outlive it.
type Opened = (Arc<dyn Store>, Kept);

/// What a store lies in: gone when the test ends.
#[expect(dead_code, reason = "kept for its end")]
enum Kept {
    Nothing,
    Folder(TempDir),
    Database(Database),
}

fn in_memory() -> Ready<Answer<Opened>> {
    ready(Ok((Arc::new(MemoryStore::new(EPOCH).shared()), Kept::Nothing)))
}

async fn in_sqlite() -> Answer<Opened> {
    let folder = TempDir::new()?;
    let store = SqliteStore::open(&folder.path().join("store.db"), EPOCH, pepper(7).row_key()).await?;
    Ok((Arc::new(store), Kept::Folder(folder)))
}

async fn in_postgres() -> Answer<Opened> {
    let database = Database::new().await?;
    in_database(database.url.parse()?, database).await
}

async fn in_postgres_without_notify() -> Answer<Opened> {
    let database = Database::new().await?;
    let options: PostgresOptions = database.url.parse()?;
    in_database(options.without_notifications(), database).await
}

async fn in_database(options: PostgresOptions, database: Database) -> Answer<Opened> {
    migrate(&options, EPOCH).await?;
    let store = PostgresStore::open(&options, pepper(7).row_key()).await?;
    Ok((Arc::new(store), Kept::Database(database)))
}

async fn in_a_task() -> Answer<Opened> {
    let (store, kept) = in_memory().await?;
    Ok((Arc::new(Spawned::new(store, Handle::current())), kept))
}
