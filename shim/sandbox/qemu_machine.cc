#include <fmt/core.h>
#include <linux/vm_sockets.h>
#include <sys/socket.h>

#include <utility>

#include "shim/sandbox/machine.h"

namespace coffer::shim {
namespace {

// The tail of `lines` that stays readable in an error message.
std::string last_lines(const std::vector<std::string>& lines, std::size_t count) {
  std::string text;
  const std::size_t first = lines.size() > count ? lines.size() - count : 0;
  for (std::size_t i = first; i < lines.size(); ++i) {
    if (!text.empty()) text += " | ";
    text += lines[i];
  }
  return text;
}

// The guest's kernel refuses until its agent listens, so this is tried again until the deadline.
Task<Result<Fd>> connect_vsock(std::uint32_t cid, std::uint32_t port, Deadline deadline) {
  constexpr std::chrono::milliseconds kPause{10};
  for (;;) {
    Fd fd(::socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid()) co_return fail_errno(errno, "make a vsock socket");
    sockaddr_vm address{};
    address.svm_family = AF_VSOCK;
    address.svm_cid = cid;
    address.svm_port = port;
    // SAFETY: connect(2) takes any address family behind a sockaddr pointer.
    int error = 0;
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      error = errno;
    }
    if (error == EINPROGRESS) {
      const Result<bool> ready = co_await wait_writable(fd.get(), deadline);
      socklen_t size = sizeof(error);
      if (!ready || !*ready) error = ETIMEDOUT;
      if (error != ETIMEDOUT) ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error == 0) co_return fd;
    if (deadline && std::chrono::steady_clock::now() >= *deadline) {
      co_return fail_errno(error, fmt::format("connect to vsock {}:{}", cid, port));
    }
    co_await sleep_for(kPause);
  }
}

class QemuMachine final : public Machine {
 public:
  QemuMachine(std::unique_ptr<VirtualMachine> vm, std::uint32_t vsock_cid)
      : vm_(std::move(vm)), vsock_cid_(vsock_cid) {}

  int pid() const override { return vm_->pid(); }
  Task<Result<Fd>> connect_agent(Deadline deadline) override {
    constexpr std::uint32_t kAgentPort = 1024;
    if (vsock_cid_ != 0) {
      Result<Fd> connected = co_await connect_vsock(vsock_cid_, kAgentPort, deadline);
      co_return connected;
    }
    Fd socket = vm_->take_agent_socket();
    if (!socket.valid()) co_return fail(Code::kInternal, "connect to the agent: socket is taken");
    co_return socket;
  }
  Task<std::optional<VmExit>> wait_exit(Deadline deadline) override {
    return vm_->wait_exit(deadline);
  }
  Task<VmExit> stop(std::chrono::milliseconds grace) override { return vm_->stop(grace); }
  Task<Result<std::string>> plug_disk(VmDisk disk) override {
    return vm_->plug_disk(std::move(disk));
  }
  Task<Status> unplug_disk(std::string id) override { return vm_->unplug_disk(std::move(id)); }
  std::optional<std::chrono::steady_clock::time_point> agent_opened_at() const override {
    return vm_->agent_opened_at();
  }
  std::string diagnosis() const override {
    return describe_boot(vm_->boot_stage(), vm_->stderr_tail(), vm_->console_tail());
  }

 private:
  std::unique_ptr<VirtualMachine> vm_;
  std::uint32_t vsock_cid_;
};

}  // namespace

std::string describe_boot(std::string_view stage, const std::vector<std::string>& stderr_lines,
                          const std::vector<std::string>& console_lines) {
  constexpr std::size_t kStderrLines = 5;
  constexpr std::size_t kConsoleLines = 8;
  std::string text = fmt::format("boot stage: {}", stage);
  if (!stderr_lines.empty()) {
    text += fmt::format("; QEMU said: {}", last_lines(stderr_lines, kStderrLines));
  }
  if (!console_lines.empty()) {
    text += fmt::format("; console: {}", last_lines(console_lines, kConsoleLines));
  }
  return text;
}

Task<Result<std::unique_ptr<Machine>>> start_qemu(asio::any_io_executor executor,
                                                  VmOptions options) {
  const std::uint32_t cid =
      options.spec.transport == AgentTransport::kVsock ? options.spec.guest_cid : 0;
  Result<std::unique_ptr<VirtualMachine>> vm =
      co_await VirtualMachine::start(std::move(executor), std::move(options));
  if (!vm) co_return std::unexpected(std::move(vm).error());
  std::unique_ptr<Machine> machine = std::make_unique<QemuMachine>(*std::move(vm), cid);
  co_return machine;
}

}  // namespace coffer::shim
