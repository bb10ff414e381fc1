#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
// These macros would rename the messages' own major() and minor().
#undef major
#undef minor

#include <map>
#include <set>

#include "guest-agent/device.h"
#include "rpc/protos/agent.pb.h"

namespace coffer::agent {
namespace {

struct Numbers {
  std::int64_t major = 0;
  std::int64_t minor = 0;
  auto operator<=>(const Numbers&) const = default;
};

Status check_device(const grpc::Device& device) {
  const auto refuse = [&](std::string_view why) {
    return fail(Code::kInvalidArgument,
                fmt::format("read device '{}': {}", device.container_path(), why));
  };
  if (device.type().empty()) return refuse("type is empty");
  if (device.id().empty() && device.vm_path().empty()) return refuse("id and vm_path are empty");
  if (device.container_path().empty()) return refuse("container_path is empty");
  return {};
}

Task<Result<std::string>> find_node(DeviceFinder& finder, grpc::Device device) {
  if (device.type() == "blk") {
    auto found = co_await finder.block_by_pci_path(device.id());
    co_return found;
  }
  if (device.type() == "scsi") {
    auto found = co_await finder.block_by_scsi_address(device.id());
    co_return found;
  }
  if (device.type() == "mmioblk" || device.type() == "nvdimm") {
    auto found = co_await finder.node(device.vm_path());
    co_return found;
  }
  co_return fail(Code::kUnimplemented,
                 fmt::format("add device '{}': type '{}' is not supported by this agent",
                             device.container_path(), device.type()));
}

Result<GuestDevice> numbers_of(const std::string& node) {
  struct stat info{};
  if (::stat(node.c_str(), &info) != 0) return fail_errno(errno, fmt::format("stat '{}'", node));
  if (!S_ISBLK(info.st_mode) && !S_ISCHR(info.st_mode))
    return fail(Code::kInvalidArgument, fmt::format("add device '{}': it is none", node));
  return GuestDevice{.path = node,
                     .type = S_ISBLK(info.st_mode) ? "b" : "c",
                     .major = ::gnu_dev_major(info.st_rdev),
                     .minor = ::gnu_dev_minor(info.st_rdev)};
}

void allow(grpc::LinuxResources& resources, const GuestDevice& guest) {
  auto& rule = *resources.add_devices();
  rule.set_allow(true);
  rule.set_type(guest.type);
  rule.set_major(guest.major);
  rule.set_minor(guest.minor);
  rule.set_access("rwm");
}

}  // namespace

Task<Status> add_devices(DeviceFinder& finder, std::vector<grpc::Device> devices,
                         grpc::Spec& spec) {
  std::set<std::string> seen;
  std::map<Numbers, GuestDevice> moved;
  const int old_rules = spec.linux().resources().devices_size();
  for (const auto& device : devices) {
    COFFER_CO_TRY_VOID(check_device(device));
    if (!seen.insert(device.container_path()).second)
      co_return fail(Code::kInvalidArgument,
                     fmt::format("add device '{}': it is named twice", device.container_path()));
    auto node = co_await find_node(finder, device);
    if (!node) co_return fail(std::move(node).error());
    COFFER_CO_TRY(const auto guest, numbers_of(*node));
    bool found = false;
    for (auto& entry : *spec.mutable_linux()->mutable_devices()) {
      if (entry.path() != device.container_path()) continue;
      found = true;
      moved.emplace(Numbers{.major = entry.major(), .minor = entry.minor()}, guest);
      entry.set_type(guest.type);
      entry.set_major(guest.major);
      entry.set_minor(guest.minor);
      allow(*spec.mutable_linux()->mutable_resources(), guest);
    }
    if (!found)
      co_return fail(Code::kInvalidArgument,
                     fmt::format("add device '{}': Missing devices in OCI spec (Linux.Devices has "
                                 "no such path)",
                                 device.container_path()));
  }
  if (moved.empty()) co_return Status{};
  // Rules that speak of the host's numbers; those that were just added are the guest's already.
  auto& rules = *spec.mutable_linux()->mutable_resources()->mutable_devices();
  for (int i = 0; i < old_rules; ++i) {
    const auto at = moved.find(Numbers{.major = rules[i].major(), .minor = rules[i].minor()});
    if (at == moved.end()) continue;
    rules[i].set_major(at->second.major);
    rules[i].set_minor(at->second.minor);
  }
  co_return Status{};
}

}  // namespace coffer::agent
