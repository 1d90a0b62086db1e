//! The language, against what is documented of it.

use super::syntax::Select;
use super::{
    Columns, InvalidQuery, Moment, Row, Scene, Statement, Tally, Tree, evaluate, is_wanted,
};
use crate::time::Timestamp;

const NAMES: [&str; 4] = ["id", "Unit Price", "name", "when"];
const FIELDS: [&str; 4] = ["7", "12.5", "Hemingway, Ernest", "2018-11-09T00:00+05:30"];
const TREE: &str = r#"{"id": 1, "name": "mouse", "price": 12.5, "tags": ["wireless", "accessory"],
    "dimensions": {"length": 3, "width": 2}, "none": null, "is_new": true,
    "warehouses": [{"latitude": 41.8, "longitude": -87.6}, {"latitude": 0.5}]}"#;

fn now() -> Moment {
    Moment::utc(Timestamp::parse_iso("2026-01-02T03:04:05Z").expect("a time"))
}

/// The first column that `query` makes of the row of fields, or why there is none.
fn of_fields(query: &str) -> String {
    let names = NAMES.map(str::to_owned);
    let bytes = FIELDS.concat();
    let mut end = 0;
    let ends = FIELDS.map(|field| {
        end += field.len();
        end
    });
    first(query, Columns::Named(&names), Row::Fields(bytes.as_bytes(), &ends))
}

fn of_tree(query: &str) -> String {
    let tree: Tree = serde_json::from_str(TREE).expect("JSON");
    first(query, Columns::Members, Row::Tree(&tree))
}

fn first(query: &str, columns: Columns<'_>, row: Row<'_>) -> String {
    let mut statement = match Statement::parse(query) {
        Ok(statement) => statement,
        Err(invalid) => return invalid.to_string(),
    };
    if let Err(invalid) = statement.bind(columns) {
        return invalid.to_string();
    }
    let scene = Scene { row, now: now() };
    match is_wanted(statement.condition.as_ref(), scene) {
        Ok(true) => {}
        Ok(false) => return "not wanted".to_owned(),
        Err(problem) => return problem.name().to_owned(),
    }
    let Select::Columns(columns) = &statement.select else { return "no columns".to_owned() };
    match evaluate(&columns[0].expression, scene) {
        Ok(value) => value.to_text().map_or_else(|| "nothing".to_owned(), |it| it.into_owned()),
        Err(problem) => problem.name().to_owned(),
    }
}

fn check(expression: &str, expected: &str) {
    assert_eq!(
        of_fields(&format!("SELECT {expression} FROM BlobStorage")),
        expected,
        "{expression}"
    );
}

fn check_tree(expression: &str, expected: &str) {
    let query = format!("SELECT {expression} FROM BlobStorage[*]");
    assert_eq!(of_tree(&query), expected, "{expression}");
}

#[test]
fn columns_have_numbers_and_names() {
    check("_1", "7");
    check("id", "7");
    check("ID", "7");
    check("\"Unit Price\"", "12.5");
    check("\"unit price\"", "There is no column `unit price`.");
    check("_5", "InvalidColumnOrdinal");
    check("_0", "There is no column `_0`.");
    check("tags[1]", "A path can be used only with JSON data.");
    let numbered = |query: &str| Statement::parse(query).expect("a query").bind(Columns::Numbered);
    assert_eq!(numbered("SELECT _9 FROM BlobStorage WHERE _1 = 2"), Ok(()));
    assert_eq!(numbered("SELECT id FROM BlobStorage"), Err(InvalidQuery::NamesWithoutHeader));
}

#[test]
fn members_are_reached_by_paths() {
    check_tree("warehouses[0].longitude", "-87.6");
    check_tree("tags[1]", "accessory");
    check_tree("DIMENSIONS.Length", "3");
    check_tree("\"Dimensions\".length", "nothing");
    check_tree("dimensions", r#"{"length":3,"width":2}"#);
    check_tree("tags[7]", "nothing");
    check_tree("none IS MISSING", "false");
    check_tree("none IS NULL", "true");
    check_tree("nowhere IS MISSING", "true");
    check_tree("nowhere IS NOT MISSING", "false");
    check_tree("nowhere IS NULL", "true");
    check_tree("price > 12", "true");
    check_tree("is_new", "true");
    check_tree("dimensions = 3", "InvalidTypeConversion");
}

#[test]
fn values_become_what_they_are_compared_with() {
    check("id > 6.5", "true");
    check("id = 7", "true");
    check("id = '7'", "true");
    check("id = '07'", "false");
    check("_2 >= 12", "true");
    check("name > 100", "InvalidTypeConversion");
    check("name = 'hemingway, ernest'", "false");
    check("_4 < CAST('2018-11-08T18:30:01Z' AS TIMESTAMP)", "true");
    check("NULL = NULL", "nothing");
    check("id <> 7", "false");
    check("id != 8", "true");
    check("id BETWEEN 7 AND 8", "true");
    check("id NOT BETWEEN 7 AND 8", "false");
    check("id BETWEEN 8 AND NULL", "false");
    check("id BETWEEN 7 AND NULL", "nothing");
    check("id IN (5, 6, 7)", "true");
    check("id IN (5, NULL)", "nothing");
    check("id NOT IN (5, 6)", "true");
    check("name LIKE 'Hem%'", "true");
    check("name NOT LIKE '%, E_nest'", "false");
    check("name LIKE '%!,%' ESCAPE '!'", "true");
}

#[test]
fn unknown_is_neither_true_nor_false() {
    check("NULL = 1 AND 1 = 2", "false");
    check("NULL = 1 AND 1 = 1", "nothing");
    check("NULL = 1 OR 1 = 1", "true");
    check("NOT NULL = 1", "nothing");
    check("NOT NOT 1 = 1", "true");
    let asked =
        |condition: &str| of_fields(&format!("SELECT _1 FROM BlobStorage WHERE {condition}"));
    assert_eq!(asked("id > NULL"), "not wanted");
    assert_eq!(asked("id > 1 AND _2 < 13"), "7");
    assert_eq!(asked("id > 1 AND NOT _2 < 13 OR 1 = 2"), "not wanted");
    assert_eq!(asked("_9 = 1"), "InvalidColumnOrdinal");
}

#[test]
fn numbers_are_computed() {
    check("1 + 2 * 3", "7");
    check("(1 + 2) * 3", "9");
    check("10 - 2 - 3", "5");
    check("-id + 1", "-6");
    check("id / 2", "3");
    check("id / 2.0", "3.5");
    check("id % 4", "3");
    check("_2 * 2", "25");
    check("id / 0", "DivideByZero");
    check("9223372036854775807 + 1", "ArithmeticOverflow");
    check("id + name", "InvalidTypeConversion");
    check("id + NULL", "nothing");
}

#[test]
fn values_are_cast() {
    check("CAST(id AS INT)", "7");
    check("CAST(_2 AS FLOAT)", "12.5");
    check("CAST(_2 AS INT)", "InvalidTypeConversion");
    check("CAST(12.9 AS INT)", "12");
    check("CAST(id AS STRING)", "7");
    check("CAST('True' AS BOOLEAN)", "true");
    check("CAST('nan' AS FLOAT)", "InvalidTypeConversion");
    check("CAST(NULL AS INT)", "nothing");
    check("CAST(id AS DECIMAL)", "Syntax error! A type is expected at character 18.");
}

#[test]
fn functions_of_text() {
    check("CHARACTER_LENGTH('abcdefg')", "7");
    check("CHAR_LENGTH(_1)", "1");
    check("LOWER('AbCdEfG')", "abcdefg");
    check("UPPER('AbCdEfG')", "ABCDEFG");
    check("SUBSTRING('123456789', 1, 5)", "23456");
    check("SUBSTRING('123', 1)", "23");
    check("SUBSTRING('123', -1, 2)", "1");
    check("SUBSTRING('123', 9, 2)", "");
    check("TRIM(BOTH '123' FROM '1112211Microsoft22211122')", "Microsoft");
    check("TRIM(LEADING FROM '  a ')", "a ");
    check("TRIM(TRAILING 'x' FROM 'xax')", "xa");
    check("TRIM('  a ')", "a");
    check("COALESCE(NULL, NULL, 3)", "3");
    check("NULLIF(id, 7)", "nothing");
    check("NULLIF(id, 8)", "7");
    check("LOWER(NULL)", "nothing");
    check("LOWER()", "Syntax error! Wrong number of arguments of `lower` at character 7.");
    check("CASE WHEN id > 8 THEN 'a' WHEN id > 6 THEN 'b' ELSE 'c' END", "b");
    check("CASE id WHEN 8 THEN 'a' END", "nothing");
    check("'it''s'", "it's");
}

#[test]
fn functions_of_time() {
    check(
        "DATE_ADD('minute', 1, CAST('2017-01-02T03:04:05.006Z' AS TIMESTAMP))",
        "2017-01-02T03:05:05.006Z",
    );
    check("DATE_ADD(month, 1, '2017-01-31')", "2017-02-28T00:00:00Z");
    check("DATE_ADD(year, 9999999, '2017-01-31')", "ArithmeticOverflow");
    check("DATE_DIFF('hour','2018-11-09T00:00+05:30','2018-11-09T01:00:23-08:00')", "14");
    check("DATE_DIFF(month, '2017-01-31', '2017-03-30')", "1");
    check("DATE_DIFF(year, '2017-06-01', '2015-07-01')", "-1");
    check("DATE_DIFF(day, '2017-01-01', '2017-01-02T23:59Z')", "1");
    check("EXTRACT(YEAR FROM '2010-01-01T')", "2010");
    check("EXTRACT(timezone_hour FROM _4)", "5");
    check("EXTRACT(timezone_minute FROM _4)", "30");
    check("EXTRACT(second FROM '2010-01-01T01:02:03.9Z')", "3");
    check("TO_STRING(CAST('1969-07-20T20:18Z' AS TIMESTAMP),  'MMMM d, y')", "July 20, 1969");
    check(
        "TO_STRING('1969-07-20T20:18:05.25+04:30', 'yy MM MMM dd a hh H mm ss SSS XX xxx')",
        "69 07 Jul 20 PM 08 20 18 05 250 +0430 +04:30",
    );
    check("TO_STRING('1969-07-20', 'Q')", "InvalidTypeConversion");
    check("TO_TIMESTAMP('2007T')", "2007-01-01T00:00:00Z");
    check("TO_TIMESTAMP('2007-13')", "InvalidTypeConversion");
    check("TO_TIMESTAMP('yesterday')", "InvalidTypeConversion");
    check("TO_TIMESTAMP(_4)", "2018-11-09T00:00:00+05:30");
    check("UTCNOW()", "2026-01-02T03:04:05Z");
    check("TO_TIMESTAMP('2020-02-28T12:00Z') + 1.5", "2020-03-01T00:00:00Z");
    check("TO_TIMESTAMP('2020-03-01') - 1", "2020-02-29T00:00:00Z");
}

#[test]
fn one_value_of_all_rows() {
    let of = |aggregate: &str, values: &[Option<&str>]| {
        let query = format!("SELECT {aggregate}(_1) FROM BlobStorage");
        let Select::Aggregate { function, .. } = Statement::parse(&query).expect("a query").select
        else {
            panic!("{query}");
        };
        let mut tally = Tally::new(function);
        for value in values {
            let value = value.map_or(super::Value::Null, |text| super::Value::Text(text.into()));
            tally.take(value).expect("a value");
        }
        tally.result().to_text().map_or_else(|| "nothing".to_owned(), |it| it.into_owned())
    };
    let values = [Some("7"), None, Some("10"), Some("2")];
    assert_eq!(of("COUNT", &values), "3");
    assert_eq!(of("SUM", &values), "19");
    assert_eq!(of("AVG", &values[..3]), "8.5");
    assert_eq!(of("AVERAGE", &values[..3]), "8.5");
    // Fields are texts until they are cast.
    assert_eq!(of("MIN", &values), "10");
    assert_eq!(of("MAX", &values), "7");
    for aggregate in ["SUM", "AVG", "MIN", "MAX"] {
        assert_eq!(of(aggregate, &[]), "nothing");
    }
    assert_eq!(of("COUNT", &[]), "0");
}

#[test]
fn what_is_no_query() {
    let many = format!("SELECT {} FROM BlobStorage", ["_1"; 50].join(", "));
    let deep = format!("SELECT {}1{} FROM BlobStorage", "(".repeat(65), ")".repeat(65));
    for (query, reason) in [
        ("", "`SELECT` is expected at character 0"),
        ("SELECT", "A value is expected at character 6"),
        ("SELECT * FROM table", "`BLOBSTORAGE` is expected at character 14"),
        ("SELECT * FROM BlobStorage WHERE", "A value is expected at character 31"),
        ("SELECT * FROM BlobStorage LIMIT -1", "A whole number is expected at character 32"),
        ("SELECT * FROM BlobStorage ORDER BY _1", "The end is expected at character 26"),
        ("SELECT * FROM BlobStorage[0]", "`BlobStorage[*]` is expected at character 28"),
        ("SELECT _1 AS from FROM BlobStorage", "A name is expected at character 13"),
        ("SELECT 'a FROM BlobStorage", "A quote has no end at character 7"),
        ("SELECT 1x FROM BlobStorage", "Invalid number at character 7"),
        ("SELECT é§ FROM BlobStorage", "Unexpected `§` at character 8"),
        ("SELECT MIN(_1), MAX(_1) FROM BlobStorage", "An aggregate stands alone at character 14"),
        ("SELECT _1, MAX(_1) FROM BlobStorage", "An aggregate stands alone at character 11"),
        ("SELECT F(_1) FROM BlobStorage", "Unknown function `f` at character 7"),
        ("SELECT _1 IS 3 FROM BlobStorage", "`NULL` or `MISSING` is expected at character 13"),
        (
            "SELECT sys.split(5) FROM BlobStorage",
            "A split size of at least 10485760 is expected at character 17",
        ),
        (
            "SELECT sys.split(10485760) FROM BlobStorage LIMIT 1",
            "The end is expected at character 50",
        ),
        (
            "SELECT _1 LIKE _2 FROM BlobStorage",
            "A text in single quotes is expected at character 15",
        ),
        (many.as_str(), "More than 49 columns at character 203"),
        (deep.as_str(), "Too deep at character 71"),
    ] {
        let invalid = Statement::parse(query).expect_err(query).to_string();
        assert_eq!(invalid, format!("Syntax error! {reason}."), "{query}");
    }
}

#[test]
fn queries_are_read_in_any_spelling() {
    for query in [
        "select * from blobstorage where id < 1;",
        "SELECT _2 from BlobStorage WHERE _1 > 250",
        "SELECT sys.split(10485760)FROM BlobStorage",
        "SELECT latitude FROM BlobStorage[*].warehouses[*]",
        "SELECT weight,warehouses[0].longitude,id,tags[1] FROM BlobStorage[*]",
        "SELECT MIN(CAST(\"price\" AS FLOAT)) AS \"min_value\"\nFROM BlobStorage;",
        "SELECT COUNT(*) FROM BlobStorage LIMIT 10",
        "SELECT count, sum total FROM BlobStorage",
    ] {
        assert!(Statement::parse(query).is_ok(), "{query}");
    }
    let wide = format!("SELECT 1 FROM BlobStorage WHERE {}", ["_1 = 1"; 5000].join(" OR "));
    assert!(Statement::parse(&wide).is_ok());
}
