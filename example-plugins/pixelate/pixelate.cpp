// Pixelate: turns finished pictures into blocks. A whole plugin in C++.
//
// It is not migrated: it reads its option live, at every picture, as extensions of web UIs do.

#include <algorithm>
#include <cstdint>
#include <exception>

#include "atelier_plugin.h"

ATELIER_MANIFEST("pixelate", "Pixelate", "1.0.0", postprocess_image);

namespace {

uint32_t describe(const AtelierSink *sink) {
  return atelier_declare(sink, R"({"options":[{
    "key": "pixelate_block", "kind": "int", "default": 4, "min": 1, "max": 64,
    "label": "Side of a block in pixels"
  }]})");
}

// A picture of the host: rows of RGB bytes.
class Picture {
 public:
  explicit Picture(const AtelierRawBuffer &buffer)
      : bytes_(static_cast<uint8_t *>(buffer.data)), height_(buffer.shape[0]), width_(buffer.shape[1]) {}

  void pixelate(uint64_t block) {
    for (uint64_t y = 0; y < height_; y += block) {
      for (uint64_t x = 0; x < width_; x += block) {
        fill(x, y, std::min(x + block, width_), std::min(y + block, height_));
      }
    }
  }

 private:
  // Fills a block with its mean.
  void fill(uint64_t left, uint64_t top, uint64_t right, uint64_t bottom) {
    const uint64_t count = (right - left) * (bottom - top);
    for (int channel = 0; channel < 3; channel++) {
      uint64_t sum = 0;
      for (uint64_t y = top; y < bottom; y++)
        for (uint64_t x = left; x < right; x++) sum += at(x, y, channel);
      const auto mean = static_cast<uint8_t>((sum + count / 2) / count);
      for (uint64_t y = top; y < bottom; y++)
        for (uint64_t x = left; x < right; x++) at(x, y, channel) = mean;
    }
  }

  uint8_t &at(uint64_t x, uint64_t y, int channel) { return bytes_[(y * width_ + x) * 3 + channel]; }

  uint8_t *bytes_;
  uint64_t height_, width_;
};

uint32_t postprocess_image(const AtelierCall *call) {
  int64_t block = 1;
  uint32_t status = atelier_read_int(call, ATELIER_OPTION_SOURCE_LIVE, "pixelate_block", &block);
  if (status != ATELIER_STATUS_OK) return atelier_refused(call, status);
  AtelierRawBuffer image;
  status = atelier_buffer(call, ATELIER_BUFFER_IMAGE, 0, 1, &image);
  if (status != ATELIER_STATUS_OK) return atelier_refused(call, status);
  Picture(image).pixelate(static_cast<uint64_t>(block));
  return atelier_infotext(call, "Pixelate", atelier_int(block));
}

// No exception may leave the plugin: the host's frames know nothing of them.
uint32_t call_run(void *, const AtelierCall *call) {
  try {
    if (call->frame->hook == ATELIER_HOOK_POSTPROCESS_IMAGE) return postprocess_image(call);
    return ATELIER_STATUS_NOT_HERE;
  } catch (const std::exception &error) {
    return atelier_fail(call, error.what());
  } catch (...) {
    return atelier_fail(call, "an exception without words");
  }
}

// Functions that have nothing to do are null: this plugin keeps nothing at all.
const AtelierPluginTable TABLE = {ATELIER_TABLE_HEAD, atelier_manifest, describe, nullptr, nullptr,
                                  nullptr, call_run, nullptr, nullptr};

}  // namespace

extern "C" const AtelierPluginTable *atelier_plugin(void) { return &TABLE; }
