// Errors as values. An Error says what kind it is (a google.rpc code, since ttrpc and containerd
// speak them), why, and the chain of what was being done when it happened.
#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coffer {

// google.rpc.Code, numbers as on the wire.
enum class Code : int {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// "invalid argument", "not found", ...
[[nodiscard]] std::string_view code_name(Code code);

class Error {
 public:
  Error(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  [[nodiscard]] Code code() const { return code_; }
  // The innermost cause, without contexts.
  [[nodiscard]] const std::string& message() const { return message_; }
  // What was being done, innermost first.
  [[nodiscard]] const std::vector<std::string>& contexts() const { return contexts_; }

  // Adds what was being done: "read 'config.json'". Returns itself, for chaining on the way up.
  Error& add_context(std::string what);
  [[nodiscard]] Error with_context(std::string what) &&;

  // "outer: inner: message".
  [[nodiscard]] std::string to_string() const;

 private:
  Code code_;
  std::string message_;
  std::vector<std::string> contexts_;
};

template <typename T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

// `return fail(Code::kNotFound, fmt::format("find container '{}': no such container", id));`
[[nodiscard]] inline std::unexpected<Error> fail(Code code, std::string message) {
  return std::unexpected<Error>(Error(code, std::move(message)));
}
[[nodiscard]] inline std::unexpected<Error> fail(Error error) {
  return std::unexpected<Error>(std::move(error));
}

// The one place where an errno value becomes an Error: "open '/x': No such file or directory".
// `what` is the verb and its operand.
[[nodiscard]] Error errno_error(int err, std::string_view what);
[[nodiscard]] inline std::unexpected<Error> fail_errno(int err, std::string_view what) {
  return std::unexpected<Error>(errno_error(err, what));
}

// Aborts with a message: a bug of ours. No input may ever reach one.
[[noreturn]] void panic(std::string_view message, const char* file, int line);
inline void check(bool condition, std::string_view message, const char* file = __builtin_FILE(),
                  int line = __builtin_LINE()) {
  if (!condition) [[unlikely]]
    panic(message, file, line);
}

}  // namespace coffer

#define COFFER_CONCAT_INNER(a, b) a##b
#define COFFER_CONCAT(a, b) COFFER_CONCAT_INNER(a, b)

// COFFER_TRY(auto value, expression): unwraps a Result or returns its error.
// COFFER_TRY_VOID(expression): the same for a Status.
// COFFER_CO_TRY, COFFER_CO_TRY_VOID: the same inside a coroutine.
#define COFFER_TRY_IMPL(tmp, decl, expr, ret)    \
  auto tmp = (expr);                             \
  if (!tmp) [[unlikely]]                         \
    ret std::unexpected(std::move(tmp).error()); \
  decl = *std::move(tmp)
#define COFFER_TRY(decl, expr) \
  COFFER_TRY_IMPL(COFFER_CONCAT(coffer_try_, __LINE__), decl, expr, return)
#define COFFER_CO_TRY(decl, expr) \
  COFFER_TRY_IMPL(COFFER_CONCAT(coffer_try_, __LINE__), decl, expr, co_return)
#define COFFER_TRY_VOID(expr)                                   \
  if (auto coffer_status = (expr); !coffer_status) [[unlikely]] \
  return std::unexpected(std::move(coffer_status).error())
#define COFFER_CO_TRY_VOID(expr)                                \
  if (auto coffer_status = (expr); !coffer_status) [[unlikely]] \
  co_return std::unexpected(std::move(coffer_status).error())
