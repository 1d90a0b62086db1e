//! Plain tables without lines.

use comfy_table::{ContentArrangement, Table, presets};

/// Lays out `rows` under `header`.
pub(crate) fn render<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header)
        .add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let text = table.to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn columns_line_up() {
        let rows = vec![["a".into(), "long one".into()], ["bcd".into(), "x".into()]];
        assert_eq!(render(["k", "value"], rows), "k    value\na    long one\nbcd  x");
    }
}
