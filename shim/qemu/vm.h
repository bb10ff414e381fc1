// A running virtual machine: the QEMU process, its monitor, its console, and its end.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/loop.h"
#include "shim/qemu/command_line.h"

namespace coffer::shim {

// Why a VM is no more.
struct VmExit {
  enum class Kind {
    kStopped,   // by stop()
    kShutdown,  // the guest powered off or rebooted
    kPanic,     // the guest's kernel panicked
    kFailed,    // QEMU gave up: `reason` has its own words
    kKilled,    // QEMU was killed by a signal that stop() did not send
  };
  Kind kind = Kind::kStopped;
  // One line for people: "QEMU exited with status 1: qemu-system-x86_64: -kernel: could not load".
  std::string reason;
  ExitStatus status;
};

struct VmOptions {
  // `monitor`, `console` and `agent` are filled in by start(). Other descriptors named in it must
  // be in `owned`.
  VmSpec spec;
  std::vector<Fd> owned;  // closed here once QEMU has them
  int netns_fd = -1;      // QEMU runs in this network namespace; -1: ours
  std::string run_dir;    // QEMU's working directory
  std::chrono::milliseconds monitor_timeout{30000};
  Logger log;  // console lines at debug ("vmconsole"), QEMU's own words at warn
};

class VirtualMachine {
 public:
  // Starts QEMU. The guest runs from here on; returns when the monitor answers. A QEMU that gives
  // up earlier is kFailedPrecondition with what it said, firmware errors of SNP decoded. The
  // process dies with the calling thread.
  [[nodiscard]] static Task<Result<std::unique_ptr<VirtualMachine>>> start(
      asio::any_io_executor executor, VmOptions options);

  // A VM still running is killed.
  ~VirtualMachine();
  VirtualMachine(const VirtualMachine&) = delete;
  VirtualMachine& operator=(const VirtualMachine&) = delete;

  [[nodiscard]] int pid() const;
  // Ours to send SIGKILL by, and to recognise the process after a restart of the shim.
  [[nodiscard]] int pidfd() const;

  // The stream to the agent's port, once. With virtio-serial it is there from the start: what is
  // written waits in the socket until the guest opens its port, so nothing has to be polled. With
  // vsock: not valid; connect to (guest_cid, port).
  [[nodiscard]] Fd take_agent_socket();

  // When the guest opened its end of that port, once it has (virtio-serial only).
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> agent_opened_at() const;

  // Any number of waiters, also after the end. Empty at the deadline.
  [[nodiscard]] Task<std::optional<VmExit>> wait_exit(Deadline deadline = {});
  [[nodiscard]] bool running() const;

  // Asks QEMU to quit, kills it when it has not after `grace`, and returns how it ended. With a
  // grace of zero it is killed at once. Repeating is harmless.
  [[nodiscard]] Task<VmExit> stop(std::chrono::milliseconds grace);

  // Plugs a disk into the running guest and returns the PCI path to tell the agent ("02/03").
  // kResourceExhausted when all slots are taken.
  [[nodiscard]] Task<Result<std::string>> plug_disk(VmDisk disk);
  // Returns when the guest has let go. kNotFound for an id that was not plugged.
  [[nodiscard]] Task<Status> unplug_disk(std::string id);

  // Plugs a NIC whose tap descriptors are `taps` (kept by QEMU; ours are closed).
  [[nodiscard]] Task<Result<std::string>> plug_nic(std::string id, std::string mac,
                                                   std::vector<Fd> taps);

  [[nodiscard]] Task<Status> pause();
  [[nodiscard]] Task<Status> resume();
  // Thread ids of the vCPUs, in order.
  [[nodiscard]] Task<Result<std::vector<int>>> vcpu_threads();

  // The last lines of the guest's console and of QEMU's stderr, oldest first; bounded at 64 KiB and
  // 16 KiB.
  [[nodiscard]] std::vector<std::string> console_tail() const;
  [[nodiscard]] std::vector<std::string> stderr_tail() const;
  // How far the guest came, from its console: "no output", "firmware", "kernel", "init". For the
  // error that says the agent did not answer.
  [[nodiscard]] std::string boot_stage() const;

 private:
  struct State;
  VirtualMachine(std::shared_ptr<State> state, std::unique_ptr<Scope> scope);
  std::shared_ptr<State> state_;  // shared: with the coroutines that follow QEMU
  std::unique_ptr<Scope> scope_;
};

}  // namespace coffer::shim
