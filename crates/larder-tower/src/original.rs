//! The URI as the client sent it, where the framework tells.

#[cfg(feature = "axum")]
pub(crate) use crate::axum::{edit_original_uri as edit, original_uri as get};

#[cfg(not(feature = "axum"))]
pub(crate) fn get(_: &http::Extensions) -> Option<&http::Uri> {
    None
}

#[cfg(not(feature = "axum"))]
pub(crate) fn edit(_: &mut http::Extensions, _: impl FnOnce(&mut http::Uri)) {}
