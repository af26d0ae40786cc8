//! Power of two choices: of two addresses drawn at random, the one with fewer requests under way.

use std::net::SocketAddr;

/// `None` when there is no address but `avoid`. `random` is drawn anew for each call.
pub(super) fn choose(
    addresses: &[SocketAddr],
    avoid: Option<SocketAddr>,
    random: u64,
    load: impl Fn(SocketAddr) -> usize,
) -> Option<SocketAddr> {
    let avoided = avoid.and_then(|avoid| addresses.iter().position(|address| *address == avoid));
    let count = addresses.len() - usize::from(avoided.is_some());
    if count == 0 {
        return None;
    }
    let draw = |random: u64, count: usize| usize::try_from(random % count as u64).unwrap_or_default();
    // Indexes skip the avoided address, and the second draw skips the first.
    let skip = |index: usize, skipped: Option<usize>| index + usize::from(skipped.is_some_and(|skipped| index >= skipped));
    let first = draw(random & 0xffff_ffff, count);
    let first_address = *addresses.get(skip(first, avoided))?;
    if count == 1 {
        return Some(first_address);
    }
    let second = skip(draw(random >> 32, count - 1), Some(first));
    let second_address = *addresses.get(skip(second, avoided))?;
    Some(if load(second_address) < load(first_address) { second_address } else { first_address })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn addresses(n: u16) -> Vec<SocketAddr> {
        (0..n).map(|port| SocketAddr::from(([10, 0, 0, 1], 8000 + port))).collect()
    }

    proptest! {
        #[test]
        fn the_choice_is_one_of_the_addresses_and_never_the_avoided(n in 0_u16..6, avoid in 0_u16..8, random: u64) {
            let all = addresses(n);
            let avoid = SocketAddr::from(([10, 0, 0, 1], 8000 + avoid));
            match choose(&all, Some(avoid), random, |a| usize::from(a.port())) {
                Some(chosen) => prop_assert!(all.contains(&chosen) && chosen != avoid),
                None => prop_assert!(all.iter().all(|address| *address == avoid)),
            }
        }

        #[test]
        fn the_busiest_is_never_chosen_when_there_is_another(n in 2_u16..6, random: u64) {
            let all = addresses(n);
            let busiest = all[0];
            let chosen = choose(&all, None, random, |a| usize::from(a == busiest));
            prop_assert_ne!(chosen, Some(busiest));
        }
    }

    #[test]
    fn every_address_gets_its_share() {
        let all = addresses(4);
        let mut seen = std::collections::HashMap::<SocketAddr, usize>::new();
        let mut random = 7_u64;
        for _ in 0..4000 {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            *seen.entry(choose(&all, None, random ^ (random >> 29), |_| 0).unwrap()).or_default() += 1;
        }
        assert!(all.iter().all(|a| (800..1200).contains(&seen[a])), "{seen:?}");
    }
}
