//! Who wrote a value.

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who wrote an option last. A divergence names it, and it decides whether a save keeps the value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Writer {
    /// Nobody: the option has its declared default.
    #[default]
    Default,
    /// The stored `config.json`.
    File,
    /// The command line.
    Cli,
    /// A client of the HTTP API, the web page included.
    Api,
    /// A plugin, inside a run or outside of all.
    Plugin {
        /// The plugin's id.
        id: Arc<str>,
        /// The run it was working for.
        run: Option<Arc<str>>,
    },
    /// A run that was asked to leave its overrides behind
    /// (`override_settings_restore_afterwards: false`).
    Run {
        /// The run's id.
        run: Arc<str>,
    },
    /// The overrides a run was asked for (`override_settings`); found in a layer only.
    Override {
        /// The run's id.
        run: Arc<str>,
    },
}

impl Writer {
    /// A plugin at work for a run, or for none.
    pub fn plugin(id: impl Into<Arc<str>>, run: Option<&str>) -> Self {
        Self::Plugin { id: id.into(), run: run.map(Arc::from) }
    }

    /// Whether what it writes is meant to outlive the process. What a plugin or a run writes into
    /// the live options changes memory only.
    pub fn is_durable(&self) -> bool {
        matches!(self, Self::File | Self::Cli | Self::Api)
    }
}

/// Reads after "by": "by the command line".
impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("nobody (default)"),
            Self::File => f.write_str("config.json"),
            Self::Cli => f.write_str("the command line"),
            Self::Api => f.write_str("the API"),
            Self::Plugin { id, run: None } => write!(f, "plugin {id}"),
            Self::Plugin { id, run: Some(run) } => write!(f, "plugin {id} in run {run}"),
            Self::Run { run } => write!(f, "run {run}, which left its overrides behind"),
            Self::Override { run } => write!(f, "the override_settings of run {run}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_survives_the_way_through_json() {
        let writer = Writer::plugin("watermark", Some("r7"));
        let json = serde_json::to_value(&writer).unwrap();
        assert_eq!(json, serde_json::json!({"by": "plugin", "id": "watermark", "run": "r7"}));
        assert_eq!(serde_json::from_value::<Writer>(json).unwrap(), writer);
        assert_eq!(writer.to_string(), "plugin watermark in run r7");
    }
}
