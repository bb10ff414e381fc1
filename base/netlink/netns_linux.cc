#include <fcntl.h>
#include <fmt/format.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <thread>

#include "base/netlink/netns.h"

namespace coffer::netlink {

Result<Fd> open_netns(const std::filesystem::path& path) {
  COFFER_TRY(Fd fd, open_file(path, O_RDONLY));
  if (::ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) {
    return fail(Code::kInvalidArgument,
                fmt::format("open '{}': not a network namespace", path.native()));
  }
  return fd;
}

Status in_netns(int netns_fd, const std::function<Status()>& work) {
  Status status;
  try {
    std::thread([&] {
      if (::setns(netns_fd, CLONE_NEWNET) != 0) {
        status = fail_errno(errno, "enter the network namespace");
      } else {
        status = work();
      }
    }).join();
  } catch (const std::system_error& error) {
    return fail_errno(error.code().value(), "start a thread");
  }
  return status;
}

}  // namespace coffer::netlink
