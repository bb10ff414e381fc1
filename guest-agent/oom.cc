#include "guest-agent/oom.h"

#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>

namespace coffer::agent {

Status OomWatcher::open() {
  if (inotify_.valid()) return {};
  inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify_.valid()) return fail_errno(errno, "watch for OOM kills");
  return {};
}

Status OomWatcher::watch(std::string container_id, Cgroup cgroup) {
  COFFER_TRY_VOID(open());
  const auto file = cgroup.directory() / "memory.events";
  const int descriptor = ::inotify_add_watch(inotify_.get(), file.c_str(), IN_MODIFY);
  if (descriptor < 0) return fail_errno(errno, fmt::format("watch '{}'", file.string()));
  const auto kills = cgroup.oom_kills();
  watches_.insert_or_assign(
      std::move(container_id),
      Watch{.descriptor = descriptor, .cgroup = std::move(cgroup), .kills = kills});
  return {};
}

void OomWatcher::report(const std::string& container_id, Watch& watch) {
  const auto kills = watch.cgroup.oom_kills();
  if (kills <= watch.kills) return;
  watch.kills = kills;
  auto id = container_id;
  // A full queue means that nobody has asked for a long time: the newest event is dropped.
  events_.try_push(id);
}

void OomWatcher::look(const std::string& container_id) {
  if (const auto found = watches_.find(container_id); found != watches_.end())
    report(found->first, found->second);
}

void OomWatcher::forget(const std::string& container_id) {
  const auto found = watches_.find(container_id);
  if (found == watches_.end()) return;
  report(found->first, found->second);
  ::inotify_rm_watch(inotify_.get(), found->second.descriptor);
  watches_.erase(found);
}

Task<void> OomWatcher::run() {
  if (!open()) co_return;
  alignas(inotify_event) std::array<char, 4096> buffer{};
  for (;;) {
    auto ready = co_await wait_readable(inotify_.get());
    if (!ready) co_return;
    // Which file it was does not matter: there are few, and the counters say it all.
    while (::read(inotify_.get(), buffer.data(), buffer.size()) > 0) {
    }
    for (auto& [id, watch] : watches_) report(id, watch);
  }
}

Task<Result<std::string>> OomWatcher::next() {
  auto id = co_await events_.pop();
  if (id) co_return *std::move(id);
  co_return fail(Code::kInternal, "wait for an OOM event: the sandbox is gone");
}

}  // namespace coffer::agent
