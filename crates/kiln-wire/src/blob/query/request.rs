//! The document that asks for a part of what a blob says.

use kiln_domain::blob::query::{InvalidQuery, Statement};

use crate::blob::error::BlobError;
use crate::blob::xml::{Element, InvalidXml, parse};

/// Bytes of a document that asks.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// What is asked, and in which forms content lies and the answer is wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryRequest {
    /// The query.
    pub statement: Statement,
    /// How content lies.
    pub input: Form,
    /// How the answer is wanted.
    pub output: Form,
}

/// How records lie one after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// Fields between separators.
    Delimited(Dialect),
    /// JSON values.
    Json {
        /// What follows each of the answer. Values of content need nothing between them.
        separator: Vec<u8>,
    },
}

/// What separates fields and records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Between fields.
    pub column: u8,
    /// Around fields that hold a separator.
    pub quote: Option<u8>,
    /// After each record: one byte, or `\r\n`.
    pub record: Vec<u8>,
    /// Before a quote within a quoted field, which is doubled where there is none.
    pub escape: Option<u8>,
    /// Whether the first record names the columns.
    pub has_headers: bool,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            column: b',',
            quote: Some(b'"'),
            record: b"\n".to_vec(),
            escape: None,
            has_headers: false,
        }
    }
}

impl From<InvalidQuery> for BlobError {
    fn from(invalid: InvalidQuery) -> Self {
        Self::new(400, "ErrorProcessingQueryExpression", invalid.to_string())
    }
}

/// Reads a document that asks.
///
/// # Errors
/// When it is none, or asks for what is not served.
pub fn read(body: &[u8]) -> Result<QueryRequest, BlobError> {
    let root = parse(body)?;
    if root.name != "QueryRequest" {
        return Err(InvalidXml.into());
    }
    let text = |name| root.child(name).map(|it| it.text.as_str());
    if !text("QueryType").unwrap_or("SQL").trim().eq_ignore_ascii_case("sql") {
        return Err(invalid_value("QueryType", "SQL is expected"));
    }
    let Some(expression) = text("Expression") else {
        return Err(invalid_value("Expression", "a query is expected"));
    };
    let statement = Statement::parse(expression)?;
    let input = match root.child("InputSerialization") {
        Some(element) => form(element, Direction::Input)?,
        None => Form::Delimited(Dialect::default()),
    };
    let output = match root.child("OutputSerialization") {
        Some(element) => form(element, Direction::Output)?,
        None => input.clone(),
    };
    Ok(QueryRequest { statement, input, output })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Input,
    Output,
}

fn form(serialization: &Element, direction: Direction) -> Result<Form, BlobError> {
    let Some(format) = serialization.child("Format") else { return Err(InvalidXml.into()) };
    let kind = format.child("Type").map_or("", |it| it.text.trim()).to_ascii_lowercase();
    match (kind.as_str(), direction) {
        ("delimited", _) => Ok(Form::Delimited(dialect(format)?)),
        ("json", _) => {
            let found = format.child("JsonTextConfiguration");
            let separator = found.and_then(|it| it.child("RecordSeparator"));
            let separator = separator.map_or("", |it| it.text.as_str());
            let separator = if separator.is_empty() { "\n" } else { separator };
            Ok(Form::Json { separator: separator.as_bytes().to_vec() })
        }
        ("arrow", Direction::Output) => {
            Err(BlobError::not_served("Query Blob Contents with an answer in Arrow's format"))
        }
        ("parquet", Direction::Input) => {
            Err(BlobError::not_served("Query Blob Contents of a blob in Parquet's format"))
        }
        (_, _) => Err(invalid_value("Type", "another format is expected there")),
    }
}

fn dialect(format: &Element) -> Result<Dialect, BlobError> {
    let default = Dialect::default();
    let Some(given) = format.child("DelimitedTextConfiguration") else { return Ok(default) };
    let text = |name| given.child(name).map(|it| it.text.as_str());
    let column = match text("ColumnSeparator").unwrap_or("") {
        "" => default.column,
        text => one_byte("ColumnSeparator", text)?,
    };
    let record = match text("RecordSeparator").unwrap_or("") {
        "" => default.record,
        "\r\n" => b"\r\n".to_vec(),
        text => vec![one_byte("RecordSeparator", text)?],
    };
    let quote = match text("FieldQuote") {
        None | Some("") => default.quote,
        // So clients of Java say that there is none.
        Some("\0") => None,
        Some(text) => Some(one_byte("FieldQuote", text)?),
    };
    let escape = match text("EscapeChar") {
        None | Some("" | "\0") => None,
        Some(text) => Some(one_byte("EscapeChar", text)?),
    };
    if record.contains(&column) {
        let message = "Field delimiter and record delimiter must be different characters.";
        return Err(BlobError::new(400, "ErrorProcessingQueryExpression", message));
    }
    let has_headers = match text("HasHeaders").unwrap_or("").trim() {
        "" => false,
        text if text.eq_ignore_ascii_case("true") => true,
        text if text.eq_ignore_ascii_case("false") => false,
        _ => return Err(invalid_value("HasHeaders", "true or false is expected")),
    };
    Ok(Dialect { column, quote, record, escape, has_headers })
}

fn one_byte(name: &'static str, text: &str) -> Result<u8, BlobError> {
    match text.as_bytes() {
        [byte] => Ok(*byte),
        _ => Err(invalid_value(name, "one ASCII character is expected")),
    }
}

fn invalid_value(name: &'static str, reason: &str) -> BlobError {
    let message = "The value for one of the XML nodes is not in the correct format.";
    BlobError::new(400, "InvalidXmlNodeValue", message)
        .with_detail("XmlNodeName", name)
        .with_detail("Reason", reason)
}

#[cfg(test)]
mod tests {
    use super::{Dialect, Form, read};

    fn asked(more: &str) -> Result<super::QueryRequest, String> {
        let body = format!(
            "<?xml version='1.0' encoding='utf-8'?>\n<QueryRequest><QueryType>SQL</QueryType>\
             <Expression>SELECT * FROM BlobStorage WHERE _1 &lt; 3</Expression>{more}</QueryRequest>"
        );
        read(body.as_bytes()).map_err(|error| format!("{} {}", error.status, error.code))
    }

    fn input(format: &str) -> Result<Form, String> {
        let more = format!("<InputSerialization><Format>{format}</Format></InputSerialization>");
        asked(&more).map(|request| request.input)
    }

    #[test]
    fn forms_of_records_are_read() {
        let default = Form::Delimited(Dialect::default());
        let request = asked("").expect("a request");
        assert_eq!((&request.input, &request.output), (&default, &default));
        assert_eq!(input("<Type>delimited</Type>"), Ok(default));
        let text = "<Type>delimited</Type><DelimitedTextConfiguration><ColumnSeparator>;\
                    </ColumnSeparator><FieldQuote>'</FieldQuote><RecordSeparator>&#13;\n\
                    </RecordSeparator><EscapeChar>\\</EscapeChar><HasHeaders>true</HasHeaders>\
                    </DelimitedTextConfiguration>";
        let dialect = Dialect {
            column: b';',
            quote: Some(b'\''),
            record: b"\r\n".to_vec(),
            escape: Some(b'\\'),
            has_headers: true,
        };
        assert_eq!(input(text), Ok(Form::Delimited(dialect)));
        let json = Form::Json { separator: b"\n".to_vec() };
        assert_eq!(input("<Type>json</Type>"), Ok(json.clone()));
        let more = "<InputSerialization><Format><Type>json</Type></Format></InputSerialization>";
        assert_eq!(asked(more).map(|request| request.output), Ok(json));
    }

    #[test]
    fn what_is_not_served_is_refused() {
        let output = |kind: &str| {
            asked(&format!(
                "<OutputSerialization><Format><Type>{kind}</Type></Format></OutputSerialization>"
            ))
            .map(|_| ())
        };
        assert_eq!(output("arrow"), Err("501 NotImplemented".to_owned()));
        assert_eq!(output("parquet"), Err("400 InvalidXmlNodeValue".to_owned()));
        assert_eq!(input("<Type>parquet</Type>"), Err("501 NotImplemented".to_owned()));
        assert_eq!(input("<Type>arrow</Type>"), Err("400 InvalidXmlNodeValue".to_owned()));
        let same = "<Type>delimited</Type><DelimitedTextConfiguration><ColumnSeparator>\n\
                    </ColumnSeparator></DelimitedTextConfiguration>";
        assert_eq!(input(same), Err("400 ErrorProcessingQueryExpression".to_owned()));
        let long = "<Type>delimited</Type><DelimitedTextConfiguration><ColumnSeparator>::\
                    </ColumnSeparator></DelimitedTextConfiguration>";
        assert_eq!(input(long), Err("400 InvalidXmlNodeValue".to_owned()));
        let code = |body: &str| read(body.as_bytes()).map(|_| ()).map_err(|error| error.code);
        assert_eq!(code("<Other/>"), Err("InvalidXmlDocument"));
        assert_eq!(code("<QueryRequest/>"), Err("InvalidXmlNodeValue"));
        assert_eq!(
            code("<QueryRequest><Expression>SELECT</Expression></QueryRequest>"),
            Err("ErrorProcessingQueryExpression")
        );
    }
}
