// Tells the host which container was hit by the OOM killer, by the oom_kill counter of its cgroup's
// memory.events.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "base/loop.h"
#include "guest-agent/cgroup.h"

namespace coffer::agent {

class OomWatcher {
 public:
  explicit OomWatcher(const asio::any_io_executor& executor) : events_(executor, kMaxEvents) {}

  // From now on kills in `cgroup` are reported as `container_id`'s. An error means that this kernel
  // or cgroup cannot be watched.
  [[nodiscard]] Status watch(std::string container_id, Cgroup cgroup);
  // Reports what happened up to now (the notification may still be on its way) and ends the watch.
  void forget(const std::string& container_id);
  // Looks at the counter now: an exit may be seen before its notification.
  void look(const std::string& container_id);

  // Reads notifications; for the life of the agent.
  [[nodiscard]] Task<void> run();
  // The next container; kInternal after close().
  [[nodiscard]] Task<Result<std::string>> next();
  void close() { events_.close(); }

 private:
  static constexpr std::size_t kMaxEvents = 100;
  struct Watch {
    int descriptor = -1;
    Cgroup cgroup;
    std::uint64_t kills = 0;
  };

  [[nodiscard]] Status open();
  void report(const std::string& container_id, Watch& watch);

  Fd inotify_;
  std::map<std::string, Watch> watches_;
  Queue<std::string> events_;
};

}  // namespace coffer::agent
