#include "shim/bootstrap/info.h"

#include <fmt/core.h>

#include "base/error.h"
#include "rpc/protos/containerd_types.pb.h"

namespace coffer::shim {

std::string version_text() {
  return fmt::format("containerd-shim-kata-v2:\n  Version:  {}\n  Revision: coffer\n",
                     COFFER_VERSION);
}

std::string runtime_info() {
  containerd::types::RuntimeInfo info;
  info.set_name("io.containerd.kata.v2");
  info.mutable_version()->set_version(COFFER_VERSION);
  info.mutable_version()->set_revision("coffer");
  std::string bytes;
  check(info.SerializeToString(&bytes), "RuntimeInfo did not serialize");
  return bytes;
}

}  // namespace coffer::shim
