#include "shim/sandbox/leftovers.h"

#include <fmt/core.h>
#include <unistd.h>

#include <chrono>

#include "shim/sandbox/cgroup.h"
#include "shim/sandbox/mounts.h"

namespace coffer::shim {
namespace {

// `delete` has five seconds in all.
constexpr std::chrono::milliseconds kKillTimeout{2000};

void note(std::vector<Error>& failures, Status status, std::string what) {
  if (!status) failures.push_back(std::move(status).error().with_context(std::move(what)));
}

}  // namespace

std::vector<Error> remove_leftovers(const std::filesystem::path& state_root,
                                    const SandboxState& state, const Undo& undo) {
  std::vector<Error> failures;
  for (const ProcessIdentity& helper : state.helpers) {
    note(failures, kill_process(helper, kKillTimeout), "end the VM");
  }
  if (!state.network.empty()) {
    note(failures, undo.disconnect_network(state.network), "take down the pod's network");
  }
  if (!state.created_netns.empty()) {
    note(failures, undo.remove_netns(state.created_netns), "remove the network namespace");
  }
  for (const std::string& cgroup : state.cgroups) {
    note(failures, remove_cgroup(cgroup), "remove the cgroup");
  }
  for (const std::string& directory : state.directories) {
    note(failures, remove_tree(directory), "remove the sandbox's folders");
  }
  if (!state.socket.empty() && ::unlink(state.socket.c_str()) != 0 && errno != ENOENT) {
    failures.push_back(errno_error(errno, fmt::format("remove '{}'", state.socket)));
  }
  // The record goes last, and only when nothing is left that a second try could undo.
  if (failures.empty()) {
    note(failures, remove_tree(state_file(state_root, state.sandbox_id).parent_path()),
         "remove the record");
  }
  return failures;
}

}  // namespace coffer::shim
