// Text as pixels: TrueType and OpenType fonts through FreeType, which only font.cc knows.
//
// Threads: one a Font. A font's name and glyphs are the file's: what is drawn is the
// same where the file and FreeType are.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/data/canvas.h"

namespace phial::data {

class Font {
 public:
  // Errors: kNotFound, kIo; kCorrupt for what FreeType cannot read, be it one glyph of printable ASCII; kUnsupported
  // for one without the printable characters of ASCII.
  static Result<Font> open(const std::filesystem::path& path);

  // `size` is the height of an em in pixels. Texts are ASCII.
  double text_width(std::string_view text, double size);
  // How far capital letters and digits stand up from the baseline.
  double capital_height(double size);
  // From `start` on the baseline to the right, or upwards if it is `upright`. False if FreeType cannot draw
  // all of it at this size.
  bool draw(Canvas& canvas, Point start, std::string_view text, double size, Colour colour, bool upright = false);

 private:
  struct Face;
  struct Free {
    void operator()(Face* face) const;
  };
  explicit Font(std::unique_ptr<Face, Free> face) : face_(std::move(face)) {}
  std::unique_ptr<Face, Free> face_;
};

// Those that Debian's fonts-dejavu-core installs, as far as they are there: sans, serif and mono, regular and bold.
// kNotFound, with the remedy, if none is.
Result<std::vector<std::filesystem::path>> installed_fonts();

}  // namespace phial::data
