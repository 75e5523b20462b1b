//! How long a watcher is recognised by the token it presented.

use crate::journal::narrowing::{Loss, Narrowing, Target, narrowings};
use crate::journal::{Entry, Revision};
use crate::token::Token;
use crate::token::id::{Slug, TokenId};
use crate::token::text::Subject;
use crate::token::time::Timestamp;

/// The token by which a watcher was recognised, and which of its secrets it presented.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Presented {
    pub token_id: TokenId,
    pub secret_version: u32,
}

/// What ends the recognition is in the token as it was at a revision, or in an entry after that.
#[derive(Clone, Debug)]
pub(super) struct Recognised {
    presented: Presented,
    namespace: Slug,
    subject: Subject,
    create_time: Timestamp,
    since: Revision,
    until: Option<Timestamp>,
}

impl Recognised {
    /// By the token as it is, under all that is said of it elsewhere, which is known to reflect every entry up to `since`; `None`: not any more.
    pub(super) fn by(presented: Presented, token: &Token, since: Revision) -> Option<Recognised> {
        if token.revocation.is_some() || token.suspension.is_some() {
            return None;
        }
        let secret = token.secret_of_version(presented.secret_version)?;
        Some(Recognised {
            presented,
            namespace: token.namespace.clone(),
            subject: token.subject.clone(),
            create_time: token.create_time,
            since,
            until: token.expire_time.into_iter().chain(secret.retire_time).min(),
        })
    }

    /// Takes an entry into account; whether the watcher is recognised after it.
    pub(super) fn survives(&mut self, entry: &Entry) -> bool {
        // What was undone since is in entries as well.
        if entry.revision <= self.since {
            return true;
        }
        for narrowing in narrowings(entry) {
            if !self.is_concerned(&narrowing) {
                continue;
            }
            match narrowing.loss {
                // One that may do less comes again, and is recognised as what it is now.
                Loss::Revoked(_) | Loss::Suspended(_) | Loss::Narrowed { .. } => return false,
                Loss::IssuedRevoked(not_before) if self.create_time <= not_before.time => return false,
                Loss::SecretRetired { version, retire_time } if version == self.presented.secret_version => {
                    self.until = self.until.into_iter().chain([retire_time]).min();
                }
                Loss::IssuedRevoked(_) | Loss::SecretRetired { .. } => {}
            }
        }
        true
    }

    fn is_concerned(&self, narrowing: &Narrowing) -> bool {
        match &narrowing.target {
            Target::Token(id) => *id == self.presented.token_id,
            Target::Subject(subject) => narrowing.namespace == self.namespace && *subject == self.subject,
            Target::Namespace => narrowing.namespace == self.namespace,
        }
    }

    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|end| end <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::link::Link;
    use crate::journal::samples::origin;
    use crate::journal::{Draft, Stored};
    use crate::token::Withdrawal;
    use crate::token::change::{self, TokenChange};
    use crate::token::namespace::Namespace;
    use crate::token::overlap::Overlap;
    use crate::token::samples::{
        instant, kept, namespace, plan, scopes, slug, standing, subject, token, withdrawal,
    };
    use crate::token::standing::{Standing, SubjectChange};
    use crate::token::time::Span;
    use crate::token::update::{Update, update};

    const PRESENTED: fn(&Token) -> Presented = |token| Presented {
        token_id: token.id,
        secret_version: 1,
    };

    fn entry(before: Token, change: TokenChange, revision: u64) -> Entry {
        let stored = Stored {
            record: before,
            version: Revision::new(revision - 1),
        };
        let draft = Draft::of_token(origin(), Some(&stored), change).unwrap();
        Entry::seal(&draft, Revision::new(revision), &Link::START).unwrap()
    }

    #[test]
    fn a_withdrawal_after_the_start_ends_it_and_one_before_does_not() {
        let own = token(1);
        let recognised = Recognised::by(PRESENTED(&own), &own, Revision::new(5)).unwrap();
        for change in [
            TokenChange::Revoked(withdrawal(instant(9))),
            TokenChange::Suspended(withdrawal(instant(9))),
        ] {
            assert!(
                recognised
                    .clone()
                    .survives(&entry(own.clone(), change.clone(), 5))
            );
            assert!(
                !recognised
                    .clone()
                    .survives(&entry(own.clone(), change.clone(), 6))
            );
            assert!(recognised.clone().survives(&entry(token(2), change, 6)));
        }
    }

    /// Something said of the subject of this name.
    fn said_of(name: &str, of: &str, change: SubjectChange, revision: u64) -> Entry {
        let suspended = Standing {
            suspension: Some(withdrawal(instant(1))),
            ..standing(name)
        };
        let stored = Stored {
            record: suspended,
            version: Revision::new(revision - 1),
        };
        let draft = Draft::of_subject(origin(), Some(&stored), (slug(of), subject(name)), change).unwrap();
        Entry::seal(&draft, Revision::new(revision), &Link::START).unwrap()
    }

    /// All that was issued in the namespace up to an instant is revoked.
    fn all_revoked_in(of: &str, not_before: Withdrawal, revision: u64) -> Entry {
        let namespace = Namespace {
            not_before: Some(not_before),
            ..namespace(of, "kn_")
        };
        let draft = Draft::of_revoked_namespace(origin(), Revision::ZERO, namespace);
        Entry::seal(&draft, Revision::new(revision), &Link::START).unwrap()
    }

    #[test]
    fn what_takes_from_its_subject_ends_it_and_from_another_does_not() {
        // Of the subject ann in notes.
        let own = token(1);
        let recognised = Recognised::by(PRESENTED(&own), &own, Revision::new(5)).unwrap();
        let survives = |entry: &Entry| recognised.clone().survives(entry);
        for taking in [
            SubjectChange::Suspended(withdrawal(instant(9))),
            SubjectChange::IssuedRevoked(withdrawal(own.create_time)),
        ] {
            assert!(
                !survives(&said_of("ann", "notes", taking.clone(), 6)),
                "{taking:?}"
            );
            assert!(
                survives(&said_of("ann", "notes", taking.clone(), 5)),
                "{taking:?}"
            );
            assert!(
                survives(&said_of("bob", "notes", taking.clone(), 6)),
                "{taking:?}"
            );
            assert!(
                survives(&said_of("ann", "tasks", taking.clone(), 6)),
                "{taking:?}"
            );
        }
        for sparing in [SubjectChange::PlanSet(Some(plan("pro"))), SubjectChange::Resumed] {
            assert!(
                survives(&said_of("ann", "notes", sparing.clone(), 6)),
                "{sparing:?}"
            );
        }
    }

    #[test]
    fn what_revokes_all_that_was_issued_spares_what_was_issued_later() {
        let own = Token {
            create_time: instant(5),
            ..token(1)
        };
        let recognised = Recognised::by(PRESENTED(&own), &own, Revision::new(5)).unwrap();
        for (micros, survives) in [(4, true), (5, false), (6, false)] {
            let not_before = withdrawal(instant(micros));
            let of_subject = SubjectChange::IssuedRevoked(not_before.clone());
            for entry in [
                said_of("ann", "notes", of_subject, 6),
                all_revoked_in("notes", not_before.clone(), 6),
            ] {
                assert_eq!(
                    recognised.clone().survives(&entry),
                    survives,
                    "{micros}: {entry:?}"
                );
            }
            assert!(
                recognised
                    .clone()
                    .survives(&all_revoked_in("tasks", not_before.clone(), 6))
            );
            assert!(
                recognised
                    .clone()
                    .survives(&all_revoked_in("notes", not_before, 5))
            );
        }
    }

    #[test]
    fn a_secret_that_was_rotated_away_ends_with_its_overlap() {
        let own = token(1);
        let mut recognised = Recognised::by(PRESENTED(&own), &own, Revision::new(5)).unwrap();
        assert!(!recognised.has_ended(instant(1_000)));
        let secret = kept(1, 2, instant(7));
        let now = secret.create_time;
        let rotated = change::rotate(&own, secret, (Overlap::For(Span::seconds(60)), false), None).unwrap();
        assert!(recognised.survives(&entry(own.clone(), rotated.clone(), 6)));
        let end = now.after(std::time::Duration::from_mins(1)).unwrap();
        assert!(!recognised.has_ended(now));
        assert!(recognised.has_ended(end));
        // Whoever opens it meanwhile is told the same by the token.
        let after = crate::journal::fold::token(Some(&own), &rotated).unwrap();
        let later = Recognised::by(PRESENTED(&after), &after, Revision::new(6)).unwrap();
        assert!(later.has_ended(end));
    }

    #[test]
    fn one_that_may_do_less_comes_again_and_one_that_may_do_more_need_not() {
        let own = token(1);
        let recognised = Recognised::by(PRESENTED(&own), &own, Revision::new(5)).unwrap();
        for (names, survives) in [(&["read"][..], false), (&["admin", "read", "write"], true)] {
            let asked = Update {
                scopes: Some(scopes(names)),
                ..Update::default()
            };
            let updated = update(&own, &asked, instant(1)).unwrap().unwrap();
            assert_eq!(
                recognised.clone().survives(&entry(own.clone(), updated, 6)),
                survives
            );
        }
    }

    #[test]
    fn an_expiry_or_a_withdrawal_is_seen_in_the_token() {
        let expiring = Token {
            expire_time: Some(instant(50)),
            ..token(1)
        };
        let recognised = Recognised::by(PRESENTED(&expiring), &expiring, Revision::ZERO).unwrap();
        assert!(!recognised.has_ended(instant(49)));
        assert!(recognised.has_ended(instant(50)));
        let revoked = Token {
            revocation: Some(withdrawal(instant(1))),
            ..token(1)
        };
        assert!(Recognised::by(PRESENTED(&revoked), &revoked, Revision::ZERO).is_none());
        let unknown = Presented {
            secret_version: 9,
            ..PRESENTED(&expiring)
        };
        assert!(Recognised::by(unknown, &expiring, Revision::ZERO).is_none());
    }
}
