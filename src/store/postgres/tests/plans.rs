//! Every statement is one that Postgres takes, and each that reads by key goes by its index.

use sqlx::{AssertSqlSafe, Executor, PgConnection, Row, SqlSafeStr};

use super::super::{
    access, commit, evidence, ground, history, lease, read, roll, rows, schema, select, snapshot, subjects,
    usage, webhooks,
};
use super::*;

const STATEMENTS: [&str; 112] = [
    commit::BEGIN,
    commit::PUT_PEPPER,
    commit::LOCK_NAMESPACES,
    commit::REPEATED,
    commit::VERSIONS,
    commit::NEWEST_NAMESPACE,
    commit::LOCK_HEAD,
    rows::INSERT_TOKENS,
    rows::UPDATE_TOKENS,
    commit::DELETE_SECRETS,
    rows::INSERT_SECRETS,
    commit::PUT_NAMESPACE,
    rows::INSERT_ENTRIES,
    rows::INSERT_ANSWERS,
    commit::MOVE_HEAD,
    commit::COMMIT,
    commit::ROLLBACK,
    commit::TRIM,
    commit::SWEEP_ANSWERS,
    ground::GROUND,
    read::PEPPERS,
    read::TOKEN,
    read::LOOK_UP,
    read::NAMED,
    read::DIRECTORY,
    read::ENTRIES,
    read::ENTRIES_OF_TOKEN,
    read::ENTRIES_OF_NAMESPACE,
    read::ENTRY_OF_REQUEST,
    read::ANSWER,
    read::HEAD,
    roll::JOIN,
    roll::RENEW,
    roll::MEMBERS,
    roll::REMOVE,
    budgets::REPORT,
    budgets::BUDGETS,
    budgets::SWEEP_BUDGETS,
    budgets::SWEEP_REPORTS,
    schema::TABLES,
    schema::BEGIN_JOURNAL,
    schema::NEW_EPOCH,
    listen::PING,
    subjects::LOCK_SUBJECTS,
    subjects::VERSIONS_OF_SUBJECTS,
    subjects::COUNTS,
    subjects::PUT_SUBJECT,
    subjects::STANDINGS,
    subjects::SUBJECTS,
    subjects::NEWEST_TOKEN,
    subjects::NEWEST_TOKEN_OF_SUBJECT,
    usage::SEQUENCE,
    usage::PUT_FLUSH,
    usage::FORGET_FLUSHES,
    usage::USAGES,
    usage::LOCK_USAGES,
    usage::LAST_USES,
    usage::INSERT_USAGES,
    usage::UPDATE_USAGES,
    usage::SINCE,
    usage::BEGIN_RECORDING,
    usage::END_RECORDING,
    webhooks::LOCK_ENDPOINTS,
    webhooks::VERSIONS_OF_ENDPOINTS,
    webhooks::COUNT_ENDPOINTS,
    webhooks::INSERT_ENDPOINT,
    webhooks::INSERT_CURSOR,
    webhooks::UPDATE_ENDPOINT,
    webhooks::DELETE_ENDPOINT,
    webhooks::DELETE_CURSOR,
    webhooks::DELETE_SIGNING,
    webhooks::DELETE_DELIVERIES,
    webhooks::INSERT_SIGNING,
    webhooks::ENDPOINT,
    webhooks::ENDPOINTS,
    webhooks::ENDPOINTS_OF_NAMESPACE,
    webhooks::SIGNING,
    webhooks::RESEAL,
    webhooks::PROGRESS,
    webhooks::ADVANCE,
    webhooks::DELIVERIES,
    webhooks::SWEEP_DELIVERIES,
    lease::TAKE_DUTY,
    lease::LEAVE_DUTY,
    history::NEXT,
    history::NEXT_OF_TOKEN,
    history::NEXT_OF_NAMESPACE,
    history::NEXT_OF_ACTOR,
    history::NEXT_IN_TIME,
    history::TOKENS_OF_SUBJECT,
    history::NEXT_OF_SUBJECT,
    history::MATCHING,
    history::ENTRIES_AT,
    history::NAMESPACE_ENTRY_BEFORE,
    history::WRITTEN,
    evidence::KEEP_REFUSED_CALLS,
    evidence::REFUSED_CALLS,
    evidence::SWEEP_REFUSED_CALLS,
    evidence::KEEP_CHECKPOINT,
    evidence::SWEEP_CHECKPOINTS,
    evidence::CHECKPOINTS,
    access::LOCK_PARTITIONS,
    access::PARTITIONS,
    access::KEEP_ACCESS,
    access::ACCESS_OF_NAMESPACE,
    access::ACCESS_OF_TOKEN,
    access::ACCESS_OF_SUBJECT,
    access::ERASE_OF_NAMESPACE,
    access::ERASE_OF_TOKEN,
    access::ERASE_OF_SUBJECT,
    snapshot::BEGIN_SNAPSHOT,
    snapshot::ROWS,
];

/// A page may be of several days.
const DAYS: &str = "
    CREATE TABLE access_record_d20000 PARTITION OF access_record FOR VALUES FROM (0) TO (10);
    CREATE TABLE access_record_d20001 PARTITION OF access_record FOR VALUES FROM (10) TO (20)";

/// Whoever retires a pepper reads all there is, once in a long while.
const WALKS: [&str; 1] = [schema::SECRETS_UNDER];

/// Statements that change nothing in a plan: they are not planned.
const UTILITIES: [&str; 7] = [
    webhooks::LOCK_ENDPOINTS,
    snapshot::BEGIN_SNAPSHOT,
    commit::BEGIN,
    commit::LOCK_NAMESPACES,
    subjects::LOCK_SUBJECTS,
    commit::COMMIT,
    commit::ROLLBACK,
];

#[test]
fn no_statement_is_left_out() -> Tested {
    let mut count = 0;
    for file in std::fs::read_dir("src/store/postgres")? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            let source = std::fs::read_to_string(&path)?;
            // Names are no statements.
            let names = source.matches("const CHANNEL: &str =").count();
            count += source.matches(": &str =").count() - names;
        }
    }
    assert_eq!(count, STATEMENTS.len() + WALKS.len());
    Ok(())
}

#[tokio::test]
async fn every_statement_can_be_prepared() -> Tested {
    let database = Database::new().await?;
    let mut connection = database.connect().await?;
    for statement in STATEMENTS.into_iter().chain(WALKS).chain(select::statements()) {
        let prepared = connection.prepare(statement.into_sql_str()).await;
        assert!(prepared.is_ok(), "{statement}: {prepared:?}");
    }
    Ok(())
}

/// The plan for any arguments, where a walk through a table is the last resort.
async fn plan(connection: &mut PgConnection, statement: &str) -> Result<String, sqlx::Error> {
    let highest = (1..=30).rev().find(|n| statement.contains(&format!("${n}")));
    let nulls = vec!["NULL"; highest.unwrap_or(0)].join(", ");
    let execute = match nulls.as_str() {
        "" => "EXPLAIN EXECUTE planned".to_owned(),
        nulls => format!("EXPLAIN EXECUTE planned ({nulls})"),
    };
    let script = format!(
        "SET enable_seqscan = off; SET enable_sort = off; SET plan_cache_mode = force_generic_plan; DEALLOCATE ALL; \
         PREPARE planned AS {statement}"
    );
    sqlx::raw_sql(AssertSqlSafe(script))
        .execute(&mut *connection)
        .await?;
    let rows = sqlx::raw_sql(AssertSqlSafe(execute))
        .fetch_all(connection)
        .await?;
    let lines: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
    Ok(lines?.join("\n"))
}

#[tokio::test]
async fn no_statement_walks_a_table_that_grows() -> Tested {
    let database = Database::new().await?;
    let mut connection = database.connect().await?;
    connection.execute(DAYS).await?;
    for statement in STATEMENTS.into_iter().chain(select::statements()) {
        if UTILITIES.contains(&statement) {
            continue;
        }
        let plan = plan(&mut connection, statement).await?;
        for table in [
            "token",
            "secret",
            "journal",
            "answer",
            "subject",
            "token_usage",
            "access_record_d20000",
        ] {
            for walk in [format!("Seq Scan on {table}\n"), format!("Seq Scan on {table} ")] {
                assert!(!format!("{plan}\n").contains(&walk), "{statement}: {plan}");
            }
        }
        // What was asked, and the few secrets of one token, may be sorted; a page never.
        let pages = statement.contains("LIMIT") && statement != read::LOOK_UP;
        let sorts_a_page = pages && plan.lines().any(|line| line.contains("Sort  ("));
        assert!(!sorts_a_page, "{statement}: {plan}");
    }
    Ok(())
}

#[tokio::test]
async fn each_read_goes_by_its_index() -> Tested {
    let database = Database::new().await?;
    let mut connection = database.connect().await?;
    connection.execute(DAYS).await?;
    for (statement, index) in [
        (read::TOKEN, "token_pkey"),
        (read::TOKEN, "secret_by_token"),
        (read::LOOK_UP, "secret_pkey"),
        (read::LOOK_UP, "secret_to_try"),
        (read::LOOK_UP, "token_pkey"),
        (read::TOKEN, "journal_by_token"),
        (read::LOOK_UP, "journal_by_token"),
        (read::NAMED, "token_pkey"),
        (read::NAMED, "subject_pkey"),
        (read::NAMED, "journal_of_subjects"),
        (select::BY_NAME.page[0], "journal_by_token"),
        (select::BY_NAME.page[0], "subject_pkey"),
        (select::BY_NAME.count, "subject_pkey"),
        (read::DIRECTORY, "journal_of_namespaces"),
        (read::ENTRIES, "journal_pkey"),
        (read::ENTRIES_OF_TOKEN, "journal_by_token"),
        (read::ENTRIES_OF_NAMESPACE, "journal_by_namespace"),
        (read::ENTRY_OF_REQUEST, "journal_request_id_key"),
        (read::HEAD, "journal_pkey"),
        (ground::GROUND, "journal_pkey"),
        (commit::REPEATED, "journal_request_id_key"),
        (commit::VERSIONS, "token_pkey"),
        (rows::UPDATE_TOKENS, "token_pkey"),
        (commit::DELETE_SECRETS, "secret_by_token"),
        (commit::TRIM, "journal_pkey"),
        (commit::SWEEP_ANSWERS, "answer_by_expiry"),
        (commit::SWEEP_ANSWERS, "answer_pkey"),
        (read::ANSWER, "answer_pkey"),
        (roll::RENEW, "member_pkey"),
        (budgets::BUDGETS, "budget_pkey"),
        (read::LOOK_UP, "subject_pkey"),
        (read::LOOK_UP, "journal_of_subjects"),
        (subjects::STANDINGS, "subject_pkey"),
        (subjects::STANDINGS, "journal_of_subjects"),
        (subjects::SUBJECTS, "subject_pkey"),
        (subjects::COUNTS, "token_by_subject"),
        (subjects::NEWEST_TOKEN, "token_by_create_time"),
        (history::NEXT_OF_ACTOR, "journal_by_actor"),
        (history::NEXT_IN_TIME, "journal_by_time"),
        (history::NEXT_OF_NAMESPACE, "journal_by_namespace"),
        (history::NEXT_OF_TOKEN, "journal_by_token"),
        (history::NEXT_OF_SUBJECT, "journal_by_token"),
        (history::NEXT_OF_SUBJECT, "journal_of_subjects"),
        (history::TOKENS_OF_SUBJECT, "token_by_subject"),
        (history::MATCHING, "journal_pkey"),
        (history::ENTRIES_AT, "journal_pkey"),
        (history::NAMESPACE_ENTRY_BEFORE, "journal_of_namespaces"),
        (history::WRITTEN, "journal_request_id_key"),
        (evidence::REFUSED_CALLS, "refused_call_pkey"),
        (evidence::CHECKPOINTS, "checkpoint_pkey"),
        (access::ACCESS_OF_NAMESPACE, "access_record_d20000_pkey"),
        (
            access::ACCESS_OF_TOKEN,
            "access_record_d20000_token_id_time_id_idx",
        ),
        (
            access::ACCESS_OF_SUBJECT,
            "access_record_d20000_namespace_subject_time_id_idx",
        ),
        (access::ERASE_OF_NAMESPACE, "access_record_d20000_pkey"),
        (
            access::ERASE_OF_TOKEN,
            "access_record_d20000_token_id_time_id_idx",
        ),
        (
            access::ERASE_OF_SUBJECT,
            "access_record_d20000_namespace_subject_time_id_idx",
        ),
    ] {
        // Of a table in parts none is looked at that cannot have anything; here that would be all of them.
        let of_a_part = statement.replace("access_record", "access_record_d20000");
        let plan = plan(&mut connection, &of_a_part).await?;
        assert!(
            plan.contains(&format!(" {index} ")),
            "{index}: {statement}: {plan}"
        );
    }
    Ok(())
}
