//! Namespaces that are created or changed at once: no two overlap, and nothing is overwritten unseen.

use tokio::task::JoinSet;

use super::*;
use crate::authority::samples::{Scene, ask, request};
use crate::store::faulty::{Call, Fault};
use crate::store::samples::Answer;
use crate::token::format::Body;
use crate::token::samples::{name, prefix, slug};

fn format(prefix_text: &str) -> Format {
    Format {
        prefix: prefix(prefix_text),
        body: Body::Native,
    }
}

type Race = JoinSet<Result<Changed<Namespace>, AuthorityError>>;

impl Scene {
    async fn create(
        &self,
        ask: &Ask,
        slug_text: &str,
        prefix_text: &str,
    ) -> Result<Changed<Namespace>, AuthorityError> {
        let (slug, name) = (slug(slug_text), name(slug_text));
        self.authority
            .create_namespace(ask, slug, name, format(prefix_text), Policy::default())
            .await
    }

    /// Creates these at once, and waits until each has been answered.
    async fn race(
        &self,
        namespaces: &[(&str, &str)],
    ) -> Answer<Vec<Result<Changed<Namespace>, AuthorityError>>> {
        let mut race = Race::new();
        for (slug_text, prefix_text) in namespaces {
            let authority = Arc::clone(&self.authority);
            let (slug, name, format) = (slug(slug_text), name(slug_text), format(prefix_text));
            race.spawn(async move {
                authority
                    .create_namespace(&ask(), slug, name, format, Policy::default())
                    .await
            });
        }
        Ok(race.join_all().await)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_those_whose_prefixes_overlap_one_is_created() -> Answer<()> {
    for _ in 0..10 {
        let scene = Scene::start().await?;
        let overlapping = [
            ("a", "ka_"),
            ("b", "ka_b_"),
            ("c", "ka_b_c_"),
            ("d", "ka_"),
            ("e", "ka_b_c_d_"),
        ];
        let mut created = 0;
        for answer in scene.race(&overlapping).await? {
            match answer {
                Ok(_) => created += 1,
                Err(AuthorityError::PrefixOverlaps(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        assert_eq!(created, 1);
        let directory = scene.store.directory().await?.record;
        assert_eq!((directory.len(), scene.journal().await?.len()), (2, 2));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_those_with_one_slug_one_is_created() -> Answer<()> {
    let scene = Scene::start().await?;
    let mut created = 0;
    for answer in scene
        .race(&[("a", "ka_"), ("a", "kb_"), ("a", "kc_"), ("a", "kd_")])
        .await?
    {
        match answer {
            Ok(_) => created += 1,
            Err(AuthorityError::NamespaceExists(found)) => assert_eq!(found, slug("a")),
            Err(error) => return Err(error.into()),
        }
    }
    assert_eq!(created, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_that_do_not_overlap_are_all_created() -> Answer<()> {
    let scene = Scene::start().await?;
    // No more than decisions are made for one of them: each but the first may lose to all others.
    let namespaces = [
        ("a", "ka_"),
        ("b", "kb_"),
        ("c", "kc_"),
        ("d", "kd_"),
        ("e", "ke_"),
    ];
    assert!(namespaces.len() <= DECISIONS_MAX);
    for answer in scene.race(&namespaces).await? {
        answer?;
    }
    assert_eq!(scene.store.directory().await?.record.len(), 6);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_namespace_overlaps_none_that_is_there() -> Answer<()> {
    let scene = Scene::start().await?;
    for prefix_text in ["kn_", "kn_live_"] {
        let refused = scene.create(&ask(), "tasks", prefix_text).await;
        assert!(
            matches!(&refused, Err(AuthorityError::PrefixOverlaps(other)) if *other == slug("notes")),
            "{refused:?}"
        );
    }
    scene.create(&ask(), "tasks", "knt_").await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_namespace_created_meanwhile_is_not_overlapped() -> Answer<()> {
    let scene = Scene::start().await?;
    let gate = scene.faulty.hold(Call::Directory);
    let authority = Arc::clone(&scene.authority);
    let (slug, name, format) = (slug("late"), name("late"), format("kt_late_"));
    let late = tokio::spawn(async move {
        authority
            .create_namespace(&ask(), slug, name, format, Policy::default())
            .await
    });
    gate.arrived().await;
    scene.create(&ask(), "tasks", "kt_").await?;
    gate.open();
    let refused = late.await?;
    assert!(
        matches!(refused, Err(AuthorityError::PrefixOverlaps(_))),
        "{refused:?}"
    );
    assert_eq!(scene.store.directory().await?.record.len(), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_stale_etag_overwrites_nothing() -> Answer<()> {
    let scene = Scene::start().await?;
    let read = scene.authority.namespace(slug("notes")).await?;
    let update = |etag, text| {
        let (authority, name) = (Arc::clone(&scene.authority), name(text));
        async move {
            authority
                .update_namespace(&ask(), slug("notes"), etag, Some(name), None)
                .await
        }
    };
    let first = update(Some(read.etag()), "First").await?.record;
    assert_eq!(first.display_name, name("First"));
    let stale = update(Some(read.etag()), "Stale").await;
    assert!(matches!(&stale, Err(AuthorityError::EtagMismatch)), "{stale:?}");
    // The clock stands still, and yet each state has an etag of its own.
    let second = update(Some(first.etag()), "Second").await?.record;
    let third = update(None, "Second").await?.record;
    let mut etags = [read.etag(), first.etag(), second.etag(), third.etag()].to_vec();
    etags.sort();
    etags.dedup();
    assert_eq!(etags.len(), 4);
    assert_eq!(*scene.authority.namespace(slug("notes")).await?, third);
    assert_eq!(
        (third.create_time, &third.format),
        (read.create_time, &read.format)
    );
    let missing = scene
        .authority
        .update_namespace(&ask(), slug("tasks"), None, Some(name("Tasks")), None)
        .await;
    assert!(
        matches!(missing, Err(AuthorityError::NamespaceNotFound(_))),
        "{missing:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_those_who_read_one_etag_one_overwrites_it() -> Answer<()> {
    let scene = Scene::start().await?;
    let etag = scene.authority.namespace(slug("notes")).await?.etag();
    let mut race = Race::new();
    for text in ["One", "Two", "Three", "Four"] {
        let (authority, etag) = (Arc::clone(&scene.authority), etag.clone());
        race.spawn(async move {
            let name = name(text);
            authority
                .update_namespace(&ask(), slug("notes"), Some(etag), Some(name), None)
                .await
        });
    }
    let mut updated = Vec::new();
    for answer in race.join_all().await {
        match answer {
            Ok(Changed { record, .. }) => updated.push(record),
            Err(AuthorityError::EtagMismatch) => {}
            Err(error) => return Err(error.into()),
        }
    }
    assert_eq!(
        updated,
        [(*scene.authority.namespace(slug("notes")).await?).clone()]
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_retry_gets_the_first_answer_and_another_request_none() -> Answer<()> {
    let scene = Scene::start().await?;
    let creation = request();
    scene.faulty.nth(1, Call::Commit, Fault::After);
    let first = scene.create(&creation, "tasks", "kt_").await?;
    assert_eq!(first.cursor, scene.store.head().await?.cursor());
    let again = scene.create(&creation, "tasks", "kt_").await?;
    assert_eq!((again.record, again.cursor), (first.record, first.cursor));
    let other = scene.create(&creation, "tasks", "ku_").await;
    assert!(matches!(other, Err(AuthorityError::RequestIdReused)), "{other:?}");
    // The same creation under another request is no retry.
    let exists = scene.create(&request(), "tasks", "kt_").await;
    assert!(
        matches!(exists, Err(AuthorityError::NamespaceExists(_))),
        "{exists:?}"
    );
    assert_eq!(scene.journal().await?.len(), 2);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn the_pages_of_namespaces_are_all_of_them_in_order() -> Answer<()> {
    let scene = Scene::start().await?;
    for (slug_text, prefix_text) in [("zeta", "kz_"), ("alpha", "ka_"), ("tasks", "kt_")] {
        scene.create(&ask(), slug_text, prefix_text).await?;
    }
    for size in 1..=5 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = scene.authority.namespaces(|_| true, after, size).await?;
            assert!((1..=size as usize).contains(&page.len()));
            found.extend(page.iter().map(|namespace| namespace.slug.as_str().to_owned()));
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, ["alpha", "notes", "tasks", "zeta"], "{size}");
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_namespace_too_many_is_refused() -> Answer<()> {
    let scene = Scene::start().await?;
    for number in 1..Directory::COUNT_MAX {
        let (slug_text, prefix_text) = (format!("n{number}"), format!("k{number}_"));
        scene.create(&ask(), &slug_text, &prefix_text).await?;
    }
    let refused = scene.create(&ask(), "one-more", "more_").await;
    assert!(
        matches!(refused, Err(AuthorityError::TooManyNamespaces { .. })),
        "{refused:?}"
    );
    Ok(())
}
