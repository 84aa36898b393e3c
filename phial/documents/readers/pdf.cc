// PDF: poppler gives words with their places and fonts; page_layout makes reading order and structure of them. Pages
// without words are pictures: they are recognised if an Ocr is at hand.
#include <poppler-document.h>
#include <poppler-global.h>
#include <poppler-image.h>
#include <poppler-page-renderer.h>
#include <poppler-page.h>
#include <poppler-toc.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "phial/base/utf8.h"
#include "phial/documents/readers/page_direction.h"
#include "phial/documents/readers/page_figures.h"
#include "phial/documents/readers/page_ink.h"
#include "phial/documents/readers/page_layout.h"
#include "phial/documents/readers/pdf_figures.h"
#include "phial/documents/readers/readers.h"
#include "phial/documents/readers/recognised.h"

namespace phial::documents {
namespace {

constexpr float kSmallestVisible = 1.5F;  // points; smaller type is there to be found by programs only
constexpr size_t kMostPages = 20'000;
constexpr size_t kMostOutlineEntries = 5'000;
constexpr double kOcrDotsPerInch = 250;
constexpr double kMostOcrPixels = 5000;  // of a side

// Letters that fonts draw as one, and the shapes of Arabic letters, taken apart.
bool is_presentation_form(char32_t c) {
  return (c >= 0xFB00 && c <= 0xFDFF) || (c >= 0xFE70 && c <= 0xFEFC) || (c >= 0x132 && c <= 0x133);
}

std::string without_presentation_forms(const std::string& text) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const DecodedChar c = decode_utf8(text, at);
    const auto length = static_cast<size_t>(c.length);
    if (is_presentation_form(c.code_point)) {
      utf8proc_uint8_t* letters = nullptr;
      const auto* one = reinterpret_cast<const utf8proc_uint8_t*>(text.data()) + at;
      const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
      const auto bytes = utf8proc_map(one, static_cast<utf8proc_ssize_t>(length), &letters, options);
      if (bytes > 0) result.append(reinterpret_cast<const char*>(letters), static_cast<size_t>(bytes));
      std::free(letters);
    } else {
      result.append(text, at, length);
    }
    at += length;
  }
  return result;
}

// poppler's strings are UTF-16; converted here because theirs asks the C library for a converter each time.
template <class Utf16>
std::string to_text(const Utf16& wide) {
  std::string text;
  for (size_t i = 0; i < wide.size(); ++i) {
    char32_t c = wide[i];
    if (c >= 0xD800 && c < 0xDC00 && i + 1 < wide.size() && wide[i + 1] >= 0xDC00 && wide[i + 1] < 0xE000) {
      c = 0x10000 + ((c - 0xD800) << 10) + (wide[++i] - 0xDC00U);
    } else if (c >= 0xD800 && c < 0xE000) {
      c = kReplacement;
    }
    append_utf8(text, c);
  }
  return without_presentation_forms(clean_text(text, WhiteSpace::kCollapse));
}

bool is_bold(const std::string& font) {
  for (const char* mark : {"Bold", "bold", "Black", "Heavy", "Semibold", "Demi", "CMBX", "SFBX"}) {
    if (font.find(mark) != std::string::npos) return true;
  }
  return false;
}

// The dots between an entry of a table of contents and its page.
bool is_leader(const std::string& word) { return word.size() >= 4 && word.find_first_not_of('.') == std::string::npos; }

std::vector<Letter> letters_of(const poppler::text_box& word) {
  const poppler::ustring text = word.text();
  const bool upright = word.rotation() % 2 == 0;
  std::vector<Letter> letters;
  for (size_t i = 0; i < text.size(); ++i) {
    const poppler::rectf place = word.char_bbox(i);
    letters.push_back({static_cast<char16_t>(text[i]), static_cast<float>(upright ? place.width() : place.height())});
  }
  return letters;
}

// Words that are drawn twice in one place, for a shadow or in bolder type, count once.
class Doubles {
 public:
  bool is_new(const PageWord& word) {
    auto& same = seen_[word.text];
    const bool found = std::any_of(same.rbegin(), same.rend(), [&](const PageWord& other) {
      constexpr float kInOnePlace = 0.7F;
      return overlap_share(word.left, word.right, other.left, other.right) >= kInOnePlace &&
             overlap_share(word.top, word.bottom, other.top, other.bottom) >= kInOnePlace;
    });
    if (found) return false;
    same.push_back(word);
    if (same.size() > kRemembered) same.pop_front();
    return true;
  }

 private:
  static constexpr size_t kRemembered = 32;  // of each text: the other one is drawn soon after
  std::unordered_map<std::string, std::deque<PageWord>> seen_;
};

// A page's words, and beside each the name of its font; and the dots that lead to page numbers.
struct PdfPage {
  PageOfWords page;
  std::vector<std::string> fonts;
  std::vector<PageWord> leaders;
};

PdfPage words_of(const poppler::page& page, int number) {
  const poppler::rectf box = page.page_rect();
  const bool turned = page.orientation() == poppler::page::landscape || page.orientation() == poppler::page::seascape;
  PageOfWords words{
      .number = number, .width = static_cast<float>(box.width()), .height = static_cast<float>(box.height())};
  std::vector<std::string> fonts;
  std::vector<PageWord> leaders;
  if (turned) std::swap(words.width, words.height);
  const std::vector<poppler::text_box> found_words = page.text_list(poppler::page::text_list_include_font);
  LetterOrder order;
  Doubles doubles;
  for (const poppler::text_box& found : found_words) {
    order.learn(letters_of(found), static_cast<float>(found.get_font_size()));
  }
  for (const poppler::text_box& found : found_words) {
    const poppler::rectf place = found.bbox();
    PageWord word{.text = to_text(order.restore(letters_of(found), static_cast<float>(found.get_font_size())))};
    word.left = static_cast<float>(place.left());
    word.top = static_cast<float>(place.top());
    word.right = static_cast<float>(place.right());
    word.bottom = static_cast<float>(place.bottom());
    word.size = found.has_font_info() ? static_cast<float>(found.get_font_size()) : word.bottom - word.top;
    word.rotation = found.rotation();
    const std::string font = found.has_font_info() ? found.get_font_name() : "";
    word.bold = is_bold(font);
    word.space_after = found.has_space_after();
    const bool on_page = word.right > 0 && word.bottom > 0 && word.left < words.width && word.top < words.height;
    const bool finite = std::isfinite(word.left + word.right + word.top + word.bottom + word.size);
    const bool visible = finite && on_page && word.size >= kSmallestVisible;
    if (visible && is_leader(word.text)) {
      leaders.push_back(std::move(word));
    } else if (visible && !word.text.empty() && doubles.is_new(word)) {
      words.words.push_back(std::move(word));
      fonts.push_back(font);
    }
  }
  return {std::move(words), std::move(fonts), std::move(leaders)};
}

// Words that someone who looks at the pages does not see are left out. A word that leaves no ink may also be one whose
// font this machine lacks, or that stands over a picture which cannot be drawn: it goes only if its font can be drawn.
class UnseenWords {
 public:
  // At page `n` of those that remove() gets; `pixels` is its picture in colour.
  void look(size_t n, const Pixels& pixels, float pixels_per_point, const PdfPage& found) {
    const auto unseen = words_without_ink(pixels, pixels_per_point, found.page.words);
    const bool blank = is_blank(pixels);
    for (size_t i = 0; i < unseen.size(); ++i) {
      if (unseen[i]) {
        unseen_[n].push_back({i, found.fonts[i], blank});
      } else {
        drawn_.insert(found.fonts[i]);
      }
    }
  }

  // Returns how many words went.
  size_t remove(const poppler::document& document, std::span<PageOfWords> pages) {
    size_t removed = 0;
    for (const auto& [n, unseen] : unseen_) {
      for (auto word = unseen.rbegin(); word != unseen.rend(); ++word) {
        if (!can_be_drawn(document, *word)) continue;
        pages[n].words.erase(pages[n].words.begin() + static_cast<ptrdiff_t>(word->index));
        ++removed;
      }
    }
    return removed;
  }

 private:
  struct Word {
    size_t index = 0;
    std::string font;
    bool on_blank_page = false;
  };

  bool can_be_drawn(const poppler::document& document, const Word& word) {
    if (drawn_.contains(word.font)) return true;
    if (word.on_blank_page) return false;
    if (!embedded_) {
      embedded_.emplace();
      for (const poppler::font_info& font : document.fonts()) {
        if (font.is_embedded()) embedded_->insert(font.name());
      }
    }
    return embedded_->contains(word.font);
  }

  std::map<size_t, std::vector<Word>> unseen_;  // by page
  std::unordered_set<std::string> drawn_;       // fonts of words that left ink
  std::optional<std::unordered_set<std::string>> embedded_;
};

void gather_outline(const poppler::toc_item& item, int level, std::vector<OutlineEntry>& outline) {
  constexpr int kDeepest = 6;
  for (const poppler::toc_item* child : item.children()) {
    if (outline.size() >= kMostOutlineEntries) return;
    outline.push_back({to_text(child->title()), level});
    if (level < kDeepest) gather_outline(*child, level + 1, outline);
  }
}

std::vector<OutlineEntry> outline_of(const poppler::document& document) {
  std::vector<OutlineEntry> outline;
  const std::unique_ptr<poppler::toc> toc(document.create_toc());
  if (toc != nullptr && toc->root() != nullptr) gather_outline(*toc->root(), 1, outline);
  return outline;
}

// "Microsoft Word - letter.doc" and file names are what programs fill in, not titles.
bool is_real_title(const std::string& title) {
  for (const char* ending : {".doc", ".docx", ".pdf", ".tex", ".dvi", ".indd", ".odt", ".rtf", ".qxd"}) {
    if (title.ends_with(ending)) return false;
  }
  return title.size() >= 3 && !title.starts_with("Microsoft ") && title.front() != '(' && title != "untitled" &&
         title != "Untitled";
}

Result<PageOfWords> recognise_page(const poppler::page& page, int number, Ocr& ocr) {
  const poppler::rectf box = page.page_rect();
  const double longest = std::max({box.width(), box.height(), 1.0});
  const double dots = std::min(kOcrDotsPerInch, kMostOcrPixels * 72 / longest);
  poppler::page_renderer renderer;
  renderer.set_image_format(poppler::image::format_gray8);
  const poppler::image picture = renderer.render_page(&page, dots, dots);
  if (!picture.is_valid()) {
    return Error{Code::kCorrupt, "page " + std::to_string(number) + " cannot be drawn", "open it in a PDF viewer"};
  }
  const Pixels pixels{reinterpret_cast<const uint8_t*>(picture.const_data()), picture.width(), picture.height(), 1,
                      picture.bytes_per_row()};
  PHIAL_TRY(const OcrPage recognised, ocr.recognise(pixels, static_cast<int>(dots)));
  return page_of_recognised(recognised, number, 72 / dots);
}

constexpr size_t kFewWords = 12;  // a stamp or a running line, not what a page says

constexpr int kCells = 8;  // of a page, across and down

// How many cells of the page have ink beyond its words; nothing if it cannot be drawn.
std::optional<size_t> inked_cells(const poppler::page& page, const PageOfWords& words) {
  constexpr double kDotsPerInch = 36;
  constexpr int kDark = 160;
  poppler::page_renderer renderer;
  renderer.set_image_format(poppler::image::format_gray8);
  const poppler::image picture = renderer.render_page(&page, kDotsPerInch, kDotsPerInch);
  if (!picture.is_valid()) return std::nullopt;
  std::array<bool, static_cast<size_t>(kCells) * kCells> inked = {};
  const auto is_word = [&](int x, int y) {
    constexpr float kPoints = 72 / kDotsPerInch;
    const auto px = static_cast<float>(x) * kPoints, py = static_cast<float>(y) * kPoints;
    return std::any_of(words.words.begin(), words.words.end(), [&](const PageWord& word) {
      return px >= word.left - kPoints && px <= word.right + kPoints && py >= word.top - kPoints &&
             py <= word.bottom + kPoints;
    });
  };
  for (int y = 0; y < picture.height(); ++y) {
    const char* row = picture.const_data() + static_cast<ptrdiff_t>(y) * picture.bytes_per_row();
    for (int x = 0; x < picture.width(); ++x) {
      if (static_cast<unsigned char>(row[x]) >= kDark || is_word(x, y)) continue;
      const int down = y * kCells / picture.height(), across = x * kCells / picture.width();
      inked[static_cast<size_t>(down) * kCells + static_cast<size_t>(across)] = true;
    }
  }
  return static_cast<size_t>(std::count(inked.begin(), inked.end(), true));
}

// Whether ink covers the page beyond its few words, as on a scan that was stamped or numbered.
bool is_covered(const poppler::page& page, const PageOfWords& words) {
  constexpr size_t kCovered = kCells * kCells / 3;
  return inked_cells(page, words).value_or(0) >= kCovered;
}

class PdfReader {
 public:
  PdfReader(ReaderJob& job, const poppler::document& document) : job_(job), document_(document) {}

  Status read() {
    PHIAL_CHECKED(gather_pages());
    remove_running_lines(pages_);
    remove_repeated_figures(figures_);
    std::vector<PageParagraph> paragraphs;
    for (PageOfWords& page : pages_) {
      const int number = page.number;
      auto laid_out = lay_out(std::move(page));
      const auto figure = std::ranges::find(figures_, number, &PageFigure::page);
      if (laid_out.empty() && figure != figures_.end()) laid_out.push_back(name_of(*figure));
      std::move(laid_out.begin(), laid_out.end(), std::back_inserter(paragraphs));
    }
    find_headings(paragraphs, outline_of(document_));
    if (const std::string title = to_text(document_.get_title()); is_real_title(title)) job_.builder.set_title(title);
    write_paragraphs(paragraphs, job_.builder);
    add_figures(figures_, job_.builder);
    report_missing();
    return ok();
  }

 private:
  Status gather_pages() {
    const auto all = static_cast<size_t>(std::max(document_.pages(), 0));
    if (all == 0) return Error{Code::kCorrupt, "the PDF file has no pages", "it may be damaged: get it again"};
    size_t count = std::min(all, kMostPages);
    if (job_.options.max_pages > 0) count = std::min(count, static_cast<size_t>(job_.options.max_pages));
    if (count < all) {
      job_.builder.warn("only the first " + std::to_string(count) + " of " + std::to_string(all) + " pages were read");
    }
    for (size_t i = 0; i < count; ++i) {
      const int number = static_cast<int>(i) + 1;
      const std::unique_ptr<poppler::page> page(document_.create_page(static_cast<int>(i)));
      if (page == nullptr) {
        job_.builder.warn("page " + std::to_string(number) + " is damaged");
        continue;
      }
      pages_.push_back(read_page(*page, number));
    }
    if (const size_t removed = unseen_words_.remove(document_, pages_); removed > 0) {
      job_.builder.leave_out("text that the pages hide was left out (" + std::to_string(removed) + " words)");
    }
    for (const PageOfWords& page : pages_) {
      if (page.words.empty()) missing_.push_back(page.number);
    }
    const bool none = missing_.size() == pages_.size();
    if (!none) return ok();
    if (job_.options.ocr == nullptr) {
      job_.ocr_would_help = true;
      return Error{Code::kUnsupported,
                   "the PDF file has no text: its " +
                       (count == 1 ? std::string("page is a picture") : std::to_string(count) + " pages are pictures"),
                   "install Tesseract (apt install tesseract-ocr) and add it again"};
    }
    return Error{Code::kUnsupported, "the PDF file has no text, and none was recognised in its pictures",
                 "scan it again, larger and straighter"};
  }

  PageOfWords read_page(const poppler::page& page, int number) {
    PdfPage found = words_of(page, number);
    const bool is_empty = found.page.words.empty();
    if (is_empty && has_time() && inked_cells(page, found.page) == 0) blank_.insert(number);
    if (is_empty || may_be_scan(page, found.page)) {
      PageOfWords words = recognised(page, number, is_empty);
      if (words.words.size() > 2 * found.page.words.size()) {
        look_at(page, found, &words);
        return words;
      }
    }
    look_at(page, found, nullptr);
    return std::move(found.page);
  }

  // Words that are not seen, and what is drawn beside words. `recognised`: a scan, which hides none.
  void look_at(const poppler::page& page, const PdfPage& found, const PageOfWords* recognised) {
    if (!has_time()) return;
    constexpr double kMostPixels = 2500;  // of a side
    const double longest = std::max({found.page.width, found.page.height, 1.0F});
    const double scale = std::min(1.0, kMostPixels / longest);
    poppler::page_renderer renderer;
    renderer.set_render_hint(poppler::page_renderer::antialiasing, true);
    renderer.set_render_hint(poppler::page_renderer::text_antialiasing, true);
    renderer.set_image_format(poppler::image::format_rgb24);
    const poppler::image picture = renderer.render_page(&page, 72 * scale, 72 * scale);
    if (!picture.is_valid()) return;
    const Pixels pixels{reinterpret_cast<const uint8_t*>(picture.const_data()), picture.width(), picture.height(), 3,
                        picture.bytes_per_row()};
    const auto pixels_per_point = static_cast<float>(scale);
    if (recognised == nullptr) unseen_words_.look(pages_.size(), pixels, pixels_per_point, found);
    PageOfWords covered = recognised != nullptr ? *recognised : found.page;
    covered.words.insert(covered.words.end(), found.leaders.begin(), found.leaders.end());
    auto drawn = find_figures(pixels, pixels_per_point, covered);
    std::move(drawn.begin(), drawn.end(), std::back_inserter(figures_));
  }

  static double seconds_spent() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

  // To draw pages: milliseconds each, but for maps and the like.
  bool has_time() const {
    const double limit = job_.options.ocr_seconds;
    return limit <= 0 || seconds_spent() < limit / 2;
  }

  bool may_be_scan(const poppler::page& page, const PageOfWords& words) const {
    return words.words.size() < kFewWords && has_time() && is_covered(page, words);
  }

  // `must`: the page has no other text.
  PageOfWords recognised(const poppler::page& page, int number, bool must) {
    PageOfWords none{.number = number};
    if (job_.options.ocr == nullptr) {
      job_.ocr_would_help |= !blank_.contains(number);
      return none;
    }
    if (job_.options.ocr_seconds > 0 && seconds_spent() > job_.options.ocr_seconds) {
      if (must && !std::exchange(is_out_of_time_, true))
        job_.builder.warn("time ran out before page " + std::to_string(number) +
                          ": from there on scans were not recognised");
      return none;
    }
    auto words = recognise_page(page, number, *job_.options.ocr);
    if (words) return *std::move(words);
    if (must) job_.builder.warn(words.error().message);
    return none;
  }

  void report_missing() {
    std::erase_if(missing_, [this](int page) { return blank_.contains(page); });
    if (missing_.empty()) return;
    std::string list;
    constexpr size_t kNamed = 10;
    size_t at = 0;
    for (size_t named = 0; at < missing_.size() && named < kNamed; ++named) {
      size_t last = at;
      while (last + 1 < missing_.size() && missing_[last + 1] == missing_[last] + 1) ++last;
      list.append(at > 0 ? ", " : "").append(std::to_string(missing_[at]));
      if (last > at) list.append(last > at + 1 ? " to " : ", ").append(std::to_string(missing_[last]));
      at = last + 1;
    }
    if (at < missing_.size()) list += " and " + std::to_string(missing_.size() - at) + " more";
    job_.lack((missing_.size() == 1 ? "no text on page " : "no text on pages ") + list);
  }

  ReaderJob& job_;
  const poppler::document& document_;
  std::vector<PageOfWords> pages_;
  std::vector<int> missing_;
  std::unordered_set<int> blank_;  // of these pages, those that show nothing either
  bool is_out_of_time_ = false;
  UnseenWords unseen_words_;
  std::vector<PageFigure> figures_;
};

void say_nothing(const std::string&, void*) {}

Result<std::unique_ptr<poppler::document>> open_pdf(std::string_view bytes) {
  poppler::set_debug_error_function(say_nothing, nullptr);
  if (bytes.size() > INT_MAX) {
    return Error{Code::kOutOfRange, "the PDF file is larger than 2 GiB", "split it"};
  }
  std::unique_ptr<poppler::document> document(
      poppler::document::load_from_raw_data(bytes.data(), static_cast<int>(bytes.size())));
  if (document == nullptr) {
    return Error{Code::kCorrupt, "the PDF file is damaged: it has no readable structure", "get it again"};
  }
  if (document->is_locked()) {
    return Error{Code::kUnsupported, "the PDF file is protected by a password",
                 "save a copy without the password and add that"};
  }
  return document;
}

}  // namespace

Status read_pdf(ReaderJob& job) {
  PHIAL_TRY(const auto document, open_pdf(job.source.bytes));
  return PdfReader(job, *document).read();
}

Result<formats::Image> draw_pdf(const Source& source, const formats::Figure& figure) {
  PHIAL_TRY(const auto document, open_pdf(source.bytes));
  const bool has_page = figure.page >= 1 && figure.page <= document->pages();
  const std::unique_ptr<poppler::page> page(has_page ? document->create_page(figure.page - 1) : nullptr);
  if (page == nullptr) return Error{Code::kInvalid, "there is no page " + std::to_string(figure.page), ""};
  constexpr double kDotsPerInch = 200, kMostPixels = 2000;  // of a side
  const double longest = std::max({figure.right - figure.left, figure.bottom - figure.top, 1.0F});
  const double dots = std::min(kDotsPerInch, kMostPixels * 72 / longest);
  const auto pixels = [&](float points) { return static_cast<int>(std::lround(points * dots / 72)); };
  poppler::page_renderer renderer;
  renderer.set_render_hint(poppler::page_renderer::antialiasing, true);
  renderer.set_render_hint(poppler::page_renderer::text_antialiasing, true);
  renderer.set_image_format(poppler::image::format_rgb24);
  const poppler::image picture = renderer.render_page(page.get(), dots, dots, pixels(figure.left), pixels(figure.top),
                                                      std::max(1, pixels(figure.right) - pixels(figure.left)),
                                                      std::max(1, pixels(figure.bottom) - pixels(figure.top)));
  if (!picture.is_valid()) {
    return Error{Code::kCorrupt, "page " + std::to_string(figure.page) + " cannot be drawn", "open it in a PDF viewer"};
  }
  formats::Image image{.width = picture.width(), .height = picture.height()};
  const auto row = static_cast<size_t>(image.width) * 3;
  for (int y = 0; y < image.height; ++y) {
    const auto* bytes =
        reinterpret_cast<const uint8_t*>(picture.const_data()) + static_cast<ptrdiff_t>(y) * picture.bytes_per_row();
    image.rgb.insert(image.rgb.end(), bytes, bytes + row);
  }
  return image;
}

}  // namespace phial::documents
