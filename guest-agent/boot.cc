#include "guest-agent/boot.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "base/fd.h"
#include "base/netlink/rtnetlink.h"
#include "guest-agent/cgroup.h"
#include "guest-agent/modules.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

struct Mount {
  const char* source;
  const char* target;
  const char* type;
  unsigned long flags;
  const char* data;
};

constexpr unsigned long kPlain = MS_NOSUID | MS_NODEV | MS_NOEXEC;
constexpr std::array kMounts{
    Mount{"proc", "/proc", "proc", kPlain, ""},
    Mount{"sysfs", "/sys", "sysfs", kPlain, ""},
    Mount{"devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755"},
    Mount{"devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666"},
    Mount{"tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"},
    Mount{"tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755"},
    Mount{"cgroup2", "/sys/fs/cgroup", "cgroup2", kPlain, "nsdelegate"},
};

// The kernel unpacks an initramfs into rootfs, which pivot_root(2) refuses to leave, so that crun
// could only move the container's root over it. A bind of / over itself is a mount like any other
// and costs nothing: from here on it is our root.
Status make_pivotable_root() {
  constexpr const char* kPlace = "/newroot";
  if (::mkdir(kPlace, 0700) != 0 && errno != EEXIST) return fail_errno(errno, "make '/newroot'");
  if (::mount("/", kPlace, nullptr, MS_BIND, nullptr) != 0)
    return fail_errno(errno, "bind '/' over itself");
  if (::chdir(kPlace) != 0 || ::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 ||
      ::chroot(".") != 0 || ::chdir("/") != 0)
    return fail_errno(errno, "move to the new root");
  ::rmdir(kPlace);
  return {};
}

Status mount_all() {
  for (const auto& one : kMounts) {
    ::mkdir(one.target, 0755);
    if (::mount(one.source, one.target, one.type, one.flags, one.data) == 0) continue;
    // Somebody before us (a small init in front of a verity root) may have done it.
    if (errno != EBUSY) return fail_errno(errno, fmt::format("mount '{}'", one.target));
  }
  // Nothing that a container mounts may come back to us, nor the other way round.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return fail_errno(errno, "make mounts private");
  for (const auto& [target, link] :
       {std::pair{"/proc/self/fd", "/dev/fd"}, std::pair{"pts/ptmx", "/dev/ptmx"}}) {
    ::unlink(link);
    std::ignore = ::symlink(target, link);
  }
  return {};
}

// Where the kernel shows the log of a boot that was measured into a TPM.
Status mount_securityfs() {
  constexpr const char* kPlace = "/sys/kernel/security";
  if (::mount("securityfs", kPlace, "securityfs", kPlain, nullptr) == 0 || errno == EBUSY)
    return {};
  return fail_errno(errno, fmt::format("mount '{}'", kPlace));
}

Status bring_loopback_up() {
  COFFER_TRY(auto netlink, netlink::Rtnetlink::open());
  COFFER_TRY(const auto lo, netlink.link("lo"));
  return netlink.set_up(lo.index, true);
}

void set_limits() {
  constexpr rlim_t kFiles = 65536;
  const rlimit files{.rlim_cur = kFiles, .rlim_max = kFiles};
  ::setrlimit(RLIMIT_NOFILE, &files);
}

Status set_hostname() {
  auto name = read_file("/etc/hostname", 256);
  if (!name) return {};
  while (!name->empty() && name->back() == '\n') name->pop_back();
  if (!name->empty() && ::sethostname(name->data(), name->size()) != 0)
    return fail_errno(errno, fmt::format("set hostname '{}'", *name));
  return {};
}

}  // namespace

Result<std::vector<Error>> boot(Modules& modules) {
  std::vector<Error> warnings;
  const auto tolerate = [&](Status status) {
    if (!status) warnings.push_back(std::move(status).error());
  };
  COFFER_TRY_VOID(make_pivotable_root());
  COFFER_TRY_VOID(mount_all());
  ::setsid();
  ::setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
  set_limits();
  tolerate(mount_securityfs());
  tolerate(set_hostname());
  tolerate(modules.load_at_start());
  tolerate(modules.load_for_devices());
  tolerate(bring_loopback_up());
  tolerate(enable_controllers("/sys/fs/cgroup"));
  // More processes than the default 32768 numbers would let a number come back soon.
  tolerate(write_file("/proc/sys/kernel/pid_max", "4194304"));
  return warnings;
}

void power_off() {
  ::sync();
  ::reboot(RB_POWER_OFF);
}

}  // namespace coffer::agent
