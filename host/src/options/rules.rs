//! Which options may be set by whom.

use super::cast::cast;
use super::error::{Refusal, SetError};
use super::schema::{OptionId, Schema};
use super::spec::OptionSpec;
use super::value::Value;
use super::writer::Writer;

/// What the operator of the host forbids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Folders and file names stay as the operator set them (A1111's `--hide-ui-dir-config`).
    pub fixed_paths: bool,
}

impl Rules {
    /// Finds the option, checks that the writer may set it, and casts the value: the one gate for
    /// live writes and for overrides of a run.
    ///
    /// # Errors
    /// [`SetError`], naming the nearest known key if there is no such option.
    pub fn admit(
        self,
        schema: &Schema,
        key: &str,
        value: &Value,
        writer: &Writer,
    ) -> Result<(OptionId, Value), SetError> {
        let id = schema.id(key).ok_or_else(|| SetError::UnknownKey {
            key: key.to_owned(),
            nearest: schema.nearest(key).map(str::to_owned),
        })?;
        let spec = schema.spec(id);
        if let Some(refusal) = self.refusal(spec, writer) {
            return Err(SetError::Restricted { key: key.to_owned(), refusal });
        }
        Ok((id, cast(spec, value)?))
    }

    fn refusal(self, spec: &OptionSpec, writer: &Writer) -> Option<Refusal> {
        let by_operator = matches!(writer, Writer::Default | Writer::File | Writer::Cli);
        let by_client = matches!(writer, Writer::Api | Writer::Override { .. });
        if spec.restrict_api && by_client {
            Some(Refusal::Api)
        } else if spec.restricted && self.fixed_paths && !by_operator {
            Some(Refusal::Paths)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Owner;

    fn refusal(rules: Rules, key: &str, writer: &Writer) -> Option<Refusal> {
        let specs = [
            OptionSpec::text("outdir_samples", "").restricted(),
            OptionSpec::text("api_useragent", "").restrict_api(),
        ];
        let schema = Schema::default().with(specs, &Owner::Host).unwrap();
        match rules.admit(&schema, key, &"x".into(), writer) {
            Ok(_) => None,
            Err(SetError::Restricted { refusal, .. }) => Some(refusal),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn clients_cannot_set_what_is_off_limits_over_the_api() {
        let rules = Rules::default();
        let asked = Writer::Override { run: "r".into() };
        assert_eq!(refusal(rules, "api_useragent", &Writer::Api), Some(Refusal::Api));
        assert_eq!(refusal(rules, "api_useragent", &asked), Some(Refusal::Api));
        assert_eq!(refusal(rules, "api_useragent", &Writer::Cli), None);
        assert_eq!(refusal(rules, "api_useragent", &Writer::plugin("p", None)), None);
    }

    #[test]
    fn fixed_paths_can_be_changed_by_the_operator_alone() {
        let fixed = Rules { fixed_paths: true };
        for writer in [Writer::Api, Writer::plugin("p", None), Writer::Run { run: "r".into() }] {
            assert_eq!(refusal(fixed, "outdir_samples", &writer), Some(Refusal::Paths));
            assert_eq!(refusal(Rules::default(), "outdir_samples", &writer), None);
        }
        assert_eq!(refusal(fixed, "outdir_samples", &Writer::Cli), None);
    }
}
