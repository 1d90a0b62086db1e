//! Walks through the life of one node in one job.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Admission, Effect, Fact, PreparationLife, Rules, State, admit, admit_task_id, step};
use crate::batch::job::JobSpec;
use crate::batch::task::{FailureInfo, Outcome};
use crate::time::Timestamp;

const RULES: Rules = Rules { retries_max: 0, waits: true, reruns: true, has_release: true };
const EXITED_0: Outcome = Outcome::Exited { exit_code: 0 };
const EXITED_1: Outcome = Outcome::Exited { exit_code: 1 };

fn fact(name: &str, boot: u32) -> Fact {
    match name {
        "wanted" => Fact::Wanted { boot },
        "ok" => Fact::PreparationEnded(EXITED_0),
        "exit1" => Fact::PreparationEnded(EXITED_1),
        "late" => Fact::PreparationEnded(Outcome::TimedOut),
        "stopped" => Fact::PreparationEnded(Outcome::Stopped),
        "no-file" => Fact::PreparationEnded(Outcome::NotStarted {
            failure: FailureInfo::user_error("BlobNotFound", ""),
        }),
        "released" => Fact::ReleaseEnded(EXITED_1),
        "reboot" => Fact::Rebooted { boot },
        "reimage" => Fact::Reimaged { boot },
        "lost" => Fact::NodeLost,
        "end" => Fact::JobEnded { may_release: true },
        "end-away" => Fact::JobEnded { may_release: false },
        name => panic!("no fact `{name}`"),
    }
}

/// Walks through `facts` and checks where the node stands after each, with the effects.
#[track_caller]
fn check(rules: Rules, facts: &str, expected: &str) {
    let mut life = PreparationLife::new("p".to_owned());
    let mut said = Vec::new();
    let mut boot = 1;
    for (second, name) in (1..).zip(facts.split(' ')) {
        boot += u32::from(name.starts_with("re") && name != "released");
        let (next, effects) = step(life, fact(name, boot), &rules, Timestamp(second));
        life = next;
        let effects: Vec<_> = effects.iter().map(|effect| format!("{effect:?}")).collect();
        said.push(format!("{:?}#{} {}", life.state, life.attempt, effects.join("+")));
    }
    let said: Vec<_> = said.iter().map(|it| it.trim_end()).collect();
    assert_eq!(said.join(", "), expected, "{facts}");
}

#[test]
fn a_node_is_prepared_once_and_released_at_the_end() {
    check(
        RULES,
        "wanted wanted ok wanted end released",
        "Preparing#1 RunPreparation, Preparing#1, Prepared#1 Open, Prepared#1, \
         Releasing#2 RunRelease, Done#2 Finish",
    );
}

#[test]
fn a_failed_preparation_is_retried_and_then_closes_the_node() {
    check(
        Rules { retries_max: 1, ..RULES },
        "wanted exit1 exit1 wanted reboot reimage wanted",
        "Preparing#1 RunPreparation, Preparing#2 RunPreparation, Failed#2 Return+Exclude, \
         Failed#2, Failed#2, Due#2 Admit, Preparing#3 RunPreparation",
    );
    let runs = "Preparing#1 RunPreparation, Failed#1 Return+Exclude";
    check(Rules { retries_max: -1, ..RULES }, "wanted late", runs);
    check(Rules { retries_max: -1, ..RULES }, "wanted no-file", runs);
}

#[test]
fn nobody_waits_for_a_preparation_whose_success_does_not_matter() {
    check(
        Rules { waits: false, ..RULES },
        "wanted wanted exit1 wanted end",
        "Preparing#1 RunPreparation, Preparing#1, Prepared#1, Prepared#1, Releasing#2 RunRelease",
    );
    check(
        Rules { waits: false, ..RULES },
        "wanted end",
        "Preparing#1 RunPreparation, Releasing#2 StopPreparation+RunRelease",
    );
}

#[test]
fn a_reboot_repeats_what_it_interrupts_and_what_should_be_repeated() {
    check(
        RULES,
        "wanted reboot wanted ok wanted reboot wanted ok",
        "Preparing#1 RunPreparation, Due#1 Return, Preparing#2 RunPreparation, Prepared#2 Open, \
         Prepared#2, Due#2, Preparing#3 RunPreparation, Prepared#3 Open",
    );
    check(
        Rules { reruns: false, ..RULES },
        "wanted ok wanted reboot wanted reimage",
        "Preparing#1 RunPreparation, Prepared#1 Open, Prepared#1, Prepared#1, Prepared#1, Due#1",
    );
    check(
        Rules { reruns: false, waits: false, ..RULES },
        "wanted exit1 reboot",
        "Preparing#1 RunPreparation, Prepared#1, Due#1",
    );
    check(RULES, "wanted stopped reboot", "Preparing#1 RunPreparation, Due#1 Return, Due#1");
    check(
        RULES,
        "wanted ok wanted end reboot released",
        "Preparing#1 RunPreparation, Prepared#1 Open, Prepared#1, Releasing#2 RunRelease, \
         Releasing#3 RunRelease, Done#3 Finish",
    );
}

#[test]
fn an_interrupted_run_keeps_its_count_of_retries() {
    let rules = Rules { retries_max: 5, ..RULES };
    let mut life = PreparationLife::new("p".to_owned());
    for (second, name) in (1..).zip(["wanted", "exit1", "reboot", "wanted"]) {
        (life, _) = step(life, fact(name, second), &rules, Timestamp(i64::from(second)));
    }
    let run = life.preparation.clone().expect("it runs");
    assert_eq!((run.retry_count, run.last_retry_at), (1, Some(Timestamp(2))));
    assert_eq!(run.started_at, Timestamp(4));
    for name in ["ok", "reboot", "wanted"] {
        (life, _) = step(life, fact(name, 9), &rules, Timestamp(9));
    }
    assert_eq!(life.preparation.map(|run| run.retry_count), Some(0), "it succeeded in between");
}

#[test]
fn only_what_tasks_used_is_released() {
    let prepared = "Preparing#1 RunPreparation, Prepared#1 Open, ";
    check(RULES, "wanted ok end", &format!("{prepared}Done#1"));
    check(RULES, "wanted ok wanted end-away", &format!("{prepared}Prepared#1, Done#1"));
    check(RULES, "wanted ok wanted reimage end", &format!("{prepared}Prepared#1, Due#1, Done#1"));
    check(
        RULES,
        "wanted ok wanted reboot end lost",
        &format!("{prepared}Prepared#1, Due#1, Releasing#2 RunRelease, Done#2 Finish"),
    );
    check(
        Rules { has_release: false, ..RULES },
        "wanted ok wanted end",
        &format!("{prepared}Prepared#1, Done#1"),
    );
    check(RULES, "wanted end ok", "Preparing#1 RunPreparation, Done#1 StopPreparation, Done#1");
    check(
        RULES,
        "wanted ok wanted end reimage",
        &format!("{prepared}Prepared#1, Releasing#2 RunRelease, Done#2 Finish"),
    );
}

#[test]
fn what_a_job_may_ask_for() {
    let say = |members: &str, task_id: &str| {
        let json = format!(r#"{{"id":"j","poolInfo":{{"poolId":"p"}},{members}}}"#);
        let spec: JobSpec = serde_json::from_str(&json).expect("a specification");
        let admitted = admit(&spec).and_then(|()| admit_task_id(&spec, task_id));
        admitted.map_or_else(|rejection| rejection.to_string(), |()| "fine".to_owned())
    };
    let prepares = r#""jobPreparationTask":{"id":"prep"}"#;
    let release = |more: &str| format!(r#"{prepares},"jobReleaseTask":{{"id":"rel"{more}}}"#);
    assert_eq!(say(prepares, "t"), "fine");
    assert_eq!(say(&release(r#","maxWallClockTime":"PT15M""#), "t"), "fine");
    assert_eq!(say(prepares, "PREP"), "task `PREP` is named like the job's preparation task");
    assert_eq!(say(&release(""), "Rel"), "task `Rel` is named like the job's release task");
    for (members, property) in [
        (r#""jobReleaseTask":{"id":"rel"}"#.to_owned(), "jobReleaseTask"),
        (release(r#","maxWallClockTime":"PT15M0.1S""#), "jobReleaseTask.maxWallClockTime"),
        (release(r#","retentionTime":"-PT1S""#), "jobReleaseTask.retentionTime"),
        (
            r#""jobPreparationTask":{"id":"x"},"jobReleaseTask":{"id":"X"}"#.to_owned(),
            "jobReleaseTask.id",
        ),
        (r#""jobPreparationTask":{"id":"a b"}"#.to_owned(), "jobPreparationTask.id"),
        (
            r#""jobPreparationTask":{"id":"a","resourceFiles":[{}]}"#.to_owned(),
            "jobPreparationTask.resourceFiles.httpUrl",
        ),
        (
            r#""jobPreparationTask":{"id":"a","constraints":{"maxTaskRetryCount":-2}}"#.to_owned(),
            "jobPreparationTask.constraints.maxTaskRetryCount",
        ),
    ] {
        let said = say(&members, "t");
        assert!(said.starts_with(&format!("property `{property}` ")), "{members}: {said}");
    }
}

/// A node of one job with what surrounds it, as far as the rules promise something about it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not exclude each other")]
struct World {
    life: PreparationLife,
    attempt: u32,
    boot: u32,
    is_there: bool,
    has_job_ended: bool,
    is_excluded: bool,
    /// A task waits for the preparation; one runs.
    waits: bool,
    runs: bool,
    /// A preparation succeeded there, and need not be repeated.
    is_prepared: bool,
    /// What runs on the node: whether it is the release, and its attempt.
    command: Option<(bool, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    PlaceTask,
    EndTask,
    EndCommand(&'static Outcome),
    Reboot,
    Reimage,
    LoseNode,
    EndJob,
}

const MOVES: [Move; 10] = [
    Move::PlaceTask,
    Move::EndTask,
    Move::EndCommand(&EXITED_0),
    Move::EndCommand(&EXITED_1),
    Move::EndCommand(&Outcome::TimedOut),
    Move::EndCommand(&Outcome::Stopped),
    Move::Reboot,
    Move::Reimage,
    Move::LoseNode,
    Move::EndJob,
];

/// Moves of one walk at the most.
const MOVES_MAX: usize = 8;

impl World {
    fn new() -> Self {
        Self {
            life: PreparationLife::new("p".to_owned()),
            attempt: 0,
            boot: 1,
            is_there: true,
            has_job_ended: false,
            is_excluded: false,
            waits: false,
            runs: false,
            is_prepared: false,
            command: None,
        }
    }

    fn step(&mut self, fact: Fact, rules: &Rules) {
        let before = self.life.clone();
        let (life, effects) = step(before.clone(), fact, rules, Timestamp(0));
        self.life = life.clone();
        for effect in effects {
            match effect {
                Effect::RunPreparation | Effect::RunRelease => {
                    let is_release = effect == Effect::RunRelease;
                    assert!(life.attempt > self.attempt, "a new run has a new number");
                    assert_eq!(self.command, None, "one run at a time");
                    assert_eq!(is_release, self.has_job_ended, "each in its time");
                    self.attempt = life.attempt;
                    self.command = Some((is_release, life.attempt));
                }
                Effect::StopPreparation => {
                    assert_eq!(self.command.take(), Some((false, before.attempt)));
                }
                Effect::Open => self.open(rules),
                Effect::Return => self.waits = false,
                Effect::Exclude => self.is_excluded = true,
                Effect::Admit => self.is_excluded = false,
                Effect::Finish => assert_eq!(life.state, State::Done),
            }
        }
    }

    fn open(&mut self, rules: &Rules) {
        if std::mem::take(&mut self.waits) {
            self.runs = true;
            self.step(Fact::Wanted { boot: self.boot }, rules);
        }
    }

    /// What nodes and the server do to it, with a look at the promises; false when that can not
    /// be now.
    fn go(&mut self, it: Move, rules: &Rules) -> bool {
        if !self.make(it, rules) {
            return false;
        }
        self.check(rules, it == Move::EndCommand(&Outcome::Stopped));
        // Without being told, a node stops something only because it reboots.
        if it == Move::EndCommand(&Outcome::Stopped) {
            self.make(Move::Reboot, rules);
            self.check(rules, false);
        }
        true
    }

    fn make(&mut self, it: Move, rules: &Rules) -> bool {
        match it {
            Move::PlaceTask => {
                if self.has_job_ended || self.is_excluded || !self.is_there {
                    return false;
                }
                self.step(Fact::Wanted { boot: self.boot }, rules);
                match self.life.admission(rules) {
                    Admission::Now => self.runs = true,
                    Admission::Later => self.waits = true,
                    Admission::No => panic!("a node that is not excluded takes tasks: {self:?}"),
                }
            }
            Move::EndTask => return std::mem::take(&mut self.runs),
            Move::EndCommand(outcome) => {
                let Some((is_release, attempt)) = self.command.take() else { return false };
                if attempt != self.life.attempt {
                    return true;
                }
                self.is_prepared |= !is_release && outcome.failure().is_none();
                self.step(
                    if is_release {
                        Fact::ReleaseEnded(outcome.clone())
                    } else {
                        Fact::PreparationEnded(outcome.clone())
                    },
                    rules,
                );
            }
            Move::Reboot | Move::Reimage => {
                (self.command, self.waits, self.runs) = (None, false, false);
                self.is_there = true;
                self.boot += 1;
                let boot = self.boot;
                self.is_prepared &= it == Move::Reboot && !rules.reruns;
                let reboot = it == Move::Reboot;
                let fact = if reboot { Fact::Rebooted { boot } } else { Fact::Reimaged { boot } };
                self.step(fact, rules);
            }
            Move::LoseNode => {
                (self.command, self.waits, self.runs) = (None, false, false);
                self.is_there = false;
                self.step(Fact::NodeLost, rules);
            }
            Move::EndJob => {
                if std::mem::replace(&mut self.has_job_ended, true) {
                    return false;
                }
                (self.waits, self.runs) = (false, false);
                self.step(Fact::JobEnded { may_release: self.is_there }, rules);
            }
        }
        true
    }

    fn check(&self, rules: &Rules, stopped: bool) {
        let state = self.life.state;
        assert!(!rules.waits || !self.runs || self.is_prepared, "no task runs unprepared");
        assert!(!self.waits || (state == State::Preparing && rules.waits), "nobody waits in vain");
        let is_over = matches!(state, State::Releasing | State::Done);
        assert!(is_over || self.is_excluded == (state == State::Failed), "{state:?}");
        assert_eq!(self.has_job_ended, is_over, "a job's end is the end everywhere");
        let runs =
            self.is_there && !stopped && matches!(state, State::Preparing | State::Releasing);
        assert!(!runs || self.command.is_some(), "what should run does");
        assert!(self.is_there || state != State::Releasing, "a lost node is not waited for");
        assert!(self.life.release.is_none() || rules.has_release);
    }
}

/// Tries every walk of a few moves.
fn explore(rules: &Rules) -> usize {
    let mut seen = HashSet::new();
    let mut worlds = vec![(World::new(), Vec::new())];
    while let Some((world, path)) = worlds.pop() {
        if path.len() == MOVES_MAX || !seen.insert(format!("{}{world:?}", path.len())) {
            continue;
        }
        for it in MOVES {
            let (mut next, mut path) = (world.clone(), path.clone());
            path.push(it);
            let went = catch_unwind(AssertUnwindSafe(|| next.go(it, rules)));
            match went {
                Ok(true) => worlds.push((next, path)),
                Ok(false) => {}
                Err(_) => panic!("a promise is broken by {path:?} under {rules:?}"),
            }
        }
    }
    seen.len()
}

#[test]
fn whatever_happens_the_promises_hold() {
    let mut n_worlds = 0;
    for retries_max in [0, 1] {
        for n in 0..8 {
            let (waits, reruns, has_release) = (n & 1 == 0, n & 2 == 0, n & 4 == 0);
            n_worlds += explore(&Rules { retries_max, waits, reruns, has_release });
        }
    }
    assert!(n_worlds > 10_000, "only {n_worlds} worlds were looked at");
}
