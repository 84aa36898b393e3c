#include "phial/data/font.h"

#include <ft2build.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <system_error>
#include <utility>
#include FT_FREETYPE_H

#include "phial/base/mapped_file.h"

namespace phial::data {
namespace {

constexpr std::array<const char*, 3> kFontFolders = {"/usr/share/fonts/truetype/dejavu", "/usr/share/fonts/dejavu",
                                                     "/usr/share/fonts/TTF"};
constexpr std::array<const char*, 6> kFontFiles = {"DejaVuSans.ttf",     "DejaVuSans-Bold.ttf",
                                                   "DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf",
                                                   "DejaVuSerif.ttf",    "DejaVuSerif-Bold.ttf"};

// Shapes grow to whole pixels in height only: legible when small, and as wide as the font says.
constexpr FT_Int32 kLoad = FT_LOAD_TARGET_LIGHT | FT_LOAD_FORCE_AUTOHINT | FT_LOAD_NO_BITMAP;

constexpr double kSizeTried = 16;  // pixels of an em at which a font is tried out

double pixels(FT_Pos of_64) { return static_cast<double>(of_64) / 64; }

}  // namespace

struct Font::Face {
  std::vector<std::byte> bytes;  // FreeType reads from them as long as the face lives
  FT_Library library = nullptr;
  FT_Face face = nullptr;
  double size = 0;

  struct Walked {
    double end = 0;
    bool is_whole = true;  // false: a character is missing
  };

  bool set_size(double wanted) {
    if (size == wanted) return true;
    if (FT_Set_Char_Size(face, 0, static_cast<FT_F26Dot6>(std::lround(wanted * 64)), 72, 72) != 0) return false;
    size = wanted;
    return true;
  }
  // Calls `use(glyph slot, x)` for each character.
  template <class Use>
  Walked walk(std::string_view text, double wanted_size, FT_Int32 load, Use use) {
    if (!set_size(wanted_size)) return {.is_whole = false};
    Walked walked;
    double& x = walked.end;
    FT_UInt before = 0;
    for (const char c : text) {
      const FT_UInt glyph = FT_Get_Char_Index(face, static_cast<unsigned char>(c));
      FT_Vector kerning = {};
      if (before != 0 && FT_Get_Kerning(face, before, glyph, FT_KERNING_UNFITTED, &kerning) == 0)
        x += pixels(kerning.x);
      if (FT_Load_Glyph(face, glyph, load) != 0) {
        walked.is_whole = false;
        continue;
      }
      use(face->glyph, x);
      x += static_cast<double>(face->glyph->linearHoriAdvance) / 65536;
      before = glyph;
    }
    return walked;
  }
};

void Font::Free::operator()(Face* face) const {
  if (face->face != nullptr) FT_Done_Face(face->face);
  if (face->library != nullptr) FT_Done_FreeType(face->library);
  delete face;
}

Result<Font> Font::open(const std::filesystem::path& path) {
  PHIAL_TRY(const MappedFile file, MappedFile::open(path));
  std::unique_ptr<Face, Free> face(new Face{.bytes = {file.bytes().begin(), file.bytes().end()}});
  if (FT_Init_FreeType(&face->library) != 0) return Error{Code::kOutOfMemory, "FreeType does not start", ""};
  if (FT_New_Memory_Face(face->library, reinterpret_cast<const FT_Byte*>(face->bytes.data()),
                         static_cast<FT_Long>(face->bytes.size()), 0, &face->face) != 0) {
    return Error{Code::kCorrupt, path.string() + ": is no font that can be read", "give a TrueType or OpenType file"};
  }
  bool has_ascii = FT_IS_SCALABLE(face->face);
  std::string ascii;
  for (char c = 0x20; c < 0x7F; ++c) {
    ascii += c;
    has_ascii = has_ascii && FT_Get_Char_Index(face->face, static_cast<FT_ULong>(c)) != 0;
  }
  if (!has_ascii) {
    return Error{Code::kUnsupported, path.string() + ": has no outlines of all printable ASCII characters",
                 "give a font of Latin letters and digits"};
  }
  if (!face->walk(ascii, kSizeTried, kLoad | FT_LOAD_RENDER, [](FT_GlyphSlot, double) {}).is_whole) {
    return Error{Code::kCorrupt, path.string() + ": some of its glyphs cannot be drawn", "take an undamaged copy"};
  }
  return Font(std::move(face));
}

double Font::text_width(std::string_view text, double size) {
  return face_->walk(text, size, kLoad, [](FT_GlyphSlot, double) {}).end;
}

double Font::capital_height(double size) {
  double height = 0;
  face_->walk("H", size, kLoad, [&](FT_GlyphSlot slot, double) { height = pixels(slot->metrics.horiBearingY); });
  return height;
}

bool Font::draw(Canvas& canvas, Point start, std::string_view text, double size, Colour colour, bool upright) {
  const auto draw_glyph = [&](FT_GlyphSlot slot, double x) {
    // Glyphs begin at whole pixels, as they were fitted; places between would blur the stems.
    const int along = static_cast<int>(std::lround(upright ? -x : x));
    for (unsigned row = 0; row < slot->bitmap.rows; ++row) {
      for (unsigned column = 0; column < slot->bitmap.width; ++column) {
        const int coverage = slot->bitmap.buffer[static_cast<int>(row) * slot->bitmap.pitch + static_cast<int>(column)];
        const int right = slot->bitmap_left + static_cast<int>(column);
        const int down = static_cast<int>(row) - slot->bitmap_top;
        const int left = static_cast<int>(std::lround(start.x)), base = static_cast<int>(std::lround(start.y));
        if (upright) {
          canvas.blend(left + down, base + along - right - 1, colour, coverage);
        } else {
          canvas.blend(left + along + right, base + down, colour, coverage);
        }
      }
    }
  };
  return face_->walk(text, size, kLoad | FT_LOAD_RENDER, draw_glyph).is_whole;
}

Result<std::vector<std::filesystem::path>> installed_fonts() {
  std::vector<std::filesystem::path> found;
  for (const char* folder : kFontFolders) {
    for (const char* file : kFontFiles) {
      std::error_code ignored;
      if (const auto path = std::filesystem::path(folder) / file; std::filesystem::is_regular_file(path, ignored)) {
        found.push_back(path);
      }
    }
    if (!found.empty()) return found;
  }
  return Error{Code::kNotFound, "no font to draw text with is installed",
               "install Debian's fonts-dejavu-core, or name one with --font"};
}

}  // namespace phial::data
