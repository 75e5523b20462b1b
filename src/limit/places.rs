//! So many at once in all, and so many of each.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places to be held, by somebody.
#[derive(Debug)]
pub struct Places<K> {
    at_most: usize,
    of_each: usize,
    taken: Mutex<Taken<K>>,
}

#[derive(Debug)]
struct Taken<K> {
    total: usize,
    by_holder: HashMap<K, usize>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Place<K: Eq + Hash> {
    places: Arc<Places<K>>,
    holder: K,
}

/// Why there is no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Full {
    Total,
    /// This holder has as many as one may have.
    Holder,
}

impl<K: Eq + Hash + Clone> Places<K> {
    /// `at_most` in all, and of those `of_each` at most for one holder.
    pub fn new(at_most: usize, of_each: usize) -> Arc<Places<K>> {
        let taken = Taken {
            total: 0,
            by_holder: HashMap::new(),
        };
        Arc::new(Places {
            at_most,
            of_each,
            taken: Mutex::new(taken),
        })
    }

    pub fn take(self: &Arc<Places<K>>, holder: K) -> Result<Place<K>, Full> {
        let mut taken = self.taken();
        if taken.total >= self.at_most {
            return Err(Full::Total);
        }
        if taken
            .by_holder
            .get(&holder)
            .is_some_and(|held| *held >= self.of_each)
        {
            return Err(Full::Holder);
        }
        taken.total += 1;
        *taken.by_holder.entry(holder.clone()).or_default() += 1;
        drop(taken);
        Ok(Place {
            places: Arc::clone(self),
            holder,
        })
    }
}

impl<K> Places<K> {
    /// How many are held.
    pub fn held(&self) -> usize {
        self.taken().total
    }

    fn taken(&self) -> MutexGuard<'_, Taken<K>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.total -= 1;
        // Only those who hold something are remembered.
        if let Some(held) = taken.by_holder.get_mut(&self.holder) {
            *held -= 1;
            if *held == 0 {
                taken.by_holder.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_in_all_and_of_each() {
        let places = Places::new(3, 2);
        let full = |holder| places.take(holder).err();
        let (first, second) = (places.take("a").unwrap(), places.take("a").unwrap());
        assert_eq!(full("a"), Some(Full::Holder));
        let third = places.take("b").unwrap();
        assert_eq!(full("b"), Some(Full::Total));
        assert_eq!(places.held(), 3);
        drop(first);
        assert_eq!(full("a"), None);
        drop((second, third));
        assert_eq!(places.held(), 0);
        assert!(places.taken().by_holder.is_empty());
    }
}
