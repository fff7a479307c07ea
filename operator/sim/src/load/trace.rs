//! Traces of load from CSV files, with one of two headers:
//!
//! * `seconds,tasks_per_second`: the rate from each time on, until the next line; times ascending.
//! * `arrival_seconds`: one line per task. Kinds of tasks take turns by their share.

use std::path::Path;

use super::Curve;

/// A trace of load.
#[derive(Clone, Debug, PartialEq)]
pub enum Trace {
    /// A rate over time.
    Rate(Curve),
    /// The moments of all arrivals, ascending [s].
    Arrivals(Vec<f64>),
}

/// Why a trace cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be read as CSV.
    #[error("failed to read the trace")]
    Read(#[from] csv::Error),
    /// The header is neither of the two.
    #[error("the header is `{found}`; it must be `seconds,tasks_per_second` or `arrival_seconds`")]
    Header {
        /// What it is.
        found: String,
    },
    /// A value that cannot be.
    #[error("line {line}: {why}")]
    Value {
        /// Number of the line, from 1.
        line: u64,
        /// What it must be.
        why: &'static str,
    },
    /// There is no line but the header.
    #[error("the trace is empty: add at least one line below the header")]
    Empty,
}

impl Trace {
    /// Reads a trace from a file.
    pub fn open(path: &Path) -> Result<Self, TraceError> {
        Self::read(
            csv::ReaderBuilder::new()
                .trim(csv::Trim::All)
                .comment(Some(b'#'))
                .from_path(path)?,
        )
    }

    /// Reads a trace from text.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let mut builder = csv::ReaderBuilder::new();
        Self::read(
            builder
                .trim(csv::Trim::All)
                .comment(Some(b'#'))
                .from_reader(text.as_bytes()),
        )
    }

    /// The time of its last line [s], ≥ 0: a rate goes on beyond it, arrivals do not.
    pub fn end(&self) -> f64 {
        match self {
            Self::Rate(curve) => curve.end(),
            Self::Arrivals(moments) => moments.last().copied().unwrap_or(0.0),
        }
    }

    fn read<R: std::io::Read>(mut reader: csv::Reader<R>) -> Result<Self, TraceError> {
        let header: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
        let columns = match header.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["seconds", "tasks_per_second"] => 2,
            ["arrival_seconds"] => 1,
            _ => {
                return Err(TraceError::Header {
                    found: header.join(","),
                });
            }
        };
        let mut rows: Vec<[f64; 2]> = Vec::new();
        for record in reader.records() {
            let record = record?;
            let line = record.position().map_or(0, csv::Position::line);
            let wrong = |why| TraceError::Value { line, why };
            let mut row = [0.0_f64; 2];
            for (value, text) in row.iter_mut().zip(record.iter()) {
                *value = text.parse().map_err(|_| wrong("a number is expected"))?;
                if !value.is_finite() || *value < 0.0 {
                    return Err(wrong("a number of at least 0 is expected"));
                }
            }
            if rows.last().is_some_and(|last| last[0] > row[0]) {
                return Err(wrong("times must ascend"));
            }
            rows.push(row);
        }
        if rows.is_empty() {
            return Err(TraceError::Empty);
        }
        if columns == 1 {
            return Ok(Self::Arrivals(rows.into_iter().map(|[at, _]| at).collect()));
        }
        let mut knots = Vec::with_capacity(2 * rows.len());
        let mut before = None;
        for [at, rate] in rows {
            // The rate of a line lasts until the next one: a jump.
            knots.extend(before.map(|before| (at, before)));
            knots.push((at, rate));
            before = Some(rate);
        }
        Ok(Self::Rate(Curve::new(knots)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_lasts_until_the_next_line() {
        let trace = Trace::parse("seconds,tasks_per_second\n0, 5\n60, 10\n# a remark\n120, 0\n").expect("a trace");
        let Trace::Rate(curve) = trace else {
            panic!("a rate");
        };
        for (at, rate) in [(0.0, 5.0), (59.0, 5.0), (60.0, 10.0), (119.0, 10.0), (121.0, 0.0)] {
            assert!((curve.at(at) - rate).abs() < 1e-12, "{} at {at}", curve.at(at));
        }
    }

    #[test]
    fn a_trace_ends_with_its_last_line() {
        for text in [
            "seconds,tasks_per_second\n0,5\n60,10\n120,0\n",
            "arrival_seconds\n1\n120\n",
        ] {
            let end = Trace::parse(text).expect("a trace").end();
            assert!((end - 120.0).abs() < 1e-12, "{end}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let message = |text: &str| Trace::parse(text).expect_err("wrong").to_string();
        assert!(message("time,rate\n0,1\n").contains("seconds,tasks_per_second"));
        assert_eq!(message("arrival_seconds\n5\n4\n"), "line 3: times must ascend");
        assert_eq!(message("arrival_seconds\nx\n"), "line 2: a number is expected");
        assert!(message("arrival_seconds\n").contains("empty"));
    }
}
