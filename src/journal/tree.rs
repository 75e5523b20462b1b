//! The Merkle tree over the journal (RFC 6962): one hash that stands for all entries up to a revision.

use sha2::{Digest as _, Sha256};

/// What is kept of the tree over the first entries: enough to go on with the next one, and to tell the root.
///
/// The hashes of the largest whole subtrees, from the left: one for each bit that is set in the number of entries.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Range {
    size: u64,
    subtrees: Vec<Hash>,
}

type Hash = [u8; 32];

/// The root of a tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Root(Hash);

/// Bytes that are not the subtrees of a tree of that size.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not the subtrees of a tree of {size} entries")]
pub struct NotRange {
    size: u64,
}

impl Range {
    /// So many entries it stands for: the revision of the last one.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next entry in, by its body as it is stored.
    pub fn append(&mut self, body: &[u8]) {
        let mut hash = leaf(body);
        // A subtree is whole as often as the number of entries before it ends in a one.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.subtrees.pop() {
                hash = node(&left, &hash);
            }
        }
        self.subtrees.push(hash);
        self.size += 1;
    }

    pub fn root(&self) -> Root {
        let from_the_right = self.subtrees.iter().rev().copied();
        let root = from_the_right.reduce(|right, left| node(&left, &right));
        Root(root.unwrap_or_else(|| Sha256::digest([]).into()))
    }

    /// The subtrees, one after another.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.subtrees.concat()
    }

    pub fn from_bytes(size: u64, bytes: &[u8]) -> Result<Range, NotRange> {
        let (subtrees, rest) = bytes.as_chunks::<32>();
        if !rest.is_empty() || subtrees.len() != size.count_ones() as usize {
            return Err(NotRange { size });
        }
        Ok(Range {
            size,
            subtrees: subtrees.to_vec(),
        })
    }
}

impl Root {
    pub fn from_bytes(bytes: &[u8]) -> Option<Root> {
        bytes.try_into().map(Root).ok()
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Leaves and nodes are told apart, or a node could be shown as an entry.
fn leaf(body: &[u8]) -> Hash {
    Sha256::new()
        .chain_update([0])
        .chain_update(body)
        .finalize()
        .into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::prelude::*;

    use super::*;

    fn range(bodies: &[Vec<u8>]) -> Range {
        let mut range = Range::default();
        for body in bodies {
            range.append(body);
        }
        range
    }

    /// As section 2.1 of RFC 6962 has it.
    fn by_definition(bodies: &[Vec<u8>]) -> Hash {
        match bodies {
            [] => Sha256::digest([]).into(),
            [body] => leaf(body),
            _ => {
                let (left, right) = bodies.split_at(bodies.len().next_power_of_two() / 2);
                node(&by_definition(left), &by_definition(right))
            }
        }
    }

    /// The vectors of certificate transparency's own tests.
    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let leaves = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let bodies: Vec<_> = leaves
            .iter()
            .map(|leaf| HEXLOWER.decode(leaf.as_bytes()).unwrap())
            .collect();
        for (size, root) in roots.iter().enumerate() {
            assert_eq!(HEXLOWER.encode(range(&bodies[..size]).root().as_bytes()), *root);
        }
    }

    proptest! {
        #[test]
        fn it_grows_to_what_it_is_defined_as_from_wherever_it_was_kept(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..70),
            at in any::<prop::sample::Index>(),
        ) {
            let at = at.index(bodies.len() + 1);
            let kept = range(&bodies[..at]);
            let mut range = Range::from_bytes(at as u64, &kept.to_bytes()).unwrap();
            prop_assert_eq!(&range, &kept);
            for body in &bodies[at..] {
                range.append(body);
            }
            prop_assert_eq!(range.root(), Root(by_definition(&bodies)));
        }

        #[test]
        fn a_root_is_of_these_entries_in_this_order_alone(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 2..40),
            (one, other) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        ) {
            let root = range(&bodies).root();
            let (one, other) = (one.index(bodies.len()), other.index(bodies.len()));
            let mut swapped = bodies.clone();
            swapped.swap(one, other);
            prop_assert_eq!(range(&swapped).root() == root, swapped == bodies);
            let mut changed = bodies.clone();
            changed[one].push(0);
            prop_assert_ne!(range(&changed).root(), root);
            prop_assert_ne!(range(&bodies[1..]).root(), root);
            prop_assert_ne!(range(&bodies[..bodies.len() - 1]).root(), root);
        }
    }

    #[test]
    fn other_bytes_are_no_range() {
        for (size, bytes) in [
            (0, 32),
            (1, 0),
            (1, 31),
            (1, 64),
            (3, 32),
            (4, 64),
            (u64::MAX, 63 * 32),
        ] {
            assert!(
                Range::from_bytes(size, &vec![0; bytes]).is_err(),
                "{size} {bytes}"
            );
        }
    }
}
