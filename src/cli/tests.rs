use super::*;

#[test]
fn the_arguments_are_well_defined() {
    Cli::command().debug_assert();
}

#[test]
fn a_password_may_not_be_an_argument() -> Result<(), clap::Error> {
    let refused = |args: &[&str]| {
        let matches = Cli::command().try_get_matches_from(args)?;
        Ok::<_, clap::Error>(store::refuse_password(&matches).err())
    };
    for command in ["serve", "migrate", "recover", "pepper retire file"] {
        let command: Vec<_> = command.split(' ').collect();
        let refused = |url| refused(&[&["tokenward"], &command[..], &["--store", url]].concat());
        for url in ["postgres://ann:s3cret@db/x", "postgresql://db/x?password=s3cret"] {
            let failure = refused(url)?;
            let line = failure.and_then(|failure| failure.line()).unwrap_or_default();
            assert!(line.contains("PGPASSWORD") && !line.contains("s3cret"), "{line}");
        }
        assert!(refused("postgres://ann@db/x")?.is_none());
    }
    assert!(refused(&["tokenward", "demo"])?.is_none());
    Ok(())
}

#[test]
fn a_cursor_may_begin_with_a_hyphen() {
    let parsed = Cli::try_parse_from(["tokenward", "watch", "--cursor", "-sXb"]);
    assert!(parsed.is_ok(), "{parsed:?}");
}
