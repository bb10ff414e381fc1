// How long each step of a pod's start took, for people and for scripts/demo.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coffer::shim {

// Steps follow one another: each mark ends the step that began at the mark before.
class Phases {
 public:
  using Clock = std::chrono::steady_clock;  // CLOCK_MONOTONIC: the same in every process

  void begin(Clock::time_point at = Clock::now()) { last_ = at; }
  // Ends a step now, or at a moment that was noted earlier.
  void mark(std::string_view name, Clock::time_point at = Clock::now());
  // Once the pod is up, later containers change nothing.
  void finish() { finished_ = true; }
  [[nodiscard]] bool finished() const { return finished_; }

  // {"shim_start_ms":8.2,...}: milliseconds, in the order of the marks.
  [[nodiscard]] std::string to_json() const;

 private:
  std::optional<Clock::time_point> last_;
  std::vector<std::pair<std::string, double>> steps_;
  bool finished_ = false;
};

// The moment the `start` command began is handed to the server that it leaves behind in this
// environment variable: nanoseconds of the monotonic clock.
inline constexpr const char* kStartedVariable = "COFFER_SHIM_STARTED_NS";
[[nodiscard]] std::string to_text(Phases::Clock::time_point at);
// Now, when the text is no moment of the past.
[[nodiscard]] Phases::Clock::time_point moment_of(std::string_view text);

}  // namespace coffer::shim
