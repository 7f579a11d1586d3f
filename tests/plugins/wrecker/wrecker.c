/* Does to its process what Rust does not let a plugin do by accident. The environment variable
 * ATELIER_WRECK says what and where, FAULT:HOOK; without it the plugin does nothing. */

#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "atelier_plugin.h"

ATELIER_MANIFEST("wrecker", "Wrecker", "1.0.0", before_process, process, before_process_batch,
                 after_extra_networks_activate, process_batch, before_hr,
                 process_before_every_sampling, extra_noise, cfg_denoiser, cfg_denoised,
                 cfg_combine, on_mask_blend, cfg_after_cfg, after_step, post_sample,
                 postprocess_batch, postprocess_batch_list, postprocess_image,
                 postprocess_maskoverlay, postprocess_image_after_composite, before_image_saved,
                 image_saved, image_grid, postprocess, finish);

static const char *hook_name(uint32_t hook) {
  switch (hook) {
    case ATELIER_HOOK_BEFORE_PROCESS: return "before_process";
    case ATELIER_HOOK_PROCESS: return "process";
    case ATELIER_HOOK_BEFORE_PROCESS_BATCH: return "before_process_batch";
    case ATELIER_HOOK_PROCESS_BATCH: return "process_batch";
    case ATELIER_HOOK_PROCESS_BEFORE_EVERY_SAMPLING: return "process_before_every_sampling";
    case ATELIER_HOOK_CFG_DENOISER: return "cfg_denoiser";
    case ATELIER_HOOK_CFG_DENOISED: return "cfg_denoised";
    case ATELIER_HOOK_CFG_COMBINE: return "cfg_combine";
    case ATELIER_HOOK_CFG_AFTER_CFG: return "cfg_after_cfg";
    case ATELIER_HOOK_AFTER_STEP: return "after_step";
    case ATELIER_HOOK_POST_SAMPLE: return "post_sample";
    case ATELIER_HOOK_POSTPROCESS_BATCH: return "postprocess_batch";
    case ATELIER_HOOK_POSTPROCESS_BATCH_LIST: return "postprocess_batch_list";
    case ATELIER_HOOK_POSTPROCESS_IMAGE: return "postprocess_image";
    case ATELIER_HOOK_BEFORE_IMAGE_SAVED: return "before_image_saved";
    case ATELIER_HOOK_IMAGE_SAVED: return "image_saved";
    case ATELIER_HOOK_IMAGE_GRID: return "image_grid";
    case ATELIER_HOOK_POSTPROCESS: return "postprocess";
    case ATELIER_HOOK_FINISH: return "finish";
    case ATELIER_HOOK_AFTER_EXTRA_NETWORKS_ACTIVATE: return "after_extra_networks_activate";
    case ATELIER_HOOK_BEFORE_HR: return "before_hr";
    case ATELIER_HOOK_EXTRA_NOISE: return "extra_noise";
    case ATELIER_HOOK_ON_MASK_BLEND: return "on_mask_blend";
    case ATELIER_HOOK_POSTPROCESS_MASKOVERLAY: return "postprocess_maskoverlay";
    case ATELIER_HOOK_POSTPROCESS_IMAGE_AFTER_COMPOSITE: return "postprocess_image_after_composite";
    default: return "";
  }
}

static uint32_t wreck(const char *fault, const AtelierCall *call) {
  if (strcmp(fault, "segfault") == 0) {
    static volatile uintptr_t nowhere = 8;
    *(volatile int *)nowhere = 1;
  } else if (strcmp(fault, "close-descriptors") == 0) {
    for (int file = 0; file < 256; file++) close(file);
  } else if (strcmp(fault, "fork-bomb") == 0) {
    /* Not without end: where nothing stops it, the machine has to survive the test. */
    for (int child = 0; child < 50; child++) {
      pid_t pid = fork();
      if (pid < 0) return atelier_fail(call, "no more processes");
      if (pid == 0) {
        sleep(600);
        _exit(0);
      }
    }
  } else if (strcmp(fault, "past-buffer") == 0) {
    /* The hook's first picture or floats, far behind their end. */
    static const uint32_t BUFFERS[] = {ATELIER_BUFFER_IMAGE, ATELIER_BUFFER_LATENTS,
                                       ATELIER_BUFFER_NOISE, ATELIER_BUFFER_BLENDED_LATENTS,
                                       ATELIER_BUFFER_OVERLAY_IMAGE};
    for (size_t at = 0; at < sizeof BUFFERS / sizeof *BUFFERS; at++) {
      AtelierRawBuffer buffer;
      if (call->table->buffer(call->context, BUFFERS[at], 0, 1, &buffer) != ATELIER_STATUS_OK) continue;
      memset((uint8_t *)buffer.data, 0xff, (size_t)256 << 20);
    }
  } else if (strcmp(fault, "kill-parent") == 0) {
    /* In the host's own process the parent is somebody else. */
    if (getenv("ATELIER_WORKER") == NULL) return ATELIER_STATUS_OK;
    if (kill(getppid(), SIGKILL) != 0) return atelier_fail(call, "may not kill the host");
  } else if (strcmp(fault, "starve-parent") == 0) {
    struct rlimit none = {3, 3};
    if (getenv("ATELIER_WORKER") == NULL) return ATELIER_STATUS_OK;
    if (prlimit(getppid(), RLIMIT_NOFILE, &none, NULL) != 0) return atelier_fail(call, "may not limit the host");
  }
  return ATELIER_STATUS_OK;
}

static uint32_t here(const AtelierCall *call) {
  const char *order = getenv("ATELIER_WRECK");
  const char *colon = order == NULL ? NULL : strchr(order, ':');
  char fault[64];
  if (colon == NULL || strcmp(colon + 1, hook_name(call->frame->hook)) != 0) return ATELIER_STATUS_OK;
  snprintf(fault, sizeof fault, "%.*s", (int)(colon - order), order);
  return wreck(fault, call);
}

static uint32_t call_plugin(const void *plugin, const AtelierCall *call) {
  (void)plugin;
  return here(call);
}

static uint32_t call_run(void *run, const AtelierCall *call) {
  (void)run;
  return here(call);
}

static const AtelierPluginTable TABLE = {ATELIER_TABLE_HEAD, atelier_manifest, NULL, NULL, call_plugin,
                                         NULL, call_run, NULL, NULL};

const AtelierPluginTable *atelier_plugin(void) { return &TABLE; }
