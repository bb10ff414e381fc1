#include "shim/qemu/vm.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/json.h"
#include "base/subprocess.h"
#include "shim/qemu/explain.h"
#include "shim/qemu/lines.h"
#include "shim/qemu/qmp.h"

namespace coffer::shim {
namespace {

constexpr std::size_t kConsoleBytes = std::size_t{64} << 10U;
constexpr std::size_t kStderrBytes = std::size_t{16} << 10U;
constexpr auto kCommandTimeout = std::chrono::seconds(30);
constexpr auto kUnplugTimeout = std::chrono::seconds(10);
// How long the last words of a dead QEMU may take to arrive through its pipes.
constexpr auto kLastWords = std::chrono::seconds(1);

struct Pair {
  Fd ours;
  Fd theirs;
};

Result<Pair> socket_pair() {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()) != 0) {
    return fail_errno(errno, "make a socket pair");
  }
  return Pair{Fd(fds[0]), Fd(fds[1])};
}

void set_nonblocking(int fd) { (void)::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

std::string json_text(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string data_text(const std::string& data, const char* key) {
  const auto json = parse_json(data.empty() ? "{}" : data, "QMP event");
  if (!json || !json->is_object()) return "";
  const auto it = json->find(key);
  return it != json->end() && it->is_string() ? it->get<std::string>() : "";
}

}  // namespace

struct VirtualMachine::State {
  State(const asio::any_io_executor& executor, Logger logger, Child process)
      : log(std::move(logger)),
        child(std::move(process)),
        exit(executor),
        deleted(executor),
        streams_left(executor) {}

  using Shared = std::shared_ptr<State>;

  // Follows a stream of QEMU's to its end.
  static Task<void> follow(Shared state, Fd fd, bool console);
  // Waits for the end of the process and says why it came.
  static Task<void> supervise(Shared state);
  void on_event(const QmpMessage& event);
  void on_console(const std::string& line);
  [[nodiscard]] VmExit judge(const ExitStatus& status) const;
  [[nodiscard]] VmExit judge_unasked(const ExitStatus& status) const;
  static Task<VmExit> stop(Shared state, std::chrono::milliseconds grace);
  static Task<Result<std::string>> command(Shared state, std::string name,
                                           nlohmann::json arguments);
  // A hotplug slot for `id`.
  [[nodiscard]] Result<std::uint32_t> take_slot(const std::string& id);
  void free_slot(const std::string& id);

  Logger log;
  Child child;
  Fd agent;
  std::unique_ptr<QmpClient> qmp;
  LineRing console{kConsoleBytes};
  LineRing errors{kStderrBytes};
  std::string panic;     // its reason, once the guest has panicked
  std::string shutdown;  // QMP SHUTDOWN's reason, once it came
  bool stopping = false;
  std::optional<std::chrono::steady_clock::time_point> agent_opened;
  VmSpec disks;  // only how disks are to be opened
  std::array<std::string, kHotplugSlots + 1> slots;
  std::map<std::string, bool> plugged;  // device id; true once QEMU reports it deleted
  Future<VmExit> exit;
  WaitList deleted;
  int open_streams = 0;
  WaitList streams_left;
};

void VirtualMachine::State::on_console(const std::string& line) {
  log.debug("guest console", {{"vmconsole", line}});
  if (panic.empty()) panic = panic_of(line);
}

void VirtualMachine::State::on_event(const QmpMessage& event) {
  if (event.name == "SHUTDOWN") {
    shutdown = data_text(event.data, "reason");
    if (shutdown.empty()) shutdown = "guest-shutdown";
  } else if (event.name == "GUEST_PANICKED") {
    if (panic.empty()) panic = "reported by its panic device";
  } else if (event.name == "VSERPORT_CHANGE") {
    // The agent's is the only port.
    if (!agent_opened) agent_opened = std::chrono::steady_clock::now();
  } else if (event.name == "DEVICE_DELETED") {
    const auto it = plugged.find(data_text(event.data, "device"));
    if (it != plugged.end()) it->second = true;
    deleted.wake_all();
  }
}

Task<void> VirtualMachine::State::follow(Shared state, Fd fd, bool console) {
  set_nonblocking(fd.get());
  LineRing& ring = console ? state->console : state->errors;
  const std::function<void(const std::string&)> on_line = [&state,
                                                           console](const std::string& line) {
    if (console) {
      state->on_console(line);
    } else {
      state->log.warn("QEMU says", {{"stderr", line}});
    }
  };
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
    if (count > 0) {
      ring.append({buffer.data(), static_cast<std::size_t>(count)}, on_line);
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    if (count == 0 || errno != EAGAIN) break;
    const auto ready = co_await wait_readable(fd.get());
    if (!ready) break;
  }
  ring.finish(on_line);
  --state->open_streams;
  state->streams_left.wake_all();
}

VmExit VirtualMachine::State::judge(const ExitStatus& status) const {
  if (stopping) return {VmExit::Kind::kStopped, "stopped as asked", status};
  return judge_unasked(status);
}

VmExit VirtualMachine::State::judge_unasked(const ExitStatus& status) const {
  if (!panic.empty()) {
    return {VmExit::Kind::kPanic, fmt::format("the guest's kernel panicked: {}", panic), status};
  }
  if (status.signal != 0) {
    return {VmExit::Kind::kKilled,
            fmt::format("QEMU was killed by signal {} ({}){}", status.signal,
                        ::strsignal(status.signal),
                        status.signal == SIGKILL ? ": out of memory, or by hand" : ""),
            status};
  }
  if (status.code != 0) {
    const std::string said = explain_qemu(errors.copy());
    return {VmExit::Kind::kFailed,
            fmt::format("QEMU exited with status {}: {}", status.code,
                        said.empty() ? "it gave no reason" : said),
            status};
  }
  return {VmExit::Kind::kShutdown,
          fmt::format("the guest ended the VM ({})",
                      shutdown.empty() ? "QEMU exited with status 0" : shutdown),
          status};
}

Task<void> VirtualMachine::State::supervise(Shared state) {
  const auto waited = co_await state->child.wait();
  const ExitStatus status = waited.value_or(ExitStatus{-1, 0});
  // The reason may still be in a pipe.
  const Deadline deadline = deadline_in(kLastWords);
  while (state->open_streams > 0) {
    const bool woken = co_await state->streams_left.wait(deadline);
    if (!woken) break;
  }
  const VmExit exit = state->judge(status);
  if (exit.kind != VmExit::Kind::kStopped) {
    state->log.info("the VM has ended", {{"reason", exit.reason}});
  }
  state->deleted.wake_all();
  state->exit.set(exit);
}

Task<Result<std::string>> VirtualMachine::State::command(Shared state, std::string name,
                                                         nlohmann::json arguments) {
  std::string text = json_text(arguments);
  const Deadline deadline = deadline_in(kCommandTimeout);
  return state->qmp->execute(std::move(name), std::move(text), deadline);
}

Result<std::uint32_t> VirtualMachine::State::take_slot(const std::string& id) {
  if (plugged.contains(id)) {
    return fail(Code::kAlreadyExists, fmt::format("plug '{}': it is plugged already", id));
  }
  for (std::uint32_t slot = 1; slot <= kHotplugSlots; ++slot) {
    if (!slots.at(slot).empty()) continue;
    slots.at(slot) = id;
    plugged[id] = false;
    return slot;
  }
  return fail(Code::kResourceExhausted,
              fmt::format("plug '{}': all {} hotplug slots are taken", id, kHotplugSlots));
}

void VirtualMachine::State::free_slot(const std::string& id) {
  plugged.erase(id);
  for (auto& slot : slots) {
    if (slot == id) slot.clear();
  }
}

Task<VmExit> VirtualMachine::State::stop(Shared state, std::chrono::milliseconds grace) {
  if (!state->exit.ready()) state->stopping = true;
  if (!state->exit.ready() && grace.count() > 0) {
    const Deadline deadline = deadline_in(grace);
    const std::string quit = "quit";
    const auto asked = co_await state->qmp->execute(quit, "", deadline);
    if (asked || asked.error().code() == Code::kUnavailable) {
      const auto ended = co_await state->exit.wait(deadline);
      if (ended) co_return *ended;
    }
  }
  if (!state->exit.ready()) (void)state->child.kill(SIGKILL);
  const auto ended = co_await state->exit.wait();
  co_return ended.value_or(VmExit{});
}

namespace {

// The ends of QEMU's streams that stay here, and the process itself.
struct Launched {
  Fd monitor, console, agent, errors;
  std::optional<Child> child;
};

Result<Launched> launch(VmOptions& options) {
  Launched ours;
  COFFER_TRY(Pair monitor, socket_pair());
  COFFER_TRY(Pair console, socket_pair());
  COFFER_TRY(Pair agent, socket_pair());
  std::array<int, 2> pipe_fds{};
  if (::pipe2(pipe_fds.data(), O_CLOEXEC) != 0) return fail_errno(errno, "make a pipe");
  ours.errors = Fd(pipe_fds[0]);
  const Fd errors(pipe_fds[1]);
  options.spec.monitor = monitor.theirs.get();
  options.spec.console = console.theirs.get();
  options.spec.agent = agent.theirs.get();
  COFFER_TRY(const CommandLine line, compose(options.spec));
  SpawnOptions spawn_options;
  spawn_options.argv = line.argv;
  spawn_options.cwd = options.run_dir;
  spawn_options.netns_fd = options.netns_fd;
  spawn_options.new_process_group = true;
  spawn_options.parent_death_signal = SIGKILL;
  spawn_options.fds.emplace_back(STDERR_FILENO, errors.get());
  for (const auto& fd : line.fds) spawn_options.fds.emplace_back(fd.target, fd.source);
  COFFER_TRY(ours.child, spawn(spawn_options));
  options.owned.clear();
  ours.monitor = std::move(monitor.ours);
  ours.console = std::move(console.ours);
  if (options.spec.transport == AgentTransport::kVirtioSerial) ours.agent = std::move(agent.ours);
  return ours;
}

}  // namespace

VirtualMachine::VirtualMachine(std::shared_ptr<State> state, std::unique_ptr<Scope> scope)
    : state_(std::move(state)), scope_(std::move(scope)) {}

VirtualMachine::~VirtualMachine() {
  if (!state_->exit.ready()) (void)state_->child.kill(SIGKILL);
}

Task<Result<std::unique_ptr<VirtualMachine>>> VirtualMachine::start(asio::any_io_executor executor,
                                                                    VmOptions options) {
  auto launched = launch(options);
  if (!launched) {
    co_return fail(std::move(launched).error().with_context("start the VM"));
  }
  auto state = std::make_shared<State>(executor, options.log, *std::move(launched->child));
  auto scope = std::make_unique<Scope>(executor);
  state->agent = std::move(launched->agent);
  state->disks.block_aio = options.spec.block_aio;
  state->disks.block_cache_direct = options.spec.block_cache_direct;
  state->disks.block_cache_noflush = options.spec.block_cache_noflush;
  state->open_streams = 2;
  // The client belongs to the state and dies with it: the pointer is good for every event.
  State* raw = state.get();
  state->qmp =
      std::make_unique<QmpClient>(executor, std::move(launched->monitor),
                                  [raw](const QmpMessage& event) { raw->on_event(event); });
  scope->spawn(State::follow(state, std::move(launched->console), true));
  scope->spawn(State::follow(state, std::move(launched->errors), false));
  scope->spawn(State::supervise(state));
  std::unique_ptr<VirtualMachine> vm(new VirtualMachine(state, std::move(scope)));
  const Deadline deadline = deadline_in(options.monitor_timeout);
  const auto greeted = co_await state->qmp->handshake(deadline);
  if (greeted) co_return vm;
  if (greeted.error().code() != Code::kUnavailable) (void)state->child.kill(SIGKILL);
  const auto ended = co_await state->exit.wait();
  std::string reason = greeted.error().to_string();
  if (ended && greeted.error().code() == Code::kUnavailable) reason = ended->reason;
  co_return fail(Code::kFailedPrecondition, fmt::format("start the VM: {}", reason));
}

int VirtualMachine::pid() const { return state_->child.pid(); }
int VirtualMachine::pidfd() const { return state_->child.pidfd(); }
Fd VirtualMachine::take_agent_socket() { return std::move(state_->agent); }
std::optional<std::chrono::steady_clock::time_point> VirtualMachine::agent_opened_at() const {
  return state_->agent_opened;
}
bool VirtualMachine::running() const { return !state_->exit.ready(); }

Task<std::optional<VmExit>> VirtualMachine::wait_exit(Deadline deadline) {
  const auto state = state_;
  const auto ended = co_await state->exit.wait(deadline);
  co_return ended;
}

Task<VmExit> VirtualMachine::stop(std::chrono::milliseconds grace) {
  return State::stop(state_, grace);
}

std::vector<std::string> VirtualMachine::console_tail() const { return state_->console.copy(); }
std::vector<std::string> VirtualMachine::stderr_tail() const { return state_->errors.copy(); }
std::string VirtualMachine::boot_stage() const { return boot_stage_of(state_->console.copy()); }

Task<Result<std::string>> VirtualMachine::plug_disk(VmDisk disk) {
  const auto state = state_;
  const auto slot = state->take_slot(disk.id);
  if (!slot) co_return fail(slot.error());
  nlohmann::json file = {{"driver", disk.host_device ? "host_device" : "file"},
                         {"filename", disk.path},
                         {"aio", disk_aio(state->disks)}};
  nlohmann::json node = {{"driver", "raw"},
                         {"node-name", disk.id},
                         {"read-only", disk.read_only},
                         {"cache",
                          {{"direct", state->disks.block_cache_direct},
                           {"no-flush", state->disks.block_cache_noflush}}},
                         {"file", file}};
  nlohmann::json device = {{"driver", "virtio-blk-pci"}, {"id", disk.id},
                           {"drive", disk.id},           {"serial", disk.id},
                           {"bus", kHotplugBus},         {"addr", fmt::format("{:02x}.0", *slot)}};
  const auto added = co_await State::command(state, "blockdev-add", std::move(node));
  if (!added) {
    state->free_slot(disk.id);
    co_return fail(Error(added.error()).with_context(fmt::format("plug disk '{}'", disk.path)));
  }
  const auto plugged = co_await State::command(state, "device_add", std::move(device));
  if (!plugged) {
    state->free_slot(disk.id);
    nlohmann::json name = {{"node-name", disk.id}};
    (void)co_await State::command(state, "blockdev-del", std::move(name));
    co_return fail(Error(plugged.error()).with_context(fmt::format("plug disk '{}'", disk.path)));
  }
  co_return hotplug_pci_path(*slot);
}

Task<Status> VirtualMachine::unplug_disk(std::string id) {
  const auto state = state_;
  if (!state->plugged.contains(id)) {
    co_return fail(Code::kNotFound, fmt::format("unplug '{}': it is not plugged", id));
  }
  nlohmann::json device = {{"id", id}};
  const auto asked = co_await State::command(state, "device_del", std::move(device));
  if (!asked) co_return fail(Error(asked.error()).with_context(fmt::format("unplug '{}'", id)));
  const Deadline deadline = deadline_in(kUnplugTimeout);
  while (!state->plugged[id]) {
    if (state->exit.ready()) co_return Status{};
    const bool woken = co_await state->deleted.wait(deadline);
    if (!woken) {
      co_return fail(Code::kDeadlineExceeded,
                     fmt::format("unplug '{}': the guest does not let go", id));
    }
  }
  nlohmann::json node = {{"node-name", id}};
  const auto removed = co_await State::command(state, "blockdev-del", std::move(node));
  state->free_slot(id);
  if (!removed) co_return fail(Error(removed.error()).with_context(fmt::format("unplug '{}'", id)));
  co_return Status{};
}

Task<Result<std::string>> VirtualMachine::plug_nic(std::string id, std::string mac,
                                                   std::vector<Fd> taps) {
  const auto state = state_;
  const auto slot = state->take_slot(id);
  if (!slot) co_return fail(slot.error());
  const Deadline deadline = deadline_in(kCommandTimeout);
  std::string names;
  Status status;
  for (std::size_t i = 0; i < taps.size() && status; ++i) {
    std::string name = fmt::format("{}-{}", id, i);
    names += (names.empty() ? "" : ":") + name;
    status = co_await state->qmp->give_fd(std::move(name), taps[i].get(), deadline);
  }
  if (status) {
    nlohmann::json netdev = {{"type", "tap"}, {"id", id}, {taps.size() > 1 ? "fds" : "fd", names}};
    const auto added = co_await State::command(state, "netdev_add", std::move(netdev));
    if (!added) status = fail(added.error());
  }
  if (status) {
    nlohmann::json device = {{"driver", "virtio-net-pci"},
                             {"id", "nic-" + id},
                             {"netdev", id},
                             {"mac", mac},
                             {"bus", kHotplugBus},
                             {"addr", fmt::format("{:02x}.0", *slot)}};
    if (taps.size() > 1) {
      device["mq"] = true;
      device["vectors"] = 2 * taps.size() + 2;
    }
    const auto plugged = co_await State::command(state, "device_add", std::move(device));
    if (!plugged) status = fail(plugged.error());
  }
  if (status) co_return hotplug_pci_path(*slot);
  state->free_slot(id);
  co_return fail(Error(status.error()).with_context(fmt::format("plug NIC '{}'", id)));
}

Task<Status> VirtualMachine::pause() {
  const auto reply = co_await State::command(state_, "stop", nlohmann::json::object());
  if (!reply) co_return fail(reply.error());
  co_return Status{};
}

Task<Status> VirtualMachine::resume() {
  const auto reply = co_await State::command(state_, "cont", nlohmann::json::object());
  if (!reply) co_return fail(reply.error());
  co_return Status{};
}

Task<Result<std::vector<int>>> VirtualMachine::vcpu_threads() {
  const auto reply = co_await State::command(state_, "query-cpus-fast", nlohmann::json::object());
  if (!reply) co_return fail(reply.error());
  const auto json = parse_json(*reply, "QMP 'query-cpus-fast'");
  if (!json) co_return fail(json.error());
  std::vector<int> threads;
  for (const auto& cpu : *json) {
    const auto it = cpu.is_object() ? cpu.find("thread-id") : cpu.end();
    if (it == cpu.end() || !it->is_number_integer()) {
      co_return fail(Code::kInvalidArgument, "QMP 'query-cpus-fast': a vCPU without 'thread-id'");
    }
    threads.push_back(it->get<int>());
  }
  co_return threads;
}

}  // namespace coffer::shim
