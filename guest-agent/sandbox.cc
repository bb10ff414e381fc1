#include "guest-agent/sandbox.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <ranges>

#include "base/fd.h"
#include "guest-agent/bundle.h"
#include "guest-agent/mounts.h"
#include "rpc/protos/agent.pb.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

// The first are directories of the agent beside the bundles; the others are what Kata's policy
// keeps in its state beside the containers.
constexpr std::array<std::string_view, 6> kReserved{
    "sandbox", "shared", "image", "sandbox_name", "namespace", "network_namespace"};

std::map<std::string, std::string> annotations_of(const grpc::Spec& spec) {
  return {spec.annotations().begin(), spec.annotations().end()};
}

bool pulls_image(const grpc::CreateContainerRequest& request) {
  return std::ranges::any_of(request.storages(), [](const grpc::Storage& storage) {
    return storage.driver() == "image_guest_pull";
  });
}

}  // namespace

Sandbox::Sandbox(const asio::any_io_executor& executor, SandboxSettings settings, Modules& modules,
                 ImageStore* images, Logger log)
    : settings_(std::move(settings)),
      log_(std::move(log)),
      crun_(executor, settings_.crun, children_, log_),
      devices_(settings_.hotplug_timeout, modules),
      storages_(executor, settings_.storage, devices_, children_, modules, images, log_),
      namespaces_(settings_.namespaces),
      oom_(executor),
      destroyed_(executor),
      scope_(executor) {
  scope_.spawn(children_.reap_forever());
  scope_.spawn(oom_.run());
}

Sandbox::~Sandbox() = default;

Task<Status> Sandbox::create(grpc::CreateSandboxRequest request) {
  if (created_) co_return fail(Code::kFailedPrecondition, "create sandbox: there is one already");
  created_ = true;
  COFFER_CO_TRY_VOID(remove_tree(settings_.container.base));
  std::error_code error;
  for (const char* name : {"sandbox", "shared/containers"})
    fs::create_directories(settings_.container.base / name, error);
  fs::create_directories(settings_.crun.scratch_dir, error);
  if (error)
    co_return fail_errno(error.value(),
                         fmt::format("make '{}'", settings_.container.base.string()));
  id_ = request.sandbox_id();
  hostname_ = request.hostname();
  COFFER_CO_TRY_VOID(co_await load_modules(request));
  COFFER_CO_TRY_VOID(namespaces_.create(hostname_));
  std::vector<grpc::Storage> storages(request.storages().begin(), request.storages().end());
  auto added = co_await storages_.add_all(std::move(storages), "", false);
  if (!added) co_return fail(std::move(added).error());
  if (!request.guest_hook_path().empty())
    log_.warn("guest hooks are not supported: ignored", {{"path", request.guest_hook_path()}});
  COFFER_CO_TRY_VOID(set_dns(request));
  ready_ = true;
  co_return Status{};
}

Task<Status> Sandbox::load_modules(const grpc::CreateSandboxRequest& request) {
  for (const auto& module : request.kernel_modules()) {
    if (module.name().empty() || module.name().starts_with('-'))
      co_return fail(Code::kInvalidArgument,
                     fmt::format("load kernel module '{}': not a name", module.name()));
    SpawnOptions options;
    options.argv = {"/sbin/modprobe", "-v", module.name()};
    for (const auto& parameter : module.parameters()) {
      // modprobe would take it for an option, a configuration with commands of its own among them.
      if (parameter.empty() || parameter.starts_with('-'))
        co_return fail(Code::kInvalidArgument, fmt::format("load kernel module '{}': '{}' is no "
                                                           "parameter",
                                                           module.name(), parameter));
      options.argv.push_back(parameter);
    }
    auto ran = co_await run_program(children_, std::move(options));
    if (!ran) co_return fail(std::move(ran).error());
    if (ran->status.as_shell() != 0)
      co_return fail(Code::kInternal,
                     fmt::format("load kernel module '{}': {}", module.name(), ran->err));
  }
  co_return Status{};
}

Status Sandbox::set_dns(const grpc::CreateSandboxRequest& request) {
  if (request.dns().empty()) return {};
  std::error_code error;
  if (!fs::exists(settings_.resolv_conf, error)) return {};
  if (fs::is_directory(settings_.resolv_conf, error))
    return fail(Code::kInternal,
                fmt::format("set DNS: '{}' is a directory", settings_.resolv_conf.string()));
  std::string text;
  for (const std::string_view line : request.dns()) {
    const auto start = line.find_first_not_of(" \t\r\n");
    if (start == std::string_view::npos) continue;
    text += line.substr(start, line.find_last_not_of(" \t\r\n") + 1 - start);
    text += '\n';
  }
  const auto file = settings_.container.base / "sandbox/resolv.conf";
  COFFER_TRY_VOID(write_file(file, text));
  const std::vector<std::string> options{"bind"};
  return mount_at({.source = file.string(),
                   .target = settings_.resolv_conf.string(),
                   .type = "bind",
                   .options = options});
}

Task<Status> Sandbox::destroy() {
  if (destroying_)
    co_return fail(Code::kInternal, "destroy sandbox: it is being destroyed already");
  destroying_ = true;
  while (!containers_.empty()) {
    const auto id = containers_.begin()->first;
    const auto deadline = deadline_in(std::chrono::seconds(10));
    auto status = co_await remove_container(id, deadline);
    if (status) continue;
    log_.error("container was not removed", {{"container", id}, {"error", status.error()}});
    containers_.erase(id);
  }
  oom_.close();
  destroyed_.set();
  co_return Status{};
}

std::shared_ptr<Container> Sandbox::find(const std::string& id) const {
  const auto found = containers_.find(id);
  return found == containers_.end() ? nullptr : found->second;
}

Status Sandbox::can_create(const std::string& id) const {
  if (destroying_) return fail(Code::kFailedPrecondition, "create container: shutting down");
  // CreateSandbox empties the directory that containers live in, and mounts what they rely on.
  if (!ready_) return fail(Code::kFailedPrecondition, "create container: there is no sandbox");
  COFFER_TRY_VOID(check_container_id(id));
  if (std::ranges::find(kReserved, id) != kReserved.end())
    return fail(Code::kInvalidArgument, fmt::format("create container '{}': reserved name", id));
  if (containers_.contains(id) || creating_.contains(id))
    return fail(Code::kAlreadyExists, fmt::format("create container '{}': it exists", id));
  return {};
}

Status Sandbox::can_remove(const std::string& id) const {
  if (containers_.contains(id)) return {};
  return fail(Code::kInternal, fmt::format("remove container '{}': invalid container id", id));
}

Task<Status> Sandbox::create_container(grpc::CreateContainerRequest request) {
  const std::string id = request.container_id();
  COFFER_CO_TRY_VOID(can_create(id));
  if (!request.has_oci())
    co_return fail(Code::kInvalidArgument, "EINVAL: create container: OCI is missing");
  creating_.insert(id);
  auto status = co_await create_reserved(std::move(request));
  creating_.erase(id);
  if (!status) cgroups_.erase(id);
  co_return status;
}

Status Sandbox::claim_cgroup(const std::string& id, const std::string& path) {
  for (const auto& [other, taken] : cgroups_)
    if ((taken + "/").starts_with(path + "/") || (path + "/").starts_with(taken + "/"))
      return fail(Code::kInvalidArgument,
                  fmt::format("create container '{}': cgroup '{}' overlaps '{}' of container '{}'",
                              id, path, taken, other));
  cgroups_.emplace(id, path);
  return {};
}

Task<Status> Sandbox::create_reserved(grpc::CreateContainerRequest request) {
  if (settings_.before_container) {
    Status ready = co_await settings_.before_container();
    if (!ready) co_return ready;
  }
  COFFER_CO_TRY_VOID(namespaces_.create(hostname_));
  if (request.sandbox_pidns() && namespaces_.pid_path().empty() && !containers_.empty())
    co_return fail(Code::kInternal, "Sandbox does not have sandbox_pidns");
  std::vector<grpc::Device> devices(request.devices().begin(), request.devices().end());
  COFFER_CO_TRY_VOID(co_await add_devices(devices_, std::move(devices), *request.mutable_oci()));
  std::vector<grpc::Storage> storages(request.storages().begin(), request.storages().end());
  const bool pause = is_sandbox_container(annotations_of(request.oci()));
  auto added = co_await storages_.add_all(std::move(storages), request.container_id(), pause);
  if (!added) co_return fail(std::move(added).error());
  const auto mount_points = *added;
  auto made = co_await make_container(std::move(request), *std::move(added));
  if (!made) storages_.release(mount_points);
  co_return made;
}

Task<Status> Sandbox::make_container(grpc::CreateContainerRequest request,
                                     std::vector<std::string> storages) {
  const bool pulled = pulls_image(request);
  const bool pause_image = pulled && is_sandbox_container(annotations_of(request.oci()));
  COFFER_CO_TRY_VOID(check_root(settings_.container.base, request.container_id(),
                                request.oci().root().path(), pulled));
  const bool share_pid = request.sandbox_pidns();
  if (request.shared_mounts_size() > 0)
    co_return fail(Code::kUnimplemented,
                   "create container: shared_mounts are not supported by this agent");
  auto spec = std::make_unique<grpc::Spec>(std::move(*request.mutable_oci()));
  COFFER_CO_TRY(auto cgroup,
                Container::cgroup_of(settings_.container, request.container_id(), *spec));
  COFFER_CO_TRY_VOID(claim_cgroup(request.container_id(), cgroup.path()));
  auto container =
      std::make_shared<Container>(settings_.container, request.container_id(), std::move(spec),
                                  std::move(cgroup), crun_, children_, scope_, log_);
  auto created = co_await container->create(namespaces_, share_pid, pause_image);
  if (!created) {
    const auto deadline = deadline_in(std::chrono::seconds(5));
    std::ignore = co_await container->remove(deadline);
    co_return created;
  }
  // The pod's first container is the one whose processes later ones may be asked to see.
  if (share_pid || containers_.empty())
    if (auto adopted = namespaces_.adopt_pid_namespace(container->init_pid()); !adopted)
      log_.warn("PID namespace cannot be shared", {{"error", adopted.error()}});
  container->storages() = std::move(storages);
  containers_.emplace(container->id(), container);
  log_.info("container created", {{"container", container->id()}, {"pid", container->init_pid()}});
  co_return Status{};
}

Task<Status> Sandbox::start_container(std::string id) {
  const auto container = find(id);
  if (!container)
    co_return fail(Code::kInternal, fmt::format("start container '{}': invalid container id", id));
  if (id != id_)
    if (auto watched = oom_.watch(id, container->cgroup()); !watched)
      log_.debug("OOM kills are not watched", {{"container", id}, {"error", watched.error()}});
  COFFER_CO_TRY_VOID(co_await container->start());
  log_.info("container started", {{"container", id}});
  co_return Status{};
}

Task<Status> Sandbox::remove_container(std::string id, Deadline deadline) {
  COFFER_CO_TRY_VOID(can_remove(id));
  const auto container = find(id);
  oom_.forget(id);
  COFFER_CO_TRY_VOID(co_await container->remove(deadline));
  if (containers_.erase(id) == 0) co_return Status{};  // somebody was faster
  cgroups_.erase(id);
  storages_.release(container->storages());
  log_.info("container removed", {{"container", id}});
  co_return Status{};
}

}  // namespace coffer::agent
