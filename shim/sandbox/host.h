// What a sandbox uses of the host, passed in: main wires the real things, tests others.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "shim/config/config.h"
#include "shim/network/network.h"
#include "shim/sandbox/cgroup.h"
#include "shim/sandbox/leftovers.h"
#include "shim/sandbox/machine.h"
#include "shim/sandbox/phases.h"
#include "shim/sandbox/shares.h"
#include "shim/sandbox/state.h"

namespace coffer::shim {

struct Host {
  std::filesystem::path state_root = kStateRoot;
  std::filesystem::path share_root = kShareRoot;
  std::filesystem::path cgroup_root = kCgroupRoot;

  std::string socket;  // where this shim listens, for `delete` to remove when the shim cannot
  // The program that works out what a launch binds (cli/launch/).
  std::filesystem::path launch_helper = "/opt/kata/bin/coffer-launch";
  MachineStarter start_machine;
  std::function<Result<PodNetwork>(const std::filesystem::path& netns, const NetworkOptions&)>
      connect_network;
  std::function<Status(const std::filesystem::path& path)> create_netns;
  // Whether KVM is to be used for this class; an error when it is required and unusable.
  std::function<Result<bool>(const HypervisorConfig&, Tee, Logger log)> use_kvm;
  HostTees tees;
  std::uint32_t cpus = 1;
  Phases::Clock::time_point started = Phases::Clock::now();  // the `start` command
  Phases::Clock::time_point serving = started;               // the server it left behind
  std::uint64_t memory_mib = 0;
  Undo undo;
};

}  // namespace coffer::shim
