// Undoing a sandbox from its record.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "shim/sandbox/state.h"

namespace coffer::shim {

// How the record's parts that other folders own are undone.
struct Undo {
  std::function<Status(std::string_view record)> disconnect_network;
  std::function<Status(const std::filesystem::path& path)> remove_netns;
};

// Kills the helpers, takes down the network's wiring, removes cgroups, folders, the socket and the
// record itself, in this order. Every step is tried, also after one has failed; returns what
// failed. Safe to repeat. Does not touch the shim's own process.
[[nodiscard]] std::vector<Error> remove_leftovers(const std::filesystem::path& state_root,
                                                  const SandboxState& state, const Undo& undo);

}  // namespace coffer::shim
