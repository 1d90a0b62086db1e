//! Every member of every answer is shown somewhere, or `docs/unsupported.md` says why not.
//!
//! What a client gives with a resource is kept and given back as its api-version spells it;
//! that is tried where bodies are lifted and answers lowered. Here is the rest: what Kiln itself
//! finds out. One story brings resources into states that show it, and asks for each of them in
//! every api-version.

mod story;

use std::collections::BTreeSet;

use kiln_wire::api_version::ApiVersion;
use kiln_wire::batch::Shape;
use kiln_wire::batch::survey::Survey;

use crate::rig::{Ask, Reply, Rig};
use crate::unsupported;

/// Answers, and the body by which a client gives what they repeat.
const ANSWERS: [(Shape, Option<Shape>); 21] = [
    (Shape::Pool, Some(Shape::PoolAdd)),
    (Shape::PoolNodeCounts, None),
    (Shape::PoolUsageMetrics, None),
    (Shape::PoolStatistics, None),
    (Shape::AutoScaleRun, None),
    (Shape::Job, Some(Shape::JobAdd)),
    (Shape::JobStatistics, None),
    (Shape::TaskCounts, None),
    (Shape::JobPreparationAndReleaseStatus, None),
    (Shape::JobSchedule, Some(Shape::JobScheduleAdd)),
    (Shape::Task, Some(Shape::TaskAdd)),
    (Shape::TaskAddCollectionResult, None),
    (Shape::Subtask, None),
    (Shape::Node, None),
    (Shape::NodeExtension, None),
    (Shape::NodeRemoteLogin, None),
    (Shape::NodeFile, None),
    (Shape::SupportedImage, None),
    (Shape::NodeAgentSku, None),
    (Shape::Application, None),
    (Shape::Certificate, Some(Shape::CertificateAdd)),
];
/// Bodies whose parts other answers repeat, as a node the start task of its pool.
const BODIES: [Shape; 4] = [Shape::PoolAdd, Shape::JobAdd, Shape::JobScheduleAdd, Shape::TaskAdd];

/// What was shown in each api-version.
struct Shown(Vec<(ApiVersion, Survey)>);

impl Shown {
    fn new() -> Self {
        Self(ApiVersion::all().map(|version| (version, Survey::default())).collect())
    }

    /// Asks for one resource in every api-version that has it.
    async fn one(&mut self, shape: Shape, ask: impl Fn() -> Ask) {
        for (version, survey) in &mut self.0 {
            if let Some(document) = known(ask().version(version.as_str()).send().await) {
                survey.add(Survey::of_document(*version, shape, &document));
            }
        }
    }

    /// Asks for a list in every api-version that has it.
    async fn list(&mut self, rig: &Rig, shape: Shape, path: &str) {
        for (version, survey) in &mut self.0 {
            let reply = rig.get(path).version(version.as_str()).send().await;
            let document = known(reply).unwrap_or_default();
            for item in document["value"].as_array().into_iter().flatten() {
                survey.add(Survey::of_document(*version, shape, item));
            }
        }
    }
}

/// The document of an answer; an api-version may not have the operation.
fn known(reply: Reply) -> Option<serde_json::Value> {
    let is_unknown = reply.status == 400 && reply.body["code"] == "InvalidUri";
    (!is_unknown).then(|| reply.expect(200).body)
}

/// The members that the page of what is unsupported names, `Model.member`.
fn excused() -> BTreeSet<&'static str> {
    let is_member = |it: &&str| {
        let starts_large = it.chars().next().is_some_and(|first| first.is_ascii_uppercase());
        starts_large && it.contains('.') && !it.contains(' ')
    };
    unsupported::named().filter(is_member).collect()
}

/// The members of an answer in one api-version that no client gave.
fn own_members(version: ApiVersion, answer: Shape, given: Option<Shape>) -> BTreeSet<String> {
    let mut own = Survey::of_contract(version, answer).members();
    for body in BODIES.into_iter().chain(given) {
        for member in Survey::of_contract(version, body).members() {
            own.remove(&member);
        }
    }
    if let Some(given) = given {
        let (answer, given) = (Survey::top(version, answer), Survey::top(version, given));
        for (name, member) in answer {
            if given.iter().any(|(other, _)| *other == name) {
                own.remove(&member);
            }
        }
    }
    own
}

#[tokio::test]
async fn every_member_of_every_answer_is_shown_or_excused() {
    let mut shown = Shown::new();
    story::tell(&mut shown).await;
    let excused = excused();
    let mut missing: BTreeSet<String> = BTreeSet::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for (version, survey) in &shown.0 {
        for (answer, given) in ANSWERS {
            let wanted = own_members(*version, answer, given);
            let absent = wanted.difference(&survey.0).filter(|it| !excused.contains(it.as_str()));
            missing.extend(absent.cloned());
        }
        seen.extend(survey.0.iter().filter(|it| excused.contains(it.as_str())).cloned());
    }
    let listed = |them: &BTreeSet<String>| them.iter().cloned().collect::<Vec<_>>().join("\n");
    assert_eq!(listed(&missing), "", "never shown, and not in docs/unsupported.md");
    assert_eq!(listed(&seen), "", "shown, though docs/unsupported.md says that it never is");
}
