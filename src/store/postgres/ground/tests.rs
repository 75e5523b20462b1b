use super::*;
use crate::journal::Revision;
use crate::journal::cursor::Epoch;

fn head(revision: u64) -> Head {
    Head {
        epoch: Epoch::new([1; 16]),
        revision: Revision::new(revision),
        link: link_of(revision),
        oldest: Revision::new(1),
    }
}

fn link_of(revision: u64) -> Link {
    Link::START.then(&revision.to_be_bytes())
}

/// A primary as it should be, at revision 9; what it says of revision 5.
fn found() -> Found {
    let on = || "on".to_owned();
    Found {
        standby: false,
        fsync: on(),
        full_page_writes: on(),
        synchronous_commit: on(),
        synchronous_standby_names: String::new(),
        head: head(9),
        link_then: Some(link_of(5)),
    }
}

fn with(change: impl FnOnce(&mut Found)) -> Found {
    let mut found = found();
    change(&mut found);
    found
}

#[test]
fn a_standby_is_refused() {
    assert_eq!(stands(&found()), Ok(()));
    assert_eq!(stands(&with(|found| found.standby = true)), Err(Shaky::Standby));
}

#[test]
fn what_could_lose_an_acknowledged_change_is_refused_by_name() {
    for (found, wanted) in [
        (with(|found| found.fsync = "off".to_owned()), "fsync"),
        (
            with(|found| found.full_page_writes = "off".to_owned()),
            "full_page_writes",
        ),
        (
            with(|found| found.synchronous_commit = "off".to_owned()),
            "synchronous_commit",
        ),
    ] {
        let refusal = stands(&found).map_err(|shaky| shaky.to_string());
        let wanted = format!("{wanted} is off: a crash could take acknowledged changes");
        assert_eq!(refusal, Err(wanted));
    }
}

#[test]
fn local_commits_are_refused_only_where_there_are_standbys() {
    let local = with(|found| found.synchronous_commit = "local".to_owned());
    assert_eq!(stands(&local), Ok(()));
    let with_standbys = Found {
        synchronous_standby_names: "ANY 1 (a, b)".to_owned(),
        ..local
    };
    assert_eq!(stands(&with_standbys), Err(Shaky::Local));
    for mode in ["on", "remote_write", "remote_apply"] {
        let found = Found {
            synchronous_commit: mode.to_owned(),
            ..with_standbys.clone()
        };
        assert_eq!(stands(&found), Ok(()), "{mode}");
    }
}

#[test]
fn only_a_journal_that_goes_on_from_what_was_seen_is_followed() {
    let holds = |found: &Found, seen: &Head| follows(found, seen).is_ok();
    assert!(holds(&found(), &head(9)), "nothing was written since");
    assert!(holds(&found(), &head(5)), "it went on");
    assert!(holds(&found(), &head(0)), "there was nothing to see");

    assert!(!holds(&found(), &head(10)), "it ends before");
    let renamed = Head {
        epoch: Epoch::new([2; 16]),
        ..head(9)
    };
    assert!(!holds(&found(), &renamed), "it is another journal");
    let other = |revision| Head {
        link: link_of(77),
        ..head(revision)
    };
    assert!(!holds(&found(), &other(9)), "the same length, another past");
    assert!(!holds(&found(), &other(5)), "longer, another past");
    let gap = with(|found| found.link_then = None);
    assert!(!holds(&gap, &head(5)), "a hole where an entry was");
    let trimmed = with(|found| {
        found.link_then = None;
        found.head.oldest = Revision::new(6);
    });
    assert!(holds(&trimmed, &head(5)), "trimmed since: nothing contradicts");
    assert!(!holds(&trimmed, &other(9)), "the head is never trimmed");
}

#[test]
fn an_answer_must_not_be_behind_what_was_seen_before_it_was_asked_for() {
    let fine = |answered: &Head, seen: Option<&Head>| not_behind(answered, seen).is_ok();
    assert!(fine(&head(1), None));
    assert!(fine(&head(5), Some(&head(5))));
    assert!(fine(&head(6), Some(&head(5))));
    assert!(!fine(&head(4), Some(&head(5))));
    let another_link = Head {
        link: link_of(77),
        ..head(5)
    };
    assert!(!fine(&another_link, Some(&head(5))));
    let another_epoch = Head {
        epoch: Epoch::new([2; 16]),
        ..head(6)
    };
    assert!(!fine(&another_epoch, Some(&head(5))));
}

#[test]
fn what_was_seen_never_goes_back() {
    let ground = Ground::default();
    assert_eq!(ground.seen(), None);
    for revision in [3, 5, 4] {
        ground.saw(head(revision));
    }
    assert_eq!(ground.seen(), Some(head(5)));
}
