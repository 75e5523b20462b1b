//! Every statement is one that SQLite takes, and none of them walks a table that grows.

use sqlx::{AssertSqlSafe, Executor, Row, SqlSafeStr};

use super::super::{access, commit, evidence, history, read, select, snapshot, subjects, usage, webhooks};
use super::*;

const STATEMENTS: [&str; 88] = [
    commit::PUT_PEPPER,
    commit::BEGIN_JOURNAL,
    commit::NEW_EPOCH,
    commit::REPEATED,
    commit::VERSIONS,
    commit::NEWEST_NAMESPACE,
    commit::INSERT_TOKENS,
    commit::UPDATE_TOKENS,
    commit::DELETE_SECRETS,
    commit::INSERT_SECRETS,
    commit::PUT_NAMESPACE,
    commit::INSERT_ENTRIES,
    commit::INSERT_ANSWERS,
    commit::MOVE_HEAD,
    commit::TRIM,
    commit::SWEEP_ANSWERS,
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
    usage::LAST_USES,
    usage::PUT_USAGES,
    usage::SINCE,
    usage::BEGIN_RECORDING,
    usage::END_RECORDING,
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
    webhooks::PUT_DELIVERIES,
    webhooks::DELIVERIES,
    webhooks::SWEEP_DELIVERIES,
    webhooks::TAKE_DUTY,
    webhooks::LEAVE_DUTY,
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
    evidence::KEEP_CHECKPOINT,
    evidence::CHECKPOINTS,
    evidence::SWEEP_REFUSED_CALLS,
    access::KEEP_ACCESS,
    access::ACCESS_OF_NAMESPACE,
    access::ACCESS_OF_TOKEN,
    access::ACCESS_OF_SUBJECT,
    access::ERASE_OF_NAMESPACE,
    access::ERASE_OF_TOKEN,
    access::ERASE_OF_SUBJECT,
];

/// An audit reads all there is, and so does whoever retires a pepper: these may walk.
const OF_AN_AUDIT: [&str; 9] = [
    snapshot::ROWS,
    snapshot::TOKEN_IDS,
    snapshot::LOST_TOKEN,
    snapshot::SECRETS_UNDER,
    snapshot::STANDINGS_UNCHECKED,
    snapshot::ENTRIES_OF_SUBJECT,
    snapshot::LOST_SUBJECT,
    snapshot::ENDPOINTS_UNCHECKED,
    evidence::SWEEP_CHECKPOINTS,
];

/// The last entry of a token is one step into the index, however many it has.
const NEWEST: &str = "SEARCH journal USING COVERING INDEX journal_by_token (token_id=?)";

const NEWEST_OF_SUBJECT: &str =
    "SEARCH journal USING COVERING INDEX journal_of_subjects (namespace=? AND subject=?)";

const SUBJECT: &str = "SEARCH subject USING PRIMARY KEY (namespace=? AND subject=?) LEFT-JOIN";

/// The steps of the plan SQLite makes for `statement`.
async fn plan(store: &SqliteStore, statement: &str) -> Result<Vec<String>, sqlx::Error> {
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let rows = sqlx::query(explain).fetch_all(&store.writer).await?;
    rows.iter().map(|row| row.try_get("detail")).collect()
}

#[test]
fn no_statement_is_left_out() {
    let written = [
        include_str!("../access.rs"),
        include_str!("../commit.rs"),
        include_str!("../evidence.rs"),
        include_str!("../history.rs"),
        include_str!("../read.rs"),
        include_str!("../select.rs"),
        include_str!("../snapshot.rs"),
        include_str!("../subjects.rs"),
        include_str!("../usage.rs"),
        include_str!("../webhooks.rs"),
    ];
    let count: usize = written
        .iter()
        .map(|source| source.matches(": &str =").count())
        .sum();
    assert_eq!(count, STATEMENTS.len() + OF_AN_AUDIT.len());
}

#[tokio::test]
async fn every_statement_can_be_prepared() -> Tested {
    let folder = TempDir::new()?;
    let store = open(&folder).await?;
    for statement in STATEMENTS
        .into_iter()
        .chain(OF_AN_AUDIT)
        .chain(select::statements())
    {
        let prepared = (&store.writer).prepare(statement.into_sql_str()).await;
        assert!(prepared.is_ok(), "{statement}: {prepared:?}");
    }
    Ok(())
}

#[tokio::test]
async fn no_statement_walks_a_table_that_grows() -> Tested {
    let folder = TempDir::new()?;
    let store = open(&folder).await?;
    for statement in STATEMENTS.into_iter().chain(select::statements()) {
        let plan = plan(&store, statement).await?;
        for step in &plan {
            let walks = [
                "token",
                "token_record",
                "secret",
                "journal",
                "answer",
                "subject",
                "subject_record",
                "token_usage",
                "access_record",
            ]
            .iter()
            .any(|table| step.split(' ').take(2).eq(["SCAN", table]));
            // What was asked, and the few secrets of one token, may be sorted; a page never.
            let pages = statement.contains("LIMIT") && statement != read::LOOK_UP;
            let sorts_a_page = pages && step == "USE TEMP B-TREE FOR ORDER BY";
            assert!(!walks && !sorts_a_page, "{statement}: {plan:#?}");
        }
    }
    Ok(())
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a line or more for each read")]
async fn each_read_goes_by_its_index() -> Tested {
    let folder = TempDir::new()?;
    let store = open(&folder).await?;
    for (statement, step) in [
        (read::TOKEN, "SEARCH token USING PRIMARY KEY (id=?)"),
        (
            read::LOOK_UP,
            "SEARCH secret USING PRIMARY KEY (digest=?) LEFT-JOIN",
        ),
        (read::LOOK_UP, "SEARCH token USING PRIMARY KEY (id=?) LEFT-JOIN"),
        (read::NAMED, "SEARCH token USING PRIMARY KEY (id=?)"),
        (read::TOKEN, NEWEST),
        (read::LOOK_UP, "SEARCH secret USING INDEX secret_to_try (hint=?)"),
        (read::LOOK_UP, NEWEST),
        (read::NAMED, NEWEST),
        (read::NAMED, SUBJECT),
        (read::NAMED, NEWEST_OF_SUBJECT),
        (select::BY_NAME.page[0], NEWEST),
        (select::BY_NAME.page[0], SUBJECT),
        (select::BY_NAME.count, SUBJECT),
        (
            read::DIRECTORY,
            "SEARCH journal USING INDEX journal_of_namespaces (namespace=?)",
        ),
        (
            read::ENTRIES,
            "SEARCH journal USING INTEGER PRIMARY KEY (rowid>?)",
        ),
        (
            read::ENTRIES_OF_TOKEN,
            "SEARCH journal USING INDEX journal_by_token (token_id=? AND revision>?)",
        ),
        (
            read::ENTRIES_OF_NAMESPACE,
            "SEARCH journal USING INDEX journal_by_namespace (namespace=? AND revision>?)",
        ),
        (
            read::ENTRY_OF_REQUEST,
            "SEARCH journal USING INDEX sqlite_autoindex_journal_1 (request_id=?)",
        ),
        (
            access::ACCESS_OF_NAMESPACE,
            "SEARCH access_record USING PRIMARY KEY (namespace=? AND time>? AND (time,id)<(?,?))",
        ),
        (
            access::ACCESS_OF_TOKEN,
            "SEARCH access_record USING INDEX access_by_token (token_id=? AND time>? AND (time,id)<(?,?))",
        ),
        (
            access::ACCESS_OF_SUBJECT,
            "SEARCH access_record USING INDEX access_by_subject (namespace=? AND subject=? AND time>? AND (time,id)<(?,?))",
        ),
        (
            access::ERASE_OF_NAMESPACE,
            "SEARCH access_record USING PRIMARY KEY (namespace=? AND time<?)",
        ),
        (
            access::ERASE_OF_TOKEN,
            "SEARCH access_record USING COVERING INDEX access_by_token (token_id=? AND time<?)",
        ),
        (
            access::ERASE_OF_SUBJECT,
            "SEARCH access_record USING COVERING INDEX access_by_subject (namespace=? AND subject=? AND time<?)",
        ),
        (commit::VERSIONS, "SEARCH token USING PRIMARY KEY (id=?)"),
        (commit::UPDATE_TOKENS, "SEARCH token USING PRIMARY KEY (id=?)"),
        (
            commit::DELETE_SECRETS,
            "SEARCH secret USING INDEX secret_by_token (token_id=?)",
        ),
        (read::ANSWER, "SEARCH answer USING INTEGER PRIMARY KEY (rowid=?)"),
        (
            commit::SWEEP_ANSWERS,
            "SEARCH answer USING COVERING INDEX answer_by_expiry (expire_time<?)",
        ),
        (
            commit::SWEEP_ANSWERS,
            "SEARCH answer USING INTEGER PRIMARY KEY (rowid=?)",
        ),
        (read::LOOK_UP, SUBJECT),
        (read::LOOK_UP, NEWEST_OF_SUBJECT),
        (subjects::STANDINGS, NEWEST_OF_SUBJECT),
        (subjects::SUBJECTS, NEWEST_OF_SUBJECT),
        (
            subjects::SUBJECTS,
            "SEARCH subject USING PRIMARY KEY (namespace=? AND subject>?)",
        ),
        (
            subjects::COUNTS,
            "SEARCH token USING INDEX token_by_subject (namespace=? AND subject=? AND create_time>?)",
        ),
        (
            subjects::NEWEST_TOKEN_OF_SUBJECT,
            "SEARCH token USING COVERING INDEX token_by_subject (namespace=? AND subject=?)",
        ),
        (
            subjects::NEWEST_TOKEN,
            "SEARCH token USING COVERING INDEX token_by_create_time (namespace=?)",
        ),
        (usage::USAGES, "SEARCH token_usage USING PRIMARY KEY (token_id=?)"),
        (
            usage::LAST_USES,
            "SEARCH token_usage USING PRIMARY KEY (token_id=?)",
        ),
        (
            select::BY_CREATE_TIME.page[0],
            "SEARCH token_usage USING PRIMARY KEY (token_id=?)",
        ),
        (commit::TRIM, "SEARCH journal USING INTEGER PRIMARY KEY (rowid<?)"),
        (
            history::NEXT_OF_ACTOR,
            "SEARCH journal USING COVERING INDEX journal_by_actor (actor=? AND revision>?)",
        ),
        (
            history::NEXT_IN_TIME,
            "SEARCH journal USING COVERING INDEX journal_by_time (time>? AND time<?)",
        ),
        (
            history::NEXT_OF_NAMESPACE,
            "SEARCH journal USING COVERING INDEX journal_by_namespace (namespace=? AND revision>?)",
        ),
        (
            history::NEXT_OF_TOKEN,
            "SEARCH journal USING COVERING INDEX journal_by_token (token_id=? AND revision>?)",
        ),
        (
            history::NEXT_OF_SUBJECT,
            "SEARCH journal USING COVERING INDEX journal_by_token (token_id=? AND revision>?)",
        ),
        (
            history::NEXT_OF_SUBJECT,
            "SEARCH journal USING COVERING INDEX journal_of_subjects (namespace=? AND subject=? AND revision>?)",
        ),
        (
            history::TOKENS_OF_SUBJECT,
            "SEARCH token USING COVERING INDEX token_by_subject (namespace=? AND subject=?)",
        ),
        (
            history::MATCHING,
            "SEARCH journal USING INTEGER PRIMARY KEY (rowid=?)",
        ),
        (
            history::NAMESPACE_ENTRY_BEFORE,
            "SEARCH journal USING INDEX journal_of_namespaces (namespace=? AND revision<?)",
        ),
        (
            history::WRITTEN,
            "SEARCH journal USING COVERING INDEX sqlite_autoindex_journal_1 (request_id=?)",
        ),
        (
            evidence::REFUSED_CALLS,
            "SEARCH refused_call USING INTEGER PRIMARY KEY (rowid>?)",
        ),
        (
            evidence::CHECKPOINTS,
            "SEARCH checkpoint USING INTEGER PRIMARY KEY (rowid<?)",
        ),
    ] {
        let plan = plan(&store, statement).await?;
        assert!(plan.iter().any(|taken| taken == step), "{statement}: {plan:#?}");
    }
    Ok(())
}

/// In every order, forwards and backwards, it is one stretch of one index that is walked, from where the page before
/// ended.
#[tokio::test]
async fn each_order_goes_by_its_index() -> Tested {
    let folder = TempDir::new()?;
    let store = open(&folder).await?;
    for (path, index) in [
        (
            &select::BY_CREATE_TIME,
            "token_by_create_time (namespace=? AND (create_time,id)",
        ),
        (&select::BY_NAME, "token_by_name (namespace=? AND (name,id)"),
        (
            &select::BY_EXPIRE_TIME,
            "token_by_expire_time (namespace=? AND (expire_time,id)",
        ),
        (
            &select::BY_NEVER,
            "token_by_expire_time (namespace=? AND expire_time=? AND id",
        ),
        (
            &select::BY_SUBJECT,
            "token_by_subject (namespace=? AND (subject,create_time,id)",
        ),
    ] {
        let statements = path.stop.into_iter().chain(path.page).chain([path.count]);
        for statement in statements {
            let plan = plan(&store, statement).await?;
            let walked = plan.iter().filter(|step| step.contains("SEARCH token USING"));
            let goes_by = |step: &&String| step.contains(index) && step.contains('>') && step.contains('<');
            assert!(
                walked.clone().any(|step| goes_by(&step)),
                "{statement}: {plan:#?}"
            );
            let by_id = |step: &&String| step.contains("USING PRIMARY KEY (id=?)");
            assert!(
                walked.into_iter().all(|step| goes_by(&step) || by_id(&step)),
                "{statement}: {plan:#?}"
            );
        }
    }
    Ok(())
}
