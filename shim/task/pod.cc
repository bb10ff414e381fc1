#include "shim/task/pod.h"

#include <fmt/core.h>

#include <utility>

#include "base/fd.h"
#include "rpc/protos/events.pb.h"
#include "shim/sandbox/guest_spec.h"
#include "shim/sandbox/oci_json.h"

namespace coffer::shim {
namespace {

constexpr std::size_t kMaxSpec = std::size_t{16} << 20U;

bool owns_vm(Role role) { return role != Role::kContainer; }

// The host's file of the termination message, when kubelet wants one.
std::string termination_file(const grpc::Spec& spec) {
  const auto& annotations = spec.annotations();
  const auto policy = annotations.find("io.kubernetes.container.terminationMessagePolicy");
  const auto path = annotations.find("io.kubernetes.container.terminationMessagePath");
  if (policy == annotations.end() || policy->second != "File" || path == annotations.end()) {
    return {};
  }
  for (const grpc::Mount& mount : spec.mounts()) {
    if (mount.destination() == path->second && is_bind(mount)) return mount.source();
  }
  return {};
}

Annotations annotations_of(const grpc::Spec& spec) {
  return {spec.annotations().begin(), spec.annotations().end()};
}

}  // namespace

Pod::Pod(asio::any_io_executor executor, const Host& host, EventPublisher& events,
         std::string containerd_namespace, Logger log)
    : executor_(executor),
      host_(host),
      events_(events),
      containerd_namespace_(std::move(containerd_namespace)),
      log_(std::move(log)),
      scope_(executor) {}

Pod::~Pod() = default;

Result<std::shared_ptr<Container>> Pod::find(const std::string& id) const {
  const auto found = containers_.find(id);
  if (found != containers_.end()) return found->second;
  return fail(Code::kNotFound, fmt::format("find container '{}': no such container{}", id,
                                           creating_.contains(id) ? " yet" : ""));
}

Task<Result<std::uint32_t>> Pod::create(CreateTask request) {
  COFFER_CO_TRY_VOID(check_identifier("container id", request.id));
  if (containers_.contains(request.id) || creating_.contains(request.id)) {
    co_return fail(Code::kAlreadyExists,
                   fmt::format("create container '{}': there is one", request.id));
  }
  COFFER_CO_TRY(const std::string text, read_file(request.bundle / "config.json", kMaxSpec));
  COFFER_CO_TRY(grpc::Spec spec, parse_oci_spec(text));
  COFFER_CO_TRY(const Placement placement, place(annotations_of(spec), request.id));
  const std::string id = request.id;
  const auto done = std::make_shared<Event>(executor_);
  creating_.emplace(id, done);
  Status booted;
  if (owns_vm(placement.role)) {
    booted = co_await boot(request, placement, spec);
  } else if (!sandbox_ || sandbox_->ended().ready()) {
    booted = fail(Code::kUnavailable, fmt::format("create container '{}': sandbox '{}' is not "
                                                  "running",
                                                  id, placement.sandbox_id));
  }
  Result<std::shared_ptr<Container>> made = std::unexpected(Error(Code::kUnknown, ""));
  if (booted) {
    const CreateTask asked = request;
    made = co_await make_container(std::move(request), placement, std::move(spec));
    if (made) {
      containers_.emplace(id, *made);
      publish_create(asked);
    } else if (owns_vm(placement.role)) {
      co_await drop_sandbox();
    }
  } else {
    made = std::unexpected(std::move(booted).error());
  }
  creating_.erase(id);
  done->set();
  if (!made) {
    log_.error("create failed", {{"container", id}, {"error", made.error()}});
    co_return std::unexpected(std::move(made).error());
  }
  co_return pid();
}

Task<Status> Pod::boot(const CreateTask& request, const Placement& placement,
                       const grpc::Spec& spec) {
  if (sandbox_ || booting_) {
    co_return fail(Code::kFailedPrecondition,
                   fmt::format("create sandbox '{}': this shim has one already", request.id));
  }
  booting_ = true;
  BootRequest boot;
  boot.id = request.id;
  boot.bundle = request.bundle;
  boot.role = placement.role;
  boot.spec = spec;
  boot.sources = request.sources;
  Sandbox::OnOom oom = [this](const std::string& id) { on_oom(id); };
  Result<std::unique_ptr<Sandbox>> sandbox = co_await Sandbox::boot(
      executor_, host_, std::move(boot), std::move(oom), log_.with("sandbox", request.id));
  booting_ = false;
  if (!sandbox) co_return std::unexpected(std::move(sandbox).error());
  sandbox_ = *std::move(sandbox);
  scope_.spawn(follow_sandbox());
  co_return Status{};
}

Task<Result<std::shared_ptr<Container>>> Pod::make_container(CreateTask request,
                                                             const Placement& placement,
                                                             grpc::Spec spec) {
  ContainerSetup setup;
  setup.id = request.id;
  setup.bundle = request.bundle;
  setup.role = placement.role;
  setup.stdio = request.stdio;
  setup.containerd_namespace = containerd_namespace_;
  setup.termination_file = termination_file(spec);
  spec.mutable_process()->set_terminal(request.stdio.terminal);
  setup.process = spec.process();
  std::function<void()> on_exit;
  // The pod's VM has no purpose without its sandbox container.
  if (owns_vm(placement.role)) {
    on_exit = [this] { scope_.spawn([this]() -> Task<void> { co_await sandbox_->stop(); }); };
  } else {
    on_exit = [] {};
  }
  auto container = std::make_shared<Container>(executor_, std::move(setup), *sandbox_, events_,
                                               std::move(on_exit), log_);
  Status opened = co_await container->open();
  if (opened) {
    ContainerRequest wanted;
    wanted.id = request.id;
    wanted.bundle = request.bundle;
    wanted.role = placement.role;
    wanted.spec = std::move(spec);
    wanted.rootfs = std::move(request.rootfs);
    opened = co_await sandbox_->create_container(std::move(wanted));
  }
  if (opened) co_return container;
  co_await container->close();
  co_return std::unexpected(std::move(opened).error());
}

void Pod::publish_create(const CreateTask& request) {
  containerd::events::TaskCreate event;
  event.set_container_id(request.id);
  event.set_bundle(request.bundle.native());
  for (const HostMount& mount : request.rootfs) {
    containerd::types::Mount& added = *event.add_rootfs();
    added.set_type(mount.type);
    added.set_source(mount.source);
    for (const std::string& option : mount.options) added.add_options(option);
  }
  event.mutable_io()->set_stdin(request.stdio.in);
  event.mutable_io()->set_stdout(request.stdio.out);
  event.mutable_io()->set_stderr(request.stdio.err);
  event.mutable_io()->set_terminal(request.stdio.terminal);
  event.set_pid(pid());
  events_.publish("/tasks/create", event);
}

Task<Result<std::uint32_t>> Pod::start(std::string id, std::string exec_id) {
  COFFER_CO_TRY(const std::shared_ptr<Container> container, find(id));
  const AsyncMutex::Lock lock = co_await container->mutex().lock();
  Status started = co_await container->start(exec_id);
  if (!started) co_return std::unexpected(std::move(started).error());
  if (exec_id.empty()) sandbox_->note_started();
  co_return container->pid();
}

Task<Result<DeletedTask>> Pod::remove(std::string id, std::string exec_id) {
  if (const auto creating = creating_.find(id); creating != creating_.end()) {
    const std::shared_ptr<Event> done = creating->second;
    co_await done->wait();
  }
  COFFER_CO_TRY(const std::shared_ptr<Container> container, find(id));
  const AsyncMutex::Lock lock = co_await container->mutex().lock();
  if (exec_id.empty()) {
    Result<DeletedTask> deleted = co_await remove_container(container);
    co_return deleted;
  }
  Result<ProcessExit> exit = co_await container->delete_exec(exec_id);
  if (!exit) co_return std::unexpected(std::move(exit).error());
  co_return DeletedTask{.pid = container->pid(), .exit = *exit};
}

Task<Result<DeletedTask>> Pod::remove_container(std::shared_ptr<Container> container) {
  const std::string id = container->setup().id;
  // Two deletes may have waited for the lock.
  if (!containers_.contains(id)) {
    co_return fail(Code::kNotFound, fmt::format("delete container '{}': no such container", id));
  }
  if (container->init()->state() == ProcessState::kRunning) {
    co_return fail(Code::kFailedPrecondition,
                   fmt::format("delete container '{}': it is running", id));
  }
  DeletedTask deleted;
  deleted.pid = container->pid();
  deleted.exit =
      container->init()->exit().value_or(ProcessExit{.status = kExitKilled, .at = wall_time_now()});
  if (owns_vm(container->setup().role)) {
    co_await sandbox_->stop();
  } else {
    co_await sandbox_->remove_container(id);
  }
  co_await container->close();
  containers_.erase(id);
  publish_delete(*container, deleted);
  co_return deleted;
}

void Pod::publish_delete(const Container& container, const DeletedTask& deleted) {
  containerd::events::TaskDelete event;
  event.set_container_id(container.setup().id);
  event.set_id(container.setup().id);
  event.set_pid(deleted.pid);
  event.set_exit_status(deleted.exit.status);
  event.mutable_exited_at()->set_seconds(deleted.exit.at.seconds);
  event.mutable_exited_at()->set_nanos(deleted.exit.at.nanos);
  events_.publish("/tasks/delete", event);
}

void Pod::on_oom(const std::string& container_id) {
  if (const auto found = containers_.find(container_id); found != containers_.end()) {
    found->second->note_oom();
  }
}

// When the VM goes by itself: running processes notice by their streams; what has not started is
// ended here, and what the sandbox had on the host is undone at once.
Task<void> Pod::follow_sandbox() {
  const std::optional<SandboxEnd> end = co_await sandbox_->ended().wait();
  co_await sandbox_->stop();
  for (const auto& [id, container] : std::map(containers_)) {
    if (container->init()->state() == ProcessState::kCreated) {
      container->end_unstarted(kExitKilled);
    }
  }
  if (end && !end->stopped) log_.error("sandbox ended", {{"reason", end->reason}});
}

Task<void> Pod::drop_sandbox() {
  co_await sandbox_->stop();
  co_await scope_.join();
  sandbox_.reset();
}

Task<void> Pod::close() {
  if (sandbox_) co_await sandbox_->stop();
  for (const auto& [id, container] : std::map(containers_)) co_await container->close();
  co_await scope_.close();
  containers_.clear();
  sandbox_.reset();
}

}  // namespace coffer::shim
