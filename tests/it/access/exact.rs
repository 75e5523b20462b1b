//! As fast as calls come, and whatever becomes of the store: what is missing is said, or nothing is.

use tokio::task::JoinSet;
use tonic_types::StatusExt;

use super::*;
use crate::metrics::scrape;

const CALLERS: usize = 4;
const BATCH: usize = 100;
/// Of each caller: more than there is room for, and then some more.
const BATCHES: [usize; 2] = [90, 20];
const CALLS: usize = CALLERS * (BATCHES[0] + BATCHES[1]) * BATCH;
/// What a server gathers for each of the two ways to be full.
const ROOM: usize = 32_768;

/// Calls as fast as they are answered; how many were judged. Those that are not are refused for want of room.
async fn call_much(scene: &Scene, secret: &str, batches: usize) -> Fallible<usize> {
    let request = v1::VerifyRequest {
        secret: secret.to_owned(),
        ..Default::default()
    };
    let batch = v1::BatchVerifyRequest {
        requests: vec![request; BATCH],
    };
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (mut client, batch) = (scene.client.clone(), batch.clone());
        callers.spawn(async move {
            let mut judged = 0;
            for _ in 0..batches {
                match client.verification.batch_verify(batch.clone()).await {
                    Ok(answer) => judged += answer.into_inner().responses.len(),
                    Err(status) => {
                        refused_for_want_of_room(&status);
                    }
                }
            }
            judged
        });
    }
    Ok(callers.join_all().await.into_iter().sum())
}

/// Nothing was judged, and a retry may be.
fn refused_for_want_of_room(status: &Status) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let details = status.get_error_details();
    let info = details.error_info();
    let namespace = info.and_then(|info| info.metadata.get("namespace"));
    assert_eq!(namespace.map(String::as_str), Some("notes"));
    assert_eq!(info.map(|info| info.reason.as_str()), Some("ACCESS_LOG_FULL"));
    let retry = details.retry_info().and_then(|info| info.retry_delay);
    assert!(retry.is_some(), "{status:?}");
}

async fn count(client: &mut Client) -> Fallible<usize> {
    let request = v1::ListAccessRequest {
        page_size: 1000,
        ..in_notes()
    };
    Ok(listed(client, request).await?.0.len())
}

/// Records that the metrics of this server say are missing.
async fn dropped(server: &Running) -> Fallible<usize> {
    let samples = scrape(server).await.map_err(|error| error.to_string())?;
    let dropped = samples
        .iter()
        .find_map(|sample| sample.strip_prefix("tokenward_access_records_dropped_total "));
    Ok(dropped.ok_or("it is not told")?.parse()?)
}

/// A store that takes no records for a while; then it does, and the server ends.
async fn at_full_load(place: Place, full: AccessLogFull) -> Fallible<(usize, usize, usize)> {
    let mut options = place.options()?;
    options.metrics_listen = Some(([127, 0, 0, 1], 0).into());
    let server = Running::start(options)?;
    let client = Client::connect(server.address()).await?;
    let mut scene = Scene {
        server,
        client,
        place,
    };
    create(&mut scene.client, "notes", "kn_", policy(AccessLog::All, full)).await?;
    let (_, secret) = issue(&mut scene.client, "ada").await?;
    scene
        .place
        .execute("ALTER TABLE access_record RENAME TO away")
        .await?;
    let mut judged = call_much(&scene, &secret, BATCHES[0]).await?;
    assert!(judged >= ROOM - BATCH * CALLERS, "{judged}");
    scene
        .place
        .execute("ALTER TABLE away RENAME TO access_record")
        .await?;
    judged += call_much(&scene, &secret, BATCHES[1]).await?;
    let dropped = dropped(&scene.server).await?;
    // What is not written by now is when it ends.
    let place = scene.stop().await?;
    let mut scene = Scene::start(place).await?;
    let kept = count(&mut scene.client).await?;
    scene.stop().await?;
    Ok((judged, kept, dropped))
}

async fn under_refuse_each_judged_call_is_on_record(place: Place) -> Outcome {
    let (judged, kept, dropped) = at_full_load(place, AccessLogFull::Refuse).await?;
    assert!(judged < CALLS, "some were refused");
    assert_eq!((kept, dropped), (judged, 0));
    Ok(())
}

async fn under_drop_it_is_exact_how_many_are_missing(place: Place) -> Outcome {
    let (judged, kept, dropped) = at_full_load(place, AccessLogFull::Drop).await?;
    assert_eq!(judged, CALLS, "none was refused");
    assert!(dropped > 0);
    assert_eq!(kept, judged - dropped);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_refuse_each_judged_call_is_on_record_on_sqlite() -> Outcome {
    under_refuse_each_judged_call_is_on_record(Place::sqlite()?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_refuse_each_judged_call_is_on_record_on_postgres() -> Outcome {
    under_refuse_each_judged_call_is_on_record(Place::postgres().await?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_drop_it_is_exact_how_many_are_missing_on_sqlite() -> Outcome {
    under_drop_it_is_exact_how_many_are_missing(Place::sqlite()?).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_drop_it_is_exact_how_many_are_missing_on_postgres() -> Outcome {
    under_drop_it_is_exact_how_many_are_missing(Place::postgres().await?).await
}
