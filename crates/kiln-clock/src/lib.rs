//! What a run takes from thin air: the time, waits, chance, and threads to wait on.
//!
//! All of it comes from this machine, unless a [`Source`] was put in its place on the thread
//! that asks. A simulation does that, and its run depends on nothing but its seed.

use std::cell::RefCell;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use kiln_domain::time::Timestamp;
use tokio::task::JoinError;
use uuid::Uuid;

/// A wait.
pub type Pause = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where time and chance come from, in place of this machine.
pub trait Source: Debug + Send + Sync {
    /// What the clock on the wall shows.
    fn now(&self) -> Timestamp;

    /// A moment, to measure time from: it never jumps.
    fn tick(&self) -> Instant;

    /// Comes back after `length`, whatever is done to the clock on the wall.
    fn pause(&self, length: Duration) -> Pause;

    /// Fills `bytes` with chance.
    fn fill(&self, bytes: &mut [u8]);
}

thread_local! {
    static SOURCE: RefCell<Option<Arc<dyn Source>>> = const { RefCell::new(None) };
}

/// For as long as it is there, a source is in place on its thread.
#[derive(Debug)]
pub struct InPlace {
    before: Option<Arc<dyn Source>>,
}

/// Puts `source` in the place of this machine on this thread.
#[must_use]
pub fn put_in_place(source: Arc<dyn Source>) -> InPlace {
    InPlace { before: SOURCE.replace(Some(source)) }
}

impl Drop for InPlace {
    fn drop(&mut self) {
        drop(SOURCE.replace(self.before.take()));
    }
}

/// The source of this thread; `None` for this machine.
fn source() -> Option<Arc<dyn Source>> {
    SOURCE.with_borrow(Clone::clone)
}

/// The time now.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn now() -> Timestamp {
    source().map_or_else(|| Timestamp::from_system(SystemTime::now()), |it| it.now())
}

/// A moment, to measure time from: it never jumps.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub fn tick() -> Instant {
    source().map_or_else(Instant::now, |it| it.tick())
}

/// Waits for `length`.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub async fn pause(length: Duration) {
    match source() {
        Some(source) => source.pause(length).await,
        None => tokio::time::sleep(length).await,
    }
}

/// The time given to a future was over before it came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its time was over")]
pub struct Elapsed;

/// Waits for a future, and drops it after `length`.
///
/// # Errors
/// When it did not come back in time.
pub async fn within<T>(length: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    tokio::select! {
        biased;
        value = future => Ok(value),
        () = pause(length) => Err(Elapsed),
    }
}

/// Random bytes.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    match source() {
        Some(source) => source.fill(&mut bytes),
        None => getrandom::fill(&mut bytes).expect("the system gives random bytes"),
    }
    bytes
}

/// A new id, for a request or for what is made by itself.
pub fn new_id() -> Uuid {
    uuid::Builder::from_random_bytes(random()).into_uuid()
}

/// Does on a thread of its own what may wait for a disk.
///
/// # Errors
/// When it panicked.
pub async fn aside<T: Send + 'static>(
    act: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    match source() {
        // When another thread came back would be chance.
        Some(_) => Ok(act()),
        None => tokio::task::spawn_blocking(act).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Still(Instant);

    impl Source for Still {
        fn now(&self) -> Timestamp {
            Timestamp(7)
        }

        fn tick(&self) -> Instant {
            self.0
        }

        fn pause(&self, _: Duration) -> Pause {
            Box::pin(std::future::ready(()))
        }

        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(9);
        }
    }

    #[test]
    fn a_source_is_in_place_on_its_thread_only() {
        let before = tick();
        let in_place = put_in_place(Arc::new(Still(before)));
        assert_eq!((now(), random(), tick()), (Timestamp(7), [9, 9], before));
        assert_eq!(new_id(), new_id());
        std::thread::scope(|scope| {
            let elsewhere = scope.spawn(|| (now(), new_id() == new_id()));
            let (time, is_same) = elsewhere.join().expect("it ends");
            assert!(time > Timestamp(7) && !is_same);
        });
        drop(in_place);
        assert_ne!(now(), Timestamp(7));
        assert!(tick() > before);
    }

    #[tokio::test]
    async fn what_takes_too_long_is_dropped() {
        let forever = within(Duration::from_millis(1), std::future::pending::<()>());
        assert_eq!(forever.await, Err(Elapsed));
        assert_eq!(within(Duration::from_secs(60), async { 7 }).await, Ok(7));
        let in_place = put_in_place(Arc::new(Still(tick())));
        let late = within(Duration::from_secs(60), std::future::pending::<()>());
        assert_eq!(late.await, Err(Elapsed));
        assert!(matches!(aside(|| 7).await, Ok(7)));
        drop(in_place);
    }
}
