//! Codecs: rolling deploys, hostile input, integers.

use larder_core::{Cache, Cacheable, Codec, ErrorKind};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::support::Rig;

const BOTH: [Codec; 2] = [Codec::MessagePack, Codec::Json];

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
struct Old {
    id: u64,
    name: String,
    plan: Plan,
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
enum Plan {
    Free,
    Paid { until: u64 },
}

#[derive(Serialize, Deserialize, Debug, PartialEq, Clone)]
enum MorePlans {
    Free,
    Trial(u8),
    Paid { until: u64 },
}

fn old() -> Old {
    Old { id: 7, name: "ada".into(), plan: Plan::Paid { until: 9 } }
}

#[test]
fn a_struct_that_gained_or_lost_fields_reads_right() {
    #[derive(Deserialize, Debug, PartialEq)]
    struct Gained {
        id: u64,
        email: Option<String>,
        #[serde(default)]
        visits: u32,
        name: String,
        plan: Plan,
    }
    #[derive(Deserialize, Debug, PartialEq)]
    struct Lost {
        plan: Plan,
        id: u64,
    }
    for codec in BOTH {
        let bytes = codec.encode(&old()).unwrap();
        let gained: Gained = codec.decode(&bytes).unwrap();
        assert_eq!(
            gained,
            Gained { id: 7, email: None, visits: 0, name: "ada".into(), plan: Plan::Paid { until: 9 } }
        );
        assert_eq!(codec.decode::<Lost>(&bytes).unwrap(), Lost { plan: Plan::Paid { until: 9 }, id: 7 });
    }
}

#[test]
fn what_was_renamed_or_changed_its_type_does_not_read_at_all() {
    #[derive(Deserialize, Debug)]
    #[expect(dead_code, reason = "only its shape counts")]
    struct Renamed {
        id: u64,
        full_name: String,
        plan: Plan,
    }
    #[derive(Deserialize, Debug)]
    #[expect(dead_code, reason = "only its shape counts")]
    struct Changed {
        id: String,
    }
    #[derive(Deserialize, Debug)]
    #[expect(dead_code, reason = "only its shape counts")]
    struct Narrowed {
        name: u8,
    }
    for codec in BOTH {
        let bytes = codec.encode(&old()).unwrap();
        assert_eq!(codec.decode::<Renamed>(&bytes).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(codec.decode::<Changed>(&bytes).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(codec.decode::<Narrowed>(&bytes).unwrap_err().kind(), ErrorKind::Corrupt);
        assert_eq!(codec.decode::<(u64, String)>(&bytes).unwrap_err().kind(), ErrorKind::Corrupt);
        assert!(codec.decode::<u8>(&codec.encode(&300_u16).unwrap()).is_err());
    }
}

#[test]
fn an_enum_may_gain_variants_anywhere() {
    for codec in BOTH {
        let bytes = codec.encode(&Plan::Paid { until: 9 }).unwrap();
        assert_eq!(codec.decode::<MorePlans>(&bytes).unwrap(), MorePlans::Paid { until: 9 });
        assert_eq!(codec.decode::<MorePlans>(&codec.encode(&Plan::Free).unwrap()).unwrap(), MorePlans::Free);
        let unknown = codec.encode(&MorePlans::Trial(1)).unwrap();
        assert_eq!(codec.decode::<Plan>(&unknown).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn bytes_after_the_value_are_refused() {
    for codec in BOTH {
        let good = codec.encode(&old()).unwrap();
        for extra in 0..=u8::MAX {
            let mut bytes = good.to_vec();
            bytes.push(extra);
            let space = codec == Codec::Json && b" \t\r\n".contains(&extra);
            assert_eq!(codec.decode::<Old>(&bytes).is_ok(), space, "{codec:?} {extra}");
        }
        for cut in 0..good.len() {
            assert!(codec.decode::<Old>(&good[..cut]).is_err(), "{codec:?} cut at {cut}");
        }
    }
}

#[test]
fn nesting_without_end_is_an_error_not_a_crash() {
    #[derive(Deserialize, Serialize, Debug)]
    struct Tree(Vec<Tree>);

    let depth = 1 << 20;
    let arrays = vec![0x91_u8; depth];
    assert_eq!(Codec::MessagePack.decode::<Tree>(&arrays).unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(
        Codec::MessagePack.decode::<serde::de::IgnoredAny>(&arrays).unwrap_err().kind(),
        ErrorKind::Corrupt
    );
    let maps = [0x81_u8, 0xa0].repeat(depth);
    assert!(Codec::MessagePack.decode::<serde::de::IgnoredAny>(&maps).is_err());
    let json = vec![b'['; depth];
    assert_eq!(Codec::Json.decode::<Tree>(&json).unwrap_err().kind(), ErrorKind::Corrupt);
    // Behind a good value, too.
    let mut behind = Codec::MessagePack.encode(&1_u8).unwrap().to_vec();
    behind.extend(vec![0x91; depth]);
    assert!(Codec::MessagePack.decode::<u8>(&behind).is_err());
    // Lengths that promise more than there is do not allocate it.
    for header in [
        &[0xdd, 0xff, 0xff, 0xff, 0xff][..],
        &[0xdb, 0xff, 0xff, 0xff, 0xff],
        &[0xc6, 0xff, 0xff, 0xff, 0xff],
    ] {
        assert!(Codec::MessagePack.decode::<Vec<u8>>(header).is_err());
        assert!(Codec::MessagePack.decode::<String>(header).is_err());
    }
}

proptest! {
    #[test]
    fn a_float_comes_back_bit_for_bit(double: u64, single: u32) {
        let (double, single) = (f64::from_bits(double), f32::from_bits(single));
        for codec in BOTH {
            if double.is_finite() {
                let read: f64 = codec.decode(&codec.encode(&double).unwrap()).unwrap();
                prop_assert_eq!(read.to_bits(), double.to_bits());
            }
            if single.is_finite() {
                let read: f32 = codec.decode(&codec.encode(&single).unwrap()).unwrap();
                prop_assert_eq!(read.to_bits(), single.to_bits());
            }
        }
    }
}

#[test]
fn what_serde_writes_alike_reads_alike() {
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Found {
        value: Option<u8>,
    }
    for codec in BOTH {
        let none = codec.encode(&Some(None::<u8>)).unwrap();
        assert_eq!(codec.decode::<Option<Option<u8>>>(&none).unwrap(), None);
        let wrapped = codec.encode(&Some(Found { value: None })).unwrap();
        assert_eq!(codec.decode::<Option<Found>>(&wrapped).unwrap(), Some(Found { value: None }));
        // A float that is no number is a miss or itself, never another number.
        let no_number = codec.encode(&f64::NAN).unwrap();
        assert!(codec.decode::<f64>(&no_number).map_or(codec == Codec::Json, f64::is_nan));
    }
}

#[tokio::test]
async fn a_cache_reads_both_codecs_whichever_it_writes() {
    let rig = Rig::bytes();
    let json = Cache::builder(rig.handle.clone()).codec(Codec::Json).build().unwrap();
    rig.cache.set("packed", old()).await.unwrap();
    json.set("json", old()).await.unwrap();
    for cache in [&rig.cache, &json] {
        assert_eq!(*cache.get::<Old>("packed").await.unwrap().unwrap(), old());
        assert_eq!(*cache.get::<Old>("json").await.unwrap().unwrap(), old());
    }
    let wire = rig.stored("json").await.unwrap().to_wire().unwrap();
    assert!(wire.windows(5).any(|part| part == b"\"ada\""), "JSON is readable in the store");
}

#[tokio::test]
async fn integers_that_fit_are_counters_and_the_others_round_trip() {
    for rig in [Rig::new(), Rig::bytes()] {
        let cache = &rig.cache;
        cache.set("a", 5).await.unwrap();
        assert_eq!(cache.increment("a", 1).await.unwrap(), 6);
        assert_eq!(*cache.get::<u8>("a").await.unwrap().unwrap(), 6);
        assert_eq!(*cache.get::<i128>("a").await.unwrap().unwrap(), 6);
        assert!(cache.get::<String>("a").await.unwrap().is_none());

        cache.set("big", u64::MAX).await.unwrap();
        assert_eq!(*cache.get::<u64>("big").await.unwrap().unwrap(), u64::MAX);
        assert_eq!(cache.increment("big", 1).await.unwrap_err().kind(), ErrorKind::WrongType);
        for wide in [i128::MIN, -1, i128::from(i64::MAX) + 1, i128::MAX] {
            cache.set("wide", wide).await.unwrap();
            assert_eq!(*cache.get::<i128>("wide").await.unwrap().unwrap(), wide);
        }
        cache.set("yes", true).await.unwrap();
        assert_eq!(cache.increment("yes", 1).await.unwrap_err().kind(), ErrorKind::WrongType);
        assert!(*cache.get::<bool>("yes").await.unwrap().unwrap());

        cache.set("max", i64::MAX).await.unwrap();
        assert_eq!(cache.increment("max", 1).await.unwrap_err().kind(), ErrorKind::Overflow);
        assert_eq!(*cache.get::<i64>("max").await.unwrap().unwrap(), i64::MAX);
        assert_eq!(cache.decrement("a", i64::MIN).await.unwrap_err().kind(), ErrorKind::Overflow);
        rig.at_rest().await;
    }
}

#[test]
fn every_integer_type_counts_where_it_fits() {
    assert_eq!((i8::MIN.as_int(), u8::MAX.as_int()), (Some(-128), Some(255)));
    assert_eq!((i16::MIN.as_int(), u16::MAX.as_int()), (Some(-32768), Some(65535)));
    assert_eq!((1_isize.as_int(), 1_usize.as_int()), (Some(1), Some(1)));
    assert_eq!((u64::MAX.as_int(), u128::MAX.as_int(), i128::MIN.as_int()), (None, None, None));
    assert_eq!((1.0_f64.as_int(), 'a'.as_int(), true.as_int()), (None, None, None));
    assert_eq!(u8::from_int(256).unwrap_err().kind(), ErrorKind::WrongType);
    assert_eq!(bool::from_int(1).unwrap_err().kind(), ErrorKind::WrongType);
}

#[tokio::test]
async fn a_stored_none_is_not_a_miss() {
    for rig in [Rig::new(), Rig::bytes()] {
        rig.cache.set("none", None::<String>).await.unwrap();
        assert_eq!(*rig.cache.get::<Option<String>>("none").await.unwrap().unwrap(), None);
        rig.cache.set("unit", ()).await.unwrap();
        assert!(rig.cache.get::<()>("unit").await.unwrap().is_some());
        assert_eq!((rig.cache.stats().hits, rig.cache.stats().misses), (2, 0));
        let again =
            rig.cache.get_or_load("none", || async { crate::support::fine(Some(String::new())) }).await;
        assert!(again.unwrap().is_hit());
    }
}
