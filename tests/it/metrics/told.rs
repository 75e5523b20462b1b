//! All that a server tells of itself, by name and value.

use tokenward::serve::Running;

use super::{ask, embedded};
use crate::server::{Client, Outcome, hex, stop};

/// What a server tells of itself that has made one namespace. Nobody can change anything behind an embedded store: there
/// is no lease.
const AT_FIRST: [&str; 59] = [
    "tokenward_judging 1",
    "tokenward_not_judging{reason=\"lease_lost\"} 0",
    "tokenward_not_judging{reason=\"store_forked\"} 0",
    "tokenward_not_judging{reason=\"store_corrupt\"} 0",
    "tokenward_not_judging{reason=\"ended\"} 0",
    "tokenward_applied_revision 3",
    "tokenward_connections 1",
    "tokenward_cached_tokens 1",
    "tokenward_connections_turned_away_total 0",
    "tokenward_connections_cut_total 0",
    "tokenward_calls_total 1",
    "tokenward_calls_cancelled_total 0",
    "tokenward_cache_hits_total 0",
    "tokenward_look_ups_total 1",
    "tokenward_look_up_queries_total 1",
    "tokenward_look_ups_refused_total 0",
    // Of the one that called.
    "tokenward_verdicts_total{verdict=\"accepted\"} 1",
    "tokenward_verdicts_total{verdict=\"malformed\"} 0",
    "tokenward_verdicts_total{verdict=\"unknown\"} 0",
    "tokenward_verdicts_total{verdict=\"expired\"} 0",
    "tokenward_verdicts_total{verdict=\"revoked\"} 0",
    "tokenward_verdicts_total{verdict=\"suspended\"} 0",
    "tokenward_verdicts_total{verdict=\"insufficient_scope\"} 0",
    "tokenward_verdicts_total{verdict=\"wrong_namespace\"} 0",
    "tokenward_verdicts_total{verdict=\"secret_retired\"} 0",
    "tokenward_verdicts_total{verdict=\"address_not_allowed\"} 0",
    "tokenward_verdicts_total{verdict=\"rate_limited\"} 0",
    // The namespace of credentials and the first of them, in one each.
    "tokenward_commits_total 3",
    "tokenward_commit_changes_total 3",
    "tokenward_changes_waiting 0",
    "tokenward_oldest_unacknowledged_change_seconds 0.0",
    "tokenward_watchers 0",
    "tokenward_watcher_lag_revisions 0",
    "tokenward_access_records_pending 0",
    "tokenward_access_records_written_total 0",
    "tokenward_access_records_dropped_total 0",
    "tokenward_access_calls_refused_total 0",
    "tokenward_access_write_failures_total 0",
    "tokenward_rate_limited_total{holder=\"token\"} 0",
    "tokenward_rate_limited_total{holder=\"subject\"} 0",
    "tokenward_rate_limit_budgets 0",
    "tokenward_webhook_attempts_total{outcome=\"delivered\"} 0",
    "tokenward_webhook_attempts_total{outcome=\"refused\"} 0",
    "tokenward_webhook_attempts_total{outcome=\"too_slow\"} 0",
    "tokenward_webhook_attempts_total{outcome=\"out_of_reach\"} 0",
    "tokenward_webhook_attempts_total{outcome=\"failed\"} 0",
    "tokenward_webhook_endpoints{state=\"active\"} 0",
    "tokenward_webhook_endpoints{state=\"paused\"} 0",
    "tokenward_webhook_lag_revisions 0",
    "tokenward_webhook_oldest_undelivered_seconds 0.0",
    "tokenward_lifecycle_told_total{matter=\"expiring\"} 0",
    "tokenward_lifecycle_told_total{matter=\"rotation_due\"} 0",
    "tokenward_lifecycle_told_total{matter=\"unused\"} 0",
    "tokenward_lifecycle_withdrawn_total{state=\"suspended\"} 0",
    "tokenward_lifecycle_withdrawn_total{state=\"revoked\"} 0",
    "tokenward_lifecycle_failures_total 0",
    "tokenward_refused_calls_total{outcome=\"recorded\"} 0",
    "tokenward_refused_calls_total{outcome=\"unrecorded\"} 0",
    "tokenward_refused_calls_total{outcome=\"unauthenticated\"} 0",
];

/// Whatever depends on when it is asked for, or on the machine; calls by method have a test of their own.
const MOVING: [&str; 5] = [
    "tokenward_build_info",
    "tokenward_rpc_",
    "tokenward_commit_seconds_total ",
    "tokenward_usage_",
    "tokenward_lifecycle_round_age_seconds ",
];

/// What it has a moment after its start, and tells more of itself then.
const DUTIES: [&str; 2] = ["tokenward_webhook_delivering 1", "tokenward_lifecycle_watching 1"];

#[tokio::test]
async fn a_server_tells_that_it_judges_and_how_far_it_has_come() -> Outcome {
    let server = Running::start(embedded())?;
    let mut client = Client::connect(server.address()).await?;
    client.create_namespace("notes", "kn_", hex(40)).await?;
    let (head, body) = loop {
        let (head, body) = ask(&server, "GET /metrics").await?;
        if DUTIES.iter().all(|duty| body.contains(duty)) {
            break (head, body);
        }
    };
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let form = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(head.lines().any(|line| line == form), "{head}");
    // Each request a connection of its own, so that nobody holds a place for long.
    assert!(head.lines().any(|line| line == "connection: close"), "{head}");
    let samples: Vec<_> = body.lines().filter(|line| !line.starts_with('#')).collect();
    let build = format!(
        "tokenward_build_info{{version=\"{}\"}} 1",
        env!("CARGO_PKG_VERSION")
    );
    assert!(samples.contains(&build.as_str()), "{body}");
    let names = samples.iter().filter_map(|line| line.split(' ').next());
    let usage: Vec<_> = names
        .filter(|name| name.starts_with("tokenward_usage_"))
        .collect();
    assert_eq!(
        usage,
        [
            "tokenward_usage_pending_tokens",
            "tokenward_usage_tokens_written_total",
            "tokenward_usage_dropped_total",
            "tokenward_usage_flush_failures_total",
            "tokenward_usage_flush_age_seconds",
        ]
    );
    let moves = |line: &&str| MOVING.iter().any(|name| line.starts_with(name)) || DUTIES.contains(line);
    let told: Vec<_> = samples.into_iter().filter(|line| !moves(line)).collect();
    assert_eq!(told, AT_FIRST);
    for family in body.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = family.split(' ').next().unwrap_or_default();
        assert!(body.contains(&format!("# HELP {name} ")), "{name}: {body}");
    }
    assert!(body.ends_with("# EOF\n"), "{body}");
    stop(server).await
}
