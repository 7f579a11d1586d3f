/* Atelier's plugin boundary for C and C++.
 *
 * Written by `cargo xtask header` from plugin-api/abi: do not edit it. docs/c-plugins.md says how a
 * plugin is made with it, docs/abi.md what may change and what never.
 */

#ifndef ATELIER_PLUGIN_H
#define ATELIER_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
// The version of the ABI that this header describes.
#define ATELIER_ABI_MAJOR 1
#define ATELIER_ABI_MINOR 1
#define ATELIER_ABI_VERSION "1.1"


// The index that reads a list's length instead of an element.
#define ATELIER_COUNT UINT64_MAX

// The most dimensions of a RawBuffer. What 1.0 lends has four at most; a video would have five.
#define ATELIER_MAX_RANK 6

// A point of a run at which plugins are called. Names follow A1111 v1.10.1's script hooks and
// callbacks; `cfg_combine` and `after_step` are Atelier's own.
typedef enum AtelierHook {
  // A checkpoint was loaded.
  ATELIER_HOOK_MODEL_LOADED = 1,
  // The request as it came, before overrides.
  ATELIER_HOOK_BEFORE_PROCESS = 2,
  // A run's plugin instance is made.
  ATELIER_HOOK_START = 3,
  // The run is prepared and the snapshot taken.
  ATELIER_HOOK_PROCESS = 4,
  // An iteration begins.
  ATELIER_HOOK_BEFORE_PROCESS_BATCH = 5,
  // The iteration's prompts are final.
  ATELIER_HOOK_PROCESS_BATCH = 6,
  // Noise and conditioning are ready, sampling begins.
  ATELIER_HOOK_PROCESS_BEFORE_EVERY_SAMPLING = 7,
  // The model is about to be called.
  ATELIER_HOOK_CFG_DENOISER = 8,
  // The model has answered: one prediction with the prompt, one without.
  ATELIER_HOOK_CFG_DENOISED = 9,
  // The two predictions are combined.
  ATELIER_HOOK_CFG_COMBINE = 10,
  // The combined prediction.
  ATELIER_HOOK_CFG_AFTER_CFG = 11,
  // The sampler's new latents.
  ATELIER_HOOK_AFTER_STEP = 12,
  // Sampling is over.
  ATELIER_HOOK_POST_SAMPLE = 13,
  // The decoded batch as floats.
  ATELIER_HOOK_POSTPROCESS_BATCH = 14,
  // The decoded batch as a list of pictures.
  ATELIER_HOOK_POSTPROCESS_BATCH_LIST = 15,
  // One picture.
  ATELIER_HOOK_POSTPROCESS_IMAGE = 16,
  // A picture is about to be written.
  ATELIER_HOOK_BEFORE_IMAGE_SAVED = 17,
  // A picture was written.
  ATELIER_HOOK_IMAGE_SAVED = 18,
  // A grid is about to be composed.
  ATELIER_HOOK_IMAGE_GRID = 19,
  // The result of the run.
  ATELIER_HOOK_POSTPROCESS = 20,
  // The run is over, whatever its outcome.
  ATELIER_HOOK_FINISH = 21,
  // The plugin was selected by the request and makes the run out of child runs (A1111's
  // `Script.run`). In place of everything from `process` to `postprocess`.
  ATELIER_HOOK_RUN = 22,
  // The extra networks of a batch are in the model, before `process_batch`; again in a second
  // pass.
  ATELIER_HOOK_AFTER_EXTRA_NETWORKS_ACTIVATE = 23,
  // The second pass ("hires fix") is about to begin, before its `process_before_every_sampling`.
  ATELIER_HOOK_BEFORE_HR = 24,
  // More noise is about to be put on latents that sampling starts from, behind
  // `process_before_every_sampling`, where `img2img_extra_noise` is above 0.
  ATELIER_HOOK_EXTRA_NOISE = 25,
  // What was drawn and what stays of a picture are put together: within every call of the model,
  // and once behind the last step.
  ATELIER_HOOK_ON_MASK_BLEND = 26,
  // What is laid over one picture, behind `postprocess_image`.
  ATELIER_HOOK_POSTPROCESS_MASKOVERLAY = 27,
  // One picture with what was laid over it.
  ATELIER_HOOK_POSTPROCESS_IMAGE_AFTER_COMPOSITE = 28,
} AtelierHook;

// A value of the run that a hook may read or, where its stage allows, write.
//
// Fields that are lists take an index; the index COUNT reads their length.
typedef enum AtelierField {
  // Id of the run (text).
  ATELIER_FIELD_RUN_ID = 1,
  // Whether the run starts from a picture (bool).
  ATELIER_FIELD_IS_IMG2IMG = 2,
  // Name of the checkpoint (text).
  ATELIER_FIELD_MODEL_NAME = 3,
  // Short hash of the checkpoint (text, 10 hex digits).
  ATELIER_FIELD_MODEL_HASH = 4,
  // The plugin's arguments (JSON object by name).
  ATELIER_FIELD_ARGS = 5,
  // How the run ended (text: done, failed, cancelled).
  ATELIER_FIELD_OUTCOME = 6,
  // The request's prompt (text).
  ATELIER_FIELD_PROMPT = 10,
  // The request's negative prompt (text).
  ATELIER_FIELD_NEGATIVE_PROMPT = 11,
  // The request's seed (int, −1 for random).
  ATELIER_FIELD_SEED = 12,
  // The request's variation seed (int, −1 for random).
  ATELIER_FIELD_SUBSEED = 13,
  // Weight of the variation seed (float, 0 to 1).
  ATELIER_FIELD_SUBSEED_STRENGTH = 14,
  // Sampling steps (int).
  ATELIER_FIELD_STEPS = 15,
  // Guidance scale (float).
  ATELIER_FIELD_CFG_SCALE = 16,
  // Width in pixels (int).
  ATELIER_FIELD_WIDTH = 17,
  // Height in pixels (int).
  ATELIER_FIELD_HEIGHT = 18,
  // Sampler by A1111's name (text).
  ATELIER_FIELD_SAMPLER = 19,
  // Scheduler by A1111's name (text).
  ATELIER_FIELD_SCHEDULER = 20,
  // Pictures per iteration (int).
  ATELIER_FIELD_BATCH_SIZE = 21,
  // Iterations (int).
  ATELIER_FIELD_ITERATIONS = 22,
  // How far an img2img run leaves its picture (float, 0 to 1).
  ATELIER_FIELD_DENOISING_STRENGTH = 23,
  // Whether single pictures are left unsaved (bool).
  ATELIER_FIELD_DO_NOT_SAVE_SAMPLES = 24,
  // Whether the grid is left unsaved (bool).
  ATELIER_FIELD_DO_NOT_SAVE_GRID = 25,
  // Whether a mask is rounded, each place of the latents drawn anew or not (bool).
  ATELIER_FIELD_MASK_ROUND = 26,
  // Where the drawn part belongs in the whole picture: x, y, width and height in pixels (JSON list of
  // int), or null where it is the whole.
  ATELIER_FIELD_PASTE_TO = 27,
  // Prompts of the whole run (list of text).
  ATELIER_FIELD_ALL_PROMPTS = 30,
  // Negative prompts of the whole run (list of text).
  ATELIER_FIELD_ALL_NEGATIVE_PROMPTS = 31,
  // Seeds of the whole run (list of int).
  ATELIER_FIELD_ALL_SEEDS = 32,
  // Variation seeds of the whole run (list of int).
  ATELIER_FIELD_ALL_SUBSEEDS = 33,
  // Prompts of this batch (list of text).
  ATELIER_FIELD_PROMPTS = 34,
  // Negative prompts of this batch (list of text).
  ATELIER_FIELD_NEGATIVE_PROMPTS = 35,
  // Seeds of this batch (list of int).
  ATELIER_FIELD_SEEDS = 36,
  // Variation seeds of this batch (list of int).
  ATELIER_FIELD_SUBSEEDS = 37,
  // The extra networks of the batch: for each kind a list of the parts of every tag (JSON object
  // of lists of lists of text).
  ATELIER_FIELD_EXTRA_NETWORKS = 38,
  // Width of the second pass's pictures in pixels (int).
  ATELIER_FIELD_HR_WIDTH = 40,
  // Height of the second pass's pictures in pixels (int).
  ATELIER_FIELD_HR_HEIGHT = 41,
  // Steps of the second pass (int).
  ATELIER_FIELD_HR_STEPS = 42,
  // Whether the run is in its second pass (bool).
  ATELIER_FIELD_IS_SECOND_PASS = 43,
  // Noise level of this model call (float).
  ATELIER_FIELD_SIGMA = 50,
  // Whether sampling is over and this is the last time that latents are put together (bool).
  ATELIER_FIELD_IS_FINAL_BLEND = 51,
  // File name without folder and ending (text).
  ATELIER_FIELD_FILE_NAME = 60,
  // The infotext of the picture (text).
  ATELIER_FIELD_INFOTEXT = 61,
  // Path of a written picture (text).
  ATELIER_FIELD_PATH = 62,
  // Columns of the grid (int).
  ATELIER_FIELD_COLUMNS = 63,
  // Rows of the grid (int).
  ATELIER_FIELD_ROWS = 64,
  // Infotexts of the result (list of text).
  ATELIER_FIELD_INFOTEXTS = 65,
  // How many pictures the stage has (int).
  ATELIER_FIELD_PICTURE_COUNT = 66,
  // A folder for the plugin's own data (text); it may not be there yet.
  ATELIER_FIELD_DATA_FOLDER = 67,
  // The file that the plugin was loaded from (text).
  ATELIER_FIELD_LIBRARY_PATH = 68,
  // Which picture of its batch a picture is, from 0 (int).
  ATELIER_FIELD_BATCH_INDEX = 69,
  // The overrides of the request (JSON object).
  ATELIER_FIELD_OVERRIDES = 70,
} AtelierField;

// Memory of the host that a hook may look at or, where its stage allows, change.
typedef enum AtelierBuffer {
  // The latents of the stage, f32 `[n, channels, height, width]`.
  ATELIER_BUFFER_LATENTS = 1,
  // The starting noise, f32 as Buffer.Latents.
  ATELIER_BUFFER_NOISE = 2,
  // Conditioning of the prompts, f32 `[n, tokens, width]`.
  ATELIER_BUFFER_COND = 3,
  // Conditioning of the negative prompts, f32 `[n, tokens, width]`.
  ATELIER_BUFFER_UNCOND = 4,
  // The model's prediction with the prompt, f32 as Buffer.Latents.
  ATELIER_BUFFER_DENOISED_COND = 5,
  // The model's prediction with the negative prompt, f32 as Buffer.Latents.
  ATELIER_BUFFER_DENOISED_UNCOND = 6,
  // Both predictions combined, f32 as Buffer.Latents.
  ATELIER_BUFFER_DENOISED = 7,
  // Decoded pixels, f32 in 0..1, `[n, 3, height, width]`.
  ATELIER_BUFFER_PIXELS = 8,
  // A picture (index: which), u8 `[height, width, 3]`, RGB.
  ATELIER_BUFFER_IMAGE = 9,
  // A picture of the last child run (index: which), u8 `[height, width, 3]`, RGB, to look at.
  ATELIER_BUFFER_CHILD_IMAGE = 10,
  // Latents with noise on them as sampling would start from them, f32 as Buffer.Latents.
  ATELIER_BUFFER_NOISED = 11,
  // The latents of the picture that a run starts from, as strong as the latents of the stage, f32
  // as Buffer.Latents.
  ATELIER_BUFFER_INIT_LATENTS = 12,
  // How much of each place stays of that picture, f32 in 0..1, `[1, 1, height, width]` in latents.
  ATELIER_BUFFER_MASK = 13,
  // What was drawn and what stays, put together, f32 as Buffer.Latents.
  ATELIER_BUFFER_BLENDED_LATENTS = 14,
  // The mask of the run in the size of the whole picture, u8 `[height, width, 1]`; white is drawn
  // anew.
  ATELIER_BUFFER_MASK_FOR_OVERLAY = 15,
  // What is laid over the picture, u8 `[height, width, 4]`, RGBA.
  ATELIER_BUFFER_OVERLAY_IMAGE = 16,
  // The picture that the run starts from, in the size of what is laid over, u8 `[height, width, 3]`,
  // RGB.
  ATELIER_BUFFER_INIT_IMAGE = 17,
} AtelierBuffer;

// What happens to an element of a list of buffers.
typedef enum AtelierListOp {
  // Append a black picture of the given size, its prompt and seed taken from `index`.
  ATELIER_LIST_OP_PUSH = 1,
  // Remove the picture at `index` with its prompt and seed.
  ATELIER_LIST_OP_REMOVE = 2,
  // Replace the element at `index` by an empty one of the given size.
  ATELIER_LIST_OP_REPLACE = 3,
} AtelierListOp;

// Where an option is read.
typedef enum AtelierOptionSource {
  // The live options, as this run sees them.
  ATELIER_OPTION_SOURCE_LIVE = 1,
  // The run's snapshot.
  ATELIER_OPTION_SOURCE_SNAPSHOT = 2,
} AtelierOptionSource;

// Where an option is written.
typedef enum AtelierOptionTarget {
  // The live options, as A1111's extensions do: a key that the run overrides changes for the
  // run, any other for everybody.
  ATELIER_OPTION_TARGET_LIVE = 1,
  // This run only: seen by its host and its plugins, gone with the run.
  ATELIER_OPTION_TARGET_RUN = 2,
  // The overrides of a request, before they are applied.
  ATELIER_OPTION_TARGET_OVERRIDE = 3,
} AtelierOptionTarget;

// Work the host does for a hook.
typedef enum AtelierService {
  // Text to conditioning: f32 `[1, tokens, width]`.
  ATELIER_SERVICE_ENCODE_TEXT = 1,
  // Latents to pixels: f32 `[n, c, h, w]` to f32 `[n, 3, H, W]` in 0..1.
  ATELIER_SERVICE_DECODE = 2,
  // Pixels to latents, the other way round.
  ATELIER_SERVICE_ENCODE = 3,
  // Save a picture beside the run's own: u8 `[height, width, 3]`; answers its path, or nothing
  // where nothing is to be saved.
  ATELIER_SERVICE_SAVE_PICTURE = 4,
  // Make a child run: the text is a JSON object of what differs from this run's request;
  // answers what came of it as JSON. Its pictures are Buffer.ChildImage then.
  ATELIER_SERVICE_CHILD = 5,
} AtelierService;

// How a call across the boundary ended, in either direction.
typedef enum AtelierStatus {
  // As asked.
  ATELIER_STATUS_OK = 0,
  // The other side failed; its words came with it.
  ATELIER_STATUS_FAILED = 1,
  // The plugin panicked; its instance is not called again.
  ATELIER_STATUS_PANICKED = 2,
  // The plugin wants the run to stop.
  ATELIER_STATUS_STOP_RUN = 3,
  // The process of the plugin's code is gone; its instances are with it. Only hosts say so.
  ATELIER_STATUS_DIED = 4,
  // This code or element does not exist here, or not at this stage.
  ATELIER_STATUS_NOT_HERE = 10,
  // No option of that name.
  ATELIER_STATUS_UNKNOWN_KEY = 11,
  // A value of another type than the one asked for or accepted.
  ATELIER_STATUS_WRONG_TYPE = 12,
  // A value outside its range or choices, or not finite.
  ATELIER_STATUS_BAD_VALUE = 13,
  // The run has no snapshot: recording is off, or it is not taken yet.
  ATELIER_STATUS_NO_SNAPSHOT = 14,
  // The stage allows reading only.
  ATELIER_STATUS_READ_ONLY = 15,
  // The host's own work failed.
  ATELIER_STATUS_HOST_FAILED = 16,
} AtelierStatus;

// Severity of a log line.
typedef enum AtelierLevel {
  // Something failed.
  ATELIER_LEVEL_ERROR = 1,
  // Something is wrong and was worked around.
  ATELIER_LEVEL_WARN = 2,
  // Worth knowing.
  ATELIER_LEVEL_INFO = 3,
  // For finding errors.
  ATELIER_LEVEL_DEBUG = 4,
  // Everything.
  ATELIER_LEVEL_TRACE = 5,
} AtelierLevel;

// What a RawValue holds.
typedef enum AtelierValueKind {
  // Nothing.
  ATELIER_VALUE_KIND_NULL = 0,
  // `bits` is 0 or 1.
  ATELIER_VALUE_KIND_BOOL = 1,
  // `bits` is a signed number, two's complement.
  ATELIER_VALUE_KIND_INT = 2,
  // `bits` is an IEEE 754 double.
  ATELIER_VALUE_KIND_FLOAT = 3,
  // `text` is UTF-8.
  ATELIER_VALUE_KIND_TEXT = 4,
  // `text` is JSON: a list or an object.
  ATELIER_VALUE_KIND_JSON = 5,
} AtelierValueKind;

// Element type of a buffer.
typedef enum AtelierElement {
  // 32-bit float.
  ATELIER_ELEMENT_F32 = 1,
  // Byte.
  ATELIER_ELEMENT_U8 = 2,
} AtelierElement;

// UTF-8 text that belongs to the caller of the moment; not NUL-terminated.
//
// Text handed to a plugin lives until its hook returns; text handed to the host until the host's
// function returns.
typedef struct AtelierStr {
  // First byte; may be anything where `len` is 0.
  const uint8_t *ptr;
  // Length in bytes.
  size_t len;
} AtelierStr;

// What a plugin may ask of the host outside hooks, from any thread, for ever.
typedef struct AtelierHostTable {
  // Size of this table in bytes, as in ContextTable.
  size_t size;
  // The host's version of the ABI.
  uint32_t abi_major;
  // The host's version of the ABI.
  uint32_t abi_minor;
  // 1 where a log line of that Level and target would be kept.
  uint32_t (*log_enabled)(const void *context, uint32_t level, struct AtelierStr target);
  // Writes a log line of a Level.
  void (*log)(const void *context,
              uint32_t level,
              struct AtelierStr target,
              struct AtelierStr message);
} AtelierHostTable;

// The host as a plugin keeps it: a copy of this is good for ever.
typedef struct AtelierHost {
  // Passed back with every function of `table`.
  const void *context;
  // The functions.
  const struct AtelierHostTable *table;
  // Zero; room for what a later version has to say.
  uint64_t reserved[2];
} AtelierHost;

// Takes a piece of text.
typedef struct AtelierSink {
  // Passed back with `write`.
  void *context;
  // Called once with the text, which lives for the call.
  void (*write)(void *context, struct AtelierStr text);
  // Zero; room for what a later version has to say.
  uint64_t reserved[2];
} AtelierSink;

// Where in a run a hook is called. Plain data, copied freely.
//
// What a stage has no use for is 0.
typedef struct AtelierFrame {
  // Hook code.
  uint32_t hook;
  // Iteration of the run, from 0 (A1111's `batch_number`).
  uint32_t iteration;
  // Picture within the run, from 0.
  uint32_t image;
  // Sampler step, from 0.
  uint32_t step;
  // Sampler steps in all.
  uint32_t total_steps;
  // Call of the model within the step, from 0 (some samplers need two).
  uint32_t model_call;
  // Noise level of the step.
  double sigma;
  // Guidance scale of the run.
  double cfg_scale;
  // Zero; room for what a later version has to say.
  uint64_t reserved[4];
} AtelierFrame;

// A value. `kind` says which of the other fields counts.
typedef struct AtelierRawValue {
  // ValueKind code.
  uint32_t kind;
  // Zero.
  uint32_t reserved;
  // bool (0 or 1), int (two's complement) or float (IEEE 754 bits).
  uint64_t bits;
  // Text and JSON.
  struct AtelierStr text;
} AtelierRawValue;

// A view of memory, contiguous, last dimension fastest. It lives until the hook returns.
typedef struct AtelierRawBuffer {
  // First element; aligned for its type.
  void *data;
  // Element code.
  uint32_t element;
  // How many entries of `shape` count.
  uint32_t rank;
  // Sizes, outermost first; 1 behind `rank`.
  uint64_t shape[ATELIER_MAX_RANK];
  // Zero; room for what a later version has to say.
  uint64_t reserved[2];
} AtelierRawBuffer;

// What a hook may ask of the host. Every function takes the `context` of its Call first, is
// called on the thread the hook runs on, and returns a Status.
typedef struct AtelierContextTable {
  // Size of this table in bytes. What lies beyond is not there: ask before a function is called
  // that came with a minor version.
  size_t size;
  // The host's version of the ABI.
  uint32_t abi_major;
  // The host's version of the ABI.
  uint32_t abi_minor;
  // Reads a Field.
  uint32_t (*get)(void *context,
                  uint32_t field,
                  uint64_t index,
                  struct AtelierRawValue *out);
  // Writes a Field.
  uint32_t (*set)(void *context,
                  uint32_t field,
                  uint64_t index,
                  const struct AtelierRawValue *value);
  // Reads an option from an OptionSource.
  uint32_t (*read_option)(void *context,
                          uint32_t source,
                          struct AtelierStr key,
                          struct AtelierRawValue *out);
  // Reads all options of a source as one JSON object.
  uint32_t (*read_all_options)(void *context, uint32_t source, struct AtelierRawValue *out);
  // Writes an option to an OptionTarget.
  uint32_t (*write_option)(void *context,
                           uint32_t target,
                           struct AtelierStr key,
                           const struct AtelierRawValue *value);
  // Lends a Buffer; `write` is 1 for write access.
  uint32_t (*buffer)(void *context,
                     uint32_t buffer,
                     uint64_t index,
                     uint32_t write,
                     struct AtelierRawBuffer *out);
  // Applies a ListOp to a list of buffers. Views of that buffer taken before are
  // void afterwards.
  uint32_t (*resize)(void *context,
                     uint32_t buffer,
                     uint32_t op,
                     uint64_t index,
                     uint64_t width,
                     uint64_t height);
  // Adds a key and value to the infotext of the run's pictures.
  uint32_t (*infotext)(void *context,
                       struct AtelierStr key,
                       const struct AtelierRawValue *value);
  // Does a Service; `buffer` may be null. Each service answers in one of the
  // outs.
  uint32_t (*service)(void *context,
                      uint32_t service,
                      struct AtelierStr text,
                      const struct AtelierRawBuffer *buffer,
                      struct AtelierRawBuffer *out_buffer,
                      struct AtelierRawValue *out_value);
  // 1 where the run was cancelled.
  uint32_t (*cancelled)(void *context);
  // Writes a log line of a Level.
  uint32_t (*log)(void *context,
                  uint32_t level,
                  struct AtelierStr target,
                  struct AtelierStr message);
  // The words of the last refusal of this context.
  uint32_t (*message)(void *context, struct AtelierRawValue *out);
  // Says why the hook is about to return a failure; `place` is file and line, or empty.
  uint32_t (*fail)(void *context, struct AtelierStr message, struct AtelierStr place);
} AtelierContextTable;

// One call of a hook: where it is, and the host it may talk to. Lives until the hook returns.
typedef struct AtelierCall {
  // Plain data about the place in the run.
  const struct AtelierFrame *frame;
  // The host's side of the call; passed back with every function of `table`.
  void *context;
  // The functions.
  const struct AtelierContextTable *table;
  // Zero; room for what a later version has to say.
  uint64_t reserved[2];
} AtelierCall;

// What a plugin does, as its library hands it over. It lives for ever.
//
// Every function but `manifest` returns a Status and lets no panic or exception
// out. One that is null has nothing to do: without `create` and `start` the objects are null, without
// `describe` nothing is declared. `manifest` has to be there.
typedef struct AtelierPluginTable {
  // Size of this table in bytes, as in ContextTable.
  size_t size;
  // The version of the ABI that the plugin was built for.
  uint32_t abi_major;
  // The version of the ABI that the plugin was built for.
  uint32_t abi_minor;
  // The manifest's JSON, equal to the one embedded in the file. It lives for ever.
  struct AtelierStr (*manifest)(void);
  // Writes the plugin's declaration (options and arguments) as one JSON text; on failure the
  // words of it instead.
  uint32_t (*describe)(const struct AtelierSink *sink);
  // Makes the plugin. On success `out` receives it.
  uint32_t (*create)(const struct AtelierHost *host,
                     const struct AtelierCall *call,
                     void **out);
  // Calls a hook of the plugin, from any thread, several at a time.
  uint32_t (*call_plugin)(const void *plugin, const struct AtelierCall *call);
  // Makes an instance for a run. On success `out` receives it.
  uint32_t (*start)(const void *plugin, const struct AtelierCall *call, void **out);
  // Calls a hook of a run's instance, one thread at a time.
  uint32_t (*call_run)(void *run, const struct AtelierCall *call);
  // Drops a run's instance.
  uint32_t (*drop_run)(void *run, const struct AtelierCall *call);
  // Drops the plugin.
  uint32_t (*drop_plugin)(void *plugin, const struct AtelierCall *call);
} AtelierPluginTable;

#endif  /* ATELIER_PLUGIN_H */

/* ---- From here on written by hand: what makes plugins in C short. ---- */

#if defined(_WIN32)
#define ATELIER_EXPORT __declspec(dllexport)
#else
#define ATELIER_EXPORT __attribute__((visibility("default")))
#endif

#if defined(__APPLE__)
#define ATELIER_SECTION __attribute__((used, section("__DATA,__atelier")))
#else
#define ATELIER_SECTION __attribute__((used, section(".atelier")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The one function that a plugin's library exports. Its table lives for ever. */
ATELIER_EXPORT const AtelierPluginTable *atelier_plugin(void);

#ifdef __cplusplus
}
#endif

/* The head of a plugin's table. */
#define ATELIER_TABLE_HEAD sizeof(AtelierPluginTable), ATELIER_ABI_MAJOR, ATELIER_ABI_MINOR

/* The manifest, once in a library, outside of functions:
 *
 *     ATELIER_MANIFEST("sepia", "Sepia", "1.0.0", postprocess_image, finish)
 *
 * Id, name and version are string literals without quotes or backslashes in them; behind them come the
 * hooks that the plugin answers, at most 32. ATELIER_MANIFEST_WITH takes further fields as JSON before
 * the hooks: "\"after\":[\"watermark\"]," for instance. It also makes a function `atelier_manifest` for
 * the plugin's table. */
#define ATELIER_MANIFEST(ID, NAME, VERSION, ...) ATELIER_MANIFEST_WITH(ID, NAME, VERSION, "", __VA_ARGS__)

#define ATELIER_MANIFEST_WITH(ID, NAME, VERSION, MORE, ...)                                        \
  ATELIER_MANIFEST_OF("{\"id\":\"" ID "\",\"name\":\"" NAME "\",\"version\":\"" VERSION            \
                      "\",\"abi\":\"" ATELIER_ABI_VERSION "\",\"panic\":\"none\"," MORE            \
                      "\"hooks\":[" ATELIER_QUOTED(__VA_ARGS__) "]}")

#define ATELIER_MANIFEST_OF(JSON)                                                                  \
  ATELIER_SECTION static const struct {                                                            \
    char magic[8];                                                                                 \
    uint32_t format;                                                                               \
    uint32_t length;                                                                               \
    char json[sizeof(JSON)];                                                                       \
  } ATELIER_PLUGIN_MANIFEST = {                                                                    \
      {'A', 'T', 'E', 'L', 'I', 'E', 'R', 'M'}, 1, (uint32_t)(sizeof(JSON) - 1), JSON};            \
  static AtelierStr atelier_manifest(void) {                                                       \
    AtelierStr text = {(const uint8_t *)ATELIER_PLUGIN_MANIFEST.json,                              \
                       ATELIER_PLUGIN_MANIFEST.length};                                            \
    return text;                                                                                   \
  }                                                                                                \
  typedef char atelier_manifest_fits[sizeof(JSON) <= 65537 ? 1 : -1]

/* "a","b" for a, b. */
#define ATELIER_QUOTED(...)                                                                        \
  ATELIER_PICK(__VA_ARGS__, Q32, Q31, Q30, Q29, Q28, Q27, Q26, Q25, Q24, Q23, Q22, Q21, Q20,       \
               Q19, Q18, Q17, Q16, Q15, Q14, Q13, Q12, Q11, Q10, Q9, Q8, Q7, Q6, Q5, Q4, Q3, Q2,   \
               Q1, Q0)(__VA_ARGS__)
#define ATELIER_PICK(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17,   \
                     a18, a19, a20, a21, a22, a23, a24, a25, a26, a27, a28, a29, a30, a31, a32,    \
                     name, ...)                                                                    \
  ATELIER_##name
#define ATELIER_Q1(a) "\"" #a "\""
#define ATELIER_Q2(a, ...) ATELIER_Q1(a) "," ATELIER_Q1(__VA_ARGS__)
#define ATELIER_Q3(a, ...) ATELIER_Q1(a) "," ATELIER_Q2(__VA_ARGS__)
#define ATELIER_Q4(a, ...) ATELIER_Q1(a) "," ATELIER_Q3(__VA_ARGS__)
#define ATELIER_Q5(a, ...) ATELIER_Q1(a) "," ATELIER_Q4(__VA_ARGS__)
#define ATELIER_Q6(a, ...) ATELIER_Q1(a) "," ATELIER_Q5(__VA_ARGS__)
#define ATELIER_Q7(a, ...) ATELIER_Q1(a) "," ATELIER_Q6(__VA_ARGS__)
#define ATELIER_Q8(a, ...) ATELIER_Q1(a) "," ATELIER_Q7(__VA_ARGS__)
#define ATELIER_Q9(a, ...) ATELIER_Q1(a) "," ATELIER_Q8(__VA_ARGS__)
#define ATELIER_Q10(a, ...) ATELIER_Q1(a) "," ATELIER_Q9(__VA_ARGS__)
#define ATELIER_Q11(a, ...) ATELIER_Q1(a) "," ATELIER_Q10(__VA_ARGS__)
#define ATELIER_Q12(a, ...) ATELIER_Q1(a) "," ATELIER_Q11(__VA_ARGS__)
#define ATELIER_Q13(a, ...) ATELIER_Q1(a) "," ATELIER_Q12(__VA_ARGS__)
#define ATELIER_Q14(a, ...) ATELIER_Q1(a) "," ATELIER_Q13(__VA_ARGS__)
#define ATELIER_Q15(a, ...) ATELIER_Q1(a) "," ATELIER_Q14(__VA_ARGS__)
#define ATELIER_Q16(a, ...) ATELIER_Q1(a) "," ATELIER_Q15(__VA_ARGS__)
#define ATELIER_Q17(a, ...) ATELIER_Q1(a) "," ATELIER_Q16(__VA_ARGS__)
#define ATELIER_Q18(a, ...) ATELIER_Q1(a) "," ATELIER_Q17(__VA_ARGS__)
#define ATELIER_Q19(a, ...) ATELIER_Q1(a) "," ATELIER_Q18(__VA_ARGS__)
#define ATELIER_Q20(a, ...) ATELIER_Q1(a) "," ATELIER_Q19(__VA_ARGS__)
#define ATELIER_Q21(a, ...) ATELIER_Q1(a) "," ATELIER_Q20(__VA_ARGS__)
#define ATELIER_Q22(a, ...) ATELIER_Q1(a) "," ATELIER_Q21(__VA_ARGS__)
#define ATELIER_Q23(a, ...) ATELIER_Q1(a) "," ATELIER_Q22(__VA_ARGS__)
#define ATELIER_Q24(a, ...) ATELIER_Q1(a) "," ATELIER_Q23(__VA_ARGS__)
#define ATELIER_Q25(a, ...) ATELIER_Q1(a) "," ATELIER_Q24(__VA_ARGS__)
#define ATELIER_Q26(a, ...) ATELIER_Q1(a) "," ATELIER_Q25(__VA_ARGS__)
#define ATELIER_Q27(a, ...) ATELIER_Q1(a) "," ATELIER_Q26(__VA_ARGS__)
#define ATELIER_Q28(a, ...) ATELIER_Q1(a) "," ATELIER_Q27(__VA_ARGS__)
#define ATELIER_Q29(a, ...) ATELIER_Q1(a) "," ATELIER_Q28(__VA_ARGS__)
#define ATELIER_Q30(a, ...) ATELIER_Q1(a) "," ATELIER_Q29(__VA_ARGS__)
#define ATELIER_Q31(a, ...) ATELIER_Q1(a) "," ATELIER_Q30(__VA_ARGS__)
#define ATELIER_Q32(a, ...) ATELIER_Q1(a) "," ATELIER_Q31(__VA_ARGS__)

/* A text that ends with a NUL. */
static inline AtelierStr atelier_str(const char *text) {
  AtelierStr str = {(const uint8_t *)text, strlen(text)};
  return str;
}

/* Writes a declaration from `describe`: {"options":[…],"args":[…]}, see docs/c-plugins.md. */
static inline uint32_t atelier_declare(const AtelierSink *sink, const char *json) {
  sink->write(sink->context, atelier_str(json));
  return ATELIER_STATUS_OK;
}

/* Values to hand to the host. */
static inline AtelierRawValue atelier_value(uint32_t kind, uint64_t bits, const char *text) {
  AtelierRawValue value = {kind, 0, bits, atelier_str(text)};
  return value;
}
static inline AtelierRawValue atelier_bool(int value) {
  return atelier_value(ATELIER_VALUE_KIND_BOOL, value != 0, "");
}
static inline AtelierRawValue atelier_int(int64_t value) {
  return atelier_value(ATELIER_VALUE_KIND_INT, (uint64_t)value, "");
}
static inline AtelierRawValue atelier_float(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return atelier_value(ATELIER_VALUE_KIND_FLOAT, bits, "");
}
static inline AtelierRawValue atelier_text(const char *value) {
  return atelier_value(ATELIER_VALUE_KIND_TEXT, 0, value);
}

/* Values from the host: 0 where they are of another kind. */
static inline int atelier_as_bool(AtelierRawValue value, int *out) {
  if (value.kind != ATELIER_VALUE_KIND_BOOL) return 0;
  *out = value.bits != 0;
  return 1;
}
static inline int atelier_as_int(AtelierRawValue value, int64_t *out) {
  if (value.kind != ATELIER_VALUE_KIND_INT) return 0;
  *out = (int64_t)value.bits;
  return 1;
}
static inline int atelier_as_float(AtelierRawValue value, double *out) {
  if (value.kind == ATELIER_VALUE_KIND_INT) {
    *out = (double)(int64_t)value.bits;
    return 1;
  }
  if (value.kind != ATELIER_VALUE_KIND_FLOAT) return 0;
  memcpy(out, &value.bits, sizeof *out);
  return 1;
}
/* The text lives until the hook returns. */
static inline int atelier_as_text(AtelierRawValue value, AtelierStr *out) {
  if (value.kind != ATELIER_VALUE_KIND_TEXT) return 0;
  *out = value.text;
  return 1;
}

/* Reads an option, from ATELIER_OPTION_SOURCE_LIVE or ATELIER_OPTION_SOURCE_SNAPSHOT. The value is left
 * alone where the answer is not ATELIER_STATUS_OK. */
#define ATELIER_READ(NAME, TYPE, AS)                                                               \
  static inline uint32_t NAME(const AtelierCall *call, uint32_t source, const char *key,           \
                              TYPE *out) {                                                         \
    AtelierRawValue value;                                                                         \
    uint32_t status = call->table->read_option(call->context, source, atelier_str(key), &value);   \
    if (status != ATELIER_STATUS_OK) return status;                                                \
    return AS(value, out) ? (uint32_t)ATELIER_STATUS_OK : (uint32_t)ATELIER_STATUS_WRONG_TYPE;     \
  }
ATELIER_READ(atelier_read_bool, int, atelier_as_bool)
ATELIER_READ(atelier_read_int, int64_t, atelier_as_int)
ATELIER_READ(atelier_read_float, double, atelier_as_float)
ATELIER_READ(atelier_read_text, AtelierStr, atelier_as_text)
#undef ATELIER_READ

/* Writes an option, to one of ATELIER_OPTION_TARGET_…. */
static inline uint32_t atelier_write_option(const AtelierCall *call, uint32_t target,
                                            const char *key, AtelierRawValue value) {
  return call->table->write_option(call->context, target, atelier_str(key), &value);
}

/* Adds to the infotext of the run's pictures. */
static inline uint32_t atelier_infotext(const AtelierCall *call, const char *key,
                                        AtelierRawValue value) {
  return call->table->infotext(call->context, atelier_str(key), &value);
}

/* Lends memory of the host until the hook returns; with `write` it may be changed. */
static inline uint32_t atelier_buffer(const AtelierCall *call, uint32_t buffer, uint64_t index,
                                      int write, AtelierRawBuffer *out) {
  return call->table->buffer(call->context, buffer, index, write != 0, out);
}

/* Writes a line into the host's log. */
static inline void atelier_log(const AtelierCall *call, uint32_t level, const char *message) {
  call->table->log(call->context, level, atelier_str("hook"), atelier_str(message));
}

/* Fails the hook with words: return atelier_fail(call, "…"); */
static inline uint32_t atelier_fail(const AtelierCall *call, const char *message) {
  call->table->fail(call->context, atelier_str(message), atelier_str(""));
  return ATELIER_STATUS_FAILED;
}

/* Fails the hook with the host's own words about the refusal just before, if `status` is one:
 *
 *     status = atelier_read_float(…);
 *     if (status != ATELIER_STATUS_OK) return atelier_refused(call, status);
 */
static inline uint32_t atelier_refused(const AtelierCall *call, uint32_t status) {
  AtelierRawValue words;
  if (status == ATELIER_STATUS_WRONG_TYPE) {
    return atelier_fail(call, "the value is of another type than the one asked for");
  }
  call->table->message(call->context, &words);
  call->table->fail(call->context, words.text, atelier_str(""));
  return ATELIER_STATUS_FAILED;
}
