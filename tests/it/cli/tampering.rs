//! `tokenward audit verify` on a journal that was tampered with: the first bad thing is named.

mod cases;
mod endpoints;
mod rewritten;

use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;
use tokenward::clock::{ManualEntropy, random};
use tokenward::journal::cursor::Epoch;
use tokenward::journal::{Draft, Origin, Revision, Stored};
use tokenward::store::sqlite::{Snapshot, SqliteStore};
use tokenward::store::{Outcome as Committed, Store};
use tokenward::token::change::TokenChange;
use tokenward::token::format::{Body, Format, Prefix};
use tokenward::token::id::{RequestDigest, Slug, TokenId};
use tokenward::token::namespace::Namespace;
use tokenward::token::policy::Policy;
use tokenward::token::scope::Labels;
use tokenward::token::secret::{PepperId, Peppers};
use tokenward::token::text::{Actor, Name, Reason, Subject};
use tokenward::token::time::Timestamp;
use tokenward::token::{KeptSecret, Token, Withdrawal};

use super::{Outcome, Said, tokenward};
use cases::TAMPERINGS;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// A store file with six entries: 1 the namespace, 2 and 3 two tokens, 4 a rotation of the first, 5 the
/// revocation of the second, 6 a third token.
struct Journal {
    folder: TempDir,
    entropy: ManualEntropy,
    now: i64,
}

impl Journal {
    async fn write() -> Fallible<Journal> {
        Journal::write_with("lost").await
    }

    /// The second token is revoked for this reason.
    async fn write_with(reason: &str) -> Fallible<Journal> {
        let mut journal = Journal {
            folder: tempfile::tempdir()?,
            entropy: ManualEntropy::seeded(7),
            now: 1_700_000_000_000_000,
        };
        let rows = Peppers::of_one(PepperId(1), &[7; 32]).row_key();
        let store = SqliteStore::open(&journal.path("store.db"), Epoch::new([7; 16]), rows).await?;
        let namespace = journal.namespace()?;
        let draft = Draft::of_new_namespace(journal.origin()?, Revision::ZERO, namespace);
        journal.commit(&store, draft).await?;
        let first = journal.issue(&store).await?;
        let second = journal.issue(&store).await?;
        let rotated = TokenChange::Rotated {
            secret: journal.secret(2)?,
            retire_time: Some(Timestamp::from_micros(journal.now + 1)?),
            beside: None,
            ends: None,
            by_default: false,
        };
        journal.change(&store, &first, rotated).await?;
        let revoked = TokenChange::Revoked(Withdrawal {
            time: Timestamp::from_micros(journal.now)?,
            reason: Reason::try_from(reason.to_owned())?,
        });
        journal.change(&store, &second, revoked).await?;
        journal.issue(&store).await?;
        journal.keep_whole().await?;
        Ok(journal)
    }

    /// One file, without a write-ahead log beside it, is what is copied and tampered with.
    async fn keep_whole(&self) -> Outcome {
        let vacuum = format!("VACUUM INTO '{}'", self.path("whole.db").display());
        self.execute("store.db", &vacuum).await
    }

    async fn issue(&mut self, store: &SqliteStore) -> Fallible<Stored<Token>> {
        let time = Timestamp::from_micros(self.now)?;
        let token = Token {
            id: TokenId::new(time, random(&self.entropy)),
            namespace: Slug::try_from("notes".to_owned())?,
            name: Name::try_from("laptop".to_owned())?,
            subject: Subject::try_from("ada".to_owned())?,
            scopes: vec!["read".to_owned().try_into()?].try_into()?,
            labels: Labels::default(),
            create_time: time,
            expire_time: None,
            networks: None,
            rate_limit: None,
            suspension: None,
            revocation: None,
            secrets: vec![self.secret(1)?],
        };
        let id = token.id;
        let draft = Draft::of_token(self.origin()?, None, TokenChange::Issued(Box::new(token)))?;
        self.commit(store, draft).await?;
        Ok(store.token(id).await?.ok_or("not issued")?)
    }

    async fn change(&mut self, store: &SqliteStore, token: &Stored<Token>, change: TokenChange) -> Outcome {
        let draft = Draft::of_token(self.origin()?, Some(token), change)?;
        self.commit(store, draft).await
    }

    async fn commit(&self, store: &SqliteStore, draft: Draft) -> Outcome {
        match store.commit(vec![draft]).await?.as_slice() {
            [Committed::Written(_)] => Ok(()),
            other => Err(format!("{other:?}").into()),
        }
    }

    fn origin(&mut self) -> Fallible<Origin> {
        self.now += 1_000_000;
        let time = Timestamp::from_micros(self.now)?;
        Ok(Origin {
            request_id: RequestDigest::new(time, random(&self.entropy)),
            time,
            actor: Actor::try_from("ops".to_owned())?,
        })
    }

    fn namespace(&self) -> Fallible<Namespace> {
        let time = Timestamp::from_micros(self.now)?;
        Ok(Namespace {
            slug: Slug::try_from("notes".to_owned())?,
            display_name: Name::try_from("Notes".to_owned())?,
            format: Format {
                prefix: Prefix::try_from("kn_".to_owned())?,
                body: Body::hex(40)?,
            },
            policy: Policy::default(),
            not_before: None,
            create_time: time,
            update_time: time,
        })
    }

    fn secret(&self, version: u32) -> Fallible<KeptSecret> {
        let format = self.namespace()?.format;
        let pepper = Peppers::of_one(PepperId(1), &[7; 32]);
        let secret = format.mint(&pepper, &mut |bytes| {
            tokenward::clock::Entropy::fill(&self.entropy, bytes);
        });
        Ok(KeptSecret {
            version,
            digest: pepper.digest(&secret),
            pepper: pepper.current().id(),
            hint: format.hint(&secret),
            create_time: Timestamp::from_micros(self.now)?,
            retire_time: None,
            overlap: None,
            first_use_time: None,
            reuse_time: None,
            phc: None,
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What an audit says of a copy after `sql` was executed on it.
    async fn after(&self, sql: &str, more: &[&str]) -> Fallible<Said> {
        std::fs::copy(self.path("whole.db"), self.path("copy.db"))?;
        self.execute("copy.db", sql).await?;
        let said = audit(&self.path("copy.db"), more)?;
        for name in ["copy.db", "copy.db-wal", "copy.db-shm"] {
            // The log is there only if something was left in it.
            let _ = std::fs::remove_file(self.path(name));
        }
        Ok(said)
    }

    async fn execute(&self, name: &str, sql: &str) -> Outcome {
        let options = SqliteConnectOptions::new()
            .filename(self.path(name))
            .foreign_keys(false);
        let mut connection = options.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut connection)
            .await?;
        Ok(connection.close().await?)
    }
}

fn audit(path: &Path, more: &[&str]) -> std::io::Result<Said> {
    let path = path.to_str().unwrap_or_default();
    tokenward(
        &[&["audit", "verify", "--output", "json", "--database", path], more].concat(),
        "",
    )
}

const NO_CHANGE: &str = "SELECT 1";

#[tokio::test]
async fn every_tampering_is_named() -> Outcome {
    let journal = Journal::write().await?;
    let whole = journal.after(NO_CHANGE, &[]).await?;
    assert_eq!((whole.code, whole.err.as_str()), (Some(0), ""), "{whole:?}");
    assert_eq!(whole.json()?["entries"], 6);
    assert_eq!(whole.json()?["tokens"], 3);
    for (sql, finding) in TAMPERINGS {
        let said = journal.after(sql, &[]).await?;
        let finding = journal.with_ids(finding).await?;
        assert_eq!(said.code, Some(1), "{sql}: {said:?}");
        assert!(
            said.complaint().starts_with(&format!("tokenward: {finding}")),
            "{sql}: {said:?}"
        );
        let report = said.json()?;
        assert_eq!(report["intact"], false, "{sql}");
        assert!(
            report["finding"]
                .as_str()
                .is_some_and(|told| told.starts_with(&finding)),
            "{sql}"
        );
    }
    Ok(())
}

impl Journal {
    /// `{4}` in a finding is the id of the token whose last entry is revision 4.
    async fn with_ids(&self, finding: &str) -> Fallible<String> {
        let mut snapshot = Snapshot::open(&self.path("whole.db")).await?;
        let mut told = finding.to_owned();
        for id in snapshot.token_ids(None).await? {
            let stored = snapshot.token(id).await??;
            told = told.replace(&format!("{{{}}}", stored.version), &id.to_string());
        }
        Ok(told)
    }
}

#[tokio::test]
async fn a_trimmed_journal_is_intact_only_if_it_may_be_trimmed() -> Outcome {
    let journal = Journal::write().await?;
    let trim = "DELETE FROM journal WHERE revision <= 3";
    assert_eq!(journal.after(trim, &[]).await?.code, Some(1));
    let allowed = journal.after(trim, &["--trimmed"]).await?;
    assert_eq!(allowed.code, Some(0), "{allowed:?}");
    let report = allowed.json()?;
    // Only the third token was issued after the cut.
    assert_eq!(
        (&report["tokens"], &report["tokens_not_rebuilt"]),
        (&1.into(), &2.into())
    );
    let hole = "DELETE FROM journal WHERE revision IN (1, 2, 3, 5)";
    assert_eq!(journal.after(hole, &["--trimmed"]).await?.code, Some(1));
    Ok(())
}

#[tokio::test]
async fn an_anchor_pins_what_came_before() -> Outcome {
    let journal = Journal::write().await?;
    let link = journal.after(NO_CHANGE, &[]).await?.json()?["link"].clone();
    let link = link.as_str().unwrap_or_default();
    let other = "0".repeat(64);
    for (anchor, code, finding) in [
        (format!("6:{link}"), 0, ""),
        (format!("6:{other}"), 1, "revision 6: its link is "),
        (format!("5:{link}"), 1, "revision 5: its link is "),
        (
            format!("7:{link}"),
            1,
            "revision 7: its link could not be compared",
        ),
    ] {
        let said = journal.after(NO_CHANGE, &["--anchor", &anchor]).await?;
        assert_eq!(said.code, Some(code), "{anchor}: {said:?}");
        let told = said.json()?["finding"].as_str().unwrap_or_default().to_owned();
        assert!(told.starts_with(finding), "{anchor}: {told}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_store_is_not_judged() -> Outcome {
    let journal = Journal::write().await?;
    std::fs::write(
        journal.path("text"),
        "not a database, but long enough to look like one".repeat(9),
    )?;
    for name in ["nowhere.db", "text"] {
        let said = audit(&journal.path(name), &[])?;
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{name}: {said:?}");
        assert!(said.complaint().contains(name), "{name}: {said:?}");
        assert!(
            !journal.path("nowhere.db").exists(),
            "an audit must not create a store"
        );
    }
    let said = journal.after("DROP TABLE journal_head", &[]).await?;
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said:?}");
    said.complaint();
    Ok(())
}
