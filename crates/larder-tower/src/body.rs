//! The body of a response that passed the layer.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::tee::Tee;

pin_project! {
    /// The body of a response that passed the layer: the handler's own, untouched or with a copy being kept, or a stored one.
    ///
    /// Its error is the handler's body's.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use http_body_util::{BodyExt, Full};
    /// use larder_core::Cache;
    /// use larder_simple::SimpleStore;
    /// use larder_tower::{CacheBody, CacheLayer};
    /// use tower::{ServiceBuilder, ServiceExt, service_fn};
    ///
    /// let service = ServiceBuilder::new()
    ///     .layer(CacheLayer::builder(Cache::new(SimpleStore::new())).build()?)
    ///     .service(service_fn(async |_request: http::Request<String>| {
    ///         Ok::<_, std::io::Error>(http::Response::new(Full::<bytes::Bytes>::from("hello")))
    ///     }));
    /// let request = http::Request::get("http://localhost/").body(String::new())?;
    /// let body: CacheBody<Full<bytes::Bytes>> = service.oneshot(request).await?.into_body();
    /// assert_eq!(body.collect().await?.to_bytes(), "hello");
    /// # Ok(()) }
    /// ```
    pub struct CacheBody<B: Body> {
        #[pin]
        repr: Repr<B>,
    }
}

pin_project! {
    #[project = Projected]
    enum Repr<B: Body> {
        Pass { #[pin] body: B },
        Tee { tee: Tee<B> },
        Full { bytes: Bytes },
    }
}

impl<B: Body> CacheBody<B> {
    pub(crate) fn pass(body: B) -> Self {
        Self { repr: Repr::Pass { body } }
    }

    pub(crate) fn tee(tee: Tee<B>) -> Self {
        Self { repr: Repr::Tee { tee } }
    }

    pub(crate) fn full(bytes: Bytes) -> Self {
        Self { repr: Repr::Full { bytes } }
    }

    pub(crate) fn empty() -> Self {
        Self::full(Bytes::new())
    }
}

impl<B: Body<Data = Bytes>> Body for CacheBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Poll::Ready(match self.project().repr.project() {
            Projected::Pass { body } => ready!(body.poll_frame(context)),
            Projected::Tee { tee } => ready!(tee.poll_frame(context)),
            Projected::Full { bytes } if bytes.is_empty() => None,
            Projected::Full { bytes } => Some(Ok(Frame::data(std::mem::take(bytes)))),
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.repr {
            Repr::Pass { body } => body.is_end_stream(),
            Repr::Tee { tee } => tee.is_end_stream(),
            Repr::Full { bytes } => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.repr {
            Repr::Pass { body } => body.size_hint(),
            Repr::Tee { tee } => tee.size_hint(),
            Repr::Full { bytes } => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

/// Shows of which kind it is, never what it says.
impl<B: Body> fmt::Debug for CacheBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.repr {
            Repr::Pass { .. } => "CacheBody::Pass",
            Repr::Tee { .. } => "CacheBody::Tee",
            Repr::Full { .. } => "CacheBody::Full",
        })
    }
}
