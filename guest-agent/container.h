// One container: its bundle, its processes, its cgroup.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "guest-agent/cgroup.h"
#include "guest-agent/crun.h"
#include "guest-agent/data_hub.h"
#include "guest-agent/process.h"
#include "guest-agent/sealed_environment.h"

namespace grpc {
class LinuxResources;
class Process;
class Spec;
}  // namespace grpc

namespace coffer::agent {

class SandboxNamespaces;

struct ContainerSettings {
  std::filesystem::path base = "/run/kata-containers";
  std::filesystem::path cgroup_root = "/sys/fs/cgroup";
  std::filesystem::path pause_bundle = "/pause_bundle";
  // Opens sealed secrets. Unset: nothing is taken for one, since nothing could open it.
  Unseal unseal = {};
};

// "[a-zA-Z0-9][a-zA-Z0-9_.-]+": the id becomes a file name and crun's argument.
[[nodiscard]] Status check_container_id(std::string_view id);

class Container {
 public:
  enum class State : std::uint8_t { kCreated, kRunning, kPaused, kStopped };

  // All references must outlive the container. `scope` owns what watches its processes.
  // `spec` speaks of the guest's devices already.
  Container(ContainerSettings settings, std::string id, std::unique_ptr<grpc::Spec> spec,
            Cgroup cgroup, Crun& crun, ChildRegistry& children, Scope& scope, Logger log);
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;
  ~Container();

  [[nodiscard]] static Result<Cgroup> cgroup_of(const ContainerSettings& settings,
                                                const std::string& id, const grpc::Spec& spec);

  // Opens its sealed secrets, writes the bundle and makes the container up to the point where only
  // start() is missing. `pause_image`: it runs what the guest's own pause bundle says.
  [[nodiscard]] Task<Status> create(SandboxNamespaces& namespaces, bool share_pid_namespace,
                                    bool pause_image);
  [[nodiscard]] Task<Status> start();
  [[nodiscard]] Task<Status> exec(std::string exec_id, const grpc::Process& process);
  // SIGKILL to everything in it.
  void kill_all();
  [[nodiscard]] Status pause();
  [[nodiscard]] Status resume();
  [[nodiscard]] Task<Status> update(const grpc::LinuxResources& resources);
  // Kills, removes crun's state, cgroup and bundle. kDeadlineExceeded ("ETIME") when processes do
  // not end in time: the container is then still there.
  [[nodiscard]] Task<Status> remove(Deadline deadline);

  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const Cgroup& cgroup() const { return cgroup_; }
  [[nodiscard]] const grpc::Spec& spec() const { return *spec_; }
  [[nodiscard]] int init_pid() const;
  [[nodiscard]] std::vector<std::string>& storages() { return storages_; }

  // The init process for an empty id (or the container's own id). kNotFound when it has gone and
  // somebody was told so, or there never was one of that name.
  [[nodiscard]] Result<std::shared_ptr<Process>> process(const std::string& exec_id) const;
  // The same, but processes that are gone are found while their output may still be read.
  [[nodiscard]] Result<std::shared_ptr<Process>> process_output(const std::string& exec_id) const;

 private:
  [[nodiscard]] Task<Status> open_secrets();
  // What is to stand in config.json once crun has read it; empty: what stands there.
  [[nodiscard]] Result<std::string> write_bundle(SandboxNamespaces& namespaces,
                                                 bool share_pid_namespace, bool pause_image);
  [[nodiscard]] Status hide_secrets(const std::string& sealed);
  void adopt(std::string exec_id, Started started);
  void init_exited();
  [[nodiscard]] Task<void> remove_cgroup();
  void forget_old_processes();
  [[nodiscard]] bool has_terminal() const;

  std::string id_;
  ContainerSettings settings_;
  std::unique_ptr<grpc::Spec> spec_;
  Cgroup cgroup_;
  Crun& crun_;
  ChildRegistry& children_;
  Scope& scope_;
  Logger log_;
  std::filesystem::path bundle_;
  SealedEnvironment secrets_;
  State state_ = State::kCreated;
  std::vector<std::string> storages_;
  // Shared: with the calls that wait for a process or read from it.
  std::map<std::string, std::shared_ptr<Process>> processes_;
  std::set<std::string> starting_;  // exec ids whose crun is at work
  // Tells the coroutines that watch the processes whether this object is still there.
  std::shared_ptr<Container*> self_ = std::make_shared<Container*>(this);
};

}  // namespace coffer::agent
