//! What it costs to call a hook: plainly, in this process, in a worker; one that does nothing, and one
//! that changes every pixel of a picture of 512×512.
//!
//! `cargo build --release -p meter -p atelier-host` first, or set `ATELIER_METER` and `ATELIER_PROGRAM`.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark that cannot go on panics"
)]

use std::{
    hint::black_box,
    path::{Path, PathBuf},
};

use atelier_host::{
    Atelier, Config,
    plugins::{Isolating, Isolation, PluginId, RunHandle, Workers, trust::Trust},
};
use atelier_plugin_abi::{
    Buffer, Field, Hook, Level, Value, ValueRef,
    codes::{ListOp, OptionSource, OptionTarget, Status},
    frame::Frame,
    host::{BufferView, Elements, HookHost, Refusal, ServiceReply, ServiceRequest},
};
use criterion::Criterion;

const SIDE: usize = 512;

/// A host that has a picture and nothing else.
struct Host {
    picture: Vec<u8>,
}

fn no<T>() -> Result<T, Refusal> {
    Err(Refusal::new(Status::NotHere, "not in this benchmark"))
}

impl HookHost for Host {
    fn get(&mut self, field: Field, _: u64) -> Result<Value, Refusal> {
        if field == Field::PictureCount { Ok(Value::Int(1)) } else { no() }
    }
    fn set(&mut self, _: Field, _: u64, _: ValueRef<'_>) -> Result<(), Refusal> {
        no()
    }
    fn read_option(&mut self, _: OptionSource, _: &str) -> Result<Value, Refusal> {
        no()
    }
    fn read_all_options(&mut self, _: OptionSource) -> Result<Value, Refusal> {
        no()
    }
    fn write_option(&mut self, _: OptionTarget, _: &str, _: ValueRef<'_>) -> Result<(), Refusal> {
        no()
    }
    fn buffer(&mut self, buffer: Buffer, _: u64, write: bool) -> Result<BufferView<'_>, Refusal> {
        if buffer != Buffer::Image {
            return no();
        }
        let elements =
            if write { Elements::U8Mut(&mut self.picture) } else { Elements::U8(&self.picture) };
        Ok(BufferView { shape: [SIDE, SIDE, 3, 1], rank: 3, elements })
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
    fn log(&mut self, _: Level, _: &str, _: &str) {}
}

fn built(variable: &str, name: &str) -> PathBuf {
    let known = std::env::var_os(variable).map(PathBuf::from);
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let built = || folders.map(|it| it.join("target/release").join(name)).find(|it| it.exists());
    known.or_else(built).unwrap_or_else(|| panic!("{name} is not built"))
}

/// An instance of the meter.
fn run(isolation: Isolation, host: &mut Host) -> (tempfile::TempDir, Atelier, Box<dyn RunHandle>) {
    let folder = tempfile::tempdir().expect("a folder");
    let program = built("ATELIER_PROGRAM", "atelier");
    let workers = Workers { program, deadline: None, environment: Vec::new() };
    let config = Config {
        data: folder.path().to_owned(),
        plugins: vec![built("ATELIER_METER", "libmeter.so")],
        trust: Trust::All,
        isolating: Isolating {
            all: Some(isolation),
            workers: Some(workers),
            ..Isolating::default()
        },
        ..Config::default()
    };
    let atelier = Atelier::open(&config).expect("a host");
    assert_eq!(atelier.plugins()[0].state.reason(), None);
    let state = atelier.store().load_full();
    let meter = state.companion.get(&PluginId::new("meter").expect("an id")).expect("the meter");
    let run = meter.handle.start(&Frame::new(Hook::Start), host).expect("an instance");
    (folder, atelier, run)
}

trait Plain {
    fn after_step(&mut self, frame: &Frame);
    fn postprocess_image(&mut self, frame: &Frame, picture: &mut [u8]);
}

struct Direct;
impl Plain for Direct {
    #[inline(never)]
    fn after_step(&mut self, frame: &Frame) {
        black_box(frame);
    }
    #[inline(never)]
    fn postprocess_image(&mut self, _: &Frame, picture: &mut [u8]) {
        for byte in picture {
            *byte = 255 - *byte;
        }
    }
}

/// Somebody else's way to call the same hooks.
pub trait Rival {
    fn name(&self) -> &'static str;
    fn nothing(&mut self, frame: &[u8]);
    fn picture(&mut self, picture: &mut [u8]);
}

#[allow(dead_code, reason = "another package's benchmark has a main of its own")]
fn main() {
    compare(None);
}

/// Measures all ways, and somebody else's.
pub fn compare(mut rival: Option<Box<dyn Rival>>) {
    let mut criterion = Criterion::default().configure_from_args();
    let mut host = Host { picture: vec![7; SIDE * SIDE * 3] };
    let (nothing, picture) = (Frame::new(Hook::AfterStep), Frame::new(Hook::PostprocessImage));
    let mut plain: Box<dyn Plain> = black_box(Box::new(Direct));
    let ways = [("in-process", Isolation::InProcess), ("worker", Isolation::Worker)];
    let mut runs: Vec<_> = ways.map(|(name, way)| (name, run(way, &mut host))).into();

    let mut group = criterion.benchmark_group("a hook that does nothing");
    group.bench_function("plain dyn call", |b| b.iter(|| plain.after_step(black_box(&nothing))));
    for (name, (_, _, run)) in &mut runs {
        group.bench_function(*name, |b| {
            b.iter(|| run.call(black_box(&nothing), &mut host).expect("the hook"));
        });
    }
    if let Some(rival) = &mut rival {
        // As many bytes as a frame has.
        let frame = [0; size_of::<Frame>()];
        group.bench_function(rival.name(), |b| b.iter(|| rival.nothing(black_box(&frame))));
    }
    group.finish();

    let mut group = criterion.benchmark_group("every pixel of 512×512");
    group.bench_function("plain dyn call", |b| {
        b.iter(|| plain.postprocess_image(&picture, black_box(&mut host.picture)));
    });
    for (name, (_, _, run)) in &mut runs {
        group.bench_function(*name, |b| {
            b.iter(|| run.call(black_box(&picture), &mut host).expect("the hook"));
        });
    }
    if let Some(rival) = &mut rival {
        group.bench_function(rival.name(), |b| {
            b.iter(|| rival.picture(black_box(&mut host.picture)));
        });
    }
    group.finish();
    criterion.final_summary();
}
