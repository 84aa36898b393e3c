/* The header as a C compiler sees it, driven from C. Returns "" or what went wrong. */
#include <string.h>

#include "phial/capi/phial.h"

const char* phial_c99_test(const char* model_path);

static phial_error error;
static char streamed[4096];

static int on_text(void* user_data, const char* text, size_t bytes) {
  size_t* used = user_data;
  if (*used + bytes >= sizeof streamed) return 1;
  memcpy(streamed + *used, text, bytes + 1);
  *used += bytes;
  return 0;
}

static const char* write_with(phial_model* model) {
  phial_session* session = NULL;
  phial_generate_options options = {.size = sizeof options, .max_tokens = 8};
  phial_generation generation = {.size = sizeof generation};
  size_t used = 0;
  const char* wrong = "";
  if (phial_session_new(model, &session, &error) != PHIAL_OK) return error.message;
  streamed[0] = '\0';
  if (phial_session_chat(session, "[{\"role\": \"user\", \"content\": \"Hello\"}]", &options, on_text, &used, &error) !=
          PHIAL_OK ||
      phial_session_get_generation(session, &generation, &error) != PHIAL_OK) {
    wrong = error.message;
  } else if (strcmp(generation.text, streamed) != 0) {
    wrong = "the text is not what was streamed";
  } else if (generation.id_count == 0 || generation.id_count > 8) {
    wrong = "another number of tokens than was asked";
  }
  phial_session_free(session);
  return wrong;
}

const char* phial_c99_test(const char* model_path) {
  phial_model* model = NULL;
  phial_model_options options = {.size = sizeof options, .threads = 1, .context_tokens = 64};
  phial_model_info info = {.size = sizeof info};
  const char* wrong = "";
  if (phial_model_open(model_path, &options, &model, &error) != PHIAL_OK) return error.message;
  if (phial_model_get_info(model, &info, &error) != PHIAL_OK) {
    wrong = error.message;
  } else if (info.context_tokens != 64) {
    wrong = "another context than was asked";
  } else {
    wrong = write_with(model);
  }
  phial_model_free(model);
  return wrong;
}
