// What a sandbox needs of its virtual machine. QEMU is behind it in production; in tests a guest
// agent that runs on the host.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/loop.h"
#include "shim/qemu/vm.h"
#include "shim/sandbox/process_identity.h"

namespace coffer::shim {

class Machine {
 public:
  Machine() = default;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  virtual ~Machine() = default;

  // What containerd is told as every task's pid.
  [[nodiscard]] virtual int pid() const = 0;
  // The connection to the agent; bytes may be written before the guest has opened its end. Once.
  [[nodiscard]] virtual Task<Result<Fd>> connect_agent(Deadline deadline) = 0;
  // Empty at the deadline. Any number of waiters, also after the end.
  [[nodiscard]] virtual Task<std::optional<VmExit>> wait_exit(Deadline deadline) = 0;
  [[nodiscard]] virtual Task<VmExit> stop(std::chrono::milliseconds grace) = 0;
  // When the guest opened its end of the agent's port; empty where that is not seen (vsock).
  [[nodiscard]] virtual std::optional<std::chrono::steady_clock::time_point> agent_opened_at()
      const {
    return std::nullopt;
  }
  // Returns the PCI path that the agent finds the disk by.
  [[nodiscard]] virtual Task<Result<std::string>> plug_disk(VmDisk disk) = 0;
  [[nodiscard]] virtual Task<Status> unplug_disk(std::string id) = 0;
  // For an error that must say why the guest did not come up: how far it got, and the last words of
  // QEMU and of its console.
  [[nodiscard]] virtual std::string diagnosis() const = 0;
};

using MachineStarter = std::function<Task<Result<std::unique_ptr<Machine>>>(
    asio::any_io_executor executor, VmOptions options)>;

// QEMU.
[[nodiscard]] Task<Result<std::unique_ptr<Machine>>> start_qemu(asio::any_io_executor executor,
                                                                VmOptions options);

// "boot stage: kernel; QEMU said: ...; console: ...": the last few lines of each.
[[nodiscard]] std::string describe_boot(std::string_view stage,
                                        const std::vector<std::string>& stderr_lines,
                                        const std::vector<std::string>& console_lines);

}  // namespace coffer::shim
