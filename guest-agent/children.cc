#include "guest-agent/children.h"

#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <csignal>

#include "base/fd.h"

namespace coffer::agent {

void ChildRegistry::reap_orphans() {
  if (busy_ > 0) return;
  // The kernel's own list of our children; without it (no CONFIG_PROC_CHILDREN) orphans stay.
  const auto listed = read_file("/proc/thread-self/children");
  if (!listed) return;
  std::string_view rest = *listed;
  while (!rest.empty()) {
    int pid = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), pid);
    if (error != std::errc{}) return;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    if (rest.starts_with(' ')) rest.remove_prefix(1);
    if (!known_.contains(pid)) ::waitpid(pid, nullptr, WNOHANG);
  }
}

Task<void> ChildRegistry::reap_forever() {
  asio::signal_set signals(co_await asio::this_coro::executor, SIGCHLD);
  for (;;) {
    co_await signals.async_wait(asio::use_awaitable);
    reap_orphans();
  }
}

Task<Result<RunResult>> run_program(ChildRegistry& registry, SpawnOptions options,
                                    RunOptions run_options) {
  const ChildRegistry::Busy busy(registry);
  co_return co_await coffer::run(std::move(options), std::move(run_options));
}

}  // namespace coffer::agent
