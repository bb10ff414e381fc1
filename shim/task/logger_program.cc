#include "shim/task/logger_program.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <chrono>

namespace coffer::shim {
namespace {

constexpr std::chrono::seconds kReadyTimeout{10};
constexpr std::chrono::seconds kStopTimeout{12};

struct Pipe {
  Fd reader, writer;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno(errno, "make a pipe");
  return Pipe{.reader = Fd(ends[0]), .writer = Fd(ends[1])};
}

Status set_nonblocking(const Fd& fd) {
  if (::fcntl(fd.get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno(errno, "set O_NONBLOCK");
  return {};
}

// binary: the end of the pipe says ready. binary-v2: one byte does, and an end is a failure.
Task<Status> wait_ready(const Fd& pipe, bool wants_byte, const std::string& path) {
  const Result<bool> readable = co_await wait_readable(pipe.get(), deadline_in(kReadyTimeout));
  if (!readable) co_return std::unexpected(readable.error());
  char byte = 0;
  const bool in_time = *readable;
  const ssize_t got = in_time ? ::read(pipe.get(), &byte, 1) : 0;
  if (in_time && (got == 1 || (got == 0 && !wants_byte))) co_return Status{};
  co_return fail(Code::kFailedPrecondition,
                 fmt::format("start logger '{}': it {}", path,
                             in_time ? "ended before it was ready" : "did not become ready"));
}

}  // namespace

Task<Result<LoggerProgram>> start_logger(StdioAddress address, std::string containerd_namespace,
                                         std::string container_id) {
  COFFER_CO_TRY(Pipe out, make_pipe());
  COFFER_CO_TRY(Pipe err, make_pipe());
  COFFER_CO_TRY(Pipe ready, make_pipe());
  COFFER_CO_TRY_VOID(set_nonblocking(out.writer));
  COFFER_CO_TRY_VOID(set_nonblocking(err.writer));
  SpawnOptions options;
  options.argv = {address.path};
  for (const auto& [key, value] : address.query) {
    options.argv.push_back(key);
    if (!value.empty()) options.argv.push_back(value);
  }
  std::vector<std::string> env;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    env.emplace_back(*entry);
  }
  env.push_back("CONTAINER_ID=" + container_id);
  env.push_back("CONTAINER_NAMESPACE=" + containerd_namespace);
  options.env = std::move(env);
  options.fds = {{3, out.reader.get()}, {4, err.reader.get()}, {5, ready.writer.get()}};
  options.new_process_group = true;
  COFFER_CO_TRY(Child child, spawn(options));
  out.reader.reset();
  err.reader.reset();
  ready.writer.reset();
  const bool wants_byte = address.kind == StdioAddress::Kind::kBinaryV2;
  const Status up = co_await wait_ready(ready.reader, wants_byte, address.path);
  if (!up) co_return std::unexpected(up.error());
  co_return LoggerProgram{.child = std::move(child),
                          .out = OutputTarget{.fd = std::move(out.writer), .pollable = true},
                          .err = OutputTarget{.fd = std::move(err.writer), .pollable = true}};
}

Task<void> stop_logger(Child child) {
  [[maybe_unused]] const Status asked = child.kill(SIGTERM);
  const auto ended = co_await child.wait_until(deadline_in(kStopTimeout));
  if (ended && ended->has_value()) co_return;
  [[maybe_unused]] const Status killed = child.kill(SIGKILL);
  [[maybe_unused]] const auto reaped = co_await child.wait();
}

}  // namespace coffer::shim
