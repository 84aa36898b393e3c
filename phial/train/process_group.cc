#include "phial/train/process_group.h"

#include <algorithm>
#include <string>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

#include "phial/train/torch_error.h"

namespace phial::train {
namespace {

std::string rank_text(const World& world) {
  return "rank " + std::to_string(world.rank) + " of " + std::to_string(world.size);
}

// "[a source:its line] What happened. What that may come of." without what is not for users.
std::string reason_of(const std::exception& thrown) {
  std::string text = torch_error(thrown).message;
  if (const size_t place = text.find(".cc:"); place != std::string::npos) {
    if (const size_t end = text.find("] ", place); end != std::string::npos) text.erase(0, end + 2);
  }
  return text.substr(0, text.find(". "));
}

Error lost(const World& world, const std::exception& thrown) {
  return {Code::kIo, rank_text(world) + " lost the others: " + reason_of(thrown),
          "see the other ranks' messages: one of them has ended or hangs; start all again, the run goes on from its "
          "last snapshot"};
}

c10::intrusive_ptr<c10d::Store> open_store(const World& world, std::chrono::seconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(world.port);
  options.isServer = world.rank == 0 && !world.is_store_of_launcher;
  options.numWorkers = static_cast<size_t>(world.size);
  options.waitWorkers = false;
  options.timeout = timeout;
  auto store = c10::make_intrusive<c10d::TCPStore>(world.address, options);
  // A launcher's store outlives those that it starts anew.
  return c10::make_intrusive<c10d::PrefixStore>("phial/" + std::to_string(world.restarts), std::move(store));
}

}  // namespace

struct ProcessGroup::Engine {
  World world;
  c10::intrusive_ptr<c10d::Backend> backend = {};  // none: alone
  CommunicatedBytes bytes = {};

  // What c10d throws, now or while it is waited for, is an error. `count` of bytes gets the tensor's.
  template <typename Begin>
  Wait start(const at::Tensor& values, uint64_t& count, const Begin& begin) {
    if (!backend) return ok;
    count += values.nbytes();
    try {
      return [this, work = begin(*backend)]() -> Status {
        try {
          work->wait();
          return ok();
        } catch (const std::exception& thrown) {
          return lost(world, thrown);
        }
      };
    } catch (const std::exception& thrown) {
      return [failed = lost(world, thrown)]() -> Status { return failed; };
    }
  }
};

ProcessGroup::ProcessGroup() : engine_(std::make_unique<Engine>()) {}
ProcessGroup::ProcessGroup(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}
ProcessGroup::ProcessGroup(ProcessGroup&&) noexcept = default;
ProcessGroup& ProcessGroup::operator=(ProcessGroup&&) noexcept = default;
ProcessGroup::~ProcessGroup() = default;

Result<ProcessGroup> ProcessGroup::join(const World& world, std::chrono::seconds timeout) {
  auto engine = std::make_unique<Engine>(Engine{.world = world});
  if (world.size == 1) return ProcessGroup(std::move(engine));
  try {
    engine->backend = c10::make_intrusive<c10d::ProcessGroupGloo>(
        open_store(world, timeout), world.rank, world.size, c10d::ProcessGroupGloo::Options::create_default(timeout));
  } catch (const std::exception& thrown) {
    return Error{Code::kIo,
                 rank_text(world) + " did not meet the others at " + world.address + ":" + std::to_string(world.port) +
                     ": " + reason_of(thrown),
                 "see that all of them are started, and reach that address"};
  }
  return ProcessGroup(std::move(engine));
}

int ProcessGroup::rank() const { return engine_->world.rank; }
int ProcessGroup::size() const { return engine_->world.size; }
const CommunicatedBytes& ProcessGroup::communicated() const { return engine_->bytes; }

ProcessGroup::Wait ProcessGroup::start_sum(const at::Tensor& values) {
  return engine_->start(values, engine_->bytes.summed, [&](c10d::Backend& backend) {
    std::vector<at::Tensor> tensors = {values};
    return backend.allreduce(tensors);
  });
}

ProcessGroup::Wait ProcessGroup::start_gather_parts(const at::Tensor& values) {
  return engine_->start(values, engine_->bytes.gathered, [&](c10d::Backend& backend) {
    const RankShare part = share_of(values.numel());
    at::Tensor whole = values, own = values.slice(0, part.begin, part.end);
    return backend._allgather_base(whole, own);
  });
}

Status ProcessGroup::sum(std::span<double> values) {
  return start_sum(at::from_blob(values.data(), {static_cast<int64_t>(values.size())}, at::kDouble))();
}

Result<bool> ProcessGroup::is_any(bool own) {
  double count = own ? 1 : 0;
  PHIAL_CHECKED(sum({&count, 1}));
  return count > 0;
}

Result<std::vector<int64_t>> ProcessGroup::gather(int64_t own) {
  std::vector<int64_t> numbers(static_cast<size_t>(size()));
  numbers[static_cast<size_t>(rank())] = own;
  PHIAL_CHECKED(start_sum(at::from_blob(numbers.data(), {size()}, at::kLong))());
  return numbers;
}

Status ProcessGroup::broadcast(const at::Tensor& values) {
  return engine_->start(values, engine_->bytes.broadcast, [&](c10d::Backend& backend) {
    std::vector<at::Tensor> tensors = {values};
    return backend.broadcast(tensors);
  })();
}

Status ProcessGroup::agree(Status own) {
  auto failed = gather(own ? 0 : 1);
  if (!own) return own;
  if (!failed) return std::move(failed).error();
  const auto first = std::ranges::find(*failed, 1);
  if (first == failed->end()) return ok();
  return Error{Code::kCancelled, "rank " + std::to_string(first - failed->begin()) + " could not go on",
               "see its own message"};
}

Status ProcessGroup::check_same(int64_t own, std::string_view what) {
  PHIAL_TRY(const auto all, gather(own));
  const auto other = std::ranges::find_if(all, [&](int64_t each) { return each != all.front(); });
  if (other == all.end()) return ok();
  return Error{Code::kInvalid,
               "rank " + std::to_string(other - all.begin()) + " has another " + std::string(what) + " than rank 0",
               "start all ranks with the same configuration and files"};
}

}  // namespace phial::train
