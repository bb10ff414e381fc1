#include "base/error.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace coffer {
namespace {

constexpr std::array<std::string_view, 17> kNames = {
    "ok",
    "cancelled",
    "unknown",
    "invalid argument",
    "deadline exceeded",
    "not found",
    "already exists",
    "permission denied",
    "resource exhausted",
    "failed precondition",
    "aborted",
    "out of range",
    "unimplemented",
    "internal",
    "unavailable",
    "data loss",
    "unauthenticated",
};

Code code_of_errno(int err) {
  switch (err) {
    case ENOENT:
    case ESRCH:
    case ENODEV:
    case ENXIO:
      return Code::kNotFound;
    case EEXIST:
      return Code::kAlreadyExists;
    case EACCES:
    case EPERM:
      return Code::kPermissionDenied;
    case EINVAL:
    case ENAMETOOLONG:
      return Code::kInvalidArgument;
    case ENOSPC:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EDQUOT:
      return Code::kResourceExhausted;
    case ETIMEDOUT:
    case ETIME:
      return Code::kDeadlineExceeded;
    case EAGAIN:
    case EBUSY:
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH:
      return Code::kUnavailable;
    case ENOSYS:
    case EOPNOTSUPP:
      return Code::kUnimplemented;
    default:
      return Code::kInternal;
  }
}

}  // namespace

std::string_view code_name(Code code) {
  const auto index = static_cast<std::size_t>(code);
  return index < kNames.size() ? kNames[index] : "unknown";
}

Error& Error::add_context(std::string what) {
  contexts_.push_back(std::move(what));
  return *this;
}

Error Error::with_context(std::string what) && {
  add_context(std::move(what));
  return std::move(*this);
}

std::string Error::to_string() const {
  std::string text;
  for (auto it = contexts_.rbegin(); it != contexts_.rend(); ++it) {
    text += *it;
    text += ": ";
  }
  return text + message_;
}

Error errno_error(int err, std::string_view what) {
  std::array<char, 128> buffer{};
  const char* text = strerror_r(err, buffer.data(), buffer.size());
  return {code_of_errno(err), fmt::format("{}: {}", what, text)};
}

void panic(std::string_view message, const char* file, int line) {
  fmt::print(stderr, "coffer: bug: {} ({}:{})\n", message, file, line);
  std::abort();
}

}  // namespace coffer
