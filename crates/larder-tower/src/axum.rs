//! What is particular to axum.

use axum::{
    extract::OriginalUri,
    response::{IntoResponseParts, ResponseParts},
};
use http::{Extensions, Uri};

use crate::{CacheTimeout, NoStore};

impl IntoResponseParts for CacheTimeout {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

impl IntoResponseParts for NoStore {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

/// The URI as the client sent it: within a nested router the request's own has lost its beginning.
pub(crate) fn original_uri(extensions: &Extensions) -> Option<&Uri> {
    extensions.get::<OriginalUri>().map(|original| &original.0)
}

/// Lets what a handler can extract be what `edit` makes of it.
pub(crate) fn edit_original_uri(extensions: &mut Extensions, edit: impl FnOnce(&mut Uri)) {
    if let Some(original) = extensions.get_mut::<OriginalUri>() {
        edit(&mut original.0);
    }
}
