#include "shim/sandbox/phases.h"

#include <fmt/format.h>

#include <charconv>

namespace coffer::shim {

void Phases::mark(std::string_view name, Clock::time_point at) {
  if (finished_) return;
  const std::chrono::duration<double, std::milli> took = at - last_.value_or(at);
  steps_.emplace_back(name, took.count());
  last_ = at;
}

std::string Phases::to_json() const {
  std::string text;
  for (const auto& [name, milliseconds] : steps_) {
    text += fmt::format("{}\"{}_ms\":{:.1f}", text.empty() ? "" : ",", name, milliseconds);
  }
  return "{" + text + "}";
}

std::string to_text(Phases::Clock::time_point at) {
  return std::to_string(
      std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count());
}

Phases::Clock::time_point moment_of(std::string_view text) {
  const Phases::Clock::time_point now = Phases::Clock::now();
  std::int64_t nanoseconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), nanoseconds);
  if (error != std::errc() || end != text.data() + text.size() || nanoseconds <= 0) return now;
  const Phases::Clock::time_point at{std::chrono::nanoseconds(nanoseconds)};
  return at < now ? at : now;
}

}  // namespace coffer::shim
