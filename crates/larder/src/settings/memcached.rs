//! What `memcached://` and its kin add.

use super::{FLAG, PREFIX, Setting, setting};

pub(crate) const MEMCACHED: [Setting; 8] = [
    setting([
        "ca",
        "the file with the certificates to trust",
        "absolute path of a PEM file",
        "the machine's",
        "/etc/ssl/memcached-ca.pem",
        "ca.pem",
        "",
    ]),
    setting([
        "connect_timeout",
        "how long making one connection may take",
        "`1ms` to `10m`",
        "`500ms`",
        "2s",
        "0",
        "",
    ]),
    setting(["lanes", "how many connections to each server", "1 to 8", "`2`", "1", "9", ""]),
    setting([
        "max_in_flight",
        "how many operations may be under way at once",
        "1 to 1000000",
        "`10000`",
        "500",
        "0",
        "",
    ]),
    setting([
        "password",
        "the password of ASCII authentication, where it is not in the URL",
        "text",
        "that of the URL",
        "s3cret",
        "",
        "CACHE_MEMCACHED_PASSWORD",
    ]),
    setting(["prefix", "in front of every key on the servers", PREFIX, "none", "shop:", "a_b", ""]),
    setting([
        "rehash",
        "whether the keys of a server that is gone move to the others, which brings old values back",
        FLAG,
        "`false`",
        "true",
        "yes",
        "",
    ]),
    setting([
        "username",
        "the user of ASCII authentication, with `password`",
        "text",
        "that of the URL",
        "shop",
        "",
        "CACHE_MEMCACHED_USERNAME",
    ]),
];
