//! Numbers that name things across the boundary.
//!
//! Every code is a `u32` on the wire and an enum on either side. A code that one side does not know
//! is answered with [`Status::NotHere`], never with a panic: that is how codes can be added in a
//! minor version.

macro_rules! codes {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $( $(#[$doc:meta])* $variant:ident = $code:literal => $text:literal, )* }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        #[repr(u32)]
        pub enum $name { $( $(#[$doc])* $variant = $code, )* }

        impl $name {
            /// Every code of this version, in ascending order of number.
            pub const ALL: &'static [$name] = &[ $( $name::$variant, )* ];

            /// The code as it crosses the boundary.
            #[must_use]
            pub const fn code(self) -> u32 { self as u32 }

            /// The meaning of a code, or `None` where this version does not know it.
            #[must_use]
            pub const fn from_code(code: u32) -> Option<Self> {
                match code { $( $code => Some($name::$variant), )* _ => None }
            }

            /// The name used in manifests, records and messages.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( $name::$variant => $text, )* }
            }

            /// The code of a name, or `None` where this version does not know it.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $( $text => Some($name::$variant), )* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

codes! {
    /// A point of a run at which plugins are called. Names follow A1111 v1.10.1's script hooks and
    /// callbacks; `cfg_combine` and `after_step` are Atelier's own.
    pub enum Hook {
        /// A checkpoint was loaded.
        ModelLoaded = 1 => "model_loaded",
        /// The request as it came, before overrides.
        BeforeProcess = 2 => "before_process",
        /// A run's plugin instance is made.
        Start = 3 => "start",
        /// The run is prepared and the snapshot taken.
        Process = 4 => "process",
        /// An iteration begins.
        BeforeProcessBatch = 5 => "before_process_batch",
        /// The iteration's prompts are final.
        ProcessBatch = 6 => "process_batch",
        /// Noise and conditioning are ready, sampling begins.
        ProcessBeforeEverySampling = 7 => "process_before_every_sampling",
        /// The model is about to be called.
        CfgDenoiser = 8 => "cfg_denoiser",
        /// The model has answered: one prediction with the prompt, one without.
        CfgDenoised = 9 => "cfg_denoised",
        /// The two predictions are combined.
        CfgCombine = 10 => "cfg_combine",
        /// The combined prediction.
        CfgAfterCfg = 11 => "cfg_after_cfg",
        /// The sampler's new latents.
        AfterStep = 12 => "after_step",
        /// Sampling is over.
        PostSample = 13 => "post_sample",
        /// The decoded batch as floats.
        PostprocessBatch = 14 => "postprocess_batch",
        /// The decoded batch as a list of pictures.
        PostprocessBatchList = 15 => "postprocess_batch_list",
        /// One picture.
        PostprocessImage = 16 => "postprocess_image",
        /// A picture is about to be written.
        BeforeImageSaved = 17 => "before_image_saved",
        /// A picture was written.
        ImageSaved = 18 => "image_saved",
        /// A grid is about to be composed.
        ImageGrid = 19 => "image_grid",
        /// The result of the run.
        Postprocess = 20 => "postprocess",
        /// The run is over, whatever its outcome.
        Finish = 21 => "finish",
        /// The plugin was selected by the request and makes the run out of child runs (A1111's
        /// `Script.run`). In place of everything from `process` to `postprocess`.
        Run = 22 => "run",
        /// The extra networks of a batch are in the model, before `process_batch`; again in a second
        /// pass.
        AfterExtraNetworksActivate = 23 => "after_extra_networks_activate",
        /// The second pass ("hires fix") is about to begin, before its `process_before_every_sampling`.
        BeforeHr = 24 => "before_hr",
        /// More noise is about to be put on latents that sampling starts from, behind
        /// `process_before_every_sampling`, where `img2img_extra_noise` is above 0.
        ExtraNoise = 25 => "extra_noise",
        /// What was drawn and what stays of a picture are put together: within every call of the model,
        /// and once behind the last step.
        OnMaskBlend = 26 => "on_mask_blend",
        /// What is laid over one picture, behind `postprocess_image`.
        PostprocessMaskoverlay = 27 => "postprocess_maskoverlay",
        /// One picture with what was laid over it.
        PostprocessImageAfterComposite = 28 => "postprocess_image_after_composite",
    }
}

impl Hook {
    /// Every hook of this version, in the order in which a run comes to them first.
    pub const IN_ORDER: &'static [Self] = &[
        Self::BeforeProcess,
        Self::ModelLoaded,
        Self::Start,
        Self::Process,
        Self::BeforeProcessBatch,
        Self::AfterExtraNetworksActivate,
        Self::ProcessBatch,
        Self::BeforeHr,
        Self::ProcessBeforeEverySampling,
        Self::ExtraNoise,
        Self::CfgDenoiser,
        Self::CfgDenoised,
        Self::CfgCombine,
        Self::OnMaskBlend,
        Self::CfgAfterCfg,
        Self::AfterStep,
        Self::PostSample,
        Self::PostprocessBatch,
        Self::PostprocessBatchList,
        Self::PostprocessImage,
        Self::PostprocessMaskoverlay,
        Self::PostprocessImageAfterComposite,
        Self::BeforeImageSaved,
        Self::ImageSaved,
        Self::ImageGrid,
        Self::Postprocess,
        Self::Run,
        Self::Finish,
    ];

    /// Whether the hook is answered by the plugin itself (`&self`) and not by its run instance.
    #[must_use]
    pub const fn of_plugin(self) -> bool {
        matches!(self, Hook::ModelLoaded | Hook::BeforeProcess | Hook::Start)
    }
}

codes! {
    /// A value of the run that a hook may read or, where its stage allows, write.
    ///
    /// Fields that are lists take an index; the index [`COUNT`] reads their length.
    pub enum Field {
        /// Id of the run (text).
        RunId = 1 => "run_id",
        /// Whether the run starts from a picture (bool).
        IsImg2Img = 2 => "is_img2img",
        /// Name of the checkpoint (text).
        ModelName = 3 => "model_name",
        /// Short hash of the checkpoint (text, 10 hex digits).
        ModelHash = 4 => "model_hash",
        /// The plugin's arguments (JSON object by name).
        Args = 5 => "args",
        /// How the run ended (text: done, failed, cancelled).
        Outcome = 6 => "outcome",

        /// The request's prompt (text).
        Prompt = 10 => "prompt",
        /// The request's negative prompt (text).
        NegativePrompt = 11 => "negative_prompt",
        /// The request's seed (int, −1 for random).
        Seed = 12 => "seed",
        /// The request's variation seed (int, −1 for random).
        Subseed = 13 => "subseed",
        /// Weight of the variation seed (float, 0 to 1).
        SubseedStrength = 14 => "subseed_strength",
        /// Sampling steps (int).
        Steps = 15 => "steps",
        /// Guidance scale (float).
        CfgScale = 16 => "cfg_scale",
        /// Width in pixels (int).
        Width = 17 => "width",
        /// Height in pixels (int).
        Height = 18 => "height",
        /// Sampler by A1111's name (text).
        Sampler = 19 => "sampler",
        /// Scheduler by A1111's name (text).
        Scheduler = 20 => "scheduler",
        /// Pictures per iteration (int).
        BatchSize = 21 => "batch_size",
        /// Iterations (int).
        Iterations = 22 => "n_iter",
        /// How far an img2img run leaves its picture (float, 0 to 1).
        DenoisingStrength = 23 => "denoising_strength",
        /// Whether single pictures are left unsaved (bool).
        DoNotSaveSamples = 24 => "do_not_save_samples",
        /// Whether the grid is left unsaved (bool).
        DoNotSaveGrid = 25 => "do_not_save_grid",

        /// Whether a mask is rounded, each place of the latents drawn anew or not (bool).
        MaskRound = 26 => "mask_round",
        /// Where the drawn part belongs in the whole picture: x, y, width and height in pixels (JSON list of
        /// int), or null where it is the whole.
        PasteTo = 27 => "paste_to",

        /// Prompts of the whole run (list of text).
        AllPrompts = 30 => "all_prompts",
        /// Negative prompts of the whole run (list of text).
        AllNegativePrompts = 31 => "all_negative_prompts",
        /// Seeds of the whole run (list of int).
        AllSeeds = 32 => "all_seeds",
        /// Variation seeds of the whole run (list of int).
        AllSubseeds = 33 => "all_subseeds",
        /// Prompts of this batch (list of text).
        Prompts = 34 => "prompts",
        /// Negative prompts of this batch (list of text).
        NegativePrompts = 35 => "negative_prompts",
        /// Seeds of this batch (list of int).
        Seeds = 36 => "seeds",
        /// Variation seeds of this batch (list of int).
        Subseeds = 37 => "subseeds",
        /// The extra networks of the batch: for each kind a list of the parts of every tag (JSON object
        /// of lists of lists of text).
        ExtraNetworks = 38 => "extra_networks",

        /// Width of the second pass's pictures in pixels (int).
        HrWidth = 40 => "hr_width",
        /// Height of the second pass's pictures in pixels (int).
        HrHeight = 41 => "hr_height",
        /// Steps of the second pass (int).
        HrSteps = 42 => "hr_steps",
        /// Whether the run is in its second pass (bool).
        IsSecondPass = 43 => "is_second_pass",

        /// Noise level of this model call (float).
        Sigma = 50 => "sigma",
        /// Whether sampling is over and this is the last time that latents are put together (bool).
        IsFinalBlend = 51 => "is_final_blend",
        /// File name without folder and ending (text).
        FileName = 60 => "file_name",
        /// The infotext of the picture (text).
        Infotext = 61 => "infotext",
        /// Path of a written picture (text).
        Path = 62 => "path",
        /// Columns of the grid (int).
        Columns = 63 => "columns",
        /// Rows of the grid (int).
        Rows = 64 => "rows",
        /// Infotexts of the result (list of text).
        Infotexts = 65 => "infotexts",
        /// How many pictures the stage has (int).
        PictureCount = 66 => "picture_count",
        /// A folder for the plugin's own data (text); it may not be there yet.
        DataFolder = 67 => "data_folder",
        /// The file that the plugin was loaded from (text).
        LibraryPath = 68 => "library_path",
        /// Which picture of its batch a picture is, from 0 (int).
        BatchIndex = 69 => "batch_index",
        /// The overrides of the request (JSON object).
        Overrides = 70 => "overrides",
    }
}

/// The index that reads a list's length instead of an element.
pub const COUNT: u64 = u64::MAX;

codes! {
    /// Memory of the host that a hook may look at or, where its stage allows, change.
    pub enum Buffer {
        /// The latents of the stage, f32 `[n, channels, height, width]`.
        Latents = 1 => "latents",
        /// The starting noise, f32 as [`Buffer::Latents`].
        Noise = 2 => "noise",
        /// Conditioning of the prompts, f32 `[n, tokens, width]`.
        Cond = 3 => "cond",
        /// Conditioning of the negative prompts, f32 `[n, tokens, width]`.
        Uncond = 4 => "uncond",
        /// The model's prediction with the prompt, f32 as [`Buffer::Latents`].
        DenoisedCond = 5 => "denoised_cond",
        /// The model's prediction with the negative prompt, f32 as [`Buffer::Latents`].
        DenoisedUncond = 6 => "denoised_uncond",
        /// Both predictions combined, f32 as [`Buffer::Latents`].
        Denoised = 7 => "denoised",
        /// Decoded pixels, f32 in 0..1, `[n, 3, height, width]`.
        Pixels = 8 => "pixels",
        /// A picture (index: which), u8 `[height, width, 3]`, RGB.
        Image = 9 => "image",
        /// A picture of the last child run (index: which), u8 `[height, width, 3]`, RGB, to look at.
        ChildImage = 10 => "child_image",
        /// Latents with noise on them as sampling would start from them, f32 as [`Buffer::Latents`].
        Noised = 11 => "noised",
        /// The latents of the picture that a run starts from, as strong as the latents of the stage, f32
        /// as [`Buffer::Latents`].
        InitLatents = 12 => "init_latents",
        /// How much of each place stays of that picture, f32 in 0..1, `[1, 1, height, width]` in latents.
        Mask = 13 => "mask",
        /// What was drawn and what stays, put together, f32 as [`Buffer::Latents`].
        BlendedLatents = 14 => "blended_latents",
        /// The mask of the run in the size of the whole picture, u8 `[height, width, 1]`; white is drawn
        /// anew.
        MaskForOverlay = 15 => "mask_for_overlay",
        /// What is laid over the picture, u8 `[height, width, 4]`, RGBA.
        OverlayImage = 16 => "overlay_image",
        /// The picture that the run starts from, in the size of what is laid over, u8 `[height, width, 3]`,
        /// RGB.
        InitImage = 17 => "init_image",
    }
}

codes! {
    /// What happens to an element of a list of buffers.
    pub enum ListOp {
        /// Append a black picture of the given size, its prompt and seed taken from `index`.
        Push = 1 => "push",
        /// Remove the picture at `index` with its prompt and seed.
        Remove = 2 => "remove",
        /// Replace the element at `index` by an empty one of the given size.
        Replace = 3 => "replace",
    }
}

codes! {
    /// Where an option is read.
    pub enum OptionSource {
        /// The live options, as this run sees them.
        Live = 1 => "live",
        /// The run's snapshot.
        Snapshot = 2 => "snapshot",
    }
}

codes! {
    /// Where an option is written.
    pub enum OptionTarget {
        /// The live options, as A1111's extensions do: a key that the run overrides changes for the
        /// run, any other for everybody.
        Live = 1 => "live",
        /// This run only: seen by its host and its plugins, gone with the run.
        Run = 2 => "run",
        /// The overrides of a request, before they are applied.
        Override = 3 => "override",
    }
}

codes! {
    /// Work the host does for a hook.
    pub enum Service {
        /// Text to conditioning: f32 `[1, tokens, width]`.
        EncodeText = 1 => "encode_text",
        /// Latents to pixels: f32 `[n, c, h, w]` to f32 `[n, 3, H, W]` in 0..1.
        Decode = 2 => "decode",
        /// Pixels to latents, the other way round.
        Encode = 3 => "encode",
        /// Save a picture beside the run's own: u8 `[height, width, 3]`; answers its path, or nothing
        /// where nothing is to be saved.
        SavePicture = 4 => "save_picture",
        /// Make a child run: the text is a JSON object of what differs from this run's request;
        /// answers what came of it as JSON. Its pictures are [`Buffer::ChildImage`] then.
        Child = 5 => "child",
    }
}

codes! {
    /// How a call across the boundary ended, in either direction.
    pub enum Status {
        /// As asked.
        Ok = 0 => "ok",
        /// The other side failed; its words came with it.
        Failed = 1 => "failed",
        /// The plugin panicked; its instance is not called again.
        Panicked = 2 => "panicked",
        /// The plugin wants the run to stop.
        StopRun = 3 => "stop_run",
        /// The process of the plugin's code is gone; its instances are with it. Only hosts say so.
        Died = 4 => "died",
        /// This code or element does not exist here, or not at this stage.
        NotHere = 10 => "not_here",
        /// No option of that name.
        UnknownKey = 11 => "unknown_key",
        /// A value of another type than the one asked for or accepted.
        WrongType = 12 => "wrong_type",
        /// A value outside its range or choices, or not finite.
        BadValue = 13 => "bad_value",
        /// The run has no snapshot: recording is off, or it is not taken yet.
        NoSnapshot = 14 => "no_snapshot",
        /// The stage allows reading only.
        ReadOnly = 15 => "read_only",
        /// The host's own work failed.
        HostFailed = 16 => "host_failed",
    }
}

codes! {
    /// Severity of a log line.
    pub enum Level {
        /// Something failed.
        Error = 1 => "error",
        /// Something is wrong and was worked around.
        Warn = 2 => "warn",
        /// Worth knowing.
        Info = 3 => "info",
        /// For finding errors.
        Debug = 4 => "debug",
        /// Everything.
        Trace = 5 => "trace",
    }
}

codes! {
    /// What a [`RawValue`](crate::frame::RawValue) holds.
    pub enum ValueKind {
        /// Nothing.
        Null = 0 => "null",
        /// `bits` is 0 or 1.
        Bool = 1 => "bool",
        /// `bits` is a signed number, two's complement.
        Int = 2 => "int",
        /// `bits` is an IEEE 754 double.
        Float = 3 => "float",
        /// `text` is UTF-8.
        Text = 4 => "text",
        /// `text` is JSON: a list or an object.
        Json = 5 => "json",
    }
}

codes! {
    /// Element type of a buffer.
    pub enum Element {
        /// 32-bit float.
        F32 = 1 => "f32",
        /// Byte.
        U8 = 2 => "u8",
    }
}
