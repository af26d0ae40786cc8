//! Who gives way when the cache is full.

/// The most that each may hold so that all together hold at most `room`: those below it keep all they have, those above it come down
/// to it. `None` when there is room for all.
pub(super) fn limit(mut held: Vec<u64>, mut room: u64) -> Option<u64> {
    held.sort_unstable();
    for (holders, held) in (1..=held.len() as u64).rev().zip(held) {
        let equal_part = room / holders;
        if held > equal_part {
            return Some(equal_part);
        }
        room -= held;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::limit;
    use proptest::prelude::*;

    #[test]
    fn the_largest_come_down_first() {
        let rows: [(&[u64], u64, Option<u64>); 7] = [
            (&[], 10, None),
            (&[10], 10, None),
            (&[11], 10, Some(10)),
            (&[1, 20], 11, Some(10)),
            (&[20, 1, 30], 21, Some(10)),
            (&[5, 5, 5], 15, None),
            (&[5, 6, 7], 15, Some(5)),
        ];
        for (held, room, expected) in rows {
            assert_eq!(limit(held.to_vec(), room), expected, "{held:?} in {room}");
        }
    }

    proptest! {
        #[test]
        fn all_fit_under_the_limit_and_an_equal_part_is_always_safe(held in prop::collection::vec(0_u64..1000, 0..20), room in 0_u64..9000) {
            let limit = limit(held.clone(), room);
            let kept: u64 = held.iter().map(|held| limit.map_or(*held, |limit| limit.min(*held))).sum();
            prop_assert!(kept <= room);
            prop_assert_eq!(limit.is_none(), held.iter().sum::<u64>() <= room);
            prop_assert!(limit.is_none_or(|limit| limit >= room / held.len() as u64));
        }
    }
}
