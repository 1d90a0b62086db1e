//! What the server's and the agents' code logs is part of the trace; a bug that it reports
//! breaks the run.

use std::fmt::Write as _;
use std::sync::{Arc, Weak};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber};

use crate::world::World;

/// Listens on this thread for as long as the guard is there.
pub(crate) fn listen(world: &Arc<World>) -> DefaultGuard {
    tracing::subscriber::set_default(Listener { world: Arc::downgrade(world) })
}

struct Listener {
    world: Weak<World>,
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.is_event()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let Some(world) = self.world.upgrade() else { return };
        let mut text = Text(String::new());
        event.record(&mut text);
        world.note(&text.0);
        if *event.metadata().level() <= Level::WARN && text.0.contains("bug") {
            world.breaks(text.0);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string does not fail.
        let _written = write!(self.0, "{}={value:?} ", field.name());
    }
}
