//! Lines of the Prometheus text format, as far as scrapes of workers need it: names, labels and values. Lines that cannot be
//! read, comments and time stamps are passed over; a page of a pod is no reason to fail.

use std::collections::BTreeMap;

/// One sample of a scrape.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) labels: BTreeMap<&'a str, String>,
    /// Never NaN.
    pub(super) value: f64,
}

impl Line<'_> {
    pub(super) fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }
}

/// All samples of a page, in its order.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'))
        .filter_map(line)
}

fn line(text: &str) -> Option<Line<'_>> {
    let end = text.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = text.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    (!name.is_empty() && !value.is_nan()).then_some(Line { name, labels, value })
}

/// Labels up to the closing brace, and what follows it.
fn labels(mut text: &str) -> Option<(BTreeMap<&str, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = text.split_once('=')?;
        let (value, rest) = quoted(rest.trim_start().strip_prefix('"')?)?;
        labels.insert(name.trim(), value);
        text = rest;
    }
}

/// A value up to its closing quote, unescaped.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_and_the_rest_is_passed_over() {
        let page = "# HELP a text\n# TYPE a counter\na 1\n\nb{} +Inf 1700000000\nc{x=\"1\",y=\"q\\\"\\\\\\n}\",} 2.5e3\n\
                    bad{x=\"1\" 3\nalone\nnan NaN\n{x=\"1\"} 1\n";
        let found: Vec<_> = lines(page).collect();
        let names: Vec<_> = found.iter().map(|line| (line.name, line.value)).collect();
        assert_eq!(names, [("a", 1.0), ("b", f64::INFINITY), ("c", 2500.0)]);
        assert_eq!((found[2].label("x"), found[2].label("y")), ("1", "q\"\\\n}"));
        assert_eq!(found[2].label("z"), "");
    }
}
