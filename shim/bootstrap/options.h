// The command line containerd gives a shim (runtime v2 contract): Go's flag syntax, one action.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace coffer::shim {

// kLaunch is ours, for people: what coffer-launch is asked about a pod of a class.
enum class Action { kServe, kStart, kDelete, kInfo, kVersion, kLaunch };

struct ShimOptions {
  Action action = Action::kServe;
  std::string containerd_namespace;
  std::string address;         // containerd's gRPC socket; part of the socket's hash
  std::string publish_binary;  // containerd itself, for `publish`
  std::string id;
  std::string bundle;  // only for delete; else the working directory
  std::string socket;
  std::string debug_socket;
  std::string config;  // only for launch; else containerd's options name it
  bool debug = false;
};

// `args` without the program's name. "-k v", "-k=v" and "--k" forms; parsing of flags stops at the
// first positional, which is the action. kInvalidArgument on an unknown flag or action, a missing
// value, or an identifier that could not be a file name.
[[nodiscard]] Result<ShimOptions> parse_options(std::span<const std::string_view> args);

}  // namespace coffer::shim
