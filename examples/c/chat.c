/* chat MODEL QUESTION [IMAGE]: asks a model, and prints the answer as it is written. */
#include <phial/phial.h>
#include <stdio.h>
#include <stdlib.h>

static int show(void *user_data, const char *text, size_t bytes) {
  (void)user_data;
  fwrite(text, 1, bytes, stdout);
  return ferror(stdout); /* nobody reads any more: stop */
}

/* `text` as a JSON string. */
static void append_json(char *to, size_t size, const char *text) {
  size_t used = 0;
  to[used++] = '"';
  for (; *text != '\0' && used + 8 < size; ++text) {
    const unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') to[used++] = '\\';
    if (c < 0x20) {
      used += (size_t)snprintf(to + used, size - used, "\\u%04x", c);
    } else {
      to[used++] = (char)c;
    }
  }
  to[used++] = '"';
  to[used] = '\0';
}

int main(int argc, char **argv) {
  phial_error error;
  phial_model *model = NULL;
  phial_session *session = NULL;
  phial_image *image = NULL;
  int status = EXIT_FAILURE;
  if (argc < 3) {
    fprintf(stderr, "usage: chat MODEL QUESTION [IMAGE]\n");
    return 2;
  }
  char question[4096], messages[4200];
  append_json(question, sizeof question, argv[2]);
  snprintf(messages, sizeof messages, "[{\"role\": \"user\", \"content\": %s%s}]", question,
           argc > 3 ? ", \"images\": [0]" : "");

  if (phial_model_open(argv[1], NULL, &model, &error) == PHIAL_OK &&
      (argc <= 3 || phial_image_open(argv[3], &image, &error) == PHIAL_OK) &&
      phial_session_new(model, &session, &error) == PHIAL_OK) {
    const phial_image *images[] = {image};
    phial_generate_options options = {.size = sizeof options};
    options.max_tokens = 64;
    options.images = images;
    options.image_count = argc > 3 ? 1 : 0;
    if (phial_session_chat(session, messages, &options, show, NULL, &error) == PHIAL_OK) {
      phial_generation generation = {.size = sizeof generation};
      phial_session_get_generation(session, &generation, &error);
      printf("\n");
      fprintf(stderr, "%d tokens read, %zu written\n", (int)generation.prompt_tokens, generation.id_count);
      status = EXIT_SUCCESS;
    }
  }
  if (status != EXIT_SUCCESS) fprintf(stderr, "chat: error: %s\n", error.message);
  phial_session_free(session);
  phial_image_free(image);
  phial_model_free(model);
  return status;
}
