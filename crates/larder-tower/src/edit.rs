//! What the handler sees while it fills an entry: nothing that could make the entry another one and is not in its key.

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header, uri::PathAndQuery};

use crate::{
    Authorization, RequestHead, authorization::is_credential, host::authority, original, rules::Rules,
};

/// Headers that some framework or proxy takes for the host, the path, the method or the scheme, whoever sent them.
pub(crate) const OVERRIDES: [&str; 19] = [
    "forwarded",
    "x-forwarded-host",
    "x-forwarded-server",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-path",
    "x-forwarded-uri",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-ssl",
    "x-host",
    "x-original-host",
    "x-original-url",
    "x-original-uri",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "front-end-https",
];

/// Makes the request the one that its key stands for.
pub(crate) fn for_filling(rules: &Rules, head: &mut RequestHead) {
    // Or the handler answers 304 or 206, which no other client can use.
    for name in [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_RANGE, header::RANGE] {
        head.headers.remove(name);
    }
    for name in &rules.hidden_headers {
        if !rules.keyed_headers.contains(name) && !agrees(rules, &head.headers, name.as_str()) {
            head.headers.remove(name);
        }
    }
    if rules.authorization == Authorization::Ignore {
        let hidden = |name: &&HeaderName| is_credential(name) && !rules.keyed_headers.contains(name);
        let hidden: Vec<HeaderName> = head.headers.keys().filter(hidden).cloned().collect();
        for name in hidden {
            head.headers.remove(name);
        }
    }
    if !rules.keyed_headers.contains(&header::COOKIE) {
        rules.cookies.hide(&rules.analytics, &mut head.headers);
    }
    if rules.only.is_none() {
        edit_target(rules, head);
    }
}

/// The handler sees the host in the spelling that is in the key. Another one leads to the same entry, and what it makes of the
/// page (absolute links, a redirect to the right spelling) would be served to everyone.
fn edit_target(rules: &Rules, head: &mut RequestHead) {
    let host = authority(&head.uri, &head.headers, rules.scheme).expect("judged before").into_owned();
    if let Some(said) = head.headers.get_mut(header::HOST).filter(|said| **said != *host.as_str()) {
        *said = HeaderValue::from_str(&host).expect("made of letters and digits of one");
    }
    edit_uri(rules, &host, &mut head.uri);
    original::edit(&mut head.extensions, |uri| edit_uri(rules, &host, uri));
}

/// A proxy that ends TLS says so in a header, and an application that misses it redirects for ever. What says the same as
/// the configured scheme, which is in the key, may be seen.
fn agrees(rules: &Rules, headers: &HeaderMap, name: &str) -> bool {
    matches!(name, "x-forwarded-proto" | "x-forwarded-scheme")
        && headers.get_all(name).iter().all(|value| value == rules.scheme.as_str())
}

fn edit_uri(rules: &Rules, host: &str, uri: &mut Uri) {
    let scheme_differs = uri.scheme_str().is_some_and(|scheme| scheme != rules.scheme.as_str());
    let host_differs = uri.authority().is_some_and(|authority| authority.as_str() != host);
    let query = rules.query.apply(uri.query()).expect("judged before");
    if !scheme_differs && !host_differs && query.as_deref() == uri.query() {
        return;
    }
    let target = match &query {
        Some(query) => format!("{}?{query}", uri.path()),
        None => uri.path().to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).expect("parts of a valid target make one"));
    if scheme_differs {
        parts.scheme = Some(rules.scheme.as_str().parse().expect("http and https are schemes"));
    }
    if host_differs {
        parts.authority = Some(host.parse().expect("a host that was judged is an authority"));
    }
    *uri = Uri::from_parts(parts).expect("no part was added or taken away");
}
