//! Timeouts as text, and expiries as numbers.

use std::time::Duration;

use larder_core::{ErrorKind, Expiry, Timeout, Timestamp};
use proptest::prelude::*;

fn secs(secs: u64) -> Timeout {
    Timeout::After(Duration::from_secs(secs))
}

#[test]
fn texts_that_are_timeouts() {
    for (text, timeout) in [
        ("300", secs(300)),
        ("5m", secs(300)),
        ("1h30m", secs(5400)),
        ("1w2d3h4m5s6ms", Timeout::After(Duration::from_millis(788_645_006))),
        ("500ms", Timeout::After(Duration::from_millis(500))),
        ("2d", secs(172_800)),
        ("0", Timeout::Never),
        ("0s", Timeout::Never),
        ("0h0m", Timeout::Never),
        ("never", Timeout::Never),
        ("default", Timeout::Default),
        ("007", secs(7)),
    ] {
        assert_eq!(text.parse::<Timeout>().unwrap(), timeout, "{text}");
    }
}

#[test]
fn texts_that_are_not() {
    for text in [
        "",
        " ",
        "5 m",
        " 5",
        "5m ",
        "-1",
        "+1",
        "1.5s",
        "m",
        "5x",
        "1h30",
        "30m1h",
        "1m1m",
        "1s1s",
        "Never",
        "5M",
        "99999999999999999999",
        "18446744073709551615",
        "9999999999999999w",
        "1e3",
        "٣",
        "5µs",
        "\0",
    ] {
        let error = text.parse::<Timeout>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{text:?}");
        assert!(error.to_string().contains("is not a timeout"), "{error}");
    }
}

#[test]
fn what_is_shorter_than_a_millisecond_does_not_read_as_never() {
    assert_eq!(Timeout::After(Duration::from_nanos(1)).to_string(), "1ms");
    assert_eq!(
        Timeout::After(Duration::MAX).to_string().parse::<Timeout>().unwrap(),
        Timeout::After(Duration::from_millis(u64::MAX))
    );
    assert_eq!(Timeout::Never.to_string().parse::<Timeout>().unwrap(), Timeout::Never);
    assert_eq!(Timeout::Default.to_string().parse::<Timeout>().unwrap(), Timeout::Default);
}

proptest! {
    #[test]
    fn a_timeout_prints_as_what_it_parses_from(millis in 1..=u64::MAX) {
        let timeout = Timeout::After(Duration::from_millis(millis));
        prop_assert_eq!(timeout.to_string().parse::<Timeout>().unwrap(), timeout);
    }

    #[test]
    fn any_text_is_a_timeout_or_an_error(text in any::<String>()) {
        if let Ok(Timeout::After(duration)) = text.parse::<Timeout>() {
            prop_assert!(!duration.is_zero());
        }
    }

    #[test]
    fn deadlines_saturate(now in any::<u64>(), secs in any::<u64>(), nanos in 0..1_000_000_000_u32) {
        let (now, duration) = (Timestamp::from_nanos(now), Duration::new(secs, nanos));
        let deadline = Expiry::After(duration).deadline(now);
        prop_assert!(deadline >= now);
        let exact = u128::from(now.as_nanos()) + duration.as_nanos();
        prop_assert_eq!(u128::from(deadline.as_nanos()), exact.min(u128::from(u64::MAX)));
        prop_assert_eq!(Expiry::until(deadline, now) == Expiry::Never, deadline == Timestamp::MAX);
        prop_assert_eq!(Expiry::until(deadline, now).deadline(now), deadline);
        prop_assert_eq!(Expiry::until(now, deadline).is_past() || now == Timestamp::MAX, true);
    }
}

#[test]
fn never_is_for_ever_and_zero_is_past() {
    let now = Timestamp::from_nanos(7);
    assert_eq!(Expiry::Never.deadline(now), Timestamp::MAX);
    assert!(!Expiry::Never.is_past());
    assert!(Timeout::After(Duration::ZERO).resolve(Expiry::Never).is_past());
    assert_eq!(Timeout::Default.resolve(Expiry::After(Duration::MAX)), Expiry::After(Duration::MAX));
    assert_eq!(Timeout::from(Duration::from_secs(5)), secs(5));
}
