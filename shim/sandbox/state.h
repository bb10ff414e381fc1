// What a sandbox has on the host, written down before it is made: `delete` undoes it from this
// record alone, with no server left to ask.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "shim/sandbox/process_identity.h"

namespace coffer::shim {

// Kata's place; tools look here for shim-monitor.sock too.
inline constexpr std::string_view kStateRoot = "/run/kata";

struct SandboxState {
  std::string sandbox_id;
  ProcessIdentity shim;
  std::vector<ProcessIdentity> helpers;  // a software TPM, QEMU, virtiofsd
  std::string network;                   // PodNetwork::record(), or ""
  std::string created_netns;             // made by us, to be removed, or ""
  std::vector<std::string> cgroups;      // deepest first
  std::vector<std::string> directories;  // removed with all they hold
  std::string socket;                    // the task service's

  bool operator==(const SandboxState&) const = default;
};

// ROOT/<id>/state.json.
[[nodiscard]] std::filesystem::path state_file(const std::filesystem::path& root,
                                               std::string_view sandbox_id);
// Makes the folder (0700) and replaces the file atomically.
[[nodiscard]] Status save_state(const std::filesystem::path& root, const SandboxState& state);
// kNotFound when there is none.
[[nodiscard]] Result<SandboxState> load_state(const std::filesystem::path& root,
                                              std::string_view sandbox_id);
// Public for the fuzzer: the file is ours, but a torn or foreign one must not mislead `delete`.
[[nodiscard]] Result<SandboxState> parse_state(std::string_view text);

}  // namespace coffer::shim
