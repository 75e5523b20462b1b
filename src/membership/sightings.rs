//! Who has not been heard of for so long that nothing can be accepted on its behalf any more.

use std::collections::HashMap;
use std::time::Duration;

use crate::store::member::MemberId;
use crate::store::roll::Member;

/// When each member was first seen as it is now.
#[derive(Default, Debug)]
pub(super) struct Sightings(HashMap<MemberId, (u64, Duration)>);

impl Sightings {
    /// Takes in the roll as it was read before `now`; answers with the members that were seen unchanged for
    /// longer than `outlived`. Their leases were granted before they were first seen like this.
    pub(super) fn silent(&mut self, roll: &[Member], now: Duration, outlived: Duration) -> Vec<Member> {
        let before = std::mem::take(&mut self.0);
        let mut silent = Vec::new();
        for member in roll {
            let since = match before.get(&member.id) {
                Some((beat, since)) if *beat == member.beat => *since,
                _ => now,
            };
            self.0.insert(member.id, (member.beat, since));
            if now.saturating_sub(since) > outlived {
                silent.push(member.clone());
            }
        }
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Revision;

    const OUTLIVED: Duration = Duration::from_millis(1010);

    fn member(id: u8, beat: u64) -> Member {
        Member {
            id: MemberId::new([id; 16]),
            name: String::new(),
            beat,
            acked: Revision::ZERO,
        }
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn silence_is_counted_from_the_first_sight_of_a_beat() {
        let mut sightings = Sightings::default();
        let mut see = |millis, members: &[Member]| sightings.silent(members, at(millis), OUTLIVED);
        assert_eq!(see(5_000, &[member(1, 1), member(2, 1)]), [], "never seen before");
        assert_eq!(see(6_010, &[member(1, 1), member(2, 2)]), [], "not longer yet");
        assert_eq!(see(6_011, &[member(1, 1), member(2, 2)]), [member(1, 1)]);
        assert_eq!(
            see(6_012, &[member(1, 2), member(2, 2)]),
            [],
            "it was heard of again"
        );
        assert_eq!(see(7_022, &[member(1, 2), member(2, 2)]), [member(2, 2)]);
    }

    #[test]
    fn who_was_off_the_roll_is_seen_anew() {
        let mut sightings = Sightings::default();
        sightings.silent(&[member(1, 1)], at(0), OUTLIVED);
        sightings.silent(&[], at(500), OUTLIVED);
        assert_eq!(sightings.silent(&[member(1, 1)], at(1_200), OUTLIVED), []);
    }
}
