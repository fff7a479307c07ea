//! Calls of the helm binary: lint, and renderings of one chart as JSON documents.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde::Deserialize as _;
use serde_json::Value;

/// What can go wrong between us and Helm.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or process could not be used.
    #[error("{what}: {source}")]
    Io {
        /// The file or program.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Helm ended with an error; its own words.
    #[error("helm {command}: {message}")]
    Helm {
        /// `lint` or `template`.
        command: &'static str,
        /// Standard error of Helm, and its output where that holds the reason.
        message: String,
    },
    /// Values or a rendered document are no YAML.
    #[error("{what} is no YAML: {source}")]
    Yaml {
        /// Which text.
        what: String,
        /// Where it is wrong.
        source: serde_yaml::Error,
    },
    /// The values schema is no JSON.
    #[error("{what} is no JSON: {source}")]
    Json {
        /// Which text.
        what: String,
        /// Where it is wrong.
        source: serde_json::Error,
    },
}

/// One helm binary and one chart.
#[derive(Debug, Clone)]
pub struct Helm {
    /// The helm binary.
    pub helm: PathBuf,
    /// The folder of the chart.
    pub chart: PathBuf,
}

impl Helm {
    /// `helm lint --strict`.
    pub fn lint(&self) -> Result<(), Error> {
        self.run("lint", &["--strict", "--quiet"], &serde_json::json!({}))
            .map(drop)
    }

    /// The chart's `values.yaml`.
    pub fn default_values(&self) -> Result<Value, Error> {
        let text = self.read("values.yaml")?;
        serde_yaml::from_str(&text).map_err(|source| Error::Yaml {
            what: "values.yaml".to_owned(),
            source,
        })
    }

    /// The text of a file of the chart.
    pub fn read(&self, file: &str) -> Result<String, Error> {
        let path = self.chart.join(file);
        std::fs::read_to_string(&path).map_err(|source| Error::Io {
            what: path.display().to_string(),
            source,
        })
    }

    /// Renders release `tf` with `values` over the defaults; the documents in Helm's order of installation.
    pub fn render(&self, namespace: &str, values: &Value) -> Result<Vec<Value>, Error> {
        let text = self.run("template", &["--name-template", "tf", "--namespace", namespace], values)?;
        let mut documents = Vec::new();
        for document in serde_yaml::Deserializer::from_str(&text) {
            let document = Value::deserialize(document).map_err(|source| Error::Yaml {
                what: format!("a rendering with {values}"),
                source,
            })?;
            if !document.is_null() {
                documents.push(document);
            }
        }
        Ok(documents)
    }

    fn run(&self, command: &'static str, arguments: &[&str], values: &Value) -> Result<String, Error> {
        let io = |source| Error::Io {
            what: self.helm.display().to_string(),
            source,
        };
        let mut child = Command::new(&self.helm)
            .arg(command)
            .args(arguments)
            .arg(&self.chart)
            .args(["--values", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(io)?;
        if let Some(mut stdin) = child.stdin.take() {
            // JSON is YAML.
            stdin.write_all(values.to_string().as_bytes()).map_err(io)?;
        }
        let output = child.wait_with_output().map_err(io)?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(stdout);
        }
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let message = if command == "lint" {
            format!("{stderr}{stdout}")
        } else {
            stderr
        };
        Err(Error::Helm {
            command,
            message: message.trim().to_owned(),
        })
    }
}
