// What one shim serves: a sandbox and its containers, by id.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "shim/sandbox/host.h"
#include "shim/sandbox/sandbox.h"
#include "shim/task/container.h"
#include "shim/task/events.h"

namespace coffer::shim {

struct CreateTask {
  std::string id;
  std::filesystem::path bundle;
  std::vector<HostMount> rootfs;
  StdioPaths stdio;
  ConfigSources sources;
};

struct DeletedTask {
  std::uint32_t pid = 0;
  ProcessExit exit;
};

class Pod {
 public:
  // `host` and `events` must outlive the pod.
  Pod(asio::any_io_executor executor, const Host& host, EventPublisher& events,
      std::string containerd_namespace, Logger log);
  Pod(const Pod&) = delete;
  Pod& operator=(const Pod&) = delete;
  // close() first.
  ~Pod();

  // The first one brings the VM up. Returns the pid to tell containerd.
  [[nodiscard]] Task<Result<std::uint32_t>> create(CreateTask request);
  [[nodiscard]] Task<Result<std::uint32_t>> start(std::string id, std::string exec_id);
  [[nodiscard]] Task<Result<DeletedTask>> remove(std::string id, std::string exec_id);
  // kNotFound.
  [[nodiscard]] Result<std::shared_ptr<Container>> find(const std::string& id) const;

  [[nodiscard]] bool has_containers() const { return !containers_.empty(); }
  // The VM's, or 0.
  [[nodiscard]] std::uint32_t pid() const { return sandbox_ ? sandbox_->pid() : 0; }
  // Null before the first create.
  [[nodiscard]] Sandbox* sandbox() const { return sandbox_.get(); }

  // Ends the VM and every container.
  Task<void> close();

 private:
  [[nodiscard]] Task<Status> boot(const CreateTask& request, const Placement& placement,
                                  const grpc::Spec& spec);
  [[nodiscard]] Task<Result<std::shared_ptr<Container>>> make_container(CreateTask request,
                                                                        const Placement& placement,
                                                                        grpc::Spec spec);
  void publish_create(const CreateTask& request);
  void publish_delete(const Container& container, const DeletedTask& deleted);
  [[nodiscard]] Task<Result<DeletedTask>> remove_container(std::shared_ptr<Container> container);
  Task<void> drop_sandbox();
  Task<void> follow_sandbox();
  void on_oom(const std::string& container_id);

  asio::any_io_executor executor_;
  const Host& host_;
  EventPublisher& events_;
  std::string containerd_namespace_;
  Logger log_;
  std::unique_ptr<Sandbox> sandbox_;
  bool booting_ = false;
  std::map<std::string, std::shared_ptr<Container>, std::less<>> containers_;
  // Being created. Shared: with the calls that wait.
  std::map<std::string, std::shared_ptr<Event>, std::less<>> creating_;
  Scope scope_;
};

}  // namespace coffer::shim
