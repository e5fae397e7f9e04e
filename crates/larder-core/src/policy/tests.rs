use proptest::prelude::*;

use super::*;

const DEFAULT: Expiry = Expiry::After(Duration::from_mins(5));
const LOAD: Duration = Duration::from_secs(30);
const NOW: Timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn of(options: &EntryOptions) -> Policy {
    Policy::resolve(options, &EntryOptions::new(), DEFAULT, LOAD)
}

#[test]
fn nothing_asked_for_is_the_defaults_of_the_cache() {
    let policy = of(&EntryOptions::new());
    assert_eq!((policy.expiry, policy.load_timeout), (DEFAULT, LOAD));
    assert_eq!((policy.stale_while_revalidate, policy.stale_if_error), (Duration::ZERO, Duration::ZERO));
    assert_eq!((policy.soft_timeout, policy.error_timeout, policy.none), (None, None, None));
    assert_eq!((policy.early, policy.error_backoff), (EarlyRefresh::Never, secs(1)));
    assert!(policy.is_plain() && policy.tags.is_empty() && !policy.late_tags && policy.jitter <= 0.0);
    let (meta, expiry) = policy.meta(NOW, true, || panic!("no chance is needed"));
    assert_eq!((meta, expiry), (EntryMeta::new(NOW, DEFAULT), DEFAULT));
}

#[test]
fn each_option_goes_over_its_default() {
    let defaults = EntryOptions::new()
        .timeout(secs(10))
        .tag("all")
        .stale_while_revalidate(secs(1))
        .stale_if_error(secs(2))
        .soft_timeout(secs(3))
        .load_timeout(secs(4))
        .early_refresh(EarlyRefresh::After(0.5))
        .jitter(0.25)
        .none_timeout(secs(5))
        .error_timeout(secs(6))
        .error_backoff(secs(7))
        .late_tags(true);
    let by_default = Policy::resolve(&EntryOptions::new(), &defaults, DEFAULT, LOAD);
    assert_eq!(by_default, of(&defaults), "the same, asked for by each");
    let own = EntryOptions::new()
        .timeout(Timeout::Never)
        .tags(["one", "all", "two"])
        .stale_while_revalidate(secs(11))
        .stale_if_error(secs(12))
        .soft_timeout(secs(13))
        .load_timeout(secs(14))
        .early_refresh(EarlyRefresh::XFetch { beta: 2.0 })
        .jitter(0.75)
        .none_timeout(Timeout::Default)
        .error_timeout(secs(16))
        .error_backoff(secs(17))
        .late_tags(false);
    let policy = Policy::resolve(&own, &defaults, DEFAULT, LOAD);
    let tags: Vec<Box<str>> = vec!["all".into(), "one".into(), "two".into()];
    let expected = Policy {
        expiry: Expiry::Never,
        stale_while_revalidate: secs(11),
        stale_if_error: secs(12),
        soft_timeout: Some(secs(13)),
        load_timeout: secs(14),
        early: EarlyRefresh::XFetch { beta: 2.0 },
        jitter: 0.75,
        none: Some(DEFAULT),
        error_timeout: Some(secs(16)),
        error_backoff: secs(17),
        tags,
        late_tags: false,
        until: Timestamp::MAX,
        default_expiry: DEFAULT,
    };
    assert_eq!(policy, expected);
    assert_eq!(by_default.with(&own), expected, "a loader's word is as good");
    assert_eq!(policy.with(&EntryOptions::new()), policy);
}

#[test]
fn the_tags_of_a_loader_follow_those_asked_for() {
    let policy = of(&EntryOptions::new().tags(["a", "b"]));
    let loaded = policy.with(&EntryOptions::new().tags(["c", "a"]));
    assert_eq!(loaded.tags[..policy.tags.len()], policy.tags);
    assert_eq!(loaded.tags[policy.tags.len()..], ["c".into()]);
}

#[test]
fn a_none_is_kept_as_long_as_was_said_of_it() {
    let asked = EntryOptions::new().timeout(secs(60)).none_timeout(secs(5)).stale_if_error(secs(600));
    let policy = of(&asked);
    let expiry = |policy: &Policy, none| policy.meta(NOW, none, || 1.0).1;
    assert_eq!(expiry(&policy, true), Expiry::After(secs(5)));
    assert_eq!(expiry(&policy, false), Expiry::After(secs(660)));
    assert_eq!(policy.meta(NOW, true, || 1.0).0.stale_at, Timestamp::MAX);
    // The loader, which sees its result, goes first.
    assert_eq!(expiry(&policy.with(&secs(7).into()), true), Expiry::After(secs(607)));
    let both = EntryOptions::new().timeout(secs(7)).none_timeout(secs(8));
    assert_eq!(expiry(&policy.with(&both), true), Expiry::After(secs(8)));
    assert!(expiry(&of(&asked.none_timeout(Duration::ZERO)), true).is_past());
}

#[test]
fn a_timeout_of_zero_keeps_nothing_and_never_stays_never() {
    let windows = EntryOptions::new().stale_while_revalidate(secs(9)).stale_if_error(secs(9)).jitter(1.0);
    let (meta, expiry) = of(&windows.clone().timeout(Duration::ZERO)).meta(NOW, false, || 0.5);
    assert!(expiry.is_past() && meta.expires_at() == NOW);
    let (meta, expiry) = of(&windows.timeout(Timeout::Never)).meta(NOW, false, || 0.5);
    assert_eq!((meta, expiry), (EntryMeta::new(NOW, Expiry::Never), Expiry::Never));
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos)),
        any::<u32>().prop_map(|micros| Duration::from_micros(micros.into())),
    ]
}

proptest! {
    #[test]
    fn windows_are_ordered_and_jitter_never_outlives_the_timeout(
        now: u64, timeout in duration(), swr in duration(), sie in duration(),
        jitter in 0.0..=1.0, random in 0.0..=1.0, none: bool,
    ) {
        let now = Timestamp::from_nanos(now);
        let options = EntryOptions::new()
            .timeout(timeout).stale_while_revalidate(swr).stale_if_error(sie).jitter(jitter);
        let (meta, expiry) = of(&options).meta(now, none, || random);
        let Expiry::After(kept) = expiry else { panic!("no timeout became never") };

        prop_assert_eq!(meta.created(), now);
        prop_assert!(now <= meta.stale_at());
        prop_assert!(meta.stale_at() <= meta.revalidate_until());
        prop_assert!(meta.revalidate_until() <= meta.expires_at());
        prop_assert_eq!(meta.expires_at(), expiry.deadline(now), "the store and the entry agree");

        prop_assert!(meta.stale_at() <= now.saturating_add(timeout));
        prop_assert!(kept <= timeout.saturating_add(swr.max(sie)));
        let least = timeout.as_secs_f64() * (1.0 - jitter * random);
        let fresh = meta.stale_at().saturating_since(now).as_secs_f64();
        let sure = Timestamp::MAX.saturating_since(now).as_secs_f64();
        prop_assert!(fresh >= least.min(sure) * (1.0 - 1e-9) - 1e-6, "{} of {}", fresh, least);
        if !timeout.is_zero() {
            prop_assert_eq!(meta.revalidate_until(), meta.stale_at().saturating_add(swr));
            prop_assert_eq!(meta.expires_at() == meta.stale_at(), swr.max(sie).is_zero() || meta.stale_at() == Timestamp::MAX);
        }
    }

    #[test]
    fn without_windows_and_jitter_the_expiry_is_what_was_asked_for(now: u64, timeout in duration()) {
        let now = Timestamp::from_nanos(now);
        let (meta, expiry) = of(&timeout.into()).meta(now, false, || panic!("no chance is needed"));
        prop_assert_eq!(expiry, Expiry::After(timeout));
        prop_assert_eq!(meta, EntryMeta::new(now, expiry));
    }

    #[test]
    fn a_renewed_entry_is_as_one_made_then(now in 0..u64::MAX / 2, later: u32, timeout: u32, swr: u32, sie: u32, other: u32) {
        let now = Timestamp::from_nanos(now);
        let later = now.saturating_add(Duration::from_micros(later.into()));
        let of = |timeout: u32| {
            let micros = |micros: u32| Duration::from_micros(u64::from(micros) + 1);
            let options = EntryOptions::new().timeout(micros(timeout));
            of(&options.stale_while_revalidate(micros(swr)).stale_if_error(micros(sie)))
        };
        let (made, expiry) = of(other).meta(later, false, || 1.0);
        let (old, _) = of(timeout).meta(now, false, || 1.0);
        let renewed = old.renewed(later, of(other).expiry);
        prop_assert_eq!(renewed, (EntryMeta { created: now, ..made }, expiry));
    }

    #[test]
    fn any_number_for_jitter_is_survived(jitter: f64, random: f64, timeout in duration()) {
        prop_assert!(shortened(timeout, jitter, random) <= timeout);
    }
}
