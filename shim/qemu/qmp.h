// QEMU Machine Protocol: reading the monitor's lines, and a client over a connected descriptor.
// Format: "QEMU Machine Protocol Specification", QEMU 10.0, docs/interop/qmp-spec.rst: JSON texts,
// each one line; {"QMP":...} greets, {"return":...} and {"error":...} answer by "id", {"event":...}
// comes at any time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/loop.h"

namespace coffer::shim {

struct QmpMessage {
  enum class Type { kGreeting, kReturn, kError, kEvent };
  Type type = Type::kGreeting;
  // Replies: ours are numbers. Absent in an error about a line QEMU could not read.
  std::optional<std::uint64_t> id;
  std::string name;  // event name, or error class
  std::string text;  // error description
  std::string data;  // JSON: the returned value, or the event's data
};

inline constexpr std::size_t kMaxQmpLine = std::size_t{4} << 20U;

// kInvalidArgument on anything that is not one of the four messages.
[[nodiscard]] Result<QmpMessage> parse_qmp_message(std::string_view line);

// Cuts a stream into lines. A line past kMaxQmpLine is an error, after which nothing is read.
class QmpLines {
 public:
  [[nodiscard]] Status append(std::string_view bytes);
  // Without its end; empty when none is complete.
  [[nodiscard]] std::optional<std::string> next();

 private:
  std::string buffer_;
  std::size_t scanned_ = 0;
};

// {"execute":COMMAND,"arguments":ARGUMENTS,"id":ID} and a newline; `arguments` is a JSON object or
// "".
[[nodiscard]] std::string qmp_command(std::string_view command, std::string_view arguments,
                                      std::uint64_t id);

// One monitor. When QEMU dies, every waiting and later call fails with kUnavailable.
class QmpClient {
 public:
  using OnEvent = std::function<void(const QmpMessage&)>;

  // Takes our end of the monitor's socket pair. Events reach `on_event` from the loop, before any
  // later reply is delivered.
  QmpClient(asio::any_io_executor executor, Fd socket, OnEvent on_event);
  ~QmpClient();
  QmpClient(const QmpClient&) = delete;
  QmpClient& operator=(const QmpClient&) = delete;

  // Waits for the greeting and negotiates. kUnavailable when QEMU goes away first.
  [[nodiscard]] Task<Status> handshake(Deadline deadline);

  // The reply's "return" as JSON text. QEMU's refusal is kFailedPrecondition with its words
  // (kNotFound for its class DeviceNotFound, kUnimplemented for CommandNotFound).
  [[nodiscard]] Task<Result<std::string>> execute(std::string command, std::string arguments,
                                                  Deadline deadline);
  // Gives QEMU `fd` (which stays the caller's too) under a name, for netdev_add and the like.
  [[nodiscard]] Task<Status> give_fd(std::string name, int fd, Deadline deadline);

  [[nodiscard]] bool is_closed() const;
  // Ends the reading coroutine and waits for that.
  [[nodiscard]] Task<void> close();

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared: with the reading coroutine and the calls in flight
  std::unique_ptr<Scope> scope_;
};

}  // namespace coffer::shim
