#include "phial/data/render.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <utility>

#include "phial/base/json.h"
#include "phial/base/output_file.h"
#include "phial/data/font.h"
#include "phial/data/kind_table.h"
#include "phial/data/page.h"
#include "phial/data/pick.h"
#include "phial/data/pictures/picture.h"
#include "phial/formats/image_writer.h"

namespace phial::data {
namespace fs = std::filesystem;
namespace {

struct PictureKind {
  std::string_view name;
  Picture (*make)(Random& random, int size);
};

constexpr std::array<PictureKind, 7> kPictureKinds = {{{"bar_chart", make_bar_chart},
                                                       {"line_chart", make_line_chart},
                                                       {"pie_chart", make_pie_chart},
                                                       {"table", make_table},
                                                       {"shapes", make_shapes},
                                                       {"geometry", make_geometry},
                                                       {"ocr_lines", make_ocr_lines}}};

constexpr auto kPictureKindNames = names_of(kPictureKinds);

// So many that a size at which one picture in a hundred is legible still serves.
constexpr int kMostTries = 2000;
// Pictures between two reports of progress.
constexpr uint64_t kPictureBatch = 64;

Result<std::vector<Font>> open_fonts(const std::vector<fs::path>& paths) {
  std::vector<Font> fonts;
  for (const fs::path& path : paths) {
    PHIAL_TRY(Font font, Font::open(path));
    fonts.push_back(std::move(font));
  }
  return fonts;
}

struct DrawnPicture {
  const PictureKind* kind;
  std::vector<Question> questions;
  formats::Image image;
};

// Up to `most`, no two in the same words.
std::vector<Question> ask_several(const Picture& picture, int most, Random& random) {
  constexpr int kTriesEach = 8;  // some figures answer one question alone
  std::vector<Question> asked;
  for (int tries = 0; tries < kTriesEach * most && std::ssize(asked) < most; ++tries) {
    Question question = picture.ask(random);
    if (std::ranges::find(asked, question.text, &Question::text) == asked.end()) asked.push_back(std::move(question));
  }
  return asked;
}

// The index-th picture: the first one made that belongs to the part and is legible. kCancelled once it `is_over`.
Result<DrawnPicture> draw_picture(const RenderOptions& options, std::span<const PictureKind* const> kinds,
                                  std::span<Font> fonts, uint64_t index, const std::function<bool()>& is_over) {
  Random random = random_of(options.seed, index);
  const PictureKind* kind = pick(random, kinds);
  for (int tries = 0; tries < kMostTries;) {
    if (is_over()) return Error{Code::kCancelled, "stopped", ""};
    Picture picture = kind->make(random, options.size);
    if (part_of(picture.content) != options.part) continue;
    Page page(options.size, choose_style(fonts, options.size, random));
    picture.draw(page, random);
    if (page.is_legible()) {
      return DrawnPicture{kind, ask_several(picture, options.questions, random), std::move(page).take()};
    }
    ++tries;
  }
  return Error{Code::kInvalid,
               "no legible " + std::string(kind->name) + " fits into " + std::to_string(options.size) + " pixels",
               "make the pictures larger with --size, or take narrower fonts"};
}

std::string picture_name(uint64_t number) {
  std::string digits = std::to_string(number);
  digits.insert(0, digits.size() < 6 ? 6 - digits.size() : 0, '0');
  return "pictures/" + digits + ".png";
}

std::string line_of(const DrawnPicture& picture, const std::string& name) {
  Json messages = Json::array();
  for (const Question& question : picture.questions) {
    const std::string mark = messages.empty() ? "<|image_1|>\n" : "";
    messages.push_back({{"role", "user"}, {"content", mark + question.text}});
    messages.push_back({{"role", "assistant"}, {"content", question.answer}});
  }
  return dump_json({{"messages", messages}, {"images", {name}}, {"kind", picture.kind->name}}) + "\n";
}

// The fonts of one thread: FreeType's faces remember what they drew last.
using FontsOfThreads = std::vector<std::vector<Font>>;

// Draws and writes the pictures from `begin` to before `end`, and their lines to `rows`.
Status write_pictures(const fs::path& folder, OutputFile& rows, const RenderOptions& options,
                      std::span<const PictureKind* const> kinds, FontsOfThreads& fonts, uint64_t begin, uint64_t end,
                      ThreadPool& pool, const std::stop_token& stop, RenderReport& report) {
  struct Row {
    Status status = ok();
    std::string line;
    std::string_view kind;
  };
  std::vector<Row> made(end - begin);
  std::atomic<bool> has_failed = false;  // one picture: the others need not be drawn
  const auto is_over = [&] { return has_failed || stop.stop_requested(); };
  pool.run_team([&](Team& team) {
    const auto member = static_cast<size_t>(team.index());
    for (size_t i = member; i < made.size(); i += static_cast<size_t>(team.size())) {
      auto picture = draw_picture(options, kinds, fonts[member], begin + i, is_over);
      if (!picture) {
        made[i].status = std::move(picture).error();
        has_failed = true;
        return;
      }
      const std::string name = picture_name(begin + i + 1);
      made[i] = {formats::write_png(folder / name, picture->image), line_of(*picture, name), picture->kind->name};
      if (made[i].status) continue;
      has_failed = true;
      return;
    }
  });
  // What failed, not what was given up because of it.
  for (Row& row : made) {
    if (!row.status && row.status.error().code != Code::kCancelled) return std::move(row.status);
  }
  for (Row& row : made) {
    PHIAL_CHECKED(std::move(row.status));
    PHIAL_CHECKED(rows.write(std::as_bytes(std::span(row.line))));
    ++report.pictures[std::string(row.kind)];
  }
  return ok();
}

}  // namespace

std::span<const std::string_view> picture_kinds() { return kPictureKindNames; }

Result<RenderReport> render(const fs::path& out, const RenderOptions& options, ThreadPool& pool,
                            const std::stop_token& stop, const std::function<void(uint64_t done)>& on_progress) {
  PHIAL_TRY(const auto kinds, kinds_named(kPictureKinds, options.kinds, "pictures"));
  std::vector<fs::path> font_paths = options.fonts;
  if (font_paths.empty()) {
    PHIAL_TRY(font_paths, installed_fonts());
  }
  FontsOfThreads fonts;
  for (int thread = 0; thread < pool.threads(); ++thread) {
    PHIAL_TRY(std::vector<Font> own, open_fonts(font_paths));
    fonts.push_back(std::move(own));
  }
  RenderReport report;
  const auto write = [&](const fs::path& folder) -> Status {
    PHIAL_CHECKED(make_folders(folder / "pictures"));
    PHIAL_TRY(OutputFile rows, OutputFile::create(folder / "conversations.jsonl"));
    for (uint64_t begin = 0; begin < options.count; begin += kPictureBatch) {
      const uint64_t end = std::min(begin + kPictureBatch, options.count);
      PHIAL_CHECKED(write_pictures(folder, rows, options, kinds, fonts, begin, end, pool, stop, report));
      on_progress(end);
    }
    return rows.finish();
  };
  PHIAL_CHECKED(write_beside(out, write));
  return report;
}

}  // namespace phial::data
