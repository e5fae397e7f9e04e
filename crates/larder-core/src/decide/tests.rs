use proptest::prelude::*;

use super::*;
use crate::{Expiry, Random as _, SeededRandom};

const SECOND: u64 = 1_000_000_000;

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn entry(created: u64, stale: u64, revalidate: u64, gone: u64) -> EntryMeta {
    EntryMeta::new(at(created), Expiry::Never).with_windows(at(stale), at(revalidate), at(gone))
}

fn early() -> impl Strategy<Value = EarlyRefresh> {
    prop_oneof![
        Just(EarlyRefresh::Never),
        (0.0..=1.0).prop_map(EarlyRefresh::After),
        (0.01..100.0).prop_map(|beta| EarlyRefresh::XFetch { beta }),
        any::<f64>().prop_map(EarlyRefresh::After),
        any::<f64>().prop_map(|beta| EarlyRefresh::XFetch { beta }),
    ]
}

/// Instants near each other and far from each other.
fn instant() -> impl Strategy<Value = u64> {
    prop_oneof![0..100_u64, any::<u64>(), Just(u64::MAX)]
}

fn age(decision: Decision) -> u8 {
    match decision {
        Decision::Fresh => 0,
        Decision::FreshRefresh => 1,
        Decision::Revalidate => 2,
        Decision::StaleOnError => 3,
        Decision::Expired => 4,
    }
}

proptest! {
    #[test]
    fn time_only_ages_an_entry(
        created in instant(), stale in instant(), revalidate in instant(), gone in instant(),
        cost: u32, early in early(), random in 0.0..=1.0, a in instant(), b in instant(),
    ) {
        let entry = entry(created, stale, revalidate, gone).with_cost(Duration::from_micros(cost.into()));
        let of = |now| decide(at(now), &entry, early, || random);
        prop_assert!(age(of(a.min(b))) <= age(of(a.max(b))));
        let end = stale.min(gone);
        let decision = of(a);
        prop_assert_eq!(decision == Decision::Expired, a >= gone);
        prop_assert_eq!(matches!(decision, Decision::Fresh | Decision::FreshRefresh), a < end);
        prop_assert_eq!(is_fresh(at(a), &entry), a < end);
        prop_assert_eq!(decision == Decision::Revalidate, end <= a && a < gone && a < revalidate);
        if a < created {
            prop_assert_ne!(decision, Decision::FreshRefresh);
        }
    }

    #[test]
    fn what_never_ends_is_never_refreshed(created: u64, now: u64, early in early(), random in 0.0..=1.0) {
        let entry = EntryMeta::new(at(created), Expiry::Never).with_cost(Duration::from_hours(1));
        let expected = if now == u64::MAX { Decision::Expired } else { Decision::Fresh };
        prop_assert_eq!(decide(at(now), &entry, early, || random), expected);
    }

    #[test]
    fn more_beta_more_cost_and_more_luck_refresh_earlier(
        now in 0..SECOND, cost in 0..1_000_000_u32, beta in 0.01..10.0, random in 0.0..=1.0, more in 0.0..=1.0,
    ) {
        let refreshes = |cost: u32, beta: f64, random: f64| {
            let entry = entry(0, SECOND, SECOND, SECOND).with_cost(Duration::from_micros(cost.into()));
            decide(at(now), &entry, EarlyRefresh::XFetch { beta }, || random) == Decision::FreshRefresh
        };
        if refreshes(cost, beta, random) {
            prop_assert!(refreshes(cost, beta * (1.0 + more), random));
            prop_assert!(refreshes(cost * 2, beta, random));
            prop_assert!(refreshes(cost, beta, random * more));
        }
    }

    #[test]
    fn a_threshold_is_met_to_the_nanosecond(created in 0..SECOND, fresh in 1..SECOND, fraction in 0.0..=1.0) {
        #[expect(clippy::cast_precision_loss, reason = "under 2^53")]
        let threshold = fresh as f64 * fraction;
        let entry = entry(created, created + fresh, 0, u64::MAX);
        for after in 0..10 {
            let age = (fresh * after / 10).min(fresh - 1);
            let now = at(created + age);
            let refreshes = decide(now, &entry, EarlyRefresh::After(fraction), || panic!("no chance is needed"));
            #[expect(clippy::cast_precision_loss, reason = "under 2^53")]
            let age = age as f64;
            if (age - threshold).abs() > 1.0 {
                prop_assert_eq!(refreshes == Decision::FreshRefresh, age > threshold);
            }
        }
    }
}

#[test]
fn chance_is_asked_only_where_it_matters() {
    let never = || panic!("no chance is needed");
    let costly = entry(0, 1000 * SECOND, 0, u64::MAX).with_cost(Duration::from_secs(1));
    let by_chance = EarlyRefresh::XFetch { beta: 1.0 };
    assert_eq!(decide(at(900 * SECOND), &costly, by_chance, never), Decision::Fresh);
    assert_eq!(decide(at(1000 * SECOND), &costly, by_chance, never), Decision::StaleOnError);
    assert_eq!(decide(at(999 * SECOND), &costly, EarlyRefresh::Never, never), Decision::Fresh);
    // A cost that is not known is none.
    let set = entry(0, 1000 * SECOND, 0, u64::MAX);
    assert_eq!(decide(at(1000 * SECOND - 1), &set, by_chance, never), Decision::Fresh);
    // Zero is no number a random source may give; it counts as the smallest.
    assert_eq!(decide(at(999 * SECOND), &costly, by_chance, || 0.0), Decision::FreshRefresh);
    assert_eq!(decide(at(999 * SECOND), &costly, by_chance, || f64::NAN), Decision::Fresh);
}

/// A read at a time left `g` before the end refreshes with probability `exp(-g / (cost * beta))`.
#[test]
fn xfetch_refreshes_as_often_as_its_paper_says() {
    let random = SeededRandom::new(2015);
    let entry = entry(0, 100 * SECOND, 0, u64::MAX).with_cost(Duration::from_secs(2));
    for beta in [0.5, 1.0, 3.0] {
        let mut last = 0;
        for left in [20, 10, 5, 2, 1] {
            let now = at((100 - left) * SECOND);
            let refreshes = (0..20_000)
                .filter(|_| {
                    let decision = decide(now, &entry, EarlyRefresh::XFetch { beta }, || random.unit());
                    decision == Decision::FreshRefresh
                })
                .count();
            let expected = 20_000.0 * (-f64::from(u32::try_from(left).unwrap()) / (2.0 * beta)).exp();
            let count = f64::from(u32::try_from(refreshes).unwrap());
            // Five standard deviations, of at most 71.
            assert!((count - expected).abs() <= 355.0, "beta {beta}, {left} s left: {count}, not {expected}");
            assert!(refreshes >= last, "the chance grows towards the end");
            last = refreshes;
        }
    }
}

/// Read every 10 ms, an entry is refreshed about `cost * beta * ln(reads per cost * beta)` early: the gap between what is
/// expected of the first of many draws, within a cost.
#[test]
fn xfetch_is_as_early_as_expected() {
    let random = SeededRandom::new(42);
    let tick = SECOND / 100;
    for (cost, beta) in [(1_u32, 1.0), (1, 2.0), (2, 1.0)] {
        let entry = entry(0, 100 * SECOND, 0, u64::MAX).with_cost(Duration::from_secs(cost.into()));
        let runs = 300;
        let total: f64 = (0..runs)
            .map(|_| {
                let refreshed = (0..10_000_u64)
                    .map(|read| at(read * tick))
                    .find(|now| {
                        let decision = decide(*now, &entry, EarlyRefresh::XFetch { beta }, || random.unit());
                        decision == Decision::FreshRefresh
                    })
                    .expect("over a hundred reads, the last ones at almost certain odds");
                at(100 * SECOND).saturating_since(refreshed).as_secs_f64()
            })
            .sum();
        let early = total / f64::from(runs);
        let scale = f64::from(cost) * beta;
        // The first of a Poisson process of rate 100 exp(-g / scale): a Gumbel distribution, whose mean is this.
        let expected = scale * ((100.0 * scale).ln() + 0.5772);
        // A standard deviation of the mean is 1.28 scale / sqrt(300).
        assert!((early - expected).abs() < 0.37 * scale, "cost {cost}, beta {beta}: {early}, not {expected}");
    }
}
