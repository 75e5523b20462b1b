//! Two tries that are under way at once are one request.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_request_sent_twice_at_once_has_one_answer() -> Answer<()> {
    let scene = Scene::start().await?;
    let id = scene.issue().await?.record.token.id;
    for rotates in [false, true] {
        let ask = request();
        let gates = [Gate::default(), Gate::default()];
        for (n, gate) in (1..).zip(&gates) {
            scene.faulty.nth(
                n,
                Call::EntryOfRequest,
                crate::store::faulty::Fault::Held(gate.clone()),
            );
        }
        let trying = [(); 2].map(|()| {
            let (authority, ask) = (Arc::clone(&scene.authority), ask.clone());
            tokio::spawn(async move {
                if rotates {
                    authority.rotate(&ask, id, overlap_of(HOUR)).await
                } else {
                    authority.issue(&ask, laptop()).await
                }
            })
        });
        // Neither knows of the other when it decides.
        for gate in &gates {
            gate.arrived().await;
        }
        gates.iter().for_each(Gate::open);
        let [one, other] = trying;
        assert_eq!(shown(one.await??), shown(other.await??), "rotates: {rotates}");
    }
    assert_eq!(scene.journal().await?.len(), 4);
    Ok(())
}

/// The second try reads what the first has done, and would refuse, or do nothing, on the strength of it.
#[tokio::test(start_paused = true)]
async fn a_request_is_not_refused_for_what_it_did_itself() -> Answer<()> {
    let scene = Scene::start().await?;
    let token = scene.issue().await?.record.token;
    let (creating, updating, rotating, revoking) = (request(), request(), request(), request());
    let Namespace {
        slug: tasks,
        display_name,
        format,
        ..
    } = notes_like("tasks");
    let etag = scene.authority.namespace(slug("notes")).await?.etag();

    let authority = Arc::clone(&scene.authority);
    let create = |ask: Ask| {
        let (authority, tasks) = (Arc::clone(&authority), tasks.clone());
        let (display_name, format) = (display_name.clone(), format.clone());
        async move {
            authority
                .create_namespace(&ask, tasks, display_name, format, Policy::default())
                .await
        }
    };
    let gate = scene.faulty.hold(Call::EntryOfRequest);
    let second = tokio::spawn(create(creating.clone()));
    gate.arrived().await;
    let first = create(creating).await?;
    gate.open();
    assert_eq!(second.await??.cursor, first.cursor);

    let update = |ask: Ask| {
        let (authority, etag) = (Arc::clone(&authority), etag.clone());
        async move {
            authority
                .update_namespace(&ask, slug("notes"), Some(etag), Some(name("N")), None)
                .await
        }
    };
    let gate = scene.faulty.hold(Call::EntryOfRequest);
    let second = tokio::spawn(update(updating.clone()));
    gate.arrived().await;
    let first = update(updating).await?;
    gate.open();
    assert_eq!(second.await??.cursor, first.cursor);

    let gate = scene.faulty.hold(Call::EntryOfRequest);
    let again = (Arc::clone(&authority), rotating.clone(), token.id);
    let second = tokio::spawn(async move { again.0.rotate(&again.1, again.2, overlap_of(HOUR)).await });
    gate.arrived().await;
    let first = shown(authority.rotate(&rotating, token.id, overlap_of(HOUR)).await?);
    let gate_of_revocation = scene.faulty.hold(Call::EntryOfRequest);
    let other = (Arc::clone(&authority), revoking.clone(), token.id);
    let contrary = tokio::spawn(async move { other.0.revoke(&other.1, other.2, reason("found")).await });
    gate_of_revocation.arrived().await;
    authority.revoke(&revoking, token.id, reason("lost")).await?;
    gate.open();
    gate_of_revocation.open();
    assert_eq!(shown(second.await??), first);
    let contrary = contrary.await?;
    assert!(
        matches!(contrary, Err(AuthorityError::RequestIdReused)),
        "{contrary:?}"
    );
    let withdrawn = authority.token(&request().caller, token.id).await?.revocation;
    assert_eq!(
        withdrawn.map(|withdrawal| withdrawal.reason),
        Some(reason("lost"))
    );
    Ok(())
}
