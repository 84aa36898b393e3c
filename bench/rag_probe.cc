// Runs Phial's own retrieval and checks over judged sets, for bench/retrieval.py and bench/answers.py. One JSON object
// a line on standard output.
//
// EMBEDDER: a folder, or hashed:D for vectors of D numbers without a model, where only the library is measured.
//
//   rag_probe EMBEDDER LIBRARY index CORPUS.jsonl [whole]     fields _id, title, text; `whole`: one passage a document
//   rag_probe EMBEDDER LIBRARY add READER FOLDER              as `phial add`
//   rag_probe EMBEDDER LIBRARY search QUERIES.jsonl [WEIGHT]  {"_id", "documents": [[id, score], ...]}
//   rag_probe EMBEDDER LIBRARY time QUERIES.jsonl             {"_id", "ms"} of each search
//   rag_probe EMBEDDER LIBRARY signs QUERIES.jsonl            what the judgment "is there an answer" sees
//   rag_probe EMBEDDER LIBRARY support QUERIES.jsonl          is {"text"} supported by {"document"}, by what in it?
//   rag_probe EMBEDDER LIBRARY ask QUERIES.jsonl              quoted answers; with a "draft" of a model of so many
//                                                             "parameters", what is made of it
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <string>

#include "bench/need.h"
#include "phial/base/json.h"
#include "phial/generate/fake_model.h"
#include "phial/rag/answer.h"
#include "phial/rag/fake_embedder.h"
#include "phial/rag/ingest.h"
#include "phial/rag/lexical.h"
#include "phial/rag/open_embedder.h"
#include "phial/rag/quote.h"

namespace {

using namespace phial;

std::unique_ptr<rag::Embedder> open_embedder(const std::string& name, ThreadPool& pool) {
  constexpr std::string_view kHashed = "hashed:";
  if (name.starts_with(kHashed)) return std::make_unique<rag::FakeEmbedder>(std::atoi(name.c_str() + kHashed.size()));
  return need(rag::open_embedder(name, model::Precision::kFast, LoadMode::kMap, pool));
}

std::vector<Json> read_lines(const std::string& path) {
  std::ifstream file(path);
  std::vector<Json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(need(parse_json(line)));
  return lines;
}

std::string field(const Json& json, std::string_view key) {
  const std::string* text = find_string(json, key);
  return text == nullptr ? "" : *text;
}

std::string id_of(const Json& query) { return field(query, query.contains("_id") ? "_id" : "id"); }
std::string question_of(const Json& query) {
  return field(query, query.contains("text") && query.contains("_id") ? "text" : "question");
}

void index_corpus(rag::Store& store, rag::Embedder& embedder, const std::string& corpus, bool whole) {
  rag::ChunkOptions options;
  options.max_tokens = embedder.max_tokens();
  const rag::CountTokens count = [&](std::string_view text) { return embedder.count_tokens(text); };
  struct Pending {
    rag::FileRecord file;
    formats::ExtractedDocument document;
    std::vector<rag::Passage> passages;
  };
  std::vector<Pending> batch;
  std::vector<std::string> texts;
  const auto flush = [&] {
    const auto vectors = need(embedder.embed(texts));
    size_t at = 0;
    for (const Pending& one : batch) {
      const size_t floats = one.passages.size() * static_cast<size_t>(embedder.identity().dim);
      need(store.put_document(one.file, one.document, one.passages, std::span(vectors).subspan(at, floats)));
      at += floats;
    }
    batch.clear();
    texts.clear();
  };
  for (const Json& line : read_lines(corpus)) {
    Pending one;
    one.file.path = id_of(line);
    one.file.hash = "id:" + one.file.path;
    if (need(store.find_content(one.file.hash)) != 0) continue;
    one.document.title = field(line, "title");
    one.document.text = field(line, "text");
    if (whole) {
      one.passages = {{0, one.document.text.size(), 0, "", one.document.title}};
      const bool repeats_title = one.document.text.starts_with(one.document.title);  // Cranfield
      texts.push_back((repeats_title ? "" : one.document.title + " ") + one.document.text);
    } else {
      one.passages = rag::chunk(one.document, options, count);
      for (const auto& passage : one.passages) texts.push_back(rag::embedding_text(passage, one.document.text));
    }
    if (one.passages.empty()) continue;
    batch.push_back(std::move(one));
    if (texts.size() >= 64) flush();
  }
  if (!texts.empty()) flush();
  need(store.refresh_word_list());
}

void add_folder(rag::Store& store, rag::Embedder& embedder, const char* reader, const char* folder) {
  rag::IngestOptions options;
  options.reader.program = reader;
  const std::filesystem::path path = folder;
  const auto report = need(rag::ingest(store, embedder, std::span(&path, 1), options, nullptr));
  for (const auto& problem : report.problems) std::fprintf(stderr, "%s\n", problem.message.c_str());
}

void search(rag::Store& store, rag::Embedder& embedder, const std::string& queries, const char* weight) {
  rag::Retriever retriever(store, embedder);
  rag::SearchOptions options;  // as `phial ask` has them, but for what a ranking of documents needs
  options.k = 300;
  options.join_neighbours = options.drop_duplicates = false;
  if (weight != nullptr) options.vector_weight = std::strtof(weight, nullptr);
  for (const Json& query : read_lines(queries)) {
    const auto found = need(retriever.search(question_of(query), options));
    Json documents = Json::array();
    std::map<std::string, bool> seen;
    for (const auto& hit : found.hits) {
      if (seen.emplace(hit.path, true).second) documents.push_back({hit.path, hit.score});
    }
    std::puts(dump_json({{"_id", id_of(query)}, {"documents", documents}, {"ms", found.milliseconds}}).c_str());
  }
}

// As `phial ask` searches; the second round counts, when the vectors are in memory.
void time_search(rag::Store& store, rag::Embedder& embedder, const std::string& queries) {
  rag::Retriever retriever(store, embedder);
  const auto read = read_lines(queries);
  for (const Json& query : read) need(retriever.search(question_of(query), {}));
  for (const Json& query : read) {
    const auto found = need(retriever.search(question_of(query), {}));
    std::puts(dump_json({{"_id", id_of(query)}, {"ms", found.milliseconds}}).c_str());
  }
}

void signs(rag::Store& store, rag::Embedder& embedder, const std::string& queries) {
  rag::Retriever retriever(store, embedder);
  for (const Json& query : read_lines(queries)) {
    const std::string question = question_of(query);
    const auto found = need(retriever.search(question, {}));
    const auto evidence = need(rag::Evidence::make(question, found.hits, store, embedder, 5));
    const auto seen = rag::signs_of(evidence);
    Json texts = Json::array();
    for (const auto& hit : found.hits) texts.push_back({{"path", hit.path}, {"text", hit.passage.text}});
    std::puts(dump_json({{"_id", id_of(query)},
                         {"signs", rag::to_json(seen)},
                         {"confidence", rag::confidence(seen)},
                         {"hits", texts}})
                  .c_str());
  }
}

// The passages of one document as if they had been found.
std::vector<rag::Hit> hits_of(rag::Store& store, const std::string& document) {
  std::vector<rag::Hit> hits;
  const auto file = need(store.file(document));
  if (!file) return hits;
  for (auto& passage : need(store.passages_of(file->content_id))) {
    rag::Hit hit;
    hit.parts = {{passage.start, passage.page, passage.heading}};
    hit.passage = std::move(passage);
    hit.path = document;
    hits.push_back(std::move(hit));
  }
  return hits;
}

// For each claim beside the document that it names: how the check judges each passage's best statement, best first.
void support(rag::Store& store, rag::Embedder& embedder, const std::string& queries) {
  for (const Json& query : read_lines(queries)) {
    const auto hits = hits_of(store, field(query, "document"));
    if (hits.empty()) continue;
    const std::string claim = question_of(query);
    const auto made = need(rag::Evidence::make(claim, hits, store, embedder, hits.size()));
    const rag::CitationCheck check(made, embedder);
    Json judged = Json::array();
    for (const auto& one : need(check.judge(claim))) {
      Json sentences = Json::array();  // bytes of the document
      for (const auto& sentence : made.sentences().subspan(one.first, one.last - one.first + 1)) {
        const uint64_t base = hits[sentence.hit].passage.start;
        sentences.push_back({base + sentence.span.start, base + sentence.span.end});
      }
      judged.push_back({{"supports", rag::supports(one)},
                        {"sentences", sentences},
                        {"words", one.words},
                        {"own_words", one.own_words},
                        {"cosine", one.cosine},
                        {"numbers", one.numbers},
                        {"negations", one.negations}});
    }
    std::puts(dump_json({{"_id", id_of(query)}, {"document", field(query, "document")}, {"judged", judged}}).c_str());
  }
}

void ask(rag::Store& store, rag::Embedder& embedder, const std::string& queries) {
  for (const Json& query : read_lines(queries)) {
    generate::FakeModel model({field(query, "draft")}, 8192);
    model.n_parameters = static_cast<uint64_t>(find_int(query, "parameters").value_or(0));
    rag::Answerer answerer(store, embedder, query.contains("draft") ? &model : nullptr);
    Json json = rag::to_json(need(answerer.answer(question_of(query), {}, {}, nullptr)));
    json["_id"] = id_of(query);
    std::puts(dump_json(json).c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: rag_probe EMBEDDER LIBRARY index|add|search|time|signs|support|ask ARGUMENTS\n");
    return 2;
  }
  const std::string command = argv[3];
  ThreadPool pool(usable_cores());
  const auto embedder = open_embedder(argv[1], pool);
  const auto store = need(rag::Store::open(argv[2], embedder->identity()));
  if (command == "index") index_corpus(*store, *embedder, argv[4], argc > 5);
  if (command == "add" && argc > 5) add_folder(*store, *embedder, argv[4], argv[5]);
  if (command == "search") search(*store, *embedder, argv[4], argc > 5 ? argv[5] : nullptr);
  if (command == "time") time_search(*store, *embedder, argv[4]);
  if (command == "signs") signs(*store, *embedder, argv[4]);
  if (command == "support") support(*store, *embedder, argv[4]);
  if (command == "ask") ask(*store, *embedder, argv[4]);
  return 0;
}
