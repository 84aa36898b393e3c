// Memory runs out, at every allocation of a call and by a limit of the system: the call says so, and what it was given
// serves on as before.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <new>
#include <string>

#include "phial/base/default_models_for_test.h"
#include "phial/capi/testing.h"

namespace {

// Allocations of at least `least_bytes` that still succeed; then none does.
std::atomic<int64_t> allocations_left = std::numeric_limits<int64_t>::max();
std::atomic<size_t> least_bytes = 0;

bool may_allocate(size_t bytes) {
  return bytes < least_bytes || allocations_left.fetch_sub(1, std::memory_order_relaxed) > 0;
}

}  // namespace

// Of the whole test program. Not inlined: GCC takes new and free in one place for a mismatch.
[[gnu::noinline]] void* operator new(size_t bytes) {
  void* memory = may_allocate(bytes) ? std::malloc(bytes == 0 ? 1 : bytes) : nullptr;
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace phial::capi {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kIsSanitized = true;  // their shadow memory knows no limit
#else
constexpr bool kIsSanitized = false;
#endif

// `call` with room for few allocations of at least `least` bytes, then more, until it gets through. How often it had to
// fail. The JSON library allocates where it frees, as much as a list or an object has members, and ends the program if
// it cannot: a call that reads JSON needs a `least` beyond that.
template <class Call>
int with_ever_more_memory(size_t least, const Call& call) {
  least_bytes = least;
  int failures = 0;
  for (int64_t room = 0;; room += 1 + room / 16) {
    allocations_left = room;
    phial_error error{};
    const phial_code code = call(&error);
    allocations_left = std::numeric_limits<int64_t>::max();
    if (code == PHIAL_OK) return failures;
    EXPECT_EQ(code, PHIAL_OUT_OF_MEMORY) << "after " << room << " allocations: " << error.message;
    EXPECT_STRNE(error.message, "");
    ++failures;
    if (code != PHIAL_OUT_OF_MEMORY) return failures;
  }
}

TEST(NoMemory, InACompletionLeavesTheSessionAsItWas) {
  const Model model = open_model(golden("phi3-mini-like"));
  const Session session = new_session(model);
  const std::string wanted = complete(session, "The sea was", 24);
  auto options = defaults<phial_generate_options>();
  options.max_tokens = 24;
  options.ignore_end = 1;
  int calls = 0;
  const int failures = with_ever_more_memory(0, [&](phial_error* error) {
    const int64_t room = allocations_left;
    allocations_left = std::numeric_limits<int64_t>::max();
    // Another beginning each time, so that nothing is known of it.
    const std::string prompt = std::to_string(calls) + " waves of the sea";
    if (++calls % 7 == 0) {
      EXPECT_EQ(complete(session, "The sea was", 24), wanted);
    }
    allocations_left = room;
    return phial_session_complete(session.get(), prompt.c_str(), &options, nullptr, nullptr, error);
  });
  EXPECT_GT(failures, 30);
  EXPECT_EQ(complete(session, "The sea was", 24), wanted);
}

TEST(NoMemory, InAConversationLeavesTheSessionAsItWas) {
  const Model model = open_model(golden("llama-like"));
  const Session session = new_session(model);
  const std::string wanted = complete(session, "The sea was", 24);
  auto options = defaults<phial_generate_options>();
  options.max_tokens = 12;
  EXPECT_GT(with_ever_more_memory(512,
                                  [&](phial_error* error) {
                                    return phial_session_chat(session.get(),
                                                              R"([{"role": "user", "content": "Hello"}])", &options,
                                                              nullptr, nullptr, error);
                                  }),
            3);
  EXPECT_EQ(complete(session, "The sea was", 24), wanted);
}

TEST(NoMemory, ForAModelIsAnErrorAndNothingStays) {
  auto options = defaults<phial_model_options>();
  options.threads = 2;
  phial_model* model = nullptr;
  const std::string path = golden("phi3-mini-like");
  EXPECT_GT(with_ever_more_memory(
                4096, [&](phial_error* error) { return phial_model_open(path.c_str(), &options, &model, error); }),
            3);
  const Model opened(model);
  EXPECT_NE(complete(new_session(opened), "The sea was", 8), "");
}

TEST(NoMemory, ForTokensIsAnError) {
  const Model model = open_model(golden("phi3-mini-like"));
  size_t count = 0;
  EXPECT_GT(with_ever_more_memory(0,
                                  [&](phial_error* error) {
                                    return phial_model_tokenize(model.get(), "The sea was calm that day.", 0, nullptr,
                                                                0, &count, error);
                                  }),
            0);
  EXPECT_GT(count, 5U);
}

uint64_t address_space_bytes() {
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

void limit_address_space(rlim_t bytes) {
  rlimit limit{};
  ::getrlimit(RLIMIT_AS, &limit);
  limit.rlim_cur = bytes;
  ::setrlimit(RLIMIT_AS, &limit);
}

class SystemLimit : public DefaultModels {};

// In a process of its own. 0: all as it should be; else which step was not.
int run_under_a_limit(const std::string& path) {
  auto options = defaults<phial_model_options>();
  options.threads = 2;
  phial_model* model = nullptr;
  phial_session* session = nullptr;
  if (phial_model_open(path.c_str(), &options, &model, nullptr) != PHIAL_OK) return 1;
  if (phial_session_new(model, &session, nullptr) != PHIAL_OK) return 2;
  auto few = defaults<phial_generate_options>();
  few.max_tokens = 12;
  auto text = [&] {
    auto generation = defaults<phial_generation>();
    const phial_code code = phial_session_complete(session, "The sea was", &few, nullptr, nullptr, nullptr);
    if (code != PHIAL_OK || phial_session_get_generation(session, &generation, nullptr) != PHIAL_OK)
      return std::string();
    return std::string(generation.text);
  };
  const std::string wanted = text();
  if (wanted.empty()) return 3;

  std::string long_prompt;
  for (int i = 0; i < 1000; ++i) long_prompt += " sea";
  constexpr rlim_t kRoom = rlim_t{8} << 20;
  limit_address_space(address_space_bytes() + kRoom);
  phial_error error{};
  const phial_code code = phial_session_complete(session, long_prompt.c_str(), &few, nullptr, nullptr, &error);
  if (code != PHIAL_OUT_OF_MEMORY || error.message[0] == '\0') return 4;
  if (text() != wanted) return 5;  // even now: there is room for that
  limit_address_space(RLIM_INFINITY);
  if (phial_session_complete(session, long_prompt.c_str(), &few, nullptr, nullptr, &error) != PHIAL_OK) return 6;
  if (text() != wanted) return 7;
  phial_session_free(session);
  phial_model_free(model);
  return 0;
}

TEST_F(SystemLimit, OnMemoryIsAnErrorOfTheCallAlone) {
  if (kIsSanitized)
    GTEST_SKIP() << "a sanitizer reserves terabytes of addresses, more than any limit leaves; built without, it runs";
  const pid_t child = ::fork();
  if (child == 0) ::_exit(run_under_a_limit(smollm2().string()));
  int state = 0;
  ASSERT_EQ(::waitpid(child, &state, 0), child);
  ASSERT_TRUE(WIFEXITED(state)) << "signal " << WTERMSIG(state);
  EXPECT_EQ(WEXITSTATUS(state), 0);
}

}  // namespace
}  // namespace phial::capi
