// What the service says of its requests, on stderr: thread-safe, and no more lines a second than
// somebody can read, however many requests are refused.
#pragma once

#include <chrono>
#include <mutex>

#include "attestation/kbs/http.h"
#include "base/log.h"

namespace coffer::kbs {

class Journal {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // At most `burst` lines of requests at once, and `burst` a second after that; the next one says
  // how many were left out.
  explicit Journal(Logger log, unsigned burst = 100) : log_(std::move(log)), burst_(burst) {}

  void request(const HttpRequest& request, const HttpReply& reply, std::int64_t microseconds,
               Time now = std::chrono::steady_clock::now());
  // An error that a peer can bring about: one of the lines of requests.
  void fault(std::string_view message, std::string_view detail,
             Time now = std::chrono::steady_clock::now());
  void say(LogLevel level, std::string_view message, std::string_view detail);

 private:
  [[nodiscard]] bool take_line(Time now);

  std::mutex mutex_;  // the sink is not made for several threads
  Logger log_;
  unsigned burst_;
  unsigned used_ = 0;
  std::uint64_t left_out_ = 0;
  Time second_{};  // when `used_` was zero
};

}  // namespace coffer::kbs
