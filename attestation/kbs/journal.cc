#include "attestation/kbs/journal.h"

namespace coffer::kbs {
namespace {

constexpr std::size_t kMaxPath = 256;

LogLevel level_of(unsigned status) {
  if (status >= 500) return LogLevel::kError;
  return status >= 400 ? LogLevel::kWarn : LogLevel::kDebug;
}

}  // namespace

bool Journal::take_line(Time now) {
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    used_ = 0;
  }
  if (used_ == burst_) {
    ++left_out_;
    return false;
  }
  ++used_;
  return true;
}

void Journal::request(const HttpRequest& request, const HttpReply& reply, std::int64_t microseconds,
                      Time now) {
  const LogLevel level = level_of(reply.status);
  const std::lock_guard lock(mutex_);
  if (!log_.enabled(level) || !take_line(now)) return;
  if (left_out_ > 0) {
    log_.log(LogLevel::kWarn, "requests were not logged", {{"count", left_out_}});
    left_out_ = 0;
  }
  log_.log(level, "request",
           {{"method", request.method},
            {"path", request.path().substr(0, kMaxPath)},
            {"status", reply.status},
            {"us", microseconds},
            {"cause", reply.cause}});
}

void Journal::fault(std::string_view message, std::string_view detail, Time now) {
  const std::lock_guard lock(mutex_);
  if (take_line(now)) log_.log(LogLevel::kError, message, {{"detail", detail}});
}

void Journal::say(LogLevel level, std::string_view message, std::string_view detail) {
  const std::lock_guard lock(mutex_);
  log_.log(level, message, {{"detail", detail}});
}

}  // namespace coffer::kbs
