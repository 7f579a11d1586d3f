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
