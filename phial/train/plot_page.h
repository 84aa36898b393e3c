// A page of plots: one HTML file that needs nothing else, light or dark as the reader has it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "phial/base/result.h"

namespace phial::train {

// What a curve is called: its colour is that of its kind.
std::string curve_key_html(std::string_view kind, std::string_view name);

// `title`: any text. `body`: HTML, in which plots stand in a <figure>. `style`: CSS beside that of all pages.
// Errors: kIo.
Status write_plot_page(const std::filesystem::path& out_html, std::string_view title, std::string_view body,
                       std::string_view style = "");

}  // namespace phial::train
