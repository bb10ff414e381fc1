// The findings of `coffer check`, one a question. No output.
#pragma once

#include <string>
#include <vector>

#include "base/host/kvm.h"
#include "base/host/tee.h"
#include "shim/config/config.h"

namespace coffer::cli {

struct Finding {
  enum class State { kPass, kNote, kFail };
  std::string name;  // "kvm", "sev-snp", ...
  State state = State::kPass;
  std::string detail;  // what was found
  std::string advice;  // what to do; "" where nothing is
};
[[nodiscard]] std::string_view state_name(Finding::State state);  // "pass", "note", "fail"

// What QEMU said of itself; the texts of "--version", "-object help" and "-device help".
struct QemuTexts {
  std::string version;
  std::string objects;
  std::string devices;
  std::string error;  // why it could not be asked
};
// Runs `program` three times.
[[nodiscard]] QemuTexts ask_qemu(const std::string& program);

// What of the host is looked at; from outside, so that tests can set it.
struct HostFacts {
  host::KvmState kvm = {};
  host::Tees tees = {};
  bool vhost_vsock = false;
  bool vhost_net = false;
  bool tun = false;
  bool dev_sev = false;
  QemuTexts qemu = {};
};
[[nodiscard]] HostFacts look_at_host(const shim::HypervisorConfig& config);

// A lack that the class does not need is a note, one that it needs a failure.
[[nodiscard]] std::vector<Finding> judge_host(const shim::HypervisorConfig& config,
                                              const HostFacts& facts);

}  // namespace coffer::cli
