//! An entry is read back as it was written, and its bytes and link never change.

use std::error::Error;

use proptest::prelude::*;

use super::samples::{any_change, import, issue, origin, rotation_due};
use super::*;
use crate::token::Withdrawal;
use crate::token::change;
use crate::token::from_to::FromTo;
use crate::token::id::RequestId;
use crate::token::lifecycle::Notice;
use crate::token::samples::{
    any_instant, any_text, endpoint, imported, instant, kept, namespace, plan, rate_limit, redigested, slug,
    standing, subject, token, withdrawal,
};
use crate::token::text::Name;
use crate::token::time::Span;
use crate::token::update::{Update, update};
use crate::token::webhook::Pause;

/// A draft as it may be read from elsewhere: `after` plays no part in an entry.
fn any_draft() -> impl Strategy<Value = Draft> {
    let request_id = any::<[u8; 10]>().prop_map(|random| RequestDigest::new(instant(0), random));
    (request_id, any_instant(), any_text(1, 200), any_change()).prop_map(
        |(request_id, time, actor, change)| {
            let origin = Origin {
                request_id,
                time,
                actor,
            };
            let after = Record::Namespace(namespace("notes", "kn_"));
            Draft::new(origin, Revision::ZERO, change, after)
        },
    )
}

#[test]
fn the_published_bytes_and_link_of_an_entry() -> Result<(), Box<dyn Error>> {
    let origin = Origin {
        request_id: RequestDigest::of(&RequestId::parse("7d444840-9dc0-41d1-b245-5ffdce74fad2")?),
        time: Timestamp::from_micros(1_800_000_000_000_001)?,
        actor: Actor::try_from("é \"ann\" \\ 🦀".to_owned())?,
    };
    let mut token = token(258);
    token.id = TokenId::parse("019a2b3c-4d5e-7f60-8a9b-0c1d2e3f4a5b")?;
    token.expire_time = Some(Timestamp::MAX);
    token.suspension = Some(withdrawal(Timestamp::MIN));
    let draft = Draft::of_token(origin, None, TokenChange::Issued(Box::new(token)))?;
    let entry = Entry::seal(&draft, Revision::new(7), &Link::from_bytes(&[9; 32])?)?;
    assert_eq!(
        String::from_utf8(entry.body)?,
        include_str!("tests/issued.json").trim_end()
    );
    // hashlib.sha256(bytes([9]) * 32 + body).hexdigest()
    assert_eq!(
        entry.link.to_string(),
        "d162dd5cdaf4b27d7ec1043ba1fe82df02699e4de0e5a252b45cdd3a06d05410"
    );
    Ok(())
}

#[test]
#[expect(clippy::too_many_lines, reason = "a form and a sample of each kind")]
fn every_kind_has_its_published_name_in_the_body() -> Result<(), Box<dyn Error>> {
    let published = [
        (Kind::NamespaceCreated, "{\"namespace_created\":{\"slug\":"),
        (Kind::NamespaceUpdated, "{\"namespace_updated\":{\"slug\":"),
        (Kind::TokenIssued, "{\"issued\":{\"id\":"),
        (Kind::TokenRotated, "{\"rotated\":{\"secret\":"),
        (Kind::TokenRevoked, "{\"revoked\":{\"time\":"),
        (Kind::TokenSuspended, "{\"suspended\":{\"time\":"),
        (Kind::TokenResumed, "\"resumed\""),
        (
            Kind::TokenRedigested,
            "{\"redigested\":{\"version\":1,\"digest\":",
        ),
        (Kind::TokenImported, "{\"imported\":{\"id\":"),
        (
            Kind::TokenUpdated,
            "{\"updated\":{\"name\":{\"from\":\"Laptop\",\"to\":\"Phone\"}}}",
        ),
        (
            Kind::TokenFirstUsed,
            "{\"first_used\":{\"version\":1,\"time\":1800000000000001}}",
        ),
        (
            Kind::TokenRetiredSecretUsed,
            "{\"retired_secret_used\":{\"version\":1,\"time\":1800000000000001}}",
        ),
        (
            Kind::SubjectPlanSet,
            "{\"subject\":{\"namespace\":\"notes\",\"subject\":\"ann\",\"change\":{\"plan_set\":\"pro\"}}}",
        ),
        (Kind::SubjectSuspended, "\"change\":{\"suspended\":{\"time\":"),
        (Kind::SubjectResumed, "\"change\":\"resumed\"}}"),
        (
            Kind::SubjectIssuedRevoked,
            "\"change\":{\"issued_revoked\":{\"time\":",
        ),
        (
            Kind::NamespaceIssuedRevoked,
            "{\"namespace_issued_revoked\":{\"slug\":",
        ),
        (
            Kind::SubjectRateLimitSet,
            "\"change\":{\"rate_limit_set\":{\"from\":null,\"to\":{\"requests\":100,\"period\":60000000}}}",
        ),
        (Kind::WebhookCreated, "{\"webhook\":{\"created\":{\"id\":"),
        (Kind::WebhookUpdated, "{\"webhook\":{\"updated\":{\"id\":"),
        (
            Kind::WebhookSecretRotated,
            "{\"webhook\":{\"secret_rotated\":{\"id\":",
        ),
        (
            Kind::WebhookPaused,
            "\"pause\":{\"time\":1800000000000001,\"reason\":\"leaked\"}",
        ),
        (Kind::WebhookDeleted, "{\"webhook\":{\"deleted\":{\"id\":"),
        (
            Kind::TokenExpiring,
            "{\"told\":{\"expiring\":{\"lead\":60000000,\"expire_time\":1800000000000009}}}",
        ),
        (
            Kind::TokenRotationDue,
            "{\"told\":{\"rotation_due\":{\"version\":1,\"after\":60000000,\"since\":1800000000000000}}}",
        ),
        (
            Kind::TokenUnused,
            "{\"told\":{\"unused\":{\"after\":60000000,\"since\":1800000000000000}}}",
        ),
    ];
    assert_eq!(published.map(|(kind, _)| kind), Kind::ALL);
    let stored = Stored {
        record: token(1),
        version: Revision::new(3),
    };
    let of_token = |change| Draft::of_token(origin(), Some(&stored), change);
    let mut ending = stored.clone();
    ending.record.expire_time = Some(instant(9));
    let phone = Update {
        name: Some(Name::try_from("Phone".to_owned())?),
        ..Update::default()
    };
    let of_subject =
        |before, change| Draft::of_subject(origin(), before, (slug("notes"), subject("ann")), change);
    let suspended = Stored {
        record: Standing {
            suspension: Some(withdrawal(instant(0))),
            ..standing("ann")
        },
        version: Revision::new(4),
    };
    let of_webhook = |change| Draft::of_webhook(origin(), Revision::ZERO, change);
    let Withdrawal { time, reason } = withdrawal(instant(1));
    let paused = Endpoint {
        pause: Some(Pause { time, reason }),
        ..endpoint(1)
    };
    let drafts = vec![
        Draft::of_new_namespace(origin(), Revision::ZERO, namespace("notes", "kn_")),
        Draft::of_namespace(origin(), Revision::ZERO, namespace("notes", "kn_")),
        issue(token(1)),
        of_token(TokenChange::Rotated {
            secret: kept(1, 2, instant(1)),
            retire_time: Some(instant(2)),
            beside: None,
            ends: None,
            by_default: false,
        })?,
        of_token(TokenChange::Revoked(withdrawal(instant(1))))?,
        of_token(TokenChange::Suspended(withdrawal(instant(1))))?,
        of_token(TokenChange::Resumed)?,
        of_token(redigested(1))?,
        import(imported(2, "kn_a")),
        of_token(update(&token(1), &phone, instant(1))?.ok_or("it is one already")?)?,
        of_token(TokenChange::FirstUsed {
            version: 1,
            time: instant(1),
            retires: None,
        })?,
        of_token(TokenChange::RetiredSecretUsed {
            version: 1,
            time: instant(1),
            suspension: None,
        })?,
        of_subject(None, SubjectChange::PlanSet(Some(plan("pro"))))?,
        of_subject(None, SubjectChange::Suspended(withdrawal(instant(1))))?,
        of_subject(Some(&suspended), SubjectChange::Resumed)?,
        of_subject(None, SubjectChange::IssuedRevoked(withdrawal(instant(1))))?,
        Draft::of_revoked_namespace(origin(), Revision::ZERO, namespace("notes", "kn_")),
        of_subject(
            None,
            SubjectChange::RateLimitSet(FromTo {
                from: None,
                to: Some(rate_limit(100, 60)),
            }),
        )?,
        of_webhook(WebhookChange::Created(endpoint(1))),
        of_webhook(WebhookChange::Updated(endpoint(1))),
        of_webhook(WebhookChange::SecretRotated(endpoint(1))),
        of_webhook(WebhookChange::Paused(paused)),
        of_webhook(WebhookChange::Deleted(endpoint(1))),
        Draft::of_token(
            origin(),
            Some(&ending),
            TokenChange::Told(Notice::Expiring {
                lead: Span::seconds(60),
                expire_time: instant(9),
            }),
        )?,
        of_token(rotation_due(1))?,
        of_token(TokenChange::Told(Notice::Unused {
            after: Span::seconds(60),
            since: instant(0),
        }))?,
    ];
    assert_eq!(drafts.len(), published.len());
    for (draft, (kind, form)) in drafts.iter().zip(published) {
        assert_eq!(draft.change().kind(), kind);
        let body = String::from_utf8(Entry::seal(draft, Revision::new(1), &Link::START)?.body)?;
        assert!(body.contains(form), "{body}");
    }
    Ok(())
}

#[test]
fn a_draft_is_guarded_by_what_it_was_decided_on() -> Result<(), Box<dyn Error>> {
    let stored = Stored {
        record: token(1),
        version: Revision::new(3),
    };
    let end = withdrawal(instant(5));
    let change = change::revoke(&stored.record, end.clone()).ok_or("not revoked yet")?;
    let draft = Draft::of_token(origin(), Some(&stored), change)?;
    assert_eq!(draft.guard(), Revision::new(3));
    assert_eq!(draft.change().token_id(), Some(stored.record.id));
    assert_eq!(draft.change().namespace(), &stored.record.namespace);
    let after = Token {
        revocation: Some(end),
        ..token(1)
    };
    assert_eq!(draft.after(), &Record::Token(after));
    assert_eq!(issue(token(1)).guard(), Revision::ZERO);
    let draft = Draft::of_namespace(origin(), Revision::new(4), namespace("notes", "kn_"));
    assert_eq!(draft.guard(), Revision::new(4));
    assert_eq!(draft.change().token_id(), None);
    Ok(())
}

#[test]
fn what_is_not_an_entry_is_refused() -> Result<(), Box<dyn Error>> {
    let body = Entry::seal(&issue(token(1)), Revision::new(1), &Link::START)?.body;
    let text = String::from_utf8(body)?;
    for bad in [
        String::new(),
        "{}".to_owned(),
        text[..text.len() - 1].to_owned(),
        format!("{text}{text}"),
        text.replacen("{\"revision\"", "{\"more\":1,\"revision\"", 1),
        text.replacen("\"actor\":\"ann\"", "\"actor\":\"\"", 1),
        text.replacen("\"revision\":1", "\"revision\":-1", 1),
    ] {
        assert!(
            Entry::open(bad.clone().into_bytes(), Link::START).is_err(),
            "{bad}"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_entry_is_read_back_as_it_was_sealed(draft in any_draft(), revision: u64, previous: [u8; 32]) {
        let previous = Link::from_bytes(&previous)?;
        let sealed = Entry::seal(&draft, Revision::new(revision), &previous)?;
        prop_assert_eq!(&sealed.request_id, &draft.request_id);
        prop_assert_eq!(&sealed.time, &draft.time);
        prop_assert_eq!(&sealed.actor, &draft.actor);
        prop_assert_eq!(&sealed.change, draft.change());
        prop_assert_eq!(sealed.link, previous.then(&sealed.body));
        let opened = Entry::open(sealed.body.clone(), sealed.link)?;
        prop_assert_eq!(opened, sealed);
    }

    #[test]
    fn the_same_draft_is_always_the_same_bytes(draft in any_draft()) {
        let first = Entry::seal(&draft, Revision::new(1), &Link::START)?;
        let again = Draft { change: serde_json::from_slice(&serde_json::to_vec(&draft.change)?)?, ..draft };
        prop_assert_eq!(first, Entry::seal(&again, Revision::new(1), &Link::START)?);
    }

    #[test]
    fn a_changed_byte_changes_the_link(
        draft in any_draft(),
        position: proptest::sample::Index,
        flipped in 1_u8..,
    ) {
        let entry = Entry::seal(&draft, Revision::new(1), &Link::START)?;
        let mut body = entry.body.clone();
        body[position.index(entry.body.len())] ^= flipped;
        prop_assert_ne!(Link::START.then(&body), entry.link);
        let mut previous = *Link::START.as_bytes();
        previous[position.index(32)] ^= flipped;
        prop_assert_ne!(Link::from_bytes(&previous)?.then(&entry.body), entry.link);
    }
}
