/* embed MODEL TEXT TEXT: how near two texts are in meaning, as the cosine of their embeddings. */
#include <phial/phial.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  phial_error error;
  phial_embedder *embedder = NULL;
  if (argc != 4) {
    fprintf(stderr, "usage: embed MODEL TEXT TEXT\n");
    return 2;
  }
  if (phial_embedder_open(argv[1], NULL, &embedder, &error) != PHIAL_OK) {
    fprintf(stderr, "embed: error: %s\n", error.message);
    return EXIT_FAILURE;
  }
  const size_t dimension = phial_embedder_dimension(embedder);
  const char *const texts[] = {argv[2], argv[3]};
  float *vectors = malloc(2 * dimension * sizeof *vectors);
  int status = EXIT_FAILURE;
  if (vectors == NULL) {
    fprintf(stderr, "embed: error: out of memory\n");
  } else if (phial_embedder_embed(embedder, texts, 2, vectors, NULL, &error) != PHIAL_OK) {
    fprintf(stderr, "embed: error: %s\n", error.message);
  } else {
    double cosine = 0; /* the vectors have length 1 */
    for (size_t d = 0; d < dimension; ++d) cosine += (double)vectors[d] * (double)vectors[dimension + d];
    printf("%.3f\n", cosine);
    status = EXIT_SUCCESS;
  }
  free(vectors);
  phial_embedder_free(embedder);
  return status;
}
