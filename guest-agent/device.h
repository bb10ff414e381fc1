// Finding the guest's device nodes: by PCI path, SCSI address or name; waiting for those that the
// host is just plugging in.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/loop.h"

namespace grpc {
class Device;
class Spec;
}  // namespace grpc

namespace coffer::agent {

class Modules;

class DeviceFinder {
 public:
  // `timeout` is how long a device may take to appear; `modules` gives new ones their driver. The
  // roots are "/sys" and "/dev" but in tests.
  DeviceFinder(std::chrono::seconds timeout, Modules& modules, std::filesystem::path sys = "/sys",
               std::filesystem::path dev = "/dev")
      : timeout_(timeout), modules_(modules), sys_(std::move(sys)), dev_(std::move(dev)) {}

  // "02/03": slots in hex, optionally with ".function", from the root bus down. Gives the sysfs
  // directory of the last device.
  [[nodiscard]] Task<Result<std::filesystem::path>> pci_device(std::string pci_path);
  // The node of a virtio-blk disk at a PCI path.
  [[nodiscard]] Task<Result<std::string>> block_by_pci_path(std::string pci_path);
  // "<id>:<lun>" on any SCSI host; asks every host to scan.
  [[nodiscard]] Task<Result<std::string>> block_by_scsi_address(std::string address);
  // A node that is to appear under /dev.
  [[nodiscard]] Task<Result<std::string>> node(std::string path);
  // The network interface below a PCI path.
  [[nodiscard]] Task<Result<std::string>> network_by_pci_path(std::string pci_path);

 private:
  // Asks `look` now and after each uevent until it finds something, or the time is up.
  [[nodiscard]] Task<Result<std::string>> await(std::string what,
                                                std::function<std::optional<std::string>()> look);

  std::chrono::seconds timeout_;
  Modules& modules_;
  std::filesystem::path sys_;
  std::filesystem::path dev_;
};

// kInvalidArgument unless "slot[.function]" in hex joined by '/', each within PCI's range.
[[nodiscard]] Status check_pci_path(std::string_view pci_path);

// The node numbers that the guest gave to a host's device.
struct GuestDevice {
  std::string path;
  std::string type;  // "b" or "c", as the guest's node is, whatever the host says
  unsigned major = 0;
  unsigned minor = 0;
};

// Waits for every device of the request, then makes the spec speak of the guest's numbers: in
// Linux.Devices and in the rules of Linux.Resources.Devices.
[[nodiscard]] Task<Status> add_devices(DeviceFinder& finder, std::vector<grpc::Device> devices,
                                       grpc::Spec& spec);

}  // namespace coffer::agent
