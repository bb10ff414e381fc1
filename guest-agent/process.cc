#include "guest-agent/process.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <charconv>

namespace coffer::agent {

Task<void> Process::supervise() {
  auto status = co_await wait_pidfd(pidfd_.get());
  // Only a pidfd that is not of a child of ours fails: the code then says "unknown".
  constexpr int kUnknown = 255;
  exit_.set(status ? status->as_shell() : kUnknown);
  stdio_.process_exited();
}

Task<int> Process::wait() {
  auto status = co_await exit_.wait();
  waited_ = true;
  co_return status.value_or(0);
}

Task<bool> Process::wait_ended(Deadline deadline) {
  const auto status = co_await exit_.wait(deadline);
  co_return status.has_value();
}

Status Process::kill(int signal) const {
  if (exited()) return {};
  if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0) == 0 || errno == ESRCH)
    return {};
  return fail_errno(errno, fmt::format("send signal {} to process {}", signal, pid_));
}

bool Process::minds(int signal) const {
  const auto text = read_file(fmt::format("/proc/{}/status", pid_), std::size_t{64} << 10U);
  if (!text) return true;
  for (const std::string_view field : {"\nSigBlk:\t", "\nSigIgn:\t", "\nSigCgt:\t"}) {
    const auto at = text->find(field);
    if (at == std::string::npos) return true;
    std::uint64_t mask = 0;
    const char* start = text->data() + at + field.size();
    std::from_chars(start, text->data() + text->size(), mask, 16);
    if ((mask >> static_cast<unsigned>(signal - 1)) & 1U) return true;
  }
  return false;
}

}  // namespace coffer::agent
