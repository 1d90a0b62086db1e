//! Messages as released agents and servers say them, kept as bytes: what is changed here must
//! still be understood by the release before it, and still understand it.
//!
//! To add the messages of a protocol when it is released: `protocol_N_agent.frames` and
//! `protocol_N_server.frames`, with each message and each kind of report, as they leave a link.

use bytes::BytesMut;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::frames::{Frame, decode};
use super::{FromAgent, Report, ToAgent};

const AGENT_1: &[u8] = include_bytes!("released/protocol_1_agent.frames");
const SERVER_1: &[u8] = include_bytes!("released/protocol_1_server.frames");

/// Messages in frames, as they were written then and as they are read now.
fn messages<M: DeserializeOwned>(frames: &[u8]) -> Vec<(Value, M)> {
    let mut then = BytesMut::from(frames);
    let mut now = BytesMut::from(frames);
    let mut messages = Vec::new();
    while let Some(frame) = decode::<Value>(&mut then).expect("a frame") {
        let read = decode::<M>(&mut now).expect("a frame").expect("the same one");
        match (frame, read) {
            (Frame::Messages(then), Frame::Messages(now)) => {
                messages.extend(then.into_iter().zip(now));
            }
            (Frame::File { stream, bytes }, Frame::File { .. }) => {
                assert_eq!((stream, &bytes[..]), (9, &b"hello"[..]));
            }
            (Frame::Messages(_), Frame::File { .. }) | (Frame::File { .. }, Frame::Messages(_)) => {
                unreachable!("a frame is of one kind")
            }
        }
    }
    messages
}

/// Whether all that was said then is said now, whatever is said more.
#[track_caller]
fn assert_still_said(then: &Value, now: &impl Serialize) {
    fn covers(now: &Value, then: &Value) -> bool {
        match (now, then) {
            (Value::Object(now), Value::Object(then)) => then.iter().all(|(name, then)| {
                // What is nothing may be left out.
                now.get(name).map_or_else(|| then.is_null(), |now| covers(now, then))
            }),
            (Value::Array(now), Value::Array(then)) => {
                now.len() == then.len() && now.iter().zip(then).all(|(now, then)| covers(now, then))
            }
            (now, then) => now == then,
        }
    }
    let now = serde_json::to_value(now).expect("JSON");
    assert!(covers(&now, then), "then: {then}\nnow:  {now}");
}

#[test]
fn an_agent_of_the_release_before_is_understood() {
    let messages = messages::<FromAgent>(AGENT_1);
    for (then, now) in &messages {
        assert_still_said(then, now);
    }
    let reports =
        messages.iter().filter(|(_, message)| matches!(message, FromAgent::Report { .. }));
    assert_eq!((messages.len(), reports.count()), (16, 9));
    let (_, first) = &messages[0];
    let FromAgent::Hello(hello) = first else { panic!("{first:?}") };
    assert_eq!((hello.protocol, hello.running.len()), (1, 1));
    let ended = messages.iter().filter(|(_, message)| {
        matches!(message, FromAgent::Report { report, .. }
            if matches!(**report, Report::Ended { usage: Some(_), .. }))
    });
    assert_eq!(ended.count(), 1);
}

#[test]
fn a_server_says_all_that_an_agent_of_the_release_before_needs() {
    let messages = messages::<ToAgent>(SERVER_1);
    assert_eq!(messages.len(), 14);
    for (then, now) in &messages {
        assert_still_said(then, now);
    }
}

#[test]
#[should_panic(expected = "now:")]
fn a_member_that_is_said_no_more_is_noticed() {
    assert_still_said(&serde_json::json!({ "kind": "leave", "why": 1 }), &ToAgent::Leave);
}
