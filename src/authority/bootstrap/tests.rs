use super::super::samples::Scene;
use super::*;
use crate::store::samples::Answer;

#[tokio::test]
async fn the_first_admin_is_made_once() -> Answer<()> {
    let scene = Scene::start().await?;
    assert_eq!(scene.authority.first_admin().await?, None);
    let secret = scene.authority.mint_credential()?;
    let admin = scene.authority.bootstrap(&secret, false).await?;
    assert_eq!(admin.namespace.as_str(), "system");
    assert_eq!(scene.authority.first_admin().await?, Some(admin.id));
    // Interrupted before it was told: the same secret finds its own token.
    let again = scene.authority.bootstrap(&secret, false).await?;
    assert_eq!(again.id, admin.id);
    let other = scene.authority.mint_credential()?;
    let refused = scene.authority.bootstrap(&other, false).await;
    assert!(
        matches!(refused, Err(BootstrapError::AlreadyDone(id)) if id == admin.id),
        "{refused:?}"
    );
    let further = scene.authority.bootstrap(&other, true).await?;
    assert_ne!(further.id, admin.id);
    Ok(())
}

#[tokio::test]
async fn of_several_at_once_one_makes_the_admin() -> Answer<()> {
    let scene = Scene::start().await?;
    let mut bootstraps = Vec::new();
    for _ in 0..8 {
        let authority = std::sync::Arc::clone(&scene.authority);
        bootstraps.push(tokio::spawn(async move {
            let secret = authority.mint_credential()?;
            authority.bootstrap(&secret, false).await
        }));
    }
    let mut made = 0;
    for bootstrap in bootstraps {
        made += usize::from(bootstrap.await?.is_ok());
    }
    assert_eq!(made, 1);
    Ok(())
}

/// A file that was cut off, or is another one.
#[tokio::test]
async fn what_is_no_credential_makes_no_admin() -> Answer<()> {
    let scene = Scene::start().await?;
    let whole = scene.authority.mint_credential()?;
    let of_another_pepper =
        credential_format()?.mint(&crate::token::samples::pepper(9), &mut |bytes| bytes.fill(7));
    let texts = [
        "",
        "tokenward_",
        &whole.expose()[..30],
        "password",
        of_another_pepper.expose(),
    ];
    for text in texts.map(str::to_owned) {
        let refused = scene.authority.bootstrap(&Secret::new(text), false).await;
        assert!(
            matches!(refused, Err(BootstrapError::NotCredential)),
            "{refused:?}"
        );
    }
    assert_eq!(scene.authority.first_admin().await?, None);
    assert!(scene.authority.bootstrap(&whole, false).await.is_ok());
    Ok(())
}
