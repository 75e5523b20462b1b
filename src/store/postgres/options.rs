//! Which database, and what of it is used.

use std::fmt;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

/// Where a Postgres store is, and how to get in.
///
/// What the URL leaves open comes from `PGUSER`, `PGPASSWORD`, `.pgpass` and the like. It is shown without
/// its password, however it is shown.
#[derive(Clone)]
pub struct PostgresOptions {
    pub(super) connect: Box<PgConnectOptions>,
    pub(super) listen: bool,
    password_in_url: bool,
}

/// A text that is no address of a Postgres database. It is not repeated: it may hold a password.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("is no URL such as postgres://user@host:5432/database?sslmode=verify-full")]
pub struct NotPostgresUrl;

impl PostgresOptions {
    /// The schemes of an address.
    pub const SCHEMES: [&str; 2] = ["postgres", "postgresql"];

    /// Does not listen to notifications: what others commit is noticed when the head is next asked for.
    pub fn without_notifications(self) -> PostgresOptions {
        PostgresOptions {
            listen: false,
            ..self
        }
    }

    /// Whether the URL itself gives a password away.
    pub fn password_in_url(&self) -> bool {
        self.password_in_url
    }
}

impl FromStr for PostgresOptions {
    type Err = NotPostgresUrl;

    fn from_str(url: &str) -> Result<PostgresOptions, NotPostgresUrl> {
        let (scheme, rest) = url.split_once("://").ok_or(NotPostgresUrl)?;
        if !PostgresOptions::SCHEMES.contains(&scheme) {
            return Err(NotPostgresUrl);
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let user = place
            .split('/')
            .next()
            .and_then(|authority| authority.rsplit_once('@'));
        let parameters = query.split(['&', '#']);
        Ok(PostgresOptions {
            connect: Box::new(url.parse().map_err(|_| NotPostgresUrl)?),
            listen: true,
            password_in_url: user.is_some_and(|(user, _)| user.contains(':'))
                || parameters
                    .into_iter()
                    .any(|parameter| parameter.starts_with("password=")),
        })
    }
}

impl fmt::Display for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.connect.get_username();
        let database = self.connect.get_database().unwrap_or(user);
        match self.connect.get_socket() {
            Some(socket) => write!(f, "postgres://{user}@/{database}?host={}", socket.display()),
            None => write!(
                f,
                "postgres://{user}@{}:{}/{database}",
                self.connect.get_host(),
                self.connect.get_port()
            ),
        }
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("connect", &self.to_string())
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITH_PASSWORD: [&str; 4] = [
        "postgres://ann:s3cr%25et@db.example:5433/tokens",
        "postgres://ann:s3cr%25et@db.example:5433/tokens?sslmode=require",
        "postgresql://ann@db.example:5433/tokens?sslmode=require&password=s3cr%25et",
        "postgres://db.example:5433/tokens?password=s3cr%25et&user=ann",
    ];

    #[test]
    fn a_password_is_noticed_and_never_shown() -> Result<(), NotPostgresUrl> {
        for url in WITH_PASSWORD {
            let options: PostgresOptions = url.parse()?;
            assert!(options.password_in_url(), "{url}");
            assert_eq!(options.to_string(), "postgres://ann@db.example:5433/tokens");
            assert!(!format!("{options:?} {options:#?}").contains("s3cr"), "{url}");
        }
        for url in [
            "postgres://ann@db.example:5433/tokens",
            "postgres://ann@db.example/tokens?application_name=a:b@c",
            "postgres:///tokens?host=/run/postgresql",
        ] {
            assert!(!url.parse::<PostgresOptions>()?.password_in_url(), "{url}");
        }
        Ok(())
    }

    #[test]
    fn what_is_no_url_is_refused_without_being_repeated() {
        for text in [
            "",
            "postgres",
            "postgres:ann:s3cret@db/tokens",
            "mysql://ann:s3cret@db/tokens",
            "postgres://ann:s3cret@db:port/tokens",
            "postgres://ann:s3cret@db/tokens?sslmode=s3cret",
        ] {
            let refused = text.parse::<PostgresOptions>().map(|_| ());
            assert_eq!(refused, Err(NotPostgresUrl), "{text}");
        }
        assert!(!NotPostgresUrl.to_string().contains("s3cret"));
    }
}
