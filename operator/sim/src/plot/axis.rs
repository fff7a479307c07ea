//! A panel with its axes: linear, from 0, with round ticks.

/// Where a panel lies, and what it spans.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    /// Largest value of each axis.
    pub(super) most: (f64, f64),
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `value`.
fn round_up(value: f64) -> f64 {
    let power = libm::pow(10.0, libm::floor(libm::log10(value.max(1e-9))));
    [1.0, 2.0, 5.0, 10.0]
        .map(|m| m * power)
        .into_iter()
        .find(|round| *round >= value * 0.999)
        .unwrap_or(value)
}

fn label(value: f64) -> String {
    if value >= 10.0 || (value - libm::round(value)).abs() < 1e-9 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

impl Panel {
    /// The same panel, spanning at least `most`.
    pub(super) fn spanning(self, x: f64, y: f64) -> Self {
        Self {
            most: (x.max(1e-6), y.max(1e-6)),
            ..self
        }
    }

    pub(super) fn x(&self, value: f64) -> f64 {
        self.left + self.width * (value / self.most.0).clamp(0.0, 1.0)
    }

    pub(super) fn y(&self, value: f64) -> f64 {
        self.top + self.height * (1.0 - (value / self.most.1).clamp(0.0, 1.0))
    }

    /// Frame, ticks and titles. `x_title` empty: no labels below.
    pub(super) fn frame(&self, title: &str, x_title: &str) -> String {
        let Self {
            left,
            top,
            width,
            height,
            most,
        } = *self;
        let bottom = top + height;
        let mut text = format!(
            "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" fill=\"none\" stroke=\"#999\"/>\n\
             <text x=\"{left}\" y=\"{:.0}\" font-weight=\"bold\">{title}</text>\n",
            top - 5.0
        );
        let step = round_up(most.1 / 4.0);
        let mut tick = 0.0;
        while tick <= most.1 * 1.0001 {
            let y = self.y(tick);
            text.push_str(&format!(
                "<line x1=\"{left}\" x2=\"{:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                left + width,
                left - 6.0,
                y + 4.0,
                label(tick)
            ));
            tick += step;
        }
        if x_title.is_empty() {
            return text;
        }
        let step = round_up(most.0 / 8.0);
        let mut tick = 0.0;
        while tick <= most.0 * 1.0001 {
            let x = self.x(tick);
            text.push_str(&format!(
                "<text x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>\n",
                bottom + 16.0,
                label(tick)
            ));
            tick += step;
        }
        text.push_str(&format!(
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">{x_title}</text>\n",
            left + width / 2.0,
            bottom + 34.0
        ));
        text
    }

    /// A line through points of values.
    pub(super) fn line(&self, points: impl Iterator<Item = (f64, f64)>, colour: &str, style: &str) -> String {
        let points: Vec<String> = points
            .map(|(x, y)| format!("{:.1},{:.1}", self.x(x), self.y(y)))
            .collect();
        format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" {style}/>\n",
            points.join(" ")
        )
    }
}
