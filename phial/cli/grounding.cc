#include "phial/cli/grounding.h"

#include <algorithm>

#include "phial/cli/home.h"
#include "phial/rag/graphemes.h"
#include "phial/rag/open_embedder.h"
#include "phial/rag/sentences.h"

namespace phial::cli {
namespace {

// Text of a document on one line; rows of a table stay apart.
std::string quotable(std::string_view text) {
  std::string quote;
  bool after_row = false;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    at = end + 1;
    if (line.empty()) continue;
    const bool is_row = rag::is_row(line);
    if (!quote.empty()) quote += is_row || after_row ? " / " : " ";
    quote += line;
    after_row = is_row;
  }
  return one_line(quote);
}

}  // namespace

void GroundingFlags::describe(Flags& flags) {
  flags.add("-d,--docs", &docs, "PATH", "files and folders; indexed first if new or changed").offers(Completes::kPath);
  flags.add("-l,--library", &library, "NAME", "a library; --docs go into it").offers(Completes::kLibrary);
}

void GroundingFlags::describe_details(Flags& flags) {
  flags.group("How it searches");
  flags.add("--embedder", &embedder, "M", "the model that passages are searched with").offers(Completes::kModel);
  flags.add("-k,--passages", &passages, "N", "at most N passages are considered").between(1, 100);
  flags.add("--passage-tokens", &passage_tokens, "N", "at most N tokens of passages go into the prompt")
      .between(64, 1 << 20);
  flags.add("--figures", &figures, "N", "a model that sees is shown at most N pictures of the passages; 0: none")
      .between(0, 16);
  filter.describe(flags);
  scan.describe(flags);
}

Status GroundingFlags::check() const {
  PHIAL_CHECKED(filter.filter());
  return library ? check_library_name(*library) : ok();
}

std::string GroundingFlags::library_name() const {
  if (library) return *library;
  return docs.empty() ? kDefaultLibrary : library_name_for(docs);
}

Result<rag::AnswerOptions> GroundingFlags::answer_options(const SamplingFlags& sampling) const {
  rag::AnswerOptions options;
  options.search.k = static_cast<size_t>(passages);
  PHIAL_TRY(options.search.filter, filter.filter());
  options.passage_tokens = passage_tokens;
  options.figures = figures;
  options.max_tokens = sampling.chosen_max_tokens();
  options.sampling = sampling.chosen();
  options.stop = sampling.stop;
  return options;
}

Result<Grounding> Grounding::open(const GroundingFlags& flags, const ComputeFlags& compute, ThreadPool& pool,
                                  Console& console) {
  const std::string name = flags.library_name();
  if (flags.docs.empty()) {
    // Before a model is loaded for a library that is not there.
    auto exists = open_library(name);
    if (!exists && !flags.library && exists.error().code == Code::kNotFound) {
      return Error{Code::kNotFound, "no documents were named, and there is no default library yet",
                   "name them with --docs PATH, or 'phial add PATH' first"};
    }
    if (!exists) return std::move(exists).error();
  } else {
    PHIAL_CHECKED(check_paths(flags.docs, console));
  }
  PHIAL_TRY(const auto model, find_model(flags.embedder, ModelUse::kSearch));
  Grounding grounding;
  PHIAL_TRY(grounding.embedder, rag::open_embedder(model, compute.chosen_precision(), compute.load_mode(), pool));
  PHIAL_TRY(grounding.store, make_library(name, *grounding.embedder));
  if (!flags.docs.empty()) {
    PHIAL_TRY(const auto report, ingest_with_progress(*grounding.store, *grounding.embedder, flags.docs,
                                                      flags.scan.options(console.stopped()), console));
    if (report.added + report.changed + report.removed + report.linked > 0) {
      console.note("indexed: " + report_text(report));
    }
    const bool has_failures = report.problems.size() + report.failed_before.size() > 0;
    if (has_failures && report.added + report.changed + report.linked + report.unchanged == 0) {
      const auto& problems = report.problems.empty() ? report.failed_before : report.problems;
      const rag::IngestProblem& first = problems.front();
      const bool is_only_one = report.problems.size() + report.failed_before.size() == 1;
      return Error{Code::kUnsupported,
                   "none of the files could be read (" + (is_only_one ? first.path : std::string("--docs")) + ")",
                   is_only_one
                       ? Error{Code::kUnsupported, without_place(first.message, first.path), first.remedy}.text()
                       : "'phial library show --library " + name + "' lists the reasons"};
    }
  }
  PHIAL_TRY(const auto totals, grounding.store->totals());
  if (totals.passages > 0) return grounding;
  if (!flags.library && !flags.docs.empty()) {
    return Error{Code::kNotFound, "what --docs names holds no documents", "name files, or folders that hold some"};
  }
  return Error{Code::kNotFound, "the library '" + name + "' holds no passages",
               "add documents with 'phial add " + (flags.library ? "--library " + name + " " : "") + "PATH'"};
}

std::string citations_text(const rag::Answer& answer) {
  std::string text;
  for (const rag::Citation& citation : answer.citations) {
    text += "[" + std::to_string(citation.n) + "] " + shown_path(citation.path);
    if (citation.page > 0) text += ", page " + std::to_string(citation.page);
    text += figures_text(citation.figures);
    if (!citation.heading.empty()) text += ", " + one_line(citation.heading);
    // The sentence that carries the answer, where the check named one; else the passage's beginning.
    const bool has_evidence = citation.evidence_end > citation.evidence_start &&
                              citation.evidence_start >= citation.start && citation.evidence_end <= citation.end &&
                              citation.evidence_end - citation.start <= citation.text.size();
    std::string quote = has_evidence ? citation.text.substr(citation.evidence_start - citation.start,
                                                            citation.evidence_end - citation.evidence_start)
                                     : citation.text;
    constexpr size_t kLongest = 240;
    quote = quotable(quote);
    if (quote.size() > kLongest) {
      const size_t space = quote.rfind(' ', kLongest);
      const bool is_near = space != std::string::npos && space > kLongest / 2;
      quote = quote.substr(0, is_near ? space : rag::grapheme_floor(quote, kLongest)) + " ...";
    }
    text += "\n    \"" + quote + "\"\n";
  }
  return text;
}

}  // namespace phial::cli
