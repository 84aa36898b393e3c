#include "phial/cli/pictures.h"

#include <memory>
#include <utility>

#include "phial/formats/image.h"

namespace phial::cli {

void PictureFlags::describe(Flags& flags, std::string_view meaning) {
  flags.add("--image", &files, "F", meaning).offers(Completes::kPath).one_each();
}

Result<std::vector<generate::Picture>> PictureFlags::read() const {
  std::vector<generate::Picture> pictures;
  for (const std::string& file : files) {
    PHIAL_TRY(generate::Picture picture, read_picture(file));
    pictures.push_back(std::move(picture));
  }
  return pictures;
}

void add_projector_flag(Flags& flags, std::optional<std::string>& file) {
  flags
      .add("--projector", &file, "FILE",
           "the GGUF file with the image encoder of a GGUF model; without it, mmproj-NAME beside a model NAME")
      .offers(Completes::kPath);
}

Result<generate::Picture> read_picture(const std::string& file) {
  PHIAL_TRY(formats::Image image, formats::read_image(file));
  return std::make_shared<const formats::Image>(std::move(image));
}

}  // namespace phial::cli
