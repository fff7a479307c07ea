//! Pictures as SVG: the course of a run, and cost against violations. Plain text with system fonts. The first seven colours are
//! those of Okabe and Ito, which people with any colour vision can tell apart.

mod axis;
mod course;
mod pareto;

pub use course::course;
pub use pareto::pareto;

/// Points of a curve that a picture can show.
pub const POINTS: u32 = 900;

/// Colours of scalers, in their order.
const COLOURS: [&str; 12] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31", "#7f7f7f", "#5254a3",
    "#843c39", "#637939",
];

fn colour(number: usize) -> &'static str {
    COLOURS.get(number % COLOURS.len()).copied().unwrap_or("#000000")
}

/// Text with what SVG reserves written otherwise.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn document(width: f64, height: f64, title: &str, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n<title>{title}</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n{body}</svg>\n",
        title = escaped(title),
    )
}

/// The names of scalers with their colours, in a row.
fn legend<'a>(names: impl Iterator<Item = &'a str>, x: f64, y: f64) -> String {
    let mut text = String::new();
    let mut left = x;
    for (number, name) in names.enumerate() {
        let (colour, name) = (colour(number), escaped(name));
        text.push_str(&format!(
            "<rect x=\"{left:.0}\" y=\"{:.0}\" width=\"14\" height=\"4\" fill=\"{colour}\"/><text x=\"{:.0}\" y=\"{y:.0}\">{name}</text>\n",
            y - 6.0,
            left + 18.0,
        ));
        left += 34.0 + 7.0 * name.len() as f64;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{Change, Point, Series};

    #[test]
    fn a_course_shows_each_scaler_and_escapes_what_it_says() {
        let scenario = crate::scenario::builtin("io-step").expect("built in");
        let point = |at: f64| Point {
            at,
            backlog: 3,
            age: 1.0,
            desired: 4,
            ready: 3,
            starting: 1,
            draining: 0,
            pod_seconds: at,
        };
        let series = Series {
            points: vec![point(0.0), point(60.0)],
            changes: vec![Change {
                at: 5.0,
                from: 3,
                to: 4,
                because: Some("1 < 2 & so on".to_owned()),
            }],
        };
        let svg = course(
            &scenario,
            &[("ours".to_owned(), series.clone()), ("keda".to_owned(), series)],
        );
        assert!(svg.contains(">ours<") && svg.contains(">keda<"));
        assert!(svg.contains("1 &lt; 2 &amp; so on"));
        assert!(!svg.contains("NaN") && svg.trim_end().ends_with("</svg>"));
    }
}
