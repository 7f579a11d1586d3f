//! `atelier schema`: the JSON schema of records.

use super::ui::Ui;
use crate::run::record;

pub(super) fn run(_: &Ui) {
    // A schema of plain types always has a JSON text.
    Ui::line(&format!("{:#}", record::json_schema()));
}
