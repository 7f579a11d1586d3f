//! What a hook gets to see and to change: one type per stage of a run.
//!
//! Each offers only what its stage has. All of them live as long as the hook runs and stay on its
//! thread. Changes count when the hook returns `Ok`; after an error the host goes on with everything
//! as it was before the hook.

mod batch;
mod image;
mod request;
mod run;
mod script;
mod step;

pub use batch::{
    BatchCx, ExtraNoiseCx, HiresCx, ImagesCx, LatentsCx, NetworksCx, PixelsCx, SamplingCx,
};
pub use image::{GridCx, ImageCx, MaskoverlayCx, SaveCx, SavedCx};
pub use request::{CreateCx, ModelCx, RequestCx};
pub use run::{FinishCx, Outcome, ResultCx, RunCx, RunStart};
pub use script::{Child, ChildFailure, ChildPicture, ChildRequest, ScriptCx};
pub use step::{
    AfterCfgCx, AfterStepCx, BlendParts, CombineCx, CombineParts, DenoisedCx, DenoiserCx,
    MaskBlendCx,
};

use atelier_plugin_abi::{
    Field, ValueRef,
    codes::{COUNT, Status},
    host::Refusal,
    plugin::HookCx,
};

use crate::{PluginError, options::FromOption};

/// Reads a field that the stage always has.
///
/// A host that does not have it breaks the ABI's promise. The panic stays inside the plugin: the
/// guard turns it into a failure of this hook that names the field.
pub(crate) fn field<T: FromOption>(cx: HookCx<'_>, field: Field) -> T {
    element(cx, field, 0)
}

pub(crate) fn element<T: FromOption>(cx: HookCx<'_>, field: Field, index: u64) -> T {
    match cx.get(field, index) {
        Ok(value) => T::from_option(value)
            .unwrap_or_else(|| panic!("the host sent {} as {field}", value.kind_name())),
        Err(refusal) => panic!("the host does not answer {field}: {refusal}"),
    }
}

pub(crate) fn list<T: FromOption>(cx: HookCx<'_>, field: Field) -> Vec<T> {
    let count: i64 = element(cx, field, COUNT);
    (0..count.max(0).cast_unsigned()).map(|index| element(cx, field, index)).collect()
}

pub(crate) fn set(
    cx: HookCx<'_>,
    field: Field,
    index: u64,
    value: ValueRef<'_>,
) -> Result<(), PluginError> {
    Ok(cx.set(field, index, value)?)
}

/// A buffer that the stage always has; see [`field`].
pub(crate) fn lent<T>(buffer: Result<T, atelier_plugin_abi::host::Refusal>) -> T {
    buffer.unwrap_or_else(|refusal| panic!("the host does not lend its memory: {refusal}"))
}

/// What a stage may have or not: `None` where the host says that it is not here.
pub(crate) fn present<T>(found: Result<T, Refusal>) -> Option<T> {
    match found {
        Err(refusal) if refusal.status == Status::NotHere => None,
        found => Some(lent(found)),
    }
}

/// A field that a stage may have or not; see [`present`].
pub(crate) fn present_field<T: FromOption>(cx: HookCx<'_>, field: Field) -> Option<T> {
    present(cx.get(field, 0)).and_then(T::from_option)
}

macro_rules! second_pass {
    () => {
        /// Whether the run is in its second pass ("hires fix"); always `false` with hosts of ABI 1.0.
        #[must_use]
        pub fn is_second_pass(&self) -> bool {
            let field = atelier_plugin_abi::Field::IsSecondPass;
            crate::cx::present_field(self.cx, field).unwrap_or(false)
        }
    };
}

macro_rules! context {
    ($(#[$meta:meta])* $name:ident: $($part:ident)*) => {
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name<'a> {
            cx: atelier_plugin_abi::plugin::HookCx<'a>,
            #[allow(dead_code, reason = "not every stage has memory to lend")]
            buffers: atelier_plugin_abi::plugin::Buffers<'a>,
        }

        impl<'a> $name<'a> {
            pub(crate) fn new(entry: atelier_plugin_abi::plugin::Entry<'a>) -> Self {
                Self { cx: entry.cx, buffers: entry.buffers }
            }

            /// Whether the run was cancelled. Long work should ask now and then, and return.
            #[must_use]
            pub fn cancelled(&self) -> bool {
                self.cx.cancelled()
            }

            /// The version of the ABI that the host was built with; what came with a later one is
            /// refused by it.
            #[must_use]
            pub fn host_abi(&self) -> crate::AbiVersion {
                self.cx.host_abi()
            }

            /// Writes a log line for this hook. `tracing`'s macros do the same with less context.
            pub fn log(&self, level: crate::Level, message: &str) {
                self.cx.log(level, "hook", message);
            }

            /// The live options, as A1111's extensions see them.
            #[must_use]
            pub fn live(&self) -> crate::Live<'a> {
                crate::Live(self.cx)
            }

            $( $crate::cx::$part!(); )*
        }
    };
}

/// Reading, for every stage of a prepared run.
macro_rules! prepared {
    () => {
        /// The run's snapshot: all options as they were when the run was prepared.
        #[must_use]
        pub fn snapshot(&self) -> crate::Snapshot<'a> {
            crate::Snapshot(self.cx)
        }

        /// Options of this run, to write.
        #[must_use]
        pub fn run_options(&self) -> crate::RunOptions<'a> {
            crate::RunOptions(self.cx)
        }

        /// The run's id.
        #[must_use]
        pub fn run_id(&self) -> String {
            crate::cx::field(self.cx, atelier_plugin_abi::Field::RunId)
        }
    };
}

macro_rules! args {
    () => {
        /// The plugin's arguments in this request.
        #[must_use]
        pub fn args(&self) -> crate::Args {
            let value: serde_json::Value =
                crate::cx::field(self.cx, atelier_plugin_abi::Field::Args);
            crate::Args(value.as_object().cloned().unwrap_or_default())
        }
    };
}

macro_rules! infotext {
    () => {
        /// Adds a key and value to the infotext of the run's pictures
        /// (`p.extra_generation_params`).
        ///
        /// # Errors
        /// Where the host refuses the key.
        pub fn infotext(
            &self,
            key: &str,
            value: impl crate::IntoOption,
        ) -> Result<(), crate::PluginError> {
            Ok(value.lend(|value| self.cx.infotext(key, value))?)
        }
    };
}

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $field:ident;)*) => { $(
        $(#[$doc])*
        #[must_use]
        pub fn $name(&self) -> $type {
            crate::cx::field(self.cx, atelier_plugin_abi::Field::$field)
        }
    )* };
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $field:ident, $kind:ident;)*) => { $(
        $(#[$doc])*
        ///
        /// # Errors
        /// A value that the host does not accept; its words say what it does.
        pub fn $name(&mut self, value: $type) -> Result<(), crate::PluginError> {
            crate::cx::set(
                self.cx,
                atelier_plugin_abi::Field::$field,
                0,
                atelier_plugin_abi::ValueRef::$kind(value.into()),
            )
        }
    )* };
}

/// The parameters that a request sets and a run is made with.
macro_rules! params {
    () => {
        crate::cx::getters! {
            /// Whether the run starts from a picture.
            is_img2img: bool = IsImg2Img;
            /// Sampling steps.
            steps: u32 = Steps;
            /// Guidance scale.
            cfg_scale: f64 = CfgScale;
            /// Width in pixels.
            width: u32 = Width;
            /// Height in pixels.
            height: u32 = Height;
            /// Sampler, by A1111's name.
            sampler: String = Sampler;
            /// Scheduler, by A1111's name.
            scheduler: String = Scheduler;
            /// Pictures per iteration.
            batch_size: u32 = BatchSize;
            /// Iterations.
            n_iter: u32 = Iterations;
            /// How far an img2img run leaves its picture, 0 to 1.
            denoising_strength: f64 = DenoisingStrength;
            /// Weight of the variation seed, 0 to 1.
            subseed_strength: f64 = SubseedStrength;
            /// Whether single pictures are left unsaved.
            do_not_save_samples: bool = DoNotSaveSamples;
            /// Whether the grid is left unsaved.
            do_not_save_grid: bool = DoNotSaveGrid;
        }
    };
}

macro_rules! params_mut {
    () => {
        crate::cx::setters! {
            /// Sets the number of sampling steps.
            set_steps: u32 = Steps, Int;
            /// Sets the guidance scale.
            set_cfg_scale: f64 = CfgScale, Float;
            /// Sets the sampler, by A1111's name.
            set_sampler: &str = Sampler, Text;
            /// Sets the scheduler, by A1111's name.
            set_scheduler: &str = Scheduler, Text;
            /// Sets how far an img2img run leaves its picture, 0 to 1.
            set_denoising_strength: f64 = DenoisingStrength, Float;
            /// Sets whether single pictures are left unsaved.
            set_do_not_save_samples: bool = DoNotSaveSamples, Bool;
            /// Sets whether the grid is left unsaved.
            set_do_not_save_grid: bool = DoNotSaveGrid, Bool;
        }
    };
}

/// Work of the host: text encoder, autoencoder, saving.
macro_rules! services {
    () => {
        /// Encodes a prompt: `[1, tokens, width]`.
        ///
        /// # Errors
        /// Where the text encoder fails.
        pub fn encode_text(
            &self,
            text: &str,
        ) -> Result<crate::OwnedConditioning, crate::PluginError> {
            let request = atelier_plugin_abi::host::ServiceRequest::EncodeText(text);
            let crate::OwnedTensor { shape: [n, tokens, width, _], data } =
                crate::cx::tensor(self.cx.service(&request)?)?;
            Ok(crate::OwnedConditioning { shape: [n, tokens, width], data })
        }

        /// Decodes latents `[n, channels, h, w]` to pixels `[n, 3, H, W]` in 0..1.
        ///
        /// # Errors
        /// A shape that does not fit the checkpoint, or where the decoder fails.
        pub fn decode(
            &self,
            shape: [usize; 4],
            latents: &[f32],
        ) -> Result<crate::OwnedTensor, crate::PluginError> {
            let request = atelier_plugin_abi::host::ServiceRequest::Decode { shape, data: latents };
            crate::cx::tensor(self.cx.service(&request)?)
        }

        /// Encodes pixels `[n, 3, H, W]` in 0..1 to latents `[n, channels, h, w]`.
        ///
        /// # Errors
        /// A shape that does not fit the checkpoint, or where the encoder fails.
        pub fn encode(
            &self,
            shape: [usize; 4],
            pixels: &[f32],
        ) -> Result<crate::OwnedTensor, crate::PluginError> {
            let request = atelier_plugin_abi::host::ServiceRequest::Encode { shape, data: pixels };
            crate::cx::tensor(self.cx.service(&request)?)
        }

        /// Saves a picture of the plugin's own beside the run's pictures, with the infotext of the
        /// picture at hand, as PNG. The suffix tells it from them, as A1111's
        /// `-before-face-restoration` does. Returns its path, or `None` where request or options say
        /// that pictures are not to be saved.
        ///
        /// # Errors
        /// Where the picture cannot be written.
        pub fn save_picture(
            &self,
            suffix: &str,
            picture: crate::Image<'_>,
        ) -> Result<Option<String>, crate::PluginError> {
            let request = atelier_plugin_abi::host::ServiceRequest::SavePicture {
                suffix,
                width: picture.width,
                height: picture.height,
                data: picture.data,
            };
            match self.cx.service(&request)? {
                atelier_plugin_abi::host::ServiceReply::Text(path) => Ok(Some(path)),
                atelier_plugin_abi::host::ServiceReply::Nothing => Ok(None),
                _ => Err(crate::PluginError::new("the host sent no path for the saved picture")),
            }
        }
    };
}

pub(crate) fn tensor(
    reply: atelier_plugin_abi::host::ServiceReply,
) -> Result<crate::OwnedTensor, PluginError> {
    match reply {
        atelier_plugin_abi::host::ServiceReply::Tensor { shape, data, .. } => {
            Ok(crate::OwnedTensor { shape, data })
        }
        _ => Err(PluginError::new("the host sent something else where floats were due")),
    }
}

/// A list of the run or batch, to read and to write element by element.
macro_rules! list_fields {
    ($($(#[$doc:meta])* $get:ident, $(#[$set_doc:meta])* $set:ident: $type:ty = $field:ident, $arg:ty, $kind:ident;)*) => { $(
        $(#[$doc])*
        #[must_use]
        pub fn $get(&self) -> Vec<$type> {
            crate::cx::list(self.cx, atelier_plugin_abi::Field::$field)
        }

        $(#[$set_doc])*
        ///
        /// # Errors
        /// No such element.
        pub fn $set(&mut self, index: usize, value: $arg) -> Result<(), crate::PluginError> {
            crate::cx::set(
                self.cx,
                atelier_plugin_abi::Field::$field,
                index as u64,
                atelier_plugin_abi::ValueRef::$kind(value),
            )
        }
    )* };
}

macro_rules! tensors {
    ($($(#[$doc:meta])* $get:ident, $get_mut:ident: $view:ident, $view_mut:ident = $buffer:ident;)*) => { $(
        $(#[$doc])*
        #[must_use]
        pub fn $get(&self) -> crate::$view<'_> {
            crate::cx::lent(self.buffers.view(atelier_plugin_abi::Buffer::$buffer, 0)).into()
        }

        $(#[$doc])*
        ///
        /// To change; put back if the hook fails.
        #[must_use]
        pub fn $get_mut(&mut self) -> crate::$view_mut<'_> {
            crate::cx::lent(self.buffers.view_mut(atelier_plugin_abi::Buffer::$buffer, 0)).into()
        }
    )* };
}

pub(crate) use {
    args, context, getters, infotext, list_fields, params, params_mut, prepared, second_pass,
    services, setters, tensors,
};
