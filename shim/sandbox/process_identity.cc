#include "shim/sandbox/process_identity.h"

#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <string>
#include <string_view>

#include "base/fd.h"

namespace coffer::shim {
namespace {

// The fields after the command's closing bracket, which may itself hold spaces and brackets.
Result<std::uint64_t> parse_start_time(std::string_view stat, pid_t pid) {
  constexpr int kFieldsAfterCommand = 19;  // from field 3 (state) to field 22
  const auto bracket = stat.rfind(')');
  std::string_view rest = bracket == std::string_view::npos ? "" : stat.substr(bracket + 1);
  for (int i = 0; i < kFieldsAfterCommand; ++i) {
    const auto start = rest.find_first_not_of(' ');
    rest.remove_prefix(std::min(start, rest.size()));
    rest.remove_prefix(std::min(rest.find(' '), rest.size()));
  }
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  std::uint64_t value = 0;
  if (std::from_chars(rest.data(), rest.data() + rest.size(), value).ec != std::errc{}) {
    return fail(Code::kDataLoss, fmt::format("read '/proc/{}/stat': no start time in it", pid));
  }
  return value;
}

}  // namespace

Result<ProcessIdentity> identify(pid_t pid) {
  constexpr std::size_t kMaxStat = 4096;
  COFFER_TRY(const std::string stat, read_file(fmt::format("/proc/{}/stat", pid), kMaxStat));
  COFFER_TRY(const std::uint64_t start_time, parse_start_time(stat, pid));
  return ProcessIdentity{.pid = pid, .start_time = start_time};
}

Status kill_process(const ProcessIdentity& process, std::chrono::milliseconds timeout) {
  if (process.pid <= 0) return {};  // never was one
  const Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
  if (!pidfd.valid()) {
    if (errno == ESRCH) return {};
    return fail_errno(errno, fmt::format("open process {}", process.pid));
  }
  // The pidfd pins whatever runs under the pid now; only then is the start time compared.
  const auto running = identify(process.pid);
  if (!running || *running != process) return {};
  if (::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0) != 0 && errno != ESRCH) {
    return fail_errno(errno, fmt::format("kill process {}", process.pid));
  }
  pollfd wait{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  if (::poll(&wait, 1, static_cast<int>(timeout.count())) == 1) return {};
  return fail(Code::kDeadlineExceeded, fmt::format("kill process {}: still there after {} ms",
                                                   process.pid, timeout.count()));
}

}  // namespace coffer::shim
