//! What crossing the boundary costs: hook calls, live reads with and without the ledger, snapshot
//! reads, writes; on a real dynamic library.
//!
//! `cargo build --release -p meter` first, or set `ATELIER_METER` to the library.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot go on panics"
)]

use std::{path::PathBuf, process::Command, sync::Arc, time::Instant};

use atelier_host::{
    Atelier, Config,
    options::{OptionSpec, Owner, Snapshot, Value},
    plugins::{LiveOptions, library, log::log, values::to_plugin},
    run::seam::{Reader, Seam, SeamMode},
};
use atelier_plugin_abi::{
    Buffer, Field, Hook, Level, Value as AbiValue, ValueRef,
    codes::{ListOp, OptionSource, OptionTarget, Status},
    frame::Frame,
    host::{
        BufferView, HookHost, HostLog, LoadedRun, Refusal, ServiceReply, ServiceRequest, leak_host,
    },
};
use criterion::{BenchmarkId, Criterion};

const SIZES: [usize; 2] = [350, 35_000];

/// The smallest host that serves the meter: options through `options`, nothing else.
struct Host<O> {
    options: O,
    repeat: i64,
}

trait Options {
    fn read(&mut self, source: OptionSource, key: &str) -> AbiValue;
    fn write(&mut self, key: &str, value: &Value);
}

/// The run's own way: layer, store, ledger.
impl Options for Seam {
    fn read(&mut self, source: OptionSource, key: &str) -> AbiValue {
        let value = match source {
            OptionSource::Live => self.read_live(key, SeamMode::Record),
            _ => self.read_snapshot(key),
        };
        value.map_or(AbiValue::Null, |value| to_plugin(&value))
    }

    fn write(&mut self, key: &str, value: &Value) {
        let _ = self.write_live(key, value, "meter");
    }
}

/// The same reads without anybody counting.
struct Uncounted(Arc<LiveOptions>, Snapshot);

impl Options for Uncounted {
    fn read(&mut self, source: OptionSource, key: &str) -> AbiValue {
        if source == OptionSource::Live {
            let state = self.0.load();
            let id = state.options.schema().id(key);
            let layered = id.and_then(|id| self.1.layer().get(id)).map(|(value, _)| value);
            return layered.or_else(|| state.options.by_key(key)).map_or(AbiValue::Null, to_plugin);
        }
        self.1.by_key(key).map_or(AbiValue::Null, to_plugin)
    }

    fn write(&mut self, _: &str, _: &Value) {}
}

fn no<T>() -> Result<T, Refusal> {
    Err(Refusal::new(Status::NotHere, "not in this benchmark"))
}

impl<O: Options> HookHost for Host<O> {
    fn get(&mut self, field: Field, _: u64) -> Result<AbiValue, Refusal> {
        if field == Field::Steps { Ok(AbiValue::Int(self.repeat)) } else { no() }
    }
    fn set(&mut self, _: Field, _: u64, _: ValueRef<'_>) -> Result<(), Refusal> {
        no()
    }
    fn read_option(&mut self, source: OptionSource, key: &str) -> Result<AbiValue, Refusal> {
        Ok(self.options.read(source, key))
    }
    fn read_all_options(&mut self, _: OptionSource) -> Result<AbiValue, Refusal> {
        no()
    }
    fn write_option(
        &mut self,
        _: OptionTarget,
        key: &str,
        value: ValueRef<'_>,
    ) -> Result<(), Refusal> {
        if let ValueRef::Int(value) = value {
            self.options.write(key, &Value::Int(value));
        }
        Ok(())
    }
    fn buffer(&mut self, _: Buffer, _: u64, _: bool) -> Result<BufferView<'_>, Refusal> {
        no()
    }
    fn resize(&mut self, _: Buffer, _: ListOp, _: u64, _: (u64, u64)) -> Result<(), Refusal> {
        no()
    }
    fn infotext(&mut self, _: &str, _: ValueRef<'_>) -> Result<(), Refusal> {
        no()
    }
    fn service(&mut self, _: ServiceRequest<'_>) -> Result<ServiceReply, Refusal> {
        no()
    }
    fn cancelled(&mut self) -> bool {
        false
    }
    fn log(&mut self, level: Level, target: &str, message: &str) {
        if let Ok(id) = atelier_host::plugins::PluginId::new("meter") {
            log(level, &id, None, target, message);
        }
    }
}

struct Silent;
impl HostLog for Silent {
    fn enabled(&self, _: Level, _: &str) -> bool {
        false
    }
    fn log(&self, _: Level, _: &str, _: &str) {}
}

fn meter() -> PathBuf {
    if let Some(path) = std::env::var_os("ATELIER_METER") {
        return path.into();
    }
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let built = Command::new(cargo)
        .args(["build", "--release", "--package", "meter", "--message-format=json"])
        .current_dir(root)
        .output()
        .expect("cargo");
    let text = String::from_utf8_lossy(&built.stdout).into_owned();
    let path = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == "meter")
        .find_map(|message| message["filenames"][0].as_str().map(PathBuf::from));
    path.expect("the meter's library")
}

/// A store with at least so many options.
fn store(size: usize) -> (tempfile::TempDir, Atelier) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config { data: folder.path().to_owned(), ..Config::default() };
    let atelier = Atelier::open(&config).expect("a host");
    let known = atelier.store().load().options.schema().len();
    let more = (known..size).map(|at| OptionSpec::int(format!("filler_{at}"), 0));
    let registered = atelier.store().register(more, &Owner::Plugin("filler".to_owned()));
    registered.map(|_| ()).expect("registered");
    (folder, atelier)
}

/// A seam with a layer of ten keys, the snapshot taken.
fn seam(atelier: &Atelier) -> Seam {
    let keys = [
        "grid_save",
        "grid_format",
        "jpeg_quality",
        "return_grid",
        "eta_ddim",
        "eta_ancestral",
        "s_churn",
        "s_noise",
        "enable_pnginfo",
        "save_txt",
    ];
    let state = atelier.store().load();
    let values: Vec<_> =
        keys.iter().map(|key| state.options.by_key(key).expect("a key").to_json()).collect();
    let overrides = keys.iter().copied().zip(&values);
    let mut seam = Seam::open("bench".into(), atelier.store().clone(), overrides).expect("a seam");
    seam.freeze();
    seam.take_snapshot();
    let plugin = atelier_host::plugins::PluginId::new("meter").expect("an id");
    let caller = seam.caller(Reader::Plugin(plugin), "process");
    let _ = seam.enter(caller);
    seam
}

/// Time for `repeat` repetitions inside one call of a hook.
fn timed<O: Options>(
    run: &mut LoadedRun,
    hook: Hook,
    options: O,
    repeat: u64,
) -> std::time::Duration {
    let mut host = Host { options, repeat: repeat.min(u64::from(u32::MAX)) as i64 };
    let begin = Instant::now();
    run.call(&Frame::new(hook), &mut host).expect("the hook");
    begin.elapsed()
}

trait Plain {
    fn after_step(&mut self, frame: &Frame, host: &mut dyn HookHost) -> Result<(), String>;
}
struct Nothing;
impl Plain for Nothing {
    #[inline(never)]
    fn after_step(&mut self, frame: &Frame, _: &mut dyn HookHost) -> Result<(), String> {
        std::hint::black_box(frame);
        Ok(())
    }
}

/// The rival: Serena's snapshot, a namespace over a copy of the dictionary, of 350 entries.
fn python(iterations: u64) -> Option<std::time::Duration> {
    let script = "import sys,timeit;from types import SimpleNamespace as N;\
        d={f'option_{i}':i for i in range(350)};\
        print(timeit.timeit(lambda: N(**d.copy()), number=int(sys.argv[1])))";
    let output = Command::new("python3").args(["-c", script, &iterations.to_string()]).output();
    let text = String::from_utf8_lossy(&output.ok()?.stdout).trim().to_owned();
    Some(std::time::Duration::from_secs_f64(text.parse().ok()?))
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let library = meter();
    let (_cache, atelier) = store(0);
    let (_, copy) = atelier.loader().inspect(&library).expect("the meter");
    let module = library::open(&copy.path).expect("the meter's module");
    for size in SIZES {
        let (_folder, atelier) = store(size);
        let start = || {
            let mut host = Host { options: seam(&atelier), repeat: 0 };
            let frame = Frame::new(Hook::Start);
            let plugin = module.create(leak_host(Silent), &frame, &mut host).expect("a plugin");
            let run = plugin.start(&frame, &mut host).expect("an instance");
            (plugin, run)
        };
        let (_plugin, mut run) = start();
        let mut group = criterion.benchmark_group("boundary");
        group.bench_function(BenchmarkId::new("live read", size), |b| {
            b.iter_custom(|n| timed(&mut run, Hook::Process, seam(&atelier), n));
        });
        group.bench_function(BenchmarkId::new("live read, no ledger", size), |b| {
            b.iter_custom(|n| {
                let frozen = seam(&atelier).snapshot().expect("a snapshot").clone();
                timed(&mut run, Hook::Process, Uncounted(atelier.store().clone(), frozen), n)
            });
        });
        group.bench_function(BenchmarkId::new("snapshot read", size), |b| {
            b.iter_custom(|n| timed(&mut run, Hook::BeforeProcessBatch, seam(&atelier), n));
        });
        group.bench_function(BenchmarkId::new("live write", size), |b| {
            b.iter_custom(|n| timed(&mut run, Hook::ProcessBatch, seam(&atelier), n));
        });
        group.bench_function(BenchmarkId::new("take snapshot", size), |b| {
            let mut seam = seam(&atelier);
            b.iter(|| seam.take_snapshot());
        });
        group.finish();
    }
    let (_folder, atelier) = store(SIZES[0]);
    let mut host = Host { options: seam(&atelier), repeat: 0 };
    let frame = Frame::new(Hook::Start);
    let plugin = module.create(leak_host(Silent), &frame, &mut host).expect("a plugin");
    let mut run = plugin.start(&frame, &mut host).expect("an instance");
    let mut group = criterion.benchmark_group("hook call");
    let frame = Frame::new(Hook::AfterStep);
    group.bench_function("through the boundary", |b| {
        b.iter(|| run.call(std::hint::black_box(&frame), &mut host));
    });
    let mut plain: Box<dyn Plain> = Box::new(Nothing);
    group.bench_function("plain dyn call", |b| {
        let plain = std::hint::black_box(&mut plain);
        b.iter(|| plain.after_step(std::hint::black_box(&frame), &mut host));
    });
    group.finish();
    if python(1).is_none_or(|time| time.is_zero()) {
        eprintln!("there is no python3 here: Serena's way is left out");
        return criterion.final_summary();
    }
    criterion.benchmark_group("rival").bench_function(
        "Serena: SimpleNamespace(**dict.copy()), 350 entries",
        |b| {
            b.iter_custom(|n| python(n).unwrap_or_default());
        },
    );
    criterion.final_summary();
}
