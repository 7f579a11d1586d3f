//! `atelier plugins enable` and `disable`: ids in the option `disabled_extensions`.

use serde_json::json;

use crate::{
    Atelier,
    cli::{Global, draw::nearest, error::Failure, ui::Ui},
    options::{Value, Writer},
};

const OPTION: &str = "disabled_extensions";

pub(super) fn enable(ui: &Ui, atelier: &Atelier, id: &str) -> Result<(), Failure> {
    let mut listed = listed(atelier);
    if !listed.iter().any(|other| other == id) {
        let hint = match nearest(id, listed.iter().map(String::as_str)) {
            Some(nearest) => format!("; did you mean “{nearest}”?"),
            None => String::new(),
        };
        return Err(Failure::refused(format!("{id} is not disabled{hint}")));
    }
    listed.retain(|other| other != id);
    save(atelier, listed)?;
    say(ui, id, true, &format!("{id} is loaded from the next start on"))?;
    let all = atelier.store().load().options.by_key("disable_all_extensions").cloned();
    if matches!(&all, Some(Value::Text(which)) if &**which != "none") {
        ui.warn("the option disable_all_extensions still keeps every plugin from being loaded");
    }
    Ok(())
}

pub(super) fn disable(
    ui: &Ui,
    global: &Global,
    atelier: &Atelier,
    id: &str,
) -> Result<(), Failure> {
    let mut listed = listed(atelier);
    if listed.iter().any(|other| other == id) {
        return say(ui, id, false, &format!("{id} is disabled already"));
    }
    let known = super::manifests(global, atelier);
    if !known.iter().any(|(_, manifest)| manifest.id.as_str() == id) {
        let ids = known.iter().map(|(_, manifest)| manifest.id.as_str());
        let hint = match nearest(id, ids) {
            Some(nearest) => format!("did you mean “{nearest}”?"),
            None => "`atelier plugins list` shows what there is".to_owned(),
        };
        return Err(Failure::refused(format!("there is no plugin “{id}”; {hint}")));
    }
    listed.push(id.to_owned());
    save(atelier, listed)?;
    say(ui, id, false, &format!("{id} is not loaded from the next start on"))
}

fn say(ui: &Ui, id: &str, enabled: bool, text: &str) -> Result<(), Failure> {
    if ui.json {
        return Ok(ui.document(&json!({"id": id, "enabled": enabled}))?);
    }
    Ui::line(text);
    Ok(())
}

fn listed(atelier: &Atelier) -> Vec<String> {
    atelier.store().load().options.texts(OPTION).map(str::to_owned).collect()
}

fn save(atelier: &Atelier, ids: Vec<String>) -> Result<(), Failure> {
    atelier.store().set(OPTION, Value::texts(ids), Writer::Cli)?;
    atelier.store().save(atelier.config())?;
    Ok(())
}
