//! Content in, answers out: what the service was seen to answer, and what documents say.

use std::fmt::Write as _;

use bytes::Bytes;
use kiln_domain::time::Timestamp;

use super::request::{Dialect, Form, QueryRequest};
use super::{Event, Machine};

const NUMBERS: &str = "100,200,300,400\n150,250,350,450\n";
const PEOPLE: &str =
    "{\"name\": \"owner\", \"id\": 1}\n{\"name2\": \"owner2\"}\n{\"name\": \"owner\", \"id\": 1}";

fn csv() -> Form {
    Form::Delimited(Dialect::default())
}

fn with_headers() -> Form {
    Form::Delimited(Dialect { has_headers: true, ..Dialect::default() })
}

fn json(separator: &str) -> Form {
    Form::Json { separator: separator.as_bytes().to_vec() }
}

/// Rows of the answer, and in brackets what failed: fatal or not, what, and where.
fn answer(query: &str, input: &Form, output: &Form, content: &str, piece_bytes: usize) -> String {
    let statement = match kiln_domain::blob::query::Statement::parse(query) {
        Ok(statement) => statement,
        Err(invalid) => return invalid.to_string(),
    };
    let request = QueryRequest { statement, input: input.clone(), output: output.clone() };
    let mut machine = match Machine::new(request, Timestamp(0)) {
        Ok(machine) => machine,
        Err(invalid) => return invalid.to_string(),
    };
    let mut all = Vec::new();
    let mut pieces = content.as_bytes().chunks(piece_bytes).map(Bytes::copy_from_slice);
    let mut piece = Bytes::new();
    let mut is_last = false;
    while !machine.has_ended() {
        if piece.is_empty() {
            match pieces.next() {
                Some(next) => piece = next,
                None => is_last = true,
            }
        }
        match machine.step(&mut piece, is_last) {
            Ok(events) => all.extend(events),
            Err(invalid) => return invalid.to_string(),
        }
    }
    assert_eq!(all.last(), Some(&Event::End));
    assert!(!matches!(all.first(), Some(Event::Failed { .. })), "{all:?}");
    let mut text = String::new();
    let mut told_bytes = 0;
    for event in &all {
        match event {
            Event::Data(data) => text.push_str(&String::from_utf8_lossy(data)),
            Event::Failed { is_fatal, name, position, .. } => {
                let kind = if *is_fatal { "fatal " } else { "" };
                write!(text, "[{kind}{name} {position}]").expect("text");
            }
            Event::Progress { scanned_bytes } => {
                assert!(*scanned_bytes >= told_bytes, "{all:?}");
                told_bytes = *scanned_bytes;
            }
            Event::End => {}
        }
    }
    if !text.contains("fatal") && !query.contains("LIMIT") {
        assert_eq!(usize::try_from(told_bytes), Ok(content.len()), "{query}");
    }
    text
}

/// The same answer, however content is cut.
fn check(query: &str, input: &Form, output: &Form, content: &str, expected: &str) {
    for piece_bytes in [1, 7, 1024] {
        let found = answer(query, input, output, content, piece_bytes);
        assert_eq!(found, expected, "{query} in pieces of {piece_bytes}");
    }
}

fn check_csv(query: &str, content: &str, expected: &str) {
    check(query, &csv(), &csv(), content, expected);
}

#[test]
fn rows_of_fields() {
    check_csv("SELECT * FROM BlobStorage", NUMBERS, NUMBERS);
    check_csv(
        "SELECT * FROM BlobStorage",
        "a,b\r\n\r\nc\r\nd,\"e\"\"\n\"",
        "a,b\nc\nd,\"e\"\"\n\"\n",
    );
    check_csv("select _2 from BlobStorage where _1 > 100", NUMBERS, "250\n");
    check_csv("select _2 from BlobStorage where _1 > 200", NUMBERS, "");
    check_csv("SELECT _3, _1 FROM BlobStorage LIMIT 1", NUMBERS, "300,100\n");
    check_csv("SELECT * FROM BlobStorage LIMIT 0", NUMBERS, "");
    check_csv("SELECT * FROM BlobStorage", "", "");
    check_csv("SELECT 'a,b', 1.5 FROM BlobStorage LIMIT 1", NUMBERS, "\"a,b\",1.5\n");
    check_csv(
        "SELECT name FROM BlobStorage",
        NUMBERS,
        "Column names can be used only if 'hasHeader' is set in the config and there is a header row.",
    );
}

#[test]
fn a_record_that_fails_is_told_and_left_out() {
    let query = "select _2 from BlobStorage where _2 > 100";
    check_csv(query, "100,hello,300,400\n150,250,350,450\n", "[InvalidTypeConversion 0]250\n");
    check_csv(query, "150,250,350,450\n100,hello,300,400\n", "250\n[InvalidTypeConversion 16]");
    check_csv(query, "é,250,350,450\r\n100,hello,300,400\r\n", "250\n[InvalidTypeConversion 16]");
    check_csv(
        "SELECT _1 FROM BlobStorage WHERE _5 = 1",
        "1\n2\n",
        "[InvalidColumnOrdinal 0][InvalidColumnOrdinal 2]",
    );
    check_csv("SELECT _1 / _2 FROM BlobStorage", "4,2\n1,0\n", "2\n[DivideByZero 4]");
}

#[test]
fn a_header_names_the_columns() {
    let content = "Id,Name\n1,a\n2,b\n";
    check("SELECT name FROM BlobStorage WHERE ID = 2", &with_headers(), &csv(), content, "b\n");
    check("SELECT * FROM BlobStorage", &with_headers(), &with_headers(), content, content);
    check("SELECT * FROM BlobStorage", &with_headers(), &csv(), content, "1,a\n2,b\n");
    check(
        "SELECT _2 AS n, 1 FROM BlobStorage",
        &with_headers(),
        &with_headers(),
        content,
        "n,_2\na,1\nb,1\n",
    );
    check(
        "SELECT _2 FROM BlobStorage",
        &with_headers(),
        &json(";"),
        content,
        "{\"Name\":\"a\"};{\"Name\":\"b\"};",
    );
    check(
        "SELECT other FROM BlobStorage",
        &with_headers(),
        &csv(),
        content,
        "There is no column `other`.",
    );
    check(
        "SELECT name FROM BlobStorage",
        &with_headers(),
        &csv(),
        "",
        "Column names can be used only if 'hasHeader' is set in the config and there is a header row.",
    );
    check("SELECT COUNT(*) FROM BlobStorage", &with_headers(), &csv(), content, "2\n");
}

#[test]
fn fields_are_quoted_where_they_must_be() {
    let output = Form::Delimited(Dialect {
        column: b';',
        quote: Some(b'\''),
        record: b".".to_vec(),
        escape: Some(b'\\'),
        has_headers: false,
    });
    let all = "SELECT * FROM BlobStorage";
    check(
        all,
        &csv(),
        &output,
        "Event Hubs,1.0.1,x\nEvent Hubs\n",
        "Event Hubs;'1.0.1';x.Event Hubs.",
    );
    check(all, &csv(), &output, "it's,a\\b\n", "'it\\'s';'a\\\\b'.");
    check(all, &output, &csv(), "'it\\'s;';2.", "it's;,2\n");
    let plain = Form::Delimited(Dialect { quote: None, ..Dialect::default() });
    check(all, &plain, &plain, "a \"b,c\"\n", "a \"b,c\"\n");
    let lines = Form::Delimited(Dialect { record: b"\r\n".to_vec(), ..Dialect::default() });
    check(all, &lines, &lines, "a,b\r\nc", "a,b\r\nc\r\n");
    check(all, &csv(), &json("\n"), "100,200\n", "{\"_1\":\"100\",\"_2\":\"200\"}\n");
}

#[test]
fn rows_of_json() {
    let (lines, parts) = (json("\n"), json(";"));
    check(
        "SELECT name from BlobStorage",
        &lines,
        &parts,
        PEOPLE,
        "{\"name\":\"owner\"};{};{\"name\":\"owner\"};",
    );
    let joined = PEOPLE.replace('\n', "");
    check(
        "SELECT name from BlobStorage",
        &lines,
        &lines,
        &joined,
        "{\"name\":\"owner\"}\n{}\n{\"name\":\"owner\"}\n",
    );
    // A value as a whole stays as it is written.
    check(
        "SELECT * FROM BlobStorage",
        &lines,
        &lines,
        "{\n\t\"a\": \"{\\\"\"\n}",
        "{\n\t\"a\": \"{\\\"\"\n}\n",
    );
    check(
        "SELECT * FROM BlobStorage",
        &lines,
        &csv(),
        "{\"a\":\"x,y\",\"b\":[1, 2],\"c\":null}",
        "\"x,y\",\"[1,2]\",\n",
    );
    check("SELECT id FROM BlobStorage WHERE id IS NOT MISSING", &lines, &csv(), PEOPLE, "1\n1\n");
    check("SELECT COUNT(id) AS n FROM BlobStorage", &lines, &lines, PEOPLE, "{\"n\":2}\n");
    check("SELECT a FROM BlobStorage", &lines, &csv(), "[{\"a\":1},\n {\"a\":2}]\n", "1\n2\n");
    check(
        "SELECT a.b, a FROM BlobStorage",
        &lines,
        &lines,
        "{\"a\":{\"b\":1.5}}",
        "{\"b\":1.5,\"a\":{\"b\":1.5}}\n",
    );
    check(
        "SELECT sys.split(10485760) FROM BlobStorage",
        &lines,
        &csv(),
        "{}",
        "sys.split can be used only with CSV data.",
    );
}

#[test]
fn a_path_leads_to_rows_within_json() {
    let content =
        "{\"w\":[{\"a\":1},{\"a\":\"x\"},{\"a\":3}],\"d\":{\"a\":4}}{\"w\":[{\"a\":5}]}{\"w\":7}";
    let all = |query: &str, expected: &str| check(query, &json("\n"), &csv(), content, expected);
    all("SELECT a FROM BlobStorage[*].w[*]", "1\nx\n3\n5\n");
    all("SELECT a FROM BlobStorage[*].d", "4\n");
    all("SELECT a FROM BlobStorage[*].w[2]", "3\n");
    all("SELECT COUNT(*) FROM BlobStorage[*].w[*]", "4\n");
    all("SELECT a FROM BlobStorage[*].w[*] LIMIT 2", "1\nx\n");
    all("SELECT a FROM BlobStorage[*].w[*] WHERE a > 1", "3\n[InvalidTypeConversion 0]5\n");
    all("SELECT * FROM BlobStorage[*].d", "4\n");
}

#[test]
fn what_is_no_json_ends_the_answer() {
    let all = "SELECT * FROM BlobStorage";
    check(all, &json("\n"), &csv(), "{name: owner}\n{name2: owner2}\n", "[fatal ParseError 0]");
    check(all, &json("\n"), &csv(), NUMBERS, "[fatal ParseError 0]");
    check(all, &json("\n"), &csv(), "{\"a\":1}\n{\"a\":", "1\n[fatal ParseError 8]");
    check(all, &json("\n"), &csv(), "{\"a\":1} 7", "1\n[fatal ParseError 8]");
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
    check(all, &json("\n"), &csv(), &deep, "[fatal ParseError 0]");
}

#[test]
fn one_value_of_all_rows() {
    check_csv("SELECT COUNT(*) FROM BlobStorage", NUMBERS, "2\n");
    check_csv("SELECT SUM(_2) FROM BlobStorage WHERE _1 > 1", NUMBERS, "450\n");
    check_csv("SELECT AVG(CAST(_2 AS INT)) FROM BlobStorage", NUMBERS, "225\n");
    check_csv("SELECT MAX(_2) FROM BlobStorage WHERE _1 > 1000", NUMBERS, "\n");
    check("SELECT MIN(_1) AS low FROM BlobStorage", &csv(), &with_headers(), NUMBERS, "low\n100\n");
}

#[test]
fn a_blob_is_split_after_records() {
    let record = format!("{}\n", "x".repeat(99_999));
    let content = record.repeat(250);
    let found =
        answer("SELECT sys.split(10485760)FROM BlobStorage", &csv(), &csv(), &content, 64 * 1024);
    assert_eq!(found, "10500000\n10500000\n4000000\n");
}

#[test]
fn a_record_that_is_too_long_ends_the_answer() {
    let long = "x".repeat(5 * 1024 * 1024);
    let all = "SELECT * FROM BlobStorage";
    let found = answer(all, &csv(), &csv(), &format!("a\n{long}\n"), 1024 * 1024);
    assert_eq!(found, "a\n[fatal ParseError 2]");
    let found = answer(all, &json("\n"), &csv(), &format!("{{\"a\":\"{long}\"}}"), 1024 * 1024);
    assert_eq!(found, "[fatal ParseError 0]");
    let fields = ",".repeat(70_000);
    let found = answer(all, &csv(), &csv(), &fields, 1024 * 1024);
    assert_eq!(found, "[fatal ParseError 0]");
    // Ten times a megabyte, of a record that is not too long itself.
    let columns = ["_1"; 10].join(",");
    let query = format!("SELECT {columns} FROM BlobStorage");
    let found = answer(&query, &csv(), &csv(), &"x".repeat(1024 * 1024), 1024 * 1024);
    assert_eq!(found, "[fatal ParseError 0]");
}

#[test]
fn an_answer_is_made_in_steps() {
    let statement = format!("SELECT '{}' FROM BlobStorage", "y".repeat(10_000));
    let statement = kiln_domain::blob::query::Statement::parse(&statement).expect("a query");
    let request = QueryRequest { statement, input: csv(), output: csv() };
    let mut machine = Machine::new(request, Timestamp(0)).expect("a machine");
    let mut content = Bytes::from("1\n".repeat(1000));
    let mut n_steps = 0;
    let mut n_bytes = 0;
    while !machine.has_ended() {
        let is_last = content.is_empty();
        for event in machine.step(&mut content, is_last).expect("bound") {
            if let Event::Data(data) = event {
                assert!(data.len() < 2 * 1024 * 1024);
                n_bytes += data.len();
            }
        }
        n_steps += 1;
    }
    assert_eq!(n_bytes, 1000 * 10_001);
    assert!(n_steps > 8, "{n_steps}");
}
