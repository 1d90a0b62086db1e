//! Lists in pages, filters, selections, and conditions.

use serde_json::{Value, json};

use crate::rig::{Ask, Rig, pool_body};

/// All pages of a list: how many items each has, and the ids of all.
async fn pages(rig: &Rig, first: Ask) -> (Vec<usize>, Vec<String>) {
    let (mut sizes, mut ids) = (Vec::new(), Vec::new());
    let mut page = first.send().await.expect(200);
    loop {
        sizes.push(page.ids().len());
        ids.extend(page.ids().into_iter().map(str::to_owned));
        let Some(next) = page.body["odata.nextLink"].as_str() else { return (sizes, ids) };
        page = rig.get(next).send().await.expect(200);
    }
}

#[tokio::test]
async fn pages_show_each_task_once() {
    let rig = Rig::start().await;
    rig.job("j", "p").await;
    rig.tasks("j", 2_500).await;
    let all: Vec<String> = (0..2_500).map(|n| format!("t{n:05}")).collect();
    let path = "/jobs/j/tasks";
    let (sizes, ids) = pages(&rig, rig.get(path)).await;
    assert_eq!((sizes, &ids), (vec![1_000, 1_000, 500], &all));
    let (sizes, ids) = pages(&rig, rig.get(path).query("maxresults", "700")).await;
    assert_eq!((sizes, &ids), (vec![700, 700, 700, 400], &all));
    let (sizes, ids) = pages(&rig, rig.get(path).query("maxresults", "500")).await;
    assert_eq!((sizes, &ids), (vec![500; 5], &all));
    let filtered = rig
        .get(path)
        .query("$filter", "startswith(id,'t010') or id eq 't02499'")
        .query("$select", "id,state")
        .query("maxresults", "60");
    let (sizes, ids) = pages(&rig, filtered).await;
    let expected: Vec<String> = (1_000..1_100).chain([2_499]).map(|n| format!("t{n:05}")).collect();
    assert_eq!((sizes, ids), (vec![60, 41], expected));
    let none = rig.get(path).query("$filter", "state eq 'running'").send().await.expect(200);
    assert_eq!(none.body["value"], json!([]));
}

#[tokio::test]
async fn a_filter_by_state_finds_all_pages_in_order() {
    let rig = Rig::start().await;
    rig.job("j", "p").await;
    rig.tasks("j", 300).await;
    let ended: Vec<String> = (0..300).step_by(7).map(|n| format!("t{n:05}")).collect();
    for id in &ended {
        let path = format!("/jobs/j/tasks/{id}/terminate");
        rig.post(&path, &json!({})).send().await.expect(204);
    }
    let open: Vec<String> =
        (0..300).map(|n| format!("t{n:05}")).filter(|id| !ended.contains(id)).collect();
    for (filter, expected) in [
        ("state eq 'completed'", &ended),
        ("executionInfo/result eq 'failure'", &ended),
        ("executionInfo/result eq 'success'", &Vec::new()),
        ("state ne 'completed'", &open),
        ("not (state eq 'completed')", &open),
        ("executionInfo/result eq null", &open),
        ("state eq 'completed' and id gt 'T00290'", &vec!["t00294".to_owned()]),
    ] {
        let asked = rig.get("/jobs/j/tasks").query("$filter", filter).query("maxresults", "40");
        let (_, ids) = pages(&rig, asked).await;
        assert_eq!(&ids, expected, "{filter}");
    }
}

#[tokio::test]
async fn a_selection_shows_only_what_was_asked_for() {
    let rig = Rig::start().await;
    rig.job("j", "p").await;
    rig.tasks("j", 2).await;
    let list = rig.get("/jobs/j/tasks").query("$select", "id,executionInfo");
    let list = list.send().await.expect(200).body;
    let members = |it: &Value| it.as_object().expect("members").keys().cloned().collect::<Vec<_>>();
    assert_eq!(members(&list["value"][1]), ["executionInfo", "id"]);
    let one = rig.get("/jobs/j/tasks/t00000").query("$select", "state").send().await.expect(200);
    assert_eq!(members(&one.body), ["odata.metadata", "state"]);
    let unknown = rig.get("/jobs/j").query("$select", "id,shoeSize").send().await;
    unknown.refuses(400, "InvalidQueryParameterValue");
    let unknown = rig.get("/jobs").query("$filter", "shoeSize gt 40").send().await;
    unknown.refuses(400, "InvalidQueryParameterValue");
    let misplaced = rig.get("/jobs/j").query("$filter", "state eq 'active'").send().await;
    misplaced.refuses(400, "UnsupportedQueryParameter");
}

#[tokio::test]
async fn a_page_is_neither_empty_nor_too_large() {
    let rig = Rig::start().await;
    for (asked, reason) in [("-5", "MaxResults cannot be less than 1"), ("0", ""), ("1001", "")] {
        let refused = rig.get("/pools").query("maxresults", asked).send().await;
        let refused = refused.refuses(400, "InvalidQueryParameterValue");
        assert_eq!(refused.value("QueryParameterName"), "maxresults");
        assert_eq!(refused.value("QueryParameterValue"), asked);
        assert!(refused.value("Reason").starts_with(reason), "{}", refused.body);
    }
    let stray = rig.get("/pools").query("$skiptoken", "made up").send().await;
    stray.refuses(400, "InvalidQueryParameterValue");
}

#[tokio::test]
async fn conditions_hold_or_refuse() {
    let rig = Rig::start().await;
    rig.post("/pools", &pool_body("p", 0)).send().await.expect(201);
    let pool = rig.get("/pools/p").send().await.expect(200);
    let tag = pool.header("etag").expect("a tag").to_owned();
    let date = pool.header("last-modified").expect("a date").to_owned();
    let asked = |name: &str, value: &str| rig.get("/pools/p").header(name, value);
    asked("if-match", &tag).send().await.expect(200);
    asked("if-match", "*").send().await.expect(200);
    asked("if-match", "\"0x8D0\"").send().await.refuses(412, "ConditionNotMet");
    let same = asked("if-none-match", &tag).send().await.expect(304);
    assert!(same.bytes.is_empty());
    asked("if-none-match", "0x8D0").send().await.expect(200);
    asked("if-modified-since", &date).send().await.expect(304);
    asked("if-unmodified-since", &date).send().await.expect(200);
    let past = "Sat, 01 Jan 2000 00:00:00 GMT";
    asked("if-modified-since", past).send().await.expect(200);
    asked("if-unmodified-since", past).send().await.refuses(412, "ConditionNotMet");
    let both = asked("if-match", &tag).header("if-none-match", "*").send().await;
    both.refuses(400, "MultipleConditionHeadersNotSupported");
    asked("if-modified-since", "soon").send().await.refuses(400, "InvalidHeaderValue");
    let head = rig.head("/pools/p").header("if-none-match", &tag).send().await;
    head.expect(304);
    let resize = |tag: &str| {
        let body = json!({ "targetDedicatedNodes": 0 });
        rig.post("/pools/p/resize", &body).header("if-match", tag)
    };
    rig.until("/pools/p", |it| it.body["allocationState"] == "steady").await;
    resize("0x8D0").send().await.refuses(412, "ConditionNotMet");
    let resized = resize(&tag).send().await.expect(202);
    assert_ne!(resized.header("etag"), Some(tag.as_str()));
    resize(&tag).send().await.refuses(412, "ConditionNotMet");
    let delete = rig.delete("/pools/p").header("if-none-match", "*").send().await;
    delete.refuses(412, "ConditionNotMet");
    rig.job("j", "p").await;
    let kept = rig.delete("/jobs/j").header("if-match", &tag).send().await;
    kept.refuses(412, "ConditionNotMet");
    rig.get("/jobs/j").send().await.expect(200);
}
