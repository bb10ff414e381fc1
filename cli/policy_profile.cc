#include "cli/policy_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace coffer::cli {

void PolicyProfile::enter(const policy::Function& function, std::span<const policy::Value>) {
  stack_.push_back({&function, Clock::now(), {}});
}

void PolicyProfile::leave(const policy::Function&, const policy::Value&) {
  const Call call = stack_.back();
  stack_.pop_back();
  const std::chrono::nanoseconds spent = Clock::now() - call.start;
  Entry& entry = entries_[call.function->name];
  entry.own += spent - call.inside;
  entry.total += spent;
  ++entry.calls;
  if (!stack_.empty()) stack_.back().inside += spent;
}

void PolicyProfile::show() const {
  std::vector<std::pair<std::string, Entry>> sorted(entries_.begin(), entries_.end());
  std::ranges::stable_sort(sorted, std::greater(),
                           [](const auto& entry) { return entry.second.own; });
  fmt::print(stderr, "{:>12} {:>12} {:>8}  rule\n", "own", "total", "calls");
  for (const auto& [name, entry] : sorted)
    fmt::print(stderr, "{:>9.1f} us {:>9.1f} us {:>8}  {}\n",
               static_cast<double>(entry.own.count()) / 1000,
               static_cast<double>(entry.total.count()) / 1000, entry.calls, name);
}

}  // namespace coffer::cli
