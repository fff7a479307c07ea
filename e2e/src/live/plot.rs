//! The course of the runs of one scenario as SVG: load, backlog, age and pods over time, all scalers on one picture. Plain text with
//! system fonts; the colours are those of Okabe and Ito, which people with any colour vision can tell apart. Grey: minutes that are left
//! out because the machine was disturbed.

use std::collections::BTreeSet;

use super::{args::Scaler, course::Point, scenario::OBJECTIVE_SECONDS};

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 78.0;
const HEIGHT: f64 = 150.0;
const GAP: f64 = 34.0;

/// What a panel shows of a point.
type Read = fn(&Point) -> Option<f64>;

/// One run's curve.
pub(super) struct Curve<'a> {
    /// Whose.
    pub(super) scaler: Scaler,
    /// Its points.
    pub(super) points: &'a [Point],
}

const fn colour(scaler: Scaler) -> &'static str {
    match scaler {
        Scaler::Ours => "#0072b2",
        Scaler::HpaCpu => "#d55e00",
        Scaler::Keda => "#009e73",
    }
}

/// The picture of a scenario whose runs lasted `seconds`.
pub(super) fn picture(title: &str, seconds: f64, curves: &[Curve], dropped: &BTreeSet<u32>) -> String {
    let panels: [(&str, Read, Option<Read>); 4] = [
        ("load [workflows/s]", |point| Some(point.load), None),
        (
            "workflows that wait for their first activity",
            |point| Some(point.backlog as f64),
            None,
        ),
        ("age of the oldest of them [s]", |point| Some(point.age), None),
        (
            "pods: Ready (line), asked for (dashed)",
            |point| point.ready.map(f64::from),
            Some(|point| point.desired.map(f64::from)),
        ),
    ];
    let last = panels.len() - 1;
    let mut body = format!(
        "<text x=\"{LEFT}\" y=\"24\" font-size=\"16\" font-weight=\"bold\">{}</text>\n",
        escaped(title)
    );
    body.push_str(&legend(curves));
    for (number, (name, read, second)) in panels.into_iter().enumerate() {
        let values = curves.iter().flat_map(|curve| curve.points).flat_map(|point| {
            let other = second.and_then(|second| second(point));
            [read(point), other].into_iter().flatten()
        });
        let panel = Panel {
            top: TOP + number as f64 * (HEIGHT + GAP),
            minutes: seconds / 60.0,
            most: values.fold(1.0, f64::max),
        };
        body.push_str(&panel.shades(dropped));
        body.push_str(&panel.frame(name, number == last));
        if number == 2 {
            let ends = [Some((0.0, OBJECTIVE_SECONDS)), Some((panel.minutes, OBJECTIVE_SECONDS))];
            body.push_str(&panel.line(ends.into_iter(), "#888", "stroke-dasharray=\"2 3\""));
        }
        // The load is the same for all: one line of it is enough.
        let shown = if number == 0 {
            curves.get(..1).unwrap_or_default()
        } else {
            curves
        };
        for curve in shown {
            let colour = if number == 0 { "#555" } else { colour(curve.scaler) };
            let points = |read: Read| {
                curve
                    .points
                    .iter()
                    .map(move |point| Some((point.at / 60.0, read(point)?)))
            };
            body.push_str(&panel.line(points(read), colour, "stroke-width=\"1.4\""));
            if let Some(second) = second {
                let style = "stroke-width=\"0.8\" stroke-dasharray=\"4 3\"";
                body.push_str(&panel.line(points(second), colour, style));
            }
        }
    }
    let height = TOP + panels_height(last + 1) + 30.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n<title>{}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n{body}</svg>\n",
        escaped(title)
    )
}

fn panels_height(count: usize) -> f64 {
    count as f64 * (HEIGHT + GAP)
}

fn legend(curves: &[Curve]) -> String {
    let mut text = String::new();
    let mut left = LEFT;
    for curve in curves {
        let name = curve.scaler.as_str();
        text.push_str(&format!(
            "<rect x=\"{left:.0}\" y=\"40\" width=\"14\" height=\"4\" fill=\"{}\"/><text x=\"{:.0}\" y=\"46\">{name}</text>\n",
            colour(curve.scaler),
            left + 18.0
        ));
        left += 34.0 + 7.0 * name.len() as f64;
    }
    text
}

/// Text with what SVG reserves written otherwise.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A panel with linear axes from 0.
struct Panel {
    top: f64,
    minutes: f64,
    most: f64,
}

impl Panel {
    fn width() -> f64 {
        WIDTH - LEFT - 20.0
    }

    fn x(&self, minutes: f64) -> f64 {
        LEFT + Self::width() * (minutes / self.minutes.max(1e-6)).clamp(0.0, 1.0)
    }

    fn y(&self, value: f64) -> f64 {
        self.top + HEIGHT * (1.0 - (value / self.most.max(1e-6)).clamp(0.0, 1.0))
    }

    fn shades(&self, dropped: &BTreeSet<u32>) -> String {
        dropped
            .iter()
            .map(|minute| {
                let (from, to) = (self.x(f64::from(*minute)), self.x(f64::from(*minute) + 1.0));
                format!(
                    "<rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{HEIGHT}\" fill=\"#eee\"/>\n",
                    self.top,
                    to - from
                )
            })
            .collect()
    }

    fn frame(&self, title: &str, with_minutes: bool) -> String {
        let (top, bottom, right) = (self.top, self.top + HEIGHT, LEFT + Self::width());
        let mut text = format!(
            "<rect x=\"{LEFT}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{HEIGHT}\" fill=\"none\" stroke=\"#999\"/>\n\
             <text x=\"{LEFT}\" y=\"{:.0}\" font-weight=\"bold\">{}</text>\n",
            Self::width(),
            top - 5.0,
            escaped(title)
        );
        for tick in ticks(self.most, 4.0) {
            let y = self.y(tick);
            text.push_str(&format!(
                "<line x1=\"{LEFT}\" x2=\"{right:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                LEFT - 6.0,
                y + 4.0,
                label(tick)
            ));
        }
        if with_minutes {
            for tick in ticks(self.minutes, 8.0) {
                text.push_str(&format!(
                    "<text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>\n",
                    self.x(tick),
                    bottom + 16.0,
                    label(tick)
                ));
            }
            text.push_str(&format!(
                "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">minutes</text>\n",
                LEFT + Self::width() / 2.0,
                bottom + 34.0
            ));
        }
        text
    }

    /// Lines through points of values; a point that is not known interrupts them.
    fn line(&self, points: impl Iterator<Item = Option<(f64, f64)>>, colour: &str, style: &str) -> String {
        let mut lines: Vec<Vec<String>> = vec![Vec::new()];
        for point in points {
            let Some((x, y)) = point else {
                lines.push(Vec::new());
                continue;
            };
            if let Some(line) = lines.last_mut() {
                line.push(format!("{:.1},{:.1}", self.x(x), self.y(y)));
            }
        }
        lines
            .iter()
            .filter(|line| line.len() > 1)
            .map(|line| {
                format!(
                    "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" {style}/>\n",
                    line.join(" ")
                )
            })
            .collect()
    }
}

/// Round values from 0 to `most`, about `count` of them.
fn ticks(most: f64, count: f64) -> Vec<f64> {
    let wanted = (most / count).max(1e-6);
    let power = 10_f64.powf(wanted.log10().floor());
    let rounds = [1.0, 2.0, 5.0, 10.0].map(|round| round * power);
    let step = rounds
        .into_iter()
        .find(|round| *round >= wanted * 0.999)
        .unwrap_or(wanted);
    let last = (most / step + 1e-6).floor() as u32;
    (0..=last).map(|tick| f64::from(tick) * step).collect()
}

fn label(value: f64) -> String {
    if value >= 10.0 || (value - value.round()).abs() < 1e-9 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at: f64, desired: Option<u32>) -> Point {
        Point {
            at,
            load: 1.0,
            backlog: 3,
            age: 2.0,
            desired,
            ready: Some(1),
        }
    }

    #[test]
    fn a_picture_shows_each_scaler_and_what_is_left_out() {
        let points = [
            point(0.0, Some(1)),
            point(60.0, Some(2)),
            point(120.0, None),
            point(180.0, Some(2)),
            point(240.0, Some(3)),
        ];
        let curves = [Scaler::Ours, Scaler::HpaCpu].map(|scaler| Curve {
            scaler,
            points: &points,
        });
        let svg = picture("step: 1 < 10 & back", 300.0, &curves, &BTreeSet::from([1]));
        assert!(svg.contains(">ours<") && svg.contains(">hpa-cpu<"), "{svg}");
        assert!(svg.contains("1 &lt; 10 &amp; back"));
        assert_eq!(svg.matches("fill=\"#eee\"").count(), 4, "one minute in each panel");
        // Load, objective, three panels of two scalers, and the size asked for, which is interrupted.
        assert_eq!(svg.matches("<polyline").count(), 1 + 1 + 3 * 2 + 2 * 2);
        assert!(!svg.contains("NaN") && svg.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(12.0, 4.0), [0.0, 5.0, 10.0]);
        assert_eq!(ticks(1.0, 4.0), [0.0, 0.5, 1.0]);
    }
}
