//! Spells variables so that a shell, a program or a file reader takes them unchanged.

use clap::ValueEnum;

use crate::failure::Failure;

/// Who will read the variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A POSIX shell: `eval "$(kiln env)"`.
    Sh,
    /// A program: one JSON object.
    Json,
    /// A `.env` file, as Docker Compose and dotenv libraries read it.
    Dotenv,
    /// PowerShell: `kiln env --format powershell | Invoke-Expression`.
    Powershell,
}

/// Spells `variables`, a line for each.
pub(crate) fn render(variables: &[(String, String)], format: Format) -> Result<String, Failure> {
    let lines: Vec<String> = match format {
        Format::Sh => variables.iter().map(|(name, value)| sh(name, value)).collect(),
        Format::Dotenv => variables.iter().map(|(name, value)| dotenv(name, value)).collect(),
        Format::Powershell => {
            variables.iter().map(|(name, value)| powershell(name, value)).collect()
        }
        Format::Json => {
            let object: serde_json::Map<String, serde_json::Value> = variables
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().into()))
                .collect();
            let text = serde_json::to_string_pretty(&object)
                .map_err(|cause| Failure::new("cannot write JSON").because(cause))?;
            vec![text]
        }
    };
    Ok(lines.join("\n"))
}

/// Single quotes keep everything but themselves.
fn sh(name: &str, value: &str) -> String {
    format!("export {name}='{}'", value.replace('\'', r"'\''"))
}

/// Single quotes are the one form without escapes or expansion that all readers share; a
/// value with a single quote or a line end needs double quotes and escapes.
fn dotenv(name: &str, value: &str) -> String {
    if !value.contains(['\'', '\n']) {
        return format!("{name}='{value}'");
    }
    let escaped =
        value.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\$").replace('\n', r"\n");
    format!("{name}=\"{escaped}\"")
}

/// A single quote in single quotes is written twice.
fn powershell(name: &str, value: &str) -> String {
    format!("$env:{name} = '{}'", value.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::{Format, render};

    fn check(format: Format, value: &str, expected: &str) {
        let text = render(&[("A".to_owned(), value.to_owned())], format).expect("text");
        assert_eq!(text, expected);
    }

    #[test]
    fn quoting() {
        check(Format::Sh, "a=b;c==", "export A='a=b;c=='");
        check(Format::Sh, "it's $HOME \"`x`\" \\n", "export A='it'\\''s $HOME \"`x`\" \\n'");
        check(Format::Sh, "", "export A=''");
        check(Format::Sh, "two\nlines", "export A='two\nlines'");
        check(Format::Dotenv, "a b#c$d", "A='a b#c$d'");
        check(Format::Dotenv, "it's $x \"q\"\n", "A=\"it's \\$x \\\"q\\\"\\n\"");
        check(Format::Powershell, "it's $x", "$env:A = 'it''s $x'");
        check(Format::Json, "a\"b", "{\n  \"A\": \"a\\\"b\"\n}");
    }
}
