//! From what the client and the server say to what a caller can act on.

use fred::{
    error::{Error as Said, ErrorKind as Kind},
    types::config::{ConnectionConfig, ReconnectError},
};
use larder_core::{Error, ErrorKind};

/// Whether a command whose answer is missing may have changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    None,
    Possible,
}

/// The error of a command that failed. The cause is kept, without what it may quote.
pub(crate) fn failed(said: &Said, effect: Effect) -> Error {
    let (kind, message, retryable) =
        refusal(said.details(), effect).or_else(|| unsent(said)).unwrap_or_else(|| lost(said.kind(), effect));
    Error::new(kind, message).with_retryable(retryable).with_source(without_arguments(said))
}

/// The answers for which the client gives a connection up. It hands such an answer to everything in flight there, as if it were each
/// one's own, though the server may do the rest of it. Our own client has none but `CLUSTERDOWN`; an application's may.
#[derive(Debug)]
pub(crate) struct HandedAround {
    words: Vec<&'static str>,
    logins: bool,
}

impl HandedAround {
    pub(crate) fn by(connection: &ConnectionConfig) -> Self {
        let word = |error: &ReconnectError| match error {
            ReconnectError::ClusterDown => "CLUSTERDOWN",
            ReconnectError::Loading => "LOADING",
            ReconnectError::MasterDown => "MASTERDOWN",
            ReconnectError::ReadOnly => "READONLY",
            ReconnectError::Misconf => "MISCONF",
            ReconnectError::Busy => "BUSY",
            ReconnectError::NoReplicas => "NOREPLICAS",
            ReconnectError::Custom(word) => word,
        };
        Self {
            words: connection.reconnect_errors.iter().map(word).collect(),
            logins: connection.reconnect_on_auth_error,
        }
    }

    /// The error of a write that was given such an answer.
    pub(crate) fn error(&self, said: &Said) -> Option<Error> {
        let is_handed_around = self.words.iter().any(|word| said.details().starts_with(word))
            || self.logins && *said.kind() == Kind::Auth;
        is_handed_around.then(|| {
            let why = "the connection was given up for this answer, perhaps to another command; the write may have run";
            Error::new(ErrorKind::Ambiguous, why).with_source(without_arguments(said))
        })
    }
}

/// The error of a command that was never sent, because there is no connection; and why there is none.
pub(crate) fn no_connection(last: Option<&Said>) -> Error {
    let Some(said) = last else {
        return Error::new(ErrorKind::Unavailable, "no connection to Redis yet; nothing was sent");
    };
    let (kind, message, retryable) = match refusal(said.details(), Effect::None) {
        Some(refusal) if refusal.0 != ErrorKind::WrongType => refusal,
        _ if is_distrusted(said) => {
            (ErrorKind::Config, "the server's certificate is not trusted (`ca` names who to trust)", false)
        }
        _ if matches!(said.kind(), Kind::Config | Kind::Url) => {
            (ErrorKind::Config, "the server is not what the address says", false)
        }
        _ => (ErrorKind::Unavailable, "no connection to Redis; nothing was sent", true),
    };
    Error::new(kind, message).with_retryable(retryable).with_source(without_arguments(said))
}

/// The error of a command for which there was no time left.
pub(crate) fn too_late() -> Error {
    Error::new(ErrorKind::Unavailable, "no time was left for this command; it was not sent")
        .with_retryable(true)
}

/// The error of an operation that found other connections each time it looked.
pub(crate) fn restless() -> Error {
    Error::new(ErrorKind::Unavailable, "the connection keeps being made anew").with_retryable(true)
}

/// Whether the server refused the command because another one has the key: it did not run.
pub(crate) fn is_redirection(said: &Said) -> bool {
    matches!(said.details(), "Too many redirections." | "Max attempts reached.")
        || matches!(first_word(said.details()), "MOVED" | "ASK")
        || is_unread_redirection(said)
}

/// Whether it is a redirection whose address the client could not read, so that it learned nothing from it: that of a server with
/// an IPv6 address.
pub(crate) fn is_unread_redirection(said: &Said) -> bool {
    said.details() == "Invalid cluster redirection error."
}

/// What the server begins its answer with, as it began the others: one word in capitals. Before version 7 it wraps what a command
/// in a script was refused with: `ERR Error running script (..): @user_script:8: -READONLY You can't write ..`.
pub(crate) fn first_word(details: &str) -> &str {
    let wrapped =
        details.strip_prefix("ERR Error running script").and_then(|wrapped| wrapped.split_once(": -"));
    wrapped.map_or(details, |(_, inner)| inner).split_whitespace().next().unwrap_or("")
}

fn is_distrusted(said: &Said) -> bool {
    let details = said.details();
    ["InvalidCertificate", "invalid peer certificate"].iter().any(|word| details.contains(word))
}

type Told = (ErrorKind, &'static str, bool);

/// What the server answered instead of doing it.
fn refusal(details: &str, effect: Effect) -> Option<Told> {
    use ErrorKind as E;
    Some(match first_word(details) {
        "OOM" => {
            (E::Overloaded, "the server is full (`maxmemory`) and may not evict; nothing was stored", true)
        }
        "READONLY" => (E::Unavailable, "the server is a replica now; reconnecting", true),
        "MASTERDOWN" => (E::Unavailable, "the replica has lost its primary", true),
        "LOADING" => (E::Unavailable, "the server is loading its data", true),
        "BUSY" => (E::Overloaded, "the server is busy with a script", true),
        "TRYAGAIN" => (E::Unavailable, "the keys are on their way to another server", true),
        "MOVED" | "ASK" => (E::Unavailable, "the key has gone to another server", true),
        "MISCONF" => (E::Unavailable, "the server refuses writes because it cannot save them", true),
        "NOREPLICAS" => (E::Unavailable, "the server refuses writes because it has too few replicas", true),
        // The client hands this answer to everything in flight on the connection.
        "CLUSTERDOWN" if effect == Effect::Possible => {
            (E::Ambiguous, "the cluster is down; the command may have run before", false)
        }
        "CLUSTERDOWN" => (E::Unavailable, "the cluster is down", true),
        "NOAUTH" | "WRONGPASS" => {
            (E::Config, "the server does not accept the user name or the password", false)
        }
        "NOPERM" => (E::Config, "the server's ACL does not let this user do that", false),
        "DENIED" => (E::Config, "the server is in protected mode and takes no connection from here", false),
        "WRONGTYPE" => (E::WrongType, "the entry holds another type than the operation needs", false),
        "OVERFLOW" => (E::Overflow, "the counter would leave the range of i64; it is unchanged", false),
        "NOSCRIPT" => (E::Unavailable, "the server has forgotten a script", true),
        "ERR" if details.contains("max number of clients") => {
            (E::Overloaded, "the server takes no more connections (`maxclients`)", true)
        }
        "ERR" if details.contains("unknown command") || details.contains("unknown subcommand") => {
            (E::Config, "the server does not know a command that is needed (Redis 6.0 or later)", false)
        }
        "ERR"
            if ["DB index", "invalid password", "AUTH", "cluster mode", "cluster support"]
                .iter()
                .any(|text| details.contains(text)) =>
        {
            (E::Config, "the server does not accept how it is addressed", false)
        }
        "ERR" => (E::Unavailable, "the server refused the command", false),
        _ => return None,
    })
}

/// What the client itself refused before it sent anything.
fn unsent(said: &Said) -> Option<Told> {
    match said.kind() {
        _ if is_redirection(said) => {
            Some((ErrorKind::Unavailable, "the key is on its way to another server; nothing was done", true))
        }
        Kind::Backpressure => {
            Some((ErrorKind::Overloaded, "the client has too much to do; nothing was sent", true))
        }
        Kind::Config | Kind::Url | Kind::InvalidCommand => {
            Some((ErrorKind::Config, "the client cannot send this command", false))
        }
        _ => None,
    }
}

/// No answer came.
fn lost(kind: &Kind, effect: Effect) -> Told {
    match (effect, kind) {
        (Effect::Possible, Kind::Timeout) => {
            (ErrorKind::Ambiguous, "no answer in time; the write may have run or may still run", false)
        }
        (Effect::Possible, _) => {
            (ErrorKind::Ambiguous, "the connection was lost; the write may have run", false)
        }
        (Effect::None, Kind::Timeout) => (ErrorKind::Timeout, "no answer in time", true),
        (Effect::None, Kind::Protocol | Kind::Parse) => {
            (ErrorKind::Unavailable, "the answer is not one that Redis gives", false)
        }
        (Effect::None, _) => (ErrorKind::Unavailable, "the connection was lost", true),
    }
}

/// What was said, but for the arguments that the server quotes when it does not know a command: they are keys and values.
fn without_arguments(said: &Said) -> Said {
    let details = said.details();
    let end = details.find(", with args").unwrap_or(details.len());
    Said::new(said.kind().clone(), details[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn answer(text: &str) -> Said {
        Said::new(Kind::Unknown, text.to_owned())
    }

    #[test]
    fn refusals_map_by_their_first_word_and_keep_their_cause() {
        for (text, kind, retryable) in [
            ("OOM command not allowed when used memory > 'maxmemory'.", ErrorKind::Overloaded, true),
            ("READONLY You can't write against a read only replica.", ErrorKind::Unavailable, true),
            ("LOADING Redis is loading the dataset in memory", ErrorKind::Unavailable, true),
            ("MOVED 3999 127.0.0.1:6381", ErrorKind::Unavailable, true),
            ("ASK 3999 127.0.0.1:6381", ErrorKind::Unavailable, true),
            ("TRYAGAIN Multiple keys request during rehashing of slot", ErrorKind::Unavailable, true),
            ("BUSY Redis is busy running a script.", ErrorKind::Overloaded, true),
            ("MISCONF Redis is configured to save RDB snapshots", ErrorKind::Unavailable, true),
            ("NOREPLICAS Not enough good replicas to write.", ErrorKind::Unavailable, true),
            ("NOAUTH Authentication required.", ErrorKind::Config, false),
            ("WRONGPASS invalid username-password pair", ErrorKind::Config, false),
            ("NOPERM this user has no permissions to run the 'get' command", ErrorKind::Config, false),
            (
                "WRONGTYPE Operation against a key holding the wrong kind of value",
                ErrorKind::WrongType,
                false,
            ),
            ("ERR max number of clients reached", ErrorKind::Overloaded, true),
            ("ERR syntax error", ErrorKind::Unavailable, false),
            (
                "ERR Error running script (call to f_0a1b): @user_script:8: @user_script: 8: -READONLY You can't write",
                ErrorKind::Unavailable,
                true,
            ),
            (
                "ERR Error running script (call to f_0a1b): @user_script:8: @user_script: 8: -OOM command not allowed",
                ErrorKind::Overloaded,
                true,
            ),
        ] {
            for effect in [Effect::None, Effect::Possible] {
                let error = failed(&answer(text), effect);
                assert_eq!((error.kind(), error.is_retryable()), (kind, retryable), "{text}");
                assert!(error.source().is_some() && error.downcast_ref::<Said>().is_some(), "{text}");
            }
        }
    }

    #[test]
    fn what_fell_silent_is_ambiguous_where_it_may_have_run() {
        let silences = [
            Said::new(Kind::Timeout, "Request timed out."),
            Said::new(Kind::IO, "Connection closed."),
            Said::new(Kind::Canceled, "Canceled."),
            Said::new(Kind::Unknown, "Too many failed write attempts."),
            Said::new(Kind::Cluster, "CLUSTERDOWN The cluster is down"),
        ];
        for said in silences {
            let write = failed(&said, Effect::Possible);
            assert_eq!((write.kind(), write.is_retryable()), (ErrorKind::Ambiguous, false), "{said}");
            assert!(failed(&said, Effect::None).is_retryable(), "{said}");
        }
        for said in [
            Said::new(Kind::Routing, "Too many redirections."),
            Said::new(Kind::Protocol, "Invalid cluster redirection error."),
        ] {
            let refused = failed(&said, Effect::Possible);
            assert_eq!((refused.kind(), refused.is_retryable()), (ErrorKind::Unavailable, true), "{said}");
        }
    }

    #[test]
    fn what_the_server_quotes_is_left_out() {
        let text = "ERR unknown command 'UNLINK', with args beginning with: 'secret-key' 'secret-value' ";
        let error = failed(&answer(text), Effect::Possible);
        let shown = format!("{error} {error:?} {}", error.source().unwrap());
        assert!(!shown.contains("secret") && shown.contains("UNLINK"), "{shown}");
        assert_eq!(error.kind(), ErrorKind::Config);
    }

    #[test]
    fn why_there_is_no_connection_is_told() {
        assert_eq!(no_connection(None).kind(), ErrorKind::Unavailable);
        for (said, kind) in [
            (answer("WRONGPASS invalid username-password pair"), ErrorKind::Config),
            (
                Said::new(Kind::IO, "Custom { kind: InvalidData, error: InvalidCertificate(UnknownIssuer) }"),
                ErrorKind::Config,
            ),
            (answer("ERR max number of clients reached"), ErrorKind::Overloaded),
            (Said::new(Kind::IO, "Os { code: 111, kind: ConnectionRefused }"), ErrorKind::Unavailable),
        ] {
            assert_eq!(no_connection(Some(&said)).kind(), kind, "{said}");
        }
    }
}
