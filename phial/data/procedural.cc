#include "phial/data/procedural.h"

#include <array>
#include <cstddef>

#include "phial/base/json.h"
#include "phial/base/output_file.h"
#include "phial/data/kind_table.h"
#include "phial/data/pick.h"

namespace phial::data {
namespace {

struct ExerciseKind {
  std::string_view name;
  Exercise (*make)(Random& random, int level);
};

constexpr std::array<ExerciseKind, 7> kExerciseKinds = {{{"arithmetic", make_arithmetic},
                                                         {"logic", make_logic},
                                                         {"problems", make_problem},
                                                         {"sequences", make_sequence},
                                                         {"stories", make_story},
                                                         {"time", make_time},
                                                         {"words", make_word_exercise}}};

constexpr auto kExerciseKindNames = names_of(kExerciseKinds);

constexpr size_t kWriteBytes = size_t{1} << 20;  // held before they are written

std::string as_text(Random& random, const Exercise& exercise) {
  const std::string passage = exercise.passage.empty() ? "" : exercise.passage + "\n";
  switch (random.below(3)) {
    case 0:
      return passage + "Question: " + exercise.question + "\nAnswer: " + exercise.answer + "\n";
    case 1:
      return passage + "Q: " + exercise.question + "\nA: " + exercise.answer + "\n";
    default:
      return passage + exercise.question + "\n" + exercise.answer + "\n";
  }
}

Json as_row(Random& random, const Exercise& exercise, RowForm form, std::string_view kind) {
  if (form == RowForm::kText) return {{"text", as_text(random, exercise)}, {"kind", kind}};
  const std::string asked = exercise.passage.empty() ? exercise.question : exercise.passage + "\n" + exercise.question;
  return {{"messages", {{{"role", "user"}, {"content", asked}}, {{"role", "assistant"}, {"content", exercise.answer}}}},
          {"kind", kind}};
}

}  // namespace

std::span<const std::string_view> exercise_kinds() { return kExerciseKindNames; }

Result<ProceduralReport> write_procedural(const std::filesystem::path& out, const ProceduralOptions& options,
                                          const std::stop_token& stop,
                                          const std::function<void(const ProceduralReport&)>& on_progress) {
  PHIAL_TRY(const auto kinds, kinds_named(kExerciseKinds, options.kinds, "exercises"));
  ProceduralReport report;
  const auto is_full = [&](uint64_t rows) {
    return (options.rows > 0 && rows >= options.rows) || (options.bytes > 0 && report.bytes >= options.bytes);
  };
  const auto write = [&](const std::filesystem::path& partial) -> Status {
    PHIAL_TRY(OutputFile file, OutputFile::create(partial));
    std::string waiting;
    for (uint64_t row = 0; !is_full(row); ++row) {
      Random random = random_of(options.seed, row);
      const ExerciseKind& kind = *pick(random, kinds);
      const int level = static_cast<int>(number_between(random, options.easiest, options.hardest));
      Exercise exercise = kind.make(random, level);
      while (part_of(exercise.content) != options.part) exercise = kind.make(random, level);
      const std::string line = dump_json(as_row(random, exercise, options.form, kind.name)) + "\n";
      waiting += line;
      report.bytes += line.size();
      ++report.rows[std::string(kind.name)];
      if (waiting.size() < kWriteBytes) continue;
      if (stop.stop_requested()) return Error{Code::kCancelled, "stopped", ""};
      PHIAL_CHECKED(file.write(std::as_bytes(std::span(waiting))));
      waiting.clear();
      on_progress(report);
    }
    PHIAL_CHECKED(file.write(std::as_bytes(std::span(waiting))));
    return file.finish();
  };
  PHIAL_CHECKED(write_beside(out, write));
  return report;
}

}  // namespace phial::data
