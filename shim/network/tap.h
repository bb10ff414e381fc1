// Tap devices: the VM's end of a wire.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace coffer::shim {

// Makes a tap in the calling thread's network namespace, IFF_VNET_HDR, with one descriptor a queue.
// The kernel removes it when the last descriptor (ours and QEMU's) is closed: whatever is killed,
// no tap is left behind.
[[nodiscard]] Result<std::vector<Fd>> make_tap(const std::string& name, std::size_t queues);

// One /dev/vhost-net a queue, or none when the host has no usable one: virtio-net then runs in
// QEMU.
[[nodiscard]] std::vector<Fd> open_vhost_net(std::size_t queues);

}  // namespace coffer::shim
