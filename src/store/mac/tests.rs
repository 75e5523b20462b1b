//! Rows that are believed, and rows that are not.

use data_encoding::HEXLOWER;
use serde_json::json;

use super::*;
use crate::token::samples::{instant, namespace, pepper, scopes, token, withdrawal};

const VERSION: Revision = Revision::new(7);

/// What the journal says while all of it is kept, the newest entry of the token being this one.
fn heard(newest: u64) -> Heard {
    Heard {
        newest: i64::try_from(newest).ok(),
        oldest: Some(1),
    }
}

fn read(record: &Token, version: i64, mac: Option<&[u8]>, heard: Heard) -> Result<Token, Wrong> {
    let json = json!(record).to_string();
    let row = RawRow {
        version,
        record: Some(&json),
        mac,
    };
    let stored = super::token(&pepper(7).row_key(), record.id.as_bytes(), &row, heard);
    stored.map(|stored| stored.record).map_err(|bad| bad.wrong)
}

fn mac(token: &Token) -> Result<RowMac, StoreError> {
    of_token(&pepper(7).row_key(), token, VERSION)
}

#[test]
fn what_was_written_is_believed() -> Result<(), StoreError> {
    let mac = mac(&token(1))?;
    assert_eq!(read(&token(1), 7, Some(&mac), heard(7)), Ok(token(1)));
    Ok(())
}

#[test]
fn every_fact_is_under_the_mac() -> Result<(), StoreError> {
    let mut revoked = token(1);
    revoked.revocation = Some(withdrawal(instant(1)));
    let written = mac(&revoked)?;
    let forgeries: [fn(&mut Token); 9] = [
        |token| token.id = crate::token::samples::token(2).id,
        |token| token.namespace = crate::token::samples::slug("tasks"),
        |token| token.scopes = scopes(&["admin"]),
        |token| token.subject = crate::token::text::Subject::try_from("eve".to_owned()).unwrap(),
        |token| token.expire_time = Some(instant(9)),
        |token| token.create_time = instant(9),
        |token| token.revocation = None,
        |token| token.secrets.push(crate::token::samples::kept(2, 2, instant(0))),
        |token| token.secrets[0].retire_time = Some(instant(9)),
    ];
    for (number, forge) in forgeries.into_iter().enumerate() {
        let mut forged = revoked.clone();
        forge(&mut forged);
        assert_eq!(
            read(&forged, 7, Some(&written), heard(7)),
            Err(Wrong::Forged),
            "{number}"
        );
    }
    Ok(())
}

#[test]
fn a_row_is_of_its_version_its_kind_and_its_key() -> Result<(), StoreError> {
    let written = mac(&token(1))?;
    assert_eq!(read(&token(1), 8, Some(&written), heard(8)), Err(Wrong::Forged));
    let of_another_kind = of("namespace", &pepper(7).row_key(), &token(1), VERSION)?;
    assert_eq!(
        read(&token(1), 7, Some(&of_another_kind), heard(7)),
        Err(Wrong::Forged)
    );
    let of_another_key = of_token(&pepper(8).row_key(), &token(1), VERSION)?;
    assert_eq!(
        read(&token(1), 7, Some(&of_another_key), heard(7)),
        Err(Wrong::Forged)
    );
    assert_eq!(read(&token(1), 7, None, heard(7)), Err(Wrong::Unsealed));
    assert_eq!(
        read(&token(1), -1, Some(&written), heard(7)),
        Err(Wrong::Unreadable)
    );
    Ok(())
}

#[test]
fn the_journal_says_whether_a_row_is_the_newest() -> Result<(), StoreError> {
    let written = mac(&token(1))?;
    let outdated = Wrong::Outdated {
        version: VERSION,
        newest: Revision::new(9),
    };
    assert_eq!(read(&token(1), 7, Some(&written), heard(9)), Err(outdated));
    let unheard_of = Wrong::UnheardOf { version: VERSION };
    let trimmed = |oldest| Heard { newest: None, oldest };
    assert_eq!(read(&token(1), 7, Some(&written), trimmed(Some(8))), Ok(token(1)));
    assert_eq!(
        read(&token(1), 7, Some(&written), trimmed(Some(7))),
        Err(unheard_of.clone())
    );
    assert_eq!(read(&token(1), 7, Some(&written), trimmed(None)), Err(unheard_of));
    Ok(())
}

/// Rows outlive programs: were these to change, every row that was written before would be refused.
#[test]
fn what_the_mac_is_over_is_a_published_form() -> Result<(), Box<dyn std::error::Error>> {
    let token = String::from_utf8(canonical("token", &token(1), VERSION)?)?;
    let wanted = r#"["token",7,{"id":"01a3185c-5000-7000-8000-000000000001","namespace":"notes","name":"Laptop","subject":"ann","scopes":["read","write"],"labels":{},"create_time":1800000000000000,"expire_time":null,"suspension":null,"revocation":null,"secrets":[{"version":1,"digest":"50b5ac3eaaa19ed3f39f784ac6386774642484742510c86d9869b426ee3a5adf","pepper":1,"hint":"kn_0001…","create_time":1800000000000000,"retire_time":null}]}]"#;
    assert_eq!(token, wanted);
    let notes = namespace("notes", "kn_");
    let namespace = String::from_utf8(canonical("namespace", &notes, VERSION)?)?;
    let wanted = r#"["namespace",7,{"slug":"notes","display_name":"Notes","format":{"prefix":"kn_","body":"native"},"policy":{"self_management":"off"},"create_time":1800000000000000,"update_time":1800000000000000}]"#;
    assert_eq!(namespace, wanted);
    // Computed with Python: h(h(h(bytes([7]) * 32, b"tokenward native tag v1"), b"tokenward rows v1"), wanted),
    // where h is HMAC-SHA-256.
    assert_eq!(
        HEXLOWER.encode(&of_namespace(&pepper(7).row_key(), &notes, VERSION)?),
        "d5188cda6d429a2fc8adba1ce82831eefc9c9ee8278e889d2128f2bdb4ec1c23"
    );
    Ok(())
}
