use serde_json::json;

use atelier_plugin_api::cx::ChildRequest;

use super::*;

fn option(key: &str) -> Result<Json, OptionError> {
    match key {
        "number" => Ok(json!(0.5)),
        "count" => Ok(json!(3)),
        "text" => Ok(json!("here")),
        "list" => Ok(json!(["a"])),
        _ => Err(OptionError::Unknown(format!("no option “{key}”"))),
    }
}

fn run() -> Run<'static> {
    Run {
        prompt: "a red heart",
        negative_prompt: "blurry",
        is_img2img: false,
        most: 100,
        fixes_seeds: true,
        option: &option,
    }
}

fn read(kind: &str, values: &str) -> Result<Axis, String> {
    Axis::read(X, kind, values, &run()).map_err(|error| error.to_string())
}

fn changes(kind: &str, values: &str) -> Vec<Change> {
    read(kind, values).unwrap_or_else(|error| panic!("{error}")).changes
}

fn error(kind: &str, values: &str) -> String {
    read(kind, values).expect_err("no axis")
}

#[test]
fn an_axis_changes_a_field_a_size_or_an_option() {
    let steps = |number: i64| Change::Field("steps", json!(number));
    assert_eq!(changes(" steps ", "4-8 (+4)"), [steps(4), steps(8)]);
    assert_eq!(changes("Size", "64x96"), [Change::Size(64, 96)]);
    let skip = |number: i64| Change::Option("CLIP_stop_at_last_layers".to_owned(), json!(number));
    assert_eq!(changes("CLIP SKIP", "1,2"), [skip(1), skip(2)]);
    assert_eq!(changes("Nothing", "whatever, \"it says"), [Change::Nothing]);
}

#[test]
fn an_option_is_varied_by_values_of_its_own_type() {
    let values = |key: &str, text| -> Vec<Json> {
        let changes = changes(&format!("Option: {key}"), text).into_iter();
        let value = |change| match change {
            Change::Option(changed, value) if changed == key => value,
            other => panic!("{other:?}"),
        };
        changes.map(value).collect()
    };
    assert_eq!(values("number", "1, 2-3 [3]"), [json!(1.0), json!(2.0), json!(2.5), json!(3.0)]);
    assert_eq!(values("count", "1-2"), [json!(1), json!(2)]);
    assert_eq!(values("text", "1-2,"), [json!("1-2"), json!("")]);
    assert_eq!(values("list", r#""[""a"",""b""]""#), [json!(["a", "b"])]);
    assert_eq!(error("option:nmber", "1"), "x_type: no option “nmber”");
    assert!(error("option:count", "1.5").starts_with("x_values, character 1: “1.5” is no whole"));
}

#[test]
fn an_argument_of_another_plugin_is_varied() {
    let value = |value| Change::Argument {
        plugin: "latent-noise".to_owned(),
        name: "strength".to_owned(),
        value,
    };
    let found = changes("arg:latent-noise.strength", "0.1,1-2");
    assert_eq!(found, [value(json!("0.1")), value(json!(1)), value(json!(2))]);
    assert!(error("arg:latent-noise", "1").contains("write arg:PLUGIN.NAME"));
}

#[test]
fn words_are_replaced_by_each_value() {
    let applied = |kind: &str, values: &str| -> Vec<(String, String)> {
        let cell = || Cell {
            prompt: "a red heart, red".to_owned(),
            negative_prompt: "red blurry".to_owned(),
            request: ChildRequest::default(),
        };
        let changes = changes(kind, values).into_iter().map(|change| change.apply(cell()));
        changes.map(|cell| (cell.prompt, cell.negative_prompt)).collect()
    };
    let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
    assert_eq!(
        applied("Prompt S/R", "red, blue,"),
        [
            pair("a red heart, red", "red blurry"),
            pair("a blue heart, blue", "blue blurry"),
            pair("a  heart, ", " blurry")
        ]
    );
    let found = applied("negative prompt s/r", "blurry, dark");
    assert_eq!(found[1], pair("a red heart, red", "red dark"));
    assert!(error("Prompt S/R", "green, blue").contains("“green” is not in the prompt or the neg"));
    assert!(error("Negative prompt S/R", "red").contains("“red” is not in the negative prompt"));
    assert!(error("Prompt S/R", ",blue").contains("character 1: a value is missing"));
}

#[test]
fn a_random_seed_is_drawn_once_unless_it_is_to_stay_random() {
    let axis = read("Seed", "7, -1, -1").expect("an axis");
    let texts = axis.texts();
    assert_eq!(texts[0], "7");
    assert!(axis.has_seeds() && !texts.contains(&"-1".to_owned()) && texts[1] != texts[2]);
    let random = Axis::read(X, "Var. seed", "-1", &Run { fixes_seeds: false, ..run() });
    assert_eq!(random.expect("an axis").changes, [Change::Field("subseed", json!(-1))]);
}

#[test]
fn without_a_type_there_is_no_axis() {
    for kind in ["", " ", "Nothing"] {
        assert!(read(kind, "1, 2").is_ok_and(|axis| axis.is_nothing()), "{kind:?}");
    }
}

#[test]
fn what_is_unknown_or_missing_is_an_error_that_says_what_there_is() {
    let unknown = error("Stpes", "1");
    assert!(unknown.starts_with("x_type: there is no axis “Stpes”; there are Nothing, Seed, "));
    assert!(unknown.ends_with("SGM noise multiplier, option:KEY and arg:PLUGIN.NAME"), "{unknown}");
    assert!(error("Steps", " ").contains("x_values is empty; write values for Steps"));
    assert!(error("Prompt S/R", "").contains("x_values is empty"));
    assert!(error("Denoising", "0.5").contains("img2img only"));
    assert!(error("Sampler", "Euler,").contains("character 7: a value is missing"));
    let img2img = Run { is_img2img: true, ..run() };
    assert!(Axis::read(Y, "Denoising", "0.5", &img2img).is_ok());
}

#[test]
fn values_are_shown_as_people_write_them() {
    assert_eq!(read("CFG Scale", "5.0, 7.50").expect("an axis").texts(), ["5", "7.5"]);
    assert_eq!(read("Sampler", "Euler a").expect("an axis").texts(), ["Euler a"]);
    assert_eq!(read("Size", "64X96").expect("an axis").texts(), ["64x96"]);
}
