//! What an import leaves behind: of the secrets, and of the texts that were sent where digests belong.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256, Sha512};
use tokenward::clock::{SystemEntropy, random};
use tokenward::proto::v1;
use tokenward::proto::v1::import_row::Digest as Kept;

use crate::server::{Client, Outcome};
use crate::{Left, verify_all};

/// Imports the digests of secrets that were made elsewhere, one of them to be tried; and, by mistake, the secrets.
pub(super) async fn import(client: &mut Client, left: &mut Left, secrets: &mut Vec<String>) -> Outcome {
    let made: Vec<String> = ["5ca1ab1e", "decafbad"]
        .iter()
        .map(|half| {
            let random: [u8; 16] = random(&SystemEntropy);
            format!("kn_{half}{}", HEXLOWER.encode(&random))
        })
        .collect();
    let row = |key: &str, hint: &str, digest| v1::ImportRow {
        key: key.to_owned(),
        subject: "ada".to_owned(),
        hint: hint.to_owned(),
        digest: Some(digest),
        ..Default::default()
    };
    let (fast, slow) = (&made[0], &made[1]);
    let good = vec![
        row(
            "1",
            &fast[..7],
            Kept::Sha256(HEXLOWER.encode(&Sha256::digest(fast))),
        ),
        row(
            "2",
            &slow[..7],
            Kept::Sha512(HEXLOWER.encode(&Sha512::digest(slow))),
        ),
    ];
    let wrong = vec![
        row("3", fast, Kept::Sha256(fast.clone())),
        row("4", fast, Kept::Sha512(fast.clone())),
        row("5", fast, Kept::Phc(fast.clone())),
        row("6", &format!("{fast}0"), Kept::Sha256("ab".repeat(32))),
        v1::ImportRow {
            scopes: vec![format!("{fast} ")],
            ..row("7", fast, Kept::Sha256("cd".repeat(32)))
        },
    ];
    // The last has the secret where a scope belongs, which is no place to hide.
    left.shown("messages", &(&good, &wrong[..4]));
    let start = v1::ImportStart {
        namespace: "notes".to_owned(),
        import_id: "7d444840-9dc0-41d1-b245-5ffdce74fad2".to_owned(),
        dry_run: false,
    };
    let told = client.import(start, vec![good, wrong]).await?;
    left.shown("messages", &told);
    assert_eq!((told[0].imported, told[1].refused.len()), (2, 5), "{told:?}");
    verify_all(client, left, &made).await?;
    let mut misplaced = v1::ImportStart::default();
    misplaced.namespace.clone_from(fast);
    misplaced.import_id.clone_from(slow);
    let refused = client.import(misplaced, Vec::new()).await.err().ok_or("taken")?;
    left.error(&refused);
    secrets.extend(made);
    Ok(())
}
