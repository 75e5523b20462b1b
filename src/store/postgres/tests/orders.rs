//! In every order a page is one stretch of one index, whatever the filter and whatever is known of the table.

use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::super::select::{BY_CREATE_TIME, BY_EXPIRE_TIME, BY_NAME, BY_NEVER, BY_SUBJECT, Statements};
use super::*;
use crate::token::Token;
use crate::token::samples::name;
use crate::token::text::Subject;

const TOKENS: u64 = 20_000;

/// Where each begins and ends: some hundred tokens, as a read of a large table has them.
const KEYS: [(&Statements, &str, &[&str], &[&str]); 5] = [
    (
        &BY_CREATE_TIME,
        "token_by_create_time",
        &["1800000000005000", "'00000000-0000-0000-0000-000000000000'"],
        &["1800000000030000", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
    ),
    (
        &BY_NAME,
        "token_by_name",
        &["'name 100'", "'00000000-0000-0000-0000-000000000000'"],
        &["'name 1020'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
    ),
    (
        &BY_EXPIRE_TIME,
        "token_by_expire_time",
        &["1800000000005000", "'00000000-0000-0000-0000-000000000000'"],
        &["1800000000080000", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
    ),
    (
        &BY_NEVER,
        "token_by_expire_time",
        &["'00000000-0000-0000-0000-000000000000'"],
        &["'01a3185c-5000-7000-8000-0000000005dc'"],
    ),
    (
        &BY_SUBJECT,
        "token_by_subject",
        &["'user:1'", "0", "'00000000-0000-0000-0000-000000000000'"],
        &[
            "'user:1'",
            "1900000000000000",
            "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        ],
    ),
];

const ALL_STATES: &str = "15";

/// `$2` to `$18`: nothing, everything, and what would tempt another index.
const FILTERS: [[&str; 17]; 4] = [
    [
        "1800000000000000",
        ALL_STATES,
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
    ],
    [
        "1800000000000000",
        "1",
        "'name'",
        "'1'",
        "'read'",
        "'user:7'",
        "'{\"team\": \"a\"}'",
        "1800000000005000",
        "1800000000006000",
        "1800000000005000",
        "1800000000006000",
        "'ffffffff-ffff-7fff-bfff-ffffffffffff'",
        "1800000000009000",
        "1800000000006000",
        "1800000000005000",
        "1800000000006000",
        "1800000000009000",
    ],
    [
        "1800000000000000",
        "2",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "1800000000005000",
        "1800000000005001",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
    ],
    [
        "1800000000000000",
        ALL_STATES,
        "NULL",
        "NULL",
        "NULL",
        "'user:7'",
        "NULL",
        "NULL",
        "NULL",
        "1800000000005000",
        "1800000000005001",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "NULL",
        "1800000000009000",
    ],
];

async fn plan(
    connection: &mut PgConnection,
    mode: &str,
    statement: &str,
    arguments: &[&str],
) -> Result<String, sqlx::Error> {
    // As the store's own sessions are.
    let script = format!(
        "SET enable_seqscan = off; SET enable_sort = off; SET plan_cache_mode = {mode}; DEALLOCATE ALL; PREPARE planned AS {statement}"
    );
    sqlx::raw_sql(AssertSqlSafe(script))
        .execute(&mut *connection)
        .await?;
    let execute = format!("EXPLAIN EXECUTE planned ({})", arguments.join(", "));
    let rows = sqlx::raw_sql(AssertSqlSafe(execute))
        .fetch_all(connection)
        .await?;
    let lines: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
    Ok(lines?.join("\n"))
}

/// The index is walked from the one key to the other, and nothing is sorted.
fn check(plan: &str, index: &str, what: &str) {
    let scans: Vec<_> = plan.lines().filter(|line| line.contains(" on token ")).collect();
    let by_index = scans
        .iter()
        .filter(|line| line.contains(&format!(" using {index} ")));
    assert_eq!(by_index.count(), 1, "{what}: {plan}");
    for walk in ["Seq Scan on token", "Bitmap Heap Scan on token", "Sort  ("] {
        assert!(!plan.contains(walk), "{what}: {plan}");
    }
    let bounds = plan
        .lines()
        .find(|line| line.contains("Index Cond") && line.contains("namespace"));
    let bounds = bounds.unwrap_or_default();
    assert!(bounds.matches(" AND ").count() >= 2, "{what}: {plan}");
}

#[tokio::test]
async fn each_order_goes_by_its_index_whatever_the_filter() -> Tested {
    let database = Database::new().await?;
    let store = with_notes(&database).await?;
    let numbers: Vec<u64> = (0..TOKENS).collect();
    for some in numbers.chunks(1000) {
        let tokens = some.iter().map(|n| {
            let at = i64::try_from(*n).unwrap_or_default() * 50;
            issue(Token {
                name: name(&format!("name {n}")),
                subject: Subject::try_from(format!("user:{}", n % 97)).unwrap(),
                create_time: instant(at),
                expire_time: (n % 3 == 0).then(|| instant(at)),
                ..token(*n)
            })
        });
        store.commit(tokens.collect()).await?;
    }
    meddle(&database, "ANALYZE").await?;
    let mut connection = database.connect().await?;
    for (path, index, near, far) in KEYS {
        for mode in ["force_generic_plan", "force_custom_plan"] {
            for (direction, (stop, page)) in path.stop.into_iter().zip(path.page).enumerate() {
                let (near, far) = if direction == 0 { (near, far) } else { (far, near) };
                let keys = [near, far].concat();
                let what = format!("{index}, {direction}, {mode}");
                let arguments = [&["'notes'", "500"][..], &keys].concat();
                check(
                    &plan(&mut connection, mode, stop, &arguments).await?,
                    index,
                    &what,
                );
                for filter in FILTERS {
                    let filtered = [&["'notes'"][..], &filter, &keys].concat();
                    let arguments = [&filtered[..], &["51"]].concat();
                    let plan_of_page = plan(&mut connection, mode, page, &arguments).await?;
                    check(&plan_of_page, index, &what);
                    // Where all states are asked for, and that is known, no subject is.
                    let asks = mode == "force_generic_plan" || filter[1] != ALL_STATES;
                    let asked = plan_of_page.contains(" using subject_pkey on subject");
                    assert_eq!(asked, asks, "{what}: {plan_of_page}");
                    if direction == 0 {
                        let plan = plan(&mut connection, mode, path.count, &filtered).await?;
                        // No order is asked for, so another index may do; not without bounds.
                        let bounded = plan.contains("Index Cond") && !plan.contains("Seq Scan on token");
                        assert!(bounded, "{what}: {plan}");
                    }
                }
            }
        }
    }
    Ok(())
}
