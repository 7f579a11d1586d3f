//! What options cost on the way of a run: reading, freezing, writing, hashing.

use std::hint::black_box;
use std::sync::Arc;

use atelier_host::options::{
    Layer, OptionSet, OptionSpec, Owner, Schema, Snapshot, Store, Value, Writer, a1111,
};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

/// A1111's options and as many of plugins as it takes to be this many; every third is set.
fn options(count: usize) -> OptionSet {
    let host = a1111::schema();
    let extra = (host.len()..count).map(|n| match n % 3 {
        0 => OptionSpec::bool(format!("plugin_{n}_enabled"), true),
        1 => OptionSpec::float(format!("plugin_{n}_strength"), 0.5),
        _ => OptionSpec::text(format!("plugin_{n}_title"), "some text"),
    });
    #[expect(clippy::expect_used, reason = "a benchmark fails by panicking")]
    let schema = host.with(extra, &Owner::Plugin("bench".into())).expect("valid options");
    let mut set = OptionSet::new(Arc::new(schema));
    for (id, spec) in set.schema().clone().iter().step_by(3) {
        set = set.with(id, spec.default.clone(), Writer::Api);
    }
    set
}

/// Ten overrides, spread over all options.
fn overrides(set: &OptionSet) -> Layer {
    let mut layer = Layer::default();
    for (id, spec) in set.schema().iter().step_by(set.schema().len() / 10).take(10) {
        layer.insert(id, spec.default.clone(), Writer::Override { run: "run".into() });
    }
    layer
}

/// Sixteen keys, read in turn.
fn keys(schema: &Schema) -> Vec<String> {
    let step = schema.len() / 16;
    schema.iter().step_by(step).take(16).map(|(_, spec)| spec.key.clone()).collect()
}

fn benches(c: &mut Criterion) {
    for count in [350, 35_000] {
        let set = options(count);
        let (layer, keys) = (overrides(&set), keys(set.schema()));
        let snapshot = Snapshot::take(&set, &layer);
        let store = Store::new(set.clone(), ());
        let mut group = c.benchmark_group(count.to_string());

        let mut turn = keys.iter().cycle();
        let mut next = || turn.next().map_or("", String::as_str);
        group.bench_function("read live", |b| b.iter(|| black_box(set.by_key(next()))));
        group.bench_function("read snapshot", |b| b.iter(|| black_box(snapshot.by_key(next()))));
        group.bench_function("read store", |b| {
            b.iter(|| store.load().options.by_key(next()).cloned());
        });

        group.bench_function("take, 0 overrides", |b| {
            b.iter(|| Snapshot::take(&set, black_box(&Layer::default())));
        });
        group.bench_function("take, 10 overrides", |b| {
            b.iter(|| Snapshot::take(&set, black_box(&layer)));
        });

        let mut value = 0;
        group.bench_function("set", |b| {
            b.iter(|| {
                value = value % 100 + 1;
                store.set("jpeg_quality", Value::Int(value), Writer::Api)
            });
        });
        group.bench_function("digest", |b| {
            b.iter_batched(
                || Snapshot::take(&set, &layer),
                |snapshot| snapshot.digest(),
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

criterion_group!(options_on_the_way_of_a_run, benches);
criterion_main!(options_on_the_way_of_a_run);
