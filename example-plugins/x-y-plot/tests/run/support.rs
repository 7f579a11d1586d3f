//! Hosts with the plugin, requests for plots, and what came of them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use atelier_host::{
    plugins::{GivenArgs, PluginId},
    run::{Finished, Picture, RecordStore as _, RunRecord, RunRequest},
};
use atelier_testkit::{TestHost, Wiring, build};
use serde_json::{Value, json};

/// Sides of the fake engine's pictures.
pub(crate) const SIDE: u32 = 64;

/// A host with the plugin and these others.
pub(crate) fn host(others: &[&str], wiring: Wiring) -> TestHost {
    static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        build::cdylibs(root, &["x-y-plot", "watermark", "latent-noise", "probe-a"], &[])
    });
    let plugins: Vec<_> = ["x-y-plot"].iter().chain(others).map(|id| built[*id].clone()).collect();
    TestHost::new(&plugins, wiring)
}

/// A small request for a plot with these arguments.
pub(crate) fn request(host: &TestHost, args: &Value) -> RunRequest {
    let id = PluginId::new("x-y-plot").expect("an id");
    let mut request = RunRequest { script_name: Some(id.clone()), steps: 2, ..host.request() };
    let args = args.as_object().cloned().expect("an object");
    request.plugin_args.insert(id, GivenArgs::Named(args));
    request
}

/// Draws a plot in which no hook may fail.
pub(crate) fn draw(host: &TestHost, request: RunRequest) -> Finished {
    let finished = host.draw(request);
    assert_eq!(finished.record.failures, []);
    finished
}

/// Draws a plot without legends.
pub(crate) fn plot(host: &TestHost, args: &Value) -> Finished {
    draw(host, request(host, &bare(args)))
}

/// The arguments, without legends.
pub(crate) fn bare(args: &Value) -> Value {
    let mut bare = args.clone();
    bare["draw_legend"] = json!(false);
    bare
}

/// The words with which a request is stopped before anything is drawn.
pub(crate) fn stopped(host: &TestHost, request: RunRequest) -> String {
    let finished = host.run(request).expect("a run");
    assert!(finished.pictures.is_empty());
    finished.error.expect("an error").to_string()
}

/// The records of a run's children, in the order in which they were drawn.
pub(crate) fn children(host: &TestHost, parent: &Finished) -> Vec<RunRecord> {
    let records = host.atelier().records().last(500).expect("records").into_iter();
    let mut children: Vec<_> =
        records.filter(|run| run.parent.as_ref() == Some(&parent.record.id)).collect();
    children.reverse();
    children
}

/// Steps and guidance of a run.
pub(crate) fn params(run: &RunRecord) -> (u32, f64) {
    let prepared = run.prepared.as_ref().expect("a prepared run");
    (prepared.params.steps, prepared.params.cfg_scale)
}

/// The first seed of a run.
pub(crate) fn seed(run: &RunRecord) -> i64 {
    run.prepared.as_ref().expect("a prepared run").pictures.all_seeds[0]
}

/// The bytes of a part of a picture.
pub(crate) fn part(
    picture: &Picture,
    (left, top): (u32, u32),
    (width, height): (u32, u32),
) -> Vec<u8> {
    let rows = top..top + height;
    let pixels = rows.flat_map(|y| (left..left + width).map(move |x| (x, y)));
    pixels.flat_map(|(x, y)| picture.image.get_pixel(x, y).0).collect()
}

/// The bytes of a cell in a plot of so many columns and rows of pictures of 64 × 64. Legends are above
/// and beside the cells, so these are counted from below and from the right.
pub(crate) fn cell(
    plot: &Finished,
    (columns, rows): (u32, u32),
    (column, row): (u32, u32),
    margin: u32,
) -> Vec<u8> {
    let picture = &plot.pictures[0];
    let from_end = |count, at| (count - at) * (SIDE + margin) - margin;
    let left = picture.image.width() - from_end(columns, column);
    let top = picture.image.height() - from_end(rows, row);
    part(picture, (left, top), (SIDE, SIDE))
}

/// The bytes of a picture that is drawn alone.
pub(crate) fn alone(host: &TestHost, request: RunRequest) -> Vec<u8> {
    draw(host, RunRequest { script_name: None, ..request }).pictures[0].image.as_raw().clone()
}
