//! What the handler sees while it fills an entry: nothing that could make the entry another one and is not in its key.

use http::{HeaderMap, Uri, header, uri::PathAndQuery};

use crate::{Authorization, RequestHead, original, rules::Rules};

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
        for name in [header::AUTHORIZATION, header::PROXY_AUTHORIZATION] {
            if !rules.keyed_headers.contains(&name) {
                head.headers.remove(name);
            }
        }
    }
    if !rules.keyed_headers.contains(&header::COOKIE) {
        rules.cookies.hide(&rules.analytics, &mut head.headers);
    }
    if rules.only.is_none() {
        edit_uri(rules, &mut head.uri);
        original::edit(&mut head.extensions, |uri| edit_uri(rules, uri));
    }
}

/// A proxy that ends TLS says so in a header, and an application that misses it redirects for ever. What says the same as
/// the configured scheme, which is in the key, may be seen.
fn agrees(rules: &Rules, headers: &HeaderMap, name: &str) -> bool {
    matches!(name, "x-forwarded-proto" | "x-forwarded-scheme")
        && headers.get_all(name).iter().all(|value| value == rules.scheme.as_str())
}

fn edit_uri(rules: &Rules, uri: &mut Uri) {
    let scheme_differs = uri.scheme_str().is_some_and(|scheme| scheme != rules.scheme.as_str());
    let query = rules.query.apply(uri.query()).expect("judged before");
    if !scheme_differs && query.as_deref() == uri.query() {
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
    *uri = Uri::from_parts(parts).expect("no part was added or taken away");
}
