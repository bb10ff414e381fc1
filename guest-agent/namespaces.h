// The namespaces that the containers of a pod share: IPC, UTS, and if asked for PID.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.h"

namespace coffer::agent {

class SandboxNamespaces {
 public:
  // `dir` is where they are pinned by bind mounts (/run/sandbox-ns).
  explicit SandboxNamespaces(std::filesystem::path dir) : dir_(std::move(dir)) {}
  SandboxNamespaces(const SandboxNamespaces&) = delete;
  SandboxNamespaces& operator=(const SandboxNamespaces&) = delete;
  ~SandboxNamespaces();

  // Makes IPC and UTS; the hostname is set inside, when not empty. Again: no effect.
  [[nodiscard]] Status create(const std::string& hostname);
  // Pins the PID namespace of `pid`, for the containers that follow.
  [[nodiscard]] Status adopt_pid_namespace(int pid);

  [[nodiscard]] std::string ipc_path() const { return dir_ / "ipc"; }
  [[nodiscard]] std::string uts_path() const { return dir_ / "uts"; }
  // Empty: there is none yet.
  [[nodiscard]] std::string pid_path() const { return has_pid_ ? dir_ / "pid" : ""; }

  // Writes a sysctl as seen from the sandbox's namespaces. Only those that a namespace confines are
  // allowed (kernel.{msg*,sem,shm*,domainname}, fs.mqueue.*, net.*); kInvalidArgument otherwise.
  [[nodiscard]] Status write_sysctl(std::string_view key, std::string_view value) const;

 private:
  std::filesystem::path dir_;
  bool created_ = false;
  bool has_pid_ = false;
};

// "net.ipv4.ip_forward" -> "net/ipv4/ip_forward"; kInvalidArgument when it is not on the list above
// or is no plain name.
[[nodiscard]] Result<std::string> sysctl_path(std::string_view key);

}  // namespace coffer::agent
