// vhost-vsock, where the host has it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "base/error.h"
#include "base/fd.h"

namespace coffer::shim {

struct VhostVsock {
  Fd fd;  // /dev/vhost-vsock with the CID claimed; QEMU takes it over as vhostfd
  std::uint32_t cid = 0;
};

// Claims a context id for a new guest. Empty when this host has no usable /dev/vhost-vsock: the
// agent is then reached by virtio-serial.
[[nodiscard]] std::optional<VhostVsock> claim_vsock();

}  // namespace coffer::shim
