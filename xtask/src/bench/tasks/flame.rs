//! A flame graph: who called whom, and how much of the samples each took.

use std::collections::BTreeMap;
use std::fmt::Write as _;

const WIDTH_PX: f64 = 1200.0;
const ROW_PX: f64 = 15.0;
/// A letter's width, about.
const LETTER_PX: f64 = 6.6;
/// What is narrower is left out.
const NARROW_PX: f64 = 1.5;
/// Colors, chosen by the name.
const COLORS: [&str; 6] = ["#f2b66d", "#ee9a5c", "#e8825a", "#f0c987", "#e9a873", "#f5a45d"];

/// Samples below one name.
#[derive(Debug, Default)]
pub(super) struct Frame {
    n_samples: usize,
    callees: BTreeMap<String, Self>,
}

impl Frame {
    /// Adds one sample; the outermost name comes first.
    pub(super) fn add<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        let mut here = self;
        here.n_samples += 1;
        for name in names {
            here = here.callees.entry(name.to_owned()).or_default();
            here.n_samples += 1;
        }
    }

    pub(super) fn n_samples(&self) -> usize {
        self.n_samples
    }

    /// The outermost names.
    pub(super) fn callees(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.callees.iter().map(|(name, frame)| (name.as_str(), frame))
    }

    fn depth(&self, px_per_sample: f64) -> usize {
        let shown = self.callees.values().filter(|it| is_shown(it, px_per_sample));
        shown.map(|it| 1 + it.depth(px_per_sample)).max().unwrap_or(0)
    }

    /// The picture, the outermost at its bottom.
    pub(super) fn svg(&self, title: &str) -> String {
        let px_per_sample = WIDTH_PX / self.n_samples.max(1) as f64;
        let height = (self.depth(px_per_sample) + 2) as f64 * ROW_PX;
        let mut text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH_PX} {height}\" \
             font-family=\"monospace\" font-size=\"11\">\n\
             <text x=\"4\" y=\"11\">{}</text>\n",
            escaped(title)
        );
        self.draw(&mut text, 0.0, height - ROW_PX, px_per_sample);
        text.push_str("</svg>\n");
        text
    }

    fn draw(&self, text: &mut String, x: f64, y: f64, px_per_sample: f64) {
        let mut x = x;
        for (name, frame) in &self.callees {
            let width = frame.n_samples as f64 * px_per_sample;
            if is_shown(frame, px_per_sample) {
                frame.draw_one(text, name, [x, y, width], px_per_sample);
                frame.draw(text, x, y - ROW_PX, px_per_sample);
            }
            x += width;
        }
    }

    fn draw_one(&self, text: &mut String, name: &str, [x, y, width]: [f64; 3], scale: f64) {
        let sum = name.bytes().map(usize::from).sum::<usize>();
        let color = COLORS.get(sum % COLORS.len()).unwrap_or(&"#ffffff");
        let percent = 100.0 * self.n_samples as f64 * scale / WIDTH_PX;
        let (height, middle) = (ROW_PX - 1.0, y + 11.0);
        let n_letters = name.chars().scan(0.0, |px, _| {
            *px += LETTER_PX;
            (*px < width - 4.0).then_some(())
        });
        let n_letters = n_letters.count();
        let label: String =
            if n_letters < 3 { String::new() } else { name.chars().take(n_letters).collect() };
        let (name, label) = (escaped(name), escaped(&label));
        // Writing to a string does not fail.
        let _written = writeln!(
            text,
            "<g><title>{name} {percent:.1} %</title>\
             <rect x=\"{x:.1}\" y=\"{y:.0}\" width=\"{width:.1}\" height=\"{height}\" \
             fill=\"{color}\"/><text x=\"{:.1}\" y=\"{middle:.0}\">{label}</text></g>",
            x + 2.0
        );
    }
}

fn is_shown(frame: &Frame, px_per_sample: f64) -> bool {
    frame.n_samples as f64 * px_per_sample >= NARROW_PX
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::Frame;

    #[test]
    fn samples_are_counted_by_who_called() {
        let mut root = Frame::default();
        root.add(["a", "b<c>"]);
        root.add(["a"]);
        root.add(["d"]);
        let counts: Vec<_> = root.callees().map(|(name, it)| (name, it.n_samples())).collect();
        assert_eq!((root.n_samples(), counts), (3, vec![("a", 2), ("d", 1)]));
        let picture = root.svg("all");
        assert!(picture.contains("<title>a 66.7 %</title>"), "{picture}");
        assert!(picture.contains("b&lt;c&gt;"), "{picture}");
    }
}
