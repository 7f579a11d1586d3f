//! The options of A1111 v1.10.1 that a run, saving, the API, the infotext or the preview reads.
//!
//! Keys, types, defaults, ranges, choices, infotext labels and flags are A1111's; labels and
//! section titles are our own. Paths are relative to the data folder, so that snapshots of
//! different machines agree. Choices that A1111 computes at run time (checkpoints, samplers) are
//! open here. The table is `a1111.json`; adding an option means adding a line to it.

use serde::Deserialize;

use super::schema::Schema;
use super::spec::{Kind, OptionSpec, Owner, Section};
use super::value::Value;

const TABLE: &str = include_str!("a1111.json");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    section: SectionRow,
    options: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SectionRow {
    id: String,
    title: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "as in OptionSpec")]
struct Row {
    key: String,
    kind: Kind,
    default: Value,
    min: Option<f64>,
    max: Option<f64>,
    #[serde(default)]
    choices: Vec<Value>,
    #[serde(default)]
    open: bool,
    label: String,
    infotext: Option<String>,
    #[serde(default)]
    restricted: bool,
    #[serde(default)]
    restrict_api: bool,
    #[serde(default)]
    nullable: bool,
}

impl Row {
    fn spec(self, section: &Section) -> OptionSpec {
        OptionSpec {
            label: self.label,
            section: section.clone(),
            min: self.min,
            max: self.max,
            choices: self.choices,
            open_choices: self.open,
            infotext: self.infotext,
            restricted: self.restricted,
            restrict_api: self.restrict_api,
            nullable: self.nullable,
            ..OptionSpec::new(self.key, self.kind, self.default)
        }
    }
}

/// All of them, in A1111's order.
pub fn specs() -> Vec<OptionSpec> {
    let groups: Vec<Group> = match serde_json::from_str(TABLE) {
        Ok(groups) => groups,
        Err(error) => unreachable!("a1111.json is part of the program and tested: {error}"),
    };
    let specs = groups.into_iter().flat_map(|Group { section, options }| {
        let section = Section::new(section.id, section.title);
        options.into_iter().map(move |row| row.spec(&section))
    });
    specs.collect()
}

/// A schema of exactly these options.
pub fn schema() -> Schema {
    match Schema::default().with(specs(), &Owner::Host) {
        Ok(schema) => schema,
        Err(error) => unreachable!("a1111.json is part of the program and tested: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::options::{Rules, Writer};

    #[test]
    fn the_table_declares_every_option_once_with_a_valid_default() {
        let specs = specs();
        let keys: HashSet<_> = specs.iter().map(|spec| spec.key.as_str()).collect();
        assert_eq!((specs.len(), keys.len(), schema().len()), (215, 215, 215));
        for spec in &specs {
            assert!(!spec.label.is_empty() && spec.label != spec.key, "{} has no label", spec.key);
            assert!(!spec.section.id.is_empty() && !spec.section.title.is_empty());
            assert!(spec.min <= spec.max, "{} has an empty range", spec.key);
        }
    }

    #[test]
    fn well_known_options_are_as_in_a1111() {
        let schema = schema();
        let spec = |key: &str| schema.spec(schema.id(key).unwrap()).clone();
        let clip = spec("CLIP_stop_at_last_layers");
        assert_eq!((clip.kind, &clip.default), (Kind::Int, &Value::Int(1)));
        assert_eq!((clip.min, clip.max), (Some(1.0), Some(12.0)));
        assert_eq!(clip.infotext.as_deref(), Some("Clip skip"));
        assert_eq!(&*clip.section.id, "sd");
        assert_eq!(spec("outdir_txt2img_samples").default, "outputs/txt2img-images".into());
        assert!(spec("outdir_txt2img_samples").restricted && spec("temp_dir").restricted);
        assert!(spec("api_useragent").restrict_api);
        assert!(spec("sd_model_checkpoint").takes_null());
        assert!(spec("emphasis").open_choices);
    }

    #[test]
    fn a_checkpoint_is_a_text_or_nothing_yet() {
        let schema = schema();
        let admit = |value: Value| {
            Rules::default().admit(&schema, "sd_model_checkpoint", &value, &Writer::Api)
        };
        assert_eq!(admit("v1-5".into()).unwrap().1, "v1-5".into());
        assert_eq!(admit(Value::Null).unwrap().1, Value::Null);
        assert!(admit(1.into()).is_err());
    }
}
