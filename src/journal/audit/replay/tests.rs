use super::*;
use crate::journal::Draft;
use crate::journal::link::Link;
use crate::journal::samples::origin;
use crate::token::samples::endpoint;
use crate::token::text::Name;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

/// One endpoint is created and updated, another is created and deleted; the rows that are left.
fn written() -> Fallible<(Vec<Entry>, Vec<Stored<Endpoint>>)> {
    let updated = Endpoint {
        description: Name::try_from("chat".to_owned())?,
        ..endpoint(1)
    };
    let changes = [
        WebhookChange::Created(endpoint(1)),
        WebhookChange::Created(endpoint(2)),
        WebhookChange::Updated(updated.clone()),
        WebhookChange::Deleted(endpoint(2)),
    ];
    let mut entries: Vec<Entry> = Vec::new();
    for change in changes {
        let (before, link) = entries
            .last()
            .map_or((Revision::ZERO, Link::START), |last| (last.revision, last.link));
        let draft = Draft::of_webhook(origin(), Revision::ZERO, change);
        entries.push(Entry::seal(&draft, before.next(), &link)?);
    }
    let row = Stored {
        record: updated,
        version: Revision::new(3),
    };
    Ok((entries, vec![row]))
}

#[test]
fn endpoints_must_be_what_their_last_entries_say() -> Fallible<()> {
    const FIRST: Revision = Revision::new(1);
    let (entries, rows) = written()?;
    let mut replay = WholeReplay::<Endpoint>::default();
    for entry in &entries {
        replay.apply(entry);
    }
    assert!(replay.agrees(&rows, FIRST).is_ok());
    let finding = |rows: &[Stored<Endpoint>], oldest| {
        let finding = replay.agrees(rows, oldest).err();
        finding.map(|finding| finding.to_string()).unwrap_or_default()
    };
    let id = rows[0].record.id;
    assert_eq!(
        finding(&[], FIRST),
        format!("endpoint {id}: its row is missing, revision 3 was the last to concern it")
    );
    let mut changed = rows[0].clone();
    changed.record.description = Name::try_from("eve".to_owned())?;
    assert_eq!(
        finding(&[changed], FIRST),
        format!("endpoint {id}: its row does not agree with its entries in description")
    );
    let of = |number| Stored {
        record: endpoint(number),
        version: Revision::new(2),
    };
    // Whatever is trimmed before it: it was deleted.
    for oldest in [FIRST, Revision::new(4)] {
        assert_eq!(
            finding(&[rows[0].clone(), of(2)], oldest),
            format!(
                "endpoint {}: it has a row, but revision 4 deleted it",
                of(2).record.id
            )
        );
    }
    let unheard_of = [rows[0].clone(), of(3)];
    assert_eq!(
        finding(&unheard_of, FIRST),
        format!("endpoint {}: it has a row, but no entry made it", of(3).record.id)
    );
    // Its entries may have been trimmed.
    assert_eq!(finding(&unheard_of, Revision::new(2)), "");
    Ok(())
}
