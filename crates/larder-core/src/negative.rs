//! Whether a value is `None`, asked of its serialization.

use std::fmt;

use serde::{
    Serialize, Serializer,
    ser::{Error as _, Impossible},
};

/// Whether `value` is an `Option::None`, or a pointer or a transparent type around one. Looks no deeper than that.
pub(crate) fn is_none<T: Serialize + ?Sized>(value: &T) -> bool {
    matches!(value.serialize(Probe), Ok(true))
}

/// Answers whether `serialize_none` is called, and visits nothing else.
struct Probe;

type Answer = Result<bool, fmt::Error>;
type Nothing = Impossible<bool, fmt::Error>;

macro_rules! something {
    ($($method:ident($($type:ty),*);)*) => {
        $(fn $method(self, $(_: $type),*) -> Answer {
            Ok(false)
        })*
    };
}

macro_rules! compound {
    ($($method:ident($($type:ty),*) -> $answer:ident;)*) => {
        $(fn $method(self, $(_: $type),*) -> Result<Self::$answer, fmt::Error> {
            Err(fmt::Error::custom("not `None`"))
        })*
    };
}

impl Serializer for Probe {
    type Ok = bool;
    type Error = fmt::Error;
    type SerializeSeq = Nothing;
    type SerializeTuple = Nothing;
    type SerializeTupleStruct = Nothing;
    type SerializeTupleVariant = Nothing;
    type SerializeMap = Nothing;
    type SerializeStruct = Nothing;
    type SerializeStructVariant = Nothing;

    fn serialize_none(self) -> Answer {
        Ok(true)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Answer {
        Ok(false)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, _: &T) -> Answer {
        Ok(false)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Answer {
        Ok(false)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Answer {
        Ok(false)
    }

    something! {
        serialize_bool(bool);
        serialize_i8(i8);
        serialize_i16(i16);
        serialize_i32(i32);
        serialize_i64(i64);
        serialize_i128(i128);
        serialize_u8(u8);
        serialize_u16(u16);
        serialize_u32(u32);
        serialize_u64(u64);
        serialize_u128(u128);
        serialize_f32(f32);
        serialize_f64(f64);
        serialize_char(char);
        serialize_str(&str);
        serialize_bytes(&[u8]);
        serialize_unit();
        serialize_unit_struct(&'static str);
        serialize_unit_variant(&'static str, u32, &'static str);
    }

    compound! {
        serialize_seq(Option<usize>) -> SerializeSeq;
        serialize_tuple(usize) -> SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> SerializeTupleVariant;
        serialize_map(Option<usize>) -> SerializeMap;
        serialize_struct(&'static str, usize) -> SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> SerializeStructVariant;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn none_alone_is_none() {
        #[derive(Serialize)]
        #[serde(transparent)]
        struct Transparent(Option<u8>);
        #[derive(Serialize)]
        struct Wrapper(Option<u8>);
        #[derive(Serialize)]
        enum Kind {
            Unit,
            One(u8),
            Two(u8, u8),
            Named { one: u8 },
        }
        #[derive(Serialize)]
        struct Unit;
        #[derive(Serialize)]
        struct Pair(u8, u8);
        #[derive(Serialize)]
        struct Named {
            one: Option<u8>,
        }

        assert!(is_none(&None::<Vec<String>>));
        assert!(is_none(&Box::new(None::<u8>)));
        assert!(is_none(&Transparent(None)));
        assert!(is_none(&serde_json::Value::Null) == is_none(&()), "a null is what its type says");
        assert!(!is_none(&Some(None::<u8>)));
        assert!(!is_none(&Transparent(Some(1))));
        assert!(!is_none(&Wrapper(None)));
        assert!(!is_none(&()) && !is_none(&Unit) && !is_none(&Pair(1, 2)) && !is_none(&Named { one: None }));
        assert!(!is_none(&Kind::Unit) && !is_none(&Kind::One(1)) && !is_none(&Kind::Two(1, 2)));
        assert!(!is_none(&Kind::Named { one: 1 }));
        assert!(!is_none(&0_u128) && !is_none(&0.5) && !is_none(&'x') && !is_none("") && !is_none(&false));
        assert!(!is_none(&Vec::<u8>::new()) && !is_none(&(1, 2)) && !is_none(&[None::<u8>; 2]));
        assert!(!is_none(&BTreeMap::<u8, u8>::new()));
    }
}
