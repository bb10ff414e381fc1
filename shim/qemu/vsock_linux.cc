#include "shim/qemu/vsock.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/random.h>

namespace coffer::shim {
namespace {

// VHOST_VSOCK_SET_GUEST_CID of linux/vhost.h, which C++ cannot include.
constexpr unsigned long kSetGuestCid = _IOW(0xAF, 0x60, std::uint64_t);
constexpr std::uint32_t kFirstCid = 3;  // 0 to 2 are reserved: man 7 vsock
constexpr int kTries = 64;

}  // namespace

std::optional<VhostVsock> claim_vsock() {
  auto fd = open_file("/dev/vhost-vsock", O_RDWR);
  if (!fd) return std::nullopt;
  for (int i = 0; i < kTries; ++i) {
    std::uint32_t cid = 0;
    if (::getrandom(&cid, sizeof cid, 0) != ssize_t{sizeof cid}) return std::nullopt;
    // 0xffffffff is VMADDR_CID_ANY.
    if (cid < kFirstCid || cid == UINT32_MAX) continue;
    const std::uint64_t wide = cid;
    if (::ioctl(fd->get(), kSetGuestCid, &wide) == 0) return VhostVsock{*std::move(fd), cid};
    if (errno != EADDRINUSE) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace coffer::shim
