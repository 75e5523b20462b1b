//! Why a connection is not used, though it was made.

/// Why a connection is not used.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Shaky(#[from] Shaky),
    #[error("the store is not the one that was followed: {0}")]
    Forked(String),
}

/// Why nothing is entrusted to a server.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Shaky {
    #[error("the server is a standby: name the primary")]
    Standby,
    #[error("{setting} is {found}: a crash could take acknowledged changes")]
    Setting { setting: &'static str, found: String },
    #[error(
        "synchronous_commit is local although synchronous_standby_names is set: a failover could take acknowledged changes"
    )]
    Local,
}
