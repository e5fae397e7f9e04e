#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod authorization;
#[cfg(feature = "axum")]
mod axum;
mod body;
mod builder;
mod cache_control;
mod conditional;
mod cookies;
mod directives;
mod edit;
mod fill;
mod future;
mod hit;
mod hop;
mod host;
mod key;
mod layer;
mod names;
mod nested;
mod original;
mod outcome;
mod query;
mod reason;
mod recent;
mod recording;
mod request;
mod response;
mod rules;
mod scheme;
mod service;
mod stored;
mod tee;
mod vary;
mod wire;

/// The head of a request, as the functions of a layer see it.
pub use http::request::Parts as RequestHead;
/// The head of a response, as the functions of a layer see it.
pub use http::response::Parts as ResponseHead;

pub use crate::{
    authorization::Authorization,
    body::CacheBody,
    builder::CacheLayerBuilder,
    cookies::Cookies,
    directives::{CacheTimeout, NoStore},
    future::ResponseFuture,
    key::KeyPart,
    layer::CacheLayer,
    names::Names,
    outcome::CacheOutcome,
    query::Query,
    reason::Reason,
    service::CacheService,
    stored::StoredResponse,
};
