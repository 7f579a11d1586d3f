#define ATELIER_COUNT UINT64_MAX
#define ATELIER_MAX_RANK 6
typedef enum AtelierHook {
ATELIER_HOOK_MODEL_LOADED = 1,
ATELIER_HOOK_BEFORE_PROCESS = 2,
ATELIER_HOOK_START = 3,
ATELIER_HOOK_PROCESS = 4,
ATELIER_HOOK_BEFORE_PROCESS_BATCH = 5,
ATELIER_HOOK_PROCESS_BATCH = 6,
ATELIER_HOOK_PROCESS_BEFORE_EVERY_SAMPLING = 7,
ATELIER_HOOK_CFG_DENOISER = 8,
ATELIER_HOOK_CFG_DENOISED = 9,
ATELIER_HOOK_CFG_COMBINE = 10,
ATELIER_HOOK_CFG_AFTER_CFG = 11,
ATELIER_HOOK_AFTER_STEP = 12,
ATELIER_HOOK_POST_SAMPLE = 13,
ATELIER_HOOK_POSTPROCESS_BATCH = 14,
ATELIER_HOOK_POSTPROCESS_BATCH_LIST = 15,
ATELIER_HOOK_POSTPROCESS_IMAGE = 16,
ATELIER_HOOK_BEFORE_IMAGE_SAVED = 17,
ATELIER_HOOK_IMAGE_SAVED = 18,
ATELIER_HOOK_IMAGE_GRID = 19,
ATELIER_HOOK_POSTPROCESS = 20,
ATELIER_HOOK_FINISH = 21,
ATELIER_HOOK_RUN = 22,
ATELIER_HOOK_AFTER_EXTRA_NETWORKS_ACTIVATE = 23,
ATELIER_HOOK_BEFORE_HR = 24,
ATELIER_HOOK_EXTRA_NOISE = 25,
ATELIER_HOOK_ON_MASK_BLEND = 26,
ATELIER_HOOK_POSTPROCESS_MASKOVERLAY = 27,
ATELIER_HOOK_POSTPROCESS_IMAGE_AFTER_COMPOSITE = 28,
} AtelierHook;
typedef enum AtelierField {
ATELIER_FIELD_RUN_ID = 1,
ATELIER_FIELD_IS_IMG2IMG = 2,
ATELIER_FIELD_MODEL_NAME = 3,
ATELIER_FIELD_MODEL_HASH = 4,
ATELIER_FIELD_ARGS = 5,
ATELIER_FIELD_OUTCOME = 6,
ATELIER_FIELD_PROMPT = 10,
ATELIER_FIELD_NEGATIVE_PROMPT = 11,
ATELIER_FIELD_SEED = 12,
ATELIER_FIELD_SUBSEED = 13,
ATELIER_FIELD_SUBSEED_STRENGTH = 14,
ATELIER_FIELD_STEPS = 15,
ATELIER_FIELD_CFG_SCALE = 16,
ATELIER_FIELD_WIDTH = 17,
ATELIER_FIELD_HEIGHT = 18,
ATELIER_FIELD_SAMPLER = 19,
ATELIER_FIELD_SCHEDULER = 20,
ATELIER_FIELD_BATCH_SIZE = 21,
ATELIER_FIELD_ITERATIONS = 22,
ATELIER_FIELD_DENOISING_STRENGTH = 23,
ATELIER_FIELD_DO_NOT_SAVE_SAMPLES = 24,
ATELIER_FIELD_DO_NOT_SAVE_GRID = 25,
ATELIER_FIELD_MASK_ROUND = 26,
ATELIER_FIELD_PASTE_TO = 27,
ATELIER_FIELD_ALL_PROMPTS = 30,
ATELIER_FIELD_ALL_NEGATIVE_PROMPTS = 31,
ATELIER_FIELD_ALL_SEEDS = 32,
ATELIER_FIELD_ALL_SUBSEEDS = 33,
ATELIER_FIELD_PROMPTS = 34,
ATELIER_FIELD_NEGATIVE_PROMPTS = 35,
ATELIER_FIELD_SEEDS = 36,
ATELIER_FIELD_SUBSEEDS = 37,
ATELIER_FIELD_EXTRA_NETWORKS = 38,
ATELIER_FIELD_HR_WIDTH = 40,
ATELIER_FIELD_HR_HEIGHT = 41,
ATELIER_FIELD_HR_STEPS = 42,
ATELIER_FIELD_IS_SECOND_PASS = 43,
ATELIER_FIELD_SIGMA = 50,
ATELIER_FIELD_IS_FINAL_BLEND = 51,
ATELIER_FIELD_FILE_NAME = 60,
ATELIER_FIELD_INFOTEXT = 61,
ATELIER_FIELD_PATH = 62,
ATELIER_FIELD_COLUMNS = 63,
ATELIER_FIELD_ROWS = 64,
ATELIER_FIELD_INFOTEXTS = 65,
ATELIER_FIELD_PICTURE_COUNT = 66,
ATELIER_FIELD_DATA_FOLDER = 67,
ATELIER_FIELD_LIBRARY_PATH = 68,
ATELIER_FIELD_BATCH_INDEX = 69,
ATELIER_FIELD_OVERRIDES = 70,
} AtelierField;
typedef enum AtelierBuffer {
ATELIER_BUFFER_LATENTS = 1,
ATELIER_BUFFER_NOISE = 2,
ATELIER_BUFFER_COND = 3,
ATELIER_BUFFER_UNCOND = 4,
ATELIER_BUFFER_DENOISED_COND = 5,
ATELIER_BUFFER_DENOISED_UNCOND = 6,
ATELIER_BUFFER_DENOISED = 7,
ATELIER_BUFFER_PIXELS = 8,
ATELIER_BUFFER_IMAGE = 9,
ATELIER_BUFFER_CHILD_IMAGE = 10,
ATELIER_BUFFER_NOISED = 11,
ATELIER_BUFFER_INIT_LATENTS = 12,
ATELIER_BUFFER_MASK = 13,
ATELIER_BUFFER_BLENDED_LATENTS = 14,
ATELIER_BUFFER_MASK_FOR_OVERLAY = 15,
ATELIER_BUFFER_OVERLAY_IMAGE = 16,
ATELIER_BUFFER_INIT_IMAGE = 17,
} AtelierBuffer;
typedef enum AtelierListOp {
ATELIER_LIST_OP_PUSH = 1,
ATELIER_LIST_OP_REMOVE = 2,
ATELIER_LIST_OP_REPLACE = 3,
} AtelierListOp;
typedef enum AtelierOptionSource {
ATELIER_OPTION_SOURCE_LIVE = 1,
ATELIER_OPTION_SOURCE_SNAPSHOT = 2,
} AtelierOptionSource;
typedef enum AtelierOptionTarget {
ATELIER_OPTION_TARGET_LIVE = 1,
ATELIER_OPTION_TARGET_RUN = 2,
ATELIER_OPTION_TARGET_OVERRIDE = 3,
} AtelierOptionTarget;
typedef enum AtelierService {
ATELIER_SERVICE_ENCODE_TEXT = 1,
ATELIER_SERVICE_DECODE = 2,
ATELIER_SERVICE_ENCODE = 3,
ATELIER_SERVICE_SAVE_PICTURE = 4,
ATELIER_SERVICE_CHILD = 5,
} AtelierService;
typedef enum AtelierStatus {
ATELIER_STATUS_OK = 0,
ATELIER_STATUS_FAILED = 1,
ATELIER_STATUS_PANICKED = 2,
ATELIER_STATUS_STOP_RUN = 3,
ATELIER_STATUS_DIED = 4,
ATELIER_STATUS_NOT_HERE = 10,
ATELIER_STATUS_UNKNOWN_KEY = 11,
ATELIER_STATUS_WRONG_TYPE = 12,
ATELIER_STATUS_BAD_VALUE = 13,
ATELIER_STATUS_NO_SNAPSHOT = 14,
ATELIER_STATUS_READ_ONLY = 15,
ATELIER_STATUS_HOST_FAILED = 16,
} AtelierStatus;
typedef enum AtelierLevel {
ATELIER_LEVEL_ERROR = 1,
ATELIER_LEVEL_WARN = 2,
ATELIER_LEVEL_INFO = 3,
ATELIER_LEVEL_DEBUG = 4,
ATELIER_LEVEL_TRACE = 5,
} AtelierLevel;
typedef enum AtelierValueKind {
ATELIER_VALUE_KIND_NULL = 0,
ATELIER_VALUE_KIND_BOOL = 1,
ATELIER_VALUE_KIND_INT = 2,
ATELIER_VALUE_KIND_FLOAT = 3,
ATELIER_VALUE_KIND_TEXT = 4,
ATELIER_VALUE_KIND_JSON = 5,
} AtelierValueKind;
typedef enum AtelierElement {
ATELIER_ELEMENT_F32 = 1,
ATELIER_ELEMENT_U8 = 2,
} AtelierElement;
typedef struct AtelierStr {
const uint8_t *ptr;
size_t len;
} AtelierStr;
typedef struct AtelierHostTable {
size_t size;
uint32_t abi_major;
uint32_t abi_minor;
uint32_t (*log_enabled)(const void *context, uint32_t level, struct AtelierStr target);
void (*log)(const void *context,
uint32_t level,
struct AtelierStr target,
struct AtelierStr message);
} AtelierHostTable;
typedef struct AtelierHost {
const void *context;
const struct AtelierHostTable *table;
uint64_t reserved[2];
} AtelierHost;
typedef struct AtelierSink {
void *context;
void (*write)(void *context, struct AtelierStr text);
uint64_t reserved[2];
} AtelierSink;
typedef struct AtelierFrame {
uint32_t hook;
uint32_t iteration;
uint32_t image;
uint32_t step;
uint32_t total_steps;
uint32_t model_call;
double sigma;
double cfg_scale;
uint64_t reserved[4];
} AtelierFrame;
typedef struct AtelierRawValue {
uint32_t kind;
uint32_t reserved;
uint64_t bits;
struct AtelierStr text;
} AtelierRawValue;
typedef struct AtelierRawBuffer {
void *data;
uint32_t element;
uint32_t rank;
uint64_t shape[ATELIER_MAX_RANK];
uint64_t reserved[2];
} AtelierRawBuffer;
typedef struct AtelierContextTable {
size_t size;
uint32_t abi_major;
uint32_t abi_minor;
uint32_t (*get)(void *context,
uint32_t field,
uint64_t index,
struct AtelierRawValue *out);
uint32_t (*set)(void *context,
uint32_t field,
uint64_t index,
const struct AtelierRawValue *value);
uint32_t (*read_option)(void *context,
uint32_t source,
struct AtelierStr key,
struct AtelierRawValue *out);
uint32_t (*read_all_options)(void *context, uint32_t source, struct AtelierRawValue *out);
uint32_t (*write_option)(void *context,
uint32_t target,
struct AtelierStr key,
const struct AtelierRawValue *value);
uint32_t (*buffer)(void *context,
uint32_t buffer,
uint64_t index,
uint32_t write,
struct AtelierRawBuffer *out);
uint32_t (*resize)(void *context,
uint32_t buffer,
uint32_t op,
uint64_t index,
uint64_t width,
uint64_t height);
uint32_t (*infotext)(void *context,
struct AtelierStr key,
const struct AtelierRawValue *value);
uint32_t (*service)(void *context,
uint32_t service,
struct AtelierStr text,
const struct AtelierRawBuffer *buffer,
struct AtelierRawBuffer *out_buffer,
struct AtelierRawValue *out_value);
uint32_t (*cancelled)(void *context);
uint32_t (*log)(void *context,
uint32_t level,
struct AtelierStr target,
struct AtelierStr message);
uint32_t (*message)(void *context, struct AtelierRawValue *out);
uint32_t (*fail)(void *context, struct AtelierStr message, struct AtelierStr place);
} AtelierContextTable;
typedef struct AtelierCall {
const struct AtelierFrame *frame;
void *context;
const struct AtelierContextTable *table;
uint64_t reserved[2];
} AtelierCall;
typedef struct AtelierPluginTable {
size_t size;
uint32_t abi_major;
uint32_t abi_minor;
struct AtelierStr (*manifest)(void);
uint32_t (*describe)(const struct AtelierSink *sink);
uint32_t (*create)(const struct AtelierHost *host,
const struct AtelierCall *call,
void **out);
uint32_t (*call_plugin)(const void *plugin, const struct AtelierCall *call);
uint32_t (*start)(const void *plugin, const struct AtelierCall *call, void **out);
uint32_t (*call_run)(void *run, const struct AtelierCall *call);
uint32_t (*drop_run)(void *run, const struct AtelierCall *call);
uint32_t (*drop_plugin)(void *plugin, const struct AtelierCall *call);
} AtelierPluginTable;
