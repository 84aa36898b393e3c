/* Phial as a library: models, sessions, embeddings, pictures and libraries of documents, for C99 and what can call it.
 *
 * Every function that can fail returns a phial_code and, if `error` is not null, says there what went wrong, in one
 * line, and what to do about it. Nothing else is kept of an error: there are no globals, and no exception leaves a
 * function. A call that fails, is cancelled or finds no memory leaves what it was given usable.
 *
 * Strings are UTF-8 and end in a zero; other bytes are PHIAL_INVALID, in paths too. What is handed in belongs to the
 * caller and is not needed once the call returns. What is handed out belongs to the object it came from, and stays
 * until that object is freed or the comment says otherwise. phial_*_free(NULL) does nothing.
 *
 * Structs begin with `size`: set it to sizeof the struct and everything else to zero, which is the default of every
 * field: `phial_model_options options = {.size = sizeof options};`. So newer versions can add fields at the end. Where
 * options are taken, null is all defaults.
 *
 * Threads: different objects may be used by different threads at once, and an object by any thread, one call at a time.
 * At once by several: phial_model, phial_embedder, phial_image and phial_cancel, but for free. Sessions of one model
 * write side by side, as many as it was opened for; others wait. A model, an embedder or a picture may be freed while
 * sessions, libraries and calls go on that were made with it: it goes with the last of them. Callbacks come on the
 * thread that made the call, except on_log; they may call anything but the object that is being used, and must not
 * leave by longjmp.
 *
 * ABI: names and meanings stay within one PHIAL_ABI_VERSION, which is the number in libphial.so.N: docs/library.md.
 */
#ifndef PHIAL_PHIAL_H
#define PHIAL_PHIAL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PHIAL_API __attribute__((visibility("default")))

/* ---- The library ---- */

#define PHIAL_ABI_VERSION 1

PHIAL_API int phial_abi_version(void);             /* of the library that runs, to compare with the header's */
PHIAL_API const char* phial_version(void);         /* "0.1.0" */
PHIAL_API const char* phial_instruction_set(void); /* chosen for this machine: "avx512_vnni", "neon_dot", "scalar" */

/* ---- Errors ---- */

typedef enum phial_code {
  PHIAL_OK = 0,
  PHIAL_NOT_FOUND = 1,     /* a file, model or library that does not exist */
  PHIAL_CORRUPT = 2,       /* bytes that do not keep their format's promises */
  PHIAL_UNSUPPORTED = 3,   /* well-formed, but something Phial does not do; an option of a newer version */
  PHIAL_INVALID = 4,       /* an argument, option or request that makes no sense */
  PHIAL_OUT_OF_RANGE = 5,  /* larger than a limit: a context, a size */
  PHIAL_OUT_OF_MEMORY = 6, /* more than this machine has or gives */
  PHIAL_IO = 7,            /* the operating system refused */
  PHIAL_CANCELLED = 8,     /* phial_cancel_request, or a callback that did not return 0 */
  PHIAL_INTERNAL = 9       /* a defect of Phial */
} phial_code;

PHIAL_API const char* phial_code_name(phial_code code); /* "out of memory" */

/* The caller's own, so that it is there when memory is not. `message` is cut to fit, at a character. */
typedef struct phial_error {
  phial_code code;
  char message[1020];
} phial_error;

/* ---- Stopping a call from another thread ---- */

/* Given to calls in their options, any number of them; once requested it stays so. Not for signal handlers. */
typedef struct phial_cancel phial_cancel;

PHIAL_API phial_cancel* phial_cancel_new(void); /* null: no memory */
PHIAL_API void phial_cancel_request(phial_cancel* cancel);
PHIAL_API int phial_cancel_requested(const phial_cancel* cancel);
PHIAL_API void phial_cancel_free(phial_cancel* cancel); /* calls that were given it may go on */

/* ---- Models that write ---- */

typedef struct phial_model phial_model;

/* How keys and values are kept in fast precision. */
typedef enum phial_kv { PHIAL_KV_F16 = 0, PHIAL_KV_Q8 = 1, PHIAL_KV_Q4 = 2 } phial_kv;

typedef enum phial_severity { PHIAL_DETAIL = 0, PHIAL_NOTE = 1, PHIAL_WARNING = 2 } phial_severity;

/* What may interest a person: the memory plan, a slow path. From any thread that uses the model, until it is gone; it
 * must not use the model itself. */
typedef void (*phial_on_log)(void* user_data, phial_severity severity, const char* message);

typedef struct phial_model_options {
  size_t size;
  int32_t threads;         /* 0: the physical cores that the process may use */
  int32_t context_tokens;  /* that prompt and answer may have together; 0: the model's own, at most 4096 */
  int32_t sessions;        /* that write side by side, each with a whole context of memory; 0: 1 */
  int32_t kv;              /* a phial_kv */
  int32_t exact;           /* not 0: activations, keys and values in f32, for comparing numbers */
  int32_t copy;            /* not 0: the model's file is copied into memory instead of mapped */
  int32_t no_drafting;     /* not 0: one token at a time; the answer is the same */
  const char* draft_model; /* path of a smaller model with the same vocabulary that drafts; null: none */
  const char* date;        /* yyyy-mm-dd, for chat templates that ask; null: today */
  phial_on_log on_log;     /* null: nobody listens */
  void* log_data;
  const char* prompt_cache; /* file of prompts whose keys and values earlier runs wrote (docs/formats.md); null: none */
  const char* projector; /* GGUF file with the image encoder of a GGUF model; null: mmproj-NAME beside a model NAME */
} phial_model_options;

/* `path`: a GGUF file or a Hugging Face folder. *model is set only if it was opened. */
PHIAL_API phial_code phial_model_open(const char* path, const phial_model_options* options, phial_model** model,
                                      phial_error* error);
PHIAL_API void phial_model_free(phial_model* model);

/* Writes the keys and values of prompts that the model still holds into prompt_cache, in place of what stands there, so
 * that a later run whose prompts begin alike computes only what is new. Waits for the step of answers that are being
 * written. Nothing new, or opened without prompt_cache: does nothing. PHIAL_IO leaves the file as it was. */
PHIAL_API phial_code phial_model_write_prompt_cache(phial_model* model, phial_error* error);

typedef struct phial_model_info {
  size_t size;
  const char* name;               /* what its files call it */
  int32_t context_tokens;         /* as opened */
  int32_t longest_context_tokens; /* that the model knows */
  int32_t vocabulary_size;
  int32_t has_tokenizer;
  int32_t sees;                                  /* takes pictures */
  uint64_t weights_bytes, kv_bytes, total_bytes; /* of the memory plan, when all contexts are full */
} phial_model_info;

/* Strings stay as long as the model or a session of it. */
PHIAL_API phial_code phial_model_get_info(const phial_model* model, phial_model_info* info, phial_error* error);

/* Flags of phial_model_tokenize. */
#define PHIAL_SPECIAL 1 /* text of special tokens becomes those tokens: never for what others wrote */
#define PHIAL_BOS 2     /* the beginning-of-text token first, if the model has one */

/* Writes the first `capacity` ids of `text` to `ids`; *count is how many there are. */
PHIAL_API phial_code phial_model_tokenize(const phial_model* model, const char* text, int flags, int32_t* ids,
                                          size_t capacity, size_t* count, phial_error* error);
/* Writes the text of `ids`, cut to fit at a character, and a zero; *bytes is its whole length without the zero. Special
 * tokens are left out. */
PHIAL_API phial_code phial_model_detokenize(const phial_model* model, const int32_t* ids, size_t count, char* text,
                                            size_t capacity, size_t* bytes, phial_error* error);

/* ---- Pictures ---- */

typedef struct phial_image phial_image;

/* PNG, JPEG, WebP or GIF, told by content. */
PHIAL_API phial_code phial_image_open(const char* path, phial_image** image, phial_error* error);
PHIAL_API phial_code phial_image_from_bytes(const void* bytes, size_t count, phial_image** image, phial_error* error);
PHIAL_API void phial_image_free(phial_image* image);

/* ---- Sessions: answers of a model ---- */

typedef struct phial_session phial_session;

/* A piece of the answer, as it is final: valid UTF-8, and a zero behind its `bytes`. Not 0 stops the call. */
typedef int (*phial_on_text)(void* user_data, const char* text, size_t bytes);

typedef struct phial_generate_options {
  size_t size;
  int32_t max_tokens; /* more than the context has room for is PHIAL_OUT_OF_RANGE; 0: 256, or what there is room for */
  int32_t top_k;      /* among the K likeliest tokens; 0: all */
  float temperature;  /* 0: always the likeliest token */
  float top_p;        /* among the likeliest that make up P together; 0: all */
  float min_p;        /* among those at least P times as likely as the likeliest; 0: all */
  float repeat_penalty;    /* makes the last 64 tokens less likely; 0: off, as is 1 */
  uint64_t seed;           /* the same seed gives the same text */
  const char* const* stop; /* texts that end the answer and are not part of it */
  size_t stop_count;
  const phial_image* const* images; /* that messages name by their place here, from 0 */
  size_t image_count;
  int32_t ignore_end; /* not 0: goes on past the model's end tokens */
  phial_cancel* cancel;
} phial_generate_options;

PHIAL_API phial_code phial_session_new(phial_model* model, phial_session** session, phial_error* error);
PHIAL_API void phial_session_free(phial_session* session);

/* Goes on with `prompt` as it is: no chat template; text of special tokens in it is read as those tokens. */
PHIAL_API phial_code phial_session_complete(phial_session* session, const char* prompt,
                                            const phial_generate_options* options, phial_on_text on_text,
                                            void* user_data, phial_error* error);

/* Answers a conversation: [{"role": "user", "content": "What is this?", "images": [0]}, ...]. Roles are system, user
 * and assistant; images stand before the content. The whole conversation is given each time, and what the model has
 * read of it before is not computed again. */
PHIAL_API phial_code phial_session_chat(phial_session* session, const char* messages_json,
                                        const phial_generate_options* options, phial_on_text on_text, void* user_data,
                                        phial_error* error);

typedef enum phial_stop {
  PHIAL_STOP_END = 0,      /* the model ended */
  PHIAL_STOP_TEXT = 1,     /* a stop text came */
  PHIAL_STOP_LENGTH = 2,   /* max_tokens */
  PHIAL_STOP_CANCELLED = 3 /* the call was stopped */
} phial_stop;

typedef struct phial_generation {
  size_t size;
  const char* text; /* all that was written */
  size_t text_bytes;
  const int32_t* ids; /* the end token included if there was one */
  size_t id_count;
  int32_t stop;          /* a phial_stop */
  int32_t prompt_tokens; /* pictures included */
  int32_t reused_tokens; /* of the prompt, known from before */
  int32_t drafted_tokens, accepted_tokens;
  double prefill_ms, decode_ms, first_token_ms;
} phial_generation;

/* What the session's last call wrote, also if it was cancelled; PHIAL_NOT_FOUND if it failed or there was none. Stays
 * until the session's next call. */
PHIAL_API phial_code phial_session_get_generation(const phial_session* session, phial_generation* generation,
                                                  phial_error* error);

/* ---- Embeddings ---- */

typedef struct phial_embedder phial_embedder;

typedef struct phial_embedder_options {
  size_t size;
  int32_t threads; /* 0: the physical cores that the process may use */
  int32_t exact;   /* not 0: in f32, for vectors that are compared with those of other programs */
  int32_t copy;    /* not 0: the model's file is copied into memory instead of mapped */
} phial_embedder_options;

/* `path`: a Hugging Face folder of a BERT-like model. */
PHIAL_API phial_code phial_embedder_open(const char* path, const phial_embedder_options* options,
                                         phial_embedder** embedder, phial_error* error);
PHIAL_API void phial_embedder_free(phial_embedder* embedder);
PHIAL_API size_t phial_embedder_dimension(const phial_embedder* embedder);
PHIAL_API size_t phial_embedder_max_tokens(const phial_embedder* embedder); /* that it reads of a text */

/* `vectors`: [count, dimension], each of length 1. `cancel` may be null. Calls of several threads wait for one
 * another. */
PHIAL_API phial_code phial_embedder_embed(phial_embedder* embedder, const char* const* texts, size_t count,
                                          float* vectors, phial_cancel* cancel, phial_error* error);

/* ---- Libraries of documents ---- */

typedef struct phial_library phial_library;

typedef struct phial_library_options {
  size_t size;
  const char* reader; /* path of the program phial-reader, which reads documents in a process of its own; null: beside
                         the running program, else in bin, ../bin or ../../bin of the folder of this library */
} phial_library_options;

/* Opens the library in the file `path`, or makes it. One that was made with another embedder is PHIAL_INVALID. */
PHIAL_API phial_code phial_library_open(const char* path, phial_embedder* embedder,
                                        const phial_library_options* options, phial_library** library,
                                        phial_error* error);
PHIAL_API void phial_library_free(phial_library* library);

typedef struct phial_library_info {
  size_t size;
  int64_t files, failed_files, documents, passages, bytes_on_disk;
} phial_library_info;

PHIAL_API phial_code phial_library_get_info(phial_library* library, phial_library_info* info, phial_error* error);

typedef struct phial_progress {
  size_t size;
  uint64_t files_total, files_done; /* of those that are new or changed */
  int64_t bytes_total, bytes_done, passages;
  double seconds, seconds_left;
  const char* path; /* what was just done */
} phial_progress;

/* Not 0 stops the call. */
typedef int (*phial_on_progress)(void* user_data, const phial_progress* progress);

typedef struct phial_add_options {
  size_t size;
  const char* const* include; /* globs: only files that fit one; none: all */
  size_t include_count;
  const char* const* exclude; /* globs: files and folders that are left out */
  size_t exclude_count;
  int32_t hidden;            /* not 0: hidden files too */
  int32_t no_ignore_files;   /* not 0: .gitignore and .phialignore are not heeded */
  int32_t no_ocr;            /* not 0: pages without text are left alone, even if Tesseract is installed */
  int32_t retry;             /* not 0: files that could not be read before, or only in part, are tried again */
  const char* ocr_languages; /* Tesseract's names, joined by '+'; null: eng */
  phial_on_progress on_progress;
  void* progress_data;
  phial_cancel* cancel;
} phial_add_options;

typedef struct phial_add_report {
  size_t size;
  int64_t added, changed, unchanged;
  int64_t linked;  /* the same bytes under another name: moved or copied */
  int64_t removed; /* gone from the disk */
  int64_t passages;
  int64_t failed_before; /* unreadable as before */
  size_t problem_count;  /* files that could not be read, or only in part: phial_library_get_problem */
} phial_add_report;

/* Brings the library into step with files and folders: reads only what is new or changed. Stopping it loses nothing
 * that was done. `report` may be null. */
PHIAL_API phial_code phial_library_add(phial_library* library, const char* const* paths, size_t count,
                                       const phial_add_options* options, phial_add_report* report, phial_error* error);

typedef struct phial_problem {
  size_t size;
  const char *path, *message, *remedy;
  int32_t in_library; /* not 0: it is in the library all the same, in part or as it was before */
} phial_problem;

/* A file that the last phial_library_add could not read, or only in part. Stays until the next. */
PHIAL_API phial_code phial_library_get_problem(const phial_library* library, size_t index, phial_problem* problem,
                                               phial_error* error);

typedef struct phial_answer phial_answer;

typedef struct phial_ask_options {
  size_t size;
  int32_t passages;         /* at most so many are looked at; 0: 8 */
  int32_t passage_tokens;   /* at most so many tokens of them go into the prompt; 0: 1200 */
  int32_t explain;          /* not 0: every stage's candidates with their scores, in the answer's JSON */
  const char* const* paths; /* globs: only files whose path fits one; none: all */
  size_t path_count;
  const char* history_json; /* earlier turns, as in phial_session_chat; a follow-up is understood in their light */
  const phial_generate_options* generate; /* how the model writes, and what cancels; max_tokens 0: 160; no images */
  int32_t figures;                        /* of the passages, shown to a model that sees, to 16; 0: 1; below 0: none */
} phial_ask_options;

/* The passages that fit `question` best, as the answer's citations. Of `generate` only `cancel` matters: a search that
 * is stopped leaves the library as it was. The first after opening or adding reads the library's vectors, which takes
 * a while in a large one; each further one is short. */
PHIAL_API phial_code phial_library_search(phial_library* library, const char* question,
                                          const phial_ask_options* options, phial_answer** answer, phial_error* error);

/* Answers from the documents, with citations that were checked. `model` may be null: then in the documents' own words.
 * The text comes sentence by sentence, as it passes the check. */
PHIAL_API phial_code phial_library_ask(phial_library* library, phial_model* model, const char* question,
                                       const phial_ask_options* options, phial_on_text on_text, void* user_data,
                                       phial_answer** answer, phial_error* error);

PHIAL_API void phial_answer_free(phial_answer* answer);

typedef struct phial_answer_info {
  size_t size;
  const char* text;   /* marks [n] name citations; empty after a search */
  int32_t answerable; /* the documents hold an answer */
  int32_t quoted;     /* in the documents' own words, not the model's */
  double confidence;  /* that they hold one, 0 to 1 */
  size_t citation_count;
  int32_t prompt_tokens, generated_tokens;
  double retrieve_ms, first_token_ms, total_ms;
} phial_answer_info;

PHIAL_API phial_code phial_answer_get_info(const phial_answer* answer, phial_answer_info* info, phial_error* error);

typedef struct phial_citation {
  size_t size;
  const char *path, *title, *heading, *text;
  int32_t n;                             /* its mark in the answer; after a search its rank, from 1 */
  int32_t page;                          /* from 1; 0: the format has none */
  uint64_t start, end;                   /* bytes of the document's text */
  uint64_t evidence_start, evidence_end; /* the sentence that carries the answer, inside start .. end */
  double score;
} phial_citation;

PHIAL_API phial_code phial_answer_get_citation(const phial_answer* answer, size_t index, phial_citation* citation,
                                               phial_error* error);

/* The whole of it, as `phial ask --json` prints it; of a search an array of citations. */
PHIAL_API const char* phial_answer_json(const phial_answer* answer);

#ifdef __cplusplus
}
#endif

#endif
