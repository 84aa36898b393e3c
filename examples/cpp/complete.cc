// complete MODEL PROMPT: the C++ API, of which libphial.a has the headers. Its results are Result<T>; nothing throws.
#include <phial/base/thread_pool.h>
#include <phial/generate/engine.h>

#include <iostream>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: complete MODEL PROMPT\n";
    return 2;
  }
  phial::ThreadPool pool(phial::usable_cores());
  const auto engine = phial::generate::Engine::open(argv[1], {}, pool);
  if (!engine) {
    std::cerr << "complete: error: " << engine.error().text() << "\n";
    return 1;
  }
  phial::generate::GenerateRequest request;
  request.prompt = argv[2];
  request.max_tokens = 32;
  const auto done = (*engine)->generate(request, [](std::string_view piece) { std::cout << piece << std::flush; });
  if (!done) {
    std::cerr << "complete: error: " << done.error().text() << "\n";
    return 1;
  }
  std::cout << "\n";
  std::cerr << done->prompt_tokens << " tokens read, " << done->ids.size() << " written\n";
  return 0;
}
