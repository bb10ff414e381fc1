// The pod, as the agent holds it: containers, storages, shared namespaces. State is in memory only;
// the virtual machine ends with it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "guest-agent/children.h"
#include "guest-agent/config.h"
#include "guest-agent/container.h"
#include "guest-agent/crun.h"
#include "guest-agent/device.h"
#include "guest-agent/namespaces.h"
#include "guest-agent/oom.h"
#include "guest-agent/storage.h"

namespace grpc {
class CreateContainerRequest;
class CreateSandboxRequest;
}  // namespace grpc

namespace coffer::agent {

struct SandboxSettings {
  ContainerSettings container;
  StoragePaths storage;
  CrunSettings crun;
  std::filesystem::path namespaces = "/run/sandbox-ns";
  std::filesystem::path resolv_conf = "/etc/resolv.conf";
  std::chrono::seconds hotplug_timeout{3};
  std::string tee = "none";  // Attestation::tee()
  // Asked before each container is made, if set; an error refuses it.
  std::function<Task<Status>()> before_container;
};

class Sandbox {
 public:
  // Both must outlive the sandbox; `images` may be null.
  Sandbox(const asio::any_io_executor& executor, SandboxSettings settings, Modules& modules,
          ImageStore* images, Logger log);
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;
  ~Sandbox();

  // kFailedPrecondition the second time: it would pull the floor from under running containers.
  [[nodiscard]] Task<Status> create(grpc::CreateSandboxRequest request);
  // Removes every container, ends waiting GetOOMEvent calls. kInternal the second time.
  [[nodiscard]] Task<Status> destroy();
  // Set when destroy() has finished: the program is to end.
  [[nodiscard]] Event& destroyed() { return destroyed_; }

  // Whether there is a sandbox, and the id is a free name for a container. Asked before the policy:
  // Kata's notes the containers that it admits by their ids, and takes the id of a removed one, or
  // of any other thing of that name that it has noted, for free.
  [[nodiscard]] Status can_create(const std::string& id) const;
  [[nodiscard]] Task<Status> create_container(grpc::CreateContainerRequest request);
  [[nodiscard]] Task<Status> start_container(std::string id);
  // Whether there is such a container; asked before the policy, too.
  [[nodiscard]] Status can_remove(const std::string& id) const;
  [[nodiscard]] Task<Status> remove_container(std::string id, Deadline deadline);

  // Null: unknown. Shared: a call may outlive the container's removal.
  [[nodiscard]] std::shared_ptr<Container> find(const std::string& id) const;

  [[nodiscard]] const std::map<std::string, std::shared_ptr<Container>>& containers() const {
    return containers_;
  }

  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] const std::string& tee() const { return settings_.tee; }
  [[nodiscard]] Storages& storages() { return storages_; }
  [[nodiscard]] OomWatcher& oom() { return oom_; }
  [[nodiscard]] ChildRegistry& children() { return children_; }
  [[nodiscard]] DeviceFinder& devices() { return devices_; }
  // Owns what runs as long as the sandbox does.
  [[nodiscard]] Scope& scope() { return scope_; }

 private:
  [[nodiscard]] Task<Status> load_modules(const grpc::CreateSandboxRequest& request);
  [[nodiscard]] Status set_dns(const grpc::CreateSandboxRequest& request);
  // Takes the cgroup for the container. kInvalidArgument when another one's is the same, within it
  // or around it: they would share limits and device rules, and end together.
  [[nodiscard]] Status claim_cgroup(const std::string& id, const std::string& path);
  [[nodiscard]] Task<Status> create_reserved(grpc::CreateContainerRequest request);
  [[nodiscard]] Task<Status> make_container(grpc::CreateContainerRequest request,
                                            std::vector<std::string> storages);

  SandboxSettings settings_;
  Logger log_;
  ChildRegistry children_;
  Crun crun_;
  DeviceFinder devices_;
  Storages storages_;
  SandboxNamespaces namespaces_;
  OomWatcher oom_;
  Event destroyed_;
  std::string id_;
  std::string hostname_;
  bool created_ = false;
  bool ready_ = false;  // created, and nothing failed
  bool destroying_ = false;
  std::set<std::string> creating_;
  std::map<std::string, std::string> cgroups_;  // paths, by container, from before it is made
  std::map<std::string, std::shared_ptr<Container>> containers_;
  Scope scope_;
};

}  // namespace coffer::agent
