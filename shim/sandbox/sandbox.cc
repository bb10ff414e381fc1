#include "shim/sandbox/sandbox.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "rpc/protos/health.pb.h"
#include "shim/config/annotations.h"
#include "shim/qemu/software_tpm.h"
#include "shim/sandbox/guest_spec.h"
#include "shim/sandbox/launch.h"
#include "shim/sandbox/network_messages.h"
#include "shim/sandbox/vm_plan.h"

namespace coffer::shim {
namespace {

using std::chrono::milliseconds;
namespace fs = std::filesystem;

constexpr std::chrono::seconds kDestroyTimeout{2};
// Between a lost agent and the VM's end, which then says why.
constexpr milliseconds kExitGrace{1000};

std::map<std::string, std::string> annotations_of(const grpc::Spec& spec) {
  return {spec.annotations().begin(), spec.annotations().end()};
}

// The network namespace: given, or to be made.
std::optional<std::string> netns_path(const grpc::Spec& spec) {
  for (const grpc::LinuxNamespace& each : spec.linux().namespaces()) {
    if (each.type() == "network" && !each.path().empty()) return each.path();
  }
  return std::nullopt;
}

// Lines for the guest's resolv.conf, from the file that is mounted there.
std::vector<std::string> dns_lines(const grpc::Spec& spec) {
  constexpr std::size_t kMaxResolvConf = std::size_t{64} << 10U;
  std::vector<std::string> lines;
  for (const grpc::Mount& mount : spec.mounts()) {
    if (mount.destination() != "/etc/resolv.conf" || !is_bind(mount)) continue;
    const auto text = read_file(mount.source(), kMaxResolvConf);
    std::string_view rest = text ? std::string_view(*text) : std::string_view();
    while (!rest.empty()) {
      const auto end = std::min(rest.find('\n'), rest.size());
      if (end != 0) lines.emplace_back(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  }
  return lines;
}

// As large as the sandbox's /dev/shm on the host, else the usual 64 MiB.
std::uint64_t shm_size(const grpc::Spec& spec) {
  constexpr std::uint64_t kDefault = std::uint64_t{64} << 20U;
  for (const grpc::Mount& mount : spec.mounts()) {
    if (classify_mount(mount) != MountKind::kShm) continue;
    struct statvfs info{};
    if (::statvfs(mount.source().c_str(), &info) == 0 && info.f_blocks != 0) {
      return std::uint64_t{info.f_blocks} * info.f_frsize;
    }
  }
  return kDefault;
}

}  // namespace

Sandbox::Sandbox(asio::any_io_executor executor, const Host& host, std::string id, OnOom on_oom,
                 Logger log)
    : executor_(executor),
      host_(host),
      id_(std::move(id)),
      on_oom_(std::move(on_oom)),
      log_(std::move(log)),
      ended_(executor),
      stopped_(executor),
      scope_(executor) {
  state_.sandbox_id = id_;
}

Sandbox::~Sandbox() = default;

Task<Result<std::unique_ptr<Sandbox>>> Sandbox::boot(asio::any_io_executor executor,
                                                     const Host& host, BootRequest request,
                                                     OnOom on_oom, Logger log) {
  std::unique_ptr<Sandbox> sandbox(
      new Sandbox(std::move(executor), host, request.id, std::move(on_oom), std::move(log)));
  Status up = co_await sandbox->bring_up(std::move(request));
  if (!up) {
    co_await sandbox->stop();
    co_return std::unexpected(std::move(up).error());
  }
  co_return sandbox;
}

Task<Status> Sandbox::bring_up(BootRequest request) {
  phases_.begin(host_.started);
  phases_.mark("shim_start", host_.serving);
  phases_.begin();
  COFFER_CO_TRY_VOID(configure(request));
  COFFER_CO_TRY(state_.shim, identify(::getpid()));
  COFFER_CO_TRY_VOID(save());
  COFFER_CO_TRY_VOID(join_pod_cgroup(request.spec));
  COFFER_CO_TRY_VOID(set_up_network(request.spec));
  Status started = co_await start_vm(request);
  if (!started) co_return started;
  Status reached = co_await reach_agent();
  if (!reached) co_return reached;
  Status created = co_await create_sandbox(request);
  if (!created) {
    std::optional<VmExit> exit = co_await machine_->wait_exit(deadline_in(milliseconds{0}));
    co_return std::unexpected(boot_error(std::move(created).error(), std::move(exit)));
  }
  scope_.spawn(watch_vm());
  scope_.spawn(watch_agent());
  scope_.spawn(watch_oom());
  co_return Status{};
}

Status Sandbox::configure(const BootRequest& request) {
  COFFER_TRY(LoadedConfig loaded, load_config(request.sources));
  COFFER_TRY(AnnotatedConfig annotated,
             apply_annotations(loaded.config, annotations_of(request.spec)));
  for (const std::string& warning : loaded.warnings) log_.warn(warning);
  for (const std::string& warning : annotated.warnings) log_.warn(warning);
  config_ = std::move(annotated.config);
  initdata_ = std::move(annotated.initdata);
  COFFER_TRY_VOID(validate(config_));
  COFFER_TRY(tee_, resolve_tee(config_.hypervisor, host_.tees));
  shared_fs_ = usable_shared_fs(config_.hypervisor);
  shm_bytes_ = shm_size(request.spec);
  return {};
}

Status Sandbox::save() const {
  // The record alone names the socket: while the shim lives, its stop() leaves it be.
  SandboxState record = state_;
  record.socket = host_.socket;
  return save_state(host_.state_root, record);
}

Status Sandbox::join_pod_cgroup(const grpc::Spec& spec) {
  if (!config_.runtime.sandbox_cgroup_only || spec.linux().cgroupspath().empty()) return {};
  COFFER_TRY(const std::string path, cgroup_path(spec.linux().cgroupspath()));
  auto joined = join_cgroup(path, host_.cgroup_root);
  if (!joined) {
    // Without it the VM's use is not counted to the pod, but it runs.
    log_.warn("the pod's cgroup cannot be used", {{"cgroup", path}, {"error", joined.error()}});
    return {};
  }
  state_.cgroups = *std::move(joined);
  return save();
}

Status Sandbox::set_up_network(const grpc::Spec& spec) {
  std::optional<std::string> path = netns_path(spec);
  if (!path) {
    // QEMU is not to sit in the host's network, whether or not it has interfaces.
    state_.created_netns = (state_file(host_.state_root, id_).parent_path() / "netns").native();
    COFFER_TRY_VOID(save());
    COFFER_TRY_VOID(host_.create_netns(state_.created_netns));
    path = state_.created_netns;
  }
  COFFER_TRY(netns_, open_file(*path, O_RDONLY));
  NetworkOptions options;
  options.model = config_.runtime.internetworking_model;
  options.queues = config_.hypervisor.network_queues;
  options.vhost = !config_.hypervisor.disable_vhost_net;
  COFFER_TRY(network_, host_.connect_network(*path, options));
  state_.network = network_.record();
  return save();
}

Task<Status> Sandbox::start_vm(const BootRequest& request) {
  COFFER_CO_TRY(const bool kvm, host_.use_kvm(config_.hypervisor, tee_, log_));
  PodResources resources;
  if (request.role == Role::kSingle) {
    resources = single_resources(request.spec);
  } else {
    COFFER_CO_TRY(resources, pod_resources(annotations_of(request.spec)));
  }
  COFFER_CO_TRY(const VmSize size,
                size_vm(config_.hypervisor, resources, host_.cpus, host_.memory_mib));
  VmPlan plan;
  plan.sandbox_id = id_;
  plan.tee = tee_;
  plan.kvm = kvm;
  plan.size = size;
  plan.shared_fs = shared_fs_;
  if (shared_fs_ != SharedFs::kNone) {
    state_.directories.push_back((host_.share_root / id_).native());
    COFFER_CO_TRY_VOID(save());
    COFFER_CO_TRY(Shares shares, Shares::create(host_.share_root, id_));
    shares_.emplace(std::move(shares));
    plan.exported = shares_->exported();
  }
  VmOptions options = plan_vm(config_, plan, network_);
  options.netns_fd = netns_.get();
  options.run_dir = state_file(host_.state_root, id_).parent_path().native();
  options.log = log_;
  Status launched = co_await prepare_launch(options.spec);
  if (!launched) co_return launched;
  if (tee_ == Tee::kTpm) COFFER_CO_TRY_VOID(start_tpm(options));
  Result<std::unique_ptr<Machine>> machine =
      co_await host_.start_machine(executor_, std::move(options));
  if (!machine) co_return std::unexpected(std::move(machine).error());
  machine_ = *std::move(machine);
  pid_ = static_cast<std::uint32_t>(machine_->pid());
  phases_.mark("qemu_exec");
  if (const auto helper = identify(machine_->pid())) state_.helpers.push_back(*helper);
  log_.info(
      "virtual machine started",
      {{"qemu_pid", pid_}, {"vcpus", size.vcpus}, {"memory_mib", size.memory_mib}, {"kvm", kvm}});
  co_return save();
}

// On record before QEMU has anything of it: `delete` ends it when nobody else can.
Status Sandbox::start_tpm(VmOptions& options) {
  const auto folder = state_file(host_.state_root, id_).parent_path();
  COFFER_TRY(SoftwareTpm tpm, start_software_tpm(folder / kTpmState, netns_.get()));
  options.spec.tpm = tpm.control.get();
  options.owned.push_back(std::move(tpm.control));
  tpm_.emplace(std::move(tpm.child));
  COFFER_TRY(const ProcessIdentity helper, identify(tpm_->pid()));
  state_.helpers.push_back(helper);
  return save();
}

// What the TEE is given at launch, if the pod has any of it.
Task<Status> Sandbox::prepare_launch(VmSpec& spec) {
  LaunchRequest launch;
  launch.tee = tee_;
  launch.initdata = std::move(initdata_);
  launch.folder = state_file(host_.state_root, id_).parent_path();
  const bool any = !launch.initdata.empty() || config_.hypervisor.tee_emulation;
  if (!any) co_return Status{};
  Status prepared =
      co_await shim::prepare_launch(host_.launch_helper, launch, config_.hypervisor, spec);
  phases_.mark("launch");
  co_return prepared;
}

Task<Status> Sandbox::reach_agent() {
  const milliseconds budget(config_.agent.reconnect_timeout_ms);
  const Deadline deadline = deadline_in(budget);
  Result<Fd> socket = co_await machine_->connect_agent(deadline);
  Status reached;
  if (socket) {
    agent_ = std::make_shared<AgentClient>(executor_, *std::move(socket), log_);
    reached = co_await agent_->check(budget);
  } else {
    reached = std::unexpected(std::move(socket).error());
  }
  if (reached) {
    if (const auto opened = machine_->agent_opened_at()) phases_.mark("kernel_to_agent", *opened);
    phases_.mark("agent_ready");
    log_.info("agent is ready");
    co_return Status{};
  }
  // A lost connection is mostly the VM's end, which knows the reason.
  std::optional<VmExit> exit = co_await machine_->wait_exit(deadline_in(kExitGrace));
  co_return std::unexpected(boot_error(std::move(reached).error(), std::move(exit)));
}

Error Sandbox::boot_error(Error error, std::optional<VmExit> exit) const {
  const std::string why =
      exit ? fmt::format("the VM is gone: {}", exit->reason)
           : fmt::format("the guest agent did not answer: {}", error.to_string());
  return {error.code() == Code::kDeadlineExceeded ? Code::kDeadlineExceeded : Code::kUnavailable,
          fmt::format("boot sandbox '{}': {}; {}", id_, why, machine_->diagnosis())};
}

Task<Status> Sandbox::tell_network() {
  for (const Endpoint& endpoint : network_.endpoints) {
    grpc::UpdateInterfaceRequest request;
    *request.mutable_interface() = interface_message(endpoint.interface);
    Result<types::Interface> done =
        co_await agent_->call<types::Interface>("UpdateInterface", std::move(request));
    if (!done) co_return std::unexpected(std::move(done).error());
  }
  if (!network_.routes.empty()) {
    grpc::UpdateRoutesRequest request = routes_message(network_.routes);
    Result<grpc::Routes> done =
        co_await agent_->call<grpc::Routes>("UpdateRoutes", std::move(request));
    if (!done) co_return std::unexpected(std::move(done).error());
  }
  if (network_.neighbours.empty()) co_return Status{};
  grpc::AddARPNeighborsRequest request = neighbours_message(network_.neighbours);
  Status done = co_await agent_->command("AddARPNeighbors", std::move(request));
  co_return done;
}

Task<Status> Sandbox::create_sandbox(const BootRequest& request) {
  if (!config_.agent.policy.empty()) {
    grpc::SetPolicyRequest policy;
    COFFER_CO_TRY(const Bytes text, from_base64(config_.agent.policy));
    policy.set_policy(std::string(as_text(text)));
    Status set = co_await agent_->command("SetPolicy", std::move(policy));
    if (!set) co_return std::unexpected(std::move(set).error().with_context("set the policy"));
  }
  Status networked = co_await tell_network();
  if (!networked) {
    co_return std::unexpected(std::move(networked).error().with_context("set up the network"));
  }
  grpc::CreateSandboxRequest create;
  create.set_sandbox_id(id_);
  constexpr std::size_t kMaxHostname = 64;
  create.set_hostname(request.spec.hostname().substr(0, kMaxHostname));
  for (std::string& line : dns_lines(request.spec)) create.add_dns(std::move(line));
  add_sandbox_storages(create, shared_fs_, config_.hypervisor.msize_9p, shm_bytes_);
  add_kernel_modules(create, config_.agent.kernel_modules);
  Status created = co_await agent_->command("CreateSandbox", std::move(create));
  co_return created;
}

void Sandbox::note_started() {
  if (phases_.finished()) return;
  phases_.mark("started");
  phases_.finish();
  log_.info("start-up phases", {{"phases", phases_.to_json()}});
  const auto file = state_file(host_.state_root, id_).parent_path() / "phases.json";
  const Status written = write_file_atomic(file, phases_.to_json());
  if (!written) log_.warn("start-up phases are not recorded", {{"error", written.error()}});
}

Task<void> Sandbox::watch_vm() {
  std::optional<VmExit> exit = co_await machine_->wait_exit({});
  if (stopping_ || !exit) co_return;
  log_.error("the virtual machine is gone", {{"reason", exit->reason}});
  agent_->close();
  ended_.set({.stopped = false, .reason = "the VM is gone: " + exit->reason});
}

Task<void> Sandbox::watch_agent() {
  co_await agent_->wait_closed();
  if (stopping_) co_return;
  // The VM's own end tells more, and comes at about the same time.
  co_await ended_.wait(deadline_in(kExitGrace));
  if (stopping_ || ended_.ready()) co_return;
  log_.error("the guest agent is gone", {{"diagnosis", machine_->diagnosis()}});
  ended_.set({.stopped = false, .reason = "the guest agent is gone"});
}

Task<void> Sandbox::watch_oom() {
  constexpr std::chrono::seconds kPauseAfterError{1};
  while (!agent_->closed()) {
    grpc::GetOOMEventRequest request;
    Result<grpc::OOMEvent> event = co_await agent_->call<grpc::OOMEvent>(
        "GetOOMEvent", std::move(request), AgentClient::kNoTimeout);
    if (event) {
      on_oom_(event->container_id());
    } else if (event.error().code() == Code::kUnimplemented ||
               event.error().code() == Code::kPermissionDenied) {
      log_.warn("the agent gives no OOM events", {{"error", event.error()}});
      co_return;
    } else {
      co_await sleep_for(kPauseAfterError);
    }
  }
}

Task<void> Sandbox::stop() {
  if (stopping_) {
    co_await stopped_.wait();
    co_return;
  }
  stopping_ = true;
  // Storage that the guest caches is written back by this; what is shared needs nothing.
  if (agent_ && !agent_->closed() && !disks_.empty()) {
    grpc::DestroySandboxRequest request;
    [[maybe_unused]] const Status destroyed =
        co_await agent_->command("DestroySandbox", std::move(request), kDestroyTimeout);
  }
  if (machine_) co_await machine_->stop(milliseconds{0});
  tpm_.reset();
  if (agent_) agent_->close();
  ended_.set({.stopped = true, .reason = "stopped"});
  co_await scope_.close();
  netns_.reset();
  for (Error& error : remove_leftovers(host_.state_root, state_, host_.undo)) {
    log_.error("something of the sandbox is left", {{"error", error}});
  }
  stopped_.set();
}

}  // namespace coffer::shim
