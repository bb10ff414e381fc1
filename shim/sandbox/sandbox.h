// One sandbox: its VM, the agent in it, and what both need of the host.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/subprocess.h"
#include "shim/config/load.h"
#include "shim/sandbox/agent_client.h"
#include "shim/sandbox/host.h"
#include "shim/sandbox/role.h"

namespace coffer::shim {

struct BootRequest {
  std::string id;
  std::filesystem::path bundle;
  Role role = Role::kSingle;
  grpc::Spec spec;  // as the host has it
  ConfigSources sources;
};

struct ContainerRequest {
  std::string id;
  std::filesystem::path bundle;
  Role role = Role::kSingle;
  grpc::Spec spec;  // as the host has it
  std::vector<HostMount> rootfs;
};

// How a sandbox ended, when nobody stopped it: "the VM is gone: QEMU was killed by signal 9".
struct SandboxEnd {
  bool stopped = false;  // by stop()
  std::string reason;
};

class Sandbox {
 public:
  // Called from the loop, with a container's id.
  using OnOom = std::function<void(std::string container_id)>;

  // Brings the VM up and the agent to where containers can be made. On an error everything is
  // undone; the message says how far the guest came and what it last said. `host` must outlive the
  // sandbox.
  [[nodiscard]] static Task<Result<std::unique_ptr<Sandbox>>> boot(asio::any_io_executor executor,
                                                                   const Host& host,
                                                                   BootRequest request,
                                                                   OnOom on_oom, Logger log);
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;
  // stop() first.
  ~Sandbox();

  [[nodiscard]] const std::string& id() const { return id_; }
  // QEMU's.
  [[nodiscard]] std::uint32_t pid() const { return pid_; }
  [[nodiscard]] std::shared_ptr<AgentClient> agent() const { return agent_; }
  [[nodiscard]] const Config& config() const { return config_; }

  // Makes a container that is ready to be started. On an error nothing of it is left.
  [[nodiscard]] Task<Status> create_container(ContainerRequest request);
  // Removes it from the guest and takes its shares back. What fails is logged.
  Task<void> remove_container(std::string id);

  // A container's process runs: ends the record of the pod's start.
  void note_started();

  // Ends the VM and undoes everything, the record included. Repeating waits for the first.
  Task<void> stop();
  // Set when the VM or the agent is gone, for whatever reason.
  [[nodiscard]] Future<SandboxEnd>& ended() { return ended_; }

 private:
  Sandbox(asio::any_io_executor executor, const Host& host, std::string id, OnOom on_oom,
          Logger log);

  Task<Status> bring_up(BootRequest request);
  Status configure(const BootRequest& request);
  Status join_pod_cgroup(const grpc::Spec& spec);
  Status set_up_network(const grpc::Spec& spec);
  Task<Status> start_vm(const BootRequest& request);
  Task<Status> prepare_launch(VmSpec& spec);
  Status start_tpm(VmOptions& options);
  Task<Status> reach_agent();
  Task<Status> tell_network();
  Task<Status> create_sandbox(const BootRequest& request);
  Error boot_error(Error error, std::optional<VmExit> exit) const;
  Status save() const;

  // What a container needs in its request besides its specification.
  struct Parts {
    std::string root_path;
    std::vector<grpc::Storage> storages;
    std::vector<grpc::Device> devices;
  };
  Task<Result<Parts>> prepare(ContainerRequest& request);
  Task<Status> prepare_rootfs(const ContainerRequest& request, Parts& parts);
  Task<Status> plug_rootfs(const ContainerRequest& request, Parts& parts);
  Status pull_rootfs(const ContainerRequest& request, Parts& parts);
  Task<Status> prepare_mounts(ContainerRequest& request, Parts& parts);
  Task<Status> prepare_mount(const std::string& container_id, grpc::Mount& mount, Parts& parts,
                             bool& drop);
  Task<void> release(std::string container_id);

  Task<void> watch_vm();
  Task<void> watch_agent();
  Task<void> watch_oom();

  asio::any_io_executor executor_;
  const Host& host_;
  std::string id_;
  OnOom on_oom_;
  Logger log_;
  Config config_;
  Phases phases_;
  Tee tee_ = Tee::kNone;
  std::string initdata_;
  SharedFs shared_fs_ = SharedFs::kNone;
  std::uint64_t next_copy_ = 0;  // numbers the names of copied mounts
  std::uint64_t shm_bytes_ = 0;
  SandboxState state_;
  std::optional<Shares> shares_;
  PodNetwork network_;
  Fd netns_;
  std::optional<Child> tpm_;  // a software TPM's process
  std::unique_ptr<Machine> machine_;
  std::uint32_t pid_ = 0;
  std::shared_ptr<AgentClient> agent_;  // shared: with the streams of processes
  std::map<std::string, std::vector<std::string>, std::less<>> disks_;  // by container
  Future<SandboxEnd> ended_;
  bool stopping_ = false;
  Event stopped_;
  Scope scope_;
};

}  // namespace coffer::shim
