#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstdint>

#include "shim/network/tap.h"

namespace coffer::shim {
namespace {

// VHOST_GET_FEATURES of linux/vhost.h, which C++ cannot include.
constexpr unsigned long kVhostGetFeatures = _IOR(0xAF, 0x00, std::uint64_t);

}  // namespace

Result<std::vector<Fd>> make_tap(const std::string& name, std::size_t queues) {
  check(!name.empty() && name.size() < IFNAMSIZ, "a tap's name is too long");
  std::vector<Fd> taps;
  for (std::size_t queue = 0; queue < queues; ++queue) {
    COFFER_TRY(Fd fd, open_file("/dev/net/tun", O_RDWR | O_NONBLOCK));
    ifreq request{};
    std::ranges::copy(name, request.ifr_name);
    unsigned flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    if (queues > 1) flags |= IFF_MULTI_QUEUE;
    request.ifr_flags = static_cast<short>(flags);
    // SAFETY: TUNSETIFF reads and writes a struct ifreq.
    if (::ioctl(fd.get(), TUNSETIFF, &request) != 0) {
      return fail_errno(errno, fmt::format("create tap '{}'", name));
    }
    taps.push_back(std::move(fd));
  }
  return taps;
}

std::vector<Fd> open_vhost_net(std::size_t queues) {
  std::vector<Fd> fds;
  for (std::size_t queue = 0; queue < queues; ++queue) {
    auto fd = open_file("/dev/vhost-net", O_RDWR);
    std::uint64_t features = 0;
    if (!fd || ::ioctl(fd->get(), kVhostGetFeatures, &features) != 0) return {};
    fds.push_back(*std::move(fd));
  }
  return fds;
}

}  // namespace coffer::shim
