//! Each way in which a store can be broken.

/// What is wrong with a [`Broken`](super::Broken) store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Whatever is stored stays.
    ExpiryIgnored,
    /// `has` looks at what is there, not at when it ended.
    HasIgnoresExpiry,
    /// The batch does.
    GetManyIgnoresExpiry,
    /// `peek` does.
    PeekIgnoresExpiry,
    /// `keys` does.
    KeysListsTheExpired,
    /// `len` does.
    LenCountsTheExpired,
    /// `delete` of an expired entry is `true`.
    DeleteSeesTheExpired,
    /// `touch` brings an expired entry back.
    TouchRevives,
    /// `expiry` always tells the same.
    ExpiryNeverShrinks,
    /// `set` replaces the value alone.
    SetKeepsTheOldExpiry,
    /// The batch stores for ever.
    SetManyIgnoresExpiry,
    /// As a server does that is sent `PX 0`.
    PastExpiryIsAnError,
    /// The old value stays.
    PastExpiryDoesNothing,
    /// What nanoseconds in 64 bits do not hold is over at once.
    ExpiryOverflows,
    /// Seconds in 32 bits.
    ExpiryWrapsAt32Bits,
    /// Memcached's rule.
    ThirtyDaysAreAbsolute,
    /// A cache over it would use another one.
    ClockIsHidden,
    /// `add` is `set`.
    AddOverwrites,
    /// `add` takes an expired entry for one that is there.
    AddLosesToTheExpired,
    /// `SETNX` without `EXPIRE`.
    AddLosesItsExpiry,
    /// `SETNX`, then `EXPIRE`.
    AddInTwoSteps,
    /// Look, then set.
    AddRaces,
    /// An `add` that lost changes the expiry all the same.
    LosingAddTouches,
    /// `SET XX`.
    ReplaceIgnoresTheVersion,
    /// `replace` replaces the value alone.
    ReplaceKeepsTheOldExpiry,
    /// Compare, then set.
    ReplaceRaces,
    /// The first state of every key has the same version.
    VersionsCountPerKey,
    /// The count goes with the entry.
    VersionsStartAgainAfterDelete,
    /// Equal values have equal versions.
    VersionsAreHashes,
    /// Read, then write.
    IncrementRaces,
    /// As `INCR` and `EXPIRE` do.
    IncrementResetsTheExpiry,
    /// A new counter stays for ever.
    IncrementNeverExpires,
    /// Beyond the end it begins at the other.
    IncrementWraps,
    /// It overwrites what is no counter.
    IncrementTakesBytesForZero,
    /// It counts on from the text `5`.
    IncrementReadsText,
    /// The error says that trying again may help.
    WrongTypeIsRetryable,
    /// It says so.
    DeleteIsAlwaysTrue,
    /// It says that it did.
    DeleteDoesNothing,
    /// Look, then delete.
    DeleteRaces,
    /// `shop` takes `shop2` with it.
    ClearTakesAPlainPrefix,
    /// The name is a pattern of `LIKE`, in which `%` is anything.
    ClearTakesAPattern,
    /// Only the namespace itself.
    ClearSkipsChildren,
    /// `Ok`, and the rest later.
    ClearStopsAtAHundred,
    /// Keys are cut at 100 characters.
    KeysTruncated,
    /// As some collations and file systems do.
    KeysIgnoreCase,
    /// It lists by plain prefix.
    KeysListsTheParentToo,
    /// Answers come in the order of the keys.
    GetManySorts,
    /// One answer for each different key.
    GetManyDropsDuplicates,
    /// One answer for each hit.
    GetManyDropsMisses,
    /// An empty list is not expected.
    GetManyPanicsOnNothing,
    /// Each miss is an error.
    GetManyFailsOnMisses,
    /// No answers for the rest.
    GetManyStopsAtAHundred,
    /// `get` of a key that was never set fails.
    MissIsAnError,
    /// An empty value is taken for none.
    EmptyIsAMiss,
    /// Values are C strings.
    ValuesCutAtNul,
    /// An object is stored as its `Debug` output.
    ObjectsAreNamed,
    /// `Ok`, and nothing stored.
    TooLargeIsDropped,
    /// `Ok`, and the first part stored.
    TooLargeIsCut,
    /// An admission policy prefers what is there.
    FullStoreRefusesSilently,
    /// `clear` and `touch` are not declared, and say that they did it.
    UnsupportedIsOk,
    /// `add` and `increment` are not declared, and do something like it.
    EmulatesWhatItDoesNotDeclare,
    /// Who gives up leaves his answer to the next.
    NeighboursAnswer,
    /// Who gives up keeps his connection.
    ConnectionsLeak,
    /// Half a value is there for all to see.
    SetTears,
    /// Who gives up leaves half a value.
    SetInTwoSteps,
    /// `peek` asks a near cache that hears of no change.
    PeekRemembers,
    /// `peek` reads the clock by itself.
    PeekIgnoresTheTimeGiven,
    /// `len` never ends, and does not even wait.
    LenBlocksItsThread,
    /// `Debug` of it is empty.
    DebugShowsNothing,
}
