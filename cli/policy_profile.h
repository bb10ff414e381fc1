// Time by rule, for `--profile`.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "policy/eval/machine.h"

namespace coffer::cli {

class PolicyProfile : public policy::Tracer {
 public:
  void enter(const policy::Function& function, std::span<const policy::Value> args) override;
  void leave(const policy::Function& function, const policy::Value& result) override;
  void failed(const policy::Function&, std::uint32_t, const policy::Value&,
              const policy::Value&) override {}

  // A table on stderr, the rule that took longest by itself first.
  void show() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Call {
    const policy::Function* function = nullptr;
    Clock::time_point start;
    std::chrono::nanoseconds inside{0};  // in the rules that it called
  };
  struct Entry {
    std::chrono::nanoseconds own{0};
    std::chrono::nanoseconds total{0};
    std::size_t calls = 0;
  };
  std::vector<Call> stack_;
  std::map<std::string, Entry> entries_;
};

}  // namespace coffer::cli
