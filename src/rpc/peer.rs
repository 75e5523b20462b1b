//! Who is at the other end of a connection, and whom the names in its certificate stand for.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::watch;

use crate::token::caller::Caller;
use crate::token::scope::Scopes;
use crate::token::text::Actor;

/// The other end of a connection; an extension of every request that came over it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it calls from: whose budget pays for finding out who it is. Not to be mistaken for any actor.
    pub origin: Arc<str>,
    /// Its address, for credentials that are good from some networks only.
    pub address: Option<IpAddr>,
    /// What a verified client certificate names: one SPIFFE ID, or DNS names. `None`: it showed none.
    pub names: Option<Arc<[String]>>,
}

impl Peer {
    /// Somebody who calls from there, and has shown no certificate.
    pub fn at(address: impl Display) -> Peer {
        Peer {
            origin: format!("address:{address}").into(),
            address: None,
            names: None,
        }
    }
}

/// A caller who is known by a name in a certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The name.
    pub actor: Actor,
    /// Read by `Permissions::of`.
    pub permissions: Arc<Scopes>,
}

/// Callers by name.
pub type IdentityTable = HashMap<String, Arc<Identity>>;

/// The callers there are now: the table may change under connections that are open.
#[derive(Clone, Debug)]
pub struct Identities(watch::Receiver<IdentityTable>);

impl Identities {
    pub fn none() -> Identities {
        Identities(watch::channel(IdentityTable::default()).1)
    }

    /// Whoever is behind the first of the peer's names that is in the table.
    pub fn of(&self, peer: &Peer) -> Option<Arc<Identity>> {
        let names = peer.names.as_ref()?;
        let table = self.0.borrow();
        names.iter().find_map(|name| table.get(name)).cloned()
    }

    /// Whether a caller who was found before would still be, with what it could do then.
    pub(super) fn still_have(&self, caller: &Caller) -> bool {
        let table = self.0.borrow();
        let row = table.get(caller.actor().as_str());
        row.is_some_and(|row| *row.permissions == *caller.permitted())
    }
}

impl From<watch::Receiver<IdentityTable>> for Identities {
    fn from(table: watch::Receiver<IdentityTable>) -> Identities {
        Identities(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(names: &[&str]) -> IdentityTable {
        let identity = |name: &&str| {
            let actor = Actor::try_from((*name).to_owned()).unwrap();
            let permissions = Arc::new(Scopes::default());
            ((*name).to_owned(), Arc::new(Identity { actor, permissions }))
        };
        names.iter().map(identity).collect()
    }

    fn peer(names: &[&str]) -> Peer {
        Peer {
            names: Some(names.iter().map(|name| (*name).to_owned()).collect()),
            ..Peer::at("nowhere")
        }
    }

    #[test]
    fn the_first_name_in_the_table_counts_and_the_table_is_the_present_one() {
        let (sender, receiver) = watch::channel(table(&["b.example", "c.example"]));
        let identities = Identities::from(receiver);
        let actor = |names: &[&str]| {
            let identity = identities.of(&peer(names))?;
            Some(identity.actor.to_string())
        };
        assert_eq!(
            actor(&["a.example", "c.example", "b.example"]).as_deref(),
            Some("c.example")
        );
        assert_eq!(actor(&["a.example"]), None);
        sender.send_replace(table(&["a.example"]));
        assert_eq!(actor(&["a.example"]).as_deref(), Some("a.example"));
        assert_eq!(actor(&["b.example"]), None);
        assert_eq!(identities.of(&Peer::at("nowhere")), None);
        assert_eq!(Identities::none().of(&peer(&["a.example"])), None);
    }
}
