// Chooses among the sets. The list of them is isa_list.inc, written by phial_isa() in CMakeLists.txt, weakest first.
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <type_traits>

#include "phial/kernels/isa.h"
#include "phial/kernels/kernels.h"
#include "phial/kernels/scalar.h"

namespace phial::kernels {

#define PHIAL_ISA(set, ...) extern constinit const KernelSet set;
#include "phial/kernels/isa_list.inc"
#undef PHIAL_ISA

namespace {

enum : size_t {
  kPlaceOfScalar,
#define PHIAL_ISA(set, ...) kPlaceOf##set,
#include "phial/kernels/isa_list.inc"
#undef PHIAL_ISA
  kMost
};

struct Compiled {
  const KernelSet* set;
  std::initializer_list<Feature> needs;
};

// Slots that `set` leaves empty are taken from `lesser`. A KernelSet is nothing but pointers, which the assertion keeps
// true, so that new slots need no line here.
KernelSet inherit(const KernelSet& set, const KernelSet& lesser) {
  using Words = std::array<uintptr_t, sizeof(KernelSet) / sizeof(uintptr_t)>;
  static_assert(sizeof(Words) == sizeof(KernelSet) && std::is_trivially_copyable_v<KernelSet>);
  auto words = std::bit_cast<Words>(set);
  const auto fallback = std::bit_cast<Words>(lesser);
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == 0) words[i] = fallback[i];
  }
  return std::bit_cast<KernelSet>(words);
}

bool runs(const Compiled& candidate) {
  for (const Feature feature : candidate.needs) {
    if (!cpu_has(feature)) return false;
  }
  return true;
}

// All sets, and those that this machine can run; made on first use, never changed.
class Menu {
 public:
  Menu() {
    const Compiled all[] = {
        {&kScalar, {}},
#define PHIAL_ISA(set, ...) {&set, {__VA_ARGS__}},
#include "phial/kernels/isa_list.inc"
#undef PHIAL_ISA
    };
    static_assert(std::size(all) == kMost);
    for (const Compiled& candidate : all) {
      names_[n_names_++] = candidate.set->name;
      if (!runs(candidate)) continue;
      sets_[n_sets_] = n_sets_ == 0 ? *candidate.set : inherit(*candidate.set, sets_[n_sets_ - 1]);
      pointers_[n_sets_] = &sets_[n_sets_];
      ++n_sets_;
    }
    active_ = pointers_[n_sets_ - 1];
    if (const char* forced = std::getenv("PHIAL_ISA"); forced != nullptr && *forced != '\0') {
      refused_ = forced;
      for (const KernelSet* set : runnable()) {
        if (std::strcmp(set->name, forced) != 0) continue;
        active_ = set;
        refused_ = nullptr;
      }
    }
  }
  Menu(const Menu&) = delete;
  Menu& operator=(const Menu&) = delete;

  const KernelSet& active() const { return *active_; }
  const char* refused() const { return refused_; }
  std::span<const KernelSet* const> runnable() const { return {pointers_.data(), n_sets_}; }
  std::span<const char* const> compiled() const { return {names_.data(), n_names_}; }

 private:
  std::array<KernelSet, kMost> sets_;
  std::array<const KernelSet*, kMost> pointers_ = {};
  std::array<const char*, kMost> names_ = {};
  size_t n_sets_ = 0;
  size_t n_names_ = 0;
  const KernelSet* active_ = nullptr;
  const char* refused_ = nullptr;
};

const Menu& menu() {
  static const Menu kMenu;
  return kMenu;
}

}  // namespace

const KernelSet& active() { return menu().active(); }
const char* refused_choice() { return menu().refused(); }
std::span<const KernelSet* const> runnable() { return menu().runnable(); }
std::span<const char* const> compiled() { return menu().compiled(); }

}  // namespace phial::kernels
