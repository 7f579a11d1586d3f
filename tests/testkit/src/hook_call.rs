//! One hook, called alone.

mod bench;

use std::collections::BTreeMap;

use atelier_host::plugins::{Declaration, Manifest};
use atelier_plugin_abi::{
    Buffer, Field, Hook, Level,
    frame::Frame,
    host::{CallFailure, HostLog, leak_host},
};
use atelier_plugin_api::LinkedPlugin;
use image::RgbImage;
use serde_json::{Map, Value as Json};

use bench::Bench;

/// A call of one hook of a plugin that is linked into the test, with everything that it may ask for.
///
/// ```
/// use atelier_plugin_api::prelude::*;
/// use atelier_testkit::{Hook, HookCall};
/// use image::{Rgb, RgbImage};
///
/// /// Darkens every picture.
/// pub struct Dim(f64);
///
/// #[plugin(id = "dim")]
/// impl Run for Dim {
///     fn options() -> Vec<OptionSpec> {
///         vec![OptionSpec::float("dim_keep", 0.5).range(0.0, 1.0)]
///     }
///     fn start(cx: &RunStart<'_>) -> Result<Self, PluginError> {
///         Ok(Self(cx.snapshot().get("dim_keep")?))
///     }
///     fn postprocess_image(&mut self, cx: &mut ImageCx<'_>) -> HookResult {
///         for byte in cx.image_mut().data {
///             *byte = (f64::from(*byte) * self.0) as u8;
///         }
///         Ok(())
///     }
/// }
///
/// let white = RgbImage::from_pixel(2, 2, Rgb([200, 100, 50]));
/// let called = HookCall::of::<Dim>(Hook::PostprocessImage)
///     .option("dim_keep", 0.25)
///     .image(white)
///     .call();
/// called.assert_ok();
/// assert_eq!(called.images[0].get_pixel(0, 0).0, [50, 25, 12]);
/// assert_eq!(called.snapshot_reads, ["dim_keep"]);
/// ```
#[derive(Debug)]
pub struct HookCall {
    module: atelier_plugin_abi::host::Module,
    frame: Frame,
    given: Called,
    fields: BTreeMap<Field, Given>,
    options: BTreeMap<String, Json>,
    args: Map<String, Json>,
}

/// A field of the call.
#[derive(Clone, Debug)]
enum Given {
    One(Json),
    List(Vec<Json>),
}

/// What a hook left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Called {
    /// Why it failed, if it did.
    pub failure: Option<CallFailure>,
    /// The pictures after it.
    pub images: Vec<RgbImage>,
    /// The floats after it, with their sizes.
    pub tensors: BTreeMap<Buffer, (Vec<usize>, Vec<f32>)>,
    /// The bytes after it that are no picture of a list, with their sizes.
    pub bytes: BTreeMap<Buffer, (Vec<usize>, Vec<u8>)>,
    /// Fields that it set.
    pub set: Vec<(Field, u64, Json)>,
    /// What it added to the infotext.
    pub infotext: Vec<(String, Json)>,
    /// Options that it read live, in their order.
    pub live_reads: Vec<String>,
    /// Options that it read from the snapshot, in their order.
    pub snapshot_reads: Vec<String>,
    /// Options that it wrote.
    pub writes: Vec<(String, Json)>,
    /// What it logged through the context.
    pub logs: Vec<String>,
}

impl Called {
    /// # Panics
    /// If the hook failed.
    #[track_caller]
    pub fn assert_ok(&self) {
        if let Some(failure) = &self.failure {
            panic!("the hook failed: {failure}");
        }
    }

    /// # Panics
    /// If the hook did not fail, or with other words.
    #[track_caller]
    pub fn assert_fails(&self, words: &str) {
        match &self.failure {
            Some(failure) if failure.to_string().contains(words) => {}
            other => panic!("the hook did not fail with “{words}”: {other:?}"),
        }
    }
}

struct NoLog;
impl HostLog for NoLog {
    fn enabled(&self, _: Level, _: &str) -> bool {
        false
    }
    fn log(&self, _: Level, _: &str, _: &str) {}
}

impl HookCall {
    /// A call of this hook. Options have their defaults, fields are empty or 0, there are no pictures.
    ///
    /// # Panics
    /// If the plugin's declaration cannot be read.
    pub fn of<P: LinkedPlugin>(hook: Hook) -> Self {
        let module = P::linked();
        let declared = module.describe().unwrap_or_else(|failure| panic!("describe: {failure}"));
        let manifest = Manifest::parse(&module.manifest()).expect("a manifest");
        let declaration = Declaration::parse(&declared, &manifest.name, manifest.id.as_str());
        let declaration = declaration.expect("a declaration");
        let options = declaration.options.iter();
        Self {
            module,
            frame: Frame::new(hook),
            given: Called::default(),
            fields: BTreeMap::new(),
            options: options.map(|spec| (spec.key.clone(), spec.default.to_json())).collect(),
            args: declaration.args.into_iter().map(|arg| (arg.name, arg.default)).collect(),
        }
    }

    /// An option, of the plugin or of the host, live and in the snapshot.
    #[must_use]
    pub fn option(mut self, key: &str, value: impl Into<Json>) -> Self {
        self.options.insert(key.to_owned(), value.into());
        self
    }

    /// An argument.
    #[must_use]
    pub fn arg(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.args.insert(name.to_owned(), value.into());
        self
    }

    /// A field: a prompt, a seed, a size.
    #[must_use]
    pub fn field(mut self, field: Field, value: impl Into<Json>) -> Self {
        self.fields.insert(field, Given::One(value.into()));
        self
    }

    /// A field that is a list: prompts, seeds.
    #[must_use]
    pub fn list<T: Into<Json>>(
        mut self,
        field: Field,
        values: impl IntoIterator<Item = T>,
    ) -> Self {
        self.fields.insert(field, Given::List(values.into_iter().map(Into::into).collect()));
        self
    }

    /// A picture, behind those that were given before.
    #[must_use]
    pub fn image(mut self, image: RgbImage) -> Self {
        self.given.images.push(image);
        self
    }

    /// Floats: latents, noise, conditioning, pixels.
    ///
    /// # Panics
    /// If the sizes do not hold as many.
    #[must_use]
    pub fn tensor(mut self, buffer: Buffer, shape: &[usize], data: Vec<f32>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "{shape:?}");
        self.given.tensors.insert(buffer, (shape.to_vec(), data));
        self
    }

    /// Bytes that are no picture of a list, `[height, width, channels]`: a mask, what is laid over.
    ///
    /// # Panics
    /// If the sizes do not hold as many.
    #[must_use]
    pub fn bytes(mut self, buffer: Buffer, shape: [usize; 3], data: Vec<u8>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "{shape:?}");
        self.given.bytes.insert(buffer, (shape.to_vec(), data));
        self
    }

    /// The step and how many there are, the noise level and the guidance scale.
    #[must_use]
    pub fn step(mut self, step: u32, total: u32, sigma: f64, cfg_scale: f64) -> Self {
        (self.frame.step, self.frame.total_steps) = (step, total);
        (self.frame.sigma, self.frame.cfg_scale) = (sigma, cfg_scale);
        self
    }

    /// Makes the plugin and its run, calls the hook, ends the run.
    #[must_use]
    pub fn call(self) -> Called {
        let Self { module, frame, given, fields, options, args } = self;
        let mut host = Bench { called: given, fields, options, args };
        let outcome = called(module, &frame, &mut host);
        host.called.failure = outcome.err();
        host.called
    }
}

fn called(
    module: atelier_plugin_abi::host::Module,
    frame: &Frame,
    host: &mut Bench,
) -> Result<(), CallFailure> {
    let start = Frame::new(Hook::Start);
    let plugin = module.create(leak_host(NoLog), &start, host)?;
    match Hook::from_code(frame.hook) {
        Some(hook) if hook.of_plugin() && hook != Hook::Start => plugin.call(frame, host),
        Some(Hook::Start) => plugin.start(frame, host)?.close(&Frame::new(Hook::Finish), host),
        _ => {
            let mut run = plugin.start(&start, host)?;
            let outcome = run.call(frame, host);
            run.close(&Frame::new(Hook::Finish), host)?;
            outcome
        }
    }
}
