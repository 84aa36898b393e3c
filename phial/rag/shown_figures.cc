#include "phial/rag/shown_figures.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

namespace phial::rag {
namespace {

using Clock = std::chrono::steady_clock;

// Beyond those that are shown: what cannot be drawn takes time, too.
constexpr int kMoreTried = 3;

// The reader's limits for one figure when `left` seconds are left for all; nothing if that is too little to try.
std::optional<ReaderOptions> within(ReaderOptions reader, double left) {
  constexpr int kClockShare = 2;  // the reader's clock on the wall gets twice its processor time
  if (left < 1) return std::nullopt;
  reader.seconds = std::max(1, std::min(reader.seconds, static_cast<int>(left / kClockShare)));
  reader.spare_seconds = 0;
  return reader;
}

bool is_as_read(const Hit& hit) {
  struct stat now{};
  return stat(hit.path.c_str(), &now) == 0 &&
         int64_t{now.st_mtim.tv_sec} * 1'000'000'000 + now.st_mtim.tv_nsec == hit.mtime_ns;
}

Result<generate::Picture> picture_of(const Hit& hit, const formats::Figure& figure, const FigureOptions& options,
                                     double seconds_left) {
  if (!is_as_read(hit)) {
    return Error{Code::kNotFound, "the file has changed since it was added (" + hit.path + ")", "add it again"};
  }
  const auto reader = within(options.reader, seconds_left);
  constexpr const char* kRemedy = "ask again, or have no figures shown";
  if (!reader) {
    return Error{Code::kOutOfRange,
                 "the figures took more than " + std::to_string(options.seconds) + " s to draw (" + hit.path + ")",
                 kRemedy};
  }
  auto image = draw_figure(hit.path, figure, *reader, options.cancel);
  if (image) return std::make_shared<const formats::Image>(*std::move(image));
  if (image.error().code == Code::kOutOfRange) image.error().remedy = kRemedy;
  return std::move(image).error();
}

// Several passages may tell of one figure.
bool is_among(std::span<const ShownFigure> looked_at, std::span<const Hit> hits, size_t hit,
              const formats::Figure& figure) {
  return std::ranges::any_of(looked_at, [&](const ShownFigure& other) {
    return other.figure == figure && hits[other.hit].passage.content_id == hits[hit].passage.content_id;
  });
}

}  // namespace

Result<std::vector<ShownFigure>> show_figures(GroundedPrompt& prompt, std::span<const Hit> hits,
                                              const FigureOptions& options, const generate::LanguageModel& model) {
  const auto start = Clock::now();
  std::vector<ShownFigure> looked_at;
  int shown = 0;
  for (size_t hit = 0; hit < prompt.hits_used; ++hit) {
    for (const formats::Figure& figure : hits[hit].figures) {
      const auto tried = static_cast<int>(looked_at.size());
      if (shown == options.most || tried >= options.most + kMoreTried) return looked_at;
      if (is_among(looked_at, hits, hit, figure)) continue;
      ShownFigure& one = looked_at.emplace_back(ShownFigure{.hit = hit, .figure = figure});
      const double taken = std::chrono::duration<double>(Clock::now() - start).count();
      auto picture = picture_of(hits[hit], figure, options, options.seconds - taken);
      if (!picture) {
        if (picture.error().code == Code::kCancelled) return std::move(picture).error();
        one.why_not = picture.error().text();
        continue;
      }
      GroundedPrompt with = prompt;
      with.add_picture(hit, *std::move(picture));
      const auto tokens = model.count_prompt_tokens(with.messages);
      if (!tokens) {
        if (tokens.error().code == Code::kCancelled) return tokens.error();
        one.why_not = tokens.error().text();
        continue;
      }
      with.tokens = *tokens;
      if (with.tokens + options.answer_tokens > model.context_tokens()) {
        one.why_not = "its " + std::to_string(with.tokens - prompt.tokens) + " tokens do not fit into the context of " +
                      std::to_string(model.context_tokens());
        continue;
      }
      one.tokens = with.tokens - prompt.tokens;
      prompt = std::move(with);
      ++shown;
    }
  }
  return looked_at;
}

Json to_json(const formats::Figure& figure) {
  return {{"page", figure.page > 0 ? Json(figure.page) : Json()},
          {"left", figure.left},
          {"top", figure.top},
          {"width", figure.right - figure.left},
          {"height", figure.bottom - figure.top}};
}

}  // namespace phial::rag
