use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::clock::{ManualEntropy, random};
use crate::journal::{Change, Draft, Origin, Stored, fold};
use crate::token::change::TokenChange;
use crate::token::format::{Body, Format, Prefix};
use crate::token::id::RequestDigest;
use crate::token::namespace::Namespace;
use crate::token::secret::{PepperId, Peppers};
use crate::token::text::{Actor, Name, Reason, Subject};
use crate::token::time::Timestamp;
use crate::token::{KeptSecret, Token, Withdrawal};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// A namespace, then as many tokens as asked for, each rotated and revoked: three entries a token.
struct Journal {
    entries: Vec<Entry>,
    tokens: Vec<Stored<Token>>,
    entropy: ManualEntropy,
}

impl Journal {
    fn of(tokens: usize) -> Fallible<Journal> {
        let mut journal = Journal {
            entries: Vec::new(),
            tokens: Vec::new(),
            entropy: ManualEntropy::seeded(7),
        };
        let draft = Draft::of_new_namespace(journal.origin()?, Revision::ZERO, journal.namespace()?);
        journal.seal(&draft)?;
        for _ in 0..tokens {
            let token = journal.token()?;
            let issued = journal.change(None, TokenChange::Issued(Box::new(token)))?;
            let rotated = TokenChange::Rotated {
                secret: journal.secret(2)?,
                retire_time: Some(journal.now()?),
                beside: None,
                ends: None,
                by_default: false,
            };
            let rotated = journal.change(Some(&issued), rotated)?;
            let revoked = TokenChange::Revoked(Withdrawal {
                time: journal.now()?,
                reason: Reason::try_from("lost".to_owned())?,
            });
            let revoked = journal.change(Some(&rotated), revoked)?;
            journal.tokens.push(revoked);
        }
        Ok(journal)
    }

    fn change(&mut self, before: Option<&Stored<Token>>, change: TokenChange) -> Fallible<Stored<Token>> {
        let record = fold::token(before.map(|before| &before.record), &change)?;
        let draft = Draft::of_token(self.origin()?, before, change)?;
        let version = self.seal(&draft)?;
        Ok(Stored { record, version })
    }

    fn seal(&mut self, draft: &Draft) -> Fallible<Revision> {
        let (revision, link) = self.head();
        let entry = Entry::seal(draft, revision.next(), &link)?;
        self.entries.push(entry);
        Ok(revision.next())
    }

    fn head(&self) -> (Revision, Link) {
        let last = self.entries.last();
        last.map_or((Revision::ZERO, Link::START), |last| (last.revision, last.link))
    }

    /// An instant for the next entry.
    fn now(&self) -> Fallible<Timestamp> {
        let second = i64::try_from(self.entries.len())?;
        Ok(Timestamp::from_micros(
            1_700_000_000_000_000 + second * 1_000_000,
        )?)
    }

    fn origin(&self) -> Fallible<Origin> {
        Ok(Origin {
            request_id: RequestDigest::new(self.now()?, random(&self.entropy)),
            time: self.now()?,
            actor: Actor::try_from("ops".to_owned())?,
        })
    }

    fn namespace(&self) -> Fallible<Namespace> {
        Ok(Namespace {
            slug: Slug::try_from("notes".to_owned())?,
            display_name: Name::try_from("Notes".to_owned())?,
            format: Format {
                prefix: Prefix::try_from("kn_".to_owned())?,
                body: Body::hex(40)?,
            },
            policy: crate::token::policy::Policy::default(),
            not_before: None,
            create_time: self.now()?,
            update_time: self.now()?,
        })
    }

    fn token(&self) -> Fallible<Token> {
        Ok(Token {
            id: TokenId::new(self.now()?, random(&self.entropy)),
            namespace: Slug::try_from("notes".to_owned())?,
            name: Name::try_from("laptop".to_owned())?,
            subject: Subject::try_from("ada".to_owned())?,
            scopes: Vec::new().try_into()?,
            labels: crate::token::scope::Labels::default(),
            create_time: self.now()?,
            expire_time: None,
            networks: None,
            rate_limit: None,
            suspension: None,
            revocation: None,
            secrets: vec![self.secret(1)?],
        })
    }

    fn secret(&self, version: u32) -> Fallible<KeptSecret> {
        use crate::clock::Entropy;
        let format = self.namespace()?.format;
        let pepper = Peppers::of_one(PepperId(1), &[7; 32]);
        let secret = format.mint(&pepper, &mut |bytes| self.entropy.fill(bytes));
        Ok(KeptSecret {
            version,
            digest: pepper.digest(&secret),
            pepper: pepper.current().id(),
            hint: format.hint(&secret),
            create_time: self.now()?,
            retire_time: None,
            overlap: None,
            first_use_time: None,
            reuse_time: None,
            phc: None,
        })
    }

    fn rows(&self) -> Vec<Row> {
        self.entries.iter().map(row).collect()
    }

    /// The first thing wrong with `rows`, under the head of this journal.
    fn finding(&self, rows: &[Row], oldest: Revision) -> Option<String> {
        let mut chain = Chain::from(oldest);
        let followed = rows.iter().try_for_each(|row| chain.follow(row).map(drop));
        let (revision, link) = self.head();
        let ended = followed.and_then(|()| chain.ends_at(revision, link));
        ended.err().map(|finding| finding.to_string())
    }
}

fn row(entry: &Entry) -> Row {
    Row {
        revision: entry.revision,
        time: entry.time.micros(),
        actor: entry.actor.to_string(),
        request_id: entry.request_id.as_bytes().to_vec(),
        kind: entry.change.kind().as_str().to_owned(),
        namespace: entry.change.namespace().to_string(),
        token_id: entry.change.token_id().map(|id| id.as_bytes().to_vec()),
        subject: entry.change.subject().map(Subject::to_string),
        endpoint_id: entry.change.endpoint_id().map(|id| id.as_bytes().to_vec()),
        body: entry.body.clone(),
        link: entry.link.as_bytes().to_vec(),
    }
}

const FIRST: Revision = Revision::new(1);

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn one_flipped_bit_is_found_where_it_is(
        tokens in 1_usize..4,
        place in any::<Index>(),
        bit in any::<Index>(),
        in_link in any::<bool>(),
    ) {
        let journal = Journal::of(tokens).unwrap();
        let mut rows = journal.rows();
        prop_assert_eq!(journal.finding(&rows, FIRST), None);
        let place = place.index(rows.len());
        let row = &mut rows[place];
        let bytes = if in_link { &mut row.link } else { &mut row.body };
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let begins = format!("revision {}: its link does not follow from revision {place} ", place + 1);
        let finding = journal.finding(&rows, FIRST).unwrap_or_default();
        prop_assert!(finding.starts_with(&begins), "{}", finding);
    }

    #[test]
    fn a_removed_entry_is_missed(tokens in 1_usize..4, place in any::<Index>()) {
        let journal = Journal::of(tokens).unwrap();
        let mut rows = journal.rows();
        let place = place.index(rows.len());
        rows.remove(place);
        let missing = place + 1;
        let wanted = if place == rows.len() {
            format!("head: it is at revision {missing}, but the last entry is revision {place}")
        } else {
            format!("revision {missing}: it is missing, the next one kept is revision {}", missing + 1)
        };
        prop_assert_eq!(journal.finding(&rows, FIRST), Some(wanted));
    }

    #[test]
    fn entries_that_changed_places_are_found(
        tokens in 1_usize..4,
        one in any::<Index>(),
        other in any::<Index>(),
    ) {
        let journal = Journal::of(tokens).unwrap();
        let mut rows = journal.rows();
        let (one, other) = (one.index(rows.len()), other.index(rows.len()));
        prop_assume!(one != other);
        rows.swap(one, other);
        let (one, other) = (one.min(other), one.max(other));
        // The revision is the key: who swaps entries keeps it dense.
        rows[one].revision = Revision::new(one as u64 + 1);
        rows[other].revision = Revision::new(other as u64 + 1);
        let begins = format!("revision {}: its link does not follow", one + 1);
        let finding = journal.finding(&rows, FIRST).unwrap_or_default();
        prop_assert!(finding.starts_with(&begins), "{}", finding);
    }

    #[test]
    fn what_was_trimmed_is_not_missed_but_all_after_it_is_checked(
        tokens in 1_usize..4,
        trimmed in any::<Index>(),
        place in any::<Index>(),
    ) {
        let journal = Journal::of(tokens).unwrap();
        let mut rows = journal.rows();
        let trimmed = trimmed.index(rows.len() - 1);
        rows.drain(..trimmed);
        let oldest = Revision::new(trimmed as u64 + 1);
        prop_assert_eq!(journal.finding(&rows, oldest), None);
        // The first one kept has nothing before it to be checked against.
        let place = 1 + place.index(rows.len() - 1);
        rows[place].body.push(b' ');
        let begins = format!("revision {}: its link does not follow", trimmed + place + 1);
        let finding = journal.finding(&rows, oldest).unwrap_or_default();
        prop_assert!(finding.starts_with(&begins), "{}", finding);
    }
}

#[test]
fn a_body_that_is_linked_but_is_no_entry_is_found() -> Fallible<()> {
    let journal = Journal::of(1)?;
    let mut rows = journal.rows();
    let before = journal.entries[2].link;
    rows[3].body = b"{}".to_vec();
    rows[3].link = before.then(b"{}").as_bytes().to_vec();
    let finding = journal.finding(&rows, FIRST).unwrap_or_default();
    assert!(
        finding.starts_with("revision 4: not the body of a journal entry"),
        "{finding}"
    );
    Ok(())
}

#[test]
fn a_body_written_for_another_revision_is_found() -> Fallible<()> {
    let journal = Journal::of(1)?;
    let mut rows = journal.rows();
    let before = journal.entries[2].link;
    let body = journal.entries[1].body.clone();
    rows[3].link = before.then(&body).as_bytes().to_vec();
    rows[3].body = body;
    assert_eq!(
        journal.finding(&rows, FIRST).as_deref(),
        Some("revision 4: its column revision does not agree with its body")
    );
    Ok(())
}

#[test]
fn a_rewritten_end_shows_at_the_head() -> Fallible<()> {
    let journal = Journal::of(1)?;
    let other = Journal::of(2)?;
    let (revision, _) = journal.head();
    let mut chain = Chain::from(FIRST);
    for row in journal.rows() {
        chain.follow(&row)?;
    }
    let finding = chain.ends_at(revision, other.head().1).err();
    assert_eq!(
        finding.map(|finding| finding.to_string()).as_deref(),
        Some("head: its link is not that of revision 4")
    );
    Ok(())
}

#[test]
fn a_head_over_nothing_is_found() {
    let end = Link::START.then(b"x");
    assert!(Chain::from(FIRST).ends_at(Revision::ZERO, Link::START).is_ok());
    assert!(Chain::from(FIRST).ends_at(Revision::ZERO, end).is_err());
    // As if all of it had been trimmed, the head included.
    let emptied = Chain::from(Revision::new(5)).ends_at(Revision::new(4), end);
    assert!(matches!(emptied, Err(Finding::Gap { missing, .. }) if missing == Revision::new(4)));
}

fn replayed(id: TokenId, entries: &[Entry], oldest: Revision) -> Result<TokenReplay, Finding> {
    let mut replay = TokenReplay::of(id);
    for entry in entries.iter().filter(|entry| entry.change.token_id() == Some(id)) {
        replay.apply(entry, oldest)?;
    }
    Ok(replay)
}

#[test]
fn a_row_must_be_what_its_entries_made() -> Fallible<()> {
    let journal = Journal::of(2)?;
    for token in &journal.tokens {
        let replay = replayed(token.record.id, &journal.entries, FIRST)?;
        assert!(replay.agrees(token, FIRST)?);
        let mut row = token.clone();
        row.record.revocation = None;
        row.record.name = Name::try_from("desktop".to_owned())?;
        row.version = row.version.next();
        let finding = replay
            .agrees(&row, FIRST)
            .err()
            .map(|finding| finding.to_string());
        let wanted = format!(
            "token {}: its row does not agree with its entries in name, revocation, version",
            token.record.id
        );
        assert_eq!(finding, Some(wanted));
    }
    Ok(())
}

#[test]
fn of_a_token_that_was_issued_before_the_cut_nothing_is_said() -> Fallible<()> {
    let journal = Journal::of(2)?;
    // Revisions 2 to 4 are the first token's, 5 to 7 the second's.
    let oldest = Revision::new(4);
    let kept = &journal.entries[3..];
    let [cut, whole] = [&journal.tokens[0], &journal.tokens[1]];
    let mut row = cut.clone();
    row.record.revocation = None;
    assert!(!replayed(cut.record.id, kept, oldest)?.agrees(&row, oldest)?);
    assert!(!TokenReplay::of(cut.record.id).agrees(&row, oldest)?);
    assert!(replayed(whole.record.id, kept, oldest)?.agrees(whole, oldest)?);
    // With nothing trimmed, the same entries tell of a tampering.
    assert!(replayed(cut.record.id, kept, FIRST).is_err());
    assert!(TokenReplay::of(cut.record.id).agrees(&row, FIRST).is_err());
    Ok(())
}

#[test]
fn a_namespace_must_be_what_its_last_entry_says() -> Fallible<()> {
    let journal = Journal::of(0)?;
    let mut replay = WholeReplay::<Namespace>::default();
    journal.entries.iter().for_each(|entry| replay.apply(entry));
    let row = Stored {
        record: match &journal.entries[0].change {
            Change::NamespaceCreated(namespace) => namespace.clone(),
            other => return Err(format!("{other:?}").into()),
        },
        version: FIRST,
    };
    assert!(replay.agrees(std::slice::from_ref(&row), FIRST).is_ok());
    let finding = |rows: &[Stored<Namespace>]| replay.agrees(rows, FIRST).err();
    assert!(matches!(finding(&[]), Some(Finding::RowMissing { .. })));
    let mut renamed = row.clone();
    renamed.record.display_name = Name::try_from("Eve".to_owned())?;
    assert!(matches!(finding(&[renamed]), Some(Finding::RowDiffers { .. })));
    let mut added = row.clone();
    added.record.slug = Slug::try_from("eve".to_owned())?;
    assert!(matches!(
        finding(&[row.clone(), added.clone()]),
        Some(Finding::RowUnheardOf { .. })
    ));
    // Its entries may have been trimmed.
    assert!(replay.agrees(&[row, added], Revision::new(2)).is_ok());
    Ok(())
}
