//! Whom the ledger takes a read for.

use std::sync::Arc;

use atelier_host::{
    options::{OptionSet, Store, a1111},
    plugins::{PluginId, PluginSet},
    run::seam::{Reader, Seam, SeamMode},
};

#[test]
fn a_read_of_the_hosts_own_is_never_the_plugins_that_was_called_before() {
    let options = OptionSet::new(Arc::new(a1111::schema()));
    let store = Arc::new(Store::new(options, Arc::new(PluginSet::default())));
    let mut seam = Seam::open("run".into(), store, []).unwrap();
    seam.freeze();
    seam.take_snapshot();
    seam.host_enters("execute");
    let plugin = seam.caller(Reader::Plugin(PluginId::new("styles").unwrap()), "process");
    seam.enter(plugin);
    seam.read_live("samples_format", SeamMode::Record).unwrap();
    seam.host("eta_ancestral");
    seam.enter(plugin);
    seam.read_live("jpeg_quality", SeamMode::Record).unwrap();
    let rows = seam.ledger_rows();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| (row.reader.as_str(), row.hook.as_str(), row.option.as_str(), row.live))
        .collect();
    let expected = [
        ("styles", "process", "jpeg_quality", 1),
        ("styles", "process", "samples_format", 1),
        ("host", "execute", "eta_ancestral", 1),
    ];
    assert_eq!(rows, expected);
}
