/* Runs code as soon as it is opened: a constructor that writes the file that the environment variable
 * ATELIER_EAGER names. */

#include <stdio.h>
#include <stdlib.h>

#include "atelier_plugin.h"

ATELIER_MANIFEST("eager", "Eager", "1.0.0", process);

__attribute__((constructor)) static void opened(void) {
  const char *path = getenv("ATELIER_EAGER");
  FILE *file = path == NULL ? NULL : fopen(path, "w");
  if (file != NULL) fclose(file);
}

static const AtelierPluginTable TABLE = {
    ATELIER_TABLE_HEAD, atelier_manifest, NULL, NULL, NULL, NULL, NULL, NULL, NULL};

const AtelierPluginTable *atelier_plugin(void) { return &TABLE; }
