#include "phial/documents/ocr.h"

#include <dlfcn.h>

#include <array>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <span>
#include <utility>

namespace phial::documents {
namespace {

// The few functions of Tesseract's and Leptonica's C interfaces that are called, declared here because the headers need
// not be installed.
struct Pix;
struct TessBaseApi;
struct Api {
  TessBaseApi* (*create)() = nullptr;
  void (*destroy)(TessBaseApi*) = nullptr;
  int (*init)(TessBaseApi*, const char* data_folder, const char* languages) = nullptr;
  void (*set_image)(TessBaseApi*, const unsigned char*, int width, int height, int bytes_per_pixel,
                    int bytes_per_line) = nullptr;
  void (*set_pix)(TessBaseApi*, Pix*) = nullptr;
  void (*set_resolution)(TessBaseApi*, int dots_per_inch) = nullptr;
  int (*recognise)(TessBaseApi*, void* monitor) = nullptr;
  char* (*tsv)(TessBaseApi*, int page) = nullptr;
  void (*free_text)(const char*) = nullptr;
  void (*clear)(TessBaseApi*) = nullptr;
  Pix* (*picture_of)(TessBaseApi*) = nullptr;

  Pix* (*read_picture)(const unsigned char*, size_t) = nullptr;
  int (*read_header)(const unsigned char*, size_t, int* format, int* width, int* height, int* bits, int* samples,
                     int* has_colors) = nullptr;
  void (*free_picture)(Pix**) = nullptr;
  int (*picture_resolution)(Pix*) = nullptr;
  Pix* (*turn)(Pix*, int quarters) = nullptr;
  int (*set_messages)(int severity) = nullptr;
};

constexpr int kNoMessages = 6;               // Leptonica's L_SEVERITY_NONE
constexpr int64_t kMaxPixels = 120'000'000;  // an A3 page at 600 dpi has 70 million

template <class Function>
bool find(void* library, const char* name, Function** function) {
  *function = reinterpret_cast<Function*>(dlsym(library, name));
  return *function != nullptr;
}

void* open_first(std::span<const char* const> names) {
  for (const char* name : names) {
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
  }
  return nullptr;
}

bool load(Api* api) {
  static constexpr std::array kTesseract = {"libtesseract.so.5", "libtesseract.so.4"};
  static constexpr std::array kLeptonica = {"liblept.so.5", "libleptonica.so.6"};
  void* const tesseract = open_first(kTesseract);
  void* const leptonica = open_first(kLeptonica);
  if (tesseract == nullptr || leptonica == nullptr) return false;
  // In the cage no threads can be made: OpenMP, where Tesseract was built with it, is told to run its regions in one.
  void (*set_levels)(int) = nullptr;
  if (find(tesseract, "omp_set_max_active_levels", &set_levels)) set_levels(0);
  return find(tesseract, "TessBaseAPICreate", &api->create) && find(tesseract, "TessBaseAPIDelete", &api->destroy) &&
         find(tesseract, "TessBaseAPIInit3", &api->init) && find(tesseract, "TessBaseAPISetImage", &api->set_image) &&
         find(tesseract, "TessBaseAPISetImage2", &api->set_pix) &&
         find(tesseract, "TessBaseAPISetSourceResolution", &api->set_resolution) &&
         find(tesseract, "TessBaseAPIRecognize", &api->recognise) &&
         find(tesseract, "TessBaseAPIGetTsvText", &api->tsv) && find(tesseract, "TessDeleteText", &api->free_text) &&
         find(tesseract, "TessBaseAPIClear", &api->clear) &&
         find(tesseract, "TessBaseAPIGetInputImage", &api->picture_of) &&
         find(leptonica, "pixRotateOrth", &api->turn) && find(leptonica, "pixReadMem", &api->read_picture) &&
         find(leptonica, "pixReadHeaderMem", &api->read_header) && find(leptonica, "pixDestroy", &api->free_picture) &&
         find(leptonica, "pixGetXRes", &api->picture_resolution) &&
         find(leptonica, "setMsgSeverity", &api->set_messages);
}

// The lines of Tesseract's table: level page block paragraph line word left top width height confidence text.
// Level 1 is the page, whose width and height are the picture's; level 5 is a word.
bool parse_line(std::string_view line, OcrPage* page) {
  std::array<std::string_view, 12> fields;
  for (size_t i = 0; i < fields.size(); ++i) {
    const size_t tab = i + 1 < fields.size() ? line.find('\t') : std::string_view::npos;
    fields[i] = line.substr(0, tab);
    if (tab == std::string_view::npos) {
      line = {};
    } else {
      line.remove_prefix(tab + 1);
    }
  }
  std::array<int, 10> numbers = {};
  for (size_t i = 0; i < numbers.size(); ++i) {
    const auto parsed = std::from_chars(fields[i].data(), fields[i].data() + fields[i].size(), numbers[i]);
    if (parsed.ec != std::errc()) return false;
  }
  if (numbers[0] == 1) {
    page->width = numbers[8];
    page->height = numbers[9];
  }
  if (numbers[0] != 5 || fields[11].find_first_not_of(' ') == std::string_view::npos) return true;
  OcrWord word{.text = std::string(fields[11]), .block = numbers[2], .paragraph = numbers[3], .line = numbers[4]};
  word.left = numbers[6];
  word.top = numbers[7];
  word.right = numbers[6] + numbers[8];
  word.bottom = numbers[7] + numbers[9];
  word.confidence = std::strtof(std::string(fields[10]).c_str(), nullptr);
  page->words.push_back(std::move(word));
  return true;
}

class Tesseract : public Ocr {
 public:
  Tesseract(const Api& api, TessBaseApi* handle) : api_(api), handle_(handle) {}
  ~Tesseract() override { api_.destroy(handle_); }

  Result<OcrPage> recognise(const Pixels& page, int dots_per_inch) override {
    api_.set_image(handle_, page.data, page.width, page.height, page.bytes_per_pixel, page.bytes_per_row);
    return upright_words(dots_per_inch);
  }

  Result<OcrPage> recognise_file(std::string_view bytes) override {
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    int format = 0, width = 0, height = 0, bits = 0, samples = 0, colors = 0;
    if (api_.read_header(data, bytes.size(), &format, &width, &height, &bits, &samples, &colors) != 0)
      return unreadable();
    if (width <= 0 || height <= 0 || static_cast<int64_t>(width) * height > kMaxPixels) {
      return Error{Code::kOutOfRange,
                   "the picture has " + std::to_string(width) + " x " + std::to_string(height) + " pixels, at most " +
                       std::to_string(kMaxPixels / 1'000'000) + " million are read",
                   "scale it down"};
    }
    Pix* picture = api_.read_picture(data, bytes.size());
    if (picture == nullptr) return unreadable();
    api_.set_pix(handle_, picture);
    const int resolution = api_.picture_resolution(picture);
    constexpr int kLikely = 150;  // of screenshots and photographs, whose files seldom tell
    auto page = upright_words(resolution >= 70 ? resolution : kLikely);
    api_.free_picture(&picture);
    return page;
  }

 private:
  static Error unreadable() {
    return {Code::kCorrupt, "the picture cannot be decoded", "open it in an image viewer and save it again as PNG"};
  }

  // Characters, each as much as it is believed in.
  static float certainty(const OcrPage& page) {
    float sum = 0;
    for (const OcrWord& word : page.words) sum += word.confidence * static_cast<float>(word.text.size());
    return sum;
  }

  static bool is_doubtful(const OcrPage& page) {
    constexpr float kBelieved = 60;
    size_t characters = 0;
    for (const OcrWord& word : page.words) characters += word.text.size();
    return certainty(page) < kBelieved * static_cast<float>(characters) || page.words.size() < 3;
  }

  // The words of a picture that was turned clockwise `quarters` times, where they stand in it as it was. `width` and
  // `height` are of that one.
  static void turn_back(OcrPage& page, int quarters, int width, int height) {
    for (OcrWord& word : page.words) {
      const OcrWord was = word;
      if (quarters == 1) {
        word.left = was.top, word.right = was.bottom, word.top = height - was.right, word.bottom = height - was.left;
      } else if (quarters == 2) {
        word.left = width - was.right, word.right = width - was.left;
        word.top = height - was.bottom, word.bottom = height - was.top;
      } else {
        word.left = width - was.bottom, word.right = width - was.top, word.top = was.left, word.bottom = was.right;
      }
      word.rotation = 4 - quarters;
    }
    page.width = width;
    page.height = height;
  }

  // Of the picture that was set. One that gives little is tried in the other three positions, if that is quick.
  Result<OcrPage> upright_words(int dots_per_inch) {
    constexpr double kQuickSeconds = 4;
    const std::clock_t begun = std::clock();
    api_.set_resolution(handle_, dots_per_inch);
    PHIAL_TRY(OcrPage best, words());
    const bool quick = static_cast<double>(std::clock() - begun) < kQuickSeconds * CLOCKS_PER_SEC;
    Pix* const picture = is_doubtful(best) && quick ? api_.picture_of(handle_) : nullptr;
    const int width = best.width, height = best.height;
    std::array<Pix*, 4> turned = {};
    for (int quarters = 1; picture != nullptr && quarters < 4; ++quarters) {
      turned[static_cast<size_t>(quarters)] = api_.turn(picture, quarters);  // before the picture is replaced
    }
    for (int quarters = 1; quarters < 4; ++quarters) {
      Pix* position = turned[static_cast<size_t>(quarters)];
      if (position == nullptr) continue;
      api_.set_pix(handle_, position);
      api_.set_resolution(handle_, dots_per_inch);
      auto page = words();
      if (page && certainty(*page) > certainty(best) && !is_doubtful(*page)) {
        best = *std::move(page);
        turn_back(best, quarters, width, height);
      }
      api_.free_picture(&position);
    }
    api_.clear(handle_);
    return best;
  }

  Result<OcrPage> words() {
    if (api_.recognise(handle_, nullptr) != 0) {
      return Error{Code::kCorrupt, "Tesseract could not make anything of the picture", "scan it again"};
    }
    char* const table = api_.tsv(handle_, 0);
    if (table == nullptr) return Error{Code::kCorrupt, "Tesseract gave no words for the picture", "scan it again"};
    OcrPage page;
    for (std::string_view left = table; !left.empty();) {
      const size_t end = left.find('\n');
      parse_line(left.substr(0, end), &page);
      left = end == std::string_view::npos ? std::string_view() : left.substr(end + 1);
    }
    api_.free_text(table);
    return page;
  }

  Api api_;
  TessBaseApi* handle_;
};

}  // namespace

Result<std::unique_ptr<Ocr>> open_tesseract(const std::string& languages) {
  Api api;
  if (!load(&api)) {
    return Error{Code::kNotFound, "Tesseract is not installed", "install it: apt install tesseract-ocr"};
  }
  api.set_messages(kNoMessages);
  TessBaseApi* const handle = api.create();
  if (handle == nullptr || api.init(handle, nullptr, languages.c_str()) != 0) {
    if (handle != nullptr) api.destroy(handle);
    return Error{Code::kInvalid, "Tesseract has no data for the languages '" + languages + "'",
                 "install them: apt install tesseract-ocr-LANGUAGE"};
  }
  return std::unique_ptr<Ocr>(std::make_unique<Tesseract>(api, handle));
}

}  // namespace phial::documents
