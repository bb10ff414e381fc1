#include "base/log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <csignal>
#include <ctime>
#include <tuple>
#include <utility>
#include <vector>

#include "base/utf8.h"

namespace coffer {
namespace {

constexpr std::array<std::string_view, 5> kLogrusLevels = {"trace", "debug", "info", "warning",
                                                           "error"};
constexpr std::array<std::string_view, 5> kSlogLevels = {"TRCE", "DEBG", "INFO", "WARN", "ERRO"};
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

std::string timestamp() {
  timespec now{};
  std::ignore = ::clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  std::ignore = ::gmtime_r(&now.tv_sec, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", utc.tm_year + 1900,
                     utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec);
}

// A line stays a line and valid UTF-8 whatever the value holds: control characters are escaped as
// JSON and Go both read them, and foreign bytes become U+FFFD.
void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text.front());
    const std::size_t length = utf8_sequence_length(text);
    if (length == 0) {
      out += kReplacement;
      text.remove_prefix(1);
      continue;
    }
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text.front();
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c < 0x20 || c == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  out += '"';
}

// logrus's own rule for a bare value.
bool is_bare(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    const bool bare = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      std::string_view("-._/@^+").find(c) != std::string_view::npos;
    if (!bare) return false;
  }
  return true;
}

void append_logrus(std::string& line, std::string_view key, std::string_view value) {
  line += ' ';
  line += key;
  line += '=';
  if (is_bare(value)) {
    line += value;
  } else {
    append_quoted(line, value);
  }
}

void append_json(std::string& line, std::string_view key, std::string_view value) {
  line += ',';
  append_quoted(line, key);
  line += ':';
  append_quoted(line, value);
}

}  // namespace

Result<LogLevel> parse_log_level(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (lower == "trace") return LogLevel::kTrace;
  if (lower == "debug") return LogLevel::kDebug;
  if (lower == "info") return LogLevel::kInfo;
  if (lower == "warn" || lower == "warning") return LogLevel::kWarn;
  if (lower == "error") return LogLevel::kError;
  return fail(Code::kInvalidArgument,
              fmt::format("parse log level '{}': want trace, debug, info, warn or error", text));
}

std::shared_ptr<LogSink> LogSink::to_fd(Fd fd) { return std::make_shared<LogSink>(std::move(fd)); }

std::shared_ptr<LogSink> LogSink::to_stderr() {
  // A socket cannot be opened again; a duplicate is then as good, since send() takes MSG_DONTWAIT.
  int fd = ::open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) fd = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  return to_fd(Fd(fd));
}

std::shared_ptr<LogSink> LogSink::to_callback(Callback callback) {
  return std::make_shared<LogSink>(std::move(callback));
}

LogSink::LogSink(Fd fd) : fd_(std::move(fd)) {
  struct stat status{};
  socket_ = ::fstat(fd_.get(), &status) == 0 && S_ISSOCK(status.st_mode);
  const int flags = ::fcntl(fd_.get(), F_GETFL);
  if (!socket_ && flags >= 0) ::fcntl(fd_.get(), F_SETFL, flags | O_NONBLOCK);
}

// False: nothing of it was written. What remains of a line written in part is kept for later.
bool LogSink::try_write(std::string_view bytes) {
  ssize_t count = 0;
  do {
    count = socket_ ? ::send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                    : ::write(fd_.get(), bytes.data(), bytes.size());
  } while (count < 0 && errno == EINTR);
  if (count <= 0) return false;
  tail_ = bytes.substr(static_cast<std::size_t>(count));
  return true;
}

bool LogSink::flush_tail() {
  if (tail_.empty()) return true;
  const std::string tail = std::exchange(tail_, {});
  if (!try_write(tail)) tail_ = tail;
  return tail_.empty();
}

bool LogSink::write(std::string_view line) {
  if (callback_) {
    callback_(line);
    return true;
  }
  const bool written = flush_tail() && try_write(line);
  if (!written) ++dropped_;
  return written;
}

struct Logger::Context {
  std::vector<std::pair<std::string, std::string>> fields;
};

Logger Logger::with(std::string_view key, std::string_view value) const {
  auto context = context_ ? std::make_shared<Context>(*context_) : std::make_shared<Context>();
  std::erase_if(context->fields, [&](const auto& field) { return field.first == key; });
  context->fields.emplace_back(key, value);
  Logger copy = *this;
  copy.context_ = std::move(context);
  return copy;
}

Logger Logger::with_level(LogLevel level) const {
  Logger copy = *this;
  copy.level_ = level;
  return copy;
}

void Logger::log(LogLevel level, std::string_view message, LogFields fields) const {
  if (!enabled(level) || level >= LogLevel::kOff) return;
  const auto index = static_cast<std::size_t>(level);
  const bool json = format_ == LogFormat::kJson;
  std::string line =
      json ? "{\"msg\":"
           : fmt::format("time=\"{}\" level={} msg=", timestamp(), kLogrusLevels.at(index));
  append_quoted(line, message);
  const auto append = json ? append_json : append_logrus;
  if (json) {
    append(line, "level", kSlogLevels.at(index));
    append(line, "ts", timestamp());
  }
  if (context_) {
    for (const auto& [key, value] : context_->fields) append(line, key, value);
  }
  for (const LogField& field : fields) append(line, field.key(), field.value());
  if (sink_->unreported() != 0) {
    append(line, "dropped_lines", std::to_string(sink_->unreported()));
  }
  line += json ? "}\n" : "\n";
  if (sink_->write(line)) sink_->mark_reported();
}

void ignore_sigpipe() { std::ignore = std::signal(SIGPIPE, SIG_IGN); }

}  // namespace coffer
