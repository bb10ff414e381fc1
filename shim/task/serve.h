// The server that `start` leaves behind: wires the real host to the task service and runs it.
#pragma once

#include "base/error.h"
#include "base/log.h"
#include "shim/sandbox/host.h"

namespace coffer::shim {

struct ServeOptions {
  std::string sandbox_id;
  std::string containerd_namespace;
  std::string ttrpc_address;  // containerd's; events go there
  std::string env_config;     // KATA_CONF_FILE
  std::string started;        // kStartedVariable
  int listener = 3;
  Logger log;
};

// Returns when containerd has asked for the shutdown and everything is undone.
[[nodiscard]] Status serve(const ServeOptions& options, Host host);

// The host as it is.
[[nodiscard]] Host system_host();

}  // namespace coffer::shim
