//! What the identities file may say, and what is said of one that is wrong.

use super::*;
use crate::token::permission::{Permissions, Right};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn read(text: &str) -> Result<IdentityTable, IdentitiesError> {
    parse(Path::new("identities.toml"), text)
}

fn slug(text: &str) -> Result<Slug, Box<dyn std::error::Error>> {
    Ok(Slug::try_from(text.to_owned())?)
}

#[test]
fn rows_say_who_may_do_what() -> Outcome {
    let table = read(
        r#"
        [[identity]]
        san = "spiffe://example.org/ns/prod/sa/gateway"
        role = "verifier"
        namespaces = ["notes", "tasks"]
        permissions = ["tokens.verify.reason:notes"]

        [[identity]]
        san = "Ops.Example.org"
        role = "admin"

        [[identity]]
        san = "cache.example.org"
        permissions = ["revocations.watch:*"]
        "#,
    )?;
    assert_eq!(table.len(), 3);
    let gateway = &table["spiffe://example.org/ns/prod/sa/gateway"];
    assert_eq!(gateway.actor.as_str(), "spiffe://example.org/ns/prod/sa/gateway");
    let may = Permissions::of(&gateway.permissions);
    assert!(
        may.allow(Right::TokensVerify, &slug("notes")?) && may.allow(Right::TokensVerify, &slug("tasks")?)
    );
    assert!(may.allow(Right::TokensVerifyReason, &slug("notes")?));
    assert!(!may.allow(Right::TokensVerifyReason, &slug("tasks")?));
    assert!(!may.allow(Right::TokensVerify, &slug("others")?));
    // Names of hosts have no case.
    let ops = Permissions::of(&table["ops.example.org"].permissions);
    assert!(ops.allow_everywhere(Right::NamespacesManage));
    let cache = Permissions::of(&table["cache.example.org"].permissions);
    assert!(cache.allow_everywhere(Right::RevocationsWatch) && !cache.allow_somewhere(Right::TokensVerify));
    assert!(read("")?.is_empty());
    Ok(())
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let row = |fields: &str| format!("# callers\n[[identity]]\n{fields}");
    let may = "permissions = [\"tokens.verify:*\"]";
    let cases = [
        ("[[identiy]]".to_owned(), 1, "unknown field `identiy`"),
        (row("san = \"a.b\"\nrol = \"admin\""), 4, "unknown field `rol`"),
        (row("role = \"admin\""), 2, "missing field `san`"),
        (row("san = 7"), 3, "expected a string"),
        (row("san = \"a.b"), 3, "invalid basic string"),
        (
            row("san = \"a.b\""),
            2,
            "it may do nothing: give it role and namespaces, or permissions",
        ),
        (
            row(&format!("san = \"*.b\"\n{may}")),
            3,
            "san \"*.b\" must be a SPIFFE ID such as spiffe://example.org/ns/prod/sa/gateway, or a DNS name",
        ),
        (
            row(&format!("san = \"spiffe:///x\"\n{may}")),
            3,
            "must be a SPIFFE ID such as",
        ),
        (
            row(&format!("san = \"spiffe://d/x/\"\n{may}")),
            3,
            "must be a SPIFFE ID such as",
        ),
        (
            row(&format!("san = \"spiffe://d/a b\"\n{may}")),
            3,
            "must be a SPIFFE ID such as",
        ),
        (row(&format!("san = \"https://d/x\"\n{may}")), 3, "or a DNS name"),
        (
            row(&format!("san = \"spiffe://d/{}\"\n{may}", "x".repeat(200))),
            3,
            "must have at most 200 characters, not 211",
        ),
        (
            row(&format!(
                "san = \"a.b\"\n{may}\n[[identity]]\nsan = \"A.b\"\n{may}"
            )),
            6,
            "san \"A.b\" is there twice: keep one",
        ),
        (
            row("san = \"a.b\"\nrole = \"owner\"\nnamespaces = [\"*\"]"),
            4,
            "role \"owner\" must be verifier, issuer, watcher, auditor or admin",
        ),
        (
            row("san = \"a.b\"\nrole = \"verifier\""),
            4,
            "role \"verifier\" needs namespaces; [\"*\"] is every one",
        ),
        (
            row("san = \"a.b\"\nrole = \"verifier\"\nnamespaces = []"),
            4,
            "needs namespaces",
        ),
        (
            row("san = \"a.b\"\nrole = \"admin\"\nnamespaces = [\"notes\"]"),
            5,
            "an admin is one everywhere: leave namespaces out",
        ),
        (
            row(&format!("san = \"a.b\"\nnamespaces = [\"notes\"]\n{may}")),
            4,
            "namespaces say where it has its role: give it one",
        ),
        (
            row("san = \"a.b\"\nrole = \"verifier\"\nnamespaces = [\n  \"notes\",\n  \"No Tes\",\n]"),
            7,
            "namespaces: \"No Tes\" must be the slug of a namespace, or \"*\"",
        ),
        (
            row("san = \"a.b\"\npermissions = [\"tokens.verify\"]"),
            4,
            "permissions: \"tokens.verify\" is no permission",
        ),
        (
            row("san = \"a.b\"\npermissions = [\"tokens.grant:notes:Read\"]"),
            4,
            "permissions: \"tokens.grant:notes:Read\" must match",
        ),
    ];
    for (text, line, wrong) in cases {
        let told = read(&text).map_err(|error| error.to_string());
        let told = told.expect_err(&text);
        assert!(
            told.starts_with(&format!("identities.toml, line {line}: ")) && told.contains(wrong),
            "{told:?} for\n{text}"
        );
        assert!(!told.contains('\n'), "{told:?}");
    }
}

#[test]
fn more_permissions_than_a_token_may_have_are_refused() {
    let many: Vec<_> = (0..65).map(|n| format!("\"tokens.verify:n{n}\"")).collect();
    let text = format!("[[identity]]\nsan = \"a.b\"\npermissions = [{}]", many.join(", "));
    let told = read(&text).expect_err("65").to_string();
    assert!(told.contains("must have at most 64 elements, not 65"), "{told}");
}
