//! The seam at which tests make the file system fail. Every step on files passes it.

#[cfg(not(test))]
use std::io;

/// Before a step is taken.
#[cfg(not(test))]
#[inline]
#[expect(clippy::unnecessary_wraps, reason = "in tests it fails")]
pub(crate) fn before() -> io::Result<()> {
    Ok(())
}

/// Before a removal, which needs no space on the disk.
#[cfg(not(test))]
#[inline]
#[expect(clippy::unnecessary_wraps, reason = "in tests it fails")]
pub(crate) fn before_removal() -> io::Result<()> {
    Ok(())
}

/// Before what was written is flushed to the disk.
#[cfg(not(test))]
#[inline]
#[expect(clippy::unnecessary_wraps, reason = "in tests it fails")]
pub(crate) fn before_flush() -> io::Result<()> {
    Ok(())
}

/// After a step was taken: what fails here has happened all the same.
#[cfg(not(test))]
#[inline]
#[expect(clippy::unnecessary_wraps, reason = "in tests it fails")]
pub(crate) fn after() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(crate) use self::hook::{Moment, after, before, before_flush, before_removal, with_hook};

#[cfg(test)]
mod hook {
    use std::{cell::RefCell, io};

    /// Where in a step a hook is called.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Moment {
        Before,
        BeforeRemoval,
        BeforeFlush,
        After,
    }

    type Hook = Box<dyn FnMut(Moment) -> io::Result<()>>;

    thread_local! {
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    }

    pub(crate) fn before() -> io::Result<()> {
        call(Moment::Before)
    }

    pub(crate) fn before_removal() -> io::Result<()> {
        call(Moment::BeforeRemoval)
    }

    pub(crate) fn before_flush() -> io::Result<()> {
        call(Moment::BeforeFlush)
    }

    pub(crate) fn after() -> io::Result<()> {
        call(Moment::After)
    }

    fn call(moment: Moment) -> io::Result<()> {
        // Taken out meanwhile, so that a hook may use files itself.
        let Some(mut hook) = HOOK.take() else { return Ok(()) };
        let result = hook(moment);
        HOOK.set(Some(hook));
        result
    }

    /// Runs a job whose steps on files, on this thread, ask the hook.
    pub(crate) fn with_hook<T>(
        hook: impl FnMut(Moment) -> io::Result<()> + 'static,
        job: impl FnOnce() -> T,
    ) -> T {
        HOOK.set(Some(Box::new(hook)));
        let result = job();
        HOOK.set(None);
        result
    }
}
