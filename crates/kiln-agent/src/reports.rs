//! What the server must not miss: told in order, and again on each link, until it keeps it.

use std::collections::VecDeque;

use kiln_wire::node::{FromAgent, Report};

/// Reports that the server does not keep yet, in order of their numbers.
#[derive(Debug, Default)]
pub struct Reports {
    waiting: VecDeque<(u64, Report)>,
    last_number: u64,
    /// Number of the last report that was sent on this link; `None` until the server said which
    /// it keeps. One that went earlier would go before those that wait, and their numbers would
    /// seem to be kept with its own.
    sent_number: Option<u64>,
}

impl Reports {
    /// Takes up one more.
    pub fn add(&mut self, report: Report) {
        self.last_number += 1;
        self.waiting.push_back((self.last_number, report));
    }

    /// A link stands: reports follow once the server said which it keeps.
    pub fn on_linked(&mut self) {
        self.sent_number = None;
    }

    /// The server welcomes the agent, and keeps reports up to this number: all others are sent,
    /// again or for the first time.
    pub fn on_welcome(&mut self, acknowledged: u64) {
        self.on_acknowledged(acknowledged);
        let before_first = |(first, _): &(u64, Report)| first - 1;
        self.sent_number = Some(self.waiting.front().map_or(self.last_number, before_first));
    }

    /// The server keeps reports up to this number.
    pub fn on_acknowledged(&mut self, acknowledged: u64) {
        while self.waiting.front().is_some_and(|(number, _)| *number <= acknowledged) {
            self.waiting.pop_front();
        }
    }

    /// Whether there is something to send on this link.
    pub fn has_unsent(&self) -> bool {
        self.sent_number.is_some_and(|sent| sent < self.last_number)
    }

    /// The next report for this link.
    pub fn next_unsent(&mut self) -> Option<FromAgent> {
        let sent = self.sent_number?;
        let index = self.waiting.partition_point(|(number, _)| *number <= sent);
        let Some((number, report)) = self.waiting.get(index) else {
            self.sent_number = Some(self.last_number);
            return None;
        };
        self.sent_number = Some(*number);
        Some(FromAgent::Report { number: *number, report: Box::new(report.clone()) })
    }
}

#[cfg(test)]
mod tests {
    use kiln_wire::node::{FromAgent, Report};

    use super::Reports;

    /// Sends all that is to be sent on this link; gives the numbers.
    fn send(reports: &mut Reports) -> Vec<u64> {
        let mut sent = Vec::new();
        while reports.has_unsent() {
            if let Some(FromAgent::Report { number, .. }) = reports.next_unsent() {
                sent.push(number);
            }
        }
        sent
    }

    #[test]
    fn what_is_not_kept_is_sent_on_each_link() {
        let mut reports = Reports::default();
        reports.add(Report::RetentionOver);
        reports.add(Report::RetentionOver);
        reports.on_linked();
        assert_eq!(send(&mut reports), [0; 0], "nothing before the welcome");
        reports.on_welcome(0);
        assert_eq!(send(&mut reports), [1, 2]);
        reports.on_acknowledged(1);
        reports.add(Report::RetentionOver);
        assert_eq!(send(&mut reports), [3]);
        reports.on_linked();
        reports.add(Report::RetentionOver);
        assert_eq!(send(&mut reports), [0; 0], "a new one does not overtake those that wait");
        reports.on_welcome(0);
        assert_eq!(send(&mut reports), [2, 3, 4]);
        reports.on_acknowledged(4);
        reports.on_linked();
        reports.on_welcome(0);
        assert_eq!(send(&mut reports), [0; 0], "all is kept");
    }
}
