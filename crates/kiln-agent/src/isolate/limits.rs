//! How much of its node a command may take, and the controllers of the kernel that see to it.

use kiln_wire::node::SlotLimits;

/// Length of the time over which processor time is shared out, in microseconds.
pub(crate) const PERIOD_US: u64 = 100_000;

/// What one command may take at once; what is absent is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    processes: Option<u64>,
    memory_bytes: Option<u64>,
    /// Processor time in each [`PERIOD_US`].
    processor_us: Option<u64>,
}

/// A controller of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Controller {
    /// Counts processes and threads.
    Processes,
    /// Counts memory.
    Memory,
    /// Shares out processor time.
    Processor,
}

impl Controller {
    /// All that are made use of.
    pub(crate) const ALL: [Self; 3] = [Self::Processes, Self::Memory, Self::Processor];

    /// The kernel's name for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Processes => "pids",
            Self::Memory => "memory",
            Self::Processor => "cpu",
        }
    }
}

impl Limits {
    /// Those of a command that takes so many slots.
    pub(crate) fn of(slot: &SlotLimits, slots: u32) -> Self {
        let slots = u64::from(slots.max(1));
        let period_us = PERIOD_US / 1000;
        Self {
            processes: slot.processes.map(|it| slots.saturating_mul(it.into())),
            memory_bytes: slot.memory_bytes.map(|it| slots.saturating_mul(it)),
            processor_us: slot
                .milli_processors
                .map(|it| slots.saturating_mul(it.into()).saturating_mul(period_us)),
        }
    }

    /// The controllers that are needed.
    pub(crate) fn controllers(&self) -> impl Iterator<Item = Controller> {
        Controller::ALL.into_iter().filter(|controller| self.value(*controller).is_some())
    }

    /// What a controller is to allow.
    pub(crate) fn value(&self, controller: Controller) -> Option<u64> {
        match controller {
            Controller::Processes => self.processes,
            Controller::Memory => self.memory_bytes,
            Controller::Processor => self.processor_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use kiln_wire::node::SlotLimits;

    use super::{Controller, Limits};

    #[test]
    fn a_command_may_take_what_its_slots_may() {
        let slot = SlotLimits {
            processes: Some(100),
            milli_processors: Some(500),
            ..SlotLimits::default()
        };
        let limits = Limits::of(&slot, 3);
        assert_eq!(limits.value(Controller::Processes), Some(300));
        assert_eq!(limits.value(Controller::Memory), None);
        assert_eq!(limits.value(Controller::Processor), Some(150_000));
        let needed: Vec<_> = limits.controllers().collect();
        assert_eq!(needed, [Controller::Processes, Controller::Processor]);
        assert_eq!(Limits::of(&slot, 0), Limits::of(&slot, 1));
    }
}
