//! A body that is forwarded frame by frame while a copy of it is kept.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::{Reason, recording::Recording};

/// Every frame goes on at once; the copy shares its memory. On the pass path there is none of this, so the box costs only a
/// response that is about to be stored.
pub(crate) struct Tee<B: Body> {
    inner: Pin<Box<B>>,
    /// Read ahead of whoever reads this body.
    ahead: VecDeque<Result<Frame<Bytes>, B::Error>>,
    /// The body has said that it ends, and must not be asked again: one made of a stream may panic.
    ended: bool,
    /// `None` once the response is stored, or is known not to be.
    recording: Option<Recording>,
}

impl<B: Body<Data = Bytes>> Tee<B> {
    pub(crate) fn new(inner: B, recording: Recording) -> Self {
        Self { inner: Box::pin(inner), ahead: VecDeque::new(), ended: false, recording: Some(recording) }
    }

    /// Reads what is there without waiting. The recording comes back if the body has ended well: it is then all in
    /// `ahead`. An error is why the response cannot be stored.
    pub(crate) fn read_ahead(&mut self, context: &mut Context<'_>) -> Result<Option<Recording>, Reason> {
        while !self.inner.is_end_stream() {
            match self.inner.as_mut().poll_frame(context) {
                Poll::Pending => return Ok(None),
                Poll::Ready(None) => {
                    self.ended = true;
                    break;
                }
                Poll::Ready(Some(frame)) => {
                    let verdict = self.record(&frame);
                    self.ahead.push_back(frame);
                    verdict?;
                }
            }
        }
        match self.recording.take() {
            Some(recording) if !recording.is_whole() => {
                recording.give_up_for(Reason::Length);
                Err(Reason::Length)
            }
            recording => Ok(recording),
        }
    }

    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(frame) = self.ahead.pop_front() {
            return Poll::Ready(Some(frame));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(self.inner.as_mut().poll_frame(context));
        self.ended = frame.is_none();
        if let Some(frame) = &frame {
            // Whoever reads the body has its head already: there is nobody left to tell why.
            let _ = self.record(frame);
        }
        // Whoever reads this may stop at the last frame, without asking for the end.
        if (frame.is_none() || self.inner.is_end_stream())
            && let Some(recording) = self.recording.take()
        {
            recording.finish();
        }
        Poll::Ready(frame)
    }

    fn record(&mut self, frame: &Result<Frame<Bytes>, B::Error>) -> Result<(), Reason> {
        let Some(recording) = &mut self.recording else { return Ok(()) };
        let verdict = match frame {
            Ok(frame) => frame.data_ref().map_or(Err(Reason::Trailers), |data| recording.push(data)),
            Err(_) => Err(Reason::BodyError),
        };
        if let Err(reason) = verdict
            && let Some(recording) = self.recording.take()
        {
            recording.give_up_for(reason);
        }
        verdict
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && (self.ended || self.inner.is_end_stream())
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        let ahead: u64 =
            self.ahead.iter().flatten().filter_map(Frame::data_ref).map(|data| data.len() as u64).sum();
        let inner = self.inner.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(ahead));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(ahead));
        }
        hint
    }
}
