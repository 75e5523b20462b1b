//! A journal that was rewritten as a whole, by somebody who has the database and the pepper: it looks intact, but not
//! to whoever kept a checkpoint. All of it offline.

use tokenward::journal::Revision;
use tokenward::journal::checkpoint::{KeyName, SigningKey};
use tokenward::journal::tree::Range;
use tokenward::store::sqlite::Snapshot;

use super::{Fallible, Journal, NO_CHANGE, Said, tokenward};
use crate::cli::Outcome;

/// A key that lies in no database.
fn key(seed: u8) -> Fallible<SigningKey> {
    let name = KeyName::try_from("example.com/tokenward".to_owned())?;
    Ok(SigningKey::new(Some(name), &[seed; 32])?)
}

impl Journal {
    /// Keeps a checkpoint of the first entries in a file of this name.
    async fn keep_checkpoint(&self, name: &str, size: u64) -> Outcome {
        let mut snapshot = Snapshot::open(&self.path("whole.db")).await?;
        let mut range = Range::default();
        for row in snapshot.rows(Revision::ZERO).await? {
            if row.revision <= Revision::new(size) {
                range.append(&row.body);
            }
        }
        let note = key(1)?.sign(Revision::new(size), range.root());
        Ok(std::fs::write(self.path(name), note)?)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    /// Writes an export of the whole journal to a file of this name.
    fn export(&self, name: &str, more: &[&str]) -> std::io::Result<Said> {
        let (database, to) = (self.text("whole.db"), self.text(name));
        let args = ["audit", "export", "--database", &database, "--to", &to];
        tokenward(&[&args, more].concat(), "")
    }

    fn verify_export(&self, name: &str, more: &[&str]) -> std::io::Result<Said> {
        let export = self.text(name);
        let args = ["audit", "verify", "--output", "json", "--export", &export];
        tokenward(&[&args, more].concat(), "")
    }
}

#[tokio::test]
async fn a_rewritten_chain_is_caught_with_an_old_checkpoint_offline() -> Outcome {
    let journal = Journal::write().await?;
    // With the pepper and the program itself: every link, every row and every MAC is as it would be.
    let rewritten = Journal::write_with("nothing to see here").await?;
    for size in [0, 1, 4, 5, 6] {
        journal
            .keep_checkpoint(&format!("checkpoint {size}"), size)
            .await?;
    }
    let verifier = key(1)?.verifying().to_string();
    let clean = rewritten.after(NO_CHANGE, &[]).await?;
    assert_eq!(
        clean.code,
        Some(0),
        "without a checkpoint nothing shows: {clean:?}"
    );
    assert_eq!(clean.json()?["checkpoint"], serde_json::Value::Null);
    for size in [0, 1, 4, 5, 6] {
        let checkpoint = journal.text(&format!("checkpoint {size}"));
        let kept = ["--checkpoint", &checkpoint, "--key", &verifier];
        let whole = journal.after(NO_CHANGE, &kept).await?;
        assert_eq!(whole.code, Some(0), "{size}: {whole:?}");
        assert_eq!(whole.json()?["checkpoint"], size);
        // It is told from the first entry that differs, the fifth, on.
        let caught = rewritten.after(NO_CHANGE, &kept).await?;
        assert_eq!(caught.code, Some(i32::from(size >= 5)), "{size}: {caught:?}");
        if size >= 5 {
            let finding = format!(
                "tokenward: revision {size}: the journal up to it is not what the checkpoint was signed for"
            );
            assert!(caught.complaint().starts_with(&finding), "{caught:?}");
        }
    }
    // One that was cut short as well.
    let short = "DELETE FROM journal WHERE revision = 6; DELETE FROM secret WHERE token_id NOT IN
            (SELECT token_id FROM journal WHERE token_id IS NOT NULL);
        DELETE FROM token WHERE id NOT IN (SELECT token_id FROM journal WHERE token_id IS NOT NULL);
        UPDATE journal_head SET revision = 5, link = (SELECT link FROM journal WHERE revision = 5)";
    let checkpoint = journal.text("checkpoint 6");
    assert_eq!(journal.after(short, &[]).await?.code, Some(0));
    let caught = journal
        .after(short, &["--checkpoint", &checkpoint, "--key", &verifier])
        .await?;
    assert_eq!(caught.code, Some(1), "{caught:?}");
    assert!(
        caught.complaint().contains("the journal ends at revision 5"),
        "{caught:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_checkpoint_is_believed_only_with_its_signature() -> Outcome {
    let journal = Journal::write().await?;
    journal.keep_checkpoint("checkpoint", 6).await?;
    let note = std::fs::read_to_string(journal.path("checkpoint"))?;
    std::fs::write(journal.path("forged"), note.replacen("\n6\n", "\n5\n", 1))?;
    std::fs::write(journal.path("garbage"), "not a note")?;
    let (good, other) = (key(1)?.verifying().to_string(), key(2)?.verifying().to_string());
    for (name, key, why) in [
        ("checkpoint", &other, "it is not signed with this key"),
        ("forged", &good, "its signature is not that of this key"),
        ("garbage", &good, "it is not a signed note"),
        ("nowhere", &good, "No such file"),
    ] {
        let path = journal.text(name);
        let said = journal
            .after(NO_CHANGE, &["--checkpoint", &path, "--key", key])
            .await?;
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{name}: {said:?}");
        assert!(said.complaint().contains(why), "{name}: {said:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_export_is_verified_without_the_store() -> Outcome {
    let journal = Journal::write().await?;
    journal.keep_checkpoint("checkpoint", 6).await?;
    let exported = journal.export("export", &[])?;
    assert_eq!(
        (exported.code, exported.out.as_str()),
        (Some(0), ""),
        "{exported:?}"
    );
    let whole = std::fs::read_to_string(journal.path("export"))?;
    assert_eq!(whole.lines().count(), 8, "{whole}");
    let (checkpoint, key) = (journal.text("checkpoint"), key(1)?.verifying().to_string());
    let kept = ["--checkpoint", &checkpoint, "--key", &key];
    let said = journal.verify_export("export", &kept)?;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(
        (&said.json()?["entries"], &said.json()?["checkpoint"]),
        (&6.into(), &6.into())
    );

    let lines: Vec<&str> = whole.lines().collect();
    let without = |left_out: usize| {
        let lines = lines.iter().enumerate().filter(|(at, _)| *at != left_out);
        lines.flat_map(|(_, line)| [*line, "\n"]).collect::<String>()
    };
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    let twice = format!("{whole}{}\n", lines[3]);
    for (name, text, finding) in [
        (
            "cut short",
            without(7),
            "the export is cut short after revision 6",
        ),
        (
            "cut in a line",
            whole[..whole.len() - 20].to_owned(),
            "the export is cut short after revision 6",
        ),
        ("an entry is gone", without(4), "revision 4: it is missing"),
        ("the last entry is gone", without(6), "head: it is at revision 6"),
        (
            "edited",
            whole.replacen("lost", "gone", 1),
            "revision 5: its link does not follow",
        ),
        (
            "reordered",
            swapped.join("\n") + "\n",
            "revision 2: it is missing",
        ),
        ("goes on", twice, "line 9 of the export: comes after the end"),
        (
            "garbage",
            whole.replacen("{\"entry\"", "{\"other\"", 1),
            "line 2 of the export",
        ),
    ] {
        std::fs::write(journal.path("bad"), text)?;
        let said = journal.verify_export("bad", &[])?;
        assert_eq!(said.code, Some(1), "{name}: {said:?}");
        assert!(said.complaint().contains(finding), "{name}: {said:?}");
    }
    std::fs::write(journal.path("bad"), without(0))?;
    assert_eq!(journal.verify_export("bad", &[])?.code, Some(2));

    // Rewritten as a whole, it is caught with the checkpoint alone.
    let rewritten = Journal::write_with("nothing to see here").await?;
    rewritten.export("export", &[])?;
    assert_eq!(rewritten.verify_export("export", &[])?.code, Some(0));
    let caught = rewritten.verify_export("export", &kept)?;
    assert_eq!(caught.code, Some(1), "{caught:?}");
    Ok(())
}

#[tokio::test]
async fn an_export_goes_on_where_it_was_cut_off() -> Outcome {
    let journal = Journal::write().await?;
    journal.export("whole", &[])?;
    let whole = std::fs::read_to_string(journal.path("whole"))?;
    for bytes in [
        whole.len(),
        whole.len() - 1,
        whole.len() - 30,
        whole.len() / 2,
        whole.find('\n').unwrap_or(0) + 1,
    ] {
        std::fs::write(journal.path("cut"), &whole[..bytes])?;
        let said = journal.export("cut", &["--resume"])?;
        assert_eq!(said.code, Some(0), "{bytes}: {said:?}");
        assert_eq!(std::fs::read_to_string(journal.path("cut"))?, whole, "{bytes}");
    }
    let said = journal.export("cut", &[])?;
    assert_eq!(said.code, Some(1), "{said:?}");
    // From the middle on it begins with the link before.
    journal.export("tail", &["--after", "4"])?;
    let said = journal.verify_export("tail", &[])?;
    assert_eq!(
        (said.code, &said.json()?["entries"]),
        (Some(0), &2.into()),
        "{said:?}"
    );
    let edited = std::fs::read_to_string(journal.path("tail"))?.replacen("lost", "gone", 1);
    std::fs::write(journal.path("tail"), edited)?;
    assert_eq!(journal.verify_export("tail", &[])?.code, Some(1));
    // What is exported must go on from what was.
    let rewritten = Journal::write_with("nothing to see here").await?;
    std::fs::write(
        rewritten.path("cut"),
        whole
            .lines()
            .take(6)
            .flat_map(|line| [line, "\n"])
            .collect::<String>(),
    )?;
    let said = rewritten.export("cut", &["--resume"])?;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.complaint().contains("revision 6: its link does not follow"),
        "{said:?}"
    );
    Ok(())
}
