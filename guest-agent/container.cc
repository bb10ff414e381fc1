#include "guest-agent/container.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>

#include "base/fd.h"
#include "base/json.h"
#include "guest-agent/bundle.h"
#include "guest-agent/children.h"
#include "guest-agent/mounts.h"
#include "guest-agent/namespaces.h"
#include "guest-agent/sealed_files.h"
#include "guest-agent/spec.h"
#include "rpc/protos/oci.pb.h"

namespace coffer::agent {
namespace {

namespace fs = std::filesystem;

// Exec'd processes that have ended and been waited for are kept while their output may still be
// wanted; this many at most.
constexpr std::size_t kMaxEnded = 32;

bool alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

Result<std::string> dump(const nlohmann::json& document) {
  try {
    return document.dump();
  } catch (const nlohmann::json::exception& e) {
    return fail(Code::kInvalidArgument, fmt::format("write the spec: {}", e.what()));
  }
}

Error error_state(std::string_view what, std::string_view id) {
  return Error(Code::kInternal,
               fmt::format("{} container '{}': it is not in a state for that", what, id));
}

}  // namespace

Status check_container_id(std::string_view id) {
  constexpr std::size_t kMaxId = 200;
  const bool good =
      id.size() >= 2 && id.size() <= kMaxId && alnum(id.front()) &&
      std::ranges::all_of(id, [](char c) { return alnum(c) || c == '_' || c == '.' || c == '-'; });
  if (good) return {};
  return fail(Code::kInvalidArgument,
              fmt::format("read container id '{}': want [a-zA-Z0-9][a-zA-Z0-9_.-]+", id));
}

Result<Cgroup> Container::cgroup_of(const ContainerSettings& settings, const std::string& id,
                                    const grpc::Spec& spec) {
  const auto& path = spec.linux().cgroupspath();
  return Cgroup::at(settings.cgroup_root, path.empty() ? id : path);
}

Container::Container(ContainerSettings settings, std::string id, std::unique_ptr<grpc::Spec> spec,
                     Cgroup cgroup, Crun& crun, ChildRegistry& children, Scope& scope, Logger log)
    : id_(std::move(id)),
      settings_(std::move(settings)),
      spec_(std::move(spec)),
      cgroup_(std::move(cgroup)),
      crun_(crun),
      children_(children),
      scope_(scope),
      log_(std::move(log)),
      bundle_(settings_.base / id_) {}

Container::~Container() = default;

bool Container::has_terminal() const { return spec_->process().terminal(); }

Task<Status> Container::open_secrets() {
  if (!settings_.unseal) co_return Status{};
  COFFER_CO_TRY_VOID(co_await secrets_.open(spec_->process(), settings_.unseal));
  co_return co_await open_sealed_files(*spec_, settings_.base / "shared/containers",
                                       bundle_ / "secrets", settings_.unseal);
}

Result<std::string> Container::write_bundle(SandboxNamespaces& namespaces, bool share_pid_namespace,
                                            bool pause_image) {
  COFFER_TRY(auto config, oci_spec(*spec_));
  COFFER_TRY_VOID(place_in_sandbox(config, namespaces, share_pid_namespace));
  config["linux"]["cgroupsPath"] = cgroup_.path();
  if (pause_image) COFFER_TRY_VOID(run_pause_image(config, settings_.pause_bundle));
  for (const auto& [key, value] : spec_->linux().sysctl())
    COFFER_TRY_VOID(namespaces.write_sysctl(key, value));
  std::error_code error;
  fs::create_directories(bundle_, error);
  if (error) return fail_errno(error.value(), fmt::format("make bundle '{}'", bundle_.string()));
  std::string sealed;
  if (!secrets_.empty()) {
    COFFER_TRY(sealed, dump(config));
  }
  COFFER_TRY(std::string text, secrets_.revealed_text(config, config["process"]));
  const Status written = write_file(bundle_ / "config.json", text, 0600);
  if (!secrets_.empty()) wipe(text);
  if (!written) return fail(written.error());
  return sealed;
}

Status Container::hide_secrets(const std::string& sealed) {
  if (sealed.empty()) return {};
  COFFER_TRY_VOID(overwrite_file(bundle_ / "config.json", sealed));
  // crun keeps a copy, which its other commands read. They need no environment.
  const auto copy = overwrite_file(crun_.settings().state_dir / id_ / "config.json", sealed);
  if (!copy && copy.error().code() != Code::kNotFound) return copy;
  return {};
}

Task<Status> Container::create(SandboxNamespaces& namespaces, bool share_pid_namespace,
                               bool pause_image) {
  const Status opened = co_await open_secrets();
  if (!opened) {
    auto why = opened.error();
    co_return fail(std::move(why).with_context(fmt::format("create container '{}'", id_)));
  }
  COFFER_CO_TRY(const auto sealed, write_bundle(namespaces, share_pid_namespace, pause_image));
  auto started = co_await crun_.create(id_, bundle_, has_terminal());
  // The container's init has its environment: nobody reads it from a file any more.
  const Status hidden = hide_secrets(sealed);
  if (!started) co_return fail(std::move(started).error());
  const auto& process = spec_->process();
  if (has_terminal() && process.has_consolesize())
    std::ignore = resize_terminal(started->stdio.terminal.get(), process.consolesize().height(),
                                  process.consolesize().width());
  adopt("", *std::move(started));
  co_return hidden;
}

void Container::adopt(std::string exec_id, Started started) {
  auto process = std::make_shared<Process>(scope_.executor(), exec_id, std::move(started));
  processes_[exec_id] = process;
  // The coroutine keeps the process, not the container: this object may go first.
  scope_.spawn([](std::shared_ptr<Process> watched, ChildRegistry& children,
                  std::weak_ptr<Container*> owner) -> Task<void> {
    co_await watched->supervise();
    children.remove(watched->pid());
    if (const auto container = owner.lock(); container && watched->exec_id().empty())
      (*container)->init_exited();
  }(process, children_, self_));
}

void Container::init_exited() {
  state_ = State::kStopped;
  // With its own PID namespace the kernel has done it; with a shared one, it is for us.
  if (cgroup_.populated()) std::ignore = cgroup_.kill();
}

Task<Status> Container::start() {
  if (state_ != State::kCreated) co_return fail(error_state("start", id_));
  if (spec_->hooks().poststart_size() > 0) {
    COFFER_CO_TRY_VOID(co_await crun_.start_with_hooks(id_));
  } else {
    COFFER_CO_TRY_VOID(crun_.start(id_));
  }
  if (state_ == State::kCreated) state_ = State::kRunning;
  co_return Status{};
}

Task<Status> Container::exec(std::string exec_id, const grpc::Process& wire) {
  const auto existing = processes_.find(exec_id);
  const bool taken = (existing != processes_.end() && !existing->second->waited()) ||
                     starting_.contains(exec_id) || exec_id.empty() || exec_id == id_;
  if (taken)
    co_return fail(Code::kAlreadyExists,
                   fmt::format("execute in '{}': exec id '{}' is in use", id_, exec_id));
  COFFER_CO_TRY(auto process, oci_process(wire));
  // Kubernetes gives it the container's environment, sealed values and all.
  COFFER_CO_TRY(std::string text, secrets_.revealed_text(process, process));
  const bool terminal = wire.terminal();
  const auto size = wire.consolesize();
  const bool sized = wire.has_consolesize();
  starting_.insert(exec_id);
  auto started = co_await crun_.exec(id_, std::move(text), terminal);
  starting_.erase(exec_id);
  if (!started) co_return fail(std::move(started).error());
  if (terminal && sized)
    std::ignore = resize_terminal(started->stdio.terminal.get(), size.height(), size.width());
  forget_old_processes();
  adopt(std::move(exec_id), *std::move(started));
  co_return Status{};
}

void Container::forget_old_processes() {
  const auto ended =
      std::ranges::count_if(processes_, [](const auto& entry) { return entry.second->waited(); });
  if (static_cast<std::size_t>(ended) < kMaxEnded) return;
  std::erase_if(processes_,
                [](const auto& entry) { return !entry.first.empty() && entry.second->waited(); });
}

void Container::kill_all() {
  if (auto status = cgroup_.kill(); !status)
    log_.debug("cgroup was not killed", {{"container", id_}, {"error", status.error()}});
  for (const auto& [exec_id, process] : processes_) std::ignore = process->kill(SIGKILL);
}

Status Container::pause() {
  if (state_ != State::kCreated && state_ != State::kRunning)
    return fail(error_state("pause", id_));
  COFFER_TRY_VOID(cgroup_.freeze(true));
  state_ = State::kPaused;
  return {};
}

Status Container::resume() {
  if (state_ != State::kPaused) return fail(error_state("resume", id_));
  COFFER_TRY_VOID(cgroup_.freeze(false));
  state_ = State::kRunning;
  return {};
}

Task<Status> Container::update(const grpc::LinuxResources& wire) {
  COFFER_CO_TRY(auto resources, oci_resources(wire));
  // containerd sends the whole of them again, devices too.
  resources.erase("devices");
  if (resources.empty()) co_return Status{};
  std::string text;
  try {
    text = resources.dump();
  } catch (const nlohmann::json::exception& e) {
    co_return fail(Code::kInvalidArgument, fmt::format("write the resources: {}", e.what()));
  }
  co_return co_await crun_.update(id_, std::move(text));
}

Task<void> Container::remove_cgroup() {
  constexpr int kTries = 100;
  constexpr auto kPause = std::chrono::milliseconds(5);
  Status status;
  // Killed processes that are not our children leave the cgroup a moment later.
  for (int i = 0; i < kTries && cgroup_.exists(); ++i) {
    status = cgroup_.remove();
    if (status || status.error().code() != Code::kFailedPrecondition) break;
    co_await sleep_for(kPause);
  }
  if (!status) log_.warn("cgroup was left behind", {{"container", id_}, {"error", status.error()}});
}

Task<Status> Container::remove(Deadline deadline) {
  // A frozen task cannot die.
  if (state_ == State::kPaused) std::ignore = cgroup_.freeze(false);
  kill_all();
  const auto processes = processes_;  // copied: the map may change while we wait
  for (const auto& [exec_id, process] : processes) {
    const bool ended = co_await process->wait_ended(deadline);
    if (!ended)
      co_return fail(Code::kDeadlineExceeded,
                     fmt::format("ETIME: remove container '{}': process {} does not end", id_,
                                 process->pid()));
  }
  if (spec_->hooks().poststop_size() > 0) COFFER_CO_TRY_VOID(co_await crun_.remove_with_hooks(id_));
  COFFER_CO_TRY_VOID(crun_.forget(id_));
  co_await remove_cgroup();
  if (auto status = unmount((bundle_ / "rootfs").string()); !status)
    log_.warn("rootfs was left mounted", {{"container", id_}, {"error", status.error()}});
  wipe_files(bundle_ / "secrets");
  co_return remove_tree(bundle_);
}

int Container::init_pid() const {
  const auto found = processes_.find("");
  return found == processes_.end() ? -1 : found->second->pid();
}

Result<std::shared_ptr<Process>> Container::process_output(const std::string& exec_id) const {
  const bool init = exec_id.empty() || exec_id == id_;
  const auto found = processes_.find(init ? "" : exec_id);
  if (found != processes_.end()) return found->second;
  return fail(Code::kNotFound,
              init ? fmt::format("InitProcessNotFound: container '{}'", id_)
                   : fmt::format("InvalidExecId: container '{}' has no '{}'", id_, exec_id));
}

Result<std::shared_ptr<Process>> Container::process(const std::string& exec_id) const {
  COFFER_TRY(auto found, process_output(exec_id));
  if (!found->waited()) return found;
  return fail(Code::kNotFound, exec_id.empty() || exec_id == id_
                                   ? fmt::format("InitProcessNotFound: container '{}'", id_)
                                   : fmt::format("InvalidExecId: '{}' has ended", exec_id));
}

}  // namespace coffer::agent
