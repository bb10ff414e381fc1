// One event, one line, `key=value` fields. A Logger is a small value that is passed in; there is no
// global one. Two formats: logrus text (the shim, as Kata's Go shim writes it) and JSON lines (the
// agent, as Kata's agent writes them).
//
// Written over fmt instead of spdlog: spdlog brings a registry, thread pools and its own formatter
// (some 400 KB of code in the shim, whose whole budget is 5 MB), and its sinks may block or throw.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace coffer {

enum class LogLevel : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError, kOff };
// "trace", "debug", "info", "warn" or "warning", "error" (any case); kInvalidArgument otherwise.
[[nodiscard]] Result<LogLevel> parse_log_level(std::string_view text);

enum class LogFormat : std::uint8_t {
  kLogrus,  // time="2026-01-02T03:04:05.123456789Z" level=info msg="..." key=value ...
  kJson,    // {"msg":"...","level":"INFO","ts":"...","key":"value",...}
};

// Takes finished lines (newline included). Never blocks and never fails: what cannot be written at
// once is dropped and counted, and the next event that a Logger gets through says how many in a
// field `dropped_lines`.
class LogSink {
 public:
  using Callback = std::function<void(std::string_view line)>;

  // Owns `fd` and sets O_NONBLOCK on it, which every duplicate shares: for stderr use to_stderr().
  // The process must ignore SIGPIPE (ignore_sigpipe) if `fd` can be a pipe.
  [[nodiscard]] static std::shared_ptr<LogSink> to_fd(Fd fd);
  // Re-opens the process's stderr, so that O_NONBLOCK stays ours where the kernel allows it.
  [[nodiscard]] static std::shared_ptr<LogSink> to_stderr();
  [[nodiscard]] static std::shared_ptr<LogSink> to_callback(Callback callback);

  // False: dropped.
  bool write(std::string_view line);
  // Lines dropped so far.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }
  // Of those, the ones that no event has told of yet.
  [[nodiscard]] std::uint64_t unreported() const { return dropped_ - reported_; }
  void mark_reported() { reported_ = dropped_; }

  explicit LogSink(Fd fd);
  explicit LogSink(Callback callback) : callback_(std::move(callback)) {}

 private:
  bool try_write(std::string_view bytes);
  bool flush_tail();

  Fd fd_;
  bool socket_ = false;
  Callback callback_;
  std::string tail_;  // the rest of a line that was written in part
  std::uint64_t dropped_ = 0;
  std::uint64_t reported_ = 0;
};

// A field of one event. Text is viewed, not copied: it must live as long as the logging call.
class LogField {
 public:
  LogField(std::string_view key, std::string_view value) : key_(key), view_(value) {}
  LogField(std::string_view key, const char* value) : key_(key), view_(value) {}
  LogField(std::string_view key, const std::string& value) : key_(key), view_(value) {}
  LogField(std::string_view key, const Error& error)
      : key_(key), owned_(error.to_string()), is_owned_(true) {}
  LogField(std::string_view key, bool value) : key_(key), view_(value ? "true" : "false") {}
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  LogField(std::string_view key, T value)
      : key_(key), owned_(std::to_string(value)), is_owned_(true) {}

  [[nodiscard]] std::string_view key() const { return key_; }
  [[nodiscard]] std::string_view value() const { return is_owned_ ? owned_ : view_; }

 private:
  std::string_view key_;
  std::string_view view_;
  std::string owned_;
  bool is_owned_ = false;
};

using LogFields = std::initializer_list<LogField>;

// Cheap to copy. All copies share the sink, and the level of the moment they were made from.
class Logger {
 public:
  // Discards everything.
  Logger() = default;
  Logger(std::shared_ptr<LogSink> sink, LogFormat format, LogLevel level = LogLevel::kInfo)
      : sink_(std::move(sink)), format_(format), level_(level) {}

  // A logger that adds `key` to every event. The same key again replaces the value.
  [[nodiscard]] Logger with(std::string_view key, std::string_view value) const;
  [[nodiscard]] Logger with_level(LogLevel level) const;

  [[nodiscard]] bool enabled(LogLevel level) const { return sink_ && level >= level_; }
  [[nodiscard]] LogLevel level() const { return level_; }

  // log.info("container started", {{"container", id}, {"pid", pid}});
  void log(LogLevel level, std::string_view message, LogFields fields = {}) const;
  void debug(std::string_view message, LogFields fields = {}) const {
    log(LogLevel::kDebug, message, fields);
  }
  void info(std::string_view message, LogFields fields = {}) const {
    log(LogLevel::kInfo, message, fields);
  }
  void warn(std::string_view message, LogFields fields = {}) const {
    log(LogLevel::kWarn, message, fields);
  }
  void error(std::string_view message, LogFields fields = {}) const {
    log(LogLevel::kError, message, fields);
  }

 private:
  struct Context;

  std::shared_ptr<LogSink> sink_;           // shared: every copy writes there
  std::shared_ptr<const Context> context_;  // shared: immutable, made once per with()
  LogFormat format_ = LogFormat::kLogrus;
  LogLevel level_ = LogLevel::kOff;
};

// A write to a closed pipe or socket becomes EPIPE instead of the end of the process. Call first
// thing in main.
void ignore_sigpipe();

}  // namespace coffer
