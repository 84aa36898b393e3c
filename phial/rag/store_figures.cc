// The part of Store that is about figures.
#include "phial/rag/sql.h"
#include "phial/rag/store.h"

namespace phial::rag {

Status Store::put_figures(int64_t content_id, std::span<const formats::Figure> figures,
                          std::span<const ContentHash> pictures) {
  PHIAL_TRY(Statement put, database_->prepare("INSERT INTO figures (content_id, ordinal, start, end, page, left, top, "
                                              "right, bottom, picture) "
                                              "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"));
  for (size_t i = 0; i < figures.size(); ++i) {
    const formats::Figure& figure = figures[i];
    if (i < pictures.size() && !pictures[i].empty()) {
      put.bind_blob(10, std::as_bytes(std::span(pictures[i])));
    } else {
      put.bind_null(10);
    }
    PHIAL_CHECKED(put.bind(1, content_id)
                      .bind(2, static_cast<int64_t>(i))
                      .bind(3, static_cast<int64_t>(figure.start))
                      .bind(4, static_cast<int64_t>(figure.end))
                      .bind(5, int64_t{figure.page})
                      .bind_real(6, figure.left)
                      .bind_real(7, figure.top)
                      .bind_real(8, figure.right)
                      .bind_real(9, figure.bottom)
                      .run());
  }
  return ok();
}

Result<std::vector<formats::Figure>> Store::figures(int64_t content_id, uint64_t start, uint64_t end) {
  std::vector<formats::Figure> found;
  if (!has_figures_) return found;
  PHIAL_TRY(Statement statement,
            database_->prepare("SELECT start, end, page, left, top, right, bottom FROM figures "
                               "WHERE content_id = ?1 AND start < ?3 AND end > ?2 ORDER BY ordinal"));
  statement.bind(1, content_id).bind(2, static_cast<int64_t>(start)).bind(3, static_cast<int64_t>(end));
  for (;;) {
    PHIAL_TRY(const bool row, statement.step());
    if (!row) return found;
    const auto place = [&](int column) { return static_cast<float>(statement.real(column)); };
    found.push_back({static_cast<uint64_t>(statement.integer(0)), static_cast<uint64_t>(statement.integer(1)),
                     static_cast<int>(statement.integer(2)), place(3), place(4), place(5), place(6)});
  }
}

Result<std::optional<std::string>> Store::description(const ContentHash& hash, std::string_view model) {
  PHIAL_TRY(Statement statement, database_->prepare("SELECT text FROM descriptions WHERE hash = ?1 AND model = ?2"));
  PHIAL_TRY(const bool row, statement.bind_blob(1, std::as_bytes(std::span(hash))).bind(2, model).step());
  return row ? std::optional(statement.text(0)) : std::nullopt;
}

Status Store::put_description(const ContentHash& hash, std::string_view model, std::string_view text) {
  PHIAL_TRY(Statement put,
            database_->prepare("INSERT OR REPLACE INTO descriptions (hash, model, text) VALUES (?1, ?2, ?3)"));
  return put.bind_blob(1, std::as_bytes(std::span(hash))).bind(2, model).bind(3, text).run();
}

Status Store::forget_removed() {
  PHIAL_CHECKED(remove_orphans());
  return database_->exec(
      "DELETE FROM descriptions WHERE hash NOT IN (SELECT picture FROM figures WHERE picture IS NOT NULL)");
}

Result<std::vector<int64_t>> Store::to_read_again(std::string_view model, bool second_try) {
  std::vector<int64_t> found;
  if (!has_figures_) return found;
  PHIAL_TRY(Statement statement,
            database_->prepare("SELECT id FROM contents WHERE described_by = ?2 OR (?1 <> '' AND described_by <> ?1 "
                               "AND EXISTS (SELECT 1 FROM figures WHERE content_id = contents.id)) "
                               "OR (?3 AND warnings <> '' AND (described_by IN ('', ?1) "
                               "OR NOT EXISTS (SELECT 1 FROM figures WHERE content_id = contents.id)))"));
  statement.bind(1, model).bind(2, kReadWithoutFigures).bind(3, int64_t{second_try});
  for (;;) {
    PHIAL_TRY(const bool row, statement.step());
    if (!row) return found;
    found.push_back(statement.integer(0));
  }
}

Result<bool> Store::is_to_be_replaced(int64_t content_id, const Descriptions& descriptions) {
  if (content_id == 0 || descriptions.is_second_try) return content_id != 0;
  PHIAL_TRY(Statement statement, database_->prepare("SELECT described_by FROM contents WHERE id = ?1"));
  PHIAL_TRY(const bool row, statement.bind(1, content_id).step());
  if (!row || statement.text(0) == kReadWithoutFigures) return row;
  const std::string_view model = descriptions.by;
  return !model.empty() && (statement.text(0) != model || model.ends_with(kDescribedInPart));
}

}  // namespace phial::rag
