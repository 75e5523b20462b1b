//! A token in the cache is never older than its last change that was applied.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::clock::{Entropy, ManualEntropy, random};
use crate::token::Token;
use crate::token::samples::{instant, kept, slug, subject, token};

fn cache(tokens: usize) -> Cache {
    Cache::new(NonZeroUsize::new(tokens).unwrap())
}

/// A digest of the token of this number; as spread out as a real one, and quicker to make.
fn digest(number: u64, version: u32) -> Digest {
    let mut bytes = [0; 32];
    ManualEntropy::seeded(number << 8 | u64::from(version)).fill(&mut bytes);
    Digest::from_bytes(&bytes).unwrap()
}

/// The token of this number as it was after the entry of this revision.
fn as_of(number: u64, revision: u64) -> Facts {
    let token = Token {
        create_time: instant(i64::try_from(revision).unwrap()),
        ..token(number)
    };
    Facts::of(&token, None)
}

fn revision_of(token: &Token) -> u64 {
    u64::try_from(instant(0).until(token.create_time).as_micros()).unwrap()
}

#[test]
fn a_fill_read_before_the_last_change_is_dropped() {
    let cache = cache(10);
    assert!(cache.fill(digest(1, 1), &as_of(1, 5), Revision::new(5)));
    assert_eq!(cache.get(&digest(1, 1)), Some(as_of(1, 5)));
    cache.evict(token(1).id, Revision::new(6));
    assert_eq!(cache.get(&digest(1, 1)), None);
    assert!(!cache.fill(digest(1, 1), &as_of(1, 5), Revision::new(5)));
    assert_eq!(cache.get(&digest(1, 1)), None);
    // A read at the change itself has seen it.
    assert!(cache.fill(digest(1, 1), &as_of(1, 6), Revision::new(6)));
    assert_eq!(cache.get(&digest(1, 1)), Some(as_of(1, 6)));
}

#[test]
fn what_was_never_filled_is_fenced_too() {
    let cache = cache(10);
    cache.evict(token(1).id, Revision::new(6));
    assert!(!cache.fill(digest(1, 1), &as_of(1, 5), Revision::new(5)));
    assert_eq!(cache.get(&digest(1, 1)), None);
}

#[test]
fn a_change_reaches_a_token_by_all_its_secrets() {
    let cache = cache(10);
    for version in 1..=3 {
        cache.fill(digest(1, version), &as_of(1, 1), Revision::new(1));
    }
    cache.fill(digest(2, 1), &as_of(2, 1), Revision::new(1));
    cache.evict(token(1).id, Revision::new(2));
    for version in 1..=3 {
        assert_eq!(cache.get(&digest(1, version)), None);
    }
    assert_eq!(cache.get(&digest(2, 1)), Some(as_of(2, 1)));
    // Found by one secret, it is known by all: a digest belongs to one token for ever.
    cache.fill(digest(1, 3), &as_of(1, 2), Revision::new(2));
    assert_eq!(cache.get(&digest(1, 1)), Some(as_of(1, 2)));
}

#[test]
fn a_change_turns_away_no_fills_but_of_its_stripe() {
    let cache = cache(10);
    let stripes = (0..1000).filter(|number| {
        cache.evict(token(0).id, Revision::new(6));
        !cache.fill(digest(*number, 1), &as_of(*number, 5), Revision::new(5))
    });
    // Itself, and about one in a thousand others.
    assert!((1..10).contains(&stripes.count()));
}

#[test]
fn a_cache_holds_about_as_many_tokens_as_it_was_made_for() {
    const TOKENS: usize = 10;
    let cache = cache(TOKENS);
    for number in 0..1000 {
        for version in 1..=2 {
            cache.fill(digest(number, version), &as_of(number, 1), Revision::new(1));
        }
    }
    assert!((TOKENS / 2..=TOKENS).contains(&cache.tokens.len()), "{cache:?}");
    assert!(cache.ids.len() <= TOKENS * 2, "{}", cache.ids.len());
}

#[test]
fn what_is_asked_for_often_stays_while_others_pass_through() {
    const OFTEN: u64 = 5;
    const ROUNDS: u64 = 500;
    let cache = cache(20);
    let mut asked = |number| {
        let found = cache.get(&digest(number, 1)).is_some();
        cache.fill(digest(number, 1), &as_of(number, 1), Revision::new(1));
        // Or a token that comes back at once would be looked up each time.
        assert!(cache.get(&digest(number, 1)).is_some(), "{number}");
        u64::from(found)
    };
    let mut hits = 0;
    for round in 0..ROUNDS {
        asked(OFTEN + round);
        hits += (0..OFTEN).map(&mut asked).sum::<u64>();
    }
    assert!(hits * 100 >= OFTEN * ROUNDS * 95, "{hits}");
}

/// Keys whose hash is told by few bits would make one long list of a map.
#[test]
fn keys_are_spread_by_their_ends() {
    const KEYS: u64 = 4096;
    let spread = |hashes: &dyn Fn(u64) -> u64| {
        let mut stripes = [0; 64];
        for number in 0..KEYS {
            stripes[hashes(number) as usize % 64] += 1;
        }
        stripes.into_iter().max().unwrap()
    };
    let even = KEYS / 64;
    assert!(spread(&|number| Tail::default().hash_one(kept(number, 1, instant(0)).digest)) < even * 2);
    let entropy = ManualEntropy::seeded(1);
    let id = |_| TokenId::new(instant(0), random(&entropy));
    assert!(spread(&|number| Tail::default().hash_one(id(number))) < even * 2);
}

/// A step of a verifier's life, seen from the cache.
#[derive(Clone, Debug)]
enum Step {
    /// The token of this number changes in the store.
    Commit(u64),
    /// The follower applies the next entry.
    Apply,
    /// A look-up reads the token of this number; its answer is under way.
    Read(u64),
    /// One of the answers under way arrives.
    Arrive(prop::sample::Index),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..TOKENS).prop_map(Step::Commit),
        Just(Step::Apply),
        (0..TOKENS).prop_map(Step::Read),
        any::<prop::sample::Index>().prop_map(Step::Arrive),
    ]
}

const TOKENS: u64 = 3;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_the_order_nothing_older_than_what_was_applied_is_found(
        steps in prop::collection::vec(any_step(), 1..100),
    ) {
        let cache = cache(100);
        let mut journal: Vec<u64> = Vec::new();
        let mut applied = 0;
        let mut under_way = Vec::new();
        let last_change = |journal: &[u64], number| {
            journal.iter().rposition(|changed| *changed == number).map_or(0, |at| at as u64 + 1)
        };
        for step in steps {
            match step {
                Step::Commit(number) => journal.push(number),
                Step::Apply if applied < journal.len() => {
                    applied += 1;
                    cache.evict(token(journal[applied - 1]).id, Revision::new(applied as u64));
                }
                Step::Read(number) => {
                    let read = as_of(number, last_change(&journal, number));
                    under_way.push((number, read, Revision::new(journal.len() as u64)));
                }
                Step::Arrive(which) if !under_way.is_empty() => {
                    let (number, read, fence) = under_way.swap_remove(which.index(under_way.len()));
                    cache.fill(digest(number, 1), &read, fence);
                }
                Step::Apply | Step::Arrive(_) => {}
            }
            for number in 0..TOKENS {
                if let Some(found) = cache.get(&digest(number, 1)) {
                    prop_assert!(revision_of(&found) >= last_change(&journal[..applied], number));
                }
            }
        }
    }
}

#[test]
fn on_many_threads_nothing_older_than_what_was_applied_is_found() {
    const CHANGES: u64 = 5_000;
    let cache = cache(100);
    // What the store holds: its head, and the last change to each token.
    let store = Mutex::new((0, [0; TOKENS as usize]));
    let applied = [const { AtomicU64::new(0) }; TOKENS as usize];
    let done = AtomicU64::new(0);
    std::thread::scope(|threads| {
        for seed in 0..3 {
            let (cache, store, applied, done) = (&cache, &store, &applied, &done);
            threads.spawn(move || {
                let entropy = ManualEntropy::seeded(seed);
                while done.load(Ordering::SeqCst) == 0 {
                    let [byte, pause] = random(&entropy);
                    let number = u64::from(byte) % TOKENS;
                    let at = number as usize;
                    let (head, changed) = {
                        let store = store.lock().unwrap();
                        (store.0, store.1[at])
                    };
                    if pause % 4 == 0 {
                        std::thread::yield_now();
                    }
                    cache.fill(digest(number, 1), &as_of(number, changed), Revision::new(head));
                    let at_least = applied[at].load(Ordering::SeqCst);
                    if let Some(found) = cache.get(&digest(number, 1)) {
                        assert!(revision_of(&found) >= at_least);
                    }
                }
            });
        }
        let entropy = ManualEntropy::seeded(99);
        for revision in 1..=CHANGES {
            let mut byte = [0];
            entropy.fill(&mut byte);
            let at = usize::from(byte[0]) % TOKENS as usize;
            {
                let mut store = store.lock().unwrap();
                store.0 = revision;
                store.1[at] = revision;
            }
            cache.evict(token(at as u64).id, Revision::new(revision));
            applied[at].store(revision, Ordering::SeqCst);
        }
        done.store(1, Ordering::SeqCst);
    });
}

#[test]
fn a_change_to_a_subject_makes_misses_of_its_tokens_until_they_are_read_anew() {
    let cache = cache(100);
    let of = |number: u64, name: &str| {
        let token = Token {
            subject: subject(name),
            ..token(number)
        };
        Facts::of(&token, None)
    };
    let names = ["ann", "ann", "bob"];
    let fill = |fence| {
        for (number, name) in (1..).zip(names) {
            cache.fill(digest(number, 1), &of(number, name), Revision::new(fence));
        }
    };
    let hits = || [1, 2, 3].map(|number| cache.get(&digest(number, 1)).is_some());
    fill(5);
    assert_eq!(hits(), [true; 3]);
    cache.subject_changed(&token(1).namespace, &subject("ann"), Revision::new(6));
    assert_eq!(hits(), [false, false, true]);
    // What was read before is no hit, whenever it is kept.
    fill(5);
    assert_eq!(hits(), [false, false, true]);
    fill(6);
    assert_eq!(hits(), [true; 3]);
    // Of the same name in another namespace it is somebody else.
    cache.subject_changed(&slug("tasks"), &subject("bob"), Revision::new(7));
    assert_eq!(hits(), [true; 3]);
}
